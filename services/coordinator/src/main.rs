//! Holds the desired state: projects, engines, adapters, topics, history.
fn main() {}
