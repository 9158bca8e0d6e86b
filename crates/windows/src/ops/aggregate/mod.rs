//! Aggregate: one row for each group of input rows.
//!
//! The input is made exact first (a table, unless it is exact already): then every row that leaves a group is one that
//! joined it, with the same values. The row that a group put out last is held, and goes out as the old one when the
//! group changes.

mod counts;
mod fold;
mod group;
mod rank;
mod sum;
mod text;

use std::sync::Arc;

// order-free: found by key only; groups are saved by the number of their creation.
use hashbrown::{HashMap, HashTable};
use mesh_event::{Block, BlockKind, Column, ColumnBuilder, Flags, Opcode, Schema};
use mesh_expr::{Program, State};
use mesh_model::{Aggregate as Spec, AggregateFunction};
use xxhash_rust::xxh3::{Xxh3DefaultBuilder, xxh3_128};

use super::source::write_guid;
use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use crate::store::{Rows, Table, keys};
use fold::Change;
pub(crate) use fold::same_number;
use group::{Calls, Group, OrderedRow};

/// An aggregate window.
pub(crate) struct Aggregate {
    schema: Arc<Schema>,
    spec: Spec,
    calls: Calls,
    /// Key fields of the input, by which ordered rows are found again.
    input_keys: Vec<usize>,
    /// Makes the input exact, where it is not.
    exact: Option<Table>,
    /// Rows never leave.
    grows: bool,
    groups: Vec<Option<Group>>,
    /// The slot in `out` of the row that each group put out last; [`NONE`] before the first.
    slots: Vec<u32>,
    free: Vec<u32>,
    index: HashTable<(u64, u32)>,
    next_group: u64,
    /// The order of each held row, by key, where rows are ordered and can leave.
    orders: HashMap<Box<[u8]>, u64, Xxh3DefaultBuilder>,
    next_order: u64,
    ordered: bool,
    /// Rows behind the first that ordered functions look at where rows never leave; `None`: all.
    depth: Option<usize>,
    seed: String,
    out: Rows,
    /// Variables of the arguments' programs, and of those around the functions.
    memories: [State; 2],
    errors: u64,
}

const NONE: u32 = u32::MAX;

