//! The gap in the output when the active is killed, or frozen.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mesh_event::topic::TopicKind;
use mesh_tests::figures::{percentile, result, round};
use mesh_tests::load::weather_payloads;
use mesh_tests::plain::PlainLoad;
use mesh_tests::watch::Watch;
use mesh_tests::{verify, wait_for};
use serde_json::json;

/// Blocks of ten events: 2,000 events a second, so the load itself adds 5 ms at most to a gap.
const BLOCKS_PER_S: f64 = 200.0;
const LIMIT: Duration = Duration::from_secs(60);
/// Age of a term before its leader is killed: above the election's `minimum_term`.
const TERM_AGE: Duration = Duration::from_millis(1500);

/// Kills and freezes the active in turn.
pub fn run(runs: u64) -> Result<()> {
    // Freshly started brokers still compile their code, at a cost of tens of milliseconds: the longer gap goes first.
    for fault in ["sigstop", "sigkill"] {
        measure(fault, runs)?;
    }
    Ok(())
}

fn measure(fault: &str, runs: u64) -> Result<()> {
    let mut mesh = super::mesh("takeover", "weather", 0.0)?;
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10)?;
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let load = PlainLoad::start(&mesh.env.kafka, &mesh.topic(TopicKind::Input), payloads, BLOCKS_PER_S)?;
    // in the new active: fence, read, open; the rest: detection, election, and the first output's transaction
    let mut steps: [Vec<f64>; 4] = Default::default();
    for run in 1..=runs {
        let before = wait_for("the first output", LIMIT, || watch.last())?.term;
        let active = mesh.wait_healthy()?;
        // The election gives every term its shortest length (1 s by default); a fault before that waits for it.
        let since = watch.first_of(before).map_or_else(Instant::now, |first| first.at);
        wait_for("the term to be as old as a term must be", LIMIT, || (since.elapsed() > TERM_AGE).then_some(()))?;
        let struck = Instant::now();
        match fault {
            "sigkill" => mesh.engines[active].process.kill()?,
            _ => mesh.engines[active].process.signal("STOP")?,
        }
        let first = wait_for("output of the next term", LIMIT, || watch.first_of(watch.last()?.term.max(before + 1)))?;
        let total = first.at.saturating_duration_since(struck).as_secs_f64() * 1000.0;
        if let Some(takeover) = mesh.status(1 - active)?.takeovers.last() {
            let own = [takeover.fence_us, takeover.read_us, takeover.open_us].map(|us| us as f64 / 1000.0);
            let rest = total - own.iter().sum::<f64>();
            steps.iter_mut().zip(own.into_iter().chain([rest])).for_each(|(into, ms)| into.push(ms));
        }
        match fault {
            "sigkill" => mesh.engines[active].process.restart()?,
            _ => mesh.engines[active].process.signal("CONT")?,
        }
        eprintln!("{fault} {run}/{runs}: gap {:.1} ms", watch.gaps().last().map_or(0.0, |gap| gap.wall_ms));
    }
    mesh.wait_healthy()?;
    let sent = load.stop()?.len();
    verify::check_all_seen(&mesh, &watch, sent, LIMIT)?;
    let (faults, gaps) = (watch.faults(), watch.gaps());
    let wall: Vec<f64> = gaps.iter().map(|gap| gap.wall_ms).collect();
    let kafka: Vec<f64> = gaps.iter().map(|gap| gap.kafka_ms as f64).collect();
    let at = |p: f64| round(percentile(&wall, p));
    println!(
        "takeover after {fault}: {} runs, gap p50 {} ms, p99 {} ms, max {} ms; by Kafka's timestamps p50 {} ms, max {} ms",
        gaps.len(),
        at(50.0),
        at(99.0),
        at(100.0),
        percentile(&kafka, 50.0),
        percentile(&kafka, 100.0)
    );
    let step = |i: usize| round(percentile(&steps[i], 50.0));
    println!(
        "  of it in the new active (p50): fence {} ms, read {} ms, open {} ms; detection, election and first output {} ms",
        step(0),
        step(1),
        step(2),
        step(3)
    );
    result(&json!({
        "name": "takeover", "fault": fault, "runs": gaps.len(),
        "p50_ms": at(50.0), "p99_ms": at(99.0), "max_ms": at(100.0),
        "kafka_p50_ms": percentile(&kafka, 50.0), "kafka_max_ms": percentile(&kafka, 100.0),
        "fence_p50_ms": step(0), "read_p50_ms": step(1), "open_p50_ms": step(2), "rest_p50_ms": step(3),
        "lost": faults.lost, "doubled": faults.doubled, "reordered": faults.reordered,
    }));
    ensure!(faults == mesh_tests::watch::Faults::default(), "{faults:?}");
    Ok(())
}
