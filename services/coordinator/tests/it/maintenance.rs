//! Draining engines and pausing failover, at either of two instances.

use mesh_proto::admin::Change;
use mesh_proto::coordinator::{
    DrainRequest, HistoryRequest, MeshStatusRequest, MeshStatusResponse, PauseFailoverRequest, RebalanceRequest,
    ResumeFailoverRequest, UndrainRequest,
};
use mesh_proto::election::{CandidateStatus, GroupStatus, Maintenance, Progress};
use mesh_service::{Kind, Refusal};

use crate::host::{Host, PROJECT, PlayedElection, until};

fn change(why: &str) -> Option<Change> {
    Some(Change { who: "ada".into(), why: why.into(), ..Change::default() })
}

async fn status(host: &Host) -> MeshStatusResponse {
    host.client.clone().status(MeshStatusRequest::default()).await.unwrap().into_inner()
}

fn held(election: &PlayedElection, group: &str) -> Maintenance {
    let status = election.status.borrow();
    let group = status.groups.iter().find(|known| known.group == group);
    group.and_then(|group| group.maintenance.clone()).unwrap_or_default()
}

/// Two instances, an engine `e1` that leads `orders` in term 1, and `e2` that is caught up.
async fn two() -> (PlayedElection, Host, Host) {
    let (election, address) = PlayedElection::start().await;
    let one = Host::start(&[&address]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[&address]).await;
    for engine in ["e1", "e2"] {
        one.announce(engine, "engine", "127.0.0.1:1").await;
    }
    one.deploy(PROJECT).await.unwrap();
    election.lead("esp_31415.orders", "e1", 1);
    let caught_up = Some(Progress { caught_up: true, ..Progress::default() });
    election.status.send_modify(|status| {
        let e2 = CandidateStatus { candidate: "e2".into(), progress: caught_up, ..CandidateStatus::default() };
        status.groups[0].candidates = vec![e2];
    });
    for host in [&one, &two] {
        until("the leader", || status(host), |status| status.groups.first().is_some_and(|group| group.leader == "e1"))
            .await;
        until("the engine", || status(host), |status| status.members.len() >= 2).await;
    }
    (election, one, two)
}

