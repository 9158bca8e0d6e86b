//! Writes an output topic to files and sockets, exactly once where the sink allows it.
//!
//! The process around `mesh_connector::subscribe`, which does the work.
//!
//! Code map:
//! - [`service`]: status over gRPC, metrics, announcement, drain; `group`: several of which one writes
//! - [`config`]: the settings of the process

pub mod config;
mod group;
pub mod service;

pub use mesh_connector::State;
pub use mesh_connector::subscribe::{Observer, Progress, Seen, Snapshot, SubscribeError, Subscriber, Summary, shape};
