//! Two instances on real ZooKeeper. Runs when `ESP_MESH_ZOOKEEPER` names a server (`cargo xtask stack up` prints it).
#![cfg(feature = "real")]
#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_candidate::{CandidateEvent, CandidateHandle, CandidateOptions, CredentialsSource, Progress, Role};
use mesh_coordination::{ZookeeperElections, ZookeeperOptions};
use mesh_election::ElectionConfig;
use mesh_service::Scope;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Crashes in a row.
const CRASHES: u64 = 10;

/// An instance on a runtime of its own, so that it can be ended without a word.
fn instance(name: &str, hosts: &str) -> (String, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = ZookeeperOptions {
        hosts: hosts.into(),
        session_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_secs(1),
        tls: None,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let name = name.to_owned();
    runtime.spawn(async move {
        let elections = Arc::new(ZookeeperElections::start(options).unwrap());
        let listener = TcpListener::from_std(listener).unwrap();
        mesh_election::run(ElectionConfig::default(), name, elections, listener, Scope::new()).await.unwrap();
    });
    (endpoint, runtime)
}

struct Engine {
    handle: CandidateHandle,
    events: mpsc::Receiver<CandidateEvent>,
    port: JoinHandle<()>,
    beats: JoinHandle<()>,
}

impl Engine {
    async fn start(name: &str, group: &str, incarnation: u64, endpoints: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = CandidateOptions {
            group: group.into(),
            candidate: name.into(),
            address: listener.local_addr().unwrap().to_string(),
            incarnation,
            endpoints: endpoints.to_vec(),
            heartbeat: Duration::from_millis(50),
            credentials: CredentialsSource::default(),
        };
        let port = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let (handle, events) = CandidateHandle::start(options).unwrap();
        let mut engine = Self { handle, events, port, beats: tokio::spawn(async {}) };
        engine.say(Role::Standby, 0);
        engine.event("joined", |event| matches!(event, CandidateEvent::Joined { .. })).await;
        engine
    }

    fn say(&mut self, role: Role, term: u64) {
        self.beats.abort();
        let handle = self.handle.clone();
        self.beats = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(20));
            loop {
                every.tick().await;
                handle.progress(Progress { caught_up: true, role, term, ..Progress::default() });
            }
        });
    }

    async fn event(&mut self, what: &str, fits: impl Fn(&CandidateEvent) -> bool) -> CandidateEvent {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                if fits(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
    }

    async fn granted(&mut self) -> u64 {
        match self.event("a grant", |event| matches!(event, CandidateEvent::Granted { .. })).await {
            CandidateEvent::Granted { term, .. } => {
                self.say(Role::Active, term);
                term
            }
            _ => unreachable!("only that event fits"),
        }
    }

    async fn kill(self) {
        for task in [self.port, self.beats] {
            task.abort();
            let _ = task.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_and_the_loss_of_an_instance_on_real_zookeeper() {
    let Ok(server) = std::env::var("ESP_MESH_ZOOKEEPER") else {
        eprintln!("skipped: ESP_MESH_ZOOKEEPER is not set");
        return;
    };
    let hosts = format!("{server}/esp-mesh-test-{:016x}", RandomState::new().build_hasher().finish());
    let (one, first) = instance("one", &hosts);
    let (two, second) = instance("two", &hosts);
    let endpoints = [one, two.clone()];
    let mut leader = Engine::start("a", "g", 1, &endpoints).await;
    assert_eq!(leader.granted().await, 1);
    let mut follower = Engine::start("b", "g", 2, &endpoints).await;
    let mut names = ["a", "b"];
    let mut took_ms = Vec::new();
    for crash in 1..=CRASHES {
        // caught up is said with the first beat; the election acts on it within a few of them
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = Instant::now();
        leader.kill().await;
        assert_eq!(follower.granted().await, crash + 1);
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        leader = follower;
        names.swap(0, 1);
        follower = Engine::start(names[1], "g", 100 + crash, &endpoints).await;
    }
    took_ms.sort_by(f64::total_cmp);
    eprintln!(
        "RESULT {{\"name\":\"election_crash_to_grant_zookeeper\",\"runs\":{CRASHES},\"p50_ms\":{:.2},\"max_ms\":{:.2}}}",
        took_ms[took_ms.len() / 2],
        took_ms[took_ms.len() - 1]
    );

    // both lose their instance; its nodes expire after a second, and nothing comes of it
    first.shutdown_background();
    for engine in [&mut leader, &mut follower] {
        let moved = CandidateEvent::Attached { endpoint: two.clone() };
        engine.event("attached to the other", |event| *event == moved).await;
        engine.event("joined there", |event| matches!(event, CandidateEvent::Joined { .. })).await;
    }
    let undisturbed = tokio::time::timeout(Duration::from_secs(4), follower.events.recv()).await;
    let fine = match &undisturbed {
        Ok(Some(CandidateEvent::Leader { term, .. })) => *term == CRASHES + 1,
        Ok(Some(CandidateEvent::Watching { .. })) | Err(_) => true,
        Ok(_) => false,
    };
    assert!(fine, "the leader stays: {undisturbed:?}");
    leader.kill().await;
    assert_eq!(follower.granted().await, CRASHES + 2);
    second.shutdown_background();
}
