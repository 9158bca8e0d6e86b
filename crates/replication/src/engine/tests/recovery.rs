//! Snapshots, and input on which apply fails.

use super::world::{POISON, World};
use crate::engine::{Effect, Input, RoleName};
use crate::{CommitKind, Step, Term};

fn led_by_first(engines: usize) -> World {
    let mut world = World::new(engines);
    world.settle();
    world.grant(0, 1);
    world.settle();
    assert_eq!(world.role(0), RoleName::Active);
    world
}

fn applied(world: &World, engine: usize) -> u32 {
    let blocks = world.engines[engine].effects_seen.iter().map(|effect| match effect {
        Effect::Apply { blocks, .. } => *blocks,
        _ => 0,
    });
    blocks.sum()
}

fn rebuilds(world: &World, engine: usize) -> Vec<bool> {
    let seen = world.engines[engine].effects_seen.iter();
    seen.filter_map(|effect| if let Effect::Rebuild { refuse, .. } = effect { Some(*refuse) } else { None }).collect()
}

#[test]
fn a_standby_saves_a_commit_and_a_restarted_engine_goes_on_from_it() {
    let mut world = led_by_first(2);
    world.publish(50);
    world.settle();
    world.input(1, Input::SnapshotWanted);
    world.settle();
    assert_eq!(world.snapshots.len(), 1);
    let point = world.snapshots[0].0.clone();
    assert_eq!((point.number, point.term), (world.number(1), Term(1)));
    assert_eq!(world.log[point.log_offset as usize].number, point.number);
    world.publish(3);
    world.settle();
    let engine = world.add_engine();
    world.settle();
    assert_eq!(world.role(engine), RoleName::Standby);
    assert_eq!(world.number(engine), world.number(0));
    assert_eq!(applied(&world, engine), 3, "only what came after the snapshot");
    world.grant(engine, 2);
    world.publish(4);
    world.settle();
    assert_eq!(world.role(engine), RoleName::Active);
    world.check_complete();
}

#[test]
fn a_standby_under_load_saves_between_two_commits() {
    let mut world = led_by_first(2);
    world.engines[1].paused = true;
    world.publish(100);
    world.settle();
    world.input(1, Input::SnapshotWanted);
    world.engines[1].paused = false;
    world.settle(); // the world compares every snapshot with the machine's state
    assert_eq!(world.snapshots.len(), 1);
    assert!(world.snapshots[0].0.number < world.number(1), "the first commit that is whole");
    let engine = world.add_engine();
    world.settle();
    assert_eq!(world.number(engine), world.number(0));
    world.check_complete();
}

#[test]
fn a_leader_stands_still_for_a_snapshot_until_its_last_commit_is_read_back() {
    let mut world = led_by_first(1);
    world.engines[0].hold_writer = true;
    world.publish(20);
    world.settle();
    world.input(0, Input::SnapshotWanted);
    world.settle();
    assert!(world.snapshots.is_empty(), "a commit is under way");
    world.engines[0].hold_writer = false;
    world.settle();
    assert_eq!(world.snapshots.len(), 1);
    world.check_complete();
    let engine = world.add_engine();
    world.settle();
    assert_eq!(world.number(engine), world.number(0));
    world.check();
}

#[test]
fn a_snapshot_with_another_state_than_the_log_is_refused_and_the_next_older_taken() {
    let mut world = led_by_first(2);
    for _ in 0..2 {
        world.publish(20);
        world.settle();
        world.input(1, Input::SnapshotWanted);
        world.settle();
    }
    world.falsify(1);
    world.publish(5);
    world.settle();
    let engine = world.add_engine();
    world.settle();
    assert_eq!(rebuilds(&world, engine), [true]);
    assert_eq!(applied(&world, engine), 25, "from the older snapshot on");
    world.falsify(0);
    let engine = world.add_engine();
    world.settle();
    assert_eq!(rebuilds(&world, engine), [true, true]);
    assert_eq!(applied(&world, engine), 45, "from the log's start");
    assert_eq!(world.role(engine), RoleName::Standby);
    world.check_complete();
}

