//! A failover group of adapters: the election in memory, real streams, members with a runtime each. The tests of both
//! adapters use it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // each test file uses its part of it

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_coordination::MemoryElections;
use mesh_election::ElectionConfig;
use mesh_proto::adapter::adapter_client::AdapterClient;
use mesh_proto::adapter::{StatusRequest, StatusResponse};
use mesh_proto::election::PromoteRequest;
use mesh_proto::election::election_client::ElectionClient;
use mesh_service::adapter::Place;
use mesh_service::{Failure, Scope};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_secs(30);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An election and the transport file of a group `g`.
pub struct Group {
    runtime: Runtime,
    pub election: String,
    pub cfg: PathBuf,
}

impl Group {
    pub fn start(dir: &Path) -> Group {
        let (runtime, cfg) = (runtime(), dir.join("kafka.cfg"));
        let text = "kafka { }\nsas {\n hotfailover=true\n failovergroup=g\n zookeeperhostport=\"zk:2181\"\n}\n";
        std::fs::write(&cfg, text).unwrap();
        let election = runtime.block_on(async {
            let (listener, address) = bind().await;
            let (config, state) = (ElectionConfig::default(), Arc::new(MemoryElections::new()));
            tokio::spawn(mesh_election::run(config, "e1".into(), state, listener, Scope::new()));
            address
        });
        Group { runtime, election, cfg }
    }

    /// Asks for a handover until the group takes it: it may still hold off another switch, or not yet count the member as
    /// caught up.
    pub fn promote(&self, kind: &str, candidate: &str) {
        let began = Instant::now();
        loop {
            let asked = self.runtime.block_on(async {
                let mut client = ElectionClient::connect(format!("http://{}", self.election)).await.unwrap();
                let (group, candidate, reason) = (format!("{kind}.g"), candidate.to_owned(), "test".to_owned());
                client.promote(PromoteRequest { group, candidate, reason }).await
            });
            match asked {
                Ok(_) => return,
                Err(status) => assert!(began.elapsed() < PATIENCE, "{status}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A member of the group, with a runtime of its own.
pub struct Member {
    runtime: Runtime,
    address: String,
    scope: Scope,
    work: JoinHandle<Result<(), Failure>>,
}

impl Member {
    /// Starts an adapter: `run` makes of a place and a scope what its `main` awaits.
    pub fn start<F>(name: &str, run: impl FnOnce(Place, Scope) -> F) -> Member
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (runtime, scope) = (runtime(), Scope::new());
        let (listener, address) = runtime.block_on(bind());
        let place = Place { name: name.into(), listener, address: address.clone(), admin_address: String::new() };
        let work = runtime.spawn(run(place, scope.clone()));
        Member { runtime, address, scope, work }
    }

    pub fn status(&self) -> StatusResponse {
        self.runtime.block_on(async {
            let mut client = AdapterClient::connect(format!("http://{}", self.address)).await.unwrap();
            client.status(StatusRequest {}).await.unwrap().into_inner()
        })
    }

    pub fn is(&self, state: &str) -> bool {
        self.status().state == state
    }

    /// As by kill -9, but for the working thread, which goes on as a zombie that nobody controls.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }

    /// Waits for its end.
    pub fn finish(self) -> Result<(), Failure> {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap() })
    }

    /// Stops it; it ends well.
    pub fn stop(self) {
        self.scope.drain.start("test");
        self.finish().unwrap();
    }
}
