//! Union: several streams of one schema as one, rows by key.

use mesh_event::Opcode;

use super::{Clock, Held, Operator};
use crate::bad::BadEvent;
use crate::columns::RowRef;
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use crate::store::Table;

/// A union with an index. Strict, it is a window that keeps rows: the same key from two inputs is a bad event. Not
/// strict, an insert of a known key is an update, and an update or delete of an unknown one is an insert or nothing.
pub(crate) struct Union {
    rows: Table,
    strict: bool,
}

impl Union {
    pub(crate) fn new(rows: Table, strict: bool) -> Union {
        Union { rows, strict }
    }
}

impl Operator for Union {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let run = if self.strict { run } else { lenient(&run) };
        self.rows.process(run, clock)
    }

    fn held(&self) -> Held {
        self.rows.held()
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.rows.take_bad_events()
    }

    fn kind(&self) -> &'static str {
        "union"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.rows.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.rows.restore(from)
    }
}

/// Inserts as upserts, deletes as safe deletes.
fn lenient(run: &Run) -> Run {
    let block = &run.block;
    let mut out = Emitter::with_capacity(block.len());
    let mut row = 0;
    for &end in run.ends.iter() {
        while row < end {
            let at = row as usize;
            let opcode = match block.opcodes[at] {
                Opcode::Insert | Opcode::Upsert | Opcode::UpdateBlock => Opcode::Upsert,
                Opcode::Delete | Opcode::SafeDelete => Opcode::SafeDelete,
                Opcode::Update => Opcode::Update,
            };
            out.push(opcode, block.flags[at], RowRef { source: 0, row });
            row += if is_pair(block, row, end) { 2 } else { 1 };
        }
        out.end_cause();
    }
    out.finish(&block.schema, &[&block.columns], Some(0))
}
