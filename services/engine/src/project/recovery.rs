//! The driver's part in snapshots: where a state begins, and where one is saved.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use mesh_proto::election::Progress;
use mesh_replication::engine::RoleName;
use mesh_replication::{CommitNumber, Input, SnapshotPoint};

use crate::project::driver::{Driver, PROGRESS_EVERY};
use crate::project::election::ElectionLink;
use crate::project::message::{Control, InputCommand, LogCommand, SnapshotAnswer, Taken};
use crate::project::snapshots::{CHUNKS_MAX, Chunk, Found, FromSnapshots, Loaded, Published, SnapshotCommand};
use crate::project::takeover::Recovery;

/// Bytes of a chunk on its way to the store.
const CHUNK_BYTES: usize = 256 << 10;
/// Askers that may wait for a snapshot.
const ASKERS_MAX: usize = 64;
/// For how many intervals nobody may have made a snapshot before a leader stands still for one.
const LEADER_WAITS_INTERVALS: u32 = 2;

/// The channels between driver and snapshot thread.
pub struct SnapshotChannels {
    /// To the thread.
    pub commands: Sender<SnapshotCommand>,
    /// From the thread.
    pub news: Receiver<FromSnapshots>,
}

/// What the driver knows of its snapshots.
#[derive(Default)]
pub(super) struct SnapshotState {
    /// The snapshot that the state began from.
    pub began_from: Option<String>,
    /// Those that led to another state than the log.
    refused: Vec<String>,
    /// A topic lost what was needed; one more look whether a newer snapshot does without it.
    gone: Option<String>,
    /// The snapshot that was taken last: from the same one nothing else would come.
    lost_from: Option<String>,
    askers: Vec<Sender<SnapshotAnswer>>,
    /// A state is with the thread.
    saving: bool,
    /// The last one published here.
    pub taken: Option<Taken>,
    /// The newest one that is known, whoever published it.
    pub newest: Option<Published>,
    /// Why the last one failed.
    pub failed: String,
    /// The one being read: name, bytes, bytes read.
    pub loading: Option<(String, u64, Arc<AtomicU64>)>,
    /// When the replay began, and at which commit.
    pub replay: Option<(Instant, CommitNumber)>,
}

impl Driver {
    /// Throws nothing away: finds where the state begins, and has log and inputs read from there.
    pub(super) fn begin(&mut self) {
        self.state.log_generation += 1;
        let generation = self.state.log_generation;
        self.ask_log(LogCommand::Stop { generation });
        self.state.snapshots.began_from = None;
        let Some(snapshots) = &self.channels.snapshots else {
            return self.begin_at(0, CommitNumber(0));
        };
        let refused = self.state.snapshots.refused.clone();
        if snapshots.commands.try_send(SnapshotCommand::Load { generation, refused }).is_err() {
            self.fail("the thread that keeps snapshots takes no commands any more".to_owned());
        }
    }

    fn begin_at(&mut self, log_offset: u64, number: CommitNumber) {
        self.state.snapshots.replay = Some((Instant::now(), number));
        self.ask_log(LogCommand::Start { from: log_offset });
    }

    pub(super) fn rebuild(&mut self, reason: &str, refuse: bool) {
        tracing::warn!(project = self.identity.project, reason, refuse, "rebuilding the state");
        if refuse {
            self.state.snapshots.refused.extend(self.state.snapshots.began_from.take());
        }
        self.state.input_generation += 1; // what is still on its way belongs to the state thrown away
        self.state.pending.retain(Input::outlives_rebuild);
        self.state.recovery = Some(Recovery::begun(reason));
        self.machine.reset();
        self.ask_inputs(InputCommand::Stop);
        self.begin();
    }

    /// A topic lost what is needed next. Whoever followed too slowly may find a newer snapshot that does without it.
    pub(super) fn lost_the_log(&mut self, reason: String) {
        if self.channels.snapshots.is_none() || self.state.snapshots.gone.is_some() {
            return self.fail(reason);
        }
        self.state.snapshots.gone = Some(reason.clone());
        self.tell_role(|role, effects| role.begin_anew(reason, effects));
    }

    pub(super) fn on_snapshots(&mut self, news: FromSnapshots) {
        match news {
            FromSnapshots::Loaded { generation, found } if generation == self.state.log_generation => {
                self.state.snapshots.loading = None;
                self.on_found(found);
            }
            FromSnapshots::Loaded { .. } => {} // asked before the last rebuild
            FromSnapshots::Loading { name, bytes, read } => {
                tracing::info!(project = self.identity.project, name, bytes, "reading snapshot");
                self.state.snapshots.loading = Some((name, bytes, read));
            }
            FromSnapshots::Trouble { message } => {
                tracing::warn!(project = self.identity.project, "{message}");
                self.state.snapshots.failed = message;
            }
            FromSnapshots::Newest(newest) => self.state.snapshots.newest = Some(newest),
            FromSnapshots::Due { unchanged } => {
                let wanted = match self.role.name().0 {
                    RoleName::Standby => unchanged >= 1,
                    // A leader stands still for it, so it waits for a standby to do it.
                    RoleName::Active => unchanged >= LEADER_WAITS_INTERVALS,
                    RoleName::Recovering | RoleName::TakingOver | RoleName::Failed => false,
                };
                let last = self.state.snapshots.taken.as_ref().map_or(0, |taken| taken.number);
                if wanted && !self.state.snapshots.saving && self.role.number().0 > last {
                    self.state.pending.push_back(Input::SnapshotWanted);
                }
            }
            FromSnapshots::Saved(saved) => {
                self.state.snapshots.saving = false;
                self.on_saved(saved);
            }
        }
    }

