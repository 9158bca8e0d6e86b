//! Remove-state: every event that is not left out becomes an insert under a number of its own.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, ColumnData, FieldType, Flags, Opcode, Schema};
use mesh_model::RemoveState;

use super::{Clock, Operator};
use crate::columns::RowRef;
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, Writer};

/// An update counts as two events: the new half, and the old half unless it is left out.
pub(crate) struct Remove {
    schema: Arc<Schema>,
    rule: RemoveState,
    next: i64,
}

/// Number of the first event.
const FIRST: i64 = 1;

impl Remove {
    pub(crate) fn new(schema: &Arc<Schema>, rule: RemoveState) -> Remove {
        Remove { schema: Arc::clone(schema), rule, next: FIRST }
    }

    fn goes(&self, opcode: Opcode, flags: Flags, old_half: bool) -> bool {
        let retention = flags.contains(Flags::RETENTION);
        match opcode {
            Opcode::Insert | Opcode::Upsert => true,
            Opcode::Update | Opcode::UpdateBlock if retention => !self.rule.retention_updates,
            Opcode::Update | Opcode::UpdateBlock => !self.rule.updates,
            Opcode::Delete if old_half => !self.rule.update_block_deletes,
            Opcode::Delete | Opcode::SafeDelete if retention => !self.rule.retention_deletes,
            Opcode::Delete | Opcode::SafeDelete => !self.rule.deletes,
        }
    }
}

impl Operator for Remove {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let block = &run.block;
        let mut out = Emitter::with_capacity(block.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                let halves = if is_pair(block, row, end) { 2 } else { 1 };
                for half in 0..halves {
                    let at = (row + half) as usize;
                    if self.goes(block.opcodes[at], block.flags[at], half == 1) {
                        out.push(block.opcodes[at], block.flags[at], RowRef { source: 0, row: row + half });
                    }
                }
                row += halves;
            }
            out.end_cause();
        }
        let Run { block, ends } = out.finish(&block.schema, &[&block.columns], Some(0));
        let rows = block.len();
        let number = ColumnData::Int64((self.next..self.next + rows as i64).collect());
        self.next += rows as i64;
        let mut columns = vec![Arc::new(Column::new(number))];
        columns.extend(block.columns);
        if self.rule.add_log_fields {
            columns.push(letters(block.opcodes.iter().map(|opcode| opcode.letters())));
            columns.push(letters(block.flags.iter().map(|flags| flags.letters())));
        }
        let block = Block {
            schema: Arc::clone(&self.schema),
            opcodes: vec![Opcode::Insert; rows],
            flags: vec![Flags::NORMAL; rows],
            columns,
            ..block
        };
        Run { block, ends }
    }

    fn kind(&self) -> &'static str {
        "remove-state"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.next);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.next = from.get()?;
        Ok(())
    }
}

fn letters<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Arc<Column> {
    let mut builder = ColumnBuilder::new(FieldType::String, texts.len());
    texts.for_each(|text| assert!(builder.push_str(text), "the column is of texts"));
    Arc::new(builder.finish())
}
