//! Elections on ZooKeeper.
//!
//! Per group: `<root>/<group>/leader` (persistent, changed by version) and `<root>/<group>/server-n_##########`
//! (ephemeral, sequential). `session` keeps a client alive across expiries; `watch` turns one-shot watches into whole
//! states; this file makes the calls. Persistent watches of the client crate are not used: it loses them silently at
//! every reconnect (0.11.2).

mod session;
mod watch;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zookeeper_client::{self as zk, Acls, Client, CreateMode};

use crate::elections::encode;
use crate::{
    Candidate, CandidateData, Elections, Error, GroupState, Latest, LeaderRecord, Led, Session, TlsPem, Version, Znode,
    check_group,
};
use session::Keeper;

/// Name prefix of candidates.
const CANDIDATE_PREFIX: &str = "server-n_";
/// Name of the leader record.
const LEADER: &str = "leader";
/// How often a lost create reply is looked for before the outcome counts as unknown.
const MAX_CREATE_LOOKUPS: u32 = 3;

/// How to reach ZooKeeper.
#[derive(Debug, Clone)]
pub struct ZookeeperOptions {
    /// Servers, `host:port,host:port/chroot`.
    pub hosts: String,
    /// Silence after which the server gives the session up; it allows 2 to 20 times its tickTime.
    pub session_timeout: Duration,
    /// Longest wait for a reply.
    pub call_timeout: Duration,
    /// With it, every server is reached over TLS.
    pub tls: Option<TlsPem>,
}

/// Elections on ZooKeeper. Clones share the session.
#[derive(Debug, Clone)]
pub struct ZookeeperElections {
    keeper: Arc<Keeper>,
}

/// What a candidate's node holds: the data, and a mark by which its maker finds it again.
#[derive(Serialize, Deserialize)]
struct CandidateNode {
    guid: String,
    #[serde(flatten)]
    data: CandidateData,
}

impl ZookeeperElections {
    /// Connects in the background, for as long as a clone is held: with ZooKeeper down, calls fail until it is back.
    pub fn start(options: ZookeeperOptions) -> Result<Self, Error> {
        Ok(Self { keeper: Keeper::start(options)? })
    }

