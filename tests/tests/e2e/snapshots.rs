//! An engine that was away while the log was trimmed goes on from a snapshot.

use std::sync::Arc;

use mesh_bus::EndOf;
use mesh_event::topic::TopicKind;
use mesh_proto::election::Role;
use mesh_tests::judge::{Case, Judge};
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::mesh::example;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::LIMIT;

const BLOCKS_PER_S: f64 = 100.0;

fn oldest_commit(mesh: &Mesh) -> u64 {
    mesh.bus.end(&mesh.log_topic(), EndOf::Oldest, LIMIT).unwrap()
}

/// Waits until both engines stand at the same commit with the same digests. A report may be older than its engine, and rows
/// leave by the clock for two seconds more.
fn wait_equal_digests(mesh: &Mesh) {
    let mut seen = Vec::new();
    let equal = wait_for("both engines to have the same digests at the same commit", LIMIT, || {
        let of = |engine: usize| {
            let status = mesh.status(engine).ok()?;
            let windows = status.windows.into_iter().map(|window| (window.window, window.digest));
            Some((status.commit_number, windows.collect::<Vec<_>>()))
        };
        seen = vec![of(0)?, of(1)?];
        (!seen[0].1.is_empty() && seen[0] == seen[1]).then_some(())
    });
    assert!(equal.is_ok(), "{seen:?}");
}

#[test]
fn an_engine_that_missed_what_was_trimmed_recovers_from_a_snapshot_and_leads() {
    let store = tempfile::tempdir().unwrap();
    let engine_settings = vec![
        format!("snapshot_url=file://{}", store.path().display()),
        "snapshot_interval=2s".to_owned(),
        "snapshot_keep=2".to_owned(),
    ];
    // Rows leave by the clock, so the ticks that are trimmed matter.
    let xml = example("weather-2s").unwrap();
    let options = MeshOptions { name: "snapshots", xml, engines: 2, elections: 1, trace_ratio: 0.0, engine_settings };
    let mut mesh = Mesh::start(options).unwrap();
    let watch = Arc::new(Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true));
    let judge = Judge::start(&mesh, Case { watch: watch.clone(), published: None, file: None }).unwrap();
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    let load = Load::start(mesh.bus.clone(), &mesh.topic(TopicKind::Input), payloads, BLOCKS_PER_S);
    wait_for("the first output", LIMIT, || watch.last()).unwrap();
    let active = mesh.wait_healthy().unwrap();
    let away = 1 - active;
    let missed = mesh.status(away).unwrap().commit_number;
    mesh.engines[away].process.kill().unwrap();
    // The leader makes them, since no standby does, and trims the log behind the oldest that is kept.
    let trimmed = wait_for("the log to be trimmed beyond what the killed engine knew", LIMIT, || {
        (oldest_commit(&mesh) > 2 * missed + 2).then(|| oldest_commit(&mesh))
    })
    .unwrap();
    mesh.engines[away].process.restart().unwrap();
    wait_for("it to follow again", LIMIT, || (mesh.role(away) == Role::Standby).then_some(())).unwrap();
    let log = mesh.engines[away].process.log();
    assert!(log.contains("going on from snapshot"), "offset {trimmed} is the log's oldest; {log}");
    // It leads, as if it had never been away.
    let term = watch.last().unwrap().term;
    mesh.engines[active].process.kill().unwrap();
    wait_for("output of the next term", LIMIT, || (watch.last()?.term > term).then_some(())).unwrap();
    assert_eq!(mesh.role(away), Role::Active);
    mesh.engines[active].process.restart().unwrap();
    mesh.wait_healthy().unwrap();
    let sent = load.stop().unwrap().len() as u64;
    wait_for("everything to be applied and seen", LIMIT, || {
        let known = judge.known();
        (known.applied[0] >= sent && known.is_level()).then_some(())
    })
    .unwrap();
    assert!(judge.known().is_good(), "{:?}", *judge.known());
    wait_equal_digests(&mesh);
}
