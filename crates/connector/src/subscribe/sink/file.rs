//! A file, extended exactly once per block across restarts.
//!
//! A write is: the data, then `<file>.position` by way of a temporary file and a rename. What lies behind the length
//! that the position names was never covered; it is cut off at the next start and read again.
//!
//! **Members of a group share the file**, and one that stood still may wake while another writes. No lock can help there
//! (the sleeper would hold it), and none is needed: what is at a place of the file follows from the topic alone, so each
//! writes at its own place what is there already, or will be. Hence nothing is cut off (a tail that is not covered is
//! the beginning of what comes there), and a position never goes back.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mesh_adapter::Rotation;
use mesh_candidate::new_incarnation;
use mesh_replication::adapter::sink::TAIL_BYTES;
use mesh_replication::adapter::{Conflict, CurrentFile, FileSeen, SinkPosition, SinkStart, reconcile};
use xxhash_rust::xxh3::xxh3_64;

use super::rotation::{self, NextBlock};
use super::{Mark, Sink};
use crate::subscribe::error::SubscribeError;

/// Longest position file that is read.
const POSITION_BYTES_MAX: u64 = 64 * 1024;

/// Who writes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One process; a second one is refused.
    Alone,
    /// Members of a group, with the same options; whoever has its turn, and for a moment one that does not know yet that
    /// its turn is over.
    OneOfAGroup,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions<'a> {
    /// Topic that it is filled from.
    pub topic: &'a str,
    /// Overwrite whatever is there.
    pub fresh: bool,
    /// Force every write to the disk.
    pub fsync: bool,
    /// Who writes it.
    pub sharing: Sharing,
    /// One file after the other, named after this one.
    pub rotation: Option<Rotation>,
}

/// An output file, or one after the other.
pub struct FileSink {
    name: String,
    /// `None`: no file has been begun.
    file: Option<File>,
    /// Held for its lock where the file changes.
    _lock: Option<File>,
    position_path: PathBuf,
    temporary_path: PathBuf,
    topic: String,
    fsync: bool,
    sharing: Sharing,
    rotation: Option<(Rotation, CurrentFile)>,
    length: u64,
    events: u64,
    /// The last covered bytes, at most [`TAIL_BYTES`].
    tail: Vec<u8>,
    start: Option<SinkPosition>,
}

impl FileSink {
    /// Opens the file and cuts off what was never covered.
    pub fn open(name: &str, options: FileOptions<'_>) -> Result<FileSink, SubscribeError> {
        let FileOptions { topic, fresh, fsync, sharing, rotation } = options;
        let failed = |reason| SubscribeError::Sink { name: name.to_owned(), reason };
        let conflict = |conflict| SubscribeError::Conflict { name: name.to_owned(), conflict };
        let position_path = PathBuf::from(format!("{name}.position"));
        let lock = rotation.map(|_| lock_of(Path::new(&format!("{name}.lock")), name, sharing)).transpose()?;
        let mut position = if fresh { None } else { read_position(&position_path)? };
        check_rotation(position.as_ref(), rotation.is_some()).map_err(conflict)?;
        let current = position.as_ref().and_then(|position| position.current.clone()).unwrap_or_default();
        if rotation.is_some() {
            clear_uncovered(name, position.as_ref(), fresh, sharing)?;
        }
        let path = match rotation {
            Some(_) => rotation::folder(Path::new(name)).join(&current.name),
            None => PathBuf::from(name),
        };
        let existed = (rotation.is_none() || !current.name.is_empty()) && path.try_exists().map_err(failed)?;
        let mut file = match (rotation, existed) {
            (None, _) => Some(lock_of(&path, name, sharing)?),
            (Some(_), true) => Some(open(&path).map_err(failed)?),
            (Some(_), false) => None,
        };
        let mut tail = Vec::new();
        let seen = match (&mut file, existed, fresh) {
            (None, ..) | (Some(_), false, _) => None,
            (Some(_), true, true) => Some(FileSeen { length: 0, tail: None }),
            (Some(file), true, false) => {
                let length = file.metadata().map_err(failed)?.len();
                if let Some(position) = position.as_ref().filter(|position| position.length <= length) {
                    tail = read_tail(file, position.length).map_err(failed)?;
                }
                Some(FileSeen { length, tail: position.is_some().then(|| xxh3_64(&tail)) })
            }
        };
        let mut rotation = rotation.map(|rotation| (rotation, current));
        let start = match reconcile(topic, position.clone(), seen).map_err(conflict)? {
            SinkStart::Resume(position) => Some(position),
            // Somebody has taken the complete files, and this one with them: what follows comes into the next.
            SinkStart::FileRemoved if rotation.is_some() => {
                position = position.map(|position| SinkPosition { length: 0, ..position });
                rotation = rotation.map(|(rotation, _)| (rotation, CurrentFile::default()));
                position
            }
            SinkStart::FileRemoved => {
                tracing::warn!(file = name, "the file is gone and its position is not: beginning a new file");
                std::fs::remove_file(&position_path).map_err(failed)?;
                None
            }
            SinkStart::New => None,
        };
        if start.is_none() {
            tail.clear();
        }
        let length = start.as_ref().map_or(0, |position| position.length);
        if let Some(file) = file.as_ref().filter(|_| sharing == Sharing::Alone) {
            file.set_len(length).map_err(failed)?;
        }
        let events = start.as_ref().map_or(0, |position| position.events);
        let (name, topic) = (name.to_owned(), topic.to_owned());
        let temporary_path = match sharing {
            Sharing::Alone => position_path.with_extension("position.new"),
            // in containers even the process ids of members are equal
            Sharing::OneOfAGroup => position_path.with_extension(format!("position.{:x}", new_incarnation())),
        };
        let mut sink = FileSink {
            name,
            file,
            _lock: lock,
            position_path,
            temporary_path,
            topic,
            fsync,
            sharing,
            rotation,
            length,
            events,
            tail,
            start,
        };
        if sink.start.is_none() {
            // What a crash leaves before the first write is covered must not look like somebody else's file.
            sink.keep_position(0, 0).map_err(|reason| SubscribeError::Sink { name: sink.name.clone(), reason })?;
        }
        sink.start = sink.start.filter(|position| position.sequence > 0);
        Ok(sink)
    }

