//! A failover group: the election in memory, real streams, subscribers that lose their process or are asked to hand over.
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
use mesh_proto::adapter::{StatusRequest, StatusResponse};
use mesh_proto::election::PromoteRequest;
use mesh_proto::election::election_client::ElectionClient;
use mesh_service::adapter::Place;
use mesh_service::{Failure, Scope};
use mesh_subscriber_adapter::config::SubscriberConfig;
use mesh_subscriber_adapter::service::run;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const BLOCKS: u64 = 2400;
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
            "type=sub,url=dfESP://h:1/p/q/w?snapshot=false,fsname={},flushms=1,fsync=false,transportconfigfile={}",
            path.display(),
            cfg.display()
        );
        let config = SubscriberConfig { line, elections: vec![election.to_owned()], ..SubscriberConfig::default() };
        let (listener, address) = runtime.block_on(bind());
        let place = Place { name: name.into(), listener, address: address.clone(), admin_address: String::new() };
        let (bus, scope): (Arc<dyn Bus>, Scope) = (Arc::new(bus.clone()), Scope::new());
        let work = runtime.spawn(run(config, bus, place, scope.clone()));
        Member { runtime, address, scope, work }
    }

    fn status(&self) -> StatusResponse {
        self.runtime.block_on(async {
            let mut client = AdapterClient::connect(format!("http://{}", self.address)).await.unwrap();
            client.status(StatusRequest {}).await.unwrap().into_inner()
        })
    }

    fn is(&self, state: &str) -> bool {
        self.status().state == state
    }

    /// As by kill -9, but for the writing thread, which goes on as a zombie that nobody controls.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    fn finish(self) {
        self.scope.drain.start("test");
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap() }).unwrap();
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
fn a_group_survives_the_loss_of_its_writer_beside_its_zombie_and_hands_over_when_asked() {
    let (bus, dir, elections) = (mesh(), tempfile::tempdir().unwrap(), runtime());
    let path = dir.path().join("out.csv");
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
    wait_until("a writes", || first.is("running"));
    let second = member("b");
    wait_until("b stands by", || second.is("standby"));

    let feed = {
        let bus = bus.clone();
        std::thread::spawn(move || {
            for from in (1..=BLOCKS).step_by(8) {
                fill(&bus, from..from + 8);
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    wait_until("a has written some", || first.status().sequence > 100);
    first.kill(); // its thread goes on writing beside the next one, to the end of the test
    wait_until("b takes over", || second.is("running"));
    let before = second.status().sequence;
    wait_until("b has written some", || second.status().sequence > before + 100);

    let third = member("c");
    wait_until("c stands by", || third.is("standby"));
    let began = Instant::now();
    loop {
        // the group may still hold off another switch, or not yet count c as caught up
        let asked = elections.block_on(async {
            let mut client = ElectionClient::connect(format!("http://{election}")).await.unwrap();
            let (group, candidate, reason) = ("subscribers.g".to_owned(), "c".to_owned(), "test".to_owned());
            client.promote(PromoteRequest { group, candidate, reason }).await
        });
        match asked {
            Ok(_) => break,
            Err(status) => assert!(began.elapsed() < PATIENCE, "{status}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_until("c writes", || third.is("running"));
    wait_until("b stands by", || second.is("standby"));
    feed.join().unwrap();
    wait_until("c has written all", || third.status().sequence == BLOCKS);
    second.finish();
    third.finish();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(1..=BLOCKS));
}
