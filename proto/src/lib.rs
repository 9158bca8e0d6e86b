//! Wire formats and gRPC APIs of esp-mesh: the .proto files and the code generated from them.
