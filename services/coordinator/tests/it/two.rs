//! Two instances on one registry: whatever is asked of either holds for both.

use mesh_proto::admin::Change;
use mesh_proto::coordinator::{
    HistoryEntry, HistoryRequest, ListProjectsRequest, ListVersionsRequest, PromoteRequest, RollbackRequest,
    UndeployRequest,
};
use mesh_proto::engine::TakeoverStatus;
use mesh_service::{Kind, Refusal};

use crate::host::{Host, PROJECT, PlayedElection, PlayedEngine, until};

fn change(who: &str, why: &str) -> Option<Change> {
    Some(Change { who: who.into(), why: why.into(), ..Change::default() })
}

/// The project with another type of a field, so another model.
fn variant(number: usize) -> String {
    PROJECT.replace("double", ["double", "int32", "int64", "string"][number])
}

async fn history(host: &Host) -> Vec<HistoryEntry> {
    let request = HistoryRequest { project: "orders".into(), limit: 0 };
    host.client.clone().history(request).await.unwrap().into_inner().entries
}

async fn rollback(host: &Host, version: u64) -> Result<mesh_proto::coordinator::RollbackResponse, Refusal> {
    let request = RollbackRequest { project: "orders".into(), version, change: change("ada", "it was wrong") };
    let answer = host.client.clone().rollback(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Refusal::from_status("coordinator", &status))
}

#[tokio::test]
async fn a_version_deployed_at_one_instance_is_rolled_back_at_the_other() {
    let one = Host::start(&[]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[]).await;
    assert_eq!(rollback(&two, 0).await.unwrap_err().kind, Kind::NotFound);
    for number in 0..3 {
        one.deploy(&variant(number)).await.unwrap();
    }
    let refusal = rollback(&two, 7).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.found.as_str()), (Kind::NotFound, "7"));
    assert_eq!(refusal.expected, "one of the versions that are kept: 1, 2, 3");

    let done = rollback(&two, 0).await.unwrap();
    assert_eq!((done.version, done.copy_of), (4, 2), "the newest that differs");
    let done = rollback(&one, 1).await.unwrap();
    assert_eq!((done.version, done.copy_of), (5, 1));
    let done = rollback(&two, 1).await.unwrap();
    assert_eq!((done.version, done.copy_of), (5, 1), "it runs already: nothing is changed");
    let done = rollback(&two, 4).await.unwrap();
    assert_eq!((done.version, done.copy_of), (6, 2), "a copy of a copy names the original");

    for host in [&one, &two] {
        let request = ListVersionsRequest { project: "orders".into() };
        let versions = host.client.clone().list_versions(request).await.unwrap().into_inner().versions;
        let shown: Vec<(u64, bool, u64)> = versions
            .iter()
            .map(|version| (version.project.as_ref().unwrap().version, version.current, version.copy_of))
            .collect();
        let copies = [(6, true, 2), (5, false, 1), (4, false, 2)];
        assert_eq!(shown, [&copies[..], &[(3, false, 0), (2, false, 0), (1, false, 0)]].concat());
        assert_eq!((versions[0].who.as_str(), versions[0].why.as_str()), ("ada", "it was wrong"));
        assert_eq!(versions[0].project.as_ref().unwrap().xml, variant(1));
        let list = || async { host.client.clone().list_projects(ListProjectsRequest {}).await.unwrap().into_inner() };
        let listed = until("the version runs", list, |list| list.projects[0].version == 6).await;
        assert_eq!(listed.projects[0].xml, variant(1), "engines run what was rolled back to");
    }
    let entries = until("every change", || history(&one), |entries| entries.len() == 6).await;
    let rollbacks = entries.iter().filter(|entry| entry.what == "rollback");
    assert!(rollbacks.clone().all(|entry| entry.who == "ada" && entry.why == "it was wrong"));
    assert_eq!(rollbacks.count(), 3);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn an_undeployed_project_is_rolled_back_to_its_last_version() {
    let host = Host::start(&[]).await;
    host.deploy(&variant(0)).await.unwrap();
    let refusal = rollback(&host, 0).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Conflict, "there is no other content: {refusal}");
    let stop = UndeployRequest { project: "orders".into(), change: change("bob", "too loud") };
    host.client.clone().undeploy(stop).await.unwrap();
    let done = rollback(&host, 0).await.unwrap();
    assert_eq!((done.version, done.copy_of), (2, 1));
    let entries = until("three entries", || history(&host), |entries| entries.len() == 3).await;
    let stopped = entries.iter().find(|entry| entry.what == "undeploy").unwrap();
    assert_eq!((stopped.who.as_str(), stopped.why.as_str()), ("bob", "too loud"));
    let deployed = entries.iter().find(|entry| entry.what == "deploy").unwrap();
    assert_eq!(deployed.who, "127.0.0.1", "who gives no name is known by the address");
    host.stop().await;
}

#[tokio::test]
async fn the_history_says_who_led_before_and_what_the_takeover_did() {
    let (election, address) = PlayedElection::start().await;
    let (engine, engine_address) = PlayedEngine::new("e2").start().await;
    let one = Host::start(&[&address]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[&address]).await;
    one.announce("e2", "engine", &engine_address).await;
    one.deploy(PROJECT).await.unwrap();
    election.lead("esp_31415.orders", "e1", 1);
    until("the first leader", || history(&one), |entries| entries.iter().any(|entry| entry.term == 1)).await;

    let promote = PromoteRequest {
        project: "orders".into(),
        engine: "e2".into(),
        change: change("ada", "upgrade"),
        ..PromoteRequest::default()
    };
    let call = || async { two.client.clone().promote(promote.clone()).await };
    until("the project is known", call, |answer| answer.is_ok()).await.unwrap();
    let takeover = TakeoverStatus {
        term: 2,
        fence_us: 2_000,
        read_us: 500,
        open_us: 4_500,
        gap_us: 11_000,
        events_replayed: 64,
        commits_replayed: 2,
        ..TakeoverStatus::default()
    };
    engine.took_over(takeover);

    let complete = |entries: &Vec<HistoryEntry>| entries.iter().any(|entry| entry.takeover.is_some());
    for host in [&one, &two] {
        let entries = until("the takeover", || history(host), complete).await;
        let leader = entries.iter().find(|entry| entry.what == "leader" && entry.term == 2).unwrap();
        assert_eq!((leader.candidate.as_str(), leader.previous.as_str()), ("e2", "e1"));
        assert_eq!((leader.who.as_str(), leader.why.as_str()), ("election", "test"));
        let took = leader.takeover.as_ref().unwrap();
        assert_eq!((took.took_us, took.gap_us), (7_000, 11_000));
        assert_eq!((took.events_replayed, took.commits_replayed), (64, 2));
        let asked = entries.iter().find(|entry| entry.what == "promote").unwrap();
        assert_eq!((asked.who.as_str(), asked.why.as_str(), asked.term), ("ada", "upgrade", 2));
        let leaders = entries.iter().filter(|entry| entry.what == "leader").count();
        assert_eq!(leaders, 2, "two instances note each leader once");
    }
    one.stop().await;
    two.stop().await;
}
