//! Why a subscriber ends. What it read before is in the sink.

use std::io;
use std::time::Duration;

use mesh_adapter::SchemaLookupError;
use mesh_bus::ReadError;
use mesh_event::topic::TopicError;
use mesh_replication::adapter::{Breach, Conflict, PositionError};
use mesh_service::Kind;

/// Why a subscriber ends. What it read before is in the sink.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The url names no window.
    #[error(transparent)]
    Target(#[from] TopicError),
    /// The window's schema is not known.
    #[error(transparent)]
    Schema(#[from] SchemaLookupError),
    /// The options do not fit.
    #[error("writing to `{name}`: {reason}")]
    Setup {
        /// Sink.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// The topic cannot be read, or lost what is needed.
    #[error("reading topic `{topic}` for `{name}`: {reason}")]
    Read {
        /// Topic.
        topic: String,
        /// Sink.
        name: String,
        /// What the bus said.
        reason: ReadError,
    },
    /// The bus did not answer for too long.
    #[error(
        "reading topic `{topic}`: the bus has not answered for {waited:?} (buswait): {last}; start again when it does"
    )]
    Unavailable {
        /// Topic.
        topic: String,
        /// How long was waited.
        waited: Duration,
        /// What the bus said last.
        last: String,
    },
    /// The topic is not contiguous.
    #[error(transparent)]
    Sequence(#[from] Breach),
    /// A record is no block of the window.
    #[error("reading topic `{topic}` at offset {offset}: the record is no event block of the window: {reason}")]
    Corrupt {
        /// Topic.
        topic: String,
        /// Offset.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The sink cannot be written.
    #[error("writing to `{name}`: {reason}")]
    Sink {
        /// Sink.
        name: String,
        /// What the system said.
        reason: io::Error,
    },
    /// Another process writes the same file.
    #[error("writing to `{name}`: another subscriber has it open; stop that one, or name another file")]
    Locked {
        /// Sink.
        name: String,
    },
    /// The position beside the file cannot be read.
    #[error("reading the position `{name}`: {reason}; delete it together with the file, or give fresh=true")]
    Position {
        /// Position file.
        name: String,
        /// What is wrong.
        reason: PositionError,
    },
    /// File and position do not belong together.
    #[error(
        "writing to `{name}`: {conflict}; move the file and `{name}.position` away, or give fresh=true to overwrite both"
    )]
    Conflict {
        /// Sink.
        name: String,
        /// What is wrong.
        conflict: Conflict,
    },
}

impl SubscribeError {
    /// What it means for the process.
    pub fn kind(&self) -> Kind {
        match self {
            SubscribeError::Target(_) | SubscribeError::Setup { .. } => Kind::Invalid,
            SubscribeError::Schema(SchemaLookupError::Version { .. } | SchemaLookupError::Malformed { .. }) => {
                Kind::Conflict
            }
            SubscribeError::Schema(_)
            | SubscribeError::Unavailable { .. }
            | SubscribeError::Read { reason: ReadError::Unavailable { .. }, .. } => Kind::Unavailable,
            SubscribeError::Read { .. }
            | SubscribeError::Corrupt { .. }
            | SubscribeError::Position { .. }
            | SubscribeError::Locked { .. }
            | SubscribeError::Conflict { .. } => Kind::Conflict,
            SubscribeError::Sink { .. } => Kind::Unavailable,
            SubscribeError::Sequence(_) => Kind::Fault,
        }
    }
}
