//! What goes into an engine's role and what comes out of it.

use std::time::Duration;

use crate::{CommitNumber, CommitRecord, EngineId, Poison, SnapshotPoint, Term};

/// Time as the driver sees it; the only clock the protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since some start; never goes back. Deadlines count in it.
    pub mono: Duration,
    /// Wall clock, microseconds since the Unix epoch; may jump. Only ticks use it, and they are recorded.
    pub wall_us: i64,
}

/// State of the project's machine after a step, as the driver reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MachineState {
    /// Next offset to apply of every input topic.
    pub positions: Vec<u64>,
    /// Clock of the last tick; 0 before the first.
    pub clock_us: i64,
    /// Running digest of each window's output.
    pub digests: Vec<u64>,
    /// Last sequence of each output topic.
    pub sequences: Vec<u64>,
    /// Clock at which a tick would change something, if it ever would.
    pub next_deadline_us: Option<i64>,
}

/// Why a commit failed, as far as the protocol cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitFailure {
    /// Another writer has fenced this one.
    Fenced,
    /// Nobody knows whether it was committed, or the bus went away: only the log can tell.
    Lost {
        /// What happened.
        reason: String,
    },
}

/// What a role hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The election lets this engine try to lead in a term.
    Granted {
        /// The term.
        term: Term,
    },
    /// The election says who leads.
    LeaderIs {
        /// Its term.
        term: Term,
        /// The leader.
        engine: EngineId,
    },
    /// The election asks the leader to hand over.
    HandOver {
        /// Term of the leader that is asked.
        term: Term,
        /// Who follows.
        successor: EngineId,
    },
    /// The fence asked for is done: every other writer is out.
    Fenced {
        /// The term it was asked for.
        term: Term,
    },
    /// The fence asked for failed.
    FenceFailed {
        /// The term it was asked for.
        term: Term,
        /// What happened.
        reason: String,
    },
    /// The stable end of the commit log, asked for after a fence.
    LogEnd {
        /// The term it was asked for: an answer to an earlier question is none.
        term: Term,
        /// Offset behind the last stable record.
        offset: u64,
    },
    /// The next record of the commit log.
    LogRecord {
        /// Its offset.
        offset: u64,
        /// The record.
        record: CommitRecord,
    },
    /// Everything in the commit log below this offset was delivered.
    LogRead {
        /// The offset.
        next_offset: u64,
    },
    /// The input topics are being read; nothing of them is applied yet.
    InputsStarted {
        /// State of the machine before anything is applied, at the offsets the topics are read from.
        state: MachineState,
    },
    /// Further blocks of an input topic are ready to be applied.
    BlocksReady {
        /// Index of the input topic.
        input: u32,
        /// How many more.
        blocks: u32,
    },
    /// The step asked for was applied.
    Applied {
        /// Events it held.
        events: u64,
        /// State after it.
        state: MachineState,
    },
    /// The commit asked for is done.
    Committed {
        /// Its number.
        number: CommitNumber,
    },
    /// The commit asked for failed.
    CommitFailed {
        /// Its number.
        number: CommitNumber,
        /// Why.
        failure: CommitFailure,
    },
    /// The machine holds the state of a snapshot; the log comes from its record on. Before anything else was read.
    Restored {
        /// What the state belongs to; digests, clock and sequences as the machine itself has them.
        point: SnapshotPoint,
    },
    /// A snapshot is wanted, of the next commit at which the machine stands.
    SnapshotWanted,
    /// The step asked for failed: the machine cannot be used any more.
    ApplyFailed {
        /// What it failed on.
        poison: Poison,
    },
    /// Somebody decided to go on without the block at which the project is parked.
    SkipWanted {
        /// Index of the input topic.
        input: u32,
        /// Offset of the block.
        position: u64,
    },
    /// Time has passed; nothing else happened.
    Wake,
}

