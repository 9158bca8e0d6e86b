//! Pattern: events that follow one another, as one event.
//!
//! Every event shows itself to the open instances of each pattern, oldest first, and then may open one of its own. Time
//! is that of the events' time fields, or the clock of the last tick; a gap that is too long ends an instance, or
//! completes it when something had to stay away until then.

mod here;
mod machine;
mod open;
mod rule;

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, FieldType, Flags, Opcode, Schema};
use mesh_model::{Pattern as Spec, PatternField};
use xxhash_rust::xxh3::xxh3_128;

use super::source::write_guid;
use super::{Clock, Held, Operator, Sides};
use crate::bad::{BadEvent, BadEvents};
use crate::run::{Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use rule::{Captures, Looked, Rule};

/// A pattern window.
pub(crate) struct Pattern {
    schema: Arc<Schema>,
    rules: Vec<Rule>,
    inputs: usize,
    /// Number of the next event that goes out, from 0.
    next: i64,
    seed: String,
    bad: BadEvents,
    /// The input is of inserts only: no event is bad, and none is told whole.
    inserts: bool,
    errors: u64,
}

impl Pattern {
    /// `inputs`: their schemas; `inserts`: they are of inserts only; `seed` goes into generated text keys.
    pub(crate) fn new(
        schema: &Arc<Schema>,
        patterns: &[Spec],
        inputs: &[Arc<Schema>],
        inserts: bool,
        seed: String,
    ) -> Pattern {
        Pattern {
            schema: Arc::clone(schema),
            rules: patterns.iter().map(|pattern| Rule::new(pattern, schema, inputs, &seed)).collect(),
            inputs: inputs.len(),
            next: 0,
            seed,
            bad: BadEvents::default(),
            inserts,
            errors: 0,
        }
    }

    /// Rows of what is complete; each with its rule.
    fn run(&mut self, found: &[(usize, Captures)], ends: Vec<u32>) -> Run {
        let rows = found.len();
        let mut columns: Vec<Arc<Column>> = Vec::with_capacity(self.schema.fields().len());
        let mut field = 0;
        for shape in self.schema.fields() {
            if shape.key {
                columns.push(Arc::new(self.keys(shape.ty, rows)));
                continue;
            }
            let mut builder = ColumnBuilder::new(shape.ty, rows);
            for (rule, rows) in by_rule(found) {
                push_field(&self.rules[rule].spec, field, rows, (shape.ty, &mut builder), &mut self.errors);
            }
            field += 1;
            columns.push(Arc::new(builder.finish()));
        }
        self.next += rows as i64;
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: vec![Opcode::Insert; rows],
            flags: vec![Flags::NORMAL; rows],
            columns,
        };
        Run { block, ends: ends.into() }
    }

    fn keys(&self, ty: FieldType, rows: usize) -> Column {
        let mut builder = ColumnBuilder::new(ty, rows);
        for number in self.next..self.next + rows as i64 {
            if !builder.push_i64(number) {
                let mut text = String::new();
                write_guid(xxh3_128(format!("{}{number}", self.seed).as_bytes()), &mut text);
                assert!(builder.push_str(&text), "the model gives the key the type int64 or string");
            }
        }
        builder.finish()
    }
}

/// The rows of each rule in sequence.
fn by_rule(found: &[(usize, Captures)]) -> impl Iterator<Item = (usize, &[(usize, Captures)])> {
    found.chunk_by(|a, b| a.0 == b.0).map(|rows| (rows[0].0, rows))
}

/// The values of one field for rows of one rule.
fn push_field(
    spec: &Spec,
    field: usize,
    rows: &[(usize, Captures)],
    (ty, builder): (FieldType, &mut ColumnBuilder),
    errors: &mut u64,
) {
    match &spec.fields[field] {
        PatternField::Kept { event, at } => {
            for (_, captures) in rows {
                match &captures[*event] {
                    Some(kept) if builder.push(&kept[*at]) => {}
                    _ => builder.push_null(),
                }
            }
        }
        PatternField::Program { event, program } => {
            let (at, event) = (*event, &spec.events[*event]);
            let column = |(position, shape): (usize, &mesh_event::Field)| {
                let mut builder = ColumnBuilder::new(shape.ty, rows.len());
                for (_, captures) in rows {
                    match &captures[at] {
                        Some(kept) if builder.push(&kept[position]) => {}
                        _ => builder.push_null(),
                    }
                }
                Arc::new(builder.finish())
            };
            let block = Block {
                schema: Arc::clone(&event.kept),
                kind: BlockKind::Normal,
                opcodes: vec![Opcode::Insert; rows.len()],
                flags: vec![Flags::NORMAL; rows.len()],
                columns: event.kept.fields().iter().enumerate().map(column).collect(),
            };
            let evaluated = program.eval(&block, ty);
            *errors += evaluated.errors.count;
            (0..rows.len()).for_each(|row| {
                if !builder.push(&evaluated.column.value(row)) {
                    builder.push_null();
                }
            });
        }
    }
}

