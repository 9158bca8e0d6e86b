//! What the election service says: followed at every instance, so that the loss of one hides nothing.

use mesh_proto::election::election_client::ElectionClient;
use mesh_proto::election::{
    CandidateStatus, GroupStatus, MaintainRequest, Maintenance, PromoteRequest, PromoteResponse, StatusRequest,
    StatusResponse,
};
use mesh_service::grpc::{MESSAGE_BYTES_MAX, request};
use mesh_service::security::{Caller, Link};
use mesh_service::{Drain, Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;

/// Instances that are followed at most.
const INSTANCES_MAX: usize = 16;

/// Wait before a broken watch is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Called with every group of every message.
pub(crate) type OnGroup = Arc<dyn Fn(&GroupStatus) + Send + Sync>;

/// The election service as seen from here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Elections {
    views: Arc<Mutex<BTreeMap<String, View>>>,
    changed: watch::Sender<u64>,
    on_group: OnGroup,
    caller: Caller,
    drain: Drain,
}

/// What one instance says.
struct View {
    link: Link,
    last: Option<StatusResponse>,
    error: Option<String>,
    /// Ends its task.
    stop: Drain,
}

/// All instances together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Merged {
    pub(crate) groups: Vec<GroupStatus>,
    /// Instances that do not answer, or have lost ZooKeeper, with the reason.
    pub(crate) unavailable: Vec<(String, String)>,
}

impl Elections {
    pub(crate) fn new(on_group: OnGroup, caller: Caller, drain: Drain) -> Self {
        Elections { views: Arc::default(), changed: watch::channel(0).0, on_group, caller, drain }
    }

    /// Tells of every change.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Follows these instances and no others.
    pub(crate) fn follow(&self, addresses: &[String]) {
        let mut views = self.lock();
        views.retain(|address, view| {
            let keep = addresses.contains(address);
            if !keep {
                view.stop.start("no longer there");
            }
            keep
        });
        for address in addresses.iter().take(INSTANCES_MAX) {
            if views.contains_key(address) {
                continue;
            }
            let link = match self.caller.connect(address) {
                Ok(link) => link,
                Err(refusal) => {
                    tracing::warn!(address, %refusal, "election instance left out");
                    continue;
                }
            };
            let stop = self.drain.child();
            let error = Some("not reached yet".to_owned());
            views.insert(address.clone(), View { link: link.clone(), last: None, error, stop: stop.clone() });
            tokio::spawn(self.clone().follow_one(address.clone(), link, stop));
        }
    }

    async fn follow_one(self, address: String, link: Link, stop: Drain) {
        loop {
            let error = tokio::select! {
                () = stop.started() => return,
                error = self.read(&address, link.clone()) => error,
            };
            self.update(&address, |view| view.error = Some(error));
            tokio::select! {
                () = stop.started() => return,
                () = tokio::time::sleep(REOPEN_AFTER) => {}
            }
        }
    }

    /// Reads a watch until it breaks; returns why.
    async fn read(&self, address: &str, link: Link) -> String {
        let why = |status: &tonic::Status| Refusal::from_status(&format!("election at {address}"), status).to_string();
        let mut client = ElectionClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut stream = match client.watch(StatusRequest::default()).await {
            Ok(response) => response.into_inner(),
            Err(status) => return why(&status),
        };
        loop {
            match stream.message().await {
                Ok(Some(status)) => {
                    for group in &status.groups {
                        (self.on_group)(group);
                    }
                    self.update(address, |view| {
                        let lost = status.session != "connected" && !status.session.is_empty();
                        view.error =
                            lost.then(|| format!("election at {address}: its ZooKeeper session is {}", status.session));
                        view.last = Some(status);
                    });
                }
                Ok(None) => return format!("election at {address}: ended the watch"),
                Err(status) => return why(&status),
            }
        }
    }

