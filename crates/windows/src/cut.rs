//! Cuts what one cause put out into blocks that a bus takes.
//!
//! A tick can let a million rows expire, and a window can answer one block with many rows; a broker refuses a record
//! above its limit, for good. So a block that goes out is cut by what its rows say alone, the same on every replica.

use std::ops::Range;

use mesh_event::codec::encoded_len_max;
use mesh_event::{Block, BlockKind};

use crate::OutputPart;
use crate::run::is_pair;

/// Encoded bytes of an output block at most, unless it is transactional or a single event is longer. Kafka's default
/// limit of a batch is twice this.
pub const OUTPUT_BYTES_MAX: usize = 512 * 1024;

/// The parts of a run, each short enough.
pub(crate) fn cut(block: &Block, parts: Vec<OutputPart>) -> Vec<OutputPart> {
    if encoded_len_max(block, 0..block.len()) <= OUTPUT_BYTES_MAX {
        return parts;
    }
    let mut short = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        match part.kind {
            BlockKind::Transactional => short.push(part),
            BlockKind::Normal => halve(block, part, &mut short),
        }
    }
    short
}

/// Halves a part until each piece is short enough; an update's two halves stay together.
fn halve(block: &Block, part: OutputPart, into: &mut Vec<OutputPart>) {
    let OutputPart { cause, kind, rows } = part;
    let Some(middle) = middle(block, &rows) else {
        return into.push(OutputPart { cause, kind, rows });
    };
    halve(block, OutputPart { cause, kind, rows: rows.start..middle }, into);
    halve(block, OutputPart { cause, kind, rows: middle..rows.end }, into);
}

/// Where to cut; `None` when the rows are few enough, or one event.
fn middle(block: &Block, rows: &Range<usize>) -> Option<usize> {
    if encoded_len_max(block, rows.clone()) <= OUTPUT_BYTES_MAX {
        return None;
    }
    let middle = rows.start + rows.len() / 2;
    let splits_pair = middle > rows.start && is_pair(block, middle as u32 - 1, rows.end as u32);
    let middle = if splits_pair { middle + 1 } else { middle };
    (rows.start < middle && middle < rows.end).then_some(middle)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_event::{Bytes2D, Column, ColumnData, Flags, Opcode, Schema};

    use super::*;

    fn block(rows: usize, text: usize, opcode: impl Fn(usize) -> Opcode) -> Block {
        let schema: Arc<Schema> = Arc::new(Schema::parse("id*:int64,text:string").unwrap());
        let ends = (1..=rows).map(|row| (row * text) as u32).collect();
        let texts = Bytes2D { ends, bytes: vec![b'x'; rows * text].into() };
        let columns = [ColumnData::Int64((0..rows as i64).collect()), ColumnData::String(texts)];
        let columns = columns.map(|data| Arc::new(Column::new(data))).to_vec();
        Block::new(schema, (0..rows).map(opcode).collect(), vec![Flags::NORMAL; rows], columns)
    }

    fn cut_all(block: &Block, kind: BlockKind) -> Vec<Range<usize>> {
        let part = OutputPart { cause: 3, kind, rows: 0..block.len() };
        let parts = cut(block, vec![part]);
        assert!(parts.iter().all(|part| part.cause == 3 && part.kind == kind));
        let gapless = parts.windows(2).all(|pair| pair[0].rows.end == pair[1].rows.start);
        assert!(gapless && parts[0].rows.start == 0 && parts.last().unwrap().rows.end == block.len());
        parts.into_iter().map(|part| part.rows).collect()
    }

    #[test]
    fn short_blocks_and_transactional_ones_stay_whole() {
        assert_eq!(cut_all(&block(1000, 100, |_| Opcode::Insert), BlockKind::Normal).len(), 1);
        assert_eq!(cut_all(&block(10_000, 100, |_| Opcode::Insert), BlockKind::Transactional).len(), 1);
    }

    #[test]
    fn long_blocks_are_cut_and_every_piece_is_short() {
        let block = block(100_000, 30, |_| Opcode::Delete);
        let pieces = cut_all(&block, BlockKind::Normal);
        assert!(pieces.len() > 4);
        assert!(pieces.into_iter().all(|rows| encoded_len_max(&block, rows) <= OUTPUT_BYTES_MAX));
    }

    #[test]
    fn an_update_and_its_old_half_stay_together_and_one_event_is_never_cut() {
        // three updates and an insert in front, so that the middle falls between two halves
        let opcode = |row: usize| match row {
            0 => Opcode::Insert,
            row if row % 2 == 1 => Opcode::UpdateBlock,
            _ => Opcode::Delete,
        };
        let block = block(7, 300 * 1024, opcode);
        let pieces = cut_all(&block, BlockKind::Normal);
        assert_eq!(pieces, [0..1, 1..3, 3..5, 5..7]);
    }
}
