//! Writes what happened to the registry, later when etcd is away.

use mesh_proto::election::GroupStatus;
use mesh_service::Drain;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::store::{Store, StoredEvent};

/// Events that wait for etcd at most; more are dropped with a warning.
const WAITING_MAX: usize = 1000;

/// Wait before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes events; never blocks.
pub(crate) struct History {
    queue: mpsc::Sender<StoredEvent>,
    /// Last term noted of each group.
    terms: Mutex<BTreeMap<String, u64>>,
}

impl History {
    /// Starts the writer.
    pub(crate) fn start(store: Store, drain: Drain) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(store, waiting, drain));
        History { queue, terms: Mutex::default() }
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
        {
            let mut terms = self.terms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let noted = terms.entry(group.group.clone()).or_insert(0);
            if *noted >= group.term {
                return;
            }
            *noted = group.term;
        }
        // a project's name has no dot, the part before it may have
        let project = group.group.rsplit('.').next().unwrap_or(&group.group);
        self.note(StoredEvent {
            at_us: group.since_us,
            project: project.to_owned(),
            what: "leader".to_owned(),
            detail: format!("{} leads: {}", group.leader, group.reason),
            term: group.term,
        });
    }
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
