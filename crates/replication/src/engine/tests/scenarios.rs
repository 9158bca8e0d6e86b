//! One test per thing that can happen to an engine.

use super::world::{FINGERPRINT, HEARTBEAT_US, Outcome, World};
use crate::engine::{Effect, Input, MachineState, RoleName, blocks_in};
use crate::{CommitKind, EngineId, Step, Term};

fn led_by_first(engines: usize) -> World {
    let mut world = World::new(engines);
    world.settle();
    world.grant(0, 1);
    world.settle();
    assert_eq!(world.role(0), RoleName::Active);
    world
}

#[test]
fn first_leader_opens_its_term_and_standbys_follow() {
    let mut world = led_by_first(3);
    world.publish(20);
    world.settle();
    assert_eq!(world.log[0].kind, CommitKind::Term);
    assert_eq!((world.role(1), world.role(2)), (RoleName::Standby, RoleName::Standby));
    assert_eq!(world.number(1), world.number(0));
    world.check_complete();
}

#[test]
fn takeover_after_a_crash_loses_nothing() {
    let mut world = led_by_first(2);
    world.publish(10);
    world.settle();
    world.engines[0].hold_writer = true; // dies with a commit in the air that never arrives
    world.publish(5);
    world.settle();
    world.engines[0].paused = true;
    world.grant(1, 2);
    world.settle();
    assert_eq!(world.role(1), RoleName::Active);
    world.check_complete();
}

#[test]
fn first_commit_of_a_term_carries_the_clock_and_the_waiting_input() {
    let mut world = led_by_first(2);
    world.publish(4);
    world.settle();
    world.engines[0].paused = true;
    world.pass(2 * HEARTBEAT_US);
    world.publish(7);
    world.settle();
    world.grant(1, 2);
    world.settle();
    let opening = world.log.iter().find(|record| record.term == Term(2)).unwrap();
    assert_eq!(opening.kind, CommitKind::Term);
    assert!(
        matches!(opening.steps[..], [Step::Tick { .. }, Step::Apply { input: 0, blocks: 1.. }]),
        "{:?}",
        opening.steps
    );
    assert!(blocks_in(&opening.steps) < 7, "one piece of it: a long backlog does not delay the term");
    world.check_complete();
}

#[test]
fn woken_zombie_is_fenced_and_follows_without_restart() {
    let mut world = led_by_first(2);
    world.publish(4);
    world.settle();
    world.engines[0].hold_writer = true;
    world.publish(6);
    world.settle();
    world.engines[0].paused = true;
    world.grant(1, 2);
    world.settle();
    world.publish(3);
    world.settle();
    world.engines[0].paused = false;
    world.engines[0].hold_writer = false;
    world.settle();
    assert_eq!(world.role(0), RoleName::Standby);
    assert_eq!(world.engines[0].role.view().rebuilds, 0, "same steps: it was merely ahead");
    assert_eq!(world.number(0), world.number(1));
    world.grant(0, 3); // and takes part in the next takeover
    world.publish(2);
    world.settle();
    assert_eq!(world.role(0), RoleName::Active);
    world.check_complete();
}

#[test]
fn fenced_leader_with_another_tick_rebuilds() {
    let mut world = led_by_first(2);
    world.publish(2);
    world.settle();
    world.engines[0].hold_writer = true;
    world.pass(2 * HEARTBEAT_US);
    world.publish(4);
    world.settle(); // the zombie has ticked here
    world.engines[0].paused = true;
    world.pass(1);
    world.grant(1, 2);
    world.settle(); // the successor ticks a microsecond later
    world.engines[0].paused = false;
    world.engines[0].hold_writer = false;
    world.settle();
    assert!(world.saw(0, |effect| matches!(effect, Effect::Rebuild { .. })));
    assert_eq!(world.role(0), RoleName::Standby);
    assert_eq!(world.number(0), world.number(1));
    world.check_complete();
}

/// Found by the simulator (seed 4857): the fence of the term that was given back still waited at the writer, came after
/// the log had been read for the same term's second fence, and let a commit through that others had overtaken.
#[test]
fn a_term_that_was_given_back_is_not_tried_again() {
    let mut world = led_by_first(2);
    world.publish(2);
    world.settle();
    world.engines[0].hold_writer = true;
    world.pass(2 * HEARTBEAT_US);
    world.publish(4);
    world.settle(); // it has ticked, and its commit is on its way
    world.engines[0].paused = true;
    world.pass(1);
    world.grant(1, 2);
    world.settle(); // the successor ticks a microsecond later
    world.engines[0].paused = false;
    world.grant(0, 3); // this fence waits behind the commit
    world.settle(); // other steps are in the log: it gives the term back and rebuilds
    assert!(world.saw(0, |effect| matches!(effect, Effect::Rebuild { .. })));
    world.grant(0, 3);
    world.settle();
    let fences = world.engines[0].effects_seen.iter().filter(|effect| **effect == Effect::Fence { term: Term(3) });
    assert_eq!(fences.count(), 1);
    world.writer(0);
    world.writer(0);
    world.grant(1, 4);
    world.publish(3);
    world.settle();
    world.engines[0].hold_writer = false;
    world.settle();
    assert_eq!(world.role(0), RoleName::Standby);
    world.check_complete();
}

