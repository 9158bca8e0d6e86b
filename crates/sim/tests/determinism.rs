//! A seed is its history, and a plain range of seeds keeps every promise.

use mesh_sim::plan::{Granting, Plan};
use mesh_sim::run::{Seeds, run, run_many};

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte() {
    let mut elections = 0;
    for seed in 1..=60 {
        let first = run(Plan::of(seed), true).history.expect("it was to be recorded");
        let again = run(Plan::of(seed), true).history.expect("it was to be recorded");
        assert!(first.lines().count() > 50, "seed {seed} has hardly a history");
        assert!(first == again, "seed {seed} has two histories");
        elections += u32::from(Plan::of(seed).granting != Granting::Arbitrary);
    }
    assert!(elections > 5, "only {elections} of the seeds run an election");
}

#[test]
fn recording_a_history_changes_nothing() {
    for seed in 100..140 {
        let (told, silent) = (run(Plan::of(seed), true), run(Plan::of(seed), false));
        assert_eq!(
            (told.events, told.commits, told.simulated_us),
            (silent.events, silent.commits, silent.simulated_us)
        );
        assert!(silent.history.is_none());
    }
}

#[test]
fn a_few_hundred_seeds_keep_every_promise() {
    let seeds = Seeds { from: 1, count: 300, jobs: 1, failures_most: 1 };
    let tally = run_many(seeds, || {}, |_| {});
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(tally.seeds, 300);
    assert!(tally.commits > 3000 && tally.terms > 400, "{} commits in {} terms", tally.commits, tally.terms);
}
