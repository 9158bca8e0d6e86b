//! Elections in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::elections::encode;
use crate::{
    Candidate, CandidateData, Elections, Error, GroupState, Latest, LeaderRecord, Led, Session, SessionState, Version,
    Znode, check_group,
};

const ROOT: &str = "/ESP";

/// Elections in memory. Clones share the session, as clones of a ZooKeeper client do; [`Self::open_session`] makes
/// another one on the same elections. Candidates vanish when the last clone of their session is dropped.
#[derive(Debug, Clone)]
pub struct MemoryElections {
    session: Arc<MemorySession>,
}

#[derive(Debug)]
struct MemorySession {
    id: u64,
    server: Arc<Server>,
}

#[derive(Debug, Default)]
struct Server {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    last_session: u64,
    sessions: BTreeMap<u64, watch::Sender<Option<Arc<Session>>>>,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Group {
    next_sequence: i64,
    leader: Option<Led>,
    candidates: BTreeMap<i64, (u64, CandidateData)>,
    watch: watch::Sender<Option<Arc<GroupState>>>,
}

impl Default for Group {
    fn default() -> Self {
        let empty = Some(Arc::new(GroupState::default()));
        Self { next_sequence: 0, leader: None, candidates: BTreeMap::new(), watch: watch::Sender::new(empty) }
    }
}

impl Group {
    fn candidates(&self, name: &str) -> Vec<Candidate> {
        self.candidates
            .iter()
            .map(|(sequence, (_, data))| Candidate {
                znode: Znode::numbered(ROOT, name, *sequence),
                data: data.clone(),
            })
            .collect()
    }

    fn changed(&self, name: &str) {
        let state = GroupState { leader: self.leader.clone(), candidates: self.candidates(name) };
        self.watch.send_replace(Some(Arc::new(state)));
    }
}

impl State {
    fn remove_candidates_of(&mut self, session: u64) {
        for (name, group) in &mut self.groups {
            let before = group.candidates.len();
            group.candidates.retain(|_, (owner, _)| *owner != session);
            if group.candidates.len() != before {
                group.changed(name);
            }
        }
    }

    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    fn tell_session(&self, id: u64, change: impl FnOnce(Session) -> Session) {
        if let Some(sender) = self.sessions.get(&id) {
            sender.send_modify(|session| {
                let before = session.as_deref().copied().expect("set when the session was opened, never cleared");
                *session = Some(Arc::new(change(before)));
            });
        }
    }
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        let mut state = self.server.lock();
        state.sessions.remove(&self.id);
        state.remove_candidates_of(self.id);
    }
}

impl Default for MemoryElections {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryElections {
    /// Elections without groups, and a session on them.
    pub fn new() -> Self {
        Self::on(Arc::default())
    }

    /// Another session on the same elections, as another instance of the service has.
    pub fn open_session(&self) -> Self {
        Self::on(Arc::clone(&self.session.server))
    }

    fn on(server: Arc<Server>) -> Self {
        let mut state = server.lock();
        state.last_session += 1;
        let id = state.last_session;
        let connected = if state.down { SessionState::Disconnected } else { SessionState::Connected };
        let first = Arc::new(Session { number: 1, state: connected });
        state.sessions.insert(id, watch::Sender::new(Some(first)));
        drop(state);
        Self { session: Arc::new(MemorySession { id, server }) }
    }

    /// Ends the session as the server does after silence: its candidates vanish and a new session begins.
    pub fn expire(&self) {
        let mut state = self.session.server.lock();
        state.remove_candidates_of(self.session.id);
        let connected = if state.down { SessionState::Disconnected } else { SessionState::Connected };
        state.tell_session(self.session.id, |old| Session { number: old.number + 1, state: connected });
    }