/// Found while the simulator was written: the driver dropped a grant that waited while the role threw its state away. The
/// election tells a term once, so the only candidate of a group would have led never again.
#[test]
fn a_grant_that_waits_outlives_a_rebuild() {
    assert!(Input::Granted { term: Term(3) }.outlives_rebuild());
    assert!(Input::HandOver { term: Term(3), successor: EngineId("b".into()) }.outlives_rebuild());
    assert!(!Input::Applied { events: 1, state: MachineState::default() }.outlives_rebuild());
}

#[test]
fn lost_outcome_is_decided_by_the_log() {
    for outcome in [Outcome::LostButCommitted, Outcome::LostNotCommitted] {
        let mut world = led_by_first(2);
        world.publish(5);
        world.settle();
        world.engines[0].outcome = outcome;
        world.publish(5);
        world.settle();
        assert_eq!(world.role(0), RoleName::Active, "{outcome:?}");
        assert_eq!(world.log.last().unwrap().term, Term(1), "{outcome:?}");
        world.publish(5);
        world.settle();
        world.check_complete();
    }
}

#[test]
fn lost_opening_record_is_decided_by_the_log() {
    for outcome in [Outcome::LostButCommitted, Outcome::LostNotCommitted] {
        let mut world = led_by_first(2);
        world.publish(5);
        world.settle();
        world.engines[0].paused = true;
        world.engines[1].outcome = outcome;
        world.grant(1, 2);
        world.publish(5);
        world.settle();
        assert_eq!(world.role(1), RoleName::Active, "{outcome:?}");
        world.check_complete();
    }
}

#[test]
fn stale_term_steps_down() {
    let mut world = led_by_first(3);
    world.grant(1, 5);
    world.settle();
    world.grant(2, 4);
    world.settle();
    assert_eq!(world.role(2), RoleName::Standby);
    assert!(world.saw(2, |effect| matches!(effect, Effect::StepDown { term: Term(4), .. })));
    assert!(!world.saw(2, |effect| matches!(effect, Effect::Fence { .. })), "a stale term does not fence anybody");
    world.check_complete();
}

#[test]
fn of_two_candidates_in_a_race_one_leads_and_the_other_steps_down() {
    // Whatever the order of the two fences and of what follows: one leads in the end, nothing is torn.
    for order in 0..32_u32 {
        let mut world = led_by_first(3);
        world.publish(6);
        world.settle();
        world.engines[0].paused = true;
        world.grant(1, 2);
        world.grant(2, 3);
        for bit in 0..5 {
            let engine = 1 + (order >> bit & 1) as usize;
            world.turn(engine);
            world.check();
        }
        world.publish(4);
        world.settle();
        // A leader that was fenced by the late one gives up; the election grants the next term.
        let leaders: Vec<usize> = (1..3).filter(|&engine| world.role(engine) == RoleName::Active).collect();
        assert!(leaders.len() <= 2);
        world.grant(2, 4);
        world.publish(1);
        world.settle();
        assert_eq!(world.role(2), RoleName::Active, "order {order:05b}");
        assert_eq!(world.role(1), RoleName::Standby, "order {order:05b}");
        world.check_complete();
    }
}

#[test]
fn standby_behind_applies_all_of_the_log_before_it_leads() {
    let mut world = led_by_first(2);
    world.engines[1].paused = true;
    world.publish(60);
    world.settle();
    world.engines[1].paused = false;
    world.engines[0].paused = true;
    world.grant(1, 2);
    world.settle();
    assert_eq!(world.role(1), RoleName::Active);
    let opening = world.log.iter().find(|record| record.term == Term(2)).unwrap();
    assert_eq!(opening.positions, [60], "R4: it opens its term where the log ended");
    world.check_complete();
}

#[test]
fn handover_on_purpose_needs_no_fence_of_a_living_leader() {
    let mut world = led_by_first(2);
    world.publish(9);
    let successor = world.engines[1].id.clone();
    world.turn(0);
    world.input(0, Input::HandOver { term: Term(1), successor: successor.clone() });
    world.settle();
    let last = world.log.last().unwrap();
    assert_eq!(last.kind, CommitKind::Handover { successor: successor.clone() });
    assert_eq!(world.role(0), RoleName::Standby);
    assert!(world.saw(0, |effect| matches!(effect, Effect::StepDown { successor: Some(s), .. } if *s == successor)));
    world.grant(1, 2);
    world.publish(3);
    world.settle();
    assert_eq!((world.role(0), world.role(1)), (RoleName::Standby, RoleName::Active));
    world.check_complete();
}

#[test]
fn differing_state_is_thrown_away_and_rebuilt() {
    let mut world = led_by_first(2);
    world.publish(3);
    world.settle();
    world.corrupt(1);
    world.publish(3);
    world.settle();
    assert!(world.saw(1, |effect| matches!(effect, Effect::Diverged { window: Some(0), .. })));
    assert!(world.saw(1, |effect| matches!(effect, Effect::Rebuild { .. })));
    assert_eq!(world.role(1), RoleName::Standby, "rebuilt from the log");
    assert_eq!(world.number(1), world.number(0));
    world.check_complete();
}

