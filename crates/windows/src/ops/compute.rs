//! Compute: copies the keys, computes the other fields, one event for one.

use std::sync::Arc;

use mesh_event::{Column, FieldType, Schema};
use mesh_expr::{Program, State};

use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// Both halves of an update block are computed: programs that keep nothing give the old half as it once was. Those that
/// count see the old half as one more event, as the original is taken to do.
pub(crate) struct Compute {
    schema: Arc<Schema>,
    fields: Vec<Field>,
    memory: State,
    errors: u64,
}

enum Field {
    Copy(usize),
    Program(Program, FieldType),
}

impl Compute {
    /// `keys`: the input field of each key; `programs`: one for each other field; both in schema order.
    /// `seed`: where the window stands.
    pub(crate) fn new(schema: &Arc<Schema>, keys: &[usize], programs: &[Program], seed: &str) -> Compute {
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
        let fields = schema.fields().iter().map(field).collect();
        Compute { fields, schema: Arc::clone(schema), memory: State::new(seed_of(seed)), errors: 0 }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let made = self.fields.iter().enumerate().filter(|(_, field)| matches!(field, Field::Program(..)));
        made.map(|(position, _)| position).collect()
    }
}

impl Compute {
    /// Event by event, where programs remember something.
    fn process_with_memory(&mut self, run: Run, clock: Clock) -> Run {
        self.memory.set_clock(clock.get());
        let programs: Vec<(&Program, FieldType)> = self
            .fields
            .iter()
            .filter_map(|field| match field {
                Field::Program(program, ty) => Some((program, *ty)),
                Field::Copy(_) => None,
            })
            .collect();
        let mut made = Program::eval_all(&programs, &run.block, &mut self.memory).into_iter();
        let mut columns = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            columns.push(match field {
                Field::Copy(position) => Arc::clone(&run.block.columns[*position]),
                Field::Program(..) => {
                    let evaluated = made.next().expect("one result for each program");
                    self.errors += evaluated.errors.count;
                    evaluated.column
                }
            });
        }
        run.with_columns(&self.schema, columns)
    }
}

impl Operator for Compute {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        if self.fields.iter().any(|field| matches!(field, Field::Program(program, _) if program.needs_state())) {
            return self.process_with_memory(run, clock);
        }
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

    fn reads(&self, _side: usize, out: &[bool], input: &mut [bool]) {
        for (field, &read) in self.fields.iter().zip(out) {
            match field {
                Field::Copy(position) => input[*position] |= read,
                Field::Program(program, _) => program.fields().for_each(|field| input[field] = true),
            }
        }
    }

    fn held(&self) -> Held {
        Held { expression_errors: self.errors, ..Held::default() }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.memory.take_messages()
    }

    fn kind(&self) -> &'static str {
        "compute"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.errors, self.memory.save()));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let memory: Vec<u8>;
        (self.errors, memory) = from.get()?;
        restore_memory(&mut self.memory, &memory)
    }
}