/// The run at hand: what every output event is made of.
struct Changes {
    arguments: Vec<Arc<Column>>,
    hashes: Vec<u64>,
    opcodes: Vec<Opcode>,
    flags: Vec<Flags>,
    rows: Vec<u32>,
    groups: Vec<u32>,
    values: Vec<ColumnBuilder>,
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
        let ordered = spec.calls.iter().any(|call| call.function.is_ordered());
        let lag = |call: &mesh_model::AggregateCall| match call.function {
            AggregateFunction::Cat(_) => None,
            AggregateFunction::Lag(back) => Some(back),
            _ => Some(0),
        };
        let depth =
            if grows { spec.calls.iter().map(lag).try_fold(0, |deepest, lag| Some(lag?.max(deepest))) } else { None };
        let types = spec.arguments.iter().map(|(_, ty)| *ty).collect();
        Aggregate {
            schema: Arc::clone(schema),
            calls: Calls::new(&spec.calls, types, grows),
            spec: spec.clone(),
            input_keys,
            exact,
            grows,
            groups: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            next_group: 0,
            orders: HashMap::default(),
            next_order: 0,
            ordered,
            depth,
            memories: [State::new(seed_of(&format!("{seed}arguments"))), State::new(seed_of(&seed))],
            seed,
            out: Rows::new(schema),
            errors: 0,
        }
    }

    fn group_of(&mut self, hash: u64, columns: &[Arc<Column>], row: usize) -> usize {
        let same = |&(other, group): &(u64, u32)| {
            let group = self.groups[group as usize].as_ref().expect("the index names groups that exist");
            let mut fields = self.spec.keys.iter().zip(&group.key);
            other == hash && fields.all(|(&field, value)| keys::is_value(&columns[field], row, value))
        };
        if let Some(&(_, group)) = self.index.find(hash, same) {
            return group as usize;
        }
        let key = self.spec.keys.iter().map(|&field| columns[field].value(row)).collect();
        let group = Group::new(key, self.next_group, &self.calls);
        self.next_group += 1;
        self.put(hash, group)
    }

    fn put(&mut self, hash: u64, group: Group) -> usize {
        let at = match self.free.pop() {
            Some(at) => {
                self.groups[at as usize] = Some(group);
                at
            }
            None => {
                self.groups.push(Some(group));
                self.slots.push(NONE);
                self.groups.len() as u32 - 1
            }
        };
        self.index.insert_unique(hash, (hash, at), |&(hash, _)| hash);
        at as usize
    }

    /// A row joins or leaves its group; which one that is.
    fn change(
        &mut self,
        changes: &Changes,
        columns: &[Arc<Column>],
        row: usize,
        change: Change,
        clock: Clock,
    ) -> usize {
        let at = self.group_of(changes.hashes[row], columns, row);
        let group = self.groups[at].as_mut().expect("found or made just now");
        group.change(&self.calls, change, (&changes.arguments, row), clock.get());
        if !self.ordered {
            return at;
        }
        let mut key = Vec::new();
        if !self.grows {
            keys::write(columns, &self.input_keys, row, &mut key);
        }
        let key: Box<[u8]> = key.into();
        match change {
            Change::Add => {
                let order = self.next_order;
                self.next_order += 1;
                if !self.grows {
                    self.orders.insert(key.clone(), order);
                }
                let values = changes.arguments.iter().map(|column| column.value(row)).collect();
                group.ordered.insert(order, OrderedRow { key, values });
                // The first, and those that a lag reaches.
                if let Some(depth) = self.depth
                    && group.ordered.len() > depth + 2
                {
                    let second = group.ordered.keys().nth(1).copied().expect("there are more than two");
                    group.ordered.remove(&second);
                }
            }
            Change::Take => {
                if let Some(order) = self.orders.remove(&key) {
                    group.ordered.remove(&order);
                }
            }
        }
        at
    }

    /// The event at a row changed a group: what goes out.
    fn emit(&mut self, changes: &mut Changes, at: usize, row: usize, flags: Flags, opcode: i64) {
        let group = self.groups[at].as_mut().expect("it was changed just now");
        group.event(&self.calls, opcode);
        group.outputs += 1;
        changes.rows.push(row as u32);
        changes.groups.push(at as u32);
        changes.flags.push(flags);
        if group.rows == 0 {
            changes.opcodes.push(Opcode::Delete);
            changes.values.iter_mut().for_each(ColumnBuilder::push_null);
            let found = self.index.find_entry(changes.hashes[row], |&(_, group)| group as usize == at);
            found.expect("every group is in the index").remove();
            self.groups[at] = None;
            self.free.push(at as u32);
            return;
        }
        changes.opcodes.push(Opcode::Upsert);
        for (call_at, (call, builder)) in self.spec.calls.iter().zip(&mut changes.values).enumerate() {
            if call.function == AggregateFunction::Guid {
                let name = format!("{}{}/{}", self.seed, group.number, group.outputs);
                let mut text = String::new();
                write_guid(xxh3_128(name.as_bytes()), &mut text);
                if !builder.push_str(&text) {
                    builder.push_null();
                }
            } else {
                group.put(call_at, &self.calls, builder);
            }
        }
    }

    /// The output fields of what changed.
    fn computed(&mut self, changes: Changes, input: &Block, ends: Vec<u32>) -> Run {
        let Changes { hashes, opcodes, flags, rows, groups, values, .. } = changes;
        let gathered = |field: usize| Arc::new(input.columns[field].gather(&rows));
        let mut columns: Vec<Arc<Column>> = self.spec.uses.iter().map(|&field| gathered(field)).collect();
        columns.extend(values.into_iter().map(|builder| Arc::new(builder.finish())));
        let scope = Block {
            schema: Arc::clone(&self.spec.scope),
            kind: BlockKind::Normal,
            opcodes: opcodes.clone(),
            flags: flags.clone(),
            columns,
        };
        let types = self.schema.fields().iter().filter(|field| !field.key).map(|field| field.ty);
        let programs: Vec<_> = self.spec.fields.iter().zip(types).collect();
        let mut made = Program::eval_all(&programs, &scope, &mut self.memories[1]).into_iter();
        let mut keys = self.spec.keys.iter();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            columns.push(if field.key {
                gathered(*keys.next().expect("the model has an input field for each key"))
            } else {
                let evaluated = made.next().expect("the model has a program for each other field");
                self.errors += evaluated.errors.count;
                evaluated.column
            });
        }
        let changed = Changed { hashes: &hashes, rows: &rows, groups: &groups, opcodes: &opcodes, flags: &flags };
        self.put_out(columns, &changed, &ends)
    }

    /// The new rows of groups beside those that they put out last.
    fn put_out(&mut self, columns: Vec<Arc<Column>>, changed: &Changed<'_>, ends: &[u32]) -> Run {
        let events = changed.opcodes.len();
        let mut out = Emitter::with_capacity(events * 2);
        let chunk = self.out.open(columns, events);
        let whole = self.out.arrival(chunk, 0).source;
        let mut row = 0;
        for &end in ends {
            for row in std::mem::replace(&mut row, end)..end {
                let at = row as usize;
                let (slot, flags) = (&mut self.slots[changed.groups[at] as usize], changed.flags[at]);
                let old = (*slot != NONE).then(|| self.out.stored(*slot));
                match (changed.opcodes[at], old) {
                    (Opcode::Delete, Some(old)) => {
                        out.push(Opcode::Delete, flags, old);
                        self.out.remove(*slot);
                        *slot = NONE;
                    }
                    // A group that came and went within one event.
                    (Opcode::Delete, None) => {}
                    (_, Some(old)) => {
                        out.push(Opcode::UpdateBlock, flags, self.out.arrival(chunk, row));
                        out.push(Opcode::Delete, flags, old);
                        self.out.replace(*slot, chunk, row);
                    }
                    (_, None) => {
                        out.push(Opcode::Insert, flags, self.out.arrival(chunk, row));
                        *slot = self.out.insert(changed.hashes[changed.rows[at] as usize], chunk, row);
                    }
                }
            }
            out.end_cause();
        }
        let run = out.finish(&self.schema, &self.out.sources(), Some(whole));
        self.out.settle();
        run
    }
}

