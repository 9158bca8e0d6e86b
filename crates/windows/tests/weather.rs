//! The chain of the reference architecture over the real observations, against an independent computation.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::VecDeque;

use mesh_event::{Opcode, Value};
use mesh_windows::{Executor, OutputBlock};
use support::weather::{RETENTION_US, WINDOW_LENGTH, blocks, project};
use support::{Row, digests, rows_of};

const MINUTE_US: i64 = 60 * 1_000_000;

/// All outputs; a minute of clock passes after every 100th block of 7 rows, `cut` says where calls end.
fn outputs(cut: impl Fn(usize) -> bool) -> (Vec<(usize, Vec<Row>)>, Vec<u64>) {
    let blocks = blocks(7, 1);
    let mut executor = Executor::new(project());
    let mut outputs = Vec::new();
    let mut take = |first: usize, sink: Vec<OutputBlock>| {
        outputs.extend(sink.into_iter().map(|out| (first + out.cause, rows_of(&out.block))));
    };
    executor.tick(0, &mut Vec::new());
    let mut from = 0;
    for to in 1..=blocks.len() {
        let due = to % 100 == 0;
        if due || cut(to) || to == blocks.len() {
            let mut sink = Vec::new();
            executor.apply(0, &blocks[from..to], &mut sink);
            take(from, sink);
            from = to;
        }
        if due {
            let mut sink = Vec::new();
            executor.tick((to / 100) as i64 * MINUTE_US, &mut sink);
            take(to, sink);
        }
    }
    let held = executor.stats();
    let minutes = (RETENTION_US / MINUTE_US) as u64;
    assert!(held[1].rows <= (minutes + 1) * 700, "rows older than 30 minutes are gone: {held:?}");
    let sum = digests(&executor);
    (outputs, sum)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Double(x) => Some(*x),
        Value::Int64(x) => Some(*x as f64),
        Value::Null => None,
        other => panic!("not a number: {other:?}"),
    }
}

#[test]
fn the_whole_chain_gives_what_a_plain_computation_gives() {
    let (outputs, _) = outputs(|block| block % 13 == 0);
    let rows: Vec<Row> = outputs.into_iter().flat_map(|(_, rows)| rows).collect();
    let mut temps: VecDeque<Option<f64>> = VecDeque::new();
    let (mut inserts, mut deletes) = (0, 0);
    let mut inserted: Vec<Row> = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let (opcode, _, values) = row;
        assert_eq!(values[2], Value::Int64(n as i64 + 1), "eventCounter numbers inserts and deletes alike");
        if *opcode == Opcode::Delete {
            let original: &Row = &inserted[deletes];
            assert_eq!((&values[..2], &values[3..5]), (&original.2[..2], &original.2[3..5]), "deletes come in order");
            deletes += 1;
            continue;
        }
        assert_eq!(values[0], Value::Int64(inserts), "generated keys count from 0");
        inserts += 1;
        inserted.push(row.clone());
        temps.push_back(number(&values[3]));
        if temps.len() > WINDOW_LENGTH {
            temps.pop_front();
        }
        let there: Vec<f64> = temps.iter().flatten().copied().collect();
        let count = there.len() as f64;
        let sum: f64 = there.iter().fold(0.0, |sum, x| sum + x);
        let css: f64 = there.iter().fold(0.0, |css, x| css + (x - sum / count) * (x - sum / count));
        let want = [
            Some(count),
            there.iter().copied().reduce(f64::min),
            there.iter().copied().reduce(f64::max),
            Some(sum),
            Some(sum / count),
            (count >= 2.0).then(|| (css / (count - 1.0)).sqrt()),
            number(&values[3]).map(|temp| (temp - 32.0) * 5.0 / 9.0),
            number(&values[3]).map(|temp| temp - sum / count),
        ];
        let got: Vec<Option<f64>> = values[5..].iter().map(number).collect();
        assert_eq!(got, want, "observation {inserts}");
    }
    assert_eq!(inserts, 26_115);
    assert!(deletes > 4_000, "retention worked: {deletes}");
}

#[test]
fn calls_of_any_size_give_the_same_stream_and_digests() {
    let alone = outputs(|_| true);
    assert_eq!(outputs(|_| false), alone);
}

/// The project file of the examples runs as well, and nothing of it is a bad event.
#[test]
fn the_example_project_file_runs() {
    let xml =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/project.xml")).unwrap();
    let checked = mesh_model::parse_project(&xml, "project.xml", &Default::default()).unwrap();
    let mut executor = Executor::new(std::sync::Arc::new(checked.project));
    let mut sink = Vec::new();
    executor.tick(0, &mut sink);
    executor.apply(0, &blocks_with_times(512), &mut sink);
    executor.tick(RETENTION_US, &mut sink);
    let rows: usize = sink.iter().map(|out| out.block.len()).sum();
    assert_eq!(rows, 2 * 26_115, "every observation comes, and leaves after 30 minutes");
    assert!(executor.stats().iter().all(|stats| (stats.rows, stats.bad_events, stats.expression_errors) == (0, 0, 0)));
}

/// The observations with `time_hour` as a stamp, as the example's source has it.
fn blocks_with_times(rows: usize) -> Vec<mesh_event::Block> {
    use mesh_event::{Block, Column, ColumnData};
    let schema = support::schema(&support::weather::INPUT.replace("time_hour:string", "time_hour:stamp"));
    let times = |block: Block| {
        let mut columns = block.columns;
        let hours = (0..block.opcodes.len() as i64).map(|hour| hour * 60 * MINUTE_US).collect();
        *columns.last_mut().unwrap() = std::sync::Arc::new(Column::new(ColumnData::Stamp(hours)));
        Block::new(std::sync::Arc::clone(&schema), block.opcodes, block.flags, columns)
    };
    blocks(rows, 1).into_iter().map(times).collect()
}
