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
