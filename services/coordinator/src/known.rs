//! The last known state of the registry: what is answered while etcd is away.

use mesh_coordination::{Entry, Listing};
use mesh_service::{Drain, Latch};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use crate::maintenance::Drained;
use crate::store::{CURRENT, DRAINED, HISTORY, MEMBERS, Store, StoredEvent, StoredMember, StoredProject, decode};

/// How often it is looked whether etcd answers.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Running projects by name; `None` until the registry answered for the first time.
pub(crate) type Projects = Option<Arc<BTreeMap<String, StoredProject>>>;

/// Followed parts of the registry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) projects: watch::Receiver<Projects>,
    pub(crate) members: watch::Receiver<Arc<Vec<(StoredMember, Entry)>>>,
    pub(crate) history: watch::Receiver<Arc<Vec<StoredEvent>>>,
    pub(crate) drained: watch::Receiver<Drained>,
    /// Why the registry does not answer; `None`: it does.
    pub(crate) registry_error: watch::Receiver<Option<String>>,
}

impl Known {
    /// Starts following; `latch` is released when the projects are known.
    pub(crate) fn start(store: &Store, drain: &Drain, latch: Latch) -> Self {
        let (projects_to, projects) = watch::channel(None);
        let (members_to, members) = watch::channel(Arc::default());
        let (history_to, history) = watch::channel(Arc::default());
        let (drained_to, drained) = watch::channel(None);
        let (error_to, registry_error) = watch::channel(None);
        let mut latch = Some(latch);
        follow(store, CURRENT, drain, move |listing| {
            let running = listing.entries.iter().filter_map(decode::<StoredProject>).filter(|project| !project.stopped);
            let map: BTreeMap<String, StoredProject> = running.map(|project| (project.name.clone(), project)).collect();
            projects_to.send_replace(Some(Arc::new(map)));
            drop(latch.take());
        });
        follow(store, MEMBERS, drain, move |listing| {
            let members = listing.entries.iter().filter_map(|entry| Some((decode(entry)?, entry.clone()))).collect();
            members_to.send_replace(Arc::new(members));
        });
        follow(store, HISTORY, drain, move |listing| {
            history_to.send_replace(Arc::new(listing.entries.iter().filter_map(decode).collect()));
        });
        follow(store, DRAINED, drain, move |listing| {
            let engine = |entry: &Entry| Some((entry.key.strip_prefix(DRAINED)?.to_owned(), decode(entry)?));
            drained_to.send_replace(Some(listing.entries.iter().filter_map(engine).collect()));
        });
        tokio::spawn(probe(store.clone(), error_to, drain.clone()));
        Known { projects, members, history, drained, registry_error }
    }

    /// The running projects as known now.
    pub(crate) fn projects_now(&self) -> Projects {
        self.projects.borrow().clone()
    }
}

/// Hands every listing of a prefix to `take`.
fn follow(store: &Store, prefix: &'static str, drain: &Drain, mut take: impl FnMut(&Listing) + Send + 'static) {
    let store = store.clone();
    let drain = drain.clone();
    tokio::spawn(async move {
        let mut latest = store.registry().watch(prefix, None);
        loop {
            tokio::select! {
                () = drain.started() => return,
                listing = latest.next() => match listing {
                    Some(listing) => take(&listing),
                    None => return,
                },
            }
        }
    });
}

/// Asks the registry for something small, again and again. (A watch does not say that nobody feeds it.)
async fn probe(store: Store, error_to: watch::Sender<Option<String>>, drain: Drain) {
    loop {
        let error = store.registry().get("probe").await.err().map(|error| error.to_string());
        error_to.send_if_modified(|known| {
            if known.is_some() != error.is_some() {
                match &error {
                    Some(error) => {
                        tracing::warn!(error, "registry does not answer: running projects go on, changes are refused")
                    }
                    None => tracing::info!("registry answers again"),
                }
            }
            let changed = *known != error;
            *known = error;
            changed
        });
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(PROBE_EVERY) => {}
        }
    }
}
