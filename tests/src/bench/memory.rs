//! Resident memory of every process while the reference run goes round, and while a broker is away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use mesh_event::topic::TopicKind;
use mesh_tests::figures::{result, round};
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::{Mesh, wait_for};
use serde_json::json;
use xtask::stack::{Part, Stack};

const EVENTS_PER_S: f64 = 50_000.0;
const BLOCK: usize = 100;
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(120);

/// Samples for some minutes of load, then freezes a broker for one more.
pub fn run(minutes: u64) -> Result<()> {
    // Rows live two seconds, so what the windows hold does not grow with the run.
    let mesh = super::mesh("memory", "weather-2s", 0.0)?;
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, BLOCK)?;
    let rate = EVENTS_PER_S / BLOCK as f64;
    let load = Load::start(mesh.bus.clone(), &mesh.topic(TopicKind::Input), payloads, rate);
    let mut samples = BTreeMap::new();
    sample("load", &mesh, Duration::from_secs(minutes * 60), &mut samples)?;
    let stack = Stack::open_for_tests()?;
    stack.pause(Part::Kafka(2))?;
    let during = sample("broker away", &mesh, OUTAGE, &mut samples);
    stack.resume(Part::Kafka(2))?;
    during?;
    let sent = load.stop()?.len();
    wait_for("the engine to catch up", LIMIT, || {
        let status = mesh.status(mesh.active()?).ok()?;
        (status.inputs.first()?.buffered_blocks == 0).then_some(())
    })?;
    for ((phase, process), values) in &samples {
        let mib = |bytes: u64| round(bytes as f64 / (1 << 20) as f64);
        let warm = values.get(values.len() / 5).copied().unwrap_or_default();
        let (last, max) =
            (values.last().copied().unwrap_or_default(), values.iter().max().copied().unwrap_or_default());
        println!(
            "{phase:12} {process:16} after warm-up {:7} MiB, last {:7} MiB, max {:7} MiB",
            mib(warm),
            mib(last),
            mib(max)
        );
        result(&json!({
            "name": "memory", "phase": phase, "process": process, "events_per_s": EVENTS_PER_S, "blocks_sent": sent,
            "warm_mib": mib(warm), "last_mib": mib(last), "max_mib": mib(max),
        }));
    }
    Ok(())
}

type Samples = BTreeMap<(&'static str, String), Vec<u64>>;

fn sample(phase: &'static str, mesh: &Mesh, time: Duration, into: &mut Samples) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < time {
        let next = Instant::now() + SAMPLE_EVERY;
        while Instant::now() < next {
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        let engines = mesh.engines.iter().map(|engine| &engine.process);
        for process in engines.chain(&mesh.elections).chain([&mesh.coordinator]) {
            if let Some(bytes) = process.resident_bytes() {
                into.entry((phase, process.name().to_owned())).or_default().push(bytes);
            }
        }
        let rows: u64 = mesh.status(0).map(|s| s.windows.iter().map(|w| w.rows).sum()).unwrap_or_default();
        eprintln!("{phase}: {:.0} s, {rows} rows in the windows of engine-1", began.elapsed().as_secs_f64());
    }
    Ok(())
}