/// What happened to groups: one entry for each new row.
struct Changed<'a> {
    /// By row of the input.
    hashes: &'a [u64],
    /// Row of the input.
    rows: &'a [u32],
    groups: &'a [u32],
    opcodes: &'a [Opcode],
    flags: &'a [Flags],
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
        let arguments = evaluated.into_iter().map(|evaluated| evaluated.column).collect();
        let calls = self.spec.calls.iter();
        let mut changes = Changes {
            arguments,
            hashes: keys::hashes(&block.columns, &self.spec.keys, block.len()),
            opcodes: Vec::with_capacity(block.len()),
            flags: Vec::with_capacity(block.len()),
            rows: Vec::with_capacity(block.len()),
            groups: Vec::with_capacity(block.len()),
            values: calls.map(|call| ColumnBuilder::new(call.ty, block.len())).collect(),
        };
        let mut ends = Vec::with_capacity(run.ends.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                let at = row as usize;
                let flags = Flags(block.flags[at].0 & !Flags::PARTIAL.0);
                if is_pair(block, row, end) {
                    let old = self.change(&changes, &block.columns, at + 1, Change::Take, clock);
                    let new = self.change(&changes, &block.columns, at, Change::Add, clock);
                    self.emit(&mut changes, new, at, flags, 2);
                    if old != new {
                        self.emit(&mut changes, old, at + 1, flags, 3);
                    }
                    row += 2;
                    continue;
                }
                let (change, opcode) = match block.opcodes[at] {
                    Opcode::Delete | Opcode::SafeDelete => (Change::Take, 3),
                    _ => (Change::Add, 1),
                };
                let group = self.change(&changes, &block.columns, at, change, clock);
                self.emit(&mut changes, group, at, flags, opcode);
                row += 1;
            }
            ends.push(changes.opcodes.len() as u32);
        }
        self.computed(changes, &run.block, ends)
    }

    fn held(&self) -> Held {
        let exact = self.exact.as_ref().map_or(Held::default(), Table::held);
        let group = size_of::<Group>() + self.spec.calls.len() * size_of::<fold::Fold>();
        let ordered = self.orders.len() * (size_of::<OrderedRow>() + size_of::<u64>());
        Held {
            rows: self.out.len() as u64,
            bytes: exact.bytes + self.out.bytes() as u64 + (self.groups.len() * group + ordered) as u64,
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
        let mut groups: Vec<&Group> = self.groups.iter().flatten().collect();
        groups.sort_unstable_by_key(|group| group.number);
        to.length(groups.len());
        for group in groups {
            to.put(&group.number);
            group.save(to);
        }
        to.put(&(self.next_group, self.next_order, self.errors));
        self.memories.iter().for_each(|memory| to.put(&memory.save()));
        self.out.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        if let Some(table) = &mut self.exact {
            table.restore(from)?;
        }
        let (groups, _) = from.length()?;
        let types: Vec<_> = self.schema.keys().iter().map(|&key| self.schema.fields()[key].ty).collect();
        for _ in 0..groups {
            let number = from.get()?;
            let group = Group::restore(from, number, &self.calls)?;
            let fits = group.key.len() == types.len()
                && group.key.iter().zip(&types).all(|(value, ty)| value.field_type().is_none_or(|found| found == *ty));
            if !fits {
                return Err(Damage::Broken("a group has another key than the window's groups"));
            }
            if !self.grows {
                for (&order, row) in &group.ordered {
                    self.orders.insert(row.key.clone(), order);
                }
            }
            self.put(keys::hash_of_values(&group.key), group);
        }
        (self.next_group, self.next_order, self.errors) = from.get()?;
        for memory in &mut self.memories {
            restore_memory(memory, &from.get::<Vec<u8>>()?)?;
        }
        self.out.load(from)?;
        for (slot, group) in self.slots.iter_mut().zip(&self.groups) {
            let Some(group) = group else { continue };
            let found = self.out.find_key(keys::hash_of_values(&group.key), &group.key);
            *slot = found.ok_or(Damage::Broken("a group has no row that it put out"))?;
        }
        if self.out.len() != self.groups.len() {
            return Err(Damage::Broken("there are more rows than groups"));
        }
        Ok(())
    }
}
