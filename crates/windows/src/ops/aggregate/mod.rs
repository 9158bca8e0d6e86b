//! Aggregate: one row for each group of input rows.
//!
//! The input is made exact first (a table, unless it is exact already): then every row that leaves a group is one that
//! joined it, with the same values. The row that a group put out last is held, and goes out as the old one when the
//! group changes.
//!
//! A run goes through in passes: `changes`, which rows join and leave which groups (`group`), and what goes out; then
//! function by function (`folds` of `fold`s, and `ordered`); then the output beside what was put out before (`last`).

mod changes;
mod counts;
mod fold;
mod folds;
mod group;
mod last;
mod ordered;
mod rank;
mod sum;
mod text;

use std::sync::Arc;

use mesh_event::{Block, BlockKind, ColumnBuilder, Flags, Opcode, Schema};
use mesh_expr::{Program, State};
use mesh_model::{Aggregate as Spec, AggregateFunction};
use xxhash_rust::xxh3::xxh3_128;

use super::source::write_guid;
use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::run::{Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use crate::store::{Table, keys};
use changes::{Changes, Move, Output};
pub(crate) use fold::same_number;
use folds::Folds;
use group::{Group, Groups};
use last::Last;
use ordered::{InOrder, Ordered};

/// An aggregate window.
pub(crate) struct Aggregate {
    schema: Arc<Schema>,
    spec: Spec,
    /// Makes the input exact, where it is not.
    exact: Option<Table>,
    /// Rows never leave.
    grows: bool,
    groups: Groups,
    folds: Vec<Folds>,
    ordered: Option<Ordered>,
    last: Last,
    seed: String,
    /// Variables of the arguments' programs, and of those around the functions.
    memories: [State; 2],
    errors: u64,
}

impl Aggregate {
    /// `exact`: what makes the input exact; `grows`: the input is of inserts only. `seed` goes into generated texts.
    pub(crate) fn new(
        schema: &Arc<Schema>,
        spec: &Spec,
        input_keys: Vec<usize>,
        exact: Option<Table>,
        grows: bool,
        seed: String,
    ) -> Aggregate {
        let types: Vec<_> = spec.arguments.iter().map(|(_, ty)| *ty).collect();
        Aggregate {
            schema: Arc::clone(schema),
            folds: Folds::of(&spec.calls, &types, grows),
            ordered: Ordered::new(&spec.calls, (!grows).then_some(input_keys)),
            spec: spec.clone(),
            exact,
            grows,
            groups: Groups::default(),
            last: Last::new(schema),
            memories: [State::new(seed_of(&format!("{seed}arguments"))), State::new(seed_of(&seed))],
            seed,
            errors: 0,
        }
    }

    /// Which rows join and leave which groups, and what goes out; gives the ends of that by cause.
    fn changes(&mut self, run: &Run, changes: &mut Changes<'_>, values: &mut [ColumnBuilder]) -> Vec<u32> {
        let block = &run.block;
        let hashes = keys::hashes(&block.columns, &self.spec.keys, block.len());
        let mut ends = Vec::with_capacity(run.ends.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                let flags = Flags(block.flags[row as usize].0 & !Flags::PARTIAL.0);
                if is_pair(block, row, end) {
                    let old = self.step(row + 1, false, &hashes, changes);
                    let new = self.step(row, true, &hashes, changes);
                    self.put_out((row, new), flags, 2, changes, values);
                    if old != new {
                        self.put_out((row + 1, old), flags, 3, changes, values);
                    }
                    row += 2;
                    continue;
                }
                let leaves = matches!(block.opcodes[row as usize], Opcode::Delete | Opcode::SafeDelete);
                let group = self.step(row, !leaves, &hashes, changes);
                self.put_out((row, group), flags, if leaves { 3 } else { 1 }, changes, values);
                row += 1;
            }
            ends.push(changes.outputs.len() as u32);
        }
        ends
    }

    /// A row joins its group or leaves it; the place of the group.
    #[inline]
    fn step(&mut self, row: u32, adds: bool, hashes: &[u64], changes: &mut Changes<'_>) -> u32 {
        let group = self.groups.of(hashes[row as usize], &self.spec.keys, changes.columns, row as usize);
        let rows = &mut self.groups.at(group).rows;
        *rows = if adds { *rows + 1 } else { rows.saturating_sub(1) };
        changes.moves.push(Move { row, group, adds });
        group
    }

    /// A group was changed.
    #[inline]
    fn put_out(
        &mut self,
        (row, place): (u32, u32),
        flags: Flags,
        opcode: u8,
        changes: &mut Changes<'_>,
        values: &mut [ColumnBuilder],
    ) {
        let group = self.groups.at(place);
        group.outputs += 1;
        let gone = group.rows == 0;
        let moves = changes.moves.len() as u32;
        changes.outputs.push(Output { moves, row, group: place, flags, opcode, gone });
        for (call, into) in self.spec.calls.iter().zip(values) {
            if call.function == AggregateFunction::Guid {
                let mut text = String::new();
                let name = format!("{}{}/{}", self.seed, group.number, group.outputs);
                write_guid(xxh3_128(name.as_bytes()), &mut text);
                if gone || !into.push_str(&text) {
                    into.push_null();
                }
            }
        }
        if gone {
            self.groups.remove(place);
        }
    }

    /// What goes out of a run.
    fn computed(&mut self, changes: &Changes<'_>, values: Vec<ColumnBuilder>, mut ends: Vec<u32>) -> Run {
        let rows: Vec<u32> = changes.outputs.iter().map(|output| output.row).collect();
        let used = self.spec.uses.iter().map(|&field| Arc::new(changes.columns[field].gather(&rows)));
        let opcode = |output: &Output| if output.gone { Opcode::Delete } else { Opcode::Upsert };
        let scope = Block {
            schema: Arc::clone(&self.spec.scope),
            kind: BlockKind::Normal,
            opcodes: changes.outputs.iter().map(opcode).collect(),
            flags: changes.outputs.iter().map(|output| output.flags).collect(),
            columns: used.chain(values.into_iter().map(|builder| Arc::new(builder.finish()))).collect(),
        };
        let types = self.schema.fields().iter().filter(|field| !field.key).map(|field| field.ty);
        let programs: Vec<_> = self.spec.fields.iter().zip(types).collect();
        let made = Program::eval_all(&programs, &scope, &mut self.memories[1]);
        let out = self.last.beside(&changes.outputs, &mut ends, self.groups.places());
        let (mut keys, mut made) = (self.spec.keys.iter(), made.into_iter().enumerate());
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            columns.push(if field.key {
                let key = *keys.next().expect("the model has an input field for each key");
                Arc::new(changes.columns[key].gather(&out.keys))
            } else {
                let (at, evaluated) = made.next().expect("the model has a program for each other field");
                self.errors += evaluated.errors.count;
                self.last.column(at, evaluated.column, &out)
            });
        }
        self.last.settle();
        let schema = Arc::clone(&self.schema);
        let block = Block { schema, kind: BlockKind::Normal, opcodes: out.opcodes, flags: out.flags, columns };
        Run { block, ends: ends.into() }
    }
}

