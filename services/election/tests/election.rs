//! The service with elections in memory, real streams, and candidates that crash, hang and move.
#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_candidate::{CandidateEvent, CandidateHandle, CandidateOptions, CredentialsSource, Progress, Role};
use mesh_coordination::{Elections, MemoryElections};
use mesh_election::ElectionConfig;
use mesh_proto::election as pb;
use mesh_proto::election::election_client::ElectionClient;
use mesh_service::{Scope, Span};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// An election instance; `kill` ends it without a word, as SIGKILL does.
struct Instance {
    endpoint: String,
    elections: MemoryElections,
    scope: Scope,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Instance {
    async fn start(name: &str, elections: MemoryElections, config: ElectionConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let scope = Scope::new();
        let (name, port, inner) = (name.to_owned(), elections.clone(), scope.clone());
        let endpoint = runtime
            .spawn(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let endpoint = listener.local_addr().unwrap().to_string();
                tokio::spawn(mesh_election::run(config, name, Arc::new(port), listener, inner));
                endpoint
            })
            .await
            .unwrap();
        Self { endpoint, elections, scope, runtime: Some(runtime) }
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    async fn client(&self) -> ElectionClient<tonic::transport::Channel> {
        ElectionClient::connect(format!("http://{}", self.endpoint)).await.unwrap()
    }

    async fn status(&self, group: &str) -> pb::GroupStatus {
        self.known(group).await.expect("a group that this instance has heard of")
    }

    /// The group's status; none while this instance has not heard of it: groups reach the others through ZooKeeper.
    async fn known(&self, group: &str) -> Option<pb::GroupStatus> {
        let request = pb::StatusRequest { group: group.into() };
        match self.client().await.status(request).await {
            Ok(status) => Some(status.into_inner().groups.remove(0)),
            Err(error) if error.code() == tonic::Code::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A candidate with its own listener and an executor that obeys the election.
struct Engine {
    name: String,
    handle: Option<CandidateHandle>,
    events: mpsc::Receiver<CandidateEvent>,
    state: watch::Sender<State>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    progress: Progress,
    frozen: bool,
}

impl Engine {
    async fn start(name: &str, group: &str, instances: &[&Instance]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let accepts = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let options = CandidateOptions {
            group: group.into(),
            candidate: name.into(),
            address,
            incarnation: 1,
            endpoints: instances.iter().map(|instance| instance.endpoint.clone()).collect(),
            heartbeat: Duration::from_millis(50),
            credentials: CredentialsSource::default(),
        };
        let (handle, events) = CandidateHandle::start(options).unwrap();
        let progress = Progress { caught_up: true, role: Role::Standby, ..Progress::default() };
        let state = watch::Sender::new(State { progress, frozen: false });
        let (executor, view) = (handle.clone(), state.subscribe());
        // its own clone would keep the stream open after a crash: it ends with the tasks
        let beats = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(20));
            loop {
                every.tick().await;
                let state = *view.borrow();
                if !state.frozen {
                    executor.progress(state.progress);
                }
            }
        });
        Self { name: name.into(), handle: Some(handle), events, state, tasks: vec![accepts, beats] }
    }

    fn set(&self, change: impl FnOnce(&mut Progress)) {
        self.state.send_modify(|state| change(&mut state.progress));
    }

    /// Ends everything at once, as SIGKILL does: the stream breaks and the port refuses.
    async fn kill(&mut self) {
        self.handle = None;
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }

    /// Stops showing signs of life; streams and port stay, as with SIGSTOP of the executor.
    fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    async fn event(&mut self, what: &str, fits: impl Fn(&CandidateEvent) -> bool) -> CandidateEvent {
        let name = self.name.clone();
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                if fits(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name}: not within {PATIENCE:?}: {what}"))
    }

    async fn joined(&mut self) -> String {
        match self.event("joined", |event| matches!(event, CandidateEvent::Joined { .. })).await {
            CandidateEvent::Joined { znode, .. } => znode,
            _ => unreachable!("only that event fits"),
        }
    }

    /// Waits for a grant, and leads.
    async fn granted(&mut self) -> u64 {
        match self.event("a grant", |event| matches!(event, CandidateEvent::Granted { .. })).await {
            CandidateEvent::Granted { term, .. } => {
                self.set(|progress| (progress.role, progress.term) = (Role::Active, term));
                term
            }
            _ => unreachable!("only that event fits"),
        }
    }

    async fn follows(&mut self, leader: &str, term: u64) {
        let expected = CandidateEvent::Leader { term, candidate: leader.into() };
        self.event("another leader", |event| *event == expected).await;
    }
}

fn config() -> ElectionConfig {
    ElectionConfig { settle: Span::from_millis(100), minimum_term: Span::from_millis(100), ..ElectionConfig::default() }
}

/// Waits until the status is as asked for.
async fn until(instance: &Instance, group: &str, what: &str, fits: impl Fn(&pb::GroupStatus) -> bool) {
    let mut last = None;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        last = instance.known(group).await;
        if last.as_ref().is_some_and(&fits) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within {PATIENCE:?}: {what}: {last:?}");
}

fn caught_up(status: &pb::GroupStatus) -> usize {
    status.candidates.iter().filter(|c| c.progress.as_ref().is_some_and(|p| p.caught_up)).count()
}

/// Two engines on one instance, `a` leading in term 1.
async fn pair(group: &str, instances: &[&Instance]) -> (Engine, Engine) {
    let mut a = Engine::start("a", group, instances).await;
    let znode = a.joined().await;
    assert!(znode.starts_with(&format!("/ESP/{group}/server-n_")), "{znode}");
    let mut b = Engine::start("b", group, instances).await;
    b.joined().await;
    assert_eq!(a.granted().await, 1);
    b.follows("a", 1).await;
    let watching = b.event("watching", |event| matches!(event, CandidateEvent::Watching { .. })).await;
    assert_eq!(watching, CandidateEvent::Watching { znode });
    until(instances[0], group, "both caught up", |status| caught_up(status) == 2).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_followed_by_a_grant_to_the_next_within_milliseconds() {
    let one = Instance::start("one", MemoryElections::new(), config()).await;
    let (mut a, mut b) = pair("g", &[&one]).await;
    let began = Instant::now();
    a.kill().await;
    assert_eq!(b.granted().await, 2);
    let took = began.elapsed();
    eprintln!("RESULT {{\"name\":\"election_crash_to_grant\",\"ms\":{:.2}}}", took.as_secs_f64() * 1e3);
    assert!(took < Duration::from_millis(400), "{took:?} is no better than waiting for a hang");
    let status = one.status("g").await;
    assert_eq!((status.term, status.leader.as_str()), (2, "b"));
    assert!(status.reason.contains("crashed"), "{}", status.reason);
    assert!(status.since_us > 1_600_000_000_000_000);
    let text = one.scope.metrics.text();
    assert!(text.contains("esp_election_grants_total{group=\"g\"} 2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_hangs_is_replaced_after_the_hang_timeout_and_follows_when_it_wakes() {
    let one = Instance::start("one", MemoryElections::new(), config()).await;
    let (mut a, mut b) = pair("g", &[&one]).await;
    let began = Instant::now();
    a.freeze();
    assert_eq!(b.granted().await, 2);
    let took = began.elapsed();
    eprintln!("RESULT {{\"name\":\"election_hang_to_grant\",\"ms\":{:.2}}}", took.as_secs_f64() * 1e3);
    assert!(took >= Duration::from_millis(300), "{took:?}: a hang needs 400 ms of silence, at most 100 of them before");
    a.follows("b", 2).await;
    assert!(one.status("g").await.reason.contains("no progress"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_instance_is_killed_re_attaches_and_leads_on() {
    let elections = MemoryElections::new();
    let mut one = Instance::start("one", elections.clone(), config()).await;
    let two = Instance::start("two", elections.open_session(), config()).await;
    let (mut a, mut b) = pair("g", &[&one, &two]).await;
    one.kill();
    let lost = one.elections.clone();
    for engine in [&mut a, &mut b] {
        let expected = CandidateEvent::Attached { endpoint: two.endpoint.clone() };
        engine.event("attached to the other", |event| *event == expected).await;
        engine.joined().await;
    }
    // the server gives the dead instance's session up a second later
    lost.expire();
    until(&two, "g", "both at the other instance", |status| {
        status.candidates.len() == 2 && status.candidates.iter().all(|c| c.instance == "two") && caught_up(status) == 2
    })
    .await;
    // longer than a hang: nothing must come of the move
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let status = two.status("g").await;
    assert_eq!((status.term, status.leader.as_str()), (1, "a"), "{status:?}");

    a.kill().await;
    assert_eq!(b.granted().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_at_another_instance_is_granted_there() {
    let elections = MemoryElections::new();
    let one = Instance::start("one", elections.clone(), config()).await;
    let two = Instance::start("two", elections.open_session(), config()).await;
    let mut a = Engine::start("a", "g", &[&one]).await;
    a.joined().await;
    let mut b = Engine::start("b", "g", &[&two]).await;
    b.joined().await;
    assert_eq!(a.granted().await, 1);
    b.follows("a", 1).await;
    until(&one, "g", "both caught up", |status| caught_up(status) == 2).await;
    let began = Instant::now();
    a.kill().await;
    assert_eq!(b.granted().await, 2);
    let took = began.elapsed();
    eprintln!("RESULT {{\"name\":\"election_crash_to_grant_elsewhere\",\"ms\":{:.2}}}", took.as_secs_f64() * 1e3);
    assert!(took < Duration::from_millis(400), "{took:?}");
    until(&one, "g", "the new leader is known here", |status| status.leader == "b").await;
}

/// Does what an engine does on `HandOver`.
async fn obey(mut engine: Engine) -> Engine {
    let wanted = engine.event("a request to hand over", |event| matches!(event, CandidateEvent::HandOver { .. })).await;
    if let CandidateEvent::HandOver { term, successor } = wanted {
        engine.set(|progress| progress.role = Role::Standby);
        engine.handle.as_ref().unwrap().stepped_down(term, successor, "asked to");
    }
    engine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promote_hands_over_wherever_the_leader_is_and_refuses_clearly() {
    let elections = MemoryElections::new();
    let one = Instance::start("one", elections.clone(), config()).await;
    let two = Instance::start("two", elections.open_session(), config()).await;
    let (a, mut b) = pair("g", &[&one]).await;
    until(&two, "g", "the group is known at the other", |status| caught_up(status) == 2).await;
    let mut client = two.client().await;
    let request = |candidate: &str| pb::PromoteRequest {
        group: "g".into(),
        candidate: candidate.into(),
        reason: "maintenance".into(),
    };
    let refused = client.promote(request("a")).await.unwrap_err();
    assert!(refused.message().contains("`a`, which leads in term 1"), "{}", refused.message());
    let refused = client.promote(request("x")).await.unwrap_err();
    assert!(refused.message().contains("one of its candidates: a, b, found `x`"), "{}", refused.message());

    let leader = tokio::spawn(obey(a));
    let promoted = client.promote(request("")).await.unwrap().into_inner();
    assert_eq!((promoted.term, promoted.leader.as_str()), (2, "b"));
    assert_eq!(b.granted().await, 2);
    let mut a = leader.await.unwrap();
    a.follows("b", 2).await;
    until(&two, "g", "the reason is kept", |status| status.reason.contains("maintenance")).await;

    a.set(|progress| progress.caught_up = false);
    until(&two, "g", "not caught up", |status| caught_up(status) == 1).await;
    let refused = client.promote(request("a")).await.unwrap_err();
    assert!(refused.message().contains("`a` is not"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_ordered_at_one_instance_holds_at_the_other() {
    let elections = MemoryElections::new();
    let one = Instance::start("one", elections.clone(), config()).await;
    let two = Instance::start("two", elections.open_session(), config()).await;
    let (a, mut b) = pair("g", &[&one]).await;
    until(&two, "g", "the group is known at the other", |status| caught_up(status) == 2).await;
    let mut client = two.client().await;
    let order = pb::Order { by: "ada".into(), reason: "new disk".into(), at_us: 0 };
    let request = |action: pb::MaintenanceAction, candidate: &str| pb::MaintainRequest {
        group: "g".into(),
        action: action.into(),
        candidate: candidate.into(),
        order: Some(order.clone()),
    };
    let wrong = client.maintain(request(pb::MaintenanceAction::Drain, "")).await.unwrap_err();
    assert!(wrong.message().contains("`candidate`"), "{}", wrong.message());
    let wrong = client.maintain(request(pb::MaintenanceAction::Unspecified, "a")).await.unwrap_err();
    assert!(wrong.message().contains("pause, resume, drain or undrain"), "{}", wrong.message());

    // the leader's stream is held by the other instance, which has it hand over
    let leader = tokio::spawn(obey(a));
    let held = client.maintain(request(pb::MaintenanceAction::Drain, "a")).await.unwrap().into_inner().maintenance;
    let held = held.unwrap().drained["a"].clone();
    assert_eq!((held.by.as_str(), held.reason.as_str()), ("ada", "new disk"));
    assert!(held.at_us > 1_700_000_000_000_000, "now");
    assert_eq!(b.granted().await, 2);
    let a = leader.await.unwrap();
    until(&one, "g", "the reason is kept", |status| status.reason.contains("`a`: drained by ada: new disk")).await;
    let promote = pb::PromoteRequest { group: "g".into(), candidate: "a".into(), reason: String::new() };
    let refused = client.promote(promote.clone()).await.unwrap_err();
    assert!(refused.message().contains("`espctl undrain a`"), "{}", refused.message());

    let mut other = one.client().await;
    other.maintain(request(pb::MaintenanceAction::Pause, "")).await.unwrap();
    other.maintain(request(pb::MaintenanceAction::Undrain, "a")).await.unwrap();
    b.kill().await;
    until(&one, "g", "a leader is needed", |status| !status.deposed.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let status = one.status("g").await;
    assert_eq!((status.term, status.leader.as_str()), (2, "b"), "nobody is elected while the group is paused");
    assert_eq!(client.promote(promote).await.unwrap().into_inner().term, 3, "but by a promotion");
    drop(a);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_server_moves_no_leader_and_is_repaired() {
    let elections = MemoryElections::new();
    let one = Instance::start("one", elections.clone(), config()).await;
    let (a, b) = pair("g", &[&one]).await;
    elections.set_down(true);
    let request = pb::PromoteRequest { group: "g".into(), candidate: "b".into(), reason: String::new() };
    let mut client = one.client().await;
    let begin = Instant::now();
    loop {
        let refused = client.promote(request.clone()).await.unwrap_err();
        if refused.message().contains("expected a session with ZooKeeper, found none") {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{}", refused.message());
    }
    // the session expires meanwhile: the nodes are gone
    elections.expire();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let status = one.status("g").await;
    assert_eq!((status.term, status.leader.as_str()), (1, "a"));
    elections.set_down(false);
    until(&one, "g", "the nodes are made anew", |status| {
        caught_up(status) == 2 && status.candidates.iter().all(|candidate| !candidate.znode.is_empty())
    })
    .await;
    assert_eq!(elections.candidates("g").await.unwrap().len(), 2);
    assert_eq!(one.status("g").await.term, 1);
    drop((a, b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_candidates_are_refused() {
    let one = Instance::start("one", MemoryElections::new(), config()).await;
    let mut client = one.client().await;
    for (group, candidate, expected) in [("a/b", "a", "slash"), ("g", "", "`candidate`"), ("", "a", "empty")] {
        let join = pb::Join {
            group: group.into(),
            candidate: candidate.into(),
            address: "127.0.0.1:9".into(),
            ..pb::Join::default()
        };
        let message = pb::CandidateMessage { message: Some(pb::candidate_message::Message::Join(join)) };
        let mut stream = client.attend(tokio_stream::iter([message])).await.unwrap().into_inner();
        let refused = stream.message().await.unwrap_err();
        assert!(refused.message().contains(expected), "{}", refused.message());
    }
    let refused = client.status(pb::StatusRequest { group: "nobody".into() }).await.unwrap_err();
    assert!(refused.message().contains("group `nobody`"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_the_streams_and_the_service() {
    let elections = MemoryElections::new();
    let one = Instance::start("one", elections.clone(), config()).await;
    let two = Instance::start("two", elections.open_session(), config()).await;
    let (mut a, _b) = pair("g", &[&one, &two]).await;
    one.scope.drain.start("test");
    let expected = CandidateEvent::Attached { endpoint: two.endpoint.clone() };
    a.event("attached to the other", |event| *event == expected).await;
    until(&two, "g", "both at the other instance", |status| {
        status.candidates.len() == 2 && status.candidates.iter().all(|c| c.instance == "two")
    })
    .await;
    assert_eq!(two.status("g").await.term, 1);
}
