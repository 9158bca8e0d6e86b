//! The port of desired state: keys, values, revisions.

use async_trait::async_trait;

use crate::{Error, Latest};

/// The most bytes a value may have; etcd refuses requests above 1.5 MB.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// Longest key.
const MAX_KEY_BYTES: usize = 1024;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Vec<u8>,
    /// Revision of the registry at which the value was written.
    pub revision: u64,
}

/// All entries under a prefix, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Revision of the registry at that moment.
    pub revision: u64,
    /// Entries in order of their keys.
    pub entries: Vec<Entry>,
}

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything, or nothing.
    Any,
    /// No value.
    Absent,
    /// The value of this revision.
    Revision(u64),
}

/// Desired state.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// All keys that begin with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Listing, Error>;

    /// Writes a value if what is there is as expected, else [`Error::Conflict`]; returns the new revision.
    async fn put(&self, key: &str, value: Vec<u8>, expected: Expected) -> Result<u64, Error>;

    /// Removes a key if what is there is as expected, else [`Error::Conflict`]; says whether there was one.
    async fn delete(&self, key: &str, expected: Expected) -> Result<bool, Error>;

    /// All keys that begin with `prefix`, whenever one of them changed. `from` is the revision of a listing that the
    /// caller has already: with it, the first listing comes only once something may have changed since.
    /// Goes on across deaths and compactions of the server, for as long as the watch is held.
    fn watch(&self, prefix: &str, from: Option<u64>) -> Latest<Listing>;
}

/// Says whether a key can be stored.
pub fn check_key(key: &str) -> Result<(), Error> {
    let reason = if key.is_empty() {
        "it is empty"
    } else if key.len() > MAX_KEY_BYTES {
        "it is longer than 1024 bytes"
    } else if key.chars().any(char::is_control) {
        "it has a control character"
    } else {
        return Ok(());
    };
    Err(Error::invalid(
        format!("key `{}`", key.escape_debug()),
        format!("{reason}; expected a key like `projects/name`"),
    ))
}

pub(crate) fn check_put(key: &str, value: &[u8]) -> Result<(), Error> {
    check_key(key)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::invalid(
            format!("write `{key}`"),
            format!("value of {} bytes, expected at most {MAX_VALUE_BYTES}", value.len()),
        ));
    }
    Ok(())
}

pub(crate) fn describe(expected: Expected) -> String {
    match expected {
        Expected::Any => "anything".into(),
        Expected::Absent => "no value".into(),
        Expected::Revision(revision) => format!("revision {revision}"),
    }
}

pub(crate) fn describe_found(found: Option<u64>) -> String {
    found.map_or_else(|| "no value".into(), |revision| format!("revision {revision}"))
}
