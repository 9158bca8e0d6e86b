//! Windows that hold rows, against a list that is searched from end to end for every event.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::VecDeque;

use mesh_event::{Flags, Opcode, Value};
use mesh_model::{Index, Retention, RetentionKind, SummaryField, SummaryStat, Window, WindowKind};
use mesh_windows::Executor;
use proptest::prelude::*;
use support::random::{SCHEMA, Step, retention, steps};
use support::{Row, autogen_source, block_of, chain, rows_of, schema, source, window};

/// The time field of the random rows.
const AT: usize = 2;

/// Rows from the longest untouched to the youngest, each with its time.
struct Naive {
    retention: Retention,
    rows: VecDeque<(Vec<Value>, i64)>,
    clock: Option<i64>,
    newest: Option<i64>,
    start: Option<i64>,
    period: i64,
    bad: u64,
    out: Vec<Row>,
}

impl Naive {
    fn new(retention: Retention) -> Naive {
        let (rows, out) = (VecDeque::new(), Vec::new());
        Naive { retention, rows, clock: None, newest: None, start: None, period: 0, bad: 0, out }
    }

    fn block(&mut self, rows: &[Row]) -> Vec<Row> {
        let mut skip = false;
        for (i, (opcode, flags, values)) in rows.iter().enumerate() {
            if std::mem::take(&mut skip) {
                continue;
            }
            let partial = flags.contains(Flags::PARTIAL);
            let flags = Flags(flags.0 & !Flags::PARTIAL.0);
            let next = rows.get(i + 1).filter(|next| next.0 == Opcode::Delete && next.2[0] == values[0]);
            // A partial new half is completed by itself, so the delete after it stands alone, and so does a partial delete.
            let next = next.filter(|next| !partial && !next.1.contains(Flags::PARTIAL));
            skip = *opcode == Opcode::UpdateBlock && next.is_some();
            self.event(*opcode, flags, partial, values);
        }
        std::mem::take(&mut self.out)
    }

    fn event(&mut self, opcode: Opcode, flags: Flags, partial: bool, values: &[Value]) {
        let held = self.rows.iter().position(|(row, _)| row[0] == values[0]);
        match (opcode, held) {
            (Opcode::Insert | Opcode::Upsert, None) => {
                self.out.push((Opcode::Insert, flags, values.to_vec()));
                self.enter(values.to_vec(), true);
            }
            (Opcode::Update | Opcode::Upsert | Opcode::UpdateBlock, Some(at)) => {
                let (old, _) = self.rows.remove(at).unwrap();
                let keep =
                    |(new, old): (&Value, &Value)| if partial && new.is_null() { old.clone() } else { new.clone() };
                let new: Vec<Value> = values.iter().zip(&old).map(keep).collect();
                self.out.push((Opcode::UpdateBlock, flags, new.clone()));
                self.out.push((Opcode::Delete, flags, old));
                self.enter(new, false);
            }
            (Opcode::Delete | Opcode::SafeDelete, Some(at)) => {
                let (old, _) = self.rows.remove(at).unwrap();
                self.out.push((Opcode::Delete, flags, old));
            }
            (Opcode::SafeDelete, None) => {}
            _ => self.bad += 1,
        }
    }

    fn enter(&mut self, values: Vec<Value>, inserted: bool) {
        let time = match (self.retention.field, &values[AT]) {
            (Some(_), Value::Stamp(time)) => *time,
            (Some(_), _) => self.newest.unwrap_or(i64::MIN),
            (None, _) => self.clock.unwrap_or(i64::MAX),
        };
        self.rows.push_back((values, time));
        let held = self.rows.len() as u64;
        match self.retention.kind {
            RetentionKind::ByCountSliding { n } if inserted && held > n => self.expire(|i, _| i == 0),
            RetentionKind::ByCountJumping { n } if inserted && held > n => self.expire(|i, _| i as u64 + 1 < held),
            RetentionKind::ByTimeSliding { us } if self.retention.field.is_some() => {
                let newest = self.newest.max(Some(time)).unwrap();
                self.newest = Some(newest);
                self.expire(|_, time| newest.saturating_sub(time) >= us);
            }
            RetentionKind::ByTimeJumping { us } | RetentionKind::ByTimeLookback { us, .. }
                if self.retention.field.is_some() =>
            {
                let newest = self.newest.max(Some(time)).unwrap();
                self.newest = Some(newest);
                let period = newest.saturating_sub(*self.start.get_or_insert(newest)).div_euclid(us);
                if period > self.period {
                    self.period = period;
                    match self.retention.kind {
                        RetentionKind::ByTimeLookback { span_us, .. } => {
                            self.expire(|_, time| newest.saturating_sub(time) >= span_us);
                        }
                        _ => self.expire(|i, _| i as u64 + 1 < held),
                    }
                }
            }
            _ => {}
        }
    }

