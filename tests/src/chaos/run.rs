//! The run: be well, strike, heal, be well again, judge; then the next.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use mesh_tests::mesh::tail;
use serde::Serialize;
use xtask::chaos::ChaosArgs;
use xtask::compose::compare::Verdict;

use crate::fault::{Dice, Kind, parse};
use crate::report::Story;
use crate::rig::Rig;
use crate::roles::Roles;
use crate::strike::{Struck, strike};

/// How long everything may take to be well again; longer is a hang, which is a violation.
const WELL_LIMIT: Duration = Duration::from_secs(90);
/// Age of a term before a fault: above the election's `minimum_term`, within which a suspicion alone moves no leader.
const TERM_AGE: Duration = Duration::from_millis(1500);
/// Time in which nothing happens before a fault, at most.
const PAUSE_MS: (u64, u64) = (0, 500);
const POLL: Duration = Duration::from_millis(50);

/// What came of a fault; one line of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its number, from 1.
    pub n: u64,
    /// Kind.
    pub fault: &'static str,
    /// Whom it struck.
    pub targets: Vec<String>,
    /// What was drawn besides.
    pub detail: String,
    /// When, seconds since the run began.
    pub at_s: f64,
    /// How long it lasted, until it was healed.
    pub lasted_ms: u64,
    /// Longest silence at the reader of `.O` from the strike until all was well.
    pub gap_ms: f64,
    /// Longest time in which Kafka acknowledged nothing to a plain producer meanwhile.
    pub plain_gap_ms: f64,
    /// From the healing until all was well.
    pub well_after_ms: u64,
    /// Terms that began meanwhile, with their leaders.
    pub led: Vec<(u64, String)>,
    /// Blocks or lines that never came: raw topic, subscriber's file, input.
    pub lost: usize,
    /// That came twice.
    pub doubled: usize,
    /// That came late.
    pub reordered: usize,
    /// That nobody expected.
    pub foreign: usize,
    /// Processes that ended by themselves.
    pub ended: Vec<String>,
    /// What is wrong, in words; with `not well` first if it hung.
    pub problems: Vec<String>,
}

impl Outcome {
    /// The promise was kept.
    pub fn is_good(&self) -> bool {
        self.lost + self.doubled + self.reordered + self.foreign == 0 && self.problems.is_empty()
    }
}

/// Told to stop by a signal.
pub type Stopped = Arc<AtomicBool>;

/// Everything; the story is told even if it ends early.
pub fn run(args: &ChaosArgs, mut rig: Rig, folder: &Path, stopped: &Stopped) -> Result<Story> {
    let kinds: Vec<Kind> = possible(parse(&args.faults)?, &rig)?;
    let roles = Roles::start(&rig.mesh)?;
    let mut dice = Dice::new(args.seed);
    let began = Instant::now();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let (mut ended, mut error) = (Vec::new(), None);
    wait_well(&mut rig, false, &mut ended, stopped)?;
    let log = folder.join("faults.jsonl");
    let mut lines = String::new();
    for n in 1..=args.runs {
        match one(&mut rig, n, began, &kinds, &mut dice, stopped) {
            Ok(outcome) => {
                let line = serde_json::to_string(&outcome)?;
                if args.json {
                    println!("{line}");
                }
                tell(&outcome);
                lines += &(line + "\n");
                fs::write(&log, &lines)?;
                let hung = outcome.problems.first().is_some_and(|problem| problem.starts_with("not well"));
                if !outcome.is_good() {
                    keep_logs(&mut rig, folder)?;
                }
                outcomes.push(outcome);
                if hung {
                    break;
                }
            }
            Err(failed) => {
                keep_logs(&mut rig, folder)?;
                error = Some(format!("{failed:#}"));
                break;
            }
        }
    }
    rig.stop_load();
    let last = if error.is_none() { finish(&mut rig, stopped).err().map(|error| format!("{error:#}")) } else { None };
    let known = rig.judge.known().clone();
    Ok(Story {
        seed: args.seed,
        began,
        outcomes,
        leaders: known.leaders,
        roles: roles.changes(),
        seen: rig.watch.records().iter().map(|seen| (seen.at, seen.term)).collect(),
        totals: [known.topic, known.file, known.input],
        problems: known.problems.into_iter().chain(last).collect(),
        stopped_by: error,
        networks: rig.net.is_some(),
    })
}

/// The kinds that this machine allows.
fn possible(kinds: Vec<Kind>, rig: &Rig) -> Result<Vec<Kind>> {
    let (possible, left): (Vec<Kind>, Vec<Kind>) = kinds.into_iter().partition(|kind| {
        (rig.net.is_some() || !kind.needs_net()) && (rig.store_is_disk() || kind.name != "disk-full")
    });
    if !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|kind| kind.name).collect();
        eprintln!("not possible on this machine, left out: {}", names.join(", "));
    }
    ensure!(!possible.is_empty(), "none of the faults asked for is possible on this machine");
    Ok(possible)
}

