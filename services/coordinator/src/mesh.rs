//! The whole mesh in one answer, however much of it answers.

use mesh_proto::coordinator::{AnnounceRequest, MeshStatusResponse, Unavailable};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

use crate::alarms::{Alarm, alarms};
use crate::elections::Elections;
use crate::known::Known;
use crate::members::Members;
use crate::store::StoredOrder;

/// An answer this young is given to others too: many watchers ask the engines once.
const SHARED_FOR: Duration = Duration::from_millis(100);

/// Puts the status of the mesh together.
pub(crate) struct Mesh {
    pub(crate) known: Known,
    pub(crate) members: Members,
    pub(crate) elections: Elections,
    member_timeout: Duration,
    last: Mutex<Option<Shared>>,
}

/// An answer, with what it was made from.
struct Shared {
    at: Instant,
    /// Changes of election and members that it knows of.
    changes: [u64; 2],
    status: Arc<MeshStatusResponse>,
}

impl Mesh {
    pub(crate) fn new(known: Known, members: Members, elections: Elections, member_timeout: Duration) -> Self {
        Mesh { known, members, elections, member_timeout, last: Mutex::new(None) }
    }

    /// The status now; of one project, or of all when `project` is empty.
    pub(crate) async fn status(&self, project: &str) -> MeshStatusResponse {
        let all = self.all().await;
        let mut status = MeshStatusResponse::clone(&all);
        if !project.is_empty() {
            let suffix = format!(".{project}");
            status.groups.retain(|group| group.group.ends_with(&suffix));
            for engine in status.members.iter_mut().filter_map(|member| member.engine.as_mut()) {
                engine.projects.retain(|on_engine| on_engine.project == project);
            }
        }
        status
    }

    async fn all(&self) -> Arc<MeshStatusResponse> {
        // whoever comes while it is put together waits for it here, and shares it
        let mut last = self.last.lock().await;
        let changes = [*self.elections.changed().borrow(), *self.members.changed().borrow()];
        let fresh = |shared: &&Shared| shared.at.elapsed() < SHARED_FOR && shared.changes == changes;
        if let Some(shared) = last.as_ref().filter(fresh) {
            return shared.status.clone();
        }
        let mut polled = self.members.poll(&self.known, "", self.member_timeout).await;
        if let Some(drained) = &*self.known.drained.borrow() {
            for member in &mut polled.members {
                let of = |announced: &AnnounceRequest| drained.get(&announced.name).map(StoredOrder::to_proto);
                member.drained = member.announced.as_ref().and_then(of);
            }
        }
        let merged = self.elections.merged();
        let etcd = self.known.registry_error.borrow().clone().map(|reason| ("etcd".to_owned(), reason));
        let election = merged.unavailable.into_iter().map(|(_, reason)| ("election".to_owned(), reason));
        let unavailable = etcd
            .into_iter()
            .chain(election)
            .chain(polled.unavailable)
            .map(|(part, reason)| Unavailable { part, reason })
            .collect();
        let alarms: Vec<String> = alarms(&polled.members).iter().map(Alarm::to_string).collect();
        for alarm in
            alarms.iter().filter(|alarm| last.as_ref().is_none_or(|known| !known.status.alarms.contains(alarm)))
        {
            tracing::error!("{alarm}");
        }
        let status =
            Arc::new(MeshStatusResponse { members: polled.members, groups: merged.groups, unavailable, alarms });
        *last = Some(Shared { at: Instant::now(), changes, status: status.clone() });
        status
    }
}