impl Operator for Aggregate {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let run = match &mut self.exact {
            Some(table) => table.process(run, clock),
            None => run,
        };
        let block = &run.block;
        self.memories.iter_mut().for_each(|memory| memory.set_clock(clock.get()));
        let programs: Vec<_> = self.spec.arguments.iter().map(|(program, ty)| (program, *ty)).collect();
        let evaluated = Program::eval_all(&programs, block, &mut self.memories[0]);
        self.errors += evaluated.iter().map(|evaluated| evaluated.errors.count).sum::<u64>();
        let mut changes = Changes {
            columns: &block.columns,
            arguments: evaluated.into_iter().map(|evaluated| evaluated.column).collect(),
            moves: Vec::with_capacity(block.len()),
            outputs: Vec::with_capacity(block.len()),
        };
        let builder = |call: &mesh_model::AggregateCall| ColumnBuilder::new(call.ty, block.len());
        let mut values: Vec<ColumnBuilder> = self.spec.calls.iter().map(builder).collect();
        let ends = self.changes(&run, &mut changes, &mut values);
        let (calls, places) = (&self.spec.calls, self.groups.places());
        for folds in &mut self.folds {
            folds.run(calls, &changes, places, clock.get(), &mut values);
        }
        if let Some(ordered) = &mut self.ordered {
            ordered.run(calls, &changes, places, &mut values);
        }
        self.computed(&changes, values, ends)
    }

    fn reads(&self, _side: usize, _out: &[bool], input: &mut [bool]) {
        let arguments = self.spec.arguments.iter().flat_map(|(program, _)| program.fields());
        let ordered = self.ordered.iter().flat_map(Ordered::keys).copied();
        let own = self.spec.keys.iter().chain(&self.spec.uses).copied();
        match self.exact {
            Some(_) => input.fill(true),
            None => own.chain(arguments).chain(ordered).for_each(|field| input[field] = true),
        }
    }

    fn held(&self) -> Held {
        let exact = self.exact.as_ref().map_or(Held::default(), Table::held);
        let folds: usize = self.folds.iter().map(Folds::bytes).sum();
        let ordered = self.ordered.as_ref().map_or(0, Ordered::bytes);
        Held {
            rows: self.groups.len() as u64,
            bytes: exact.bytes + (self.groups.bytes() + folds + ordered + self.last.bytes()) as u64,
            bad_events: exact.bad_events,
            expression_errors: self.errors,
        }
    }

    fn kind(&self) -> &'static str {
        match (&self.exact, self.grows) {
            (Some(_), _) => "aggregate-of-held-rows",
            (None, true) => "aggregate-of-inserts",
            (None, false) => "aggregate",
        }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.memories.iter_mut().flat_map(State::take_messages).collect()
    }

    fn version(&self) -> u16 {
        2
    }

    fn save(&self, to: &mut Writer<'_>) {
        if let Some(table) = &self.exact {
            table.save(to);
        }
        let groups = self.groups.in_order();
        to.length(groups.len());
        for &(place, group) in &groups {
            to.put(&group.number);
            to.put(&group.key);
            to.put(&(group.rows, group.outputs));
            self.folds.iter().for_each(|folds| folds.save(place, to));
            match &self.ordered {
                Some(ordered) => to.put(ordered.of_group(place)),
                None => to.put(&InOrder::new()),
            }
        }
        let next_order = self.ordered.as_ref().map_or(0, |ordered| ordered.next);
        to.put(&(self.groups.next, next_order, self.errors));
        self.memories.iter().for_each(|memory| to.put(&memory.save()));
        self.last.save(&groups, to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        if let Some(table) = &mut self.exact {
            table.restore(from)?;
        }
        let (groups, _) = from.length()?;
        let types: Vec<_> = self.schema.keys().iter().map(|&key| self.schema.fields()[key].ty).collect();
        for _ in 0..groups {
            let number = from.get()?;
            let mut group = Group::new(from.get()?, number);
            let fits = group.key.len() == types.len()
                && group.key.iter().zip(&types).all(|(value, ty)| value.field_type().is_none_or(|found| found == *ty));
            if !fits {
                return Err(Damage::Broken("a group has another key than the window's groups"));
            }
            (group.rows, group.outputs) = from.get()?;
            let place = self.groups.put(group);
            self.folds.iter_mut().try_for_each(|folds| folds.restore(place, from))?;
            let rows: InOrder = from.get()?;
            match &mut self.ordered {
                Some(ordered) => ordered.restore(place, rows, self.spec.arguments.len())?,
                None if rows.is_empty() => {}
                None => return Err(Damage::Broken("rows are in order where no function asks for them")),
            }
        }
        let next_order;
        (self.groups.next, next_order, self.errors) = from.get()?;
        if let Some(ordered) = &mut self.ordered {
            ordered.next = next_order;
        }
        for memory in &mut self.memories {
            restore_memory(memory, &from.get::<Vec<u8>>()?)?;
        }
        self.last.restore(&self.groups, from)
    }
}