    fn update(&self, address: &str, change: impl FnOnce(&mut View)) {
        if let Some(view) = self.lock().get_mut(address) {
            change(view);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// All instances together, as last heard.
    pub(crate) fn merged(&self) -> Merged {
        let views = self.lock();
        let mut groups: BTreeMap<String, GroupStatus> = BTreeMap::new();
        for group in views.values().filter_map(|view| view.last.as_ref()).flat_map(|status| &status.groups) {
            groups.entry(group.group.clone()).and_modify(|known| merge(known, group)).or_insert_with(|| group.clone());
        }
        let unavailable =
            views.iter().filter_map(|(address, view)| Some((address.clone(), view.error.clone()?))).collect();
        Merged { groups: groups.into_values().collect(), unavailable }
    }

    /// How many instances are followed.
    pub(crate) fn instances(&self) -> usize {
        self.lock().len()
    }

    /// Asks an instance to hand a group over.
    pub(crate) async fn promote(
        &self,
        message: PromoteRequest,
        deadline: Duration,
    ) -> Result<PromoteResponse, Refusal> {
        let what = format!("promote in group `{}`", message.group);
        let call = |mut client: ElectionClient<Link>| {
            let message = request(message.clone(), deadline);
            async move { client.promote(message).await }
        };
        self.ask(&what, call).await
    }

    /// Asks an instance to change what is held back in a group; says what is then.
    pub(crate) async fn maintain(&self, message: MaintainRequest, deadline: Duration) -> Result<Maintenance, Refusal> {
        let what = format!("maintenance of group `{}`", message.group);
        let call = |mut client: ElectionClient<Link>| {
            let message = request(message.clone(), deadline);
            async move { client.maintain(message).await }
        };
        Ok(self.ask(&what, call).await?.maintenance.unwrap_or_default())
    }

    /// Asks an instance; the next one when it does not answer.
    async fn ask<A, F>(&self, what: &str, call: impl Fn(ElectionClient<Link>) -> F + Send) -> Result<A, Refusal>
    where
        F: Future<Output = Result<tonic::Response<A>, tonic::Status>> + Send,
    {
        // those that answer come first
        let mut instances: Vec<(bool, String, Link)> = self
            .lock()
            .iter()
            .map(|(address, view)| (view.error.is_some(), address.clone(), view.link.clone()))
            .collect();
        instances.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut last = Refusal::unavailable(what)
            .found("no election instance is known")
            .way_out("set `elections`, or start the election service with `coordinators`");
        for (_, address, link) in instances {
            match call(ElectionClient::new(link)).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => {
                    let refusal = Refusal::from_status(&format!("election at {address}"), &status);
                    if refusal.kind != Kind::Unavailable {
                        return Err(refusal);
                    }
                    last = refusal.way_out("see that the election service is up, then try again");
                }
            }
        }
        Err(last)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, View>> {
        self.views.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Adds what another instance says of a group: the newer leader holds; signs of life are known where the stream is held.
fn merge(known: &mut GroupStatus, other: &GroupStatus) {
    if other.term > known.term {
        known.term = other.term;
        known.leader.clone_from(&other.leader);
        known.reason.clone_from(&other.reason);
        known.since_us = other.since_us;
        known.maintenance.clone_from(&other.maintenance);
        known.deposed.clone_from(&other.deposed);
    }
    let detailed = |candidate: &CandidateStatus| candidate.progress.as_ref().is_some_and(|progress| progress.role != 0);
    for candidate in &other.candidates {
        match known.candidates.iter_mut().find(|have| have.candidate == candidate.candidate) {
            Some(have) if detailed(candidate) && !detailed(have) => *have = candidate.clone(),
            Some(_) => {}
            None => known.candidates.push(candidate.clone()),
        }
    }
    known.candidates.sort_by(|a, b| a.znode.cmp(&b.znode));
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::election::Progress;

    fn candidate(name: &str, znode: &str, role: i32) -> CandidateStatus {
        let progress = Some(Progress { role, ..Progress::default() });
        CandidateStatus { candidate: name.into(), znode: znode.into(), progress, ..CandidateStatus::default() }
    }

    #[test]
    fn the_newer_leader_and_the_better_informed_instance_win() {
        let mut known = GroupStatus {
            group: "g".into(),
            term: 1,
            leader: "a".into(),
            candidates: vec![candidate("a", "n_2", 0), candidate("b", "n_3", 2)],
            ..GroupStatus::default()
        };
        let other = GroupStatus {
            group: "g".into(),
            term: 2,
            leader: "b".into(),
            candidates: vec![candidate("a", "n_2", 4), candidate("b", "n_3", 0), candidate("c", "n_1", 2)],
            ..GroupStatus::default()
        };
        merge(&mut known, &other);
        assert_eq!((known.term, known.leader.as_str()), (2, "b"));
        assert_eq!(known.candidates, [candidate("c", "n_1", 2), candidate("a", "n_2", 4), candidate("b", "n_3", 2)]);
    }
}
