//! A failover group: the election in memory, real streams, publishers that lose their process or are asked to hand over.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use mesh_bus::{Bus, MemoryBus};
use mesh_coordination::MemoryElections;
use mesh_election::ElectionConfig;
use mesh_proto::adapter::adapter_client::AdapterClient;
use mesh_proto::election::PromoteRequest;
use mesh_proto::election::election_client::ElectionClient;
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_publisher_adapter::service::run;
use mesh_service::adapter::Place;
use mesh_service::{Failure, Scope};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const LINES: usize = 3000;
const PATIENCE: Duration = Duration::from_secs(30);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A member of the group, with a runtime of its own.
struct Member {
    runtime: Runtime,
    address: String,
    scope: Scope,
    work: JoinHandle<Result<(), Failure>>,
}

impl Member {
    fn start(name: &str, bus: &MemoryBus, path: &Path, cfg: &Path, election: &str) -> Member {
        let runtime = runtime();
        let line = format!(
            "type=pub,url=dfESP://h:1/p/q/w,fsname={},blocksize=5,rate=1500,transportconfigfile={}",
            path.display(),
            cfg.display()
        );
        let config = PublisherConfig { line, elections: vec![election.to_owned()], ..PublisherConfig::default() };
        let (listener, address) = runtime.block_on(bind());
        let place = Place { name: name.into(), listener, address: address.clone(), admin_address: String::new() };
        let (bus, scope): (Arc<dyn Bus>, Scope) = (Arc::new(bus.clone()), Scope::new());
        let work = runtime.spawn(run(config, bus, place, scope.clone()));
        Member { runtime, address, scope, work }
    }

    fn state(&self) -> String {
        self.runtime.block_on(async {
            let mut client = AdapterClient::connect(format!("http://{}", self.address)).await.unwrap();
            client.status(mesh_proto::adapter::StatusRequest {}).await.unwrap().into_inner().state
        })
    }

    /// As by kill -9, but for the publishing thread, which goes on as a zombie that nobody controls.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    fn finish(self) -> Result<(), Failure> {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap() })
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_group_survives_the_loss_of_its_writer_and_hands_over_when_asked() {
    let (bus, dir, elections) = (mesh(), tempfile::tempdir().unwrap(), runtime());
    let path = source(dir.path(), "in.csv", LINES);
    let cfg = dir.path().join("kafka.cfg");
    std::fs::write(&cfg, "kafka { }\nsas {\n hotfailover=true\n failovergroup=g\n zookeeperhostport=\"zk:2181\"\n}\n")
        .unwrap();
    let election = elections.block_on(async {
        let (listener, address) = bind().await;
        let config = ElectionConfig::default();
        tokio::spawn(mesh_election::run(config, "e1".into(), Arc::new(MemoryElections::new()), listener, Scope::new()));
        address
    });
    let member = |name: &str| Member::start(name, &bus, &path, &cfg, &election);
    let first = member("a");
    wait_until("a publishes", || first.state() == "running" && published(&bus).len() > 100);
    let second = member("b");
    wait_until("b stands by", || second.state() == "standby");

    first.kill();
    wait_until("b takes over", || second.state() == "running");
    let before = published(&bus).len();
    wait_until("b publishes", || published(&bus).len() > before + 100);

    let third = member("c");
    wait_until("c stands by", || third.state() == "standby");
    let began = Instant::now();
    loop {
        // the group may still hold off another switch, or not yet count c as caught up
        let asked = elections.block_on(async {
            let mut client = ElectionClient::connect(format!("http://{election}")).await.unwrap();
            let (group, candidate, reason) = ("adapters.g".to_owned(), "c".to_owned(), "test".to_owned());
            client.promote(PromoteRequest { group, candidate, reason }).await
        });
        match asked {
            Ok(_) => break,
            Err(status) => assert!(began.elapsed() < PATIENCE, "{status}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_until("c publishes", || third.state() == "running");
    wait_until("b stands by", || second.state() == "standby");

    // a member that is stopped while it stands by ends well
    second.scope.drain.start("test");
    second.finish().unwrap();
    third.finish().unwrap();
    assert_eq!(published(&bus), (0..LINES as i64).collect::<Vec<_>>());
}
