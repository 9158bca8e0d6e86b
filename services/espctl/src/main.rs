//! The command-line tool of esp-mesh.
fn main() {}
