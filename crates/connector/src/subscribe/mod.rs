//! Topic to sink: read, check the sequence, encode, flush with the position that was written to.

pub mod error;
pub mod progress;
mod shape;
pub mod sink;
pub mod subscriber;

pub use error::SubscribeError;
pub use progress::{Progress, Snapshot};
pub use shape::shape;
pub use subscriber::{Observer, Seen, Subscriber, Summary};