    fn expire(&mut self, gone: impl Fn(usize, i64) -> bool) {
        for (i, (values, time)) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if gone(i, time) {
                self.out.push((Opcode::Delete, Flags::RETENTION, values));
            } else {
                self.rows.push_back((values, time));
            }
        }
    }

    fn tick(&mut self, now: i64) -> Vec<Row> {
        if self.clock.is_none() && self.retention.field.is_none() {
            self.rows.iter_mut().for_each(|(_, time)| *time = now);
        }
        let before = self.clock.replace(now);
        match (self.retention.kind, self.retention.field) {
            (RetentionKind::ByTimeSliding { us }, None) => self.expire(|_, time| now - time >= us),
            (RetentionKind::ByTimeJumping { us } | RetentionKind::ByTimeLookback { us, .. }, None) => {
                let start = *self.start.get_or_insert(now);
                // The end of a period lies in (before, now].
                if before.is_some_and(|before| (before + 1..=now).any(|t| t > start && (t - start) % us == 0)) {
                    match self.retention.kind {
                        RetentionKind::ByTimeLookback { span_us, .. } => self.expire(|_, time| now - time >= span_us),
                        _ => self.expire(|_, _| true),
                    }
                }
            }
            _ => {}
        }
        std::mem::take(&mut self.out)
    }
}

fn held_rows(window: Window, entry: Window, steps: &[Step], feed: impl Fn(&mut i64, &[Row]) -> Vec<Row>) {
    let input = schema(SCHEMA);
    let mut naive = Naive::new(window.retention.unwrap());
    let mut executor = Executor::new(chain(vec![entry, window]));
    let (mut clock, mut keys) = (0, 0);
    for step in steps {
        let mut sink = Vec::new();
        let want = match step {
            Step::Block(rows) => {
                executor.apply(0, &[block_of(&input, rows)], &mut sink);
                naive.block(&feed(&mut keys, rows))
            }
            Step::Tick(by) => {
                clock += by;
                executor.tick(clock, &mut sink);
                naive.tick(clock)
            }
        };
        let got: Vec<Row> = sink.iter().flat_map(|out| rows_of(&out.block)).collect();
        assert_eq!(got, want, "after {step:?}");
        let stats = executor.stats()[1];
        assert_eq!((stats.rows, stats.bad_events), (naive.rows.len() as u64, naive.bad));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_by_key(retention in retention(), steps in steps()) {
        let schema = schema(SCHEMA);
        let keep = Window { retention: Some(retention), ..window("keep", Index::Hash, &schema, WindowKind::Copy) };
        // The source drops null keys, and passes the rest as it is.
        held_rows(keep, source(Index::None, &schema), &steps, |_, rows| {
            rows.iter().filter(|row| !row.2[0].is_null()).cloned().collect()
        });
    }

    #[test]
    fn rows_with_generated_keys(retention in retention(), steps in steps()) {
        let schema = schema(SCHEMA);
        let keep = Window { retention: Some(retention), ..window("keep", Index::Hash, &schema, WindowKind::Copy) };
        held_rows(keep, autogen_source(&schema), &steps, |keys, rows| {
            let taken = rows.iter().filter(|row| matches!(row.0, Opcode::Insert | Opcode::Upsert));
            taken.map(|(_, flags, values)| {
                let mut values = values.clone();
                values[0] = Value::Int64(std::mem::replace(keys, *keys + 1));
                (Opcode::Insert, Flags(flags.0 & !Flags::PARTIAL.0), values)
            }).collect()
        });
    }

    #[test]
    fn statistics_over_a_window(
        length in 1..30usize,
        blocks in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, -1e6..1e6), 0..40), 1..12),
    ) {
        let input = schema("id*:int64,x:double");
        let output = schema("id*:int64,n:int64,miss:int64,min:double,max:double,sum:double,mean:double,uss:double,css:double,var:double,std:double,se:double,cv:double");
        use SummaryStat::{Css, Cv, Max, Mean, Min, N, NMiss, Std, StdErr, Sum, Uss, Var};
        let mut fields = vec![SummaryField::Copy(0)];
        fields.extend([N, NMiss, Min, Max, Sum, Mean, Uss, Css, Var, Std, StdErr, Cv].map(SummaryField::Stat));
        let kind = WindowKind::Summary { window_length: length, input: 1, alpha: 0.05, fields };
        let windows = vec![autogen_source(&input), window("stats", Index::None, &output, kind)];
        let mut executor = Executor::new(chain(windows));
        let mut past: Vec<Option<f64>> = Vec::new();
        for xs in &blocks {
            let row = |x: &Option<f64>| (Opcode::Insert, Flags::NORMAL, vec![Value::Null, x.map_or(Value::Null, Value::Double)]);
            let mut sink = Vec::new();
            executor.apply(0, &[block_of(&input, &xs.iter().map(row).collect::<Vec<_>>())], &mut sink);
            let mut got = sink.iter().flat_map(|out| rows_of(&out.block));
            for x in xs {
                past.push(*x);
                let window = &past[past.len().saturating_sub(length)..];
                let (_, _, values) = got.next().expect("one event for one");
                prop_assert_eq!(&values[1..], &statistics(window)[..]);
            }
        }
    }
}

