//! Files of JSON and XML, read whole: their positions are those of the lines of CSV that say the same.

use std::io;

use mesh_adapter::FsType;

use super::{Chunk, FileSource, Source};
use crate::documents::{self, Shape};
use crate::publish::error::PublishError;

/// A document is held in memory, twice while it is read.
const DOCUMENT_BYTES_MAX: usize = 1 << 30;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A document as lines.
pub struct DocumentSource {
    lines: Vec<u8>,
    at: usize,
}

impl DocumentSource {
    /// Reads the file (plain, or packed with gzip) and goes behind the first `skip` bytes of its lines.
    pub fn open(path: &str, format: FsType, shape: &Shape<'_>, skip: u64) -> Result<DocumentSource, PublishError> {
        let wrong = |reason| PublishError::Document { name: path.to_owned(), reason };
        let mut file = FileSource::open(path, 0)?;
        let (mut text, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
        loop {
            match file.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(PublishError::Source { name: path.to_owned(), reason }),
                Ok(Chunk::Bytes(read)) => text.extend_from_slice(&chunk[..read]),
                Ok(Chunk::Idle | Chunk::NextFile | Chunk::End) => break,
            }
            if text.len() > DOCUMENT_BYTES_MAX {
                return Err(wrong(format!(
                    "it is longer than {DOCUMENT_BYTES_MAX} bytes; split it, or convert it to csv"
                )));
            }
        }
        let lines =
            documents::lines(text, format, shape).map_err(|reason| wrong(format!("{reason}; expected {format}")))?;
        match usize::try_from(skip).ok().filter(|at| *at <= lines.len()) {
            Some(at) => Ok(DocumentSource { lines, at }),
            None => {
                let (name, length) = (path.to_owned(), lines.len() as u64);
                Err(PublishError::SourceShorter { name, length, expected: skip })
            }
        }
    }
}

impl Source for DocumentSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        let left = &self.lines[self.at..];
        let read = left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&left[..read]);
        self.at += read;
        Ok(if read > 0 { Chunk::Bytes(read) } else { Chunk::End })
    }
}
