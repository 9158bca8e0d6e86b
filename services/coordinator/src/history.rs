//! Writes what happened to the registry, later when etcd is away; and asks new leaders what their takeover did.

use mesh_proto::coordinator::Member;
use mesh_proto::election::GroupStatus;
use mesh_service::Drain;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::clock::now_us;
use crate::members::ELECTION;
use crate::mesh::Mesh;
use crate::store::{Store, StoredEvent, StoredTakeover};

/// Events that wait for etcd at most; more are dropped with a warning.
const WAITING_MAX: usize = 1000;

/// What a new leader is called in the history.
const LEADER: &str = "leader";

/// A leader's engine is asked for this long what its takeover did.
const TAKEOVER_KNOWN_WITHIN: Duration = Duration::from_secs(120);

/// Wait before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes events; never blocks.
pub(crate) struct History {
    queue: mpsc::Sender<StoredEvent>,
    /// Last term noted of each group, with its leader.
    leaders: Mutex<BTreeMap<String, (u64, String)>>,
}

impl History {
    /// Starts the writer.
    pub(crate) fn start(store: Store, drain: Drain) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(store, waiting, drain));
        History { queue, leaders: Mutex::default() }
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: StoredEvent) {
        tracing::info!(project = event.project, what = event.what, detail = event.detail, term = event.term, "history");
        if self.queue.try_send(event).is_err() {
            tracing::warn!(limit = WAITING_MAX, "history is not written: etcd has been away for too long");
        }
    }

    /// Notes the leader of a group, once per term. Every instance does; the key makes it one entry.
    pub(crate) fn leader(&self, group: &GroupStatus) {
        if group.term == 0 || group.leader.is_empty() {
            return;
        }
        let previous = {
            let mut leaders = self.leaders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let noted = leaders.entry(group.group.clone()).or_default();
            if noted.0 >= group.term {
                return;
            }
            std::mem::replace(noted, (group.term, group.leader.clone())).1
        };
        // a project's name has no dot, the part before it may have
        let project = group.group.rsplit('.').next().unwrap_or(&group.group);
        let detail = format!("{} leads: {}", group.leader, group.reason);
        self.note(StoredEvent {
            term: group.term,
            who: ELECTION.to_owned(),
            why: group.reason.clone(),
            candidate: group.leader.clone(),
            previous,
            ..StoredEvent::new(group.since_us, project, LEADER, detail)
        });
    }
}

/// Adds to the newest leaders what their engines say of the takeover. Every instance does; the first one counts.
pub(crate) async fn complete(mesh: &Mesh, store: &Store) {
    let since = now_us() - i64::try_from(TAKEOVER_KNOWN_WITHIN.as_micros()).unwrap_or(i64::MAX);
    let events = mesh.known.history.borrow().clone();
    let newest = events.iter().rev().take_while(|event| event.at_us >= since);
    let lacking: Vec<&StoredEvent> = newest.filter(|event| event.what == LEADER && event.takeover.is_none()).collect();
    if lacking.is_empty() {
        return;
    }
    let status = mesh.status("").await;
    for event in lacking {
        let Some(takeover) = takeover_of(event, &status.members) else { continue };
        let completed = StoredEvent { takeover: Some(takeover), ..event.clone() };
        if let Err(error) = store.complete(&completed).await {
            tracing::debug!(%error, "history not completed yet");
            return;
        }
    }
}

/// What the engine that leads says of the takeover that made it so.
fn takeover_of(event: &StoredEvent, members: &[Member]) -> Option<StoredTakeover> {
    let engine = members.iter().filter_map(|member| member.engine.as_ref()).find(|of| of.engine == event.candidate)?;
    let project = engine.projects.iter().find(|project| project.project == event.project)?;
    let takeover = project.takeovers.iter().find(|takeover| takeover.term == event.term)?;
    Some(StoredTakeover {
        took_us: takeover.fence_us.saturating_add(takeover.read_us).saturating_add(takeover.open_us),
        gap_us: takeover.gap_us,
        events_replayed: takeover.events_replayed,
        commits_replayed: takeover.commits_replayed,
    })
}

async fn write(store: Store, mut waiting: mpsc::Receiver<StoredEvent>, drain: Drain) {
    loop {
        let event = tokio::select! {
            () = drain.started() => return,
            event = waiting.recv() => match event {
                Some(event) => event,
                None => return,
            },
        };
        while let Err(error) = store.note(&event).await {
            tracing::debug!(%error, "history not written yet");
            tokio::select! {
                () = drain.started() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }
}
