//! From an acknowledged input block to its visible output, beside a bare Kafka transaction in the same run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use mesh_bus::{Header, OutRecord, TopicSpec};
use mesh_event::topic::TopicKind;
use mesh_tests::figures::{percentile, result, round};
use mesh_tests::load::weather_payloads;
use mesh_tests::plain::PlainLoad;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, wait_for};
use serde_json::json;

const EVENTS_PER_S: f64 = 1000.0;
const SECONDS: u64 = 20;
const WARM_UP: usize = 2000;
const LIMIT: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(10);

/// Measures both, one after the other on the same brokers.
pub fn run() -> Result<()> {
    let mesh = super::mesh("latency", "weather", 0.0)?;
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 1)?;
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), false);
    let input = mesh.topic(TopicKind::Input);
    let load = PlainLoad::start(&mesh.env.kafka, &input, payloads.clone(), EVENTS_PER_S)?;
    let wanted = SECONDS * EVENTS_PER_S as u64;
    wait_for("the load", Duration::from_secs(SECONDS * 3), || (load.acknowledged() >= wanted).then_some(()))?;
    let acknowledged = load.stop()?;
    wait_for("all output", LIMIT, || (watch.count() >= acknowledged.len()).then_some(()))?;
    let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1000.0;
    let seen = watch.records();
    let pairs = acknowledged.iter().zip(&seen).skip(WARM_UP);
    let engine: Vec<f64> = pairs.map(|(sent, seen)| ms(*sent, seen.at)).collect();
    let faults = watch.faults();
    drop(watch);
    let bare = bare(&mesh, &payloads[0])?;

    let at = |values: &[f64], p: f64| round(percentile(values, p));
    println!(
        "latency at {EVENTS_PER_S} events/s, input acknowledged to output visible: p50 {} ms, p99 {} ms; \
         a bare transaction, begun to visible: p50 {} ms, p99 {} ms",
        at(&engine, 50.0),
        at(&engine, 99.0),
        at(&bare, 50.0),
        at(&bare, 99.0)
    );
    result(&json!({
        "name": "latency", "events_per_s": EVENTS_PER_S, "events": engine.len(),
        "p50_ms": at(&engine, 50.0), "p99_ms": at(&engine, 99.0), "max_ms": at(&engine, 100.0),
        "bare_p50_ms": at(&bare, 50.0), "bare_p99_ms": at(&bare, 99.0),
        "lost": faults.lost, "doubled": faults.doubled, "reordered": faults.reordered,
    }));
    Ok(())
}

/// Transactions of one record, written with the same bus and seen by the same kind of reader.
fn bare(mesh: &Mesh, payload: &Bytes) -> Result<Vec<f64>> {
    let topic = format!("{}.bare", mesh.host_port);
    let settings = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
    mesh.bus.create_topic(&TopicSpec { name: topic.clone(), replication_factor: 3, settings }, DEADLINE)?;
    let watch = Watch::start(mesh.bus.clone(), &topic, false);
    let topic: Arc<str> = Arc::from(topic);
    let mut writer = mesh.bus.writer(Mesh::writer_options("bare"), DEADLINE)?;
    writer.fence(DEADLINE)?;
    let mut times = Vec::new();
    for i in 0..500 {
        let began = Instant::now();
        writer.begin(DEADLINE)?;
        let headers = vec![Header { key: "term", value: Bytes::from_static(b"0") }];
        writer.send(OutRecord { topic: topic.clone(), key: None, headers, payload: payload.clone() }, DEADLINE)?;
        writer.commit(DEADLINE)?;
        writer.settle(DEADLINE)?;
        wait_for("the record to be seen", LIMIT, || (watch.count() > i).then_some(()))?;
        let seen = watch.last().expect("counted above").at;
        times.push(seen.saturating_duration_since(began).as_secs_f64() * 1000.0);
    }
    Ok(times.split_off(50))
}
