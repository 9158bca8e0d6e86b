//! Source to topic: read, cut into blocks, commit with the position that was read to.

pub mod error;
mod feed;
mod locate;
pub mod progress;
pub mod publisher;
pub mod queue;
mod session;
pub mod source;

pub use error::PublishError;
pub(crate) use locate::last_of_key;
pub use locate::last_offset;
pub use progress::{Progress, Snapshot};
pub use publisher::{Publisher, Summary};
