//! REST /SASESP and websockets in front of the mesh.
