//! REST /SASESP in front of the mesh.
fn main() {}
