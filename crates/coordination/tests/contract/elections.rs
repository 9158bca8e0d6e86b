//! The contract of [`Elections`].

use std::sync::Arc;

use mesh_coordination::{
    CandidateData, Elections, Error, GroupState, Latest, LeaderRecord, MAX_DATA_BYTES, SessionState, Version,
};

use super::{soon, unique};

/// Two sessions on the same elections.
pub struct Pair {
    pub one: Arc<dyn Elections>,
    pub two: Arc<dyn Elections>,
}

/// Every clause of the contract.
pub async fn all(pair: Pair) {
    candidates_are_listed_in_order_of_their_sequences(&pair).await;
    data_can_be_updated_and_a_missing_candidate_is_said_to_be_missing(&pair).await;
    one_of_two_writers_of_the_leader_record_wins(&pair).await;
    many_writers_race_and_every_version_has_one_winner(&pair).await;
    a_watch_begins_with_the_state_and_shows_every_kind_of_change(&pair).await;
    a_watch_that_was_not_looked_at_shows_the_latest_state(&pair).await;
    groups_are_listed(&pair).await;
    hostile_names_and_sizes_are_refused(&pair).await;
    a_session_that_is_dropped_takes_its_candidates_along(pair).await;
}

pub fn data(candidate: &str) -> CandidateData {
    CandidateData {
        candidate: candidate.into(),
        address: "127.0.0.1:1".into(),
        instance: "election-1".into(),
        incarnation: 7,
        term: 0,
        caught_up: false,
    }
}

pub fn record(term: u64, candidate: &str) -> LeaderRecord {
    LeaderRecord {
        term,
        candidate: candidate.into(),
        incarnation: 7,
        reason: "test".into(),
        at_us: 1_700_000_000_000_000,
        successor: String::new(),
        successor_reason: String::new(),
        paused: None,
        drained: std::collections::BTreeMap::new(),
    }
}

fn names(state: &GroupState) -> Vec<&str> {
    state.candidates.iter().map(|candidate| candidate.data.candidate.as_str()).collect()
}

/// Waits until the watch shows what is asked for.
pub async fn until(watch: &mut Latest<GroupState>, what: &str, fits: impl Fn(&GroupState) -> bool) -> Arc<GroupState> {
    soon(what, async {
        loop {
            let state = watch.next().await.expect("the watch goes on");
            if fits(&state) {
                return state;
            }
        }
    })
    .await
}

