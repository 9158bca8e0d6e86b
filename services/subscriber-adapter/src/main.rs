//! Writes an output topic to files and sockets, exactly once where the sink allows it.
fn main() {}
