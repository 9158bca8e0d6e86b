//! What goes in and what comes out.

use super::{Maintenance, MaintenanceChange, Promoted, Refused};
use crate::Term;

/// A candidate's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentId(pub u64);

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Version of the leader record; rises with each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

/// Who leads and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderRecord {
    /// Number of the leadership.
    pub term: Term,
    /// Candidate that leads.
    pub candidate: String,
    /// Start of its process.
    pub incarnation: u64,
    /// Why it leads.
    pub reason: String,
    /// When the term began, microseconds since the Unix epoch; the driver fills it in when a term begins.
    pub at_us: i64,
    /// Who shall follow on purpose; empty: nobody asked.
    pub successor: String,
    /// Why that was asked.
    pub successor_reason: String,
    /// What is held back.
    pub maintenance: Maintenance,
}

impl LeaderRecord {
    /// That of a group that never had a leader.
    pub(super) fn of_nobody() -> Self {
        Self {
            term: Term(0),
            candidate: String::new(),
            incarnation: 0,
            reason: String::new(),
            at_us: 0,
            successor: String::new(),
            successor_reason: String::new(),
            maintenance: Maintenance::default(),
        }
    }
}

/// A candidate's node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Znode {
    /// Its number; the lowest is the oldest.
    pub sequence: i64,
    /// Its path.
    pub path: String,
}

/// What a candidate's node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeData {
    /// Name of the candidate.
    pub candidate: String,
    /// `host:port` that its crash closes.
    pub address: String,
    /// Instance that holds its stream.
    pub instance: String,
    /// Start of its process.
    pub incarnation: u64,
    /// Highest term that it was told of.
    pub term: Term,
    /// True when it could lead at once.
    pub caught_up: bool,
}

/// A candidate's node as seen by everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The node.
    pub znode: Znode,
    /// What it says.
    pub data: NodeData,
}

/// How a candidate introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Name, the same after a restart.
    pub candidate: String,
    /// `host:port` that its crash closes.
    pub address: String,
    /// Made anew at each start of its process.
    pub incarnation: u64,
    /// Highest term that it knows of.
    pub known_term: Term,
}

/// Role of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateRole {
    /// Rebuilds its state.
    Recovering,
    /// Follows.
    Standby,
    /// Takes over.
    TakingOver,
    /// Leads.
    Active,
    /// Its state is in doubt.
    Quarantined,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// True when it could lead at once, or leads and reaches its bus.
    pub caught_up: bool,
    /// Role now.
    pub role: CandidateRole,
    /// Term it works in.
    pub term: Term,
    /// Last commit it has applied.
    pub commit_number: u64,
    /// How far it is behind, in commits.
    pub lag_commits: u64,
    /// It gets no answer from its bus.
    pub cut_off: bool,
}

/// What a connect to a candidate's address met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Nobody listens: the process is gone.
    Refused,
    /// Somebody accepted; a frozen process does as well.
    Answered,
    /// No answer in time.
    Unreachable,
}

/// What came of writing the leader record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetLeader {
    /// It is written.
    Won(Version),
    /// Somebody else was faster.
    Lost,
    /// Nobody knows; the next state of the group tells.
    Unknown,
    /// It is not written; there was no connection.
    Unavailable,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The session with the server of nodes and records; `number` rises when candidates' nodes of before are gone.
    Session {
        /// Whether the server hears us.
        connected: bool,
        /// Which session.
        number: u64,
    },
    /// The state of the group as the server has it.
    Group {
        /// Leader record and its version.
        leader: Option<(LeaderRecord, Version)>,
        /// Candidates' nodes.
        candidates: Vec<Seen>,
    },
    /// A candidate has opened a stream.
    Attached {
        /// Stream.
        attachment: AttachmentId,
        /// Candidate.
        join: Join,
    },
    /// A sign of life.
    Progress {
        /// Stream.
        attachment: AttachmentId,
        /// What it has reached.
        progress: Progress,
    },
    /// A leader does not lead any more.
    SteppedDown {
        /// Stream.
        attachment: AttachmentId,
        /// Term that it has left.
        term: Term,
        /// Who should follow; empty: anyone.
        successor: String,
        /// It parked the project, which is no failure of its own.
        parked: bool,
        /// Why.
        reason: String,
    },
    /// A candidate leaves on purpose.
    Left {
        /// Stream.
        attachment: AttachmentId,
    },
    /// A stream is broken.
    Detached {
        /// Stream.
        attachment: AttachmentId,
    },
    /// Answer to [`Effect::Probe`].
    Probed {
        /// Candidate.
        candidate: String,
        /// Its process.
        incarnation: u64,
        /// What was met.
        outcome: Probe,
    },
    /// Answer to [`Effect::MakeNode`].
    NodeMade {
        /// Candidate.
        candidate: String,
        /// Its process.
        incarnation: u64,
        /// Session in which it was asked for.
        session: u64,
        /// The node; `None`: not made.
        znode: Option<Znode>,
    },
    /// Answer to [`Effect::UpdateNode`].
    NodeUpdated {
        /// The node.
        znode: Znode,
        /// What it says now; `None`: the update failed.
        written: Option<NodeData>,
        /// True when the node is gone.
        missing: bool,
    },
    /// Answer to [`Effect::SetLeader`].
    LeaderSet {
        /// What was to be written, with the time filled in.
        record: LeaderRecord,
        /// What came of it.
        outcome: SetLeader,
    },
    /// Somebody asks for a handover.
    Promote {
        /// Request, for [`Effect::Reply`].
        request: RequestId,
        /// Who shall lead; empty: the next one.
        candidate: String,
        /// Why.
        reason: String,
    },
    /// Somebody changes what is held back.
    Maintain {
        /// Request, for [`Effect::Maintained`].
        request: RequestId,
        /// The change.
        change: MaintenanceChange,
    },
}

