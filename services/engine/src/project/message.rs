//! What the threads of a project say to each other. Every channel is bounded; a full one holds its sender back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::Sender;
use mesh_bus::ReadError;
use mesh_event::JoinedBlocks;
use mesh_replication::{CommitNumber, CommitRecord, EngineId, Term, engine::CommitFailure};

use crate::project::machine::{KeptOutput, Machine};

/// Messages that may wait in the channel from one reader to the driver.
pub const READER_QUEUE: usize = 64;
/// Messages that may wait in the control channel.
pub const CONTROL_QUEUE: usize = 1024;
/// Jobs or answers that may wait between driver and writer; the protocol has one commit and one fence under way.
pub const WRITER_QUEUE: usize = 16;

/// Blocks of an input topic, decoded and waiting to be applied.
#[derive(Debug)]
pub struct ReadyBlocks {
    /// Their events; a record that could not be decoded is a block without events (every engine skips it alike).
    pub joined: JoinedBlocks,
    /// The record of each block.
    pub records: Vec<ReadyRecord>,
}

/// What is known of the record that brought a block.
#[derive(Debug)]
pub struct ReadyRecord {
    /// Its Kafka offset: the message ID.
    pub offset: u64,
    /// W3C trace context of the record.
    pub traceparent: Option<Bytes>,
    /// What it counts for in the buffer's limit.
    pub bytes: usize,
}

/// How much of one input waits between reader and driver; the reader pauses the topic by it.
#[derive(Debug, Default)]
pub struct InputGauge {
    blocks: AtomicUsize,
    bytes: AtomicUsize,
}

