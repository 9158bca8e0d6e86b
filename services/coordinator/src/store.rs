//! How the registry is changed: by compare-and-set, so that any number of instances may; `stored` is what is kept.
//!
//! - `projects/<name>/<version>`: a version, never changed
//! - `current/<name>`: the version that engines run, changed only by compare-and-set
//! - `members/<name>`: who has announced itself
//! - `drained/<engine>`: who took an engine out of the lead
//! - `requests/<id>`: answers to requests that may be made again (`requests`)
//! - `history/<microseconds>-<what>`: what happened; the key makes writing it twice harmless, so that every instance may

use mesh_coordination::{Entry, Error as RegistryError, Expected, Registry};
use mesh_service::{Kind, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::refuse;
pub(crate) use crate::stored::{StoredEvent, StoredMember, StoredOrder, StoredProject, StoredTakeover};

pub(crate) const CURRENT: &str = "current/";
pub(crate) const MEMBERS: &str = "members/";
pub(crate) const HISTORY: &str = "history/";
pub(crate) const DRAINED: &str = "drained/";

/// How often a change is tried anew when another instance was faster.
const CONFLICTS_MAX: usize = 8;

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

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys")
}

/// The versions of a project.
pub(crate) struct Versions {
    /// The one that engines run.
    pub(crate) current: Option<StoredProject>,
    /// Those that are kept, oldest first.
    pub(crate) kept: Vec<StoredProject>,
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
            let runs = |current: &&StoredProject| !current.stopped && current.same_content(&project);
            if let Some(current) = current.as_ref().filter(runs) {
                return Ok((current.version, false));
            }
            let versions = self.version_keys(&project.name).await?;
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

    /// Notes that an engine is drained; one that is keeps its first order.
    pub(crate) async fn put_drained(&self, engine: &str, order: &StoredOrder) -> Result<(), Refusal> {
        match self.registry.put(&format!("{DRAINED}{engine}"), encode(order), Expected::Absent).await {
            Ok(_) | Err(RegistryError::Conflict { .. }) => Ok(()),
            Err(error) => Err(refuse::registry(error)),
        }
    }

    /// Notes that an engine may lead again; says whether it was drained.
    pub(crate) async fn remove_drained(&self, engine: &str) -> Result<bool, Refusal> {
        self.registry.delete(&format!("{DRAINED}{engine}"), Expected::Any).await.map_err(refuse::registry)
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

    /// The versions of a project that are kept, and the one that runs.
    pub(crate) async fn versions(&self, name: &str) -> Result<Versions, Refusal> {
        let current = self.registry.get(&format!("{CURRENT}{name}")).await.map_err(refuse::registry)?;
        let current = current.as_ref().and_then(decode::<StoredProject>).filter(|current| !current.stopped);
        let listing = self.registry.list(&format!("projects/{name}/")).await.map_err(refuse::registry)?;
        Ok(Versions { current, kept: listing.entries.iter().filter_map(decode).collect() })
    }

    /// Adds what a takeover did to the entry of its leader, unless it is there or the entry was forgotten.
    pub(crate) async fn complete(&self, event: &StoredEvent) -> Result<(), RegistryError> {
        let key = event.key();
        let Some(entry) = self.registry.get(&key).await? else { return Ok(()) };
        if decode::<StoredEvent>(&entry).is_none_or(|kept| kept.takeover.is_some()) {
            return Ok(());
        }
        match self.registry.put(&key, encode(event), Expected::Revision(entry.revision)).await {
            Ok(_) | Err(RegistryError::Conflict { .. }) => Ok(()), // another instance knows it as well
            Err(error) => Err(error),
        }
    }

    /// Numbers of the versions with their keys, oldest first.
    async fn version_keys(&self, name: &str) -> Result<Vec<(u64, String)>, Refusal> {
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
