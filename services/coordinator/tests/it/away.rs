//! etcd away: what is known is still answered, changes are refused with a way out.

use mesh_bus::MemoryBus;
use mesh_coordination::{Entry, Error, Expected, Latest, Listing, MemoryRegistry, Registry};
use mesh_proto::coordinator::{ListProjectsRequest, MeshStatusRequest, WatchProjectsRequest};
use mesh_service::{Kind, Refusal};
use std::sync::Arc;
use std::time::Duration;

use crate::host::{Host, PROJECT, until, within};

#[tokio::test]
async fn without_etcd_reads_answer_and_changes_are_refused() {
    let host = Host::start(&[]).await;
    host.deploy(PROJECT).await.unwrap();
    let list = || async {
        host.client.clone().list_projects(ListProjectsRequest {}).await.map(|answer| answer.into_inner().projects)
    };
    until("the project is known", list, |answer| answer.as_ref().is_ok_and(|projects| projects.len() == 1))
        .await
        .unwrap();

    host.registry.set_down(true);
    let status = || async { host.client.clone().status(MeshStatusRequest::default()).await.unwrap().into_inner() };
    until("etcd is told as missing", status, |status| status.unavailable.iter().any(|part| part.part == "etcd")).await;
    assert_eq!(list().await.unwrap().len(), 1);
    let watch = host.client.clone().watch_projects(WatchProjectsRequest { engine: "e1".into() }).await.unwrap();
    let set = within("the set", watch.into_inner().message()).await.unwrap().unwrap();
    assert_eq!(set.projects.len(), 1, "a restarted engine still hears what it shall run");
    host.announce("e9", "engine", "127.0.0.1:1").await;
    assert!(status().await.members.iter().any(|member| member.announced.as_ref().unwrap().name == "e9"));

    let refusal = host.deploy(&PROJECT.replace("double", "int32")).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Unavailable);
    assert!(refusal.way_out.contains("running projects go on"), "{refusal}");

    host.registry.set_down(false);
    until("etcd is back", status, |status| status.unavailable.iter().all(|part| part.part != "etcd")).await;
    assert_eq!(host.deploy(&PROJECT.replace("double", "int32")).await.unwrap().version, 2);
    host.stop().await;
}

/// etcd that has never answered: no call succeeds, no watch brings anything.
struct Silent(MemoryRegistry);

#[tonic::async_trait]
impl Registry for Silent {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.0.get(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.0.list(prefix).await
    }
    async fn put(&self, key: &str, value: Vec<u8>, expected: Expected) -> Result<u64, Error> {
        self.0.put(key, value, expected).await
    }
    async fn delete(&self, key: &str, expected: Expected) -> Result<bool, Error> {
        self.0.delete(key, expected).await
    }
    fn watch(&self, prefix: &str, _: Option<u64>) -> Latest<Listing> {
        self.0.watch(prefix, Some(u64::MAX))
    }
}

#[tokio::test]
async fn started_without_etcd_it_says_so_and_tells_engines_nothing() {
    let memory = MemoryRegistry::new();
    memory.set_down(true);
    let host = Host::start_with(Arc::new(Silent(memory.clone())), memory, MemoryBus::new(), &[]).await;
    let status = within("an answer", host.client.clone().list_projects(ListProjectsRequest {})).await.unwrap_err();
    let refusal = Refusal::from_status("coordinator", &status);
    assert_eq!(refusal.kind, Kind::Unavailable);
    assert_eq!(refusal.way_out, "try again when etcd is back");
    assert_eq!(host.scope.ready.waiting_for(), ["etcd: projects"]);

    let watch = host.client.clone().watch_projects(WatchProjectsRequest { engine: "e1".into() }).await.unwrap();
    let mut watch = watch.into_inner();
    let status = || async { host.client.clone().status(MeshStatusRequest::default()).await.unwrap().into_inner() };
    until("etcd is told as missing", status, |status| status.unavailable.iter().any(|part| part.part == "etcd")).await;
    let sent = tokio::time::timeout(Duration::from_millis(50), watch.message()).await;
    assert!(sent.is_err(), "an empty set would stop every project: {sent:?}");
    host.stop().await;
}
