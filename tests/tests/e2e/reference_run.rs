//! file -> publisher adapter -> Kafka -> active and standby -> Kafka -> subscriber adapter -> file.

use std::fs;

use mesh_event::topic::TopicKind;
use mesh_event::{ColumnData, Value};
use mesh_tests::load::weather_csv;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, verify, wait_for};

use super::{LIMIT, check_all_out, mesh, subscriber_line, weather_line};

const ROWS: usize = 26_115;
const BLOCK: usize = 64;

fn run(mesh: &Mesh, more: &str) -> Vec<mesh_event::Block> {
    let (input, output) = (mesh.file("weather.csv"), mesh.file("out.csv"));
    fs::write(&input, weather_csv().unwrap()).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let mut subscriber = mesh.subscriber("subscriber", &subscriber_line(mesh, &output)).unwrap();
    let line = weather_line(mesh, &input, &format!(",blocksize={BLOCK}{more}"));
    let mut publisher = mesh.publisher("publisher", &line).unwrap();
    let ended = publisher.wait_end(LIMIT).unwrap();
    assert!(ended.success(), "{}", publisher.log());
    wait_for("rows that live two seconds to be gone", LIMIT, || {
        let status = mesh.status(mesh.active()?).ok()?;
        let settled = !more.contains("rate") || status.windows.iter().all(|window| window.rows == 0);
        (settled && status.outputs[0].sequence >= ROWS.div_ceil(BLOCK) as u64).then_some(())
    })
    .unwrap();
    let expected = check_all_out(mesh, &watch, ROWS.div_ceil(BLOCK));
    let text = verify::as_csv(&expected);
    wait_for("the subscriber to write everything", LIMIT, || {
        (fs::metadata(&output).ok()?.len() >= text.len() as u64).then_some(())
    })
    .unwrap();
    assert!(subscriber.terminate(LIMIT).unwrap().success(), "{}", subscriber.log());
    assert!(fs::read(&output).unwrap() == text, "the file is byte for byte that of one engine");
    expected
}

/// Sums of the last 20 temperatures, computed from the file by nothing of ours.
fn plain_sums() -> Vec<f64> {
    let text = String::from_utf8(weather_csv().unwrap()).unwrap();
    let temps: Vec<Option<f64>> =
        text.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().parse().ok()).collect();
    (0..temps.len()).map(|i| temps[i.saturating_sub(19)..=i].iter().flatten().sum()).collect()
}

#[test]
fn weather_goes_through_two_engines_and_comes_out_as_from_one() {
    let mesh = mesh("reference", "weather", 2, 2);
    let expected = run(&mesh, "");
    let schema = mesh.project.outputs()[0].schema.clone();
    let column = schema.index_of("sumTemp").unwrap();
    let mut sums = Vec::new();
    for block in &expected {
        assert!(matches!(block.columns[column].data, ColumnData::Double(_)));
        sums.extend((0..block.len()).map(|row| match block.columns[column].value(row) {
            Value::Double(sum) => sum,
            other => panic!("{other:?}"),
        }));
    }
    let plain = plain_sums();
    assert_eq!(sums.len(), plain.len());
    for (i, (sum, plain)) in sums.iter().zip(&plain).enumerate() {
        assert!((sum - plain).abs() < 1e-6, "row {i}: {sum}, computed independently {plain}");
    }
    let standby = (0..2).find(|&engine| Some(engine) != mesh.active()).unwrap();
    wait_for("the standby to have the leader's digests", LIMIT, || {
        let (a, b) = (mesh.status(1 - standby).ok()?, mesh.status(standby).ok()?);
        (a.commit_number == b.commit_number && a.windows == b.windows).then_some(())
    })
    .unwrap();
}

#[test]
fn clock_driven_retention_does_not_diverge() {
    let mesh = mesh("retention", "weather-2s", 2, 1);
    // Slow enough that rows live and die while it runs.
    let expected = run(&mesh, ",rate=5000");
    let deletes =
        expected.iter().flat_map(|block| &block.opcodes).filter(|o| **o == mesh_event::Opcode::Delete).count();
    assert!(deletes > 0, "rows of two seconds ago were deleted while it ran");
    for engine in 0..2 {
        let status = mesh.status(engine).unwrap();
        assert_eq!(status.error, "", "engine {engine} found no difference");
    }
}
