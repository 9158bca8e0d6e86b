//! Sinks: a file, or one after the other, with the position beside it; a socket; the standard output.

mod file;
mod rotation;
mod stream;

use mesh_model::is_address;
use mesh_replication::adapter::SinkPosition;

pub use file::{FileOptions, FileSink, Sharing};
pub use rotation::NextBlock;
pub use stream::{StreamSink, connect};

use crate::subscribe::error::SubscribeError;

/// Where events go.
pub trait Sink: Send {
    /// Writes bytes that end with the block described by `mark`, and keeps the position if the sink can.
    fn write(&mut self, bytes: &[u8], mark: Mark) -> Result<(), SubscribeError>;

    /// Whether a block belongs into a new file; see [`Sink::begin_file`].
    fn is_due(&self, _next: &NextBlock) -> bool {
        false
    }

    /// Begins the file of a block, when everything before it is written.
    fn begin_file(&mut self, _next: &NextBlock) -> Result<(), SubscribeError> {
        Ok(())
    }

    /// Where it stood when it was opened; `None`: it is new, or cannot know.
    fn position(&self) -> Option<&SinkPosition>;
}

/// What is in the sink after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Offset to read next.
    pub next_offset: u64,
    /// Sequence of the last block.
    pub sequence: u64,
    /// Events of this write.
    pub events: u64,
}

/// What the option `fsname` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A file.
    File(String),
    /// A listener to connect to.
    Connect(String),
    /// The standard output.
    Stdout,
}

impl Name {
    /// `host:port` connects, `-` is the standard output, all else is a file.
    pub fn parse(fsname: &str) -> Name {
        match fsname {
            "-" => Name::Stdout,
            _ if is_address(fsname) && !fsname.starts_with(':') => Name::Connect(fsname.to_owned()),
            _ => Name::File(fsname.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(Name::parse("out.csv"), Name::File("out.csv".into()));
        assert_eq!(Name::parse("/out/10:30"), Name::File("/out/10:30".into()));
        assert_eq!(Name::parse("localhost:5000"), Name::Connect("localhost:5000".into()));
        assert_eq!(Name::parse("-"), Name::Stdout);
    }
}
