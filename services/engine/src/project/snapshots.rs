//! The thread that keeps a project's snapshots: it looks when one is due, stores what the driver saves, trims the commit
//! log behind the oldest that is kept, and finds the one that a new or quarantined engine goes on from.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mesh_bus::{Bus, EndOf, ReadError};
use mesh_model::Project;
use mesh_replication::{OldestOffsets, SnapshotPoint, snapshot};
use mesh_snapshot::{Listed, Location, SnapshotError, Snapshots};
use mesh_windows::Executor;

use crate::project::message::{StopFlag, Taken};

/// Commands and news that may wait.
pub const SNAPSHOT_QUEUE: usize = 16;
/// Chunks of a state that may wait between driver and store; with their size they bound its memory.
pub const CHUNKS_MAX: usize = 8;
/// How long the bus may take to answer.
const BUS_DEADLINE: Duration = Duration::from_secs(5);
/// Wait before a store or bus that does not answer is asked again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// Longest wait for a command, so that a stop is seen.
const STOP_WAIT: Duration = Duration::from_millis(100);

/// What the settings say of snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// Where they are.
    pub location: Location,
    /// How often one is made.
    pub interval: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// To the thread.
#[derive(Debug)]
pub enum SnapshotCommand {
    /// Find the newest snapshot that is whole and not refused.
    Load {
        /// Mark of the answer.
        generation: u64,
        /// Names of those that led to another state than the log.
        refused: Vec<String>,
    },
    /// Store a state.
    Save {
        /// What it belongs to.
        point: SnapshotPoint,
        /// Its bytes; without [`Chunk::End`] it was given up.
        chunks: Receiver<Chunk>,
    },
}

/// A part of a state.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes.
    Data(Vec<u8>),
    /// That was all.
    End,
}

/// From the thread.
pub enum FromSnapshots {
    /// The answer to a load.
    Loaded {
        /// Its mark.
        generation: u64,
        /// What was found.
        found: Found,
    },
    /// A snapshot is being read.
    Loading {
        /// Its name.
        name: String,
        /// Bytes that it has.
        bytes: u64,
        /// Bytes read so far.
        read: Arc<AtomicU64>,
    },
    /// Something is wrong that somebody should know.
    Trouble {
        /// What.
        message: String,
    },
    /// The newest snapshot that is known.
    Newest(Published),
    /// The interval is over again.
    Due {
        /// For how many intervals nobody has published a newer one.
        unchanged: u32,
    },
    /// What became of a state that was saved.
    Saved(Result<Taken, String>),
}

/// A snapshot as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its commit.
    pub number: u64,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: u64,
}

impl Published {
    /// From a name `<commit>-<engine>-<milliseconds>`.
    fn of_stem(stem: &str) -> Option<Published> {
        let (number, rest) = stem.split_once('-')?;
        let (_, written_ms) = rest.rsplit_once('-')?;
        Some(Published { number: number.parse().ok()?, written_ms: written_ms.parse().ok()? })
    }
}

/// What an engine goes on from.
pub enum Found {
    /// A snapshot.
    Snapshot(Box<Loaded>),
    /// None: the log from its start.
    Nothing,
    /// The topics no longer hold what comes after the newest.
    Refused {
        /// What is missing, and the ways out.
        reason: String,
    },
}