/// What the election says to a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It has a node.
    Joined {
        /// Path of the node.
        znode: String,
        /// Term of the group.
        term: Term,
    },
    /// It may try to lead.
    Grant {
        /// Term.
        term: Term,
        /// Why.
        reason: String,
    },
    /// Who leads.
    Leader {
        /// Term.
        term: Term,
        /// Leader.
        candidate: String,
    },
    /// It is asked to hand over.
    HandOver {
        /// Its term.
        term: Term,
        /// Who follows.
        successor: String,
    },
    /// The leader's node.
    Watching {
        /// Path of the node.
        znode: String,
    },
}

/// A change that people want to know of: a line in the log, and a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The leader is believed to have failed, or has given up its term.
    Deposed {
        /// Its term.
        term: Term,
        /// Who.
        candidate: String,
        /// Why.
        reason: String,
        /// True when it is a suspicion and no certainty.
        suspicion: bool,
    },
    /// A suspicion was wrong, and nothing came of it.
    Cleared {
        /// Term.
        term: Term,
        /// Who.
        candidate: String,
    },
    /// A term begins; written by this instance.
    Elected {
        /// Term.
        term: Term,
        /// Leader.
        candidate: String,
        /// Why.
        reason: String,
    },
    /// Another instance was faster.
    Conflict {
        /// Term that was tried.
        term: Term,
    },
    /// Nobody knows whether the record was written.
    Unknown {
        /// Term that was tried.
        term: Term,
    },
    /// A leader is needed, and no candidate can be it.
    NobodyCanLead {
        /// Why one is needed.
        reason: String,
    },
    /// A leader is needed, and the group is paused.
    Paused {
        /// Why one is needed.
        reason: String,
    },
    /// There is no session: no failover is possible, leaders go on.
    SessionLost,
    /// There is one again.
    SessionBack,
    /// This instance itself stood still.
    Stalled {
        /// For how long.
        millis: u64,
    },
    /// A candidate is gone.
    Gone {
        /// Who.
        candidate: String,
        /// Why.
        reason: String,
    },
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Connect to an address, and answer [`Input::Probed`].
    Probe {
        /// Candidate.
        candidate: String,
        /// Its process.
        incarnation: u64,
        /// Where.
        address: String,
    },
    /// Make a node, and answer [`Input::NodeMade`].
    MakeNode {
        /// What it says.
        data: NodeData,
        /// Session in which it is asked for.
        session: u64,
    },
    /// Update a node, and answer [`Input::NodeUpdated`].
    UpdateNode {
        /// Node.
        znode: Znode,
        /// What it shall say.
        data: NodeData,
    },
    /// Remove a node.
    RemoveNode {
        /// Node.
        znode: Znode,
    },
    /// Write the leader record by compare-and-set, and answer [`Input::LeaderSet`].
    SetLeader {
        /// Version it must have now; `None`: there must be none.
        expected: Option<Version>,
        /// The record; `at_us` of 0 is to be filled in.
        record: LeaderRecord,
    },
    /// Say something to a candidate.
    Tell {
        /// Stream.
        attachment: AttachmentId,
        /// What.
        message: Message,
    },
    /// End a stream.
    Close {
        /// Stream.
        attachment: AttachmentId,
        /// Why.
        reason: String,
    },
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// What came of it.
        outcome: Result<Promoted, Refused>,
    },
    /// Answer a request for a change of what is held back, with what is held back now.
    Maintained {
        /// Which.
        request: RequestId,
        /// What came of it.
        outcome: Result<Maintenance, Refused>,
    },
    /// Write a line, count.
    Note(Note),
}
