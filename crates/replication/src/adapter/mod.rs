//! What an adapter decides, without its I/O: where a publisher goes on after a restart or an unknown outcome, and
//! whether what a subscriber reads is gapless and where its sink goes on.
//!
//! Read [`PublisherRole`] and [`SequenceCheck`] first.
//!
//! Code map:
//! - [`publisher`]: fence, locate the last position, publish, and back again when an outcome is unknown
//! - [`sequence`]: loss, duplication and order on an output topic
//! - [`sink`]: a file's position beside it, and what a restart may make of the two
//!
//! **Invariant:** a batch is confirmed or sent again, never both: after a doubt only the topic's last position decides.
//! **Invariant:** a sink is never extended unless its content is known to be what the position describes.

pub mod publisher;
pub mod sequence;
pub mod sink;

pub use publisher::{Effect, Found, Input, PublisherRole, PublisherState, Stop};
pub use sequence::{Breach, BreachKind, SequenceCheck};
pub use sink::{Conflict, CurrentFile, FileSeen, PositionError, SinkPosition, SinkStart, reconcile};
