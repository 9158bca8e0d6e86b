//! `mesh-sim`: seeds, one seed, mutants, the model. `cargo xtask sim` builds and starts it.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mesh_sim::model::{Bounds, check};
use mesh_sim::plan::Plan;
use mesh_sim::run::{Failure, Seeds, Tally, minimise, run, run_many};
use serde_json::json;

/// Lines of a failing history that are shown from its end.
const HISTORY_LINES_MOST: usize = 120;

/// Simulate the protocol's shipped code under faults
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Args {
    /// Seeds to run
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Print one JSON line for every failure and for the whole
    #[arg(long)]
    json: bool,
    /// Plant one protocol bug after the other and count the seeds until it is found
    #[arg(long)]
    mutants: bool,
    /// With --mutants: only those whose names contain this
    #[arg(long, default_value = "")]
    only: String,
    /// Check a small configuration in every order of events (3 engines, 2 terms, crash and pause anywhere)
    #[arg(long)]
    model: bool,
    /// With --model: crashes and lost answers at most
    #[arg(long, default_value_t = 1)]
    faults: u8,
    /// With --model: engines
    #[arg(long, default_value_t = 3)]
    engines: usize,
    /// With --model: blocks of input, each a commit of its own
    #[arg(long, default_value_t = 2)]
    blocks: u64,
    /// Run one seed and print its history
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after this many failures
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // a panic of the protocol is a finding like any other, with its seed
    std::panic::set_hook(Box::new(|_| {}));
    let good = match args.seed {
        Some(seed) => one(seed),
        None if args.mutants => hunt_mutants(&args),
        None if args.model => check_model(&args),
        None => many(&args),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed: its faults, its history, its verdict.
fn one(seed: u64) -> bool {
    let plan = Plan::of(seed);
    println!("{}", describe(&plan));
    let verdict = run(plan, true);
    print!("{}", verdict.history.unwrap_or_default());
    match verdict.violation {
        None => println!("seed {seed}: {} events, {} commits, no violation", verdict.events, verdict.commits),
        Some(violation) => {
            println!("seed {seed}: {}: {}", violation.rule, violation.text);
            return false;
        }
    }
    true
}

/// Every planted bug, as a table for docs/PROOF.md.
#[cfg(feature = "mutants")]
fn hunt_mutants(args: &Args) -> bool {
    let began = Instant::now();
    println!("| planted bug | seeds until found | rule broken |\n|---|---|---|");
    let findings =
        mesh_sim::mutants::hunt(&args.only, args.from, args.seeds, args.jobs, |finding| match &finding.found {
            Some((seeds, violation)) => println!("| {:?} | {seeds} | {} |", finding.mutant, violation.rule),
            None => println!("| {:?} | not in {} | - |", finding.mutant, args.seeds),
        });
    let found = findings.iter().filter(|finding| finding.found.is_some()).count();
    let seconds = began.elapsed().as_secs();
    println!("RESULT {}", json!({"name": "mutants", "planted": findings.len(), "found": found, "seconds": seconds}));
    found == findings.len()
}

#[cfg(not(feature = "mutants"))]
fn hunt_mutants(_: &Args) -> bool {
    eprintln!("error: planted bugs are not compiled in, expected feature `mutants`: run `cargo xtask sim --mutants`");
    false
}

/// The small configuration; states and time.
fn check_model(args: &Args) -> bool {
    let bounds =
        Bounds { engines: args.engines, terms: 2, blocks: args.blocks, crashes: args.faults, lost: args.faults };
    let began = Instant::now();
    let checked = check(bounds, args.jobs);
    for text in &checked.violations {
        println!("{text}");
    }
    for goal in &checked.missed {
        println!("never reached: {goal}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{bounds:?}: depth {}, {seconds:.1} s", checked.depth);
    let violations = checked.violations.len() + checked.missed.len();
    let result = json!({"name": "model", "states": checked.states, "violations": violations, "seconds": seconds});
    println!("RESULT {result}");
    violations == 0
}

fn describe(plan: &Plan) -> String {
    let faults: Vec<String> = plan.faults.iter().map(|fault| format!("  {fault}")).collect();
    format!(
        "seed {}: {} engines, {} inputs, {} outputs, {:?}, {:?}, heartbeat {:?}\nfaults ({}):\n{}",
        plan.seed,
        plan.engines,
        plan.inputs,
        plan.outputs,
        plan.granting,
        plan.feeding,
        plan.limits.heartbeat_us,
        plan.faults.len(),
        faults.join("\n")
    )
}

fn many(args: &Args) -> bool {
    let bar = bar(args.seeds);
    let began = Instant::now();
    let seeds = Seeds { from: args.from, count: args.seeds, jobs: args.jobs, failures_most: args.failures };
    let tally = run_many(
        seeds,
        || {},
        |done| {
            if done % 64 == 0 {
                bar.set_position(done);
            }
        },
    );
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    for failure in &tally.failures {
        tell_failure(failure, args.json);
    }
    tell_whole(&tally, seconds, args.json);
    tally.failures.is_empty()
}

fn bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left")
        .expect("the template is right, a test would show it");
    ProgressBar::new(length).with_style(style)
}

fn tell_failure(failure: &Failure, as_json: bool) {
    let shorter = minimise(failure.seed);
    let faults: Vec<String> = shorter.faults.iter().map(ToString::to_string).collect();
    let again = format!("cargo xtask sim --seed {}", failure.seed);
    if as_json {
        let (rule, text) = (failure.violation.rule, &failure.violation.text);
        let line = json!({"seed": failure.seed, "rule": rule, "text": text, "faults": faults, "again": again});
        println!("{line}");
        return;
    }
    println!("seed {}: {}: {}", failure.seed, failure.violation.rule, failure.violation.text);
    println!("the whole history: {again}\nthe shortest list of faults that breaks the same rule:");
    println!("{}", describe(&shorter));
    let history = run(shorter, true).history.unwrap_or_default();
    let lines: Vec<&str> = history.lines().collect();
    let skipped = lines.len().saturating_sub(HISTORY_LINES_MOST);
    if skipped > 0 {
        println!("... {skipped} lines before");
    }
    println!("{}", lines[skipped..].join("\n"));
}

fn tell_whole(tally: &Tally, seconds: f64, as_json: bool) {
    let rate = tally.seeds as f64 / seconds.max(1e-9);
    let (covered, all) = tally.coverage.share();
    if !as_json {
        print!("{}", tally.coverage.report());
        println!(
            "{} seeds in {seconds:.1} s: {:.0} events, {:.1} commits, {:.1} terms a seed; {:.0} simulated s, {:.0}x",
            tally.seeds,
            tally.events as f64 / tally.seeds.max(1) as f64,
            tally.commits as f64 / tally.seeds.max(1) as f64,
            tally.terms as f64 / tally.seeds.max(1) as f64,
            tally.simulated_us as f64 / 1e6,
            tally.simulated_us as f64 / 1e6 / seconds.max(1e-9),
        );
    }
    if !as_json {
        for (what, slowest) in ["with an election", "without"].iter().zip(&tally.slowest) {
            let millis = slowest.recovery_us as f64 / 1000.0;
            println!("slowest to become well after its faults, {what}: seed {}, {millis:.0} ms", slowest.seed);
        }
    }
    let result = json!({
        "name": "sim",
        "seeds": tally.seeds,
        "seeds_per_s": rate.round(),
        "violations": tally.failures.len(),
        "events": tally.events,
        "commits": tally.commits,
        "covered": covered,
        "pairs": all,
    });
    println!("RESULT {result}");
}
