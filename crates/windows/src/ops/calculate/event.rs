//! An event as algorithms see it, and results as columns.

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, FieldType, MONEY_SCALE, Schema, Value};
use mesh_model::algorithms::OutputType;
use mesh_model::{Algorithm, ResultField};

use super::Results;
use crate::columns::number;
use crate::ops::functional::nulls;
use crate::run::Run;

/// An event and the fields that play the roles of an algorithm.
pub(crate) struct Event<'a> {
    pub columns: &'a [Arc<Column>],
    pub inputs: &'a [Vec<usize>],
    pub row: usize,
}

impl Event<'_> {
    /// The number in a role; `None` when it is missing (null, or not a number).
    pub(crate) fn number(&self, role: usize) -> Option<f64> {
        let field = *self.inputs[role].first()?;
        number(&self.columns[field], self.row).filter(|value| !value.is_nan())
    }

    /// The numbers of a role that several fields play; `None` when one is missing.
    pub(crate) fn numbers(&self, role: usize) -> Option<Vec<f64>> {
        let of_field = |&field: &usize| number(&self.columns[field], self.row).filter(|value| !value.is_nan());
        self.inputs[role].iter().map(of_field).collect()
    }

    /// The value in a role; null when no field plays it.
    pub(crate) fn value(&self, role: usize) -> Value {
        self.inputs[role].first().map_or(Value::Null, |&field| self.columns[field].value(self.row))
    }

    /// The value in a role as a text: what classes and events are compared by.
    pub(crate) fn label(&self, role: usize) -> Option<String> {
        match self.value(role) {
            Value::Null => None,
            Value::String(text) => Some(text.to_string()),
            Value::Int32(x) => Some(x.to_string()),
            Value::Int64(x) | Value::Date(x) | Value::Stamp(x) => Some(x.to_string()),
            Value::Double(x) => Some(x.to_string()),
            Value::Money(x) => Some((x as f64 / MONEY_SCALE as f64).to_string()),
            _ => None,
        }
    }

    /// Results with the values of this event where the table says that they come out again.
    pub(crate) fn tagged(&self, mut results: Results, algorithm: &Algorithm) -> Results {
        for (value, output) in results.iter_mut().zip(algorithm.outputs) {
            if let OutputType::Same(role) = output.ty {
                *value = self.value(role);
            }
        }
        results
    }
}

/// Events out: each with the row that it comes from, and its results.
pub(crate) struct Rows {
    rows: Vec<u32>,
    results: Vec<Results>,
    ends: Vec<u32>,
}

impl Rows {
    pub(crate) fn with_capacity(rows: usize) -> Rows {
        Rows { rows: Vec::with_capacity(rows), results: Vec::with_capacity(rows), ends: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: u32, results: Results) {
        self.rows.push(row);
        self.results.push(results);
    }

    pub(crate) fn end_cause(&mut self) {
        self.ends.push(self.rows.len() as u32);
    }

    /// The events as a run, with the opcodes of the rows of `input` that they come from.
    pub(crate) fn finish(self, input: &Run, schema: &Arc<Schema>, fields: &[ResultField]) -> Run {
        let block = &input.block;
        let column = |(field, shape): (&ResultField, &mesh_event::Field)| {
            Arc::new(match *field {
                ResultField::Copy(at) => block.columns[at].gather(&self.rows),
                ResultField::Null => nulls(shape.ty, self.rows.len()),
                ResultField::Result { output, element, .. } => {
                    let mut builder = ColumnBuilder::new(shape.ty, self.rows.len());
                    self.results.iter().for_each(|results| push(&mut builder, shape.ty, &results[output], element));
                    builder.finish()
                }
            })
        };
        let columns = fields.iter().zip(schema.fields()).map(column).collect();
        let block = Block {
            schema: Arc::clone(schema),
            kind: BlockKind::Normal,
            opcodes: self.rows.iter().map(|&row| block.opcodes[row as usize]).collect(),
            flags: self.rows.iter().map(|&row| block.flags[row as usize]).collect(),
            columns,
        };
        Run { block, ends: self.ends.into() }
    }
}

/// Adds a result as a value of a field's type: fractions are cut off for whole numbers; null for what does not fit.
pub(crate) fn push(builder: &mut ColumnBuilder, ty: FieldType, value: &Value, element: Option<usize>) {
    let part = match (value, element) {
        (Value::ArrayDouble(list), Some(at)) => list.get(at).map_or(Value::Null, |x| Value::Double(*x)),
        (other, _) => other.clone(),
    };
    if part.field_type() == Some(ty) && !matches!(part, Value::Double(x) if x.is_nan()) {
        assert!(builder.push(&part), "a column takes values of its own type");
        return;
    }
    let number = match part {
        Value::Double(x) => x,
        Value::Int64(x) => x as f64,
        _ => f64::NAN,
    };
    let fits = match ty {
        FieldType::Double => !number.is_nan() && builder.push_f64(number),
        FieldType::Int32 => {
            number > f64::from(i32::MIN) - 1.0 && number < f64::from(i32::MAX) + 1.0 && builder.push_i64(number as i64)
        }
        // -2^63 is an i64, 2^63 is not.
        FieldType::Int64 => number >= i64::MIN as f64 && number < i64::MAX as f64 && builder.push_i64(number as i64),
        FieldType::Money => {
            let scaled = (number * MONEY_SCALE as f64).round();
            scaled >= i64::MIN as f64 && scaled < i64::MAX as f64 && builder.push(&Value::Money(scaled as i64))
        }
        _ => false,
    };
    if !fits {
        builder.push_null();
    }
}

/// Numbers as a list; null for a list with what is not a number in it.
pub(crate) fn list(numbers: Vec<f64>) -> Value {
    if numbers.iter().any(|x| x.is_nan()) { Value::Null } else { Value::ArrayDouble(numbers.into()) }
}
