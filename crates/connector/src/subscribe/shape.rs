//! What the options `collapse` and `rmretdel` make of a block.

use mesh_event::{Block, Flags, Opcode};

/// Turns update blocks into updates (their second half, the old row, is dropped) and drops deletes made by retention.
pub fn shape(block: Block, collapse: bool, drop_retention_deletes: bool) -> Block {
    let is_second_half = |row: usize| row > 0 && block.opcodes[row - 1] == Opcode::UpdateBlock;
    let is_dropped = |row: usize| {
        let delete = block.opcodes[row] == Opcode::Delete;
        collapse && delete && is_second_half(row)
            || drop_retention_deletes && delete && !is_second_half(row) && block.flags[row].contains(Flags::RETENTION)
    };
    let kept: Vec<u32> = (0..block.len()).filter(|row| !is_dropped(*row)).map(|row| row as u32).collect();
    let mut block = if kept.len() == block.len() { block } else { block.gather(&kept) };
    if collapse {
        for opcode in block.opcodes.iter_mut().filter(|opcode| **opcode == Opcode::UpdateBlock) {
            *opcode = Opcode::Update;
        }
    }
    block
}
