//! Compute: copies the keys, computes the other fields, one event for one.

use std::sync::Arc;

use mesh_event::{Column, FieldType, Schema};
use mesh_expr::Program;

use super::{Clock, Held, Operator};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// Both halves of an update block are computed; programs keep no state, so the old half comes out as it once did.
pub(crate) struct Compute {
    schema: Arc<Schema>,
    fields: Vec<Field>,
    errors: u64,
}

enum Field {
    Copy(usize),
    Program(Program, FieldType),
}

impl Compute {
    /// `keys`: the input field of each key; `programs`: one for each other field; both in schema order.
    pub(crate) fn new(schema: &Arc<Schema>, keys: &[usize], programs: &[Program]) -> Compute {
        let mut keys = keys.iter();
        let mut programs = programs.iter();
        let field = |field: &mesh_event::Field| {
            if field.key {
                Field::Copy(*keys.next().expect("the model has an input field for each key"))
            } else {
                let program = programs.next().expect("the model has a program for each other field");
                // Shared with the window before, which digested it.
                program.copied_field(field.ty).map_or_else(|| Field::Program(program.clone(), field.ty), Field::Copy)
            }
        };
        Compute { fields: schema.fields().iter().map(field).collect(), schema: Arc::clone(schema), errors: 0 }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let made = self.fields.iter().enumerate().filter(|(_, field)| matches!(field, Field::Program(..)));
        made.map(|(position, _)| position).collect()
    }
}

impl Operator for Compute {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let mut columns: Vec<Arc<Column>> = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            columns.push(match field {
                Field::Copy(position) => Arc::clone(&run.block.columns[*position]),
                Field::Program(program, ty) => {
                    let evaluated = program.eval(&run.block, *ty);
                    self.errors += evaluated.errors.count;
                    evaluated.column
                }
            });
        }
        run.with_columns(&self.schema, columns)
    }

    fn held(&self) -> Held {
        Held { expression_errors: self.errors, ..Held::default() }
    }

    fn kind(&self) -> &'static str {
        "compute"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.errors);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.errors = from.get()?;
        Ok(())
    }
}
