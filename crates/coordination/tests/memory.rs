//! The implementations in memory keep the contract, and fail on request as the real ones do.

mod contract;

use std::sync::Arc;

use contract::elections::{Pair, data, record, until};
use contract::soon;
use mesh_coordination::{Elections, Error, Expected, MemoryElections, MemoryRegistry, Registry, SessionState};

#[tokio::test]
async fn elections_keep_the_contract() {
    let one = MemoryElections::new();
    let two = one.open_session();
    contract::elections::all(Pair { one: Arc::new(one), two: Arc::new(two) }).await;
}

#[tokio::test]
async fn the_registry_keeps_the_contract() {
    contract::registry::all(&MemoryRegistry::new()).await;
}

#[tokio::test]
async fn an_expired_session_loses_its_candidates_and_counts_on() {
    let one = MemoryElections::new();
    let two = one.open_session();
    one.join("g", &data("a")).await.unwrap();
    two.join("g", &data("b")).await.unwrap();
    let mut session = one.session();
    assert_eq!(session.next().await.unwrap().number, 1);
    one.expire();
    let after = session.next().await.unwrap();
    assert_eq!((after.number, after.state), (2, SessionState::Connected));
    let left = two.candidates("g").await.unwrap();
    assert_eq!(left.iter().map(|c| c.data.candidate.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn while_it_is_down_calls_fail_and_afterwards_watches_catch_up() {
    let elections = MemoryElections::new();
    let mut watch = elections.watch("g");
    let mut session = elections.session();
    elections.set_down(true);
    let error = elections.set_leader("g", None, &record(1, "a")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(soon("disconnected", session.next()).await.unwrap().state, SessionState::Disconnected);
    elections.set_down(false);
    assert_eq!(soon("connected", session.next()).await.unwrap().state, SessionState::Connected);
    elections.set_leader("g", None, &record(1, "a")).await.unwrap();
    until(&mut watch, "the leader", |state| state.leader.is_some()).await;

    let registry = MemoryRegistry::new();
    registry.set_down(true);
    let error = registry.put("a", Vec::new(), Expected::Any).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}
