//! Files: plain, packed with gzip (by extension), growing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::{Chunk, IDLE_WAIT, Source};
use crate::publish::error::PublishError;

/// A file that is read from a position on.
pub struct FileSource {
    reader: Reader,
    growing: bool,
}

enum Reader {
    Plain(File),
    Packed(Box<MultiGzDecoder<File>>),
}

impl FileSource {
    /// Opens the file behind its first `skip` bytes (unpacked ones).
    pub fn open(path: &str, growing: bool, skip: u64) -> Result<FileSource, PublishError> {
        let failed = |reason: io::Error| PublishError::Source { name: path.to_owned(), reason };
        let packed = path.to_ascii_lowercase().ends_with(".gz");
        if packed && growing {
            return Err(PublishError::GrowingPacked { name: path.to_owned() });
        }
        let mut file = File::open(path).map_err(failed)?;
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
        Ok(FileSource { reader, growing })
    }
}

impl Source for FileSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        let read = match &mut self.reader {
            Reader::Plain(file) => file.read(buffer)?,
            Reader::Packed(unpacked) => unpacked.read(buffer)?,
        };
        if read > 0 {
            return Ok(Chunk::Bytes(read));
        }
        if !self.growing {
            return Ok(Chunk::End);
        }
        std::thread::sleep(IDLE_WAIT);
        Ok(Chunk::Idle)
    }
}
