//! Splitters: which events of a window go along which edges.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, ColumnData, FieldType, Opcode, Schema};
use mesh_expr::{Program, State};
use mesh_model::Splitter as Spec;

use crate::columns::RowRef;
use crate::live::{Live, Use};
use crate::ops::lua::Asked;
use crate::ops::{Clock, restore_memory, seed_of};
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, Writer};

/// A window's splitter: a number for each event, the slot it goes to. A negative number means all slots; without a
/// number (null) an event goes only where edges name no slot.
pub(crate) enum Splitter {
    Program { slot: Program, memory: State, errors: u64 },
    Script(Box<Asked>),
}

impl Splitter {
    /// `place`: where the window stands.
    pub(crate) fn new(slot: &Spec, schema: &Schema, place: &str) -> Splitter {
        let place = format!("{place}splitter");
        match slot {
            Spec::Program(slot) => {
                Splitter::Program { slot: slot.clone(), memory: State::new(seed_of(&place)), errors: 0 }
            }
            Spec::Script(call) => Splitter::Script(Box::new(Asked::new(call, schema, &place))),
        }
    }

    /// The slots of a run's events.
    pub(crate) fn slots(&mut self, block: &Block, clock: Clock) -> Slots {
        match self {
            Splitter::Program { slot, memory, errors } => {
                memory.set_clock(clock.get());
                let mut evaluated = Program::eval_all(&[(slot, FieldType::Int64)], block, memory);
                let evaluated = evaluated.pop().expect("one result for one program");
                *errors += evaluated.errors.count;
                Slots(evaluated.column)
            }
            Splitter::Script(asked) => {
                asked.work.set_clock(clock);
                let mut numbers = ColumnBuilder::new(FieldType::Int64, block.len());
                for row in 0..block.len() {
                    if !asked.number(block, row).is_some_and(|number| numbers.push_i64(number)) {
                        numbers.push_null();
                    }
                }
                Slots(Arc::new(numbers.finish()))
            }
        }
    }

    /// Events that had no slot because of a run-time error.
    pub(crate) fn errors(&self) -> u64 {
        match self {
            Splitter::Program { errors, .. } => *errors,
            Splitter::Script(asked) => asked.work.errors,
        }
    }

    pub(crate) fn take_messages(&mut self) -> Vec<String> {
        match self {
            Splitter::Program { memory, .. } => memory.take_messages(),
            Splitter::Script(asked) => asked.work.take_messages(),
        }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        match self {
            Splitter::Program { memory, errors, .. } => to.put(&(*errors, memory.save())),
            Splitter::Script(asked) => asked.work.save(to),
        }
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match self {
            Splitter::Program { memory, errors, .. } => {
                let saved: Vec<u8>;
                (*errors, saved) = from.get()?;
                restore_memory(memory, &saved)
            }
            Splitter::Script(asked) => asked.work.restore(from),
        }
    }
}

/// The slot of each event of a run.
pub(crate) struct Slots(Arc<Column>);

impl Slots {
    /// The events that go to a slot.
    pub(crate) fn only(&self, slot: u32, run: &Run) -> Run {
        let ColumnData::Int64(slots) = &self.0.data else { unreachable!("slots are evaluated as int64") };
        let goes = |row: usize| !self.0.is_null(row) && (slots[row] < 0 || slots[row] == i64::from(slot));
        let keep: Vec<bool> = (0..run.block.len()).map(goes).collect();
        select(&Live::all(&run.block.schema), run, &keep)
    }
}

/// The events that are kept, without the columns that nobody reads. Of an update block both halves: itself; only the new
/// one: an insert; only the old one: a delete.
pub(crate) fn select(live: &Live, run: &Run, keep: &[bool]) -> Run {
    let block = &run.block;
    // All or nothing is common.
    if keep.iter().all(|&keep| keep) {
        return run.clone();
    }
    if !block.opcodes.contains(&Opcode::UpdateBlock) {
        return select_single(live, run, keep);
    }
    let mut out = Emitter::with_capacity(block.len());
    let mut row = 0;
    for &end in run.ends.iter() {
        while row < end {
            let at = row as usize;
            let pair = is_pair(block, row, end);
            let (new, old) = (RowRef { source: 0, row }, RowRef { source: 0, row: row + 1 });
            match (keep[at], pair && keep[at + 1]) {
                (true, true) => {
                    out.push(Opcode::UpdateBlock, block.flags[at], new);
                    out.push(Opcode::Delete, block.flags[at + 1], old);
                }
                (true, false) if pair => out.push(Opcode::Insert, block.flags[at], new),
                (true, false) => out.push(block.opcodes[at], block.flags[at], new),
                (false, true) => out.push(Opcode::Delete, block.flags[at + 1], old),
                (false, false) => {}
            }
            row += 1 + u32::from(pair);
        }
        out.end_cause();
    }
    out.finish_for(&block.schema, &[&block.columns], Some(0), live).0
}

/// Events none of which is an update block.
fn select_single(live: &Live, run: &Run, keep: &[bool]) -> Run {
    let block = &run.block;
    // Written for every row, counted for those that are kept: no branch that depends on the data.
    let mut rows = vec![0; keep.len()];
    let (mut count, mut row) = (0, 0);
    let mut ends = Vec::with_capacity(run.ends.len());
    for &end in run.ends.iter() {
        for row in std::mem::replace(&mut row, end)..end {
            rows[count] = row;
            count += usize::from(keep[row as usize]);
        }
        ends.push(count as u32);
    }
    rows.truncate(count);
    let column = |(field, column): (usize, &Arc<Column>)| match live.of(field) {
        Use::Read => Arc::new(column.gather(&rows)),
        Use::Digested | Use::Unused => live.absent(field),
    };
    run.with_rows(&rows, &block.schema, block.columns.iter().enumerate().map(column).collect(), ends)
}
