//! An event block: the unit that is published, applied and committed whole.

use std::ops::Range;
use std::sync::Arc;

use crate::{Column, Flags, Opcode, Schema, Value};

/// Whether a block may be split downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockKind {
    /// May be split or merged.
    #[default]
    Normal,
    /// Stays whole.
    Transactional,
}

/// Events of one schema, column by column. Columns are shared, so passing a field on costs a pointer.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Shape of the rows.
    pub schema: Arc<Schema>,
    /// Whether it may be split.
    pub kind: BlockKind,
    /// Opcode of each event.
    pub opcodes: Vec<Opcode>,
    /// Flags of each event.
    pub flags: Vec<Flags>,
    /// One column per field of the schema, each as long as `opcodes`.
    pub columns: Vec<Arc<Column>>,
}

impl Block {
    /// Puts a block together and checks that every column fits schema and length.
    ///
    /// # Panics
    /// When a column's type or length differs from the schema or the opcodes: the caller built it wrongly.
    pub fn new(schema: Arc<Schema>, opcodes: Vec<Opcode>, flags: Vec<Flags>, columns: Vec<Arc<Column>>) -> Block {
        assert_eq!(columns.len(), schema.fields().len(), "one column per field");
        assert_eq!(flags.len(), opcodes.len(), "one flag set per event");
        for (column, field) in columns.iter().zip(schema.fields()) {
            assert_eq!(column.field_type(), field.ty, "type of column `{}`", field.name);
            assert_eq!(column.len(), opcodes.len(), "length of column `{}`", field.name);
        }
        Block { schema, kind: BlockKind::Normal, opcodes, flags, columns }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.opcodes.len()
    }

    /// True when there are no events.
    pub fn is_empty(&self) -> bool {
        self.opcodes.is_empty()
    }

    /// The values of one event in schema order.
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.columns.iter().map(|column| column.value(row)).collect()
    }
}

/// Blocks of one schema in shared columns, in their order: rows are cheap, columns of its own for every small block are
/// not. What each block is for itself is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedBlocks {
    /// The events of all blocks; of kind [`BlockKind::Normal`], whatever theirs are.
    pub events: Block,
    /// End of each block's rows, ascending.
    pub ends: Vec<u32>,
    /// Kind of each block; as long as `ends`.
    pub kinds: Vec<BlockKind>,
}

impl JoinedBlocks {
    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of events of some of the blocks.
    ///
    /// # Panics
    /// When the range ends beyond the blocks.
    pub fn rows(&self, blocks: Range<usize>) -> usize {
        self.end(blocks.end) - self.end(blocks.start)
    }

    /// Some of the blocks; text shares its bytes.
    ///
    /// # Panics
    /// When the range ends beyond the blocks.
    pub fn slice(&self, blocks: Range<usize>) -> JoinedBlocks {
        let (from, to) = (self.end(blocks.start), self.end(blocks.end));
        JoinedBlocks {
            events: self.events.slice(from..to),
            ends: self.ends[blocks.clone()].iter().map(|end| end - from as u32).collect(),
            kinds: self.kinds[blocks].to_vec(),
        }
    }

    /// End of the rows of the first blocks.
    fn end(&self, blocks: usize) -> usize {
        if blocks == 0 { 0 } else { self.ends[blocks - 1] as usize }
    }
}

impl From<Block> for JoinedBlocks {
    fn from(block: Block) -> JoinedBlocks {
        let (ends, kinds) = (vec![block.len() as u32], vec![block.kind]);
        JoinedBlocks { events: Block { kind: BlockKind::Normal, ..block }, ends, kinds }
    }
}
