//! Status, history and promotion.

use mesh_proto::coordinator::{HistoryRequest, MeshStatusRequest, MeshStatusResponse, PromoteRequest};
use mesh_service::{Kind, Refusal};

use crate::host::{Host, PROJECT, PlayedElection, PlayedEngine, until, within};

async fn status(host: &Host, project: &str) -> MeshStatusResponse {
    let request = MeshStatusRequest { project: project.into() };
    within("status", host.client.clone().status(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn one_answer_for_the_whole_mesh_whoever_is_missing() {
    let (election, election_address) = PlayedElection::start().await;
    let (_engine, engine_address) = PlayedEngine::new("e1").start().await;
    let host = Host::start(&[]).await;
    host.announce("x1", "election", &election_address).await;
    host.announce("e1", "engine", &engine_address).await;
    host.announce("e2", "engine", "127.0.0.1:1").await;
    election.lead("esp_31415.orders", "e1", 3);

    let full = until("the group", || status(&host, ""), |status| !status.groups.is_empty()).await;
    assert_eq!((full.groups[0].leader.as_str(), full.groups[0].term), ("e1", 3));
    let names: Vec<&str> = full.members.iter().map(|member| member.announced.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["e1", "e2", "x1"]);
    assert_eq!(full.members[0].engine.as_ref().unwrap().projects.len(), 2);
    assert!(full.members[1].engine.is_none());
    let parts: Vec<&str> = full.unavailable.iter().map(|part| part.part.as_str()).collect();
    assert_eq!(parts, ["e2"], "{:?}", full.unavailable);
    assert!(full.unavailable[0].reason.contains("127.0.0.1:1"), "{}", full.unavailable[0].reason);

    let one = status(&host, "orders").await;
    assert_eq!(one.members[0].engine.as_ref().unwrap().projects.len(), 1);
    assert_eq!(status(&host, "unknown").await.groups, []);

    election.scope.drain.start("gone");
    let gone = until(
        "election gone",
        || status(&host, ""),
        |status| status.unavailable.iter().any(|part| part.part == "election"),
    );
    assert_eq!(gone.await.groups.len(), 1, "the last known leader is still told");
    host.stop().await;
}

#[tokio::test]
async fn a_watched_status_follows_the_leader() {
    let (election, address) = PlayedElection::start().await;
    let host = Host::start(&[&address]).await;
    let mut stream = host.client.clone().watch_status(MeshStatusRequest::default()).await.unwrap().into_inner();
    for term in 1..4 {
        election.lead("esp_31415.orders", "e1", term);
        within("the new term", async {
            while stream.message().await.unwrap().unwrap().groups.first().is_none_or(|group| group.term != term) {}
        })
        .await;
    }
    host.stop().await;
}

#[tokio::test]
async fn promotion_goes_through_the_election_and_into_history() {
    let (election, address) = PlayedElection::start().await;
    let host = Host::start(&[&address]).await;
    let mut client = host.client.clone();
    let promote = |engine: &str| PromoteRequest {
        project: "orders".into(),
        engine: engine.into(),
        reason: "upgrade".into(),
        ..PromoteRequest::default()
    };

    let status = client.promote(promote("e2")).await.unwrap_err();
    assert_eq!(Refusal::from_status("coordinator", &status).kind, Kind::NotFound);

    host.deploy(PROJECT).await.unwrap();
    election.lead("esp_31415.orders", "e1", 1);
    let known = || async { host.client.clone().promote(promote("lagging")).await };
    // the deploy reaches the list of projects a moment after its answer
    let refused = until("project known", known, |answer| {
        answer.as_ref().is_err_and(|status| status.code() != tonic::Code::NotFound)
    });
    let refusal = Refusal::from_status("coordinator", &refused.await.unwrap_err());
    assert_eq!((refusal.kind, refusal.found.as_str()), (Kind::Conflict, "3 commits behind"));

    let done = client.promote(promote("e2")).await.unwrap().into_inner();
    assert_eq!((done.engine.as_str(), done.term), ("e2", 2));
    let history = || async {
        let request = HistoryRequest { project: "orders".into(), limit: 0 };
        host.client.clone().history(request).await.unwrap().into_inner().entries
    };
    let entries = until("all four entries", history, |entries| entries.len() == 4).await;
    let mut what: Vec<(&str, u64)> = entries.iter().map(|entry| (entry.what.as_str(), entry.term)).collect();
    what.sort_unstable();
    assert_eq!(what, [("deploy", 0), ("leader", 1), ("leader", 2), ("promote", 2)]);
    assert!(entries.windows(2).all(|pair| pair[0].at_us >= pair[1].at_us), "newest first");
    host.stop().await;
}