/// By the book, in the order oldest to newest.
fn statistics(window: &[Option<f64>]) -> Vec<Value> {
    let there: Vec<f64> = window.iter().flatten().copied().collect();
    let n = there.len() as f64;
    let total = |f: &dyn Fn(f64) -> f64| there.iter().fold(0.0, |sum, &x| sum + f(x));
    let double = |value: f64, least: usize| if there.len() >= least { Value::Double(value) } else { Value::Null };
    let sum = total(&|x| x);
    let mean = sum / n;
    let css = total(&|x| (x - mean) * (x - mean));
    let var = css / (n - 1.0);
    vec![
        Value::Int64(there.len() as i64),
        Value::Int64((window.len() - there.len()) as i64),
        double(there.iter().copied().fold(f64::INFINITY, f64::min), 1),
        double(there.iter().copied().fold(f64::NEG_INFINITY, f64::max), 1),
        double(sum, 1),
        double(mean, 1),
        double(total(&|x| x * x), 1),
        double(css, 1),
        double(var, 2),
        double(var.sqrt(), 2),
        double(var.sqrt() / n.sqrt(), 2),
        if mean == 0.0 { Value::Null } else { double(100.0 * var.sqrt() / mean, 2) },
    ]
}

/// Long lives: many updates and deletes over many chunks, large and small, still give exact rows and little memory.
#[test]
fn chunks_are_given_back_when_their_rows_are_gone() {
    let schema = schema("id*:int64,x:int64");
    let keep = Window {
        retention: Some(Retention { kind: RetentionKind::ByCountSliding { n: 1000 }, field: None }),
        ..window("keep", Index::Hash, &schema, WindowKind::Copy)
    };
    for generated in [false, true] {
        let entry = if generated { autogen_source(&schema) } else { source(Index::None, &schema) };
        let mut executor = Executor::new(chain(vec![entry, keep.clone()]));
        let mut held: VecDeque<(i64, i64)> = VecDeque::new();
        let (mut key, mut most_bytes) = (0, 0);
        for round in 0..4000usize {
            let rows = [1, 1, 3, 1, 1, 1, 40, 1, 700, 2][round % 10];
            let mut block = Vec::new();
            for i in 0..rows {
                let x = (round * 1000 + i) as i64;
                // Every third event updates a row from the middle, which so becomes the youngest.
                let update = !generated && i % 3 == 2 && held.len() > 10;
                let id = if update { held.remove(held.len() / 2).unwrap().0 } else { key };
                key += i64::from(!update);
                held.push_back((id, x));
                if held.len() > 1000 {
                    held.pop_front();
                }
                block.push((Opcode::Upsert, Flags::NORMAL, vec![Value::Int64(id), Value::Int64(x)]));
            }
            let mut sink = Vec::new();
            executor.apply(0, &[block_of(&schema, &block)], &mut sink);
            let stats = executor.stats()[1];
            assert_eq!(stats.rows, held.len() as u64);
            most_bytes = most_bytes.max(stats.bytes);
        }
        // Two columns and the slot of a row, four times over for sparse chunks, and the fixed cost of small chunks.
        assert!(most_bytes < 400_000, "{most_bytes} bytes for 1000 rows");
        let mut sink = Vec::new();
        let rows: Vec<Row> =
            (0..1000).map(|i| (Opcode::Upsert, Flags::NORMAL, vec![Value::Int64(-1 - i), Value::Int64(i)])).collect();
        executor.apply(0, &[block_of(&schema, &rows)], &mut sink);
        let deleted: Vec<(i64, i64)> = rows_of(&sink[0].block)
            .into_iter()
            .filter(|row| row.0 == Opcode::Delete)
            .map(|(_, _, values)| match values[..] {
                [Value::Int64(id), Value::Int64(x)] => (id, x),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(held, deleted, "rows leave oldest first, with their last values");
    }
}
