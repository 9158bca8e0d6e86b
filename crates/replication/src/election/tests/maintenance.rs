//! Paused groups and drained candidates.

use super::world::World;
use crate::Term;
use crate::election::{CandidateRole, DRAINED_MAX, Maintenance, MaintenanceChange, Note, Promoted, Refused, RequestId};

/// A world of two instances in which `a` leads in term 1 and `b` and `c` follow.
fn three() -> World {
    let mut world = World::new(2, 1);
    for name in ["a", "b", "c"] {
        world.start_candidate(name);
        world.run_ms(20);
    }
    world.run_ms(3500);
    assert_eq!(world.leader(), Some(("a", 1)));
    world
}

fn answer(world: &World, request: RequestId) -> Option<&Result<Maintenance, Refused>> {
    world.maintained.iter().find(|(of, _)| *of == request).map(|(_, outcome)| outcome)
}

fn resume(world: &mut World, instance: usize) {
    world.maintain(instance, MaintenanceChange::Resume);
}

fn undrain(world: &mut World, candidate: &str) {
    world.maintain(0, MaintenanceChange::Undrain { candidate: candidate.into() });
}

#[test]
fn while_paused_nobody_is_elected_whichever_instance_was_asked() {
    let mut world = three();
    let request = world.pause(1);
    world.run_ms(50);
    let paused = answer(&world, request).expect("answered").as_ref().expect("written");
    assert_eq!(paused.paused.as_ref().map(|order| order.by.as_str()), Some("ada"));
    world.crash(0);
    world.run_ms(20_000);
    assert_eq!(world.leader(), Some(("a", 1)), "the record still names the last one");
    assert!(world.notes.iter().any(|note| matches!(note, Note::Paused { .. })), "it is told why");
    resume(&mut world, 0);
    world.run_ms(100);
    assert_eq!(world.leader(), Some(("b", 2)), "elected as soon as it is allowed");
}

#[test]
fn while_paused_a_suspicion_passes_without_consequence() {
    let mut world = three();
    world.pause(0);
    world.run_ms(50);
    world.candidates[0].frozen = true;
    world.run_ms(3_000);
    world.candidates[0].frozen = false;
    world.run_ms(2_000);
    resume(&mut world, 1);
    world.run_ms(5_000);
    assert_eq!(world.leader(), Some(("a", 1)), "it came back before anybody was elected");
}

#[test]
fn a_promotion_works_while_paused_with_a_leader_and_without() {
    let mut world = three();
    world.pause(0);
    world.run_ms(50);
    world.promote(1, "c");
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("c", 2)), "in order");
    world.crash(2);
    world.run_ms(2_000);
    assert_eq!(world.leader(), Some(("c", 2)));
    let request = world.promote(1, "b");
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("b", 3)), "where nobody leads any more");
    let promoted = Promoted { term: Term(3), leader: "b".into() };
    assert!(world.replies.contains(&(request, Ok(promoted))), "{:?}", world.replies);
    assert_eq!(world.candidates[1].role, CandidateRole::Active);
    assert!(
        world.record.as_ref().is_some_and(|(record, _)| record.maintenance.paused.is_some()),
        "paused all the same"
    );
}

#[test]
fn a_leader_that_is_drained_hands_over_to_the_next_that_is_caught_up() {
    let mut world = three();
    world.candidates[1].caught_up = false;
    world.run_ms(100);
    let request = world.drain(1, "a");
    world.run_ms(300);
    assert!(answer(&world, request).is_some_and(Result::is_ok));
    assert_eq!(world.leader(), Some(("c", 2)));
    assert_eq!(world.candidates[0].role, CandidateRole::Standby);
    let reason = &world.record.as_ref().expect("a record").0.reason;
    assert!(reason.contains("`a`: drained by ada: maintenance"), "{reason}");
    world.crash(2);
    world.run_ms(5_000);
    assert_eq!(world.leader(), Some(("c", 2)), "a is drained, b is not caught up");
    undrain(&mut world, "a");
    world.run_ms(100);
    assert_eq!(world.leader(), Some(("a", 3)));
}

#[test]
fn a_drained_leader_leads_on_until_somebody_can_follow_it() {
    let mut world = three();
    world.candidates[1].caught_up = false;
    world.candidates[2].caught_up = false;
    world.run_ms(100);
    world.drain(0, "a");
    world.run_ms(15_000);
    assert_eq!(world.leader(), Some(("a", 1)), "no gap: nobody else could");
    world.candidates[2].caught_up = true;
    world.run_ms(300);
    assert_eq!(world.leader(), Some(("c", 2)));
}

#[test]
fn a_group_without_a_leader_yet_is_paused_and_drained_too() {
    let mut world = World::new(2, 1);
    world.run_ms(50);
    let drained = world.drain(0, "a");
    let paused = world.pause(1);
    world.run_ms(100);
    assert!(answer(&world, drained).is_some_and(Result::is_ok) && answer(&world, paused).is_some_and(Result::is_ok));
    for name in ["a", "b"] {
        world.start_candidate(name);
    }
    world.run_ms(3_000);
    assert_eq!(world.leader(), None);
    assert!(world.instances.iter().all(|it| it.group.view().leader.is_none()), "nobody led yet");
    let request = world.promote(0, "a");
    world.run_ms(50);
    let refused = Refused::Drained { candidate: "a".into(), by: "ada".into(), reason: "maintenance".into() };
    assert_eq!(world.replies, [(request, Err(refused))]);
    resume(&mut world, 1);
    world.run_ms(300);
    assert_eq!(world.leader(), Some(("b", 1)), "a is older, but drained");
}

#[test]
fn a_change_that_holds_already_keeps_its_first_order_and_answers() {
    let mut world = three();
    let first = world.drain(0, "c");
    world.run_ms(50);
    let again = world.drain(1, "c");
    world.run_ms(50);
    let (first, again) = (answer(&world, first).cloned(), answer(&world, again).cloned());
    assert!(first.is_some() && first == again, "the same answer, with the time of the first order");
    let version = world.record.as_ref().map(|(_, version)| *version);
    undrain(&mut world, "nobody");
    world.run_ms(50);
    assert_eq!(world.record.as_ref().map(|(_, version)| *version), version, "nothing to write");
}

#[test]
fn changes_without_a_session_or_beyond_the_limit_are_refused() {
    let mut world = three();
    for number in 0..DRAINED_MAX {
        world.drain(0, &format!("x{number}"));
        world.run_ms(20);
    }
    let full = world.drain(0, "a");
    world.run_ms(50);
    assert_eq!(answer(&world, full), Some(&Err(Refused::TooMany { limit: DRAINED_MAX })));
    world.set_server_down(true, false);
    world.run_ms(50);
    let down = world.pause(0);
    world.run_ms(50);
    assert_eq!(answer(&world, down), Some(&Err(Refused::NoSession)));
}
