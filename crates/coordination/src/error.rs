//! What can go wrong. The variants are decisions: what the caller has to do next.

use std::time::Duration;

/// A failed call. Display says what was attempted and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody else was faster: nothing was changed. Read again, then decide anew.
    #[error("{attempted}: expected {expected}, found {found}; read it again")]
    Conflict {
        /// What was attempted.
        attempted: String,
        /// What the caller expected to be there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// Nobody knows whether the change was made. Read again before anything is built on it.
    #[error("{attempted}: outcome unknown after {waited:?}: {reason}")]
    Unknown {
        /// What was attempted.
        attempted: String,
        /// How long was waited.
        waited: Duration,
        /// What the server or the client said.
        reason: String,
    },
    /// The server does not answer; nothing was changed. Try again later.
    #[error("{attempted}: {reason}")]
    Unavailable {
        /// What was attempted, with the address.
        attempted: String,
        /// What the server or the client said.
        reason: String,
    },
    /// The node is not there, for example since its session has ended. Make it anew.
    #[error("{attempted}: it does not exist (any more)")]
    Missing {
        /// What was attempted.
        attempted: String,
    },
    /// The request can never succeed as it is.
    #[error("{attempted}: {reason}")]
    Invalid {
        /// What was attempted.
        attempted: String,
        /// Why not, and what would be right.
        reason: String,
    },
}

impl Error {
    pub(crate) fn unavailable(attempted: impl Into<String>, reason: impl ToString) -> Self {
        Self::Unavailable { attempted: attempted.into(), reason: reason.to_string() }
    }

    pub(crate) fn invalid(attempted: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { attempted: attempted.into(), reason: reason.into() }
    }

    pub(crate) fn missing(attempted: impl Into<String>) -> Self {
        Self::Missing { attempted: attempted.into() }
    }

    pub(crate) fn conflict(attempted: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Conflict { attempted: attempted.into(), expected: expected.to_string(), found: found.to_string() }
    }
}
