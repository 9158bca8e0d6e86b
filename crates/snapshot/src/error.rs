//! What can go wrong with a snapshot.

/// A failed call. Display says what was attempted and what was found.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The URL names no store that this build knows.
    #[error(
        "snapshot store `{url}`: {reason}; expected file:///folder, memory:///, or s3://, gs://, az:// in a build that has them"
    )]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer, is full, or refuses.
    #[error("{attempted}: {reason}")]
    Store {
        /// What was attempted, with the object.
        attempted: String,
        /// What the store said.
        reason: String,
    },
    /// An object is not what was written.
    #[error("snapshot `{object}` is damaged: {what}; an older one is taken if there is one")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong.
        what: String,
    },
    /// Written by a version of the program that this one does not know.
    #[error(
        "snapshot `{object}` has format {found}, this version reads format {expected}: run the same version on all engines"
    )]
    Format {
        /// The object.
        object: String,
        /// Its format.
        found: u16,
        /// The known one.
        expected: u16,
    },
}
