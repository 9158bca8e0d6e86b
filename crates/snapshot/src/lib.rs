//! Saved states of projects in an object store: a folder, memory, or a bucket by URL.
//!
//! A snapshot is two objects of one name: the state (`.state`: magic, format, zstd stream) and its manifest (`.json`:
//! which commit, how many bytes, which hash). The state is uploaded first, read back, and only then is the manifest put
//! in place, at once and only if there is none. So a snapshot exists when its manifest does; one whose writing was
//! torn or lost is never listed, and one that was damaged later is found by length and hash.
//! Read [`Snapshots`] first.
//!
//! Code map:
//! - [`location`]: which store, from a URL
//! - [`manifest`]: what is known of a snapshot without reading its state
//! - [`store`]: list, load, publish, prune
//! - [`write`], [`read`]: the state as a stream; neither holds more than a few parts in memory
//!
//! **Invariant:** what is listed was once read back whole. **Invariant:** a state whose bytes differ from what was
//! written is never reported as read ([`read::SnapshotReader::finish`]).
//! Calls block, on a small runtime of the caller's thread: an engine gives them a thread of their own.

pub mod error;
pub mod location;
pub mod manifest;
pub mod read;
pub mod store;
pub mod write;

pub use error::SnapshotError;
pub use location::Location;
pub use manifest::Manifest;
pub use read::SnapshotReader;
pub use store::{Listed, Snapshots};
pub use write::SnapshotWriter;
