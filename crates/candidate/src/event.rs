//! What a candidate says and hears.

/// Role of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Rebuilds its state from the logs.
    #[default]
    Recovering,
    /// Follows.
    Standby,
    /// Takes over.
    TakingOver,
    /// Leads.
    Active,
    /// Its state differed from the log's digest.
    Quarantined,
}

/// What the executor has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// True when all that is known to be committed is applied and the bus is reached.
    ///
    /// This holds for the leader as well: one that says `false` while another candidate says `true` is cut off from its
    /// bus, and is replaced after the election's `cut_off_timeout`; also while it takes over.
    pub caught_up: bool,
    /// Role now.
    pub role: Role,
    /// Term it works in.
    pub term: u64,
    /// Last commit it has applied.
    pub commit_number: u64,
    /// How far it is behind the commit log, in commits.
    pub lag_commits: u64,
    /// It gets no answer from its bus.
    pub cut_off: bool,
}

/// What the election says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateEvent {
    /// A stream to an election instance is open.
    Attached {
        /// Its endpoint.
        endpoint: String,
    },
    /// The stream is broken; another is being opened. Whoever leads goes on.
    Detached,
    /// The candidate has a node and can be elected.
    Joined {
        /// Path of the node.
        znode: String,
        /// Term of the group; 0 when it never had a leader.
        term: u64,
    },
    /// The owner may try to lead: fence at the bus, read the log, then lead.
    Granted {
        /// Term it may lead in.
        term: u64,
        /// Why.
        reason: String,
    },
    /// This candidate leads, the owner itself or another one.
    Leader {
        /// Its term.
        term: u64,
        /// Its name.
        candidate: String,
    },
    /// The owner, which leads, is asked to finish its batch, name the successor in the log, and step down.
    HandOver {
        /// Term of the owner.
        term: u64,
        /// Who follows.
        successor: String,
    },
    /// The node of the leader; for the log line of the reference architecture.
    Watching {
        /// Path of the node.
        znode: String,
    },
}
