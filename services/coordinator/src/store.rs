//! What is kept in the registry, and how it is changed there.
//!
//! - `projects/<name>/<version>`: a version, never changed
//! - `current/<name>`: the version that engines run, changed only by compare-and-set
//! - `members/<name>`: who has announced itself
//! - `history/<microseconds>-<what>`: what happened; the key makes writing it twice harmless, so that every instance may

use mesh_coordination::{Entry, Error as RegistryError, Expected, Registry};
use mesh_proto::coordinator::{AnnounceRequest, HistoryEntry, Project};
use mesh_service::{Kind, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::refuse;

pub(crate) const CURRENT: &str = "current/";
pub(crate) const MEMBERS: &str = "members/";
pub(crate) const HISTORY: &str = "history/";

/// How often a change is tried anew when another instance was faster.
const CONFLICTS_MAX: usize = 8;

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

    /// Name of its group in the election.
    pub(crate) fn group(&self) -> String {
        format!("{}.{}", self.url_host_port, self.name)
    }

    fn same_content(&self, other: &StoredProject) -> bool {
        !self.stopped && self.xml == other.xml && self.url_host_port == other.url_host_port
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
    pub(crate) fn to_proto(&self) -> HistoryEntry {
        HistoryEntry {
            at_us: self.at_us,
            project: self.project.clone(),
            what: self.what.clone(),
            detail: self.detail.clone(),
            term: self.term,
        }
    }

    fn key(&self) -> String {
        format!("{HISTORY}{:020}-{}-{}-{}", self.at_us, self.what, self.project, self.term)
    }
}

/// Reads an entry; one that cannot be read (of a newer program) is left out with a warning, not fatal.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(entry: &Entry) -> Option<T> {
    match serde_json::from_slice(&entry.value) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(key = entry.key, %error, "entry of the registry cannot be read, left out");
            None
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys")
}

/// The registry as the coordinator uses it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    registry: Arc<dyn Registry>,
    history_max: usize,
    versions_max: usize,
}

impl Store {
    pub(crate) fn new(registry: Arc<dyn Registry>, history_max: usize, versions_max: usize) -> Self {
        Store { registry, history_max, versions_max }
    }

    pub(crate) fn registry(&self) -> &dyn Registry {
        &*self.registry
    }

    /// Makes `project` the current one, under a new version unless nothing changed. Returns the version, and whether it is new.
    pub(crate) async fn deploy(&self, mut project: StoredProject) -> Result<(u64, bool), Refusal> {
        let key = format!("{CURRENT}{}", project.name);
        for _ in 0..CONFLICTS_MAX {
            let entry = self.registry.get(&key).await.map_err(refuse::registry)?;
            let current: Option<StoredProject> = entry.as_ref().and_then(decode);
            if let Some(current) = current.as_ref().filter(|current| current.same_content(&project)) {
                return Ok((current.version, false));
            }
            let versions = self.versions(&project.name).await?;
            project.version =
                versions.last().map_or(0, |(version, _)| *version).max(current.map_or(0, |current| current.version))
                    + 1;
            let version_key = version_key(&project.name, project.version);
            match self.registry.put(&version_key, encode(&project), Expected::Absent).await {
                Ok(_) => {}
                Err(RegistryError::Conflict { .. }) => continue, // another instance took the number
                Err(error) => return Err(refuse::registry(error)),
            }
            let expected = entry.as_ref().map_or(Expected::Absent, |entry| Expected::Revision(entry.revision));
            match self.registry.put(&key, encode(&project), expected).await {
                Ok(_) => {
                    self.prune_versions(&versions).await;
                    return Ok((project.version, true));
                }
                Err(RegistryError::Conflict { .. }) => continue,
                Err(error) => return Err(refuse::registry(error)),
            }
        }
        Err(too_many_conflicts(&format!("deploy project `{}`", project.name)))
    }

    /// Stops the current version; says whether it ran.
    pub(crate) async fn undeploy(&self, name: &str) -> Result<bool, Refusal> {
        let key = format!("{CURRENT}{name}");
        for _ in 0..CONFLICTS_MAX {
            let Some(entry) = self.registry.get(&key).await.map_err(refuse::registry)? else { return Ok(false) };
            let Some(mut current) = decode::<StoredProject>(&entry).filter(|current| !current.stopped) else {
                return Ok(false);
            };
            current.stopped = true;
            match self.registry.put(&key, encode(&current), Expected::Revision(entry.revision)).await {
                Ok(_) => return Ok(true),
                Err(RegistryError::Conflict { .. }) => continue,
                Err(error) => return Err(refuse::registry(error)),
            }
        }
        Err(too_many_conflicts(&format!("undeploy project `{name}`")))
    }

    /// Notes that something happened; noting it again changes nothing.
    pub(crate) async fn note(&self, event: &StoredEvent) -> Result<(), RegistryError> {
        match self.registry.put(&event.key(), encode(event), Expected::Absent).await {
            Ok(_) => {}
            Err(RegistryError::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let listing = self.registry.list(HISTORY).await?;
        let surplus = listing.entries.len().saturating_sub(self.history_max);
        for entry in &listing.entries[..surplus] {
            self.registry.delete(&entry.key, Expected::Any).await?;
        }
        Ok(())
    }

    /// Notes that a member is there.
    pub(crate) async fn put_member(&self, member: &StoredMember) -> Result<(), RegistryError> {
        self.registry.put(&format!("{MEMBERS}{}", member.name), encode(member), Expected::Any).await.map(|_| ())
    }

    /// Forgets a member, unless it was seen again meanwhile.
    pub(crate) async fn forget_member(&self, entry: &Entry) -> Result<(), RegistryError> {
        match self.registry.delete(&entry.key, Expected::Revision(entry.revision)).await {
            Ok(_) | Err(RegistryError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Versions of a project with their keys, oldest first.
    async fn versions(&self, name: &str) -> Result<Vec<(u64, String)>, Refusal> {
        let prefix = format!("projects/{name}/");
        let listing = self.registry.list(&prefix).await.map_err(refuse::registry)?;
        let version = |entry: Entry| Some((entry.key.rsplit('/').next()?.parse().ok()?, entry.key));
        Ok(listing.entries.into_iter().filter_map(version).collect())
    }

    /// Removes the oldest versions. What fails here is done at the next deploy.
    async fn prune_versions(&self, versions: &[(u64, String)]) {
        let surplus = (versions.len() + 1).saturating_sub(self.versions_max);
        for (_, key) in &versions[..surplus.min(versions.len())] {
            if let Err(error) = self.registry.delete(key, Expected::Any).await {
                tracing::debug!(key, %error, "old version was not removed, next deploy will");
            }
        }
    }
}

fn version_key(name: &str, version: u64) -> String {
    format!("projects/{name}/{version:010}")
}

fn too_many_conflicts(what: &str) -> Refusal {
    Refusal::new(Kind::Conflict, what)
        .found(format!("others changed it {CONFLICTS_MAX} times meanwhile"))
        .way_out("see who else deploys, then try again")
}
