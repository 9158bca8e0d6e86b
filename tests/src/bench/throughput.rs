//! Events per second from Kafka to Kafka, on a backlog: the input is full before the engines start.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mesh_event::topic::TopicKind;
use mesh_tests::figures::{result, round};
use mesh_tests::load::{Traced, publish_traced, weather_payloads};
use mesh_tests::process::machine_cpu_seconds;
use mesh_tests::verify::read_all;
use mesh_tests::wait_for;
use mesh_tests::watch::Watch;
use serde_json::{Value, json};

/// Any share says that there is a collector; which blocks are traced is in the load.
const DEFAULT_TRACE_RATIO: f64 = 0.01;
const LIMIT: Duration = Duration::from_secs(300);

/// Measures blocks of 512 events, and a tenth of the events in blocks of 1. A first pass of each counts for nothing:
/// brokers that have just started need it to compile what they do.
pub fn run(events: u64) -> Result<()> {
    for (block_events, events) in [(512, events), (1, events / 10)] {
        eprintln!("a first pass, for warmth:");
        measure(block_events, events, Traced::Nothing)?;
        result(&measure(block_events, events, Traced::Nothing)?.line);
    }
    Ok(())
}

/// What one measurement gave.
pub struct Figures {
    /// Events in a second.
    pub per_s: f64,
    /// Processor time of the active, seconds per million events.
    pub cpu: f64,
    /// These and the rest, for `RESULT`.
    line: Value,
}

/// A backlog of `events` in blocks of `block_events`, some of them traced.
pub fn measure(block_events: usize, events: u64, traced: Traced) -> Result<Figures> {
    let trace_ratio = if traced == Traced::Nothing { 0.0 } else { DEFAULT_TRACE_RATIO };
    let mut mesh = super::mesh("throughput", "weather", trace_ratio)?;
    for engine in &mut mesh.engines {
        engine.process.kill()?;
    }
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, block_events)?;
    let rows = 26_115_u64;
    let rounds = events.div_ceil(rows);
    let (events, blocks) = (rounds * rows, rounds as usize * payloads.len());
    let all = payloads.iter().cycle().take(blocks).cloned();
    let per_transaction = (65_536 / block_events).max(64);
    publish_traced(mesh.bus.as_ref(), &mesh.topic(TopicKind::Input), all, per_transaction, traced)?;
    eprintln!("backlog of {events} events in {blocks} blocks of {block_events}");
    let machine_before = machine_cpu_seconds();
    for engine in &mut mesh.engines {
        engine.process.restart()?;
    }
    // One output block for each input block; the commit log's timestamps tell how long it took.
    let mut active = None;
    wait_for("the backlog to be done", LIMIT, || {
        active = active.or_else(|| mesh.active());
        let status = mesh.status(active?).ok()?;
        std::thread::park_timeout(Duration::from_millis(50));
        (status.outputs.first()?.sequence >= blocks as u64).then_some(())
    })?;
    let active = active.expect("the backlog is done by somebody");
    let standby = 1 - active;
    let [cpu, standby_cpu] = [active, standby].map(|at| mesh.engines[at].process.cpu_seconds().unwrap_or_default());
    let machine_cpu = machine_cpu_seconds().zip(machine_before).map_or(0.0, |(after, before)| after - before);
    let caught_up = Instant::now();
    wait_for("the standby to have it too", LIMIT, || {
        (mesh.status(standby).ok()?.outputs.first()?.sequence >= blocks as u64).then_some(())
    })?;
    let standby_behind = caught_up.elapsed();
    let log = read_all(&mesh, &mesh.log_topic())?;
    // A term that another engine opened afterwards, on a machine that stood still, is not part of it.
    let worked = log.iter().rposition(has_steps).map_or(0, |last| last + 1);
    ensure!(worked > 0, "no commit of the backlog is in the log");
    let log = &log[..worked];
    let term_opened = log.len() - log.iter().rev().take_while(|record| has_steps(record)).count();
    let began = log[term_opened.saturating_sub(1)].timestamp_ms;
    let ended = log.last().map_or(began, |record| record.timestamp_ms);
    let seconds = (ended - began).max(1) as f64 / 1000.0;
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), false);
    wait_for("the reader to see everything", LIMIT, || (watch.count() >= blocks).then_some(()))?;
    let faults = watch.faults();
    let per_s = events as f64 / seconds;
    let [cpu, standby_cpu, rest_cpu] =
        [cpu, standby_cpu, machine_cpu - cpu - standby_cpu].map(|seconds| seconds / (events as f64 / 1e6));
    println!(
        "blocks of {block_events}: {events} events in {seconds:.2} s = {per_s:.0} events/s; CPU s per million: \
         active {cpu:.2}, standby {standby_cpu:.2}, the rest of the machine (brokers above all) {rest_cpu:.2}; \
         {} commits, standby {:.0} ms behind",
        log.len(),
        standby_behind.as_secs_f64() * 1000.0
    );
    ensure!(faults == mesh_tests::watch::Faults::default(), "{faults:?}");
    let line = json!({
        "name": "throughput", "block_events": block_events, "events": events, "events_per_s": per_s.round(),
        "cpu_s_per_million": round(cpu), "standby_cpu_s_per_million": round(standby_cpu),
        "rest_cpu_s_per_million": round(rest_cpu), "seconds": round(seconds), "commits": log.len(),
        "standby_behind_ms": round(standby_behind.as_secs_f64() * 1000.0),
        "lost": faults.lost, "doubled": faults.doubled, "reordered": faults.reordered,
    });
    Ok(Figures { per_s, cpu, line })
}

fn has_steps(record: &mesh_bus::Record) -> bool {
    mesh_replication::CommitRecord::decode(&record.payload).is_ok_and(|record| !record.steps.is_empty())
}
