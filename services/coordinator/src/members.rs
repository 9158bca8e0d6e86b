//! Who is part of the mesh: announced here, or at another instance and kept in the registry.

use mesh_proto::coordinator::{AnnounceRequest, Member};
use mesh_proto::engine::StatusRequest;
use mesh_proto::engine::engine_client::EngineClient;
use mesh_service::grpc::{MESSAGE_BYTES_MAX, request};
use mesh_service::security::{Caller, Link};
use mesh_service::{Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::now_us;
use crate::known::Known;
use crate::store::{Store, StoredMember};

/// Members that are remembered at most.
const MEMBERS_MAX: usize = 1024;

/// How often an announcement is written to the registry, for the other instance; a change is written at once.
const STORE_EVERY: Duration = Duration::from_secs(5);

/// What an engine is called in announcements.
pub(crate) const ENGINE: &str = "engine";

/// What an election instance is called in announcements.
pub(crate) const ELECTION: &str = "election";

/// The members. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Members {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    caller: Caller,
    links: Arc<Mutex<BTreeMap<String, Link>>>,
    forget_after: Duration,
    /// Counts who came or changed.
    changed: watch::Sender<u64>,
}

struct Seen {
    announced: AnnounceRequest,
    at: Instant,
    /// When it was last given to the registry.
    stored: Option<Instant>,
    /// True while a write is on its way.
    storing: bool,
}

/// Members of which some did not answer.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    pub(crate) members: Vec<Member>,
    pub(crate) unavailable: Vec<(String, String)>,
}

impl Members {
    pub(crate) fn new(forget_after: Duration, caller: Caller) -> Self {
        Members { seen: Arc::default(), caller, links: Arc::default(), forget_after, changed: watch::channel(0).0 }
    }

    /// Tells of everybody who comes or changes.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A member says that it is there. The registry is told in the background: announcing works without etcd.
    pub(crate) fn announce(&self, announced: AnnounceRequest, store: &Store) -> Result<(), Refusal> {
        if announced.name.is_empty() || announced.kind.is_empty() {
            return Err(Refusal::invalid("announce").expected("a name and a kind").found("an empty one"));
        }
        let mut seen = self.lock();
        if seen.len() >= MEMBERS_MAX && !seen.contains_key(&announced.name) {
            return Err(Refusal::new(Kind::Exhausted, format!("announce `{}`", announced.name))
                .expected(format!("at most {MEMBERS_MAX} members"))
                .found("one more")
                .way_out("members that are gone are forgotten after `forget_members_after`"));
        }
        let now = Instant::now();
        let entry = seen.entry(announced.name.clone()).or_insert_with(|| Seen {
            announced: AnnounceRequest::default(),
            at: now,
            stored: None,
            storing: false,
        });
        let changed = entry.announced != announced;
        if changed {
            tracing::info!(
                name = announced.name,
                kind = announced.kind,
                address = announced.address,
                "member announced"
            );
            self.changed.send_modify(|count| *count += 1);
        }
        let due = changed || entry.stored.is_none_or(|at| now.duration_since(at) >= STORE_EVERY);
        let store_now = due && !entry.storing;
        entry.announced = announced;
        entry.at = now;
        if store_now {
            entry.storing = true;
            let member = StoredMember::from_proto(&entry.announced, now_us());
            tokio::spawn(self.clone().store(store.clone(), member));
        }
        Ok(())
    }

    async fn store(self, store: Store, member: StoredMember) {
        let stored = store.put_member(&member).await;
        if let Some(seen) = self.lock().get_mut(&member.name) {
            seen.storing = false;
            if stored.is_ok() {
                seen.stored = Some(Instant::now());
            }
        }
    }