    /// Makes every call of every session fail as if the server were down, or ends that.
    pub fn set_down(&self, down: bool) {
        let mut state = self.session.server.lock();
        state.down = down;
        let now = if down { SessionState::Disconnected } else { SessionState::Connected };
        for id in state.sessions.keys() {
            state.tell_session(*id, |old| Session { state: now, ..old });
        }
        if !down {
            for (name, group) in &state.groups {
                group.changed(name);
            }
        }
    }

    fn up(&self, attempted: &str) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.session.server.lock();
        if state.down { Err(Error::unavailable(attempted, "elections in memory are switched off")) } else { Ok(state) }
    }
}

/// Group of a node's path.
fn group_of(znode: &Znode) -> &str {
    znode.path.split('/').nth(2).unwrap_or_default()
}

#[async_trait]
impl Elections for MemoryElections {
    async fn join(&self, group: &str, data: &CandidateData) -> Result<Znode, Error> {
        check_group(group)?;
        let attempted = format!("join group `{group}` as `{}`", data.candidate);
        encode(&attempted, data)?;
        let mut state = self.up(&attempted)?;
        let entry = state.group(group);
        let sequence = entry.next_sequence;
        entry.next_sequence += 1;
        entry.candidates.insert(sequence, (self.session.id, data.clone()));
        entry.changed(group);
        Ok(Znode::numbered(ROOT, group, sequence))
    }

    async fn update(&self, znode: &Znode, data: &CandidateData) -> Result<(), Error> {
        let attempted = format!("update `{}`", znode.path);
        encode(&attempted, data)?;
        let mut state = self.up(&attempted)?;
        let name = group_of(znode);
        let group = state.group(name);
        match group.candidates.get_mut(&znode.sequence) {
            None => Err(Error::missing(attempted)),
            Some((_, found)) => {
                *found = data.clone();
                group.changed(name);
                Ok(())
            }
        }
    }

    async fn leave(&self, znode: &Znode) -> Result<(), Error> {
        let mut state = self.up(&format!("remove `{}`", znode.path))?;
        let name = group_of(znode);
        let group = state.group(name);
        if group.candidates.remove(&znode.sequence).is_some() {
            group.changed(name);
        }
        Ok(())
    }

    async fn candidates(&self, group: &str) -> Result<Vec<Candidate>, Error> {
        check_group(group)?;
        let state = self.up(&format!("list the candidates of group `{group}`"))?;
        Ok(state.groups.get(group).map(|found| found.candidates(group)).unwrap_or_default())
    }

    async fn leader(&self, group: &str) -> Result<Option<Led>, Error> {
        check_group(group)?;
        let state = self.up(&format!("read the leader of group `{group}`"))?;
        Ok(state.groups.get(group).and_then(|found| found.leader.clone()))
    }

    async fn set_leader(
        &self,
        group: &str,
        expected: Option<Version>,
        record: &LeaderRecord,
    ) -> Result<Version, Error> {
        check_group(group)?;
        let attempted = format!("make `{}` leader of group `{group}` in term {}", record.candidate, record.term);
        encode(&attempted, record)?;
        let mut state = self.up(&attempted)?;
        let entry = state.group(group);
        let found = entry.leader.as_ref().map(|led| led.version);
        if found != expected {
            let text = |version: Option<Version>| version.map_or("no record".to_owned(), |v| v.to_string());
            return Err(Error::conflict(attempted, text(expected), text(found)));
        }
        let version = Version(found.map_or(0, |version| version.0 + 1));
        entry.leader = Some(Led { record: record.clone(), version });
        entry.changed(group);
        Ok(version)
    }

    async fn groups(&self) -> Result<Vec<String>, Error> {
        Ok(self.up("list the groups")?.groups.keys().cloned().collect())
    }

    fn watch(&self, group: &str) -> Latest<GroupState> {
        Latest::new(self.session.server.lock().group(group).watch.subscribe())
    }

    fn session(&self) -> Latest<Session> {
        let state = self.session.server.lock();
        let sender = state.sessions.get(&self.session.id).expect("removed only when this handle is dropped");
        Latest::new(sender.subscribe())
    }
}
