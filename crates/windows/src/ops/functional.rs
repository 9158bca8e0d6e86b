//! Functional: copies fields, computes others with functions, numbers events.

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Schema};
use mesh_expr::{FunctionalOutput, State};
use mesh_model::{EVENT_COUNTER_START, FunctionalField, FunctionalInput};

use super::{Clock, Held, Operator, Sides, restore_memory, seed_of};
use crate::columns::{RowRef, gather};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// `eventCounter()` numbers every event that the window puts out: updates, deletes and retention deletes take a number
/// too, and so does each half of an update block.
pub(crate) struct Functional {
    schema: Arc<Schema>,
    /// One for all inputs, or one for each side.
    inputs: Vec<FunctionalInput>,
    memory: State,
    next_event: i64,
    errors: u64,
}

impl Functional {
    /// `seed`: where the window stands.
    pub(crate) fn new(schema: &Arc<Schema>, inputs: &[FunctionalInput], seed: &str) -> Functional {
        Functional {
            schema: Arc::clone(schema),
            inputs: inputs.to_vec(),
            memory: State::new(seed_of(seed)),
            next_event: EVENT_COUNTER_START,
            errors: 0,
        }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let copied = |at: usize| self.inputs.iter().all(|input| matches!(input.fields[at], FunctionalField::Copy(_)));
        (0..self.schema.fields().len()).filter(|&at| !copied(at)).collect()
    }
}

impl Functional {
    /// The columns of the output; `copy` gives one of the input as the output's events have it.
    fn columns(
        &mut self,
        side: usize,
        rows: usize,
        made: Vec<(usize, Column)>,
        copy: impl Fn(usize) -> Arc<Column>,
    ) -> Vec<Arc<Column>> {
        let mut made = made.into_iter();
        let columns = self.inputs[side].fields.iter().zip(self.schema.fields()).map(|(field, shape)| match field {
            FunctionalField::Copy(position) => copy(*position),
            FunctionalField::EventCounter => Arc::new(numbers(shape.ty, self.next_event, rows)),
            FunctionalField::Computed => Arc::new(made.next().expect("the code makes a column for each such field").1),
            FunctionalField::Null => Arc::new(nulls(shape.ty, rows)),
        });
        let columns = columns.collect();
        self.next_event += rows as i64;
        columns
    }

    /// Events that the code made more, or fewer, or of another kind.
    fn made_run(&mut self, side: usize, run: &Run, made: FunctionalOutput) -> Run {
        let refs: Vec<RowRef> =
            made.events.iter().map(|event| RowRef { source: 0, row: event.source as u32 }).collect();
        let input = &run.block.columns;
        let columns = self.columns(side, refs.len(), made.columns, |at| Arc::new(gather(&[&input[at]], &refs)));
        let mut events = made.events.iter().map(|event| event.source as u32).peekable();
        let mut count = 0;
        let end = |end: &u32| {
            while events.next_if(|source| source < end).is_some() {
                count += 1;
            }
            count
        };
        let ends: Vec<u32> = run.ends.iter().map(end).collect();
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: made.events.iter().map(|event| event.opcode).collect(),
            flags: made.events.iter().map(|event| event.flags).collect(),
            columns,
        };
        Run { block, ends: ends.into() }
    }
}

impl Functional {
    /// Works off a run of one side.
    fn of_side(&mut self, side: usize, run: Run) -> Run {
        let rows = run.block.len();
        let mut made = Vec::new();
        let code = self.inputs[side].code.clone();
        if !code.is_empty() {
            let output = code.eval(&run.block, &mut self.memory);
            self.errors += output.errors.count;
            if !code.one_for_one() {
                return self.made_run(side, &run, output);
            }
            made = output.columns;
        }
        let input = run.block.columns.clone();
        let columns = self.columns(side, rows, made, |at| Arc::clone(&input[at]));
        run.with_columns(&self.schema, columns)
    }
}

impl Operator for Functional {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        self.memory.set_clock(clock.get());
        self.of_side(0, run)
    }

    /// Cause by cause, and of one cause side by side: counters and random numbers go on from event to event.
    fn process_sides(&mut self, sides: Sides, clock: Clock) -> Run {
        let live: Vec<usize> = (0..self.inputs.len()).filter(|&side| sides.side(side).is_some()).collect();
        self.memory.set_clock(clock.get());
        if let [side] = live[..] {
            let run = sides.side(side).expect("a side that is there").clone();
            return self.of_side(side, run);
        }
        let (mut parts, mut ends, mut rows) = (Vec::new(), Vec::with_capacity(sides.causes()), 0);
        for cause in 0..sides.causes() {
            for &side in &live {
                let run = sides.side(side).expect("a side that is there");
                let start = if cause == 0 { 0 } else { run.ends[cause - 1] };
                let (start, end) = (start as usize, run.ends[cause] as usize);
                if start == end {
                    continue;
                }
                let part = Run { block: run.block.slice(start..end), ends: [(end - start) as u32].into() };
                let made = self.of_side(side, part);
                rows += made.block.len() as u32;
                parts.push(made.block);
            }
            ends.push(rows);
        }
        let block = match &parts.iter().collect::<Vec<_>>()[..] {
            [] => Block {
                schema: Arc::clone(&self.schema),
                kind: BlockKind::Normal,
                opcodes: Vec::new(),
                flags: Vec::new(),
                columns: self.schema.fields().iter().map(|field| Arc::new(nulls(field.ty, 0))).collect(),
            },
            parts => Block::concat(parts),
        };
        Run { block, ends: ends.into() }
    }

    fn held(&self) -> Held {
        Held { expression_errors: self.errors, ..Held::default() }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.memory.take_messages()
    }

    fn kind(&self) -> &'static str {
        "functional"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.next_event, self.errors, self.memory.save()));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let memory: Vec<u8>;
        (self.next_event, self.errors, memory) = from.get()?;
        restore_memory(&mut self.memory, &memory)
    }
}

/// `first, first + 1, ...` as values of a type; null where the type cannot hold the number.
fn numbers(ty: FieldType, first: i64, rows: usize) -> Column {
    let range = first..first + rows as i64;
    match ty {
        FieldType::Int64 => Column::new(ColumnData::Int64(range.collect())),
        FieldType::Double => Column::new(ColumnData::Double(range.map(|number| number as f64).collect())),
        _ => {
            let mut builder = ColumnBuilder::new(ty, rows);
            for number in range {
                let fits = match ty {
                    FieldType::String => builder.push_str(&number.to_string()),
                    FieldType::Money => builder.push_i64(number.saturating_mul(MONEY_SCALE)),
                    _ => builder.push_i64(number),
                };
                if !fits {
                    builder.push_null();
                }
            }
            builder.finish()
        }
    }
}

/// A column of nulls.
pub(crate) fn nulls(ty: FieldType, rows: usize) -> Column {
    let mut builder = ColumnBuilder::new(ty, rows);
    (0..rows).for_each(|_| builder.push_null());
    builder.finish()
}
