//! Sources of bytes: a file, a packed file, a growing file, a socket.

mod file;
mod socket;

use std::io;
use std::time::Duration;

use mesh_event::SourcePosition;

pub use file::FileSource;
pub use socket::SocketSource;

use crate::publish::error::PublishError;

/// How long a read waits for more bytes before it says that there are none.
pub const IDLE_WAIT: Duration = Duration::from_millis(20);

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// So many bytes.
    Bytes(usize),
    /// None now; there may be more later.
    Idle,
    /// The source has ended.
    End,
}

/// A source that is open.
pub trait Source: Send {
    /// Reads bytes; waits about [`IDLE_WAIT`] for them.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk>;
}

/// What the option `fsname` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A file.
    File {
        /// Its path.
        path: String,
        /// It grows: its end is not the end.
        growing: bool,
    },
    /// Wait on this address for somebody who sends.
    Listen {
        /// `host:port`.
        address: String,
    },
    /// Connect to this address.
    Connect {
        /// `host:port`.
        address: String,
    },
}

impl Name {
    /// `:port` listens, `host:port` connects, all else is a file.
    pub fn parse(fsname: &str, growing: bool) -> Name {
        let is_port = |text: &str| !text.is_empty() && text.parse::<u16>().is_ok();
        match fsname.rsplit_once(':') {
            Some(("", port)) if is_port(port) => Name::Listen { address: format!("0.0.0.0:{port}") },
            Some((host, port)) if is_port(port) && !host.contains('/') => Name::Connect { address: fsname.to_owned() },
            _ => Name::File { path: fsname.to_owned(), growing },
        }
    }

    /// True when the source can be read again from a position.
    pub fn rewinds(&self) -> bool {
        matches!(self, Name::File { .. })
    }

    /// Opens it. A file is set behind `position` (a socket cannot be; it goes on with what comes).
    pub fn open(&self, position: Option<&SourcePosition>) -> Result<Box<dyn Source>, PublishError> {
        match self {
            Name::File { path, growing } => {
                let at = position.map_or(0, |position| position.bytes);
                Ok(Box::new(FileSource::open(path, *growing, at)?))
            }
            Name::Listen { address } => Ok(Box::new(SocketSource::listen(address)?)),
            Name::Connect { address } => Ok(Box::new(SocketSource::connect(address)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let file = |path: &str| Name::File { path: path.into(), growing: false };
        assert_eq!(Name::parse("in.csv", false), file("in.csv"));
        assert_eq!(Name::parse("/data/2024-01-01T10:00", false), file("/data/2024-01-01T10:00"));
        assert_eq!(Name::parse("a:b", false), file("a:b"));
        assert_eq!(Name::parse(":5555", false), Name::Listen { address: "0.0.0.0:5555".into() });
        assert_eq!(Name::parse("localhost:5555", false), Name::Connect { address: "localhost:5555".into() });
    }
}