    /// Everybody, in order of name, with the time since they announced themselves.
    pub(crate) fn all(&self, known: &Known) -> Vec<(AnnounceRequest, Duration)> {
        let now = now_us();
        let mut all: BTreeMap<String, (AnnounceRequest, Duration)> = BTreeMap::new();
        for (member, _) in known.members.borrow().iter() {
            let ago = Duration::from_micros(u64::try_from(now - member.seen_us).unwrap_or(0));
            if ago < self.forget_after {
                all.insert(member.name.clone(), (member.to_proto(), ago));
            }
        }
        for (name, seen) in self.lock().iter() {
            let ago = seen.at.elapsed();
            // it may announce itself at the other instance now
            if all.get(name).is_none_or(|(_, stored_ago)| ago < *stored_ago) {
                all.insert(name.clone(), (seen.announced.clone(), ago));
            }
        }
        all.into_values().collect()
    }

    /// `host:port` of all election instances that announced themselves.
    pub(crate) fn elections(&self, known: &Known) -> Vec<String> {
        let all = self.all(known).into_iter();
        all.filter(|(announced, _)| announced.kind == ELECTION).map(|(announced, _)| announced.address).collect()
    }

    /// Everybody, engines with what they say of themselves. All engines are asked at once.
    pub(crate) async fn poll(&self, known: &Known, project: &str, deadline: Duration) -> Polled {
        let all = self.all(known);
        self.links_lock().retain(|address, _| all.iter().any(|(announced, _)| announced.address == *address));
        let mut calls = JoinSet::new();
        for (index, (announced, _)) in all.iter().enumerate().filter(|(_, (announced, _))| announced.kind == ENGINE) {
            let link = self.link(&announced.address);
            let message = StatusRequest { project: project.to_owned() };
            let target = format!("engine `{}` at {}", announced.name, announced.address);
            calls.spawn(async move {
                let answer = async {
                    let mut client = EngineClient::new(link?).max_decoding_message_size(MESSAGE_BYTES_MAX);
                    let call = client.status(request(message, deadline));
                    match tokio::time::timeout(deadline, call).await {
                        Ok(Ok(response)) => Ok(response.into_inner()),
                        Ok(Err(status)) => Err(Refusal::from_status(&target, &status)),
                        Err(_) => Err(Refusal::new(Kind::Deadline, format!("status of {target}"))
                            .found(format!("no answer within {deadline:?}"))),
                    }
                };
                (index, answer.await)
            });
        }
        let mut polled = Polled::default();
        for (announced, ago) in all {
            let seen_ms_ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            polled.members.push(Member { announced: Some(announced), seen_ms_ago, ..Member::default() });
        }
        while let Some(joined) = calls.join_next().await {
            match joined {
                Ok((index, Ok(status))) => polled.members[index].engine = Some(status),
                Ok((index, Err(refusal))) => {
                    let name = polled.members[index].announced.as_ref().map(|announced| announced.name.clone());
                    polled.unavailable.push((name.unwrap_or_default(), refusal.to_string()));
                }
                Err(error) => tracing::error!(%error, "status call panicked"),
            }
        }
        polled.unavailable.sort();
        polled
    }

    /// Forgets who has been gone for long, here and in the registry.
    pub(crate) async fn forget(&self, known: &Known, store: &Store) {
        let limit = self.forget_after;
        self.lock().retain(|_, seen| seen.at.elapsed() < limit);
        let stale_before = now_us() - i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
        let stored = known.members.borrow().clone();
        for (member, entry) in stored.iter().filter(|(member, _)| member.seen_us < stale_before) {
            match store.forget_member(entry).await {
                Ok(()) => tracing::info!(name = member.name, "member forgotten, it was gone for long"),
                Err(error) => {
                    tracing::debug!(name = member.name, %error, "member not forgotten yet");
                    return;
                }
            }
        }
    }

    pub(crate) fn link(&self, address: &str) -> Result<Link, Refusal> {
        let mut links = self.links_lock();
        if let Some(link) = links.get(address) {
            return Ok(link.clone());
        }
        let link = self.caller.connect(address)?;
        links.insert(address.to_owned(), link.clone());
        Ok(link)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn links_lock(&self) -> MutexGuard<'_, BTreeMap<String, Link>> {
        self.links.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