    /// Runs one call with the time limit, and sorts its errors.
    async fn call<T, F>(&self, attempted: &str, call: impl FnOnce(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, zk::Error>>,
    {
        let client = self.keeper.client(attempted)?;
        run(attempted, self.keeper.options().call_timeout, call(client)).await
    }

    fn group_path(&self, group: &str) -> String {
        format!("{}/{group}", self.keeper.root())
    }

    fn leader_path(&self, group: &str) -> String {
        format!("{}/{group}/{LEADER}", self.keeper.root())
    }

    async fn make_group(&self, attempted: &str, group: &str) -> Result<(), Error> {
        let path = self.group_path(group);
        self.call(attempted, |client| async move { client.mkdir(&path, &persistent()).await }).await
    }

    /// Finds a node whose create reply was lost.
    async fn find(&self, attempted: &str, group: &str, guid: &str) -> Result<Option<Znode>, Error> {
        let path = self.group_path(group);
        let root = self.keeper.root().to_owned();
        self.call(attempted, |client| async move {
            for (sequence, child) in sequences(&client.list_children(&path).await?) {
                match client.get_data(&format!("{path}/{child}")).await {
                    Ok((bytes, _)) => {
                        if decode_candidate(&bytes).is_some_and(|node| node.guid == guid) {
                            return Ok(Some(Znode::numbered(&root, group, sequence)));
                        }
                    }
                    Err(zk::Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
        .await
    }

    async fn create(&self, attempted: &str, group: &str, guid: &str, data: &CandidateData) -> Result<Znode, Error> {
        let node = CandidateNode { guid: guid.to_owned(), data: data.clone() };
        let bytes = encode(attempted, &node)?;
        let prefix = format!("{}/{CANDIDATE_PREFIX}", self.group_path(group));
        let create = |client: Client| async move {
            let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
            client.create(&prefix, &bytes, &options).await
        };
        let (_, sequence) = self.call(attempted, create).await?;
        Ok(Znode::numbered(self.keeper.root(), group, sequence.into_i64()))
    }
}

#[async_trait]
impl Elections for ZookeeperElections {
    async fn join(&self, group: &str, data: &CandidateData) -> Result<Znode, Error> {
        check_group(group)?;
        let attempted = format!("join group `{group}` as `{}` at {}", data.candidate, self.keeper.options().hosts);
        let guid = guid();
        let mut made = self.create(&attempted, group, &guid, data).await;
        if matches!(made, Err(Error::Missing { .. })) {
            self.make_group(&attempted, group).await?;
            made = self.create(&attempted, group, &guid, data).await;
        }
        let mut lookups = 0;
        while let Err(Error::Unknown { .. }) = made {
            if lookups == MAX_CREATE_LOOKUPS {
                break;
            }
            lookups += 1;
            made = match self.find(&attempted, group, &guid).await {
                Ok(Some(znode)) => Ok(znode),
                Ok(None) => self.create(&attempted, group, &guid, data).await,
                Err(_) => made,
            };
        }
        made
    }

    async fn update(&self, znode: &Znode, data: &CandidateData) -> Result<(), Error> {
        let attempted = format!("update `{}`", znode.path);
        let bytes = encode(&attempted, &CandidateNode { guid: String::new(), data: data.clone() })?;
        let path = znode.path.clone();
        self.call(&attempted, |client| async move { client.set_data(&path, &bytes, None).await }).await.map(|_| ())
    }

    async fn leave(&self, znode: &Znode) -> Result<(), Error> {
        let path = znode.path.clone();
        let attempted = format!("remove `{path}`");
        match self.call(&attempted, |client| async move { client.delete(&path, None).await }).await {
            Err(Error::Missing { .. }) => Ok(()),
            other => other,
        }
    }

    async fn candidates(&self, group: &str) -> Result<Vec<Candidate>, Error> {
        check_group(group)?;
        let attempted = format!("list the candidates of group `{group}`");
        let (path, root, name) = (self.group_path(group), self.keeper.root().to_owned(), group.to_owned());
        let read = |client: Client| async move {
            let mut found = Vec::new();
            for (sequence, child) in sequences(&client.list_children(&path).await?) {
                match client.get_data(&format!("{path}/{child}")).await {
                    Ok((bytes, _)) => found.extend(candidate(&root, &name, sequence, &bytes)),
                    Err(zk::Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        };
        match self.call(&attempted, read).await {
            Err(Error::Missing { .. }) => Ok(Vec::new()),
            other => other,
        }
    }

    async fn leader(&self, group: &str) -> Result<Option<Led>, Error> {
        check_group(group)?;
        let attempted = format!("read the leader of group `{group}`");
        let path = self.leader_path(group);
        match self.call(&attempted, |client| async move { client.get_data(&path).await }).await {
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok((bytes, stat)) => match decode_leader(&bytes, stat.version) {
                Some(led) => Ok(Some(led)),
                None => Err(Error::invalid(
                    attempted,
                    format!("`{}` holds no leader record; delete it or use another chroot", self.leader_path(group)),
                )),
            },
        }
    }

    async fn set_leader(
        &self,
        group: &str,
        expected: Option<Version>,
        record: &LeaderRecord,
    ) -> Result<Version, Error> {
        check_group(group)?;
        let attempted = format!("make `{}` leader of group `{group}` in term {}", record.candidate, record.term);
        let bytes = encode(&attempted, record)?;
        let path = self.leader_path(group);
        let Some(Version(version)) = expected else {
            let made = self.create_leader(&attempted, &path, &bytes).await;
            if !matches!(made, Err(Error::Missing { .. })) {
                return made;
            }
            self.make_group(&attempted, group).await?;
            return self.create_leader(&attempted, &path, &bytes).await;
        };
        let conflict = |found: &str| Error::conflict(attempted.clone(), Version(version), found);
        let Ok(expected) = i32::try_from(version) else {
            return Err(conflict("versions of at most 31 bits"));
        };
        let set = self.call(&attempted, |client| async move { client.set_data(&path, &bytes, Some(expected)).await });
        match set.await {
            Ok(stat) => Ok(Version(stat.version.into())),
            Err(Error::Missing { .. }) => Err(conflict("no record")),
            Err(error) => Err(error),
        }
    }

    async fn groups(&self) -> Result<Vec<String>, Error> {
        let root = self.keeper.root().to_owned();
        match self.call("list the groups", |client| async move { client.list_children(&root).await }).await {
            Err(Error::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(mut groups) => {
                groups.sort_unstable();
                Ok(groups)
            }
        }
    }

    fn watch(&self, group: &str) -> Latest<GroupState> {
        watch::start(Arc::clone(&self.keeper), group)
    }

    fn session(&self) -> Latest<Session> {
        self.keeper.session()
    }
}

impl ZookeeperElections {
    async fn create_leader(&self, attempted: &str, path: &str, bytes: &[u8]) -> Result<Version, Error> {
        let create = |client: Client| async move { client.create(path, bytes, &persistent()).await };
        self.call(attempted, create).await.map(|(stat, _)| Version(stat.version.into()))
    }
}

fn persistent() -> zk::CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

/// A mark that nobody else uses: random start, then counted.
fn guid() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let random = RandomState::new().build_hasher().finish();
    format!("{random:016x}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn decode_candidate(bytes: &[u8]) -> Option<CandidateNode> {
    serde_json::from_slice(bytes).ok()
}

fn candidate(root: &str, group: &str, sequence: i64, bytes: &[u8]) -> Option<Candidate> {
    let node = decode_candidate(bytes)?;
    Some(Candidate { znode: Znode::numbered(root, group, sequence), data: node.data })
}

fn decode_leader(bytes: &[u8], version: i32) -> Option<Led> {
    let record = serde_json::from_slice(bytes).ok()?;
    Some(Led { record, version: Version(version.into()) })
}

/// The candidates among the children, in order; a foreign child is none.
fn sequences(children: &[String]) -> Vec<(i64, &str)> {
    let number = |child: &String| child.strip_prefix(CANDIDATE_PREFIX)?.parse::<i64>().ok();
    let mut found: Vec<_> = children.iter().filter_map(|child| Some((number(child)?, child.as_str()))).collect();
    found.sort_unstable();
    found
}

/// Runs one call with a time limit, and sorts its errors.
async fn run<T>(
    attempted: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, zk::Error>>,
) -> Result<T, Error> {
    let unknown = |reason: String| Error::Unknown { attempted: attempted.to_owned(), waited: limit, reason };
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        // the request stays queued in the client and may still be sent: nobody knows
        Err(_) => Err(unknown("ZooKeeper did not answer".into())),
        Ok(Err(error)) => Err(match error {
            zk::Error::NoNode => Error::missing(attempted),
            zk::Error::BadVersion => Error::conflict(attempted, "the version that was read", "another one"),
            zk::Error::NodeExists => Error::conflict(attempted, "no record", "a record"),
            zk::Error::ConnectionLoss | zk::Error::SessionExpired | zk::Error::Timeout | zk::Error::ClientClosed => {
                unknown(error.to_string())
            }
            zk::Error::BadArguments(reason) => Error::invalid(attempted, (*reason).to_owned()),
            zk::Error::NoAuth | zk::Error::InvalidAcl | zk::Error::QuotaExceeded => {
                Error::invalid(attempted, format!("ZooKeeper refused: {error}; check its access rights and quotas"))
            }
            other => Error::unavailable(attempted, other),
        }),
    }
}
