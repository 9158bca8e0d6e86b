//! Files: plain, or packed with gzip (by extension).

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Chunk, Source};
use crate::publish::error::PublishError;

/// A file that is read from a position on.
pub struct FileSource {
    reader: Reader,
}

enum Reader {
    Plain(File),
    Packed(Box<MultiGzDecoder<File>>),
}

impl FileSource {
    /// Opens the file behind its first `skip` bytes (unpacked ones).
    pub fn open(path: &str, skip: u64) -> Result<FileSource, PublishError> {
        let file = File::open(path).map_err(|reason| PublishError::Source { name: path.to_owned(), reason })?;
        FileSource::of(file, path, skip)
    }

    /// The same for a file that is open.
    pub fn of(mut file: File, path: &str, skip: u64) -> Result<FileSource, PublishError> {
        let failed = |reason: io::Error| PublishError::Source { name: path.to_owned(), reason };
        let packed = is_packed(Path::new(path));
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::Error::other("is a folder, expected a file")));
        }
        let shorter = |length| PublishError::SourceShorter { name: path.to_owned(), length, expected: skip };
        let reader = if packed {
            let mut unpacked = MultiGzDecoder::new(file);
            // a packed file cannot be entered in the middle
            let skipped = io::copy(&mut unpacked.by_ref().take(skip), &mut io::sink()).map_err(failed)?;
            if skipped < skip {
                return Err(shorter(skipped));
            }
            Reader::Packed(Box::new(unpacked))
        } else {
            // the length of a pipe says nothing; it has no position either
            let length = file.metadata().map_err(failed)?.len();
            if length < skip {
                return Err(shorter(length));
            }
            if skip > 0 {
                file.seek(SeekFrom::Start(skip)).map_err(failed)?;
            }
            Reader::Plain(file)
        };
        Ok(FileSource { reader })
    }

    /// What the system says of the file now, whatever it is called.
    pub fn metadata(&self) -> io::Result<Metadata> {
        match &self.reader {
            Reader::Plain(file) => file.metadata(),
            Reader::Packed(unpacked) => unpacked.get_ref().metadata(),
        }
    }
}

/// Whether a file is packed with gzip, by its name.
pub(super) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

impl Source for FileSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        let read = match &mut self.reader {
            Reader::Plain(file) => file.read(buffer)?,
            Reader::Packed(unpacked) => unpacked.read(buffer)?,
        };
        Ok(if read > 0 { Chunk::Bytes(read) } else { Chunk::End })
    }
}
