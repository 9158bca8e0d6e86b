//! One seed from start to verdict, many seeds on several threads, and a failing one made shorter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::check::Violation;
use crate::coverage::Coverage;
use crate::plan::{Granting, Plan};
use crate::world::World;

/// What came of a run.
#[derive(Debug)]
pub struct Verdict {
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
    /// What happened, if it was to be recorded.
    pub history: Option<String>,
    /// What the protocol's parts went through.
    pub coverage: Coverage,
    /// Events.
    pub events: u64,
    /// Commits decided.
    pub commits: u64,
    /// Terms led.
    pub terms: u64,
    /// Simulated time, microseconds.
    pub simulated_us: u64,
    /// Time from the end of the faults until all was well, microseconds.
    pub recovery_us: u64,
}

/// Runs a plan. `record`: write its history.
pub fn run(plan: Plan, record: bool) -> Verdict {
    let quiet_at_us = plan.quiet_at_us;
    let mut world = World::new(plan, record);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violate("role", format!("panic: {}", text.unwrap_or_default()));
    }
    Verdict {
        violation: world.violation().cloned(),
        coverage: world.coverage.clone(),
        events: world.events,
        commits: world.check.commits(),
        terms: world.check.term().0,
        simulated_us: world.now,
        recovery_us: world.now.saturating_sub(quiet_at_us),
        history: world.history.take(),
    }
}

/// A seed that broke a promise.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What went wrong.
    pub violation: Violation,
}

/// The seed that took longest to become well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slowest {
    /// How long, microseconds.
    pub recovery_us: u64,
    /// Which.
    pub seed: u64,
}

/// What many seeds gave.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds run.
    pub seeds: u64,
    /// Events of all.
    pub events: u64,
    /// Commits of all.
    pub commits: u64,
    /// Terms of all.
    pub terms: u64,
    /// Simulated time of all, microseconds.
    pub simulated_us: u64,
    /// The seed that took longest to become well after its faults, with an election and without.
    pub slowest: [Slowest; 2],
    /// Coverage of all.
    pub coverage: Coverage,
    /// Those that failed, in order of seed.
    pub failures: Vec<Failure>,
}

/// Which seeds, and how.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// Threads.
    pub jobs: usize,
    /// End after this many failures.
    pub failures_most: usize,
}

/// Runs many seeds. `before` is called on each thread first; `progress` with the number done, now and then.
pub fn run_many(seeds: Seeds, before: impl Fn() + Sync, progress: impl Fn(u64) + Sync) -> Tally {
    /// Seeds that a thread takes at once.
    const SLICE: u64 = 32;
    let (next, done, enough) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let whole = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..seeds.jobs.max(1) {
            scope.spawn(|| {
                before();
                let mut mine = Tally::default();
                while !enough.load(Ordering::Relaxed) {
                    let first = next.fetch_add(SLICE, Ordering::Relaxed);
                    if first >= seeds.count {
                        break;
                    }
                    for index in first..seeds.count.min(first + SLICE) {
                        mine.take(seeds.from + index);
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                        if mine.failures.len() >= seeds.failures_most {
                            enough.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                }
                whole.lock().expect("no thread panics while it holds this lock").add(mine);
            });
        }
    });
    let mut whole = whole.into_inner().expect("every thread has ended");
    whole.failures.sort_by_key(|failure| failure.seed);
    whole
}

impl Tally {
    fn take(&mut self, seed: u64) {
        let plan = Plan::of(seed);
        let elects = usize::from(plan.granting == Granting::Arbitrary);
        let verdict = run(plan, false);
        self.slowest[elects] = self.slowest[elects].max(Slowest { recovery_us: verdict.recovery_us, seed });
        self.seeds += 1;
        self.events += verdict.events;
        self.commits += verdict.commits;
        self.terms += verdict.terms;
        self.simulated_us += verdict.simulated_us;
        self.coverage.add(&verdict.coverage);
        self.failures.extend(verdict.violation.map(|violation| Failure { seed, violation }));
    }

    fn add(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.commits += other.commits;
        self.terms += other.terms;
        self.simulated_us += other.simulated_us;
        for (mine, other) in self.slowest.iter_mut().zip(other.slowest) {
            *mine = (*mine).max(other);
        }
        self.coverage.add(&other.coverage);
        self.failures.extend(other.failures);
    }
}

/// Takes faults out of a failing plan as long as the same rule is still broken: by halves first, then one by one.
pub fn minimise(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    let Some(rule) = run(plan.clone(), false).violation.map(|violation| violation.rule) else { return plan };
    let still = |plan: &Plan| run(plan.clone(), false).violation.is_some_and(|violation| violation.rule == rule);
    let mut piece = plan.faults.len().div_ceil(2);
    while piece > 0 && !plan.faults.is_empty() {
        let mut at = 0;
        while at < plan.faults.len() {
            let mut shorter = plan.clone();
            shorter.faults.drain(at..plan.faults.len().min(at + piece));
            if still(&shorter) {
                plan = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    plan
}
