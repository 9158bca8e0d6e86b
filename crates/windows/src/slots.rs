//! Splitters: which events of a window go along which edges.

use mesh_event::{Block, Column, ColumnData, FieldType, Opcode, Schema};
use mesh_expr::Program;
use std::sync::Arc;

use crate::columns::RowRef;
use crate::run::{Emitter, Run, is_pair};

/// A window's splitter: a number for each event, the slot it goes to. A negative number means all slots; without a
/// number (null) an event goes only where edges name no slot.
pub(crate) struct Splitter {
    slot: Program,
}

impl Splitter {
    pub(crate) fn new(slot: &Program) -> Splitter {
        Splitter { slot: slot.clone() }
    }

    /// The slots of a run's events, and how many had none because of a run-time error.
    pub(crate) fn slots(&self, block: &Block) -> (Slots, u64) {
        let evaluated = self.slot.eval(block, FieldType::Int64);
        (Slots(evaluated.column), evaluated.errors.count)
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
        select(&run.block.schema, run, &keep)
    }
}

/// The events that are kept. Of an update block both halves: itself; only the new one: an insert; only the old one: a
/// delete.
pub(crate) fn select(schema: &Arc<Schema>, run: &Run, keep: &[bool]) -> Run {
    // All or nothing is common.
    if keep.iter().all(|&keep| keep) {
        return run.clone();
    }
    let block = &run.block;
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
    out.finish(schema, &[&block.columns], Some(0))
}
