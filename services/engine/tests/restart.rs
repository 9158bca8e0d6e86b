//! An engine starts again while no coordinator answers, from what it knew last; and heeds the first that answers.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_bus::memory::MemoryBus;
use mesh_engine::desired::DesiredFile;
use mesh_engine::service::Listeners;
use mesh_engine::{EngineConfig, run};
use mesh_proto::coordinator::Project;
use mesh_proto::engine::engine_client::EngineClient;
use mesh_proto::engine::{StatusRequest, StatusResponse};
use mesh_service::security::Caller;
use mesh_service::{Base, Failure, Scope, Span};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(20);

const XML: &str = r#"<project name="orders" pubsub="auto" threads="1"><contqueries><contquery name="cq"><windows>
  <window-source name="in">
    <schema><fields><field name="id" type="int64" key="true"/><field name="v" type="double"/></fields></schema>
  </window-source>
  <window-copy name="out"/>
</windows><edges><edge source="in" target="out"/></edges></contquery></contqueries></project>"#;

struct Engine {
    scope: Scope,
    address: String,
    running: JoinHandle<Result<(), Failure>>,
}

impl Engine {
    /// An engine whose coordinator and election never answer.
    async fn start(state_dir: &Path) -> Engine {
        let config = EngineConfig {
            base: Base { coordinators: vec!["127.0.0.1:1".into()], grace: Span::from_secs(2), ..Base::default() },
            elections: vec!["127.0.0.1:1".into()],
            state_dir: state_dir.display().to_string(),
            coordinator_wait: Span::from_millis(50),
            ..EngineConfig::default()
        };
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = grpc.local_addr().unwrap().to_string();
        let listeners = Listeners { grpc, address: address.clone(), admin_address: String::new(), rest };
        let scope = Scope::new();
        let work = run(config, "e1".into(), Arc::new(MemoryBus::new()), listeners, scope.clone());
        Engine { scope, address, running: tokio::spawn(work) }
    }

    async fn status(&self) -> Option<StatusResponse> {
        let mut client = EngineClient::new(Caller::default().connect(&self.address).unwrap());
        client.status(StatusRequest::default()).await.ok().map(tonic::Response::into_inner)
    }

    async fn stop(self) {
        self.scope.drain.start("end of test");
        tokio::time::timeout(LIMIT, self.running).await.unwrap().unwrap().unwrap();
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_coordinator_it_runs_what_it_knew_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = DesiredFile::open(folder.path(), "e1").unwrap();
    let (name, url_host_port) = ("orders".to_owned(), "esp_31415".to_owned());
    let project = Project { name, version: 4, xml: XML.into(), url_host_port, ..Project::default() };
    file.save(&[project]).unwrap();
    let engine = Engine::start(folder.path()).await;
    let mut last = StatusResponse::default();
    until("the project", async || {
        last = engine.status().await.unwrap_or_default();
        last.projects.first().is_some_and(|project| project.project_version != 0)
    })
    .await;
    assert_eq!((last.projects[0].project.as_str(), last.projects[0].project_version), ("orders", 4));
    until("ready", async || engine.scope.ready.waiting_for().is_empty()).await;
    engine.stop().await;
    assert_eq!(file.load().unwrap().unwrap()[0].version, 4, "the end of an engine is no word of the coordinator");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_never_heard_of_anything_waits() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(folder.path()).await;
    until("an answer", async || engine.status().await.is_some()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(engine.status().await.unwrap().projects, []);
    assert_eq!(engine.scope.ready.waiting_for(), ["projects: the coordinator's list"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a-file");
    std::fs::write(&path, "").unwrap();
    let engine = Engine::start(&path).await;
    let failure = tokio::time::timeout(LIMIT, engine.running).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failure.exit_code(), 64);
    assert!(failure.to_string().contains("setting `state_dir`: make folder"), "{failure}");
}
