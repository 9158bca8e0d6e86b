//! The state of a group, from one-shot watches: whatever fires is read anew, and watched anew by the same request.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use zookeeper_client::{Client, OneshotWatcher};

use super::session::Keeper;
use super::{LEADER, candidate, decode_leader, persistent, run, sequences};
use crate::{Candidate, Error, GroupState, Latest, Led, SessionState};

/// Pause after a failed read before the whole group is read anew.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

pub(super) fn start(keeper: Arc<Keeper>, group: &str) -> Latest<GroupState> {
    let (sender, receiver) = watch::channel(None);
    let feeder = tokio::spawn(feed(Arc::downgrade(&keeper), group.to_owned(), sender));
    Latest::fed_by(receiver, feeder.abort_handle())
}

/// What a one-shot watch was set on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Children,
    Leader,
    Candidate(i64),
}

/// A group as read so far, and the watches that are set on it.
struct View {
    client: Client,
    limit: Duration,
    root: &'static str,
    group: String,
    leader: Option<Led>,
    candidates: BTreeMap<i64, Option<Candidate>>,
    watches: JoinSet<Part>,
}

/// Feeds the watch, session after session, until it or the keeper is dropped.
async fn feed(keeper: Weak<Keeper>, group: String, sender: watch::Sender<Option<Arc<GroupState>>>) {
    let Some(held) = keeper.upgrade() else { return };
    let mut sessions = held.sessions();
    drop(held);
    loop {
        let connected = |session: &Option<Arc<crate::Session>>| {
            session.as_deref().is_some_and(|session| session.state == SessionState::Connected)
        };
        if sessions.wait_for(connected).await.is_err() {
            return;
        }
        let Some(held) = keeper.upgrade() else { return };
        let client = held.client("watch");
        let (limit, root) = (held.options().call_timeout, held.root());
        drop(held);
        if let Ok(client) = client {
            let mut view = View {
                client,
                limit,
                root,
                group: group.clone(),
                leader: None,
                candidates: BTreeMap::new(),
                watches: JoinSet::new(),
            };
            if let Err(error) = view.follow(&sender).await {
                tracing::debug!(group, %error, "reading the group anew");
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

impl View {
    /// Reads and sends until a call fails, as all do once the session has ended.
    async fn follow(&mut self, sender: &watch::Sender<Option<Arc<GroupState>>>) -> Result<(), Error> {
        self.read_children().await?;
        self.read_leader().await?;
        loop {
            self.send(sender);
            let Some(fired) = self.watches.join_next().await else {
                return Ok(());
            };
            let mut fired = vec![fired];
            while let Some(more) = self.watches.try_join_next() {
                fired.push(more);
            }
            let mut parts: Vec<Part> = fired.into_iter().flatten().collect();
            parts.sort_unstable();
            for part in parts {
                match part {
                    Part::Children => self.read_children().await?,
                    Part::Leader => self.read_leader().await?,
                    Part::Candidate(sequence) => self.read_candidate(sequence).await?,
                }
            }
        }
    }

    fn send(&self, sender: &watch::Sender<Option<Arc<GroupState>>>) {
        let state = GroupState {
            leader: self.leader.clone(),
            candidates: self.candidates.values().flatten().cloned().collect(),
        };
        sender.send_if_modified(|held| {
            let changed = held.as_deref() != Some(&state);
            if changed {
                *held = Some(Arc::new(state));
            }
            changed
        });
    }

    fn watch(&mut self, part: Part, watcher: OneshotWatcher) {
        self.watches.spawn(async move {
            watcher.changed().await;
            part
        });
    }

    async fn read_children(&mut self) -> Result<(), Error> {
        let path = format!("{}/{}", self.root, self.group);
        let attempted = format!("list `{path}`");
        let mut read = run(&attempted, self.limit, self.client.list_and_watch_children(&path)).await;
        if matches!(read, Err(Error::Missing { .. })) {
            run(&attempted, self.limit, self.client.mkdir(&path, &persistent())).await?;
            read = run(&attempted, self.limit, self.client.list_and_watch_children(&path)).await;
        }
        let (children, watcher) = read?;
        self.watch(Part::Children, watcher);
        let found: Vec<i64> = sequences(&children).into_iter().map(|(sequence, _)| sequence).collect();
        self.candidates.retain(|sequence, _| found.contains(sequence));
        for sequence in found {
            if !self.candidates.contains_key(&sequence) {
                self.read_candidate(sequence).await?;
            }
        }
        Ok(())
    }

    async fn read_candidate(&mut self, sequence: i64) -> Result<(), Error> {
        let path = crate::Znode::numbered(self.root, &self.group, sequence).path;
        let attempted = format!("read `{path}`");
        match run(&attempted, self.limit, self.client.get_and_watch_data(&path)).await {
            Ok((bytes, _, watcher)) => {
                self.watch(Part::Candidate(sequence), watcher);
                // one that is not ours to read is kept as known and empty, so that it is read once per change only
                self.candidates.insert(sequence, candidate(self.root, &self.group, sequence, &bytes));
            }
            Err(Error::Missing { .. }) => {
                self.candidates.remove(&sequence);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn read_leader(&mut self) -> Result<(), Error> {
        let path = format!("{}/{}/{LEADER}", self.root, self.group);
        let attempted = format!("read `{path}`");
        loop {
            match run(&attempted, self.limit, self.client.get_and_watch_data(&path)).await {
                Ok((bytes, stat, watcher)) => {
                    self.watch(Part::Leader, watcher);
                    self.leader = decode_leader(&bytes, stat.version);
                    return Ok(());
                }
                Err(Error::Missing { .. }) => {
                    let (stat, watcher) = run(&attempted, self.limit, self.client.check_and_watch_stat(&path)).await?;
                    if stat.is_none() {
                        self.watch(Part::Leader, watcher);
                        self.leader = None;
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.watches.abort_all();
    }
}