#[tokio::test]
async fn a_drained_engine_hands_over_and_is_held_back_everywhere() {
    let (election, one, two) = two().await;
    let drain = |engine: &str| DrainRequest { engine: engine.into(), change: change("new disk") };
    let status_of_unknown = one.client.clone().drain(drain("e9")).await.unwrap_err();
    let refusal = Refusal::from_status("coordinator", &status_of_unknown);
    assert_eq!((refusal.kind, refusal.expected.as_str()), (Kind::NotFound, "one of the engines: e1, e2"));

    let done = two.client.clone().drain(drain("e1")).await.unwrap().into_inner();
    assert_eq!(done.still_leads, Vec::<String>::new());
    let handed: Vec<_> = done.handed_over.iter().map(|to| (to.project.as_str(), to.engine.as_str(), to.term)).collect();
    assert_eq!(handed, [("orders", "e2", 2)]);
    let order = held(&election, "esp_31415.orders").drained["e1"].clone();
    assert_eq!((order.by.as_str(), order.reason.as_str()), ("ada", "new disk"));
    let drained = |status: &MeshStatusResponse| status.members[0].drained.as_ref().map(|order| order.by.clone());
    until("the other instance shows it", || status(&one), |status| drained(status).as_deref() == Some("ada")).await;

    // deployed later: held back before any engine hears of it
    let other = PROJECT.replace("\"orders\"", "\"later\"");
    one.deploy(&other).await.unwrap();
    assert!(held(&election, "esp_31415.later").drained.contains_key("e1"));

    // a record that lost it, as after ZooKeeper was wiped, is brought back to what is desired
    election.status.send_modify(|status| status.groups.iter_mut().for_each(|group| group.maintenance = None));
    until(
        "both records again",
        || async { election.status.borrow().groups.clone() },
        |groups| {
            groups.iter().all(|group| group.maintenance.as_ref().is_some_and(|held| held.drained.contains_key("e1")))
        },
    )
    .await;

    let undrain = || UndrainRequest { engine: "e1".into(), change: change("disk is in") };
    one.client.clone().undrain(undrain()).await.unwrap();
    until(
        "both records free",
        || async { election.status.borrow().groups.clone() },
        |groups| groups.iter().all(|group| group.maintenance.as_ref().is_none_or(|held| held.drained.is_empty())),
    )
    .await;
    until("no longer shown", || status(&two), |status| drained(status).is_none()).await;
    let again = Refusal::from_status("coordinator", &two.client.clone().undrain(undrain()).await.unwrap_err());
    assert_eq!((again.kind, again.found.as_str()), (Kind::NotFound, "that none is drained"));

    let history =
        || async { one.client.clone().history(HistoryRequest::default()).await.unwrap().into_inner().entries };
    let entries = until("the history", history, |entries| entries.iter().any(|entry| entry.what == "undrain")).await;
    let drain = entries.iter().find(|entry| entry.what == "drain").unwrap();
    assert_eq!((drain.candidate.as_str(), drain.who.as_str(), drain.why.as_str()), ("e1", "ada", "new disk"));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn an_engine_that_nobody_can_follow_is_drained_and_told_to_lead_on() {
    let (election, one, two) = two().await;
    election.status.send_modify(|status| {
        status.groups[0].candidates.clear();
        // so that the played election moves nothing
        status.groups[0].maintenance.get_or_insert_default().paused = Some(Default::default());
    });
    until("nobody to follow", || status(&one), |status| status.groups[0].candidates.is_empty()).await;
    let drain = DrainRequest { engine: "e1".into(), change: change("new disk") };
    let done = one.client.clone().drain(drain).await.unwrap().into_inner();
    assert_eq!((done.still_leads, done.handed_over.len()), (vec!["orders".to_owned()], 0));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn leaders_are_spread_only_when_somebody_asks() {
    let (election, one, two) = two().await;
    one.deploy(&PROJECT.replace("\"orders\"", "\"later\"")).await.unwrap();
    election.status.send_modify(|status| {
        let first = status.groups.iter().find(|group| group.leader == "e1").unwrap().clone();
        status.groups =
            ["orders", "later"].map(|name| GroupStatus { group: format!("esp_31415.{name}"), ..first.clone() }).into();
    });
    let both = |status: &MeshStatusResponse| status.groups.iter().filter(|group| group.leader == "e1").count() == 2;
    until("both leaders", || status(&two), both).await;
    let ask = |dry_run| RebalanceRequest { dry_run, change: change("a new engine") };
    let known = || async { two.client.clone().rebalance(ask(true)).await.unwrap().into_inner().moves };
    let would = until("both projects", known, |moves| !moves.is_empty()).await;
    let [only] = would.as_slice() else { panic!("one move is enough: {would:?}") };
    assert_eq!((only.project.as_str(), only.engine.as_str(), only.term), ("later", "e2", 0));
    assert!(both(&status(&two).await), "nothing has moved");
    let done = two.client.clone().rebalance(ask(false)).await.unwrap().into_inner().moves;
    assert_eq!((done[0].engine.as_str(), done[0].term), ("e2", 2));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn failover_is_paused_and_resumed_at_either_instance() {
    let (election, one, two) = two().await;
    let pause = |project: &str| PauseFailoverRequest { project: project.into(), change: change("network work") };
    let unknown = one.client.clone().pause_failover(pause("nothing")).await.unwrap_err();
    assert_eq!(Refusal::from_status("coordinator", &unknown).kind, Kind::NotFound);
    let paused = one.client.clone().pause_failover(pause("orders")).await.unwrap().into_inner().paused.unwrap();
    assert_eq!((paused.by.as_str(), paused.reason.as_str()), ("ada", "network work"));
    assert!(paused.at_us > 0);
    until(
        "the other instance shows it",
        || status(&two),
        |status| status.groups[0].maintenance.as_ref().is_some_and(|held| held.paused.is_some()),
    )
    .await;
    let resume = ResumeFailoverRequest { project: "orders".into(), change: change("done") };
    two.client.clone().resume_failover(resume).await.unwrap();
    assert_eq!(held(&election, "esp_31415.orders").paused, None);
    let history = || async {
        one.client.clone().history(HistoryRequest { project: "orders".into(), limit: 0 }).await.unwrap().into_inner()
    };
    until("both in the history", history, |history| {
        ["pause-failover", "resume-failover"].iter().all(|what| history.entries.iter().any(|it| it.what == *what))
    })
    .await;
    one.stop().await;
    two.stop().await;
}
