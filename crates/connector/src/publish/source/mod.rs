//! Sources of bytes: a file, packed or not, several files, a growing one, a document, a socket, a timer, a script.

mod document;
mod file;
mod files;
mod lua;
mod socket;
mod timer;

use std::io;
use std::time::Duration;

use mesh_adapter::{FsType, PublisherOptions};
use mesh_event::csv::CsvOptions;
use mesh_event::{Schema, SourceFile, SourcePosition};
use mesh_model::is_address;

pub use document::DocumentSource;
pub use file::FileSource;
pub use files::{FileSet, FilesSource};
pub use lua::LuaScript;
pub use socket::SocketSource;
pub use timer::Timer;

use crate::documents;
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
    /// One of several files has ended; [`Source::next_file`] begins the next.
    NextFile,
    /// The source has ended.
    End,
}

/// A source that is open.
pub trait Source: Send {
    /// Reads bytes; waits about [`IDLE_WAIT`] for them.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk>;

    /// Begins the next of several files, after a read that said [`Chunk::NextFile`].
    fn next_file(&mut self) {}

    /// The file that is read, if it is one of several, as a position behind so many bytes of it names it.
    fn file_at(&self, _bytes: u64) -> Option<SourceFile> {
        None
    }
}

/// What is read. Mostly it is what the option `fsname` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A file.
    File {
        /// Its path.
        path: String,
    },
    /// Several files, or one that grows.
    Files(FileSet),
    /// A file of JSON or XML, read whole as the lines of CSV that say the same.
    Document {
        /// Its path.
        path: String,
        /// What it holds.
        format: FsType,
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
    /// The clock.
    Timer(Timer),
    /// A script.
    Lua(LuaScript),
}

impl Name {
    /// `:port` listens, `host:port` connects, all else is a file or, as [`FileSet::parse`] has it, several.
    pub fn parse(fsname: &str, growing: bool, format: FsType) -> Name {
        match fsname.strip_prefix(':') {
            Some(port) if is_address(fsname) => Name::Listen { address: format!("0.0.0.0:{port}") },
            None if is_address(fsname) => Name::Connect { address: fsname.to_owned() },
            _ if format != FsType::Csv => Name::Document { path: fsname.to_owned(), format },
            _ => match FileSet::parse(fsname, growing) {
                Some(files) => Name::Files(files),
                None => Name::File { path: fsname.to_owned() },
            },
        }
    }

    /// True when the source can be read again from a position.
    pub fn rewinds(&self) -> bool {
        !matches!(self, Name::Listen { .. } | Name::Connect { .. })
    }

    /// Where a source begins that was never read.
    pub fn begin(&self) -> SourcePosition {
        match self {
            Name::Timer(timer) => timer.begin(),
            Name::Lua(script) => script.begin(),
            _ => SourcePosition::default(),
        }
    }

    /// How its lines are read: those that are made here are as they are made, whatever the options say.
    pub fn csv_options(&self, options: &PublisherOptions) -> CsvOptions {
        match self {
            Name::Document { .. } | Name::Timer(_) | Name::Lua(_) => documents::csv_options(options),
            Name::File { .. } | Name::Files(_) | Name::Listen { .. } | Name::Connect { .. } => options.csv_options(),
        }
    }

    /// Opens it behind `position`. A socket cannot be set there; it goes on with what comes.
    pub fn open(
        &self,
        position: &SourcePosition,
        schema: &Schema,
        options: &PublisherOptions,
    ) -> Result<Box<dyn Source>, PublishError> {
        match self {
            Name::File { path } => Ok(Box::new(FileSource::open(path, position.bytes)?)),
            Name::Files(files) => Ok(Box::new(files.open(position)?)),
            Name::Document { path, format } => {
                let shape = documents::Shape::of(schema, options);
                Ok(Box::new(DocumentSource::open(path, *format, &shape, position.bytes)?))
            }
            Name::Timer(timer) => Ok(Box::new(timer.open(position))),
            Name::Lua(script) => Ok(Box::new(script.open(position, schema)?)),
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
        let file = |path: &str| Name::File { path: path.into() };
        assert_eq!(Name::parse("in.csv", false, FsType::Csv), file("in.csv"));
        assert_eq!(Name::parse("/data/2024-01-01T10:00", false, FsType::Csv), file("/data/2024-01-01T10:00"));
        assert_eq!(Name::parse("a:b", false, FsType::Csv), file("a:b"));
        assert!(matches!(Name::parse("in.csv", true, FsType::Csv), Name::Files(_)));
        assert!(matches!(Name::parse("a.csv|b.csv", false, FsType::Csv), Name::Files(_)));
        assert_eq!(Name::parse(":5555", false, FsType::Csv), Name::Listen { address: "0.0.0.0:5555".into() });
        assert_eq!(
            Name::parse("localhost:5555", false, FsType::Csv),
            Name::Connect { address: "localhost:5555".into() }
        );
    }
}
