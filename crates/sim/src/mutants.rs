//! Plants one bug after the other and counts the seeds until it is found: the proof that the simulator can fail.

use mesh_replication::mutant::{ALL, Mutant, plant};

use crate::check::Violation;
use crate::run::{Seeds, run_many};

/// How one planted bug fared.
#[derive(Debug)]
pub struct Finding {
    /// The bug.
    pub mutant: Mutant,
    /// Seeds until it was found, with the seed's violation; `None`: it was not.
    pub found: Option<(u64, Violation)>,
}

/// Hunts every bug whose name contains `only`, each from the same first seed, through at most `seeds_most` seeds.
pub fn hunt(only: &str, from: u64, seeds_most: u64, jobs: usize, mut told: impl FnMut(&Finding)) -> Vec<Finding> {
    let mut findings = Vec::new();
    for mutant in ALL.into_iter().filter(|mutant| format!("{mutant:?}").contains(only)) {
        let seeds = Seeds { from, count: seeds_most, jobs, failures_most: 1 };
        let tally = run_many(seeds, || plant(Some(mutant)), |_| {});
        let first = tally.failures.into_iter().next();
        let found = first.map(|failure| (failure.seed - from + 1, failure.violation));
        let finding = Finding { mutant, found };
        told(&finding);
        findings.push(finding);
    }
    findings
}
