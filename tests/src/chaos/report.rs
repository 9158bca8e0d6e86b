//! The verdict of a whole run: for people, for scripts, and what the page draws.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use mesh_tests::figures::{percentile, round};
use serde_json::{Value, json};
use xtask::compose::compare::Verdict;

use crate::roles::Since;
use crate::run::Outcome;
use mesh_tests::judge::Led;

/// Everything that is known of a run.
pub struct Story {
    /// What decided it.
    pub seed: u64,
    /// When it began.
    pub began: Instant,
    /// Fault by fault.
    pub outcomes: Vec<Outcome>,
    /// Who led.
    pub leaders: Vec<Led>,
    /// What the engines said of themselves.
    pub roles: Vec<(String, Vec<Since>)>,
    /// When each block was seen at the reader of `.O`, with its term.
    pub seen: Vec<(Instant, u64)>,
    /// What was wrong in all: raw topic, subscriber's file, input.
    pub totals: [Verdict; 3],
    /// The same in words, and what was wrong in the end.
    pub problems: Vec<String>,
    /// Why it ended before its last fault.
    pub stopped_by: Option<String>,
    /// Whether every process had a network of its own.
    pub networks: bool,
}

impl Story {
    /// Every promise was kept to the end.
    pub fn is_good(&self) -> bool {
        self.stopped_by.is_none()
            && self.problems.is_empty()
            && self.totals.iter().all(Verdict::is_good)
            && self.outcomes.iter().all(Outcome::is_good)
    }

    fn total(&self, of: fn(&Verdict) -> usize) -> usize {
        self.totals.iter().map(of).sum()
    }

    fn by_fault(&self) -> BTreeMap<&'static str, Vec<&Outcome>> {
        let mut by_fault: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for outcome in &self.outcomes {
            by_fault.entry(outcome.fault).or_default().push(outcome);
        }
        by_fault
    }

    /// The line for scripts.
    pub fn result(&self) -> Value {
        let gaps: BTreeMap<&str, Value> = self.by_fault().into_iter().map(|(fault, of)| (fault, gaps(&of))).collect();
        json!({
            "name": "chaos",
            "seed": self.seed,
            "faults": self.outcomes.len(),
            "lost": self.total(|verdict| verdict.lost),
            "doubled": self.total(|verdict| verdict.doubled),
            "reordered": self.total(|verdict| verdict.reordered),
            "foreign": self.total(|verdict| verdict.foreign),
            "violations": self.outcomes.iter().filter(|outcome| !outcome.is_good()).count(),
            "ended_by_themselves": self.outcomes.iter().map(|outcome| outcome.ended.len()).sum::<usize>(),
            "blocks": self.seen.len(),
            "terms": self.leaders.last().map_or(0, |led| led.term),
            "networks": self.networks,
            "gaps": gaps,
            "seconds": round(self.began.elapsed().as_secs_f64()),
        })
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Chaos, seed {}\n\n{} faults in {:.0} s, {} output blocks in {} terms; lost {}, doubled {}, reordered {}, not \
             expected {} (raw topic, subscriber's file and input together).{}\n\n",
            self.seed,
            self.outcomes.len(),
            self.began.elapsed().as_secs_f64(),
            self.seen.len(),
            self.leaders.len(),
            self.total(|verdict| verdict.lost),
            self.total(|verdict| verdict.doubled),
            self.total(|verdict| verdict.reordered),
            self.total(|verdict| verdict.foreign),
            if self.networks { "" } else { " Faults of processes only: this machine allows no network namespaces." },
        );
        text += "| fault | times | gap p50 ms | p99 | max | plain producer's gap p50 ms | max | well again after p50 ms | max \
                 | violations |\n|---|---|---|---|---|---|---|---|---|---|\n";
        for (fault, of) in self.by_fault() {
            let at = |values: &[f64], p| round(percentile(values, p));
            let gaps: Vec<f64> = of.iter().map(|outcome| outcome.gap_ms).collect();
            let plain: Vec<f64> = of.iter().map(|outcome| outcome.plain_gap_ms).collect();
            let well: Vec<f64> = of.iter().map(|outcome| outcome.well_after_ms as f64).collect();
            let _ = writeln!(
                text,
                "| {fault} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                of.len(),
                at(&gaps, 50.0),
                at(&gaps, 99.0),
                at(&gaps, 100.0),
                at(&plain, 50.0),
                at(&plain, 100.0),
                at(&well, 50.0),
                at(&well, 100.0),
                of.iter().filter(|outcome| !outcome.is_good()).count()
            );
        }
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.is_good() || !outcome.ended.is_empty()) {
            let what = if outcome.is_good() { "Ended by itself" } else { "Violation" };
            let _ = writeln!(
                text,
                "\n**{what}** at fault {} ({}, {}): lost {}, doubled {}, reordered {}, not expected {}\n",
                outcome.n,
                outcome.fault,
                outcome.targets.join(", "),
                outcome.lost,
                outcome.doubled,
                outcome.reordered,
                outcome.foreign
            );
            for line in outcome.problems.iter().chain(&outcome.ended) {
                let _ = writeln!(text, "- {line}");
            }
        }
        if let Some(why) = &self.stopped_by {
            let _ = writeln!(text, "\nThe run ended early: {why}");
        }
        text
    }
}

fn gaps(of: &[&Outcome]) -> Value {
    let gaps: Vec<f64> = of.iter().map(|outcome| outcome.gap_ms).collect();
    let plain: Vec<f64> = of.iter().map(|outcome| outcome.plain_gap_ms).collect();
    json!({
        "n": gaps.len(),
        "p50_ms": round(percentile(&gaps, 50.0)),
        "p99_ms": round(percentile(&gaps, 99.0)),
        "max_ms": round(percentile(&gaps, 100.0)),
        "plain_max_ms": round(percentile(&plain, 100.0)),
    })
}