fn one(rig: &mut Rig, n: u64, began: Instant, kinds: &[Kind], dice: &mut Dice, stopped: &Stopped) -> Result<Outcome> {
    wait_term_age(rig, stopped)?;
    pause(dice.time(PAUSE_MS), stopped)?;
    let before = rig.judge.known().clone();
    let kind = dice.kind(kinds);
    let at = Instant::now();
    let Struck { targets, lasts, detail } = strike(rig, kind, kinds, dice)?;
    pause(lasts.saturating_sub(at.elapsed()), stopped)?;
    rig.heal()?;
    let healed = Instant::now();
    let mut ended = Vec::new();
    let well = wait_well(rig, kind.strikes_brokers(), &mut ended, stopped);
    if stopped.load(Ordering::Acquire) {
        bail!("interrupted");
    }
    let known = rig.judge.known().clone();
    let mut problems: Vec<String> = well.err().map(|error| format!("not well: {error:#}")).into_iter().collect();
    problems.extend(known.problems[before.problems.len()..].iter().cloned());
    let sum = |of: fn(&Verdict) -> usize| {
        let all = |known: &mesh_tests::judge::Known| of(&known.topic) + of(&known.file) + of(&known.input);
        all(&known).saturating_sub(all(&before))
    };
    let round = |ms: f64| (ms * 10.0).round() / 10.0;
    Ok(Outcome {
        n,
        fault: kind.name,
        targets,
        detail,
        at_s: round(at.duration_since(began).as_secs_f64()),
        lasted_ms: healed.duration_since(at).as_millis() as u64,
        gap_ms: round(rig.watch.longest_silence_since_ms(at)),
        plain_gap_ms: round(rig.sent.longest_silence_ms(at)),
        well_after_ms: healed.elapsed().as_millis() as u64,
        led: known.leaders[before.leaders.len()..].iter().map(|led| (led.term, led.engine.clone())).collect(),
        lost: sum(|verdict| verdict.lost),
        doubled: sum(|verdict| verdict.doubled),
        reordered: sum(|verdict| verdict.reordered),
        foreign: sum(|verdict| verdict.foreign),
        ended,
        problems,
    })
}

fn tell(outcome: &Outcome) {
    let led: Vec<String> = outcome.led.iter().map(|(term, engine)| format!("{engine} in term {term}")).collect();
    eprintln!(
        "{:4} {:6.1} s  {:24} {:28} {:5} ms  gap {:7.1} ms  plain {:7.1} ms  well after {:5} ms  {}{}{}",
        outcome.n,
        outcome.at_s,
        outcome.fault,
        outcome.targets.join(" "),
        outcome.lasted_ms,
        outcome.gap_ms,
        outcome.plain_gap_ms,
        outcome.well_after_ms,
        led.join(", "),
        if outcome.detail.is_empty() { String::new() } else { format!("  [{}]", outcome.detail) },
        if outcome.ended.is_empty() {
            String::new()
        } else {
            format!("  ended by themselves: {}", outcome.ended.join(", "))
        },
    );
    if !outcome.is_good() {
        eprintln!(
            "     VIOLATION: lost {}, doubled {}, reordered {}, not expected {}; {}",
            outcome.lost,
            outcome.doubled,
            outcome.reordered,
            outcome.foreign,
            outcome.problems.join("; ")
        );
    }
}

fn pause(time: Duration, stopped: &Stopped) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        ensure!(!stopped.load(Ordering::Acquire), "interrupted");
        std::thread::park_timeout(until.saturating_duration_since(Instant::now()).min(POLL));
    }
    Ok(())
}

fn wait_term_age(rig: &Rig, stopped: &Stopped) -> Result<()> {
    loop {
        let since = rig.judge.known().leaders.last().map(|led| led.at);
        let Some(wait) = since.and_then(|since| TERM_AGE.checked_sub(since.elapsed())) else { return Ok(()) };
        pause(wait, stopped)?;
    }
}

/// Waits until all that was given so far is out and everybody is at work; starts again who ended.
fn wait_well(rig: &mut Rig, brokers: bool, ended: &mut Vec<String>, stopped: &Stopped) -> Result<()> {
    let (began, given) = (Instant::now(), rig.given());
    loop {
        ensure!(!stopped.load(Ordering::Acquire), "interrupted");
        for process in rig.processes() {
            if let Some(status) = process.has_ended() {
                ended.push(format!("{} ({status}): {}", process.name(), tail(&process.log(), 3)));
                process.restart()?;
            }
        }
        let Some(complaint) = rig.complaint(given, brokers) else { return Ok(()) };
        ensure!(began.elapsed() < WELL_LIMIT, "after {WELL_LIMIT:?}: {complaint}");
        std::thread::park_timeout(POLL);
    }
}

/// Without load everything must come out, to the last byte.
fn finish(rig: &mut Rig, stopped: &Stopped) -> Result<()> {
    wait_well(rig, false, &mut Vec::new(), stopped)?;
    let began = Instant::now();
    while !rig.judge.known().is_level() {
        let known = rig.judge.known().clone();
        ensure!(
            began.elapsed() < WELL_LIMIT,
            "not all came out: {:?} blocks due and seen, {:?} bytes due and written",
            known.blocks,
            known.bytes
        );
        pause(POLL, stopped)?;
    }
    rig.judge.check_file()
}

/// Copies the logs of all processes to the report's folder.
fn keep_logs(rig: &mut Rig, folder: &Path) -> Result<()> {
    let into = folder.join("logs");
    fs::create_dir_all(&into)?;
    for process in rig.processes() {
        fs::write(into.join(format!("{}.log", process.name())), process.log())?;
    }
    eprintln!("     logs of all processes so far: {}", into.display());
    Ok(())
}
