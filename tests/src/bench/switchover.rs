//! The gap in the output when the leadership is handed over on purpose.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mesh_event::topic::TopicKind;
use mesh_tests::figures::{percentile, result, round};
use mesh_tests::load::weather_payloads;
use mesh_tests::plain::PlainLoad;
use mesh_tests::watch::{Faults, Watch};
use mesh_tests::{verify, wait_for};
use serde_json::json;

/// As for takeovers: the load itself adds 5 ms at most to a gap.
const BLOCKS_PER_S: f64 = 200.0;
const LIMIT: Duration = Duration::from_secs(60);
/// Handovers before the measured ones: freshly started brokers still compile their code.
const WARM_UP: u64 = 5;
/// Pause after a handover that was refused: the target may still be catching up.
const AGAIN: Duration = Duration::from_millis(500);

/// Hands over again and again; then to an engine that is frozen, which must be refused.
pub fn run(runs: u64) -> Result<()> {
    let mesh = super::mesh("switchover", "weather", 0.0)?;
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10)?;
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let load = PlainLoad::start(&mesh.env.kafka, &mesh.topic(TopicKind::Input), payloads, BLOCKS_PER_S)?;
    wait_for("the first output", LIMIT, || watch.last())?;
    let promote = |engine: usize| {
        mesh.client.promote(&mesh.coordinator_address, &mesh.project.name, mesh.engines[engine].process.name())
    };
    // In the new active: fence, read, open. The rest: the old one's last commit, the election, the first output.
    let mut steps: [Vec<f64>; 4] = Default::default();
    let (mut gaps, mut kafka, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    let (mut run, mut refusals) = (0, 0);
    while run < WARM_UP + runs {
        let target = 1 - mesh.wait_healthy()?;
        let before = watch.last().map_or(0, |last| last.term);
        let asked = Instant::now();
        // A standby that has just started is behind, and on a busy machine somebody may be suspected meanwhile.
        if let Err(error) = promote(target) {
            refusals += 1;
            ensure!(refusals <= runs, "{refusals} of {} handovers failed, the last one: {error:#}", run + refusals);
            eprintln!("switchover {run}: not done, asked again: {error:#}");
            std::thread::park_timeout(AGAIN);
            continue;
        }
        let call = asked.elapsed().as_secs_f64() * 1000.0;
        wait_for("output of the next term", LIMIT, || (watch.last()?.term > before).then_some(()))?;
        let Some(gap) = watch.gaps().last().copied() else { continue };
        eprintln!("switchover {run}: gap {:.1} ms, call {call:.1} ms", gap.wall_ms);
        run += 1;
        if run <= WARM_UP {
            continue;
        }
        gaps.push(gap.wall_ms);
        kafka.push(gap.kafka_ms as f64);
        calls.push(call);
        if let Some(takeover) = mesh.status(target)?.takeovers.last() {
            let own = [takeover.fence_us, takeover.read_us, takeover.open_us].map(|us| us as f64 / 1000.0);
            let rest = gap.wall_ms - own.iter().sum::<f64>();
            steps.iter_mut().zip(own.into_iter().chain([rest])).for_each(|(into, ms)| into.push(ms));
        }
    }
    let behind = 1 - mesh.wait_healthy()?;
    mesh.engines[behind].process.signal("STOP")?;
    let (term, refused) = (watch.last().map_or(0, |last| last.term), wait_refused(|| promote(behind).map(drop)));
    mesh.engines[behind].process.signal("CONT")?;
    let refused = refused?;
    eprintln!("handing over to a frozen engine is refused: {refused}");
    mesh.wait_healthy()?;
    ensure!(watch.last().map_or(0, |last| last.term) == term, "a refused handover moves nobody");
    let sent = load.stop()?.len();
    verify::check_all_seen(&mesh, &watch, sent, LIMIT)?;
    let faults = watch.faults();
    let at = |values: &[f64], p: f64| round(percentile(values, p));
    let step = |i: usize| at(&steps[i], 50.0);
    println!(
        "switchover on purpose: {runs} runs, gap p50 {} ms, p99 {} ms, max {} ms; by Kafka's timestamps p50 {} ms, max {} ms; \
         call p50 {} ms\n  of it in the new active (p50): fence {} ms, read {} ms, open {} ms; last commit of the old one, \
         election and first output {} ms",
        at(&gaps, 50.0),
        at(&gaps, 99.0),
        at(&gaps, 100.0),
        at(&kafka, 50.0),
        at(&kafka, 100.0),
        at(&calls, 50.0),
        step(0),
        step(1),
        step(2),
        step(3)
    );
    result(&json!({
        "name": "switchover", "runs": runs,
        "p50_ms": at(&gaps, 50.0), "p99_ms": at(&gaps, 99.0), "max_ms": at(&gaps, 100.0),
        "kafka_p50_ms": at(&kafka, 50.0), "kafka_max_ms": at(&kafka, 100.0), "call_p50_ms": at(&calls, 50.0),
        "fence_p50_ms": step(0), "read_p50_ms": step(1), "open_p50_ms": step(2), "rest_p50_ms": step(3),
        "refused_when_behind": true, "not_done": refusals,
        "lost": faults.lost, "doubled": faults.doubled, "reordered": faults.reordered,
    }));
    ensure!(faults == Faults::default(), "{faults:?}");
    Ok(())
}

/// Asks until it is refused; before the election notices, a handover to a frozen engine may be begun and given up.
fn wait_refused(mut promote: impl FnMut() -> Result<()>) -> Result<String> {
    wait_for("the election to notice", LIMIT, || {
        // The standby is silent for longer than `hang_timeout` before it counts as such.
        std::thread::park_timeout(Duration::from_millis(600));
        promote().err().map(|error| format!("{error:#}"))
    })
}
