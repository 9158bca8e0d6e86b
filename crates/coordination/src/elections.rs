//! The port of elections: candidates, leader record, session.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Error, Latest};

/// The most bytes a leader record or a candidate's data may have once written.
pub const MAX_DATA_BYTES: usize = 16 * 1024;

/// What a candidate says about itself in its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateData {
    /// Name, unique in the group, the same after a restart.
    pub candidate: String,
    /// `host:port` that a crash of the candidate closes.
    pub address: String,
    /// Election instance that holds its stream.
    pub instance: String,
    /// Number made anew at each start of the candidate's process.
    pub incarnation: u64,
    /// Highest term that is known to have reached it.
    pub term: u64,
    /// True when it could lead at once.
    pub caught_up: bool,
}

/// The node of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Znode {
    /// Number that the server gave it; the lowest is the oldest.
    pub sequence: i64,
    /// Path, e.g. `/ESP/<group>/server-n_0000000017`.
    pub path: String,
}

impl Znode {
    /// The node with this number in this group.
    pub(crate) fn numbered(root: &str, group: &str, sequence: i64) -> Self {
        Self { sequence, path: format!("{root}/{group}/server-n_{sequence:010}") }
    }
}

/// A candidate as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its node.
    pub znode: Znode,
    /// What it says about itself.
    pub data: CandidateData,
}

/// Who leads, since when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    /// Number of the leadership; only rises. 0: nobody led yet, and the record only says what is held back.
    pub term: u64,
    /// Candidate that leads.
    pub candidate: String,
    /// Start of its process that leads; another one under the same name does not.
    pub incarnation: u64,
    /// Why it leads.
    pub reason: String,
    /// When the term began, microseconds since the Unix epoch.
    pub at_us: i64,
    /// Who shall follow on purpose; empty: nobody asked.
    #[serde(default)]
    pub successor: String,
    /// Why that was asked.
    #[serde(default)]
    pub successor_reason: String,
    /// Nobody is elected while this is set, except by a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Order>,
    /// Candidates that shall not lead, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drained: BTreeMap<String, Order>,
}

/// Who ordered something, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
}

/// Version of a leader record, for compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub i64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.0)
    }
}

/// A leader record and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// The record.
    pub record: LeaderRecord,
    /// Its version.
    pub version: Version,
}

/// All there is to know about a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupState {
    /// Who leads; `None` when nobody ever did.
    pub leader: Option<Led>,
    /// Candidates in the order of their sequences.
    pub candidates: Vec<Candidate>,
}

/// Whether the server hears us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It does.
    Connected,
    /// It does not; our candidates still exist.
    Disconnected,
    /// It has given us up: our candidates are gone. A new session is being made.
    Expired,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Expired => "expired",
        })
    }
}

/// The session that our candidates depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// How many sessions there were; when it rises, the candidates of the one before are gone and must join anew.
    pub number: u64,
    /// Its state.
    pub state: SessionState,
}

/// Candidates and leader records.
#[async_trait]
pub trait Elections: Send + Sync + 'static {
    /// Makes a candidate that lasts as long as the session. A reply that got lost is found again, so that one call
    /// makes one candidate; after [`Error::Unknown`] there may be one all the same, until the session ends.
    async fn join(&self, group: &str, data: &CandidateData) -> Result<Znode, Error>;

    /// Changes what a candidate says about itself; [`Error::Missing`] when it is gone.
    async fn update(&self, znode: &Znode, data: &CandidateData) -> Result<(), Error>;

    /// Removes a candidate; one that is gone already is no error.
    async fn leave(&self, znode: &Znode) -> Result<(), Error>;

    /// The candidates in the order of their sequences.
    async fn candidates(&self, group: &str) -> Result<Vec<Candidate>, Error>;

    /// Who leads; `None` when nobody ever did.
    async fn leader(&self, group: &str) -> Result<Option<Led>, Error>;

    /// Writes the leader record if its version is still `expected` (`None`: if there is none), else [`Error::Conflict`].
    async fn set_leader(&self, group: &str, expected: Option<Version>, record: &LeaderRecord)
    -> Result<Version, Error>;

    /// The groups that ever had a candidate, in order of their names.
    async fn groups(&self) -> Result<Vec<String>, Error>;

    /// The state of a group, now and after each change, across sessions.
    fn watch(&self, group: &str) -> Latest<GroupState>;

    /// The state of the session, now and after each change.
    fn session(&self) -> Latest<Session>;
}

/// Longest name of a group.
const MAX_GROUP_BYTES: usize = 255;

/// Says whether a name can be that of a group, that is, one path component.
pub fn check_group(group: &str) -> Result<(), Error> {
    let reason = if group.is_empty() {
        "it is empty"
    } else if group.len() > MAX_GROUP_BYTES {
        "it is longer than 255 bytes"
    } else if group == "." || group == ".." || group == "zookeeper" {
        "it is a reserved name"
    } else if group.chars().any(|c| c == '/' || c.is_control()) {
        "it has a slash or a control character"
    } else {
        return Ok(());
    };
    Err(Error::invalid(
        format!("name of group `{}`", group.escape_debug()),
        format!("{reason}; expected a name like `host_port.project`"),
    ))
}

pub(crate) fn encode<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::to_vec(value).expect("plain structs with string keys always serialise");
    if bytes.len() > MAX_DATA_BYTES {
        return Err(Error::invalid(
            what,
            format!("{} bytes, expected at most {MAX_DATA_BYTES}; use shorter names or reasons", bytes.len()),
        ));
    }
    Ok(bytes)
}
