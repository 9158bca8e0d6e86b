//! Blocks of one input that were read and wait to be applied.

use std::collections::VecDeque;

use mesh_event::JoinedBlocks;

use crate::project::message::{ReadyBlocks, ReadyRecord};

/// Blocks in the order of their topic, in the columns that the reader decoded them into.
#[derive(Debug, Default)]
pub struct Waiting {
    /// When the role took only some blocks of the first part, it has fewer records than blocks: what is left is copied
    /// when it is taken, not before.
    parts: VecDeque<ReadyBlocks>,
    blocks: usize,
}

impl Waiting {
    /// Blocks that wait.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Adds blocks behind the others.
    pub fn push(&mut self, blocks: ReadyBlocks) {
        assert_eq!(blocks.joined.len(), blocks.records.len(), "a block for each record");
        if !blocks.records.is_empty() {
            self.blocks += blocks.records.len();
            self.parts.push_back(blocks);
        }
    }

    /// Takes the first blocks, and the record of each.
    ///
    /// # Panics
    /// When fewer wait.
    pub fn take(&mut self, mut blocks: usize, joined: &mut Vec<JoinedBlocks>, records: &mut Vec<ReadyRecord>) {
        self.blocks = self.blocks.checked_sub(blocks).expect("the role takes only blocks that it was told of");
        while blocks > 0 {
            let first = self.parts.front_mut().expect("there are as many blocks as were counted");
            let taken = first.joined.len() - first.records.len();
            let count = blocks.min(first.records.len());
            blocks -= count;
            if count == first.joined.len() {
                let ReadyBlocks { joined: part, records: of_part } = self.parts.pop_front().expect("looked at above");
                joined.push(part);
                records.extend(of_part);
                continue;
            }
            joined.push(first.joined.slice(taken..taken + count));
            records.extend(first.records.drain(..count));
            if first.records.is_empty() {
                self.parts.pop_front();
            }
        }
    }

    /// Throws everything away; returns what the blocks counted for in the buffer's limit.
    pub fn take_all(&mut self) -> usize {
        let bytes = self.parts.iter().flat_map(|part| &part.records).map(|record| record.bytes).sum();
        *self = Waiting::default();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_event::codec::BlockDecoder;
    use mesh_event::{Block, ColumnBuilder, Flags, Opcode, Schema, encode_block};

    use super::*;

    /// Blocks of 0, 1, 2, 0, 1, 2, ... events, the ids of which count up.
    fn blocks(offsets: std::ops::Range<u64>, next_id: &mut i64) -> ReadyBlocks {
        let schema = Arc::new(Schema::parse("id*:int64").expect("a schema"));
        let mut decoder = BlockDecoder::new(schema.clone());
        let mut records = Vec::new();
        for offset in offsets {
            let rows = (offset % 3) as usize;
            let mut column = ColumnBuilder::new(schema.fields()[0].ty, rows);
            for _ in 0..rows {
                assert!(column.push_i64(*next_id));
                *next_id += 1;
            }
            let columns = vec![column.finish().into()];
            let block = Block::new(schema.clone(), vec![Opcode::Insert; rows], vec![Flags::NORMAL; rows], columns);
            decoder.push(&encode_block(&block, &Default::default())).expect("just encoded");
            records.push(ReadyRecord { offset, traceparent: None, bytes: 10 });
        }
        ReadyBlocks { joined: decoder.finish(), records }
    }

    #[test]
    fn blocks_come_out_as_they_went_in_however_many_are_taken() {
        for sizes in [&[1][..], &[2, 1, 4], &[3, 50, 7], &[100]] {
            let (mut waiting, mut id) = (Waiting::default(), 0);
            for offsets in [0..10, 10..40, 40..41, 41..100] {
                waiting.push(blocks(offsets, &mut id));
            }
            let (mut offsets, mut ids) = (0, 0);
            for &size in sizes.iter().cycle() {
                let size = size.min(waiting.blocks());
                if size == 0 {
                    break;
                }
                let (mut joined, mut records) = (Vec::new(), Vec::new());
                waiting.take(size, &mut joined, &mut records);
                assert_eq!(records.len(), size);
                for part in &joined {
                    for block in 0..part.len() {
                        assert_eq!(records[0].offset, offsets);
                        records.remove(0);
                        let alone = part.slice(block..block + 1).events;
                        assert_eq!(alone.len() as u64, offsets % 3);
                        offsets += 1;
                        for row in 0..alone.len() {
                            assert_eq!(alone.columns[0].value(row), mesh_event::Value::Int64(ids));
                            ids += 1;
                        }
                    }
                }
            }
            assert_eq!((offsets, ids), (100, id));
        }
    }

    #[test]
    fn what_is_thrown_away_is_counted() {
        let (mut waiting, mut id) = (Waiting::default(), 0);
        waiting.push(blocks(0..10, &mut id));
        waiting.take(3, &mut Vec::new(), &mut Vec::new());
        assert_eq!((waiting.take_all(), waiting.blocks()), (70, 0));
    }
}
