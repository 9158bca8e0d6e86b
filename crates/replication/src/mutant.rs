//! Planted protocol bugs, one at a time and by thread, to prove that the simulator finds them. Without the feature
//! `mutants` this module is not there, and every [`planted!`] is the constant `false`.

use std::cell::Cell;

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A new leader does not read the commit log to its end.
    LogNotReadToEnd,
    /// A new leader reads the log to its end first and fences then.
    FenceAfterRead,
    /// A new leader opens its term before all of the log is applied.
    OpensBeforeApplied,
    /// Nobody is fenced: writers share a producer.
    NoFence,
    /// A stale term is tried all the same.
    StaleTermTried,
    /// A term that was given back is tried again.
    TermTriedTwice,
    /// A record of a newer term stops nobody.
    NewerTermIgnored,
    /// A commit whose outcome is unknown counts as done.
    LostCountsAsDone,
    /// After an unknown outcome the same producer sends the same commit again.
    ProducerReused,
    /// A tick is applied and not recorded.
    TickNotRecorded,
    /// The steps of a record are sorted by input.
    InterleavingNotRecorded,
    /// A fenced leader forgets which steps it is ahead.
    AheadForgotten,
    /// A standby applies blocks that no record holds.
    StandbyRunsAhead,
    /// A standby reads records that are not committed.
    UncommittedRead,
    /// Outputs that the log shows to be committed are kept.
    OutputsNotForgotten,
    /// Outputs of a failed commit come back although the log has shown them to be committed.
    FailedOutputsNotTrimmed,
    /// Outputs of a failed commit are dropped.
    FailedOutputsDropped,
    /// Outputs and record are written in two transactions.
    RecordApart,
    /// A standby does not count output sequences.
    SequencesNotCounted,
    /// What was read before a rebuild is taken after it.
    OldGenerationTaken,
    /// A grant that waits while the state is thrown away is lost.
    GrantLostInRebuild,
    /// A reader whose offset is gone goes on at the oldest there is.
    SilentJump,
    /// A publisher in doubt believes its own memory and not the topic.
    PublisherTrustsMemory,
    /// A publisher of an emptied topic begins anew.
    PublisherForgetsMeta,
    /// The leader record is written whatever it says now.
    BlindLeaderWrite,
    /// A leader record whose writing has an unknown outcome counts as written.
    UnknownCountsAsWon,
    /// A restarted candidate inherits the term of its earlier process.
    GrantByName,
    /// Signs of life come from an idle thread.
    IdleHeartbeat,
    /// A node that is gone counts as there.
    StaleNodeTrusted,
    /// Candidates are elected that are not caught up.
    UnfitElected,
    /// A leader that is cut off from its bus does not notice as long as it has nothing to commit.
    ContactNotWatched,
    /// The state of a snapshot is not compared with the record of its commit.
    SnapshotNotCompared,
    /// A snapshot counts as usable although the topics lack the first offset that it needs.
    RetentionOffByOne,
    /// The commit log is trimmed up to the newest snapshot, not the oldest that is kept.
    TrimPastOldest,
    /// A snapshot is taken of a state that holds uncommitted steps.
    SnapshotOfUncommitted,
    /// Blocks on which apply has failed are applied again by the next leader.
    PoisonForgotten,
    /// A new leader does not shut the second lane.
    SecondLaneNotShut,
    /// A new leader shuts the second lane before it fences the first.
    LanesFencedBackwards,
    /// The second lane is used as soon as it is opened.
    SecondLaneUnproven,
}

/// All of them.
pub const ALL: [Mutant; 39] = [
    Mutant::LogNotReadToEnd,
    Mutant::FenceAfterRead,
    Mutant::OpensBeforeApplied,
    Mutant::NoFence,
    Mutant::StaleTermTried,
    Mutant::TermTriedTwice,
    Mutant::NewerTermIgnored,
    Mutant::LostCountsAsDone,
    Mutant::ProducerReused,
    Mutant::TickNotRecorded,
    Mutant::InterleavingNotRecorded,
    Mutant::AheadForgotten,
    Mutant::StandbyRunsAhead,
    Mutant::UncommittedRead,
    Mutant::OutputsNotForgotten,
    Mutant::FailedOutputsNotTrimmed,
    Mutant::FailedOutputsDropped,
    Mutant::RecordApart,
    Mutant::SequencesNotCounted,
    Mutant::OldGenerationTaken,
    Mutant::GrantLostInRebuild,
    Mutant::SilentJump,
    Mutant::PublisherTrustsMemory,
    Mutant::PublisherForgetsMeta,
    Mutant::BlindLeaderWrite,
    Mutant::UnknownCountsAsWon,
    Mutant::GrantByName,
    Mutant::IdleHeartbeat,
    Mutant::StaleNodeTrusted,
    Mutant::UnfitElected,
    Mutant::ContactNotWatched,
    Mutant::SnapshotNotCompared,
    Mutant::RetentionOffByOne,
    Mutant::TrimPastOldest,
    Mutant::SnapshotOfUncommitted,
    Mutant::PoisonForgotten,
    Mutant::SecondLaneNotShut,
    Mutant::LanesFencedBackwards,
    Mutant::SecondLaneUnproven,
];

thread_local! {
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, or takes it out.
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// True when this bug is planted on this thread.
pub fn is_planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}
