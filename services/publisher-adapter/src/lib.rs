//! Publishes files and sockets to an input topic, exactly once.
//!
//! Read [`Publisher`] first: `Publisher::new(options, bus, trace_ratio).run(&stop)` does everything, on the thread that
//! calls it and one more that reads.
//!
//! Code map:
//! - [`publisher`], `session`: carry out what `mesh_replication::adapter::PublisherRole` decides
//! - [`source`]: files, packed and growing ones, sockets; `feed`: the reading thread
//! - [`queue`]: blocks read ahead; `locate`: the last position in the topics
//! - [`progress`], [`error`]: what others see of it; [`config`], [`service`], `group`: the process around it
//!
//! **Invariant:** a block's source position is in the block itself, so position and data cannot part.
//! **Invariant:** memory is bounded: one queue (`numbufferedmsgs` blocks, twice `transactionbytes`) and one transaction.

pub mod config;
pub mod error;
mod feed;
mod group;
mod locate;
pub mod progress;
pub mod publisher;
pub mod queue;
pub mod service;
mod session;
pub mod source;

pub use error::PublishError;
pub use progress::{Progress, Snapshot, State};
pub use publisher::{Publisher, Summary};
