//! Seeded runs with every fault there is; then quiet, in which one healthy leader must emerge and stay.

use super::world::World;
use crate::election::{CandidateRole, MaintenanceChange};

/// Runs; each prints its seed when it fails.
const SEEDS: u64 = 40;
const FAULTS: u32 = 60;

#[test]
fn whatever_happens_terms_have_one_winner_and_quiet_brings_a_leader_that_stays() {
    for seed in 1..=SEEDS {
        let run = std::panic::catch_unwind(|| one_run(seed));
        assert!(run.is_ok(), "seed {seed}");
    }
}

#[test]
fn without_faults_the_first_leader_stays_whatever_the_timing() {
    for seed in 1..=20 {
        let mut world = World::new(3, seed);
        for name in ["a", "b", "c"] {
            world.start_candidate(name);
            world.run_ms(30);
        }
        world.run_ms(60_000);
        assert_eq!(world.winners.len(), 1, "seed {seed}: {:?}", world.winners);
    }
}

fn one_run(seed: u64) {
    let mut world = World::new(3, seed);
    world.unknown_one_in = 4;
    for name in ["a", "b", "c", "d"] {
        world.start_candidate(name);
    }
    world.run_ms(500);
    for _ in 0..FAULTS {
        fault(&mut world);
        let pause = world.random.below(800);
        world.run_ms(pause);
    }
    quiet(&mut world);
    world.run_ms(12_000);
    let leader = world.record.clone().expect("somebody leads").0;
    let it = world.candidates.iter().find(|it| it.name == leader.candidate).expect("a candidate leads");
    assert_eq!(
        (it.incarnation, it.role, it.term),
        (leader.incarnation, CandidateRole::Active, leader.term),
        "the leader knows it: {leader:?}"
    );
    let active = world.candidates.iter().filter(|it| it.role == CandidateRole::Active).count();
    assert_eq!(active, 1, "nobody else believes to lead");
    let terms = world.winners.len();
    world.run_ms(12_000);
    assert_eq!(world.winners.len(), terms, "E3: {:?}", world.winners);
    for it in &world.candidates {
        assert_eq!(world.nodes_of(&it.name), 1, "one node each: {}", it.name);
    }
}

fn fault(world: &mut World) {
    let instance = usize::try_from(world.random.below(3)).expect("small");
    let candidate = usize::try_from(world.random.below(4)).expect("small");
    match world.random.below(17) {
        0 | 1 if world.candidates[candidate].alive => world.crash(candidate),
        0..=2 if !world.candidates[candidate].alive => world.restart(candidate),
        3 => world.candidates[candidate].frozen = !world.candidates[candidate].frozen,
        4 => world.break_stream(candidate),
        5 => world.candidates[candidate].caught_up = !world.candidates[candidate].caught_up,
        6 if world.instances[instance].alive => world.kill_instance(instance),
        6 => world.start_instance(instance),
        7 if world.instances[instance].alive && !world.instances[instance].paused => {
            world.pause_instance(instance);
        }
        7 if world.instances[instance].paused => world.resume_instance(instance),
        8 => {
            let (down, expire) = (!world.server_down, world.random.chance(2));
            world.set_server_down(down, expire);
        }
        9 if world.instances[instance].alive => world.expire_session(instance),
        10 if world.instances[instance].alive => {
            let name = world.candidates[candidate].name.clone();
            world.promote(instance, &name);
        }
        11 if world.candidates[candidate].alive => world.step_down(candidate, ""),
        13 | 14 if world.instances[instance].alive => {
            let name = world.candidates[candidate].name.clone();
            let undrain = MaintenanceChange::Undrain { candidate: name.clone() };
            let drain = MaintenanceChange::Drain { candidate: name, order: world.order() };
            let change = if world.random.chance(2) { drain } else { undrain };
            world.maintain(instance, change);
        }
        15 if world.instances[instance].alive => {
            world.pause(instance);
        }
        16 if world.instances[instance].alive => {
            world.maintain(instance, MaintenanceChange::Resume);
        }
        _ => {}
    }
}

/// Mends everything.
fn quiet(world: &mut World) {
    for instance in 0..world.instances.len() {
        if !world.instances[instance].alive {
            world.start_instance(instance);
        } else if world.instances[instance].paused {
            world.resume_instance(instance);
        }
    }
    if world.server_down {
        world.set_server_down(false, false);
    }
    world.unknown_one_in = 0;
    world.run_ms(2_000);
    for name in ["a", "b", "c", "d"] {
        world.maintain(0, MaintenanceChange::Undrain { candidate: name.into() });
    }
    world.maintain(0, MaintenanceChange::Resume);
    for candidate in 0..world.candidates.len() {
        if !world.candidates[candidate].alive {
            world.restart(candidate);
        }
        world.candidates[candidate].frozen = false;
        world.candidates[candidate].caught_up = true;
    }
}