async fn candidates_are_listed_in_order_of_their_sequences(Pair { one, two }: &Pair) {
    let group = unique("order");
    assert_eq!(one.candidates(&group).await.unwrap(), []);
    let first = one.join(&group, &data("b")).await.unwrap();
    let second = two.join(&group, &data("a")).await.unwrap();
    let third = one.join(&group, &data("c")).await.unwrap();
    assert!(first < second && second < third, "{first:?} {second:?} {third:?}");
    assert_eq!(first.path, format!("/ESP/{group}/server-n_{:010}", first.sequence));
    let listed = two.candidates(&group).await.unwrap();
    assert_eq!(listed.iter().map(|c| c.data.candidate.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_eq!(listed[0].znode, first);
    assert_eq!(listed[0].data, data("b"));

    two.leave(&first).await.unwrap();
    two.leave(&first).await.expect("one that is gone already is no error");
    assert_eq!(one.candidates(&group).await.unwrap().len(), 2);
    let fourth = one.join(&group, &data("b")).await.unwrap();
    assert!(fourth > third, "numbers are never used twice");
}

async fn data_can_be_updated_and_a_missing_candidate_is_said_to_be_missing(Pair { one, two }: &Pair) {
    let group = unique("update");
    let znode = one.join(&group, &data("a")).await.unwrap();
    let changed = CandidateData { caught_up: true, term: 9, ..data("a") };
    one.update(&znode, &changed).await.unwrap();
    assert_eq!(two.candidates(&group).await.unwrap()[0].data, changed);
    one.leave(&znode).await.unwrap();
    let error = one.update(&znode, &changed).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains(&znode.path), "{error}");
}

async fn one_of_two_writers_of_the_leader_record_wins(Pair { one, two }: &Pair) {
    let group = unique("cas");
    assert_eq!(one.leader(&group).await.unwrap(), None);
    let first = one.set_leader(&group, None, &record(1, "a")).await.unwrap();
    let error = two.set_leader(&group, None, &record(1, "b")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let led = two.leader(&group).await.unwrap().unwrap();
    assert_eq!((led.record, led.version), (record(1, "a"), first));

    let second = two.set_leader(&group, Some(first), &record(2, "b")).await.unwrap();
    let error = one.set_leader(&group, Some(first), &record(2, "a")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_ne!(first, second);
    let error = one.set_leader(&unique("nobody"), Some(Version(3)), &record(2, "a")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "a record that is not there has no version: {error}");
}

async fn many_writers_race_and_every_version_has_one_winner(Pair { one, two }: &Pair) {
    const ROUNDS: u64 = 20;
    let group = unique("race");
    let mut version = None;
    for round in 1..=ROUNDS {
        let racers = ["a", "b", "c", "d"].map(|name| {
            let elections = Arc::clone(if matches!(name, "a" | "b") { one } else { two });
            let group = group.clone();
            tokio::spawn(async move { elections.set_leader(&group, version, &record(round, name)).await })
        });
        let mut won = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(new) => won.push(new),
                Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        version = Some(won[0]);
        let led = one.leader(&group).await.unwrap().unwrap();
        assert_eq!((led.version, led.record.term), (won[0], round));
    }
}

async fn a_watch_begins_with_the_state_and_shows_every_kind_of_change(Pair { one, two }: &Pair) {
    let group = unique("watch");
    let mut watch = two.watch(&group);
    until(&mut watch, "an empty group", |state| *state == GroupState::default()).await;
    let znode = one.join(&group, &data("a")).await.unwrap();
    until(&mut watch, "a candidate", |state| names(state) == ["a"]).await;
    one.update(&znode, &CandidateData { caught_up: true, ..data("a") }).await.unwrap();
    until(&mut watch, "its data", |state| state.candidates.iter().any(|c| c.data.caught_up)).await;
    let version = one.set_leader(&group, None, &record(1, "a")).await.unwrap();
    let state = until(&mut watch, "a leader", |state| state.leader.is_some()).await;
    assert_eq!(state.leader.as_ref().unwrap().version, version);
    two.set_leader(&group, Some(version), &record(2, "b")).await.unwrap();
    until(&mut watch, "another leader", |state| state.leader.as_ref().is_some_and(|led| led.record.term == 2)).await;
    one.leave(&znode).await.unwrap();
    let state = until(&mut watch, "nobody left", |state| state.candidates.is_empty()).await;
    assert_eq!(state.leader.as_ref().unwrap().record, record(2, "b"), "the record outlives the candidates");
}

async fn a_watch_that_was_not_looked_at_shows_the_latest_state(Pair { one, two }: &Pair) {
    let group = unique("late");
    let mut watch = two.watch(&group);
    for name in ["a", "b", "c"] {
        one.join(&group, &data(name)).await.unwrap();
    }
    until(&mut watch, "all three", |state| names(state) == ["a", "b", "c"]).await;
    let mut second = two.watch(&group);
    until(&mut second, "all three at once", |state| names(state) == ["a", "b", "c"]).await;
}

async fn groups_are_listed(Pair { one, two }: &Pair) {
    let (a, b) = (unique("group"), unique("group"));
    one.join(&a, &data("a")).await.unwrap();
    two.join(&b, &data("a")).await.unwrap();
    let groups = one.groups().await.unwrap();
    assert!(groups.contains(&a) && groups.contains(&b), "{groups:?}");
    assert!(groups.is_sorted(), "{groups:?}");
}

async fn hostile_names_and_sizes_are_refused(Pair { one, .. }: &Pair) {
    for name in ["", "a/b", "..", "a\nb", "zookeeper", &"x".repeat(256)] {
        let error = one.join(name, &data("a")).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{name:?}: {error}");
    }
    let huge = data(&"x".repeat(MAX_DATA_BYTES));
    let error = one.join(&unique("huge"), &huge).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("expected at most 16384"), "{error}");
}

async fn a_session_that_is_dropped_takes_its_candidates_along(Pair { one, two }: Pair) {
    let group = unique("drop");
    let mut session = two.session();
    let state = soon("a session", session.next()).await.unwrap().state;
    assert_eq!(state, SessionState::Connected);
    one.join(&group, &data("a")).await.unwrap();
    two.join(&group, &data("b")).await.unwrap();
    let mut watch = two.watch(&group);
    until(&mut watch, "both", |state| names(state) == ["a", "b"]).await;
    drop(one);
    until(&mut watch, "only the other session's candidate", |state| names(state) == ["b"]).await;
}
