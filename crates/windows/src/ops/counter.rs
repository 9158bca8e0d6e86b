//! Counter: how many events came, in all and since the last report, and how many a second.

use std::sync::Arc;

use mesh_event::{Block, BlockKind, ColumnBuilder, Flags, Opcode, Schema, Value};
use mesh_model::Counter as Spec;

use super::{Clock, Held, Operator};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use crate::store::Table;

const US_PER_SECOND: f64 = 1e6;

/// One row for each input, under the name of the window it comes from. Seconds are those of the recorded clock, from
/// the tick before the first event; rates have two decimals, and are 0 while no time has passed.
pub(crate) struct Count {
    schema: Arc<Schema>,
    spec: Spec,
    input: Value,
    rows: Table,
    total: i64,
    interval: i64,
    /// When the totals started, and the interval.
    total_start: Option<i64>,
    interval_start: Option<i64>,
}

impl Count {
    /// `input`: name of the window whose events are counted.
    pub(crate) fn new(schema: &Arc<Schema>, spec: Spec, input: &str) -> Count {
        Count {
            schema: Arc::clone(schema),
            spec,
            input: Value::String(input.into()),
            rows: Table::new(schema, None),
            total: 0,
            interval: 0,
            total_start: None,
            interval_start: None,
        }
    }

    fn row(&self, now: Option<i64>) -> Vec<Value> {
        let seconds = |start: Option<i64>| match (start, now) {
            (Some(start), Some(now)) => now.saturating_sub(start) as f64 / US_PER_SECOND,
            _ => 0.0,
        };
        let rate = |count: i64, seconds: f64| match seconds {
            0.0 => 0.0,
            seconds => (count as f64 / seconds * 100.0).round() / 100.0,
        };
        let (total, interval) = (seconds(self.total_start), seconds(self.interval_start));
        vec![
            self.input.clone(),
            Value::Int64(self.total),
            Value::Double(total),
            Value::Double(rate(self.total, total)),
            Value::Int64(self.interval),
            Value::Double(interval),
            Value::Double(rate(self.interval, interval)),
        ]
    }

    fn run(&self, rows: &[Vec<Value>], ends: Arc<[u32]>) -> Run {
        let column = |(field, shape): (usize, &mesh_event::Field)| {
            let mut builder = ColumnBuilder::new(shape.ty, rows.len());
            rows.iter().for_each(|row| assert!(builder.push(&row[field]), "the row is one of the schema"));
            Arc::new(builder.finish())
        };
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: vec![Opcode::Upsert; rows.len()],
            flags: vec![Flags::NORMAL; rows.len()],
            columns: self.schema.fields().iter().enumerate().map(column).collect(),
        };
        Run { block, ends }
    }

    fn clear_if_due(&mut self, now: i64) {
        if let Some(us) = self.spec.clear_us
            && let Some(start) = self.total_start
            && now.saturating_sub(start) >= us
        {
            self.total = 0;
            self.total_start = Some(now);
        }
    }
}

impl Operator for Count {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        self.total_start = self.total_start.or(clock.get());
        self.interval_start = self.interval_start.or(clock.get());
        let mut rows = Vec::new();
        for _ in 0..run.block.len() {
            self.total = self.total.saturating_add(1);
            self.interval = self.interval.saturating_add(1);
            if self.spec.count_us.is_none() {
                rows.push(self.row(clock.get()));
                self.interval = 0;
                self.interval_start = clock.get();
            }
        }
        let ends = if rows.is_empty() { vec![0; run.ends.len()].into() } else { run.ends };
        let counted = self.run(&rows, ends);
        self.rows.process(counted, clock)
    }

    fn tick(&mut self, _before: Clock, now: Clock) -> Option<Run> {
        let clock = now.get().expect("a tick has set the clock");
        self.total_start.get_or_insert(clock);
        let start = *self.interval_start.get_or_insert(clock);
        let report = self.spec.count_us.is_some_and(|us| clock.saturating_sub(start) >= us);
        let run = report.then(|| self.run(&[self.row(now.get())], [1].into()));
        if report {
            self.interval = 0;
            self.interval_start = Some(clock);
        }
        self.clear_if_due(clock);
        run.map(|run| self.rows.process(run, now))
    }

    fn deadline_us(&self) -> Option<i64> {
        let after =
            |start: Option<i64>, us: Option<i64>| us.map(|us| start.map_or(i64::MIN, |start| start.saturating_add(us)));
        let report = after(self.interval_start, self.spec.count_us);
        report.into_iter().chain(after(self.total_start, self.spec.clear_us)).min()
    }

    fn held(&self) -> Held {
        self.rows.held()
    }

    fn kind(&self) -> &'static str {
        "counter"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.rows.save(to);
        to.put(&(self.total, self.interval, self.total_start, self.interval_start));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.rows.restore(from)?;
        (self.total, self.interval, self.total_start, self.interval_start) = from.get()?;
        Ok(())
    }
}
