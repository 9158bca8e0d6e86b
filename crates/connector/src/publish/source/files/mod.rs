//! Sources of several files: a list, a pattern, and a growing file that is renamed and made anew.
//!
//! What was read is known again by its first bytes and its inode, not by its name: a file that was rotated away has
//! another name, and what stands under the old one is another file. A file is left only when there is data behind it,
//! since then its writer has gone on, and after one more look at its end.

mod names;
mod set;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use mesh_event::SourceFile;
use xxhash_rust::xxh3::xxh3_64;

pub use set::FileSet;

use self::set::{Entry, Seen};
use super::file::is_packed;
use super::{Chunk, FileSource, IDLE_WAIT, Source};
use crate::publish::error::PublishError;

/// First bytes of a file by which it is known again, at most.
const HEAD_BYTES: usize = 4096;
/// How often it is looked whether there is a file behind the one that has no more bytes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Several files, read as one source.
pub struct FilesSource {
    set: FileSet,
    given: String,
    inode: u64,
    packed: bool,
    reader: FileSource,
    /// Its first bytes as far as they were read, and their digest once they are all.
    head: Vec<u8>,
    whole_head: Option<u64>,
    /// Bytes of it that were read.
    read: u64,
    /// What is behind it, open, since there is data: when it ends once more it is done.
    next: Option<Box<FilesSource>>,
    looked: Option<Instant>,
}

impl FilesSource {
    fn new(set: FileSet, entry: Entry, skip: u64) -> Result<FilesSource, PublishError> {
        let failed = |reason| PublishError::Source { name: entry.given.clone(), reason };
        set.check_within(&entry.real).map_err(failed)?;
        let path = entry.real.to_str().ok_or_else(|| failed(io::Error::other("its path is no text")))?;
        let file = File::open(path).map_err(failed)?;
        let packed = is_packed(&entry.real);
        let head = head_of(&file, packed, skip).map_err(failed)?;
        // reading the head of a packed file has moved it
        let file = if packed { File::open(path).map_err(failed)? } else { file };
        let reader = FileSource::of(file, path, skip)?;
        let inode = reader.metadata().map_err(failed)?.ino();
        let whole_head = whole(&head);
        let (read, given) = (skip, entry.given);
        Ok(FilesSource { set, given, inode, packed, reader, head, whole_head, read, next: None, looked: None })
    }

    /// Opens what comes behind the file that has no more bytes now, if there is something and it has data.
    fn look(&mut self) -> io::Result<()> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        let open = Seen::of(&self.reader.metadata()?);
        let behind = self.set.behind(&self.given, open, self.read)?;
        self.looked = Some(Instant::now());
        let goes_on = behind.iter().any(|entry| entry.seen.is_some_and(|seen| seen.length > 0));
        let Some(next) = behind.into_iter().next().filter(|_| goes_on || !self.set.growing) else { return Ok(()) };
        let inode = match next.seen {
            Some(seen) => seen.inode,
            None if self.set.growing => return Ok(()), // it may come
            None => 0,
        };
        match FilesSource::new(self.set.clone(), next, 0) {
            // renamed meanwhile: the next look sees how it is called now
            Ok(opened) if opened.inode != inode => {}
            Ok(opened) => self.next = Some(Box::new(opened)),
            Err(_) if self.set.growing => {}
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
        Ok(())
    }

    /// True when the file was cut to less than was read of it.
    fn is_cut(&self) -> io::Result<bool> {
        Ok(!self.packed && self.reader.metadata()?.len() < self.read)
    }

    /// Goes on in the copy of a file that was copied and cut.
    fn follow_copy(&mut self) -> io::Result<()> {
        let Some(file) = self.file_at(self.read) else { return Ok(()) };
        let source = self.set.open_at(&SourceFile { inode: 0, ..file }, self.read);
        *self = source.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(())
    }
}

impl Source for FilesSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        if let Chunk::Bytes(read) = self.reader.read(buffer)? {
            let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(read);
            if missing > 0 {
                self.head.extend_from_slice(&buffer[..missing]);
                self.whole_head = whole(&self.head);
            }
            self.read += read as u64;
            return Ok(Chunk::Bytes(read));
        }
        if self.next.is_some() {
            return Ok(Chunk::NextFile);
        }
        if self.set.growing && self.is_cut()? {
            self.follow_copy()?;
            return Ok(Chunk::Idle);
        }
        self.look()?;
        if self.next.is_none() {
            if !self.set.growing {
                return Ok(Chunk::End);
            }
            std::thread::sleep(IDLE_WAIT);
        }
        // if there is a next file, what was written before it had data is there now, and read once more
        Ok(Chunk::Idle)
    }

    fn next_file(&mut self) {
        if let Some(next) = self.next.take() {
            *self = *next;
            tracing::info!(file = self.given, "reading the next file");
        }
    }

    fn file_at(&self, bytes: u64) -> Option<SourceFile> {
        let head = match self.whole_head {
            Some(digest) if bytes >= HEAD_BYTES as u64 => digest,
            _ => xxh3_64(&self.head[..self.head.len().min(bytes as usize)]),
        };
        Some(SourceFile { path: self.given.clone(), inode: self.inode, head })
    }
}

pub(super) fn whole(head: &[u8]) -> Option<u64> {
    (head.len() == HEAD_BYTES).then(|| xxh3_64(head))
}

/// The first bytes of a file, at most [`HEAD_BYTES`] and none behind a position.
pub(super) fn head_of(mut file: &File, packed: bool, position: u64) -> io::Result<Vec<u8>> {
    let (limit, mut head) = (position.min(HEAD_BYTES as u64), Vec::new());
    match packed {
        true => MultiGzDecoder::new(file).take(limit).read_to_end(&mut head)?,
        false => file.by_ref().take(limit).read_to_end(&mut head)?,
    };
    Ok(head)
}