    fn on_found(&mut self, found: Found) {
        let gone = self.state.snapshots.gone.take();
        match (found, gone) {
            (Found::Refused { reason }, _) => self.fail(reason),
            (Found::Nothing, Some(gone)) => self.fail(gone),
            (Found::Nothing, None) => self.begin_at(0, CommitNumber(0)),
            (Found::Snapshot(loaded), gone) => {
                let Loaded { stem, name, executor, mut point, state_bytes, took } = *loaded;
                let again = self.state.snapshots.lost_from.replace(stem.clone()) == Some(stem.clone());
                if let Some(gone) = gone.filter(|_| again) {
                    return self.fail(gone);
                }
                tracing::info!(
                    project = self.identity.project,
                    name,
                    commit = point.number.0,
                    state_bytes,
                    ?took,
                    "going on from snapshot"
                );
                self.machine.restore(executor, &point.state.sequences);
                self.machine.start_at(&point.state.positions);
                let (log_offset, number) = (point.log_offset, point.number);
                point.state = self.machine.state();
                self.state.snapshots.began_from = Some(stem);
                self.step(Input::Restored { point });
                self.begin_at(log_offset, number);
            }
        }
    }

    fn on_saved(&mut self, saved: SnapshotAnswer) {
        match &saved {
            Ok(taken) => {
                tracing::info!(
                    project = self.identity.project,
                    commit = taken.number,
                    name = taken.name,
                    state_bytes = taken.state_bytes,
                    stored_bytes = taken.stored_bytes,
                    took = ?taken.took,
                    "snapshot published"
                );
                self.state.snapshots.failed.clear();
                self.state.snapshots.taken = Some(taken.clone());
            }
            Err(reason) => {
                tracing::warn!(project = self.identity.project, reason, "no snapshot");
                self.state.snapshots.failed.clone_from(reason);
            }
        }
        for asker in self.state.snapshots.askers.drain(..) {
            let _ = asker.try_send(saved.clone()); // it may have stopped waiting
        }
    }

    pub(super) fn snapshot_asked(&mut self, asker: Sender<SnapshotAnswer>) {
        let refusal = if self.channels.snapshots.is_none() {
            Some("this engine keeps no snapshots: set `snapshot_url`".to_owned())
        } else if self.state.snapshots.askers.len() >= ASKERS_MAX {
            Some(format!("{ASKERS_MAX} others wait for a snapshot already"))
        } else if !matches!(self.role.name().0, RoleName::Standby | RoleName::Active) {
            Some("it neither leads nor follows closely yet".to_owned())
        } else {
            None
        };
        if let Some(refusal) = refusal {
            let _ = asker.try_send(Err(refusal));
            return;
        }
        self.state.snapshots.askers.push(asker);
        self.state.pending.push_back(Input::SnapshotWanted);
    }

    /// Saves the state, chunk by chunk, as fast as the store takes them. Signs of life go out meanwhile, since this is
    /// progress; a grant or a stop ends it at once.
    pub(super) fn take_snapshot(&mut self, point: SnapshotPoint) {
        let Some(snapshots) = &self.channels.snapshots else { return };
        if self.state.snapshots.saving {
            return self.on_saved(Err("the snapshot before is still being stored".to_owned()));
        }
        let (chunks_to, chunks) = bounded(CHUNKS_MAX);
        if snapshots.commands.try_send(SnapshotCommand::Save { point, chunks }).is_err() {
            return self.on_saved(Err("the thread that keeps snapshots is busy".to_owned()));
        }
        self.state.snapshots.saving = true;
        let mut heard = Vec::new();
        let mut out = StateStream {
            chunks: chunks_to,
            chunk: Vec::with_capacity(CHUNK_BYTES),
            control: &self.channels.control,
            heard: &mut heard,
            election: self.election.as_ref(),
            progress: &self.state.progress,
            progress_at: Instant::now(),
        };
        let began = Instant::now();
        let saved = self.machine.executor().save(&mut out).and_then(|()| out.end());
        tracing::debug!(project = self.identity.project, took = ?began.elapsed(), ok = saved.is_ok(), "state saved");
        // When it failed, the thread notices that chunks are missing, and says so.
        for control in heard {
            self.on_control(control);
        }
    }
}

/// The state on its way from the driver to the thread that stores it.
struct StateStream<'a> {
    chunks: Sender<Chunk>,
    chunk: Vec<u8>,
    control: &'a Receiver<Control>,
    heard: &'a mut Vec<Control>,
    election: &'a dyn ElectionLink,
    progress: &'a Progress,
    progress_at: Instant,
}

impl StateStream<'_> {
    fn send(&mut self, mut chunk: Chunk) -> io::Result<()> {
        loop {
            self.look()?;
            match self.chunks.send_timeout(chunk, Duration::from_millis(5)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(same)) => chunk = same,
                Err(SendTimeoutError::Disconnected(_)) => return Err(io::Error::other("the store failed")),
            }
        }
    }

    /// Shows life, and hears what cannot wait.
    fn look(&mut self) -> io::Result<()> {
        if self.progress_at.elapsed() >= PROGRESS_EVERY {
            self.progress_at = Instant::now();
            self.election.progress(*self.progress);
        }
        while let Ok(control) = self.control.try_recv() {
            let urgent = matches!(control, Control::Granted { .. } | Control::HandOver { .. } | Control::Stop);
            self.heard.push(control);
            if urgent {
                return Err(io::Error::other("something urgent came"));
            }
        }
        Ok(())
    }

    fn flush_chunk(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.send(Chunk::Data(chunk))
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush_chunk()?;
        self.send(Chunk::End)
    }
}

impl Write for StateStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush_chunk()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
