//! Functional: copies fields, computes others with functions, numbers events.

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Schema};
use mesh_expr::{FunctionalCode, FunctionalOutput, State};
use mesh_model::{EVENT_COUNTER_START, FunctionalField};

use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::columns::{RowRef, gather};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// `eventCounter()` numbers every event that the window puts out: updates, deletes and retention deletes take a number
/// too, and so does each half of an update block.
pub(crate) struct Functional {
    schema: Arc<Schema>,
    fields: Vec<FunctionalField>,
    code: FunctionalCode,
    memory: State,
    next_event: i64,
    errors: u64,
}

impl Functional {
    /// `seed`: where the window stands.
    pub(crate) fn new(
        schema: &Arc<Schema>,
        fields: &[FunctionalField],
        code: &FunctionalCode,
        seed: &str,
    ) -> Functional {
        Functional {
            schema: Arc::clone(schema),
            fields: fields.to_vec(),
            code: code.clone(),
            memory: State::new(seed_of(seed)),
            next_event: EVENT_COUNTER_START,
            errors: 0,
        }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let made = self.fields.iter().enumerate().filter(|(_, field)| !matches!(field, FunctionalField::Copy(_)));
        made.map(|(position, _)| position).collect()
    }
}

impl Functional {
    /// The columns of the output; `copy` gives one of the input as the output's events have it.
    fn columns(
        &mut self,
        rows: usize,
        made: Vec<(usize, Column)>,
        copy: impl Fn(usize) -> Arc<Column>,
    ) -> Vec<Arc<Column>> {
        let mut made = made.into_iter();
        let columns = self.fields.iter().zip(self.schema.fields()).map(|(field, shape)| match field {
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
    fn made_run(&mut self, run: &Run, made: FunctionalOutput) -> Run {
        let refs: Vec<RowRef> =
            made.events.iter().map(|event| RowRef { source: 0, row: event.source as u32 }).collect();
        let input = &run.block.columns;
        let columns = self.columns(refs.len(), made.columns, |at| Arc::new(gather(&[&input[at]], &refs)));
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

impl Operator for Functional {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let rows = run.block.len();
        let mut made = Vec::new();
        if !self.code.is_empty() {
            self.memory.set_clock(clock.get());
            let output = self.code.eval(&run.block, &mut self.memory);
            self.errors += output.errors.count;
            if !self.code.one_for_one() {
                return self.made_run(&run, output);
            }
            made = output.columns;
        }
        let input = run.block.columns.clone();
        let columns = self.columns(rows, made, |at| Arc::clone(&input[at]));
        run.with_columns(&self.schema, columns)
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