#[test]
fn a_snapshot_of_another_log_is_refused() {
    for shorter in [false, true] {
        let mut other = led_by_first(2);
        other.publish(if shorter { 200 } else { 40 });
        other.settle();
        other.input(1, Input::SnapshotWanted);
        other.settle();
        let mut world = led_by_first(2);
        world.publish(10);
        world.settle();
        if !shorter {
            world.engines[0].paused = true;
            world.grant(1, 2);
            world.settle();
            world.publish(60); // the same offset holds a commit of another term
            world.settle();
        }
        world.snapshots.append(&mut other.snapshots);
        let engine = world.add_engine();
        world.settle();
        assert_eq!(rebuilds(&world, engine), [true], "shorter: {shorter}");
        assert_eq!(world.role(engine), RoleName::Standby);
        world.check_complete();
    }
}

#[test]
fn differing_later_twice_refuses_the_snapshot_that_it_came_from() {
    let mut world = led_by_first(2);
    for _ in 0..2 {
        world.publish(9);
        world.settle();
        world.input(1, Input::SnapshotWanted);
        world.settle();
    }
    world.falsify_later(1); // equal at its own commit, another state afterwards
    world.publish(9);
    world.settle();
    let engine = world.add_engine();
    world.settle();
    assert_eq!(rebuilds(&world, engine), [false, true]);
    assert_eq!(world.role(engine), RoleName::Standby);
    assert_eq!(world.number(engine), world.number(0));
    world.check_complete();
}

#[test]
fn poison_is_found_to_the_block_and_parks_the_project_without_flapping() {
    let mut world = led_by_first(2);
    world.publish(5);
    world.publish_poison();
    world.publish(5);
    world.settle();
    // The first leader has told that apply fails, committed all before it, and given its term back.
    let told = world.log.last().unwrap();
    assert!(matches!(&told.kind, CommitKind::Park { poison } if poison.blocks == 3), "{told:?}");
    assert!(world.saw(0, |effect| matches!(effect, Effect::StepDown { term: Term(1), successor: None, .. })));
    assert_eq!((world.role(0), world.role(1)), (RoleName::Standby, RoleName::Standby));
    // The second goes on block by block, and finds it.
    world.grant(1, 2);
    world.settle();
    let parked = world.parked(0).expect("every engine knows");
    assert_eq!((parked.input, parked.from, parked.end), (Some(0), 5, 6));
    assert_eq!(world.position(), 5, "all before it is committed");
    // Whoever leads now leads a parked project, and nobody is asked to try again.
    for (engine, term) in [(0, 3), (1, 4)] {
        world.grant(engine, term);
        world.publish(1);
        world.settle();
        assert_eq!(world.role(engine), RoleName::Active);
        assert_eq!(world.parked(engine), Some(parked.clone()));
    }
    assert_eq!(world.position(), 5);
    // An engine that joins from a snapshot knows as well.
    world.input(0, Input::SnapshotWanted);
    world.settle();
    let engine = world.add_engine();
    world.settle();
    assert_eq!(world.parked(engine), Some(parked));
    // Another block cannot be skipped; this one can, and all go on.
    world.input(1, Input::SkipWanted { input: 0, position: 4 });
    world.settle();
    assert_eq!(world.position(), 5);
    world.input(1, Input::SkipWanted { input: 0, position: 5 });
    world.settle();
    assert!(world.log.iter().any(|record| record.steps.contains(&Step::Skip { input: 0 })));
    for engine in 0..3 {
        assert_eq!((world.parked(engine), world.number(engine)), (None, world.number(1)));
    }
    world.check_complete();
}

#[test]
fn a_leader_with_a_commit_under_way_and_steps_open_loses_none_of_them_to_poison() {
    let mut world = led_by_first(1);
    world.engines[0].hold_writer = true;
    world.publish(7);
    world.settle();
    world.publish_poison();
    world.settle();
    world.engines[0].hold_writer = false;
    world.settle();
    for term in 2..4 {
        world.grant(0, term);
        world.settle();
    }
    assert_eq!(world.parked(0).map(|poison| poison.from), Some(7));
    assert_eq!(world.output.len(), 7);
    world.input(0, Input::SkipWanted { input: 0, position: 7 });
    world.settle();
    world.check_complete();
    assert!(world.input.contains(&POISON));
}