impl Operator for Pattern {
    fn process(&mut self, _run: Run, _clock: Clock) -> Run {
        unreachable!("the input of a pattern comes by side")
    }

    fn process_sides(&mut self, inputs: Sides, clock: Clock) -> Run {
        let looked: Vec<Option<Vec<Looked>>> = (0..self.inputs)
            .map(|input| {
                let run = inputs.side(input)?;
                Some(self.rules.iter().map(|rule| rule.look(input, run, &mut self.errors)).collect())
            })
            .collect();
        let (mut found, mut ends, mut complete) = (Vec::new(), Vec::with_capacity(inputs.causes()), Vec::new());
        for cause in 0..inputs.causes() {
            for (input, looked) in looked.iter().enumerate() {
                let (Some(run), Some(looked)) = (inputs.side(input), looked) else { continue };
                let start = if cause == 0 { 0 } else { run.ends[cause - 1] };
                let (mut row, end) = (start, run.ends[cause]);
                while row < end {
                    let at = row as usize;
                    let pair = is_pair(&run.block, row, end);
                    row += if pair { 2 } else { 1 };
                    if !matches!(run.block.opcodes[at], Opcode::Insert | Opcode::Upsert) {
                        // Patterns are about what happens, not about rows that change or go.
                        self.bad.add("a pattern takes inserts only", &run.block, at);
                        continue;
                    }
                    for (number, (rule, looked)) in self.rules.iter_mut().zip(looked).enumerate() {
                        rule.event(input, &run.block, at, looked, clock.get(), &mut complete);
                        found.extend(complete.drain(..).map(|captures| (number, captures)));
                    }
                }
            }
            ends.push(found.len() as u32);
        }
        self.run(&found, ends)
    }

    fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        let clock = now.get().expect("a tick has set the clock");
        let (mut found, mut complete) = (Vec::new(), Vec::new());
        for (number, rule) in self.rules.iter_mut().enumerate() {
            rule.tick(clock, before.get().is_none(), &mut complete);
            found.extend(complete.drain(..).map(|captures| (number, captures)));
        }
        let ends = vec![found.len() as u32];
        (!found.is_empty()).then(|| self.run(&found, ends))
    }

    fn deadline_us(&self) -> Option<i64> {
        self.rules.iter().filter_map(Rule::deadline_us).min()
    }

    fn reads(&self, side: usize, _out: &[bool], input: &mut [bool]) {
        match self.inserts {
            true => self.rules.iter().for_each(|rule| rule.reads(side, input)),
            false => input.fill(true),
        }
    }

    fn held(&self) -> Held {
        let rows: usize = self.rules.iter().map(Rule::open).sum();
        let of_rule = |rule: &Rule| rule.open() * (rule.spec.events.len() + rule.spec.variables.len() + 4);
        let words: usize = self.rules.iter().map(of_rule).sum();
        Held {
            rows: rows as u64,
            bytes: (words * size_of::<mesh_event::Value>()) as u64,
            bad_events: self.bad.count(),
            expression_errors: self.errors + self.rules.iter().map(Rule::script_errors).sum::<u64>(),
        }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.rules.iter_mut().flat_map(Rule::take_messages).collect()
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    fn kind(&self) -> &'static str {
        "pattern"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.next, self.bad.count(), self.errors));
        self.rules.iter().for_each(|rule| rule.save(to));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let count: u64;
        (self.next, count, self.errors) = from.get()?;
        self.bad = BadEvents::counted(count);
        self.rules.iter_mut().try_for_each(|rule| rule.restore(from))
    }
}