#[test]
fn state_that_differs_again_at_the_same_commit_is_final() {
    let mut world = led_by_first(2);
    world.publish(3);
    world.settle();
    let number = world.number(0).0 as usize;
    world.log[number - 1].digests = vec![0]; // nobody can ever reach this
    world.engines[0].paused = true;
    let late = world.add_engine();
    world.settle();
    assert_eq!(world.role(late), RoleName::Failed);
    assert_eq!(world.engines[late].role.view().rebuilds, 1);
}

#[test]
fn restarted_engine_replays_the_log_and_joins() {
    let mut world = led_by_first(2);
    world.pass(HEARTBEAT_US);
    world.publish(30);
    world.settle();
    let late = world.add_engine();
    assert_eq!(world.role(late), RoleName::Recovering);
    world.settle();
    assert_eq!(world.role(late), RoleName::Standby);
    assert_eq!(world.number(late), world.number(0));
    world.check_complete();
}

#[test]
fn ticks_are_recorded_before_new_input_and_replayed() {
    let mut world = led_by_first(2);
    world.publish(1);
    world.settle();
    world.publish(1); // less than a heartbeat later: no tick
    world.settle();
    world.pass(HEARTBEAT_US);
    world.publish(1);
    world.settle();
    let ticks = world.log.iter().flat_map(|record| &record.steps).filter(|step| matches!(step, Step::Tick { .. }));
    assert_eq!(ticks.count(), 2);
    world.check_complete();
}

#[test]
fn another_model_or_a_torn_log_stops_the_engine_with_a_reason() {
    let mut world = led_by_first(1);
    world.publish(3);
    world.settle();
    let late = world.add_engine();
    let mut record = world.log[0].clone();
    record.model_fingerprint = FINGERPRINT + 1;
    world.input(late, Input::LogRecord { offset: 0, record });
    assert_eq!(world.role(late), RoleName::Failed);
    assert!(world.engines[late].role.view().waits_for.contains("deploy the same project file"));

    let late = world.add_engine();
    let record = world.log[1].clone();
    world.input(late, Input::LogRecord { offset: 1, record });
    assert!(world.engines[late].role.view().waits_for.contains("expected 1"), "{:?}", world.engines[late].role.view());
}

#[test]
fn failed_fence_gives_the_term_back() {
    let mut world = led_by_first(2);
    world.engines[1].hold_writer = true;
    world.grant(1, 2);
    world.input(1, Input::FenceFailed { term: Term(2), reason: "no broker".into() });
    assert_eq!(world.role(1), RoleName::Standby);
    assert!(world.saw(1, |effect| matches!(effect, Effect::StepDown { term: Term(2), .. })));
}

/// Random schedules: pauses, grants, lost outcomes, restarts, in any order. The seed is in the message.
#[test]
fn random_schedules_never_tear_the_output() {
    for seed in 1..=3_000_u64 {
        let mut state = seed;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut world = World::new(3);
        let mut term = 0;
        for _ in 0..60 {
            let engine = random(world.engines.len() as u64) as usize;
            match random(14) {
                0 => {
                    term += 1;
                    world.grant(engine, term);
                }
                1 => world.engines[engine].paused ^= true,
                2 => world.engines[engine].hold_writer ^= true,
                3 => world.engines[engine].outcome = Outcome::LostButCommitted,
                4 => world.engines[engine].outcome = Outcome::LostNotCommitted,
                5 => world.pass(random(2 * HEARTBEAT_US as u64) as i64),
                6 | 7 => world.publish(random(6)),
                8 if world.engines.len() < 6 => {
                    world.engines[engine].paused = true; // killed; a new process comes instead
                    world.add_engine();
                }
                9 if term > 0 => {
                    let successor = world.engines[0].id.clone();
                    world.input(engine, Input::HandOver { term: Term(term), successor });
                }
                10 => world.input(engine, Input::SnapshotWanted),
                11 if seed % 4 == 0 => world.publish_poison(),
                12 => world.skip(engine),
                _ => {
                    world.turn(engine);
                }
            }
            world.check();
        }
        // Liveness: once everybody is well again, one grant is enough.
        for engine in &mut world.engines {
            engine.paused = false;
            engine.hold_writer = false;
            engine.outcome = Outcome::Commit;
        }
        world.settle();
        let last = world.engines.len() - 1;
        world.publish(2);
        // One more for each block on which apply fails: it is found, then skipped.
        for _ in 0..200 {
            term += 1;
            world.grant(last, term);
            world.settle();
            world.skip(last);
            world.settle();
            if world.role(last) == RoleName::Active && world.position() == world.input.len() as u64 {
                break;
            }
        }
        assert_eq!(world.role(last), RoleName::Active, "seed {seed}");
        for engine in 0..last {
            assert_eq!(world.role(engine), RoleName::Standby, "seed {seed}, engine {engine}");
            assert_eq!(world.number(engine), world.number(last), "seed {seed}, engine {engine}");
        }
        world.check_complete();
    }
}
