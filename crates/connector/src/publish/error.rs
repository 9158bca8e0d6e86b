//! Why a publisher ends before its source does.

use std::io;
use std::time::Duration;

use mesh_adapter::SchemaLookupError;
use mesh_bus::{AdminError, ReadError, WriteError};
use mesh_event::csv::{CsvError, CsvSetupError};
use mesh_event::topic::TopicError;
use mesh_replication::adapter::Stop;
use mesh_service::Kind;

/// Why a publisher ends before its source does. What was committed until then stays.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The url names no window.
    #[error(transparent)]
    Target(#[from] TopicError),
    /// The window's schema is not known.
    #[error(transparent)]
    Schema(#[from] SchemaLookupError),
    /// The window takes no events.
    #[error("publishing to window `{window}`: it takes no events, expected a source window; correct the url")]
    NotInput {
        /// `project/query/window`.
        window: String,
    },
    /// The options do not fit the schema.
    #[error("reading source `{name}`: {reason}")]
    Setup {
        /// Source.
        name: String,
        /// What does not fit.
        reason: CsvSetupError,
    },
    /// A line cannot be read.
    #[error("{0}; every event before it is published")]
    Csv(CsvError),
    /// The source cannot be read.
    #[error("reading source `{name}`: {reason}")]
    Source {
        /// Source.
        name: String,
        /// What the system said.
        reason: io::Error,
    },
    /// The source is no document of its format.
    #[error("reading source `{name}`: {reason}")]
    Document {
        /// Source.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The source is not the one that was read before.
    #[error(
        "reading source `{name}` behind byte {expected}, where the topic says that it was read to: it has only {length} \
         bytes; bring the file back, or give fresh=true to publish it from its start"
    )]
    SourceShorter {
        /// Source.
        name: String,
        /// Its length.
        length: u64,
        /// Bytes read before.
        expected: u64,
    },
    /// The file in which the position is cannot be found.
    #[error(
        "reading source `{name}` behind byte {bytes} of `{file}`, where the topic says that it was read to: no file there \
         begins as that one did and is as long; bring it back, under any name that rotation gives, or give fresh=true to \
         publish the source from its start"
    )]
    FileLost {
        /// Source.
        name: String,
        /// The file as the position names it.
        file: String,
        /// Bytes of it read before.
        bytes: u64,
    },
    /// It cannot be told in which of several files the position is.
    #[error(
        "reading source `{name}` where `{file}` was read to: {names} begin alike, expected one; move the copies away"
    )]
    FileTwice {
        /// Source.
        name: String,
        /// The file as the position names it.
        file: String,
        /// The files that it may be.
        names: String,
    },
    /// A packed file cannot grow.
    #[error("reading source `{name}`: growinginputfile is for plain files, found a packed one; unpack it")]
    GrowingPacked {
        /// Source.
        name: String,
    },
    /// The topic has a shape that order cannot survive, or cannot be asked for.
    #[error(transparent)]
    Topic(#[from] AdminError),
    /// The topic cannot be read.
    #[error("looking for the last position in topic `{topic}`: {reason}")]
    Locate {
        /// Topic.
        topic: String,
        /// What the bus said.
        reason: ReadError,
    },
    /// A block in the topic cannot be read.
    #[error(
        "looking for the last position in topic `{topic}`: the record at offset {offset} is no event block: {reason}; \
         expected a block of this mesh: find out who wrote it, or give fresh=true"
    )]
    Corrupt {
        /// Topic.
        topic: String,
        /// Offset.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The role ended.
    #[error("publishing to topic `{topic}`: {stop}")]
    Stopped {
        /// Topic.
        topic: String,
        /// Why.
        stop: Stop,
    },
    /// The bus did not answer for too long.
    #[error(
        "publishing to topic `{topic}`: the bus has not answered for {waited:?} (buswait): {last}; start again when it does"
    )]
    Unavailable {
        /// Topic.
        topic: String,
        /// How long was waited.
        waited: Duration,
        /// What the bus said last.
        last: String,
    },
    /// A drain came before everything read was published.
    #[error(
        "publishing to topic `{topic}`: stopped while the bus did not answer: {last}; start again, it goes on where it was"
    )]
    Drained {
        /// Topic.
        topic: String,
        /// What the bus said last.
        last: String,
    },
}

impl PublishError {
    /// What it means for the process.
    pub fn kind(&self) -> Kind {
        match self {
            PublishError::Target(_) | PublishError::Setup { .. } | PublishError::GrowingPacked { .. } => Kind::Invalid,
            PublishError::Schema(SchemaLookupError::Version { .. } | SchemaLookupError::Malformed { .. }) => {
                Kind::Conflict
            }
            PublishError::Schema(_)
            | PublishError::Locate { .. }
            | PublishError::Unavailable { .. }
            | PublishError::Drained { .. } => Kind::Unavailable,
            PublishError::NotInput { .. }
            | PublishError::Csv(_)
            | PublishError::Document { .. }
            | PublishError::SourceShorter { .. }
            | PublishError::FileLost { .. }
            | PublishError::FileTwice { .. }
            | PublishError::Corrupt { .. } => Kind::Conflict,
            PublishError::Source { .. } => Kind::NotFound,
            PublishError::Topic(AdminError::Unavailable { .. }) => Kind::Unavailable,
            PublishError::Topic(_) => Kind::Conflict,
            PublishError::Stopped { stop: Stop::FencedOut | Stop::Refused, .. } => Kind::Unavailable,
            PublishError::Stopped { .. } => Kind::Conflict,
        }
    }
}

/// What a failed write means for the role.
#[derive(Debug)]
pub(crate) enum Outcome {
    FencedOut,
    NotCommitted(String),
    InDoubt(String),
}

impl From<WriteError> for Outcome {
    fn from(error: WriteError) -> Outcome {
        let text = error.to_string();
        match error {
            WriteError::Fenced { .. } => Outcome::FencedOut,
            WriteError::Aborted { .. } => Outcome::NotCommitted(text),
            WriteError::Unknown { .. } | WriteError::Unavailable { .. } => Outcome::InDoubt(text),
        }
    }
}