impl InputGauge {
    /// A block was read.
    pub fn add(&self, bytes: usize) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Blocks were applied or thrown away.
    pub fn remove(&self, blocks: usize, bytes: usize) {
        self.blocks.fetch_sub(blocks, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Blocks and bytes waiting.
    pub fn waiting(&self) -> (usize, usize) {
        (self.blocks.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// From the reader of the commit log. `generation` tells readings before a rebuild from those after.
#[derive(Debug)]
pub struct FromLog {
    /// Which reading of the log.
    pub generation: u64,
    /// What it brought.
    pub what: LogNews,
}

/// What the commit log brought.
#[derive(Debug)]
pub enum LogNews {
    /// A record; `Err` when it cannot be read.
    Record {
        /// Its offset.
        offset: u64,
        /// The record.
        record: Result<CommitRecord, String>,
    },
    /// Everything below this offset was delivered.
    Read {
        /// The offset.
        next_offset: u64,
    },
    /// The stable end that was asked for.
    End {
        /// The term it was asked for.
        term: Term,
        /// The offset.
        offset: u64,
    },
    /// The bus has answered a question that was asked only to hear from it.
    Contact,
    /// Reading failed; unless the log is gone, the reader tries again.
    Failed(ReadError),
}

/// To the reader of the commit log.
#[derive(Debug)]
pub enum LogCommand {
    /// Stop reading; questions asked before are forgotten.
    Stop {
        /// Mark of what is read from now on.
        generation: u64,
    },
    /// Read from this offset (0: the oldest there is).
    Start {
        /// The offset.
        from: u64,
    },
    /// Ask the bus for the stable end.
    AskEnd {
        /// For the takeover of this term.
        term: Term,
    },
}

/// From the reader of the input topics.
#[derive(Debug)]
pub struct FromInputs {
    /// Which reading of the inputs.
    pub generation: u64,
    /// What it brought.
    pub what: InputNews,
}

/// What the input topics brought.
#[derive(Debug)]
pub enum InputNews {
    /// They are read from these offsets.
    Started {
        /// One per input topic.
        positions: Vec<u64>,
    },
    /// Blocks of one input, in order.
    Blocks {
        /// Index of the input.
        input: u32,
        /// The blocks.
        blocks: ReadyBlocks,
    },
    /// A record could not be decoded; it is applied as a block without events, on every engine alike.
    BadBlock {
        /// Where, and what is wrong with it.
        error: String,
    },
    /// Reading failed; unless an offset is gone, the reader tries again.
    Failed(ReadError),
}

/// To the reader of the input topics.
#[derive(Debug)]
pub enum InputCommand {
    /// Read from these offsets (`None`: the oldest).
    Start {
        /// Mark of what is read from now on.
        generation: u64,
        /// One per input topic.
        positions: Option<Vec<u64>>,
    },
    /// Stop reading until the next start.
    Stop,
}

/// To the writer.
#[derive(Debug)]
pub enum Job {
    /// Fence every other writer of the project.
    Fence {
        /// For this term.
        term: Term,
    },
    /// The engine leads no longer: have a fresh writer ready for the next term.
    StandBy,
    /// Write outputs and record in one transaction.
    Commit {
        /// The record.
        record: CommitRecord,
        /// The outputs, in order of sequence per topic.
        outputs: Arc<Vec<KeptOutput>>,
    },
}

/// From the writer.
#[derive(Debug)]
pub enum FromWriter {
    /// Connections to the bus are open.
    Ready,
    /// The bus cannot be reached; it is tried again.
    NotReady {
        /// What was tried and what happened.
        reason: String,
    },
    /// The fence is done.
    Fenced {
        /// For this term.
        term: Term,
        /// Why it was not the fast way, if so.
        fallback: Option<String>,
        /// How long it took.
        took: Duration,
    },
    /// The fence failed.
    FenceFailed {
        /// For this term.
        term: Term,
        /// What happened.
        reason: String,
    },
    /// The transaction is committed.
    Committed {
        /// Number of its record.
        number: CommitNumber,
        /// How long it took.
        took: Duration,
    },
    /// The transaction failed.
    CommitFailed {
        /// Number of its record.
        number: CommitNumber,
        /// Why.
        failure: CommitFailure,
    },
}

/// A snapshot that was asked for, or why there is none.
pub type SnapshotAnswer = Result<Taken, String>;

/// A snapshot that was published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its commit.
    pub number: u64,
    /// What it is called.
    pub name: String,
    /// Bytes of the state.
    pub state_bytes: u64,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// From the first byte to its publication.
    pub took: Duration,
}

/// What a test does with a machine.
pub struct Probe(pub Box<dyn FnOnce(&mut Machine) + Send>);

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

/// From outside: the election and the engine.
#[derive(Debug)]
pub enum Control {
    /// The candidate is part of its group.
    Joined {
        /// Its znode.
        znode: String,
    },
    /// The election lets this engine lead.
    Granted {
        /// The term.
        term: Term,
        /// Why.
        reason: String,
    },
    /// Somebody leads.
    Leader {
        /// The term.
        term: Term,
        /// The leader.
        engine: EngineId,
    },
    /// The leader shall hand over.
    HandOver {
        /// Its term.
        term: Term,
        /// Who follows.
        successor: EngineId,
    },
    /// The leader's znode.
    Watching {
        /// The znode.
        znode: String,
    },
    /// The election is attached, or no instance answers.
    Election {
        /// True when attached.
        attached: bool,
    },
    /// A snapshot is wanted now.
    Snapshot {
        /// Where the answer goes; nobody waits for it longer than it pleases.
        answer: Sender<SnapshotAnswer>,
    },
    /// Go on without the block at which the project is parked.
    Skip {
        /// Input topic.
        topic: String,
        /// Offset of the block.
        position: u64,
        /// Where the answer goes: why not, or that the step is asked for.
        answer: Sender<Result<(), String>>,
    },
    /// Look at the machine, or spoil it, on the driver's thread. For tests; nothing outside the process can send it.
    Probe(Probe),
    /// The project ends on this engine: the last commit is finished, then the threads stop.
    Stop,
}

/// Set when a project's threads shall end.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Ends the threads.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True when they shall end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
