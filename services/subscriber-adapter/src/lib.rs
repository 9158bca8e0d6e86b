//! Writes an output topic to files and sockets, exactly once where the sink allows it.
//!
//! Read [`Subscriber`] first: `Subscriber::new(options, bus).run(&stop)` does everything on the thread that calls it.
//!
//! Code map:
//! - [`subscriber`]: read, check, encode, flush
//! - [`sink`]: the file with its position beside it; sockets and the standard output (at least once)
//! - `shape`: what `collapse` and `rmretdel` make of a block
//! - [`progress`], [`error`]: what others see of it; [`config`], [`service`]: the process around it
//!
//! **Invariant:** a file never holds a block twice or a gap: its position is written after the data that it covers, and
//! what it does not cover is cut off at the next start.
//! **Invariant:** memory is bounded: the reader's buffer and `flushbytes` plus one block.

pub mod config;
pub mod error;
pub mod progress;
pub mod service;
mod shape;
pub mod sink;
pub mod subscriber;

pub use error::SubscribeError;
pub use progress::{Progress, Snapshot, State};
pub use shape::shape;
pub use subscriber::{Observer, Seen, Subscriber, Summary};
