//! Publishes files and sockets to an input topic, exactly once.
//!
//! The process around `mesh_connector::publish`, which does the work.
//!
//! Code map:
//! - [`service`]: status over gRPC, metrics, announcement, drain; `group`: several of which one publishes
//! - [`config`]: the settings of the process

pub mod config;
mod group;
pub mod service;

pub use mesh_connector::State;
pub use mesh_connector::publish::{Progress, PublishError, Publisher, Snapshot, Summary};
