//! What is kept in the registry. Fields may be added with a default: instances of different versions share it.

use mesh_proto::coordinator::{AnnounceRequest, HistoryEntry, Project, ProjectVersion, Takeover};
use mesh_proto::election::Order;
use serde::{Deserialize, Serialize};

use crate::author::Author;
use crate::store::HISTORY;

/// A project as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredProject {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) xml: String,
    pub(crate) url_host_port: String,
    pub(crate) deployed_us: i64,
    pub(crate) model_fingerprint: u64,
    /// Undeployed: kept so that versions go on counting.
    pub(crate) stopped: bool,
    /// Who deployed it.
    #[serde(default)]
    pub(crate) who: String,
    /// Why.
    #[serde(default)]
    pub(crate) why: String,
    /// The version whose content a rollback took; 0: none.
    #[serde(default)]
    pub(crate) copy_of: u64,
}

/// A member as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) address: String,
    pub(crate) admin_address: String,
    pub(crate) rest_port: u32,
    pub(crate) version: String,
    /// When it last announced itself, microseconds since the Unix epoch, a few seconds coarse.
    pub(crate) seen_us: i64,
}

/// Something that happened, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub(crate) at_us: i64,
    pub(crate) project: String,
    pub(crate) what: String,
    pub(crate) detail: String,
    pub(crate) term: u64,
    #[serde(default)]
    pub(crate) who: String,
    #[serde(default)]
    pub(crate) why: String,
    /// Whom it is about: of a leader the one that leads.
    #[serde(default)]
    pub(crate) candidate: String,
    /// Of a leader: who led before.
    #[serde(default)]
    pub(crate) previous: String,
    /// Of a leader that is an engine: what its takeover did, once that is known.
    #[serde(default)]
    pub(crate) takeover: Option<StoredTakeover>,
}

/// What a takeover did, as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredTakeover {
    pub(crate) took_us: u64,
    pub(crate) gap_us: u64,
    pub(crate) events_replayed: u64,
    pub(crate) commits_replayed: u64,
}

/// Who ordered something, why and when, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOrder {
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) at_us: i64,
}

impl StoredOrder {
    pub(crate) fn of(order: Order) -> StoredOrder {
        StoredOrder { by: order.by, reason: order.reason, at_us: order.at_us }
    }

    pub(crate) fn to_proto(&self) -> Order {
        Order { by: self.by.clone(), reason: self.reason.clone(), at_us: self.at_us }
    }
}

impl StoredProject {
    pub(crate) fn to_proto(&self) -> Project {
        Project {
            name: self.name.clone(),
            version: self.version,
            xml: self.xml.clone(),
            url_host_port: self.url_host_port.clone(),
            deployed_us: self.deployed_us,
            model_fingerprint: self.model_fingerprint,
        }
    }

    pub(crate) fn to_version(&self, current: Option<&StoredProject>) -> ProjectVersion {
        ProjectVersion {
            project: Some(self.to_proto()),
            current: current.is_some_and(|current| current.version == self.version),
            who: self.who.clone(),
            why: self.why.clone(),
            copy_of: self.copy_of,
        }
    }

    /// Name of its group in the election.
    pub(crate) fn group(&self) -> String {
        format!("{}.{}", self.url_host_port, self.name)
    }

    /// True when engines run the same with both.
    pub(crate) fn same_content(&self, other: &StoredProject) -> bool {
        self.xml == other.xml && self.url_host_port == other.url_host_port
    }
}

impl StoredMember {
    pub(crate) fn from_proto(announced: &AnnounceRequest, seen_us: i64) -> Self {
        StoredMember {
            name: announced.name.clone(),
            kind: announced.kind.clone(),
            address: announced.address.clone(),
            admin_address: announced.admin_address.clone(),
            rest_port: announced.rest_port,
            version: announced.version.clone(),
            seen_us,
        }
    }

    pub(crate) fn to_proto(&self) -> AnnounceRequest {
        AnnounceRequest {
            name: self.name.clone(),
            kind: self.kind.clone(),
            address: self.address.clone(),
            admin_address: self.admin_address.clone(),
            rest_port: self.rest_port,
            version: self.version.clone(),
        }
    }
}

impl StoredEvent {
    pub(crate) fn new(at_us: i64, project: &str, what: &str, detail: String) -> StoredEvent {
        StoredEvent {
            at_us,
            project: project.to_owned(),
            what: what.to_owned(),
            detail,
            term: 0,
            who: String::new(),
            why: String::new(),
            candidate: String::new(),
            previous: String::new(),
            takeover: None,
        }
    }

    /// Done by somebody.
    pub(crate) fn by(self, author: Author) -> StoredEvent {
        StoredEvent { who: author.who, why: author.why, ..self }
    }

    pub(crate) fn to_proto(&self) -> HistoryEntry {
        HistoryEntry {
            at_us: self.at_us,
            project: self.project.clone(),
            what: self.what.clone(),
            detail: self.detail.clone(),
            term: self.term,
            who: self.who.clone(),
            why: self.why.clone(),
            candidate: self.candidate.clone(),
            previous: self.previous.clone(),
            takeover: self.takeover.map(|takeover| Takeover {
                took_us: takeover.took_us,
                gap_us: takeover.gap_us,
                events_replayed: takeover.events_replayed,
                commits_replayed: takeover.commits_replayed,
            }),
        }
    }

    /// Noting the same event twice writes the same key.
    pub(crate) fn key(&self) -> String {
        format!("{HISTORY}{:020}-{}-{}-{}", self.at_us, self.what, self.project, self.term)
    }
}
