//! A large state hot again: from the start of the process to a standby that lacks nothing, beside a running active.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_event::topic::TopicKind;
use mesh_proto::election::Role;
use mesh_tests::figures::{result, round};
use mesh_tests::load::{publish_all, weather_payloads};
use mesh_tests::mesh::example;
use mesh_tests::plain::PlainLoad;
use mesh_tests::watch::{Faults, Watch};
use mesh_tests::{Mesh, MeshOptions, wait_for};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(300);
const BLOCK: usize = 512;
/// Live load while the engine is away and comes back: 10,000 events a second.
const LIVE_BLOCKS_PER_S: f64 = 100.0;
const LIVE_BLOCK: usize = 100;
/// How long the engine is away after the snapshot.
const AWAY: Duration = Duration::from_secs(20);

/// Fills a window that keeps its rows for half an hour with this many events, makes a snapshot, and restarts a standby.
pub fn run(events: u64) -> Result<()> {
    let store = tempfile::tempdir()?;
    let engine_settings =
        vec![format!("snapshot_url=file://{}", store.path().display()), "snapshot_interval=3600s".to_owned()];
    let xml = example("weather")?;
    let options = MeshOptions { name: "recovery", xml, engines: 2, elections: 1, trace_ratio: 0.0, engine_settings };
    let mut mesh = Mesh::start(options)?;
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, BLOCK)?;
    let rounds = (events as usize).div_ceil(26_115);
    let blocks = rounds * payloads.len();
    publish_all(mesh.bus.as_ref(), &mesh.topic(TopicKind::Input), payloads.iter().cycle().take(blocks).cloned(), 64)?;
    let level = |mesh: &Mesh, blocks: u64| {
        wait_for("both engines to have all of it", LIMIT, || {
            std::thread::park_timeout(Duration::from_millis(100));
            (0..2).all(|i| has(mesh, i, blocks)).then_some(())
        })
    };
    level(&mesh, blocks as u64)?;
    let active = mesh.wait_healthy()?;
    let standby = 1 - active;
    let taken = mesh.client.snapshot(&mesh.engines[standby].address, &mesh.project.name)?;
    eprintln!(
        "snapshot of {} MiB ({} MiB stored) in {} ms at commit {}",
        taken.state_bytes >> 20,
        taken.stored_bytes >> 20,
        taken.took_ms,
        taken.commit_number
    );

    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), false);
    wait_for("the reader to see everything", LIMIT, || (watch.count() >= blocks).then_some(()))?;
    let live = weather_payloads(mesh.project.inputs()[0].schema, LIVE_BLOCK)?;
    mesh.engines[standby].process.kill()?;
    let load = PlainLoad::start(&mesh.env.kafka, &mesh.topic(TopicKind::Input), live, LIVE_BLOCKS_PER_S)?;
    let away = Instant::now();
    wait_for("the time away to pass", LIMIT, || (away.elapsed() > AWAY).then_some(()))?;
    let quiet_silence = watch.longest_silence_since_ms(away + Duration::from_secs(2));
    let began = Instant::now();
    mesh.engines[standby].process.restart()?;
    let (mut loaded, mut progress) = (None, 0);
    wait_for("the engine to follow again", LIMIT, || {
        let status = mesh.status(standby).ok()?;
        if let Some(recovery) = &status.recovery {
            progress += 1;
            if progress % 10 == 1 {
                eprintln!(
                    "  {:.1} s: {} of {} bytes, {} commits left, {} ms to go",
                    began.elapsed().as_secs_f64(),
                    recovery.bytes_read,
                    recovery.bytes,
                    recovery.commits_left,
                    recovery.eta_ms
                );
            }
        }
        if loaded.is_none() && status.commit_number >= taken.commit_number {
            loaded = Some(began.elapsed());
        }
        (status.role() == Role::Standby).then_some(())
    })?;
    let took = began.elapsed();
    let silence = watch.longest_silence_since_ms(began);
    let sent = load.stop()?.len();
    level(&mesh, (blocks + sent) as u64)?;
    wait_for("the reader to see everything", LIMIT, || (watch.count() >= blocks + sent).then_some(()))?;
    let faults = watch.faults();
    ensure!(mesh.engines[standby].process.log().contains("going on from snapshot"), "it did not use the snapshot");
    let loaded = loaded.context("it has stood at the snapshot's commit")?;
    // What was committed while it was away and while it loaded, in the time from there to the end.
    let replayed = (AWAY + took).as_secs_f64();
    let times_live = replayed / (took - loaded).as_secs_f64().max(0.001);
    let rows: u64 = mesh.status(standby)?.windows.iter().map(|window| window.rows).sum();
    println!(
        "recovery: {} MiB of state, {rows} rows, hot again after {:.2} s (snapshot read after {:.2} s, then {replayed:.1} s of \
         live load replayed, {times_live:.0} times as fast); longest silence of the active's output {silence:.0} ms, before \
         {quiet_silence:.0} ms",
        taken.state_bytes >> 20,
        took.as_secs_f64(),
        loaded.as_secs_f64(),
    );
    result(&json!({
        "name": "recovery", "state_bytes": taken.state_bytes, "stored_bytes": taken.stored_bytes, "rows": rows,
        "snapshot_ms": taken.took_ms, "seconds": round(took.as_secs_f64()), "load_seconds": round(loaded.as_secs_f64()),
        "replay_times_live": round(times_live), "progress_reports": progress,
        "silence_during_ms": round(silence), "silence_before_ms": round(quiet_silence),
        "lost": faults.lost, "doubled": faults.doubled, "reordered": faults.reordered,
    }));
    ensure!(faults == Faults::default(), "{faults:?}");
    ensure!(progress > 0, "no status told how far the recovery was");
    Ok(())
}

/// Whether an engine has put out, or followed, so many blocks.
fn has(mesh: &Mesh, engine: usize, blocks: u64) -> bool {
    mesh.status(engine).is_ok_and(|status| status.outputs.first().is_some_and(|output| output.sequence >= blocks))
}
