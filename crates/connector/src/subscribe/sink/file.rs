//! A file, extended exactly once per block across restarts.
//!
//! A write is: the data, then `<file>.position` by way of a temporary file and a rename. What lies behind the length
//! that the position names was never covered; it is cut off at the next start and read again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mesh_replication::adapter::sink::TAIL_BYTES;
use mesh_replication::adapter::{FileSeen, SinkPosition, SinkStart, reconcile};
use xxhash_rust::xxh3::xxh3_64;

use super::{Mark, Sink};
use crate::subscribe::error::SubscribeError;

/// Longest position file that is read.
const POSITION_BYTES_MAX: u64 = 64 * 1024;

/// An output file.
pub struct FileSink {
    name: String,
    file: File,
    position_path: PathBuf,
    topic: String,
    fsync: bool,
    length: u64,
    events: u64,
    /// The last covered bytes, at most [`TAIL_BYTES`].
    tail: Vec<u8>,
    start: Option<SinkPosition>,
}

impl FileSink {
    /// Opens the file for this topic and cuts off what was never covered. `fresh`: overwrite whatever is there.
    pub fn open(name: &str, topic: &str, fresh: bool, fsync: bool) -> Result<FileSink, SubscribeError> {
        let failed = |reason| SubscribeError::Sink { name: name.to_owned(), reason };
        let position_path = PathBuf::from(format!("{name}.position"));
        let existed = Path::new(name).try_exists().map_err(failed)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SubscribeError::Locked { name: name.to_owned() }),
            Err(TryLockError::Error(reason)) => return Err(failed(reason)),
        }
        let position = if fresh { None } else { read_position(&position_path)? };
        let mut tail = Vec::new();
        let seen = match (existed, fresh) {
            (false, _) => None,
            (true, true) => Some(FileSeen { length: 0, tail: None }),
            (true, false) => {
                let length = file.metadata().map_err(failed)?.len();
                if let Some(position) = position.as_ref().filter(|position| position.length <= length) {
                    tail = read_tail(&mut file, position.length).map_err(failed)?;
                }
                Some(FileSeen { length, tail: position.is_some().then(|| xxh3_64(&tail)) })
            }
        };
        let start = reconcile(topic, position, seen)
            .map_err(|conflict| SubscribeError::Conflict { name: name.to_owned(), conflict })?;
        let start = match start {
            SinkStart::Resume(position) => Some(position),
            SinkStart::FileRemoved => {
                tracing::warn!(file = name, "the file is gone and its position is not: beginning a new file");
                None
            }
            SinkStart::New => None,
        };
        if start.is_none() {
            tail.clear();
            // first the position: a position without its file means a new file, the reverse would be refused
            match std::fs::remove_file(&position_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        let length = start.as_ref().map_or(0, |position| position.length);
        file.set_len(length).map_err(failed)?;
        file.seek(SeekFrom::Start(length)).map_err(failed)?;
        let events = start.as_ref().map_or(0, |position| position.events);
        let (name, topic) = (name.to_owned(), topic.to_owned());
        Ok(FileSink { name, file, position_path, topic, fsync, length, events, tail, start })
    }

    fn try_write(&mut self, bytes: &[u8], mark: Mark) -> io::Result<()> {
        self.file.write_all(bytes)?;
        if self.fsync {
            self.file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        self.events += mark.events;
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES as usize)..]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES as usize);
        self.tail.drain(..surplus);
        let position = SinkPosition {
            topic: self.topic.clone(),
            next_offset: mark.next_offset,
            sequence: mark.sequence,
            length: self.length,
            events: self.events,
            tail: xxh3_64(&self.tail),
        };
        let temporary = self.position_path.with_extension("position.new");
        let mut file = File::create(&temporary)?;
        file.write_all(position.to_string().as_bytes())?;
        if self.fsync {
            file.sync_data()?;
        }
        std::fs::rename(&temporary, &self.position_path)?;
        if self.fsync {
            let folder = self.position_path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn write(&mut self, bytes: &[u8], mark: Mark) -> Result<(), SubscribeError> {
        self.try_write(bytes, mark).map_err(|reason| SubscribeError::Sink { name: self.name.clone(), reason })
    }

    fn position(&self) -> Option<&SinkPosition> {
        self.start.as_ref()
    }
}

fn read_position(path: &Path) -> Result<Option<SinkPosition>, SubscribeError> {
    let name = path.display().to_string();
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(POSITION_BYTES_MAX).read_to_string(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(reason) => return Err(SubscribeError::Sink { name, reason }),
        Ok(_) => {}
    }
    SinkPosition::parse(&text).map(Some).map_err(|reason| SubscribeError::Position { name, reason })
}

/// The bytes before `end`, at most [`TAIL_BYTES`].
fn read_tail(file: &mut File, end: u64) -> io::Result<Vec<u8>> {
    let from = end.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = vec![0; (end - from) as usize];
    file.read_exact(&mut tail)?;
    Ok(tail)
}
