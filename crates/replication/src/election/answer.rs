//! What requests are answered.

use crate::Term;

/// A handover that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// New term.
    pub term: Term,
    /// New leader.
    pub leader: String,
}

/// A handover that was refused, or came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Nobody leads: there is nothing to hand over.
    NoLeader,
    /// It leads already.
    Leads {
        /// Who.
        candidate: String,
        /// In which term.
        term: Term,
    },
    /// There is no such candidate.
    NotACandidate {
        /// Who was asked for.
        candidate: String,
        /// Who could be.
        known: Vec<String>,
    },
    /// It is not caught up.
    NotCaughtUp {
        /// Who.
        candidate: String,
        /// How far it is behind, where that is known.
        lag_commits: Option<u64>,
    },
    /// Nobody but the leader is caught up.
    NobodyElse,
    /// It is drained.
    Drained {
        /// Who.
        candidate: String,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Too many are drained, or too many changes wait.
    TooMany {
        /// What is allowed.
        limit: usize,
    },
    /// The change was not written in time.
    NotWritten,
    /// Another handover is under way.
    Busy {
        /// To whom.
        successor: String,
    },
    /// There is no session with the server of the leader record.
    NoSession,
    /// The leader did not hand over in time; it leads on.
    TooLate {
        /// Who was asked.
        leader: String,
        /// In which term.
        term: Term,
    },
    /// Another candidate leads now.
    Overtaken {
        /// Who.
        leader: String,
        /// In which term.
        term: Term,
    },
}
