//! All groups of an instance: finds them, starts their tasks, and shows them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mesh_coordination::{Elections, SessionState};
use mesh_replication::election::{AttachmentId, GroupView, Maintenance, Timing};
use mesh_service::{Drain, Kind, Metrics, Refusal, Scope};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::ElectionConfig;
use crate::group::{COMMANDS_MAX, Command, GroupTask};
use crate::meter::Meter;

/// Most groups of a mesh.
const GROUPS_MAX: usize = 4096;
/// How often groups that only other instances hold candidates of are looked for.
const DISCOVER_EVERY: Duration = Duration::from_secs(1);
/// How often the alarm is repeated while there is no session.
const ALARM_EVERY: Duration = Duration::from_secs(5);

/// The groups of one instance.
pub(crate) struct Hub {
    pub name: String,
    elections: Arc<dyn Elections>,
    timing: Timing,
    probe_timeout: Duration,
    metrics: Metrics,
    drain: Drain,
    groups: Mutex<BTreeMap<String, GroupHandle>>,
    tasks: Mutex<JoinSet<()>>,
    last_attachment: AtomicU64,
    changes: watch::Sender<u64>,
    session: watch::Sender<SessionState>,
}

/// How a group's task is reached.
#[derive(Clone)]
pub(crate) struct GroupHandle {
    pub commands: mpsc::Sender<Command>,
    pub view: watch::Receiver<GroupView>,
}

impl Hub {
    pub fn start(name: String, config: &ElectionConfig, elections: Arc<dyn Elections>, scope: &Scope) -> Arc<Self> {
        let hub = Arc::new(Self {
            name,
            elections,
            timing: config.timing(),
            probe_timeout: config.probe_timeout.0,
            metrics: scope.metrics.clone(),
            drain: scope.drain.clone(),
            groups: Mutex::default(),
            tasks: Mutex::default(),
            last_attachment: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            session: watch::Sender::new(SessionState::Disconnected),
        });
        let latch = scope.ready.latch("zookeeper");
        let mut tasks = hub.tasks();
        tasks.spawn(discover(Arc::clone(&hub)));
        tasks.spawn(watch_session(Arc::clone(&hub), latch));
        drop(tasks);
        hub
    }

    /// Waits until every task has ended, after the drain has started.
    pub async fn stopped(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        while tasks.join_next().await.is_some() {}
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().expect("no code panics while it holds this lock")
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, GroupHandle>> {
        self.groups.lock().expect("no code panics while it holds this lock")
    }

    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    pub fn next_attachment(&self) -> AttachmentId {
        AttachmentId(self.last_attachment.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn session(&self) -> SessionState {
        *self.session.borrow()
    }

    /// Told at each change of any group and of the session.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A group that is known already.
    pub fn find(&self, group: &str) -> Option<GroupHandle> {
        self.groups().get(group).cloned()
    }

    /// Names and views, of one group or of all.
    pub fn views(&self, group: &str) -> Vec<(String, GroupView)> {
        let groups = self.groups();
        let wanted = groups.iter().filter(|(name, _)| group.is_empty() || *name == group);
        wanted.map(|(name, handle)| (name.clone(), handle.view.borrow().clone())).collect()
    }

    /// A group, whose task is started if it has none yet.
    pub fn open(&self, group: &str) -> Result<GroupHandle, Refusal> {
        let what = || format!("take part in group `{group}`");
        mesh_coordination::check_group(group).map_err(|error| Refusal::invalid(error.to_string()))?;
        let mut groups = self.groups();
        if let Some(handle) = groups.get(group) {
            return Ok(handle.clone());
        }
        if self.drain.is_started() {
            return Err(Refusal::unavailable(what()).found("this election instance is draining"));
        }
        if groups.len() >= GROUPS_MAX {
            return Err(Refusal::new(Kind::Exhausted, what())
                .expected(format!("at most {GROUPS_MAX} groups"))
                .way_out("remove groups that nobody uses from ZooKeeper"));
        }
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let empty =
            GroupView { leader: None, deposed: None, maintenance: Maintenance::default(), candidates: Vec::new() };
        let (view, receiver) = watch::channel(empty);
        let task = GroupTask {
            name: group.into(),
            instance: self.name.clone(),
            elections: Arc::clone(&self.elections),
            timing: self.timing,
            probe_timeout: self.probe_timeout,
            meter: Meter::new(&self.metrics, group),
            commands,
            view,
            changes: self.changes.clone(),
            drain: self.drain.clone(),
        };
        self.tasks().spawn(task.run());
        let handle = GroupHandle { commands: sender, view: receiver };
        groups.insert(group.to_owned(), handle.clone());
        Ok(handle)
    }
}

/// Finds the groups that exist, so that every instance can show and change each of them.
async fn discover(hub: Arc<Hub>) {
    let mut every = tokio::time::interval(DISCOVER_EVERY);
    loop {
        tokio::select! {
            () = hub.drain.started() => return,
            _ = every.tick() => {}
        }
        // without a session there is nothing to be found; the alarm is the other task's
        for group in hub.elections.groups().await.unwrap_or_default() {
            if let Err(refusal) = hub.open(&group) {
                tracing::warn!(group, %refusal, "group is not watched");
            }
        }
    }
}

/// Shows the state of the session, and raises the alarm while there is none.
async fn watch_session(hub: Arc<Hub>, latch: mesh_service::Latch) {
    let gauge = hub.metrics.gauge("esp_election_session_connected", "1 while ZooKeeper hears this instance", &[]);
    let expired = hub.metrics.counter("esp_election_sessions_lost", "Sessions that ZooKeeper has given up", &[]);
    let mut session = hub.elections.session();
    let mut latch = Some(latch);
    let mut alarm = tokio::time::interval(ALARM_EVERY);
    loop {
        tokio::select! {
            () = hub.drain.started() => return,
            Some(now) = session.next() => {
                let connected = now.state == SessionState::Connected;
                if connected {
                    latch = None;
                    alarm.reset();
                }
                if now.state == SessionState::Expired {
                    expired.inc();
                }
                gauge.set(connected.into());
                hub.session.send_replace(now.state);
                hub.changes.send_modify(|count| *count += 1);
                if !connected {
                    alarm.reset_immediately();
                }
            }
            _ = alarm.tick() => {
                let state = hub.session();
                if state != SessionState::Connected && latch.is_none() {
                    tracing::error!(%state, "ALARM: no session with ZooKeeper: leaders go on, but no failover is possible");
                }
            }
        }
    }
}