/// A snapshot that was read and is whole.
pub struct Loaded {
    /// Its name.
    pub stem: String,
    /// How it is called in messages.
    pub name: String,
    /// The state.
    pub executor: Executor,
    /// What it belongs to.
    pub point: SnapshotPoint,
    /// Bytes of the state.
    pub state_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// What the thread needs.
pub struct SnapshotThread {
    /// What the settings say.
    pub options: SnapshotOptions,
    /// `<host>_<port>.<project>`.
    pub group: String,
    /// Name of the engine.
    pub engine: String,
    /// The project.
    pub project: Arc<Project>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The commit log.
    pub log_topic: Arc<str>,
    /// Input topics by index.
    pub input_topics: Vec<Arc<str>>,
    /// From the driver.
    pub commands: Receiver<SnapshotCommand>,
    /// To the driver.
    pub news: Sender<FromSnapshots>,
    /// Ends the thread.
    pub stop: StopFlag,
}

impl SnapshotThread {
    /// Works until stopped, or until the driver is gone.
    pub fn run(self) {
        let fingerprint = self.project.fingerprint;
        let snapshots = match Snapshots::open(&self.options.location, &self.group, fingerprint) {
            Ok(snapshots) => snapshots,
            Err(error) => {
                self.tell(FromSnapshots::Trouble { message: error.to_string() });
                return;
            }
        };
        let mut due = Instant::now() + self.options.interval;
        let (mut newest, mut unchanged) = (None, 0);
        // what there is before the first interval is over; a store that does not answer is told about then
        if let Ok(stems) = snapshots.stems() {
            self.tell_newest(stems.first());
        }
        while !self.stop.is_set() {
            let now = Instant::now();
            if now >= due {
                due = now + self.options.interval;
                match snapshots.stems() {
                    Ok(stems) => {
                        let found = stems.into_iter().next();
                        unchanged = if found == newest { unchanged + 1 } else { 0 };
                        newest = found;
                        self.tell_newest(newest.as_ref());
                        self.tell(FromSnapshots::Due { unchanged });
                    }
                    Err(error) => self.tell(FromSnapshots::Trouble { message: error.to_string() }),
                }
            }
            match self.commands.recv_timeout(due.saturating_duration_since(now).min(STOP_WAIT)) {
                Ok(SnapshotCommand::Load { generation, refused }) => {
                    if let Some(found) = self.load(&snapshots, &refused) {
                        self.tell(FromSnapshots::Loaded { generation, found });
                    }
                }
                Ok(SnapshotCommand::Save { point, chunks }) => {
                    let saved = self.save(&snapshots, point, &chunks);
                    if let Ok((stem, _)) = &saved {
                        (newest, unchanged) = (Some(stem.clone()), 0);
                        self.tell_newest(newest.as_ref());
                    }
                    drop(chunks); // the driver does not wait for one that failed
                    self.tell(FromSnapshots::Saved(saved.map(|(_, taken)| taken)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tell(&self, news: FromSnapshots) {
        // A driver that is gone needs to know nothing.
        let _ = self.news.send(news);
    }

    fn tell_newest(&self, stem: Option<&String>) {
        if let Some(published) = stem.and_then(|stem| Published::of_stem(stem)) {
            self.tell(FromSnapshots::Newest(published));
        }
    }

    fn save(
        &self,
        snapshots: &Snapshots,
        point: SnapshotPoint,
        chunks: &Receiver<Chunk>,
    ) -> Result<(String, Taken), String> {
        let (began, number) = (Instant::now(), point.number);
        let written_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let mut writer = snapshots.write(&self.engine, written_ms, point).map_err(|error| error.to_string())?;
        loop {
            match chunks.recv() {
                Ok(Chunk::Data(bytes)) => writer
                    .write_all(&bytes)
                    .map_err(|error| format!("storing the snapshot of commit {number}: {error}"))?,
                Ok(Chunk::End) => break,
                Err(_) => return Err(format!("the snapshot of commit {number} was given up for something urgent")),
            }
        }
        let (stem, manifest) = writer.publish().map_err(|error| error.to_string())?;
        let taken = Taken {
            number: number.0,
            name: snapshots.name_of(&stem),
            state_bytes: manifest.state_bytes,
            stored_bytes: manifest.stored_bytes,
            took: began.elapsed(),
        };
        if let Err(message) = self.prune(snapshots) {
            self.tell(FromSnapshots::Trouble { message }); // it is there all the same
        }
        Ok((stem, taken))
    }

    /// Deletes old snapshots, and what nobody needs of the commit log.
    fn prune(&self, snapshots: &Snapshots) -> Result<(), String> {
        let kept = snapshots.prune(self.options.keep).map_err(|error| error.to_string())?;
        // With fewer than are to be kept, the log from its start is the way back.
        if kept.len() < self.options.keep {
            return Ok(());
        }
        let Some(before) = snapshot::log_needed_from(&kept) else { return Ok(()) };
        let oldest = self.bus.delete_records(&self.log_topic, before, BUS_DEADLINE);
        let oldest = oldest.map_err(|error| error.to_string())?;
        tracing::info!(topic = %self.log_topic, oldest, "commit log trimmed behind the oldest snapshot");
        Ok(())
    }

    /// `None` when the thread shall end.
    fn load(&self, snapshots: &Snapshots, refused: &[String]) -> Option<Found> {
        loop {
            let tried = self.try_load(snapshots, refused);
            let message = match tried {
                Ok(found) => return Some(found),
                Err(message) => message,
            };
            self.tell(FromSnapshots::Trouble { message });
            let until = Instant::now() + RETRY_WAIT;
            while Instant::now() < until {
                if self.stop.is_set() {
                    return None;
                }
                std::thread::sleep(STOP_WAIT);
            }
        }
    }

    /// `Err` when store or bus do not answer: without an answer nobody knows whether there is a snapshot.
    fn try_load(&self, snapshots: &Snapshots, refused: &[String]) -> Result<Found, String> {
        let oldest = match self.oldest() {
            Ok(oldest) => oldest,
            Err(ReadError::NoTopic { .. }) => return Ok(Found::Nothing), // whoever reads it says so
            Err(error) => return Err(error.to_string()),
        };
        let listed = match snapshots.list() {
            Ok(listed) => listed,
            // The whole log is as good, only slower.
            Err(error) if oldest.log == 0 => {
                let message = format!("{error}; replaying the commit log from its start");
                self.tell(FromSnapshots::Trouble { message });
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error.to_string()),
        };
        for Listed { stem, manifest } in listed {
            if refused.contains(&stem) {
                continue;
            }
            let manifest = match manifest {
                Ok(manifest) => manifest,
                Err(error @ SnapshotError::Store { .. }) => return Err(error.to_string()),
                Err(error) => {
                    self.tell(FromSnapshots::Trouble { message: error.to_string() });
                    continue;
                }
            };
            let name = snapshots.name_of(&stem);
            if let Err(unusable) = manifest.point.check(self.project.fingerprint, &oldest) {
                return Ok(Found::Refused { reason: refusal(&name, &unusable.to_string()) });
            }
            match self.read(snapshots, &stem, &manifest) {
                Ok((executor, took)) => {
                    let (point, state_bytes) = (manifest.point, manifest.state_bytes);
                    let loaded = Loaded { stem, name, executor, point, state_bytes, took };
                    return Ok(Found::Snapshot(Box::new(loaded)));
                }
                Err(message) => self.tell(FromSnapshots::Trouble { message }),
            }
        }
        if oldest.log > 0 {
            let log = &self.log_topic;
            let found = format!("topic `{log}` begins at offset {}, not with commit 1", oldest.log);
            let nothing = format!("no usable snapshot in {}", self.options.location.url());
            return Ok(Found::Refused { reason: refusal(&nothing, &found) });
        }
        Ok(Found::Nothing)
    }

    fn read(
        &self,
        snapshots: &Snapshots,
        stem: &str,
        manifest: &mesh_snapshot::Manifest,
    ) -> Result<(Executor, Duration), String> {
        let began = Instant::now();
        let mut reader = snapshots.read(stem, manifest).map_err(|error| error.to_string())?;
        let read = reader.progress();
        self.tell(FromSnapshots::Loading { name: snapshots.name_of(stem), bytes: manifest.stored_bytes, read });
        let restored = Executor::restore(self.project.clone(), &mut reader);
        reader.finish().map_err(|error| error.to_string())?;
        let name = snapshots.name_of(stem);
        let executor = restored.map_err(|error| format!("snapshot {name}: {error}"))?;
        let mut digests = Vec::new();
        executor.digests(&mut digests);
        if digests != manifest.point.state.digests || executor.clock_us() != manifest.point.state.clock_us {
            return Err(format!("snapshot {name}: its state has other digests than its manifest says"));
        }
        Ok((executor, began.elapsed()))
    }

    fn oldest(&self) -> Result<OldestOffsets, ReadError> {
        let of = |topic: &Arc<str>| self.bus.end(topic, EndOf::Oldest, BUS_DEADLINE);
        let inputs = self.input_topics.iter().map(of).collect::<Result<_, _>>()?;
        Ok(OldestOffsets { log: of(&self.log_topic)?, inputs })
    }
}

/// What an engine says that cannot go on; `espctl recover` says the same.
fn refusal(what: &str, found: &str) -> String {
    format!(
        "cannot recover: {what}: {found}; ways out: put back an older or newer snapshot or the topic's records, or start \
         the project anew under another name (`espctl recover`)"
    )
}

/// How much of a snapshot was read.
pub fn bytes_read(read: &AtomicU64) -> u64 {
    read.load(Ordering::Relaxed)
}
