//! Errors of the bus. The variants are decisions: what the caller has to do next.

use std::time::Duration;

/// A failed write. Display says what was attempted and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Another writer has fenced this one for good. Drop it. What was not committed before will never be seen; from
    /// [`crate::Writer::commit`] only the log tells (the answer to a commit right before the fence may have been lost).
    #[error("{attempted}: fenced by another writer of `{transactional_id}`")]
    Fenced {
        /// What was attempted.
        attempted: String,
        /// The writers' common id.
        transactional_id: String,
    },
    /// The transaction was not committed and must be aborted; the writer is good for another one after [`crate::Writer::abort`].
    #[error("{attempted}: not committed: {reason}")]
    Aborted {
        /// What was attempted.
        attempted: String,
        /// What the bus said.
        reason: String,
    },
    /// Nobody knows whether the transaction was committed. Drop the writer, make a new one, fence, read the log.
    #[error("{attempted}: outcome unknown after {waited:?}: {reason}")]
    Unknown {
        /// What was attempted.
        attempted: String,
        /// How long was waited.
        waited: Duration,
        /// What the bus said.
        reason: String,
    },
    /// The bus does not answer, or refuses for another reason; nothing was committed. Drop the writer, try again later.
    #[error("{attempted}: {reason}")]
    Unavailable {
        /// What was attempted, with the address.
        attempted: String,
        /// What the bus said.
        reason: String,
    },
}

/// A failed read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The topic no longer holds the offset that is needed.
    #[error(
        "topic `{topic}` no longer holds offset {needed} (oldest: {oldest}): raise its retention, or start the project anew under another name"
    )]
    Gone {
        /// Topic.
        topic: String,
        /// Offset that was asked for.
        needed: u64,
        /// Oldest offset there is.
        oldest: u64,
    },
    /// The topic is not there.
    #[error("topic `{topic}` does not exist: deploy the project, or create it with `espctl topics create {topic}`")]
    NoTopic {
        /// Topic.
        topic: String,
    },
    /// The bus does not answer; it may later.
    #[error("{attempted}: {reason}")]
    Unavailable {
        /// What was attempted, with the address.
        attempted: String,
        /// What the bus said.
        reason: String,
    },
}

/// A failed administrative call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The topic has a shape that order cannot survive.
    #[error(
        "topic `{topic}` has {found} partitions, expected 1: order exists only inside a partition; delete it, or name another one"
    )]
    Partitions {
        /// Topic.
        topic: String,
        /// Its partitions.
        found: u32,
    },
    /// The bus refused.
    #[error("{attempted}: refused: {reason}")]
    Refused {
        /// What was attempted.
        attempted: String,
        /// What the bus said.
        reason: String,
    },
    /// The bus does not answer; it may later.
    #[error("{attempted}: {reason}")]
    Unavailable {
        /// What was attempted, with the address.
        attempted: String,
        /// What the bus said.
        reason: String,
    },
}
