//! Functional: copies fields, computes others with functions, numbers events.

use std::sync::Arc;

use mesh_event::{Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Schema};
use mesh_model::{EVENT_COUNTER_START, FunctionalField};

use super::{Clock, Held, Operator};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// `eventCounter()` numbers every event of the window: updates, deletes and retention deletes take a number too, and
/// so does each half of an update block.
pub(crate) struct Functional {
    schema: Arc<Schema>,
    fields: Vec<FunctionalField>,
    next_event: i64,
    errors: u64,
}

impl Functional {
    pub(crate) fn new(schema: &Arc<Schema>, fields: &[FunctionalField]) -> Functional {
        Functional { schema: Arc::clone(schema), fields: fields.to_vec(), next_event: EVENT_COUNTER_START, errors: 0 }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let made = self.fields.iter().enumerate().filter(|(_, field)| !matches!(field, FunctionalField::Copy(_)));
        made.map(|(position, _)| position).collect()
    }
}

impl Operator for Functional {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let rows = run.block.len();
        let mut columns: Vec<Arc<Column>> = Vec::with_capacity(self.fields.len());
        for (field, shape) in self.fields.iter().zip(self.schema.fields()) {
            columns.push(match field {
                FunctionalField::Copy(position) => Arc::clone(&run.block.columns[*position]),
                FunctionalField::EventCounter => Arc::new(numbers(shape.ty, self.next_event, rows)),
                FunctionalField::Function(program) => {
                    let evaluated = program.eval(&run.block, shape.ty);
                    self.errors += evaluated.errors.count;
                    evaluated.column
                }
                FunctionalField::Null => Arc::new(nulls(shape.ty, rows)),
            });
        }
        self.next_event += rows as i64;
        run.with_columns(&self.schema, columns)
    }

    fn held(&self) -> Held {
        Held { expression_errors: self.errors, ..Held::default() }
    }

    fn kind(&self) -> &'static str {
        "functional"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.next_event, self.errors));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        (self.next_event, self.errors) = from.get()?;
        Ok(())
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