impl Input {
    /// True for what still counts after a [`Effect::Rebuild`] that came while it waited for its turn: all that does not
    /// speak of the machine that was thrown away. A grant, above all, is told once.
    pub fn outlives_rebuild(&self) -> bool {
        match self {
            Input::Applied { .. }
            | Input::ApplyFailed { .. }
            | Input::Restored { .. }
            | Input::BlocksReady { .. }
            | Input::InputsStarted { .. }
            | Input::LogRecord { .. }
            | Input::LogRead { .. }
            | Input::LogEnd { .. } => false,
            Input::Granted { .. }
            | Input::LeaderIs { .. }
            | Input::HandOver { .. }
            | Input::Fenced { .. }
            | Input::FenceFailed { .. }
            | Input::Committed { .. }
            | Input::CommitFailed { .. }
            | Input::SnapshotWanted
            | Input::SkipWanted { .. }
            | Input::Wake => true,
        }
    }
}

/// What a role wants done. The driver carries effects out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Fence every other writer of the group; answer `Fenced` or `FenceFailed`.
    Fence {
        /// The term it is for.
        term: Term,
    },
    /// Ask the bus for the stable end of the commit log; answer `LogEnd`.
    AskLogEnd {
        /// The term it is for.
        term: Term,
    },
    /// Read the input topics from these offsets (`None`: from the oldest there is); answer `InputsStarted`.
    StartInputs {
        /// One offset per input topic.
        positions: Option<Vec<u64>>,
    },
    /// Apply the next blocks of an input topic; answer `Applied`.
    Apply {
        /// Index of the input topic.
        input: u32,
        /// How many.
        blocks: u32,
        /// True: keep the outputs for the next commit. False: throw them away.
        keep: bool,
    },
    /// Set the clock; answer `Applied`.
    Tick {
        /// Microseconds since the Unix epoch.
        clock_us: i64,
        /// True: keep the outputs for the next commit. False: throw them away.
        keep: bool,
    },
    /// Drop the next block of an input topic; answer `Applied`.
    Skip {
        /// Index of the input topic.
        input: u32,
    },
    /// Save the state of the machine now, before any later effect. No answer: whether it succeeds is nobody's business.
    TakeSnapshot {
        /// What the state belongs to.
        point: SnapshotPoint,
    },
    /// Write every kept output and this record in one transaction; answer `Committed` or `CommitFailed`. Outputs stay
    /// kept until it is committed.
    Commit {
        /// The record.
        record: CommitRecord,
    },
    /// Somebody else has committed outputs that are kept here: forget those up to these sequences.
    ForgetOutputs {
        /// Last committed sequence of each output topic.
        through: Vec<u64>,
    },
    /// Throw the machine and all that was read away; begin from the newest snapshot (answer `Restored`) or, if there is
    /// none, read the commit log from its start.
    Rebuild {
        /// Why.
        reason: String,
        /// The snapshot that the machine began from leads to another state than the log: do not take it again.
        refuse: bool,
    },
    /// The role is now active.
    BecameActive {
        /// Its term.
        term: Term,
    },
    /// The role is a standby again.
    BecameStandby {
        /// Why.
        reason: String,
    },
    /// Tell the election that this engine no longer leads.
    StepDown {
        /// Term that it led, or was to lead.
        term: Term,
        /// Who should follow, if that is settled.
        successor: Option<EngineId>,
        /// The log says at which block apply failed: no fault of this engine.
        parked: bool,
        /// Why.
        reason: String,
    },
    /// The state here is not the one that the log says; it is made anew.
    Diverged {
        /// At this commit.
        number: CommitNumber,
        /// Index of the first window whose output differs, if it is that.
        window: Option<usize>,
        /// What differs.
        what: String,
    },
    /// Something that somebody must look at.
    Alarm {
        /// What.
        message: String,
    },
}

/// The effects of a step, in order.
pub type Effects = Vec<Effect>;