    fn others_are_further(&self, position: &SinkPosition) -> bool {
        let found = read_position(&self.position_path).ok().flatten();
        found.is_some_and(|found| found.next_offset > position.next_offset)
    }

    fn try_write(&mut self, bytes: &[u8], mark: Mark) -> io::Result<()> {
        let file = self.file.as_ref().ok_or_else(|| io::Error::other("no file has been begun"))?;
        file.write_all_at(bytes, self.length)?;
        if self.fsync {
            file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        self.events += mark.events;
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES as usize)..]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES as usize);
        self.tail.drain(..surplus);
        self.keep_position(mark.next_offset, mark.sequence)
    }

    /// Says that the file is covered up to its present length.
    fn keep_position(&self, next_offset: u64, sequence: u64) -> io::Result<()> {
        let position = SinkPosition {
            topic: self.topic.clone(),
            next_offset,
            sequence,
            length: self.length,
            events: self.events,
            tail: xxh3_64(&self.tail),
            current: self.rotation.as_ref().map(|(_, current)| current.clone()),
        };
        if self.sharing == Sharing::OneOfAGroup && self.others_are_further(&position) {
            return Ok(());
        }
        let mut file = File::create(&self.temporary_path)?;
        file.write_all(position.to_string().as_bytes())?;
        if self.fsync {
            file.sync_data()?;
        }
        std::fs::rename(&self.temporary_path, &self.position_path)?;
        if self.fsync {
            File::open(rotation::folder(&self.position_path))?.sync_all()?;
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn write(&mut self, bytes: &[u8], mark: Mark) -> Result<(), SubscribeError> {
        self.try_write(bytes, mark).map_err(|reason| SubscribeError::Sink { name: self.name.clone(), reason })
    }

    fn is_due(&self, next: &NextBlock) -> bool {
        let due =
            |(rotation, current): &(Rotation, CurrentFile)| rotation::is_due(*rotation, current, self.length, next);
        self.rotation.as_ref().is_some_and(due)
    }

    /// The position goes on naming the file before until there is something in this one.
    fn begin_file(&mut self, next: &NextBlock) -> Result<(), SubscribeError> {
        let Some((_, current)) = &mut self.rotation else { return Ok(()) };
        *current = rotation::begin_at(Path::new(&self.name), next);
        let path = rotation::folder(Path::new(&self.name)).join(&current.name);
        let failed = |reason| SubscribeError::Sink { name: path.display().to_string(), reason };
        let file = open(&path).map_err(failed)?;
        if self.sharing == Sharing::Alone {
            file.set_len(0).map_err(failed)?;
        }
        tracing::info!(file = %path.display(), sequence = next.sequence, "beginning the next file");
        (self.file, self.length) = (Some(file), 0);
        self.tail.clear();
        Ok(())
    }

    fn position(&self) -> Option<&SinkPosition> {
        self.start.as_ref()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Opens a file and takes its lock, which says that the sink `name` is written.
fn lock_of(path: &Path, name: &str, sharing: Sharing) -> Result<File, SubscribeError> {
    let failed = |reason| SubscribeError::Sink { name: name.to_owned(), reason };
    let file = open(path).map_err(failed)?;
    let locked = if sharing == Sharing::Alone { file.try_lock() } else { file.try_lock_shared() };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SubscribeError::Locked { name: name.to_owned() }),
        Err(TryLockError::Error(reason)) => Err(failed(reason)),
    }
}

fn check_rotation(position: Option<&SinkPosition>, rotates: bool) -> Result<(), Conflict> {
    let (one, several) = ("one file", "one file after the other");
    match position.map(|position| position.current.is_some()) {
        Some(true) if !rotates => Err(Conflict::OtherRotation { found: several, expected: one }),
        Some(false) if rotates => Err(Conflict::OtherRotation { found: one, expected: several }),
        _ => Ok(()),
    }
}

/// Removes files that were begun and whose first block was never covered: with other options it may come to another file.
/// Members of a group leave them, since whoever writes there writes the same.
fn clear_uncovered(
    name: &str,
    position: Option<&SinkPosition>,
    fresh: bool,
    sharing: Sharing,
) -> Result<(), SubscribeError> {
    let path = Path::new(name);
    let failed = |reason| SubscribeError::Sink { name: name.to_owned(), reason };
    let uncovered = rotation::begun_behind(path, position.map_or(0, |position| position.sequence)).map_err(failed)?;
    if sharing == Sharing::OneOfAGroup {
        return Ok(());
    }
    for file in uncovered {
        let file = rotation::folder(path).join(file);
        if position.is_none() && !fresh {
            let length = file.metadata().map_err(failed)?.len();
            let (name, conflict) = (file.display().to_string(), Conflict::NoPosition { length });
            return Err(SubscribeError::Conflict { name, conflict });
        }
        tracing::warn!(file = %file.display(), "removing a file that no position covers");
        std::fs::remove_file(&file).map_err(failed)?;
    }
    Ok(())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test stops at its first surprise
mod tests {
    use super::*;

    const TOPIC: &str = "h_1.p.q.w.O";

    fn options(fresh: bool, sharing: Sharing) -> FileOptions<'static> {
        FileOptions { topic: TOPIC, fresh, fsync: false, sharing, rotation: None }
    }

    /// Pseudo-random numbers from a seed.
    struct Seeded(u64);

    impl Seeded {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % bound
        }
    }

    /// Line of a block: what every member writes for it.
    fn line(block: usize) -> String {
        format!("I,N,{block},{}\n", "x".repeat(block % 7))
    }

    /// A member that has opened the file and writes on from where it stood, however late.
    struct Turn {
        sink: FileSink,
        next: usize,
    }

    impl Turn {
        fn open(name: &str) -> Turn {
            let sink = FileSink::open(name, options(false, Sharing::OneOfAGroup)).unwrap();
            let next = sink.position().map_or(0, |at| at.sequence as usize);
            Turn { sink, next }
        }

        fn write(&mut self, blocks: usize) {
            let text: String = (self.next..self.next + blocks).map(line).collect();
            self.next += blocks;
            let at = self.next as u64;
            self.sink.write(text.as_bytes(), Mark { next_offset: at, sequence: at, events: blocks as u64 }).unwrap();
        }
    }

    #[test]
    fn members_that_write_at_the_same_time_in_any_order_leave_every_block_once() {
        for seed in 0..100 {
            let (mut random, dir) = (Seeded(seed), tempfile::tempdir().unwrap());
            let path = dir.path().join("out.csv");
            let name = path.to_str().unwrap();
            let mut turns = vec![Turn::open(name)];
            let mut furthest = 0;
            for _ in 0..60 {
                if random.below(5) == 0 {
                    turns.push(Turn::open(name)); // the older ones sleep, and may wake at any time
                }
                let at = random.below(turns.len());
                turns[at].write(1 + random.below(4));
                furthest = furthest.max(turns[at].next);
                if random.below(9) == 0 {
                    turns.remove(at);
                    turns.extend(turns.is_empty().then(|| Turn::open(name)));
                }
                let expected: String = (0..furthest).map(line).collect();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "seed {seed}");
                let position = read_position(&dir.path().join("out.csv.position")).unwrap().unwrap();
                assert_eq!(position.sequence as usize, furthest, "seed {seed}: a position never goes back");
            }
        }
    }

    #[test]
    fn a_file_that_one_process_has_alone_is_refused_to_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("out.csv");
        let name = name.to_str().unwrap();
        let alone = FileSink::open(name, options(false, Sharing::Alone)).unwrap();
        let refused = FileSink::open(name, options(false, Sharing::OneOfAGroup));
        assert!(matches!(refused.err(), Some(SubscribeError::Locked { .. })));
        drop(alone);
        assert!(FileSink::open(name, options(false, Sharing::OneOfAGroup)).is_ok());
    }

    #[test]
    fn a_crash_before_the_first_position_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        let name = path.to_str().unwrap();
        for sharing in [Sharing::Alone, Sharing::OneOfAGroup] {
            drop(FileSink::open(name, options(sharing == Sharing::Alone, sharing)).unwrap());
            std::fs::write(&path, &line(0)[..3]).unwrap(); // a part of the first write, and no position for it
            let mut sink = FileSink::open(name, options(false, sharing)).unwrap();
            assert_eq!(sink.position(), None);
            sink.write(line(0).as_bytes(), Mark { next_offset: 1, sequence: 1, events: 1 }).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), line(0));
            drop(sink);
            std::fs::remove_file(&path).unwrap();
            std::fs::remove_file(dir.path().join("out.csv.position")).unwrap();
        }
    }
}
