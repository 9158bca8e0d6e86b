//! Blocks to bytes: the canonical protobuf form, byte for byte what `prost` writes for the same message.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::wire::{
    BYTES, FIXED64, bytes_field_len, pack_varints, put_bytes_field, put_tag, put_varint, put_varint_field, varint_len,
    zigzag,
};
use super::{BlockHeader, Cause, LAYOUT_VERSION, SourcePosition, columns, fields};
use crate::{Block, BlockKind, Bytes2D, Column, ColumnData, Flags, NullMask, Opcode};

/// Encodes a block; the fingerprint comes from the block's schema, not from the header.
pub fn encode_block(block: &Block, header: &BlockHeader) -> Bytes {
    let source = header.source.as_ref().map_or(0, source_len_max);
    let mut out = Vec::with_capacity(encoded_len_max(block, 0..block.len()) + source);
    put_block(&mut out, block, 0..block.len(), block.kind, header, &mut Scratch::default());
    out.into()
}

/// Encodes many blocks, with hardly an allocation for each: short ones share their memory.
#[derive(Debug, Default)]
pub struct BlockEncoder {
    out: Vec<u8>,
    chunk: BytesMut,
    scratch: Scratch,
}

impl BlockEncoder {
    /// Bytes that short payloads share; all of them are freed with the last.
    const CHUNK_BYTES: usize = 64 * 1024;

    /// Encodes some rows of a block as a block of their own, byte for byte what [`encode_block`] makes of them.
    ///
    /// # Panics
    /// When the rows end beyond the block.
    pub fn encode(&mut self, block: &Block, rows: Range<usize>, kind: BlockKind, header: &BlockHeader) -> Bytes {
        self.out.clear();
        put_block(&mut self.out, block, rows, kind, header, &mut self.scratch);
        if self.out.len() > Self::CHUNK_BYTES / 4 {
            return Bytes::copy_from_slice(&self.out);
        }
        if self.chunk.capacity() < self.out.len() {
            self.chunk = BytesMut::with_capacity(Self::CHUNK_BYTES);
        }
        self.chunk.extend_from_slice(&self.out);
        self.chunk.split().freeze()
    }
}

fn put_block(
    out: &mut Vec<u8>,
    block: &Block,
    rows: Range<usize>,
    kind: BlockKind,
    header: &BlockHeader,
    scratch: &mut Scratch,
) {
    put_varint_field(out, fields::VERSION, u64::from(LAYOUT_VERSION));
    put_varint_field(out, fields::MESSAGE_ID, header.message_id);
    let cause = match header.cause {
        Cause::None => 0,
        Cause::Input => 1,
        Cause::Tick => 2,
    };
    put_varint_field(out, fields::CAUSE, cause);
    put_varint_field(out, fields::SEQUENCE, header.sequence);
    let kind = match kind {
        BlockKind::Normal => 1,
        BlockKind::Transactional => 2,
    };
    put_varint_field(out, fields::KIND, kind);
    let fingerprint = block.schema.fingerprint();
    if fingerprint != 0 {
        put_tag(out, fields::FINGERPRINT, FIXED64);
        out.extend_from_slice(&fingerprint.to_le_bytes());
    }
    if let Some(source) = &header.source {
        put_source(out, source);
    }
    put_varint_field(out, fields::EVENT_COUNT, rows.len() as u64);
    put_opcodes(out, &block.opcodes[rows.clone()]);
    put_flags(out, &block.flags[rows.clone()]);
    for column in &block.columns {
        put_column(out, column, rows.clone(), scratch);
    }
    put_varint_field(out, fields::INPUT_INDEX, u64::from(header.input_index));
}

/// Buffers that all columns of a block share.
#[derive(Debug, Default)]
struct Scratch {
    values: Vec<u8>,
    lengths: Vec<u8>,
    nulls: Vec<u8>,
}

/// A bound of the bytes that some rows take as a block of their own, without its source position.
pub fn encoded_len_max(block: &Block, rows: Range<usize>) -> usize {
    const VARINT: usize = 10;
    let count = rows.len();
    let columns: usize = block
        .columns
        .iter()
        .map(|column| {
            24 + count.div_ceil(64) * 8
                + match &column.data {
                    ColumnData::Int32(_) => count * 5,
                    ColumnData::Int64(_) | ColumnData::Money(_) | ColumnData::Date(_) | ColumnData::Stamp(_) => {
                        count * VARINT
                    }
                    ColumnData::Double(_) => count * 8,
                    ColumnData::String(text) | ColumnData::Blob(text) => {
                        let end = |row: usize| if row == 0 { 0 } else { text.ends[row - 1] as usize };
                        count * 5 + end(rows.end) - end(rows.start)
                    }
                    ColumnData::ArrayInt32(v) => {
                        count * 5 + v[rows.clone()].iter().map(|row| row.len() * 5).sum::<usize>()
                    }
                    ColumnData::ArrayInt64(v) => {
                        count * 5 + v[rows.clone()].iter().map(|row| row.len() * VARINT).sum::<usize>()
                    }
                    ColumnData::ArrayDouble(v) => {
                        count * 5 + v[rows.clone()].iter().map(|row| row.len() * 8).sum::<usize>()
                    }
                }
        })
        .sum();
    64 + count * 2 + columns
}

/// A bound of the bytes that a source position takes.
fn source_len_max(source: &SourcePosition) -> usize {
    source.source.len() + 48 + source.file.as_ref().map_or(0, |file| file.path.len() + 48)
}

fn put_source(out: &mut Vec<u8>, source: &SourcePosition) {
    let mut message = Vec::with_capacity(source_len_max(source));
    put_bytes_field(&mut message, 1, source.source.as_bytes());
    put_varint_field(&mut message, 2, source.bytes);
    put_varint_field(&mut message, 3, source.lines);
    put_varint_field(&mut message, 4, source.events);
    put_varint_field(&mut message, 5, source.round);
    if let Some(file) = &source.file {
        let mut nested = Vec::with_capacity(file.path.len() + 32);
        put_bytes_field(&mut nested, 1, file.path.as_bytes());
        put_varint_field(&mut nested, 2, file.inode);
        put_varint_field(&mut nested, 3, file.head);
        // a message that is there is not nothing, even if it is empty
        put_tag(&mut message, 6, BYTES);
        put_varint(&mut message, nested.len() as u64);
        message.extend_from_slice(&nested);
    }
    put_tag(out, fields::SOURCE, BYTES);
    put_varint(out, message.len() as u64);
    out.extend_from_slice(&message);
}

fn put_opcodes(out: &mut Vec<u8>, opcodes: &[Opcode]) {
    let Some(&first) = opcodes.first() else {
        return;
    };
    if opcodes.iter().any(|&opcode| opcode != first) {
        put_tag(out, fields::OPCODES, BYTES);
        put_varint(out, opcodes.len() as u64);
        out.extend(opcodes.iter().map(|&opcode| opcode as u8));
    } else if first != Opcode::Insert {
        put_bytes_field(out, fields::OPCODES, &[first as u8]);
    }
}

fn put_flags(out: &mut Vec<u8>, flags: &[Flags]) {
    if flags.iter().any(|&flags| flags != Flags::NORMAL) {
        put_tag(out, fields::FLAGS, BYTES);
        put_varint(out, flags.len() as u64);
        out.extend(flags.iter().map(|flags| flags.0));
    }
}

fn put_column(out: &mut Vec<u8>, column: &Column, range: Range<usize>, scratch: &mut Scratch) {
    let Scratch { values, lengths, nulls } = scratch;
    put_null_bytes(nulls, &column.nulls, range.clone());
    let rows = range.len();
    let (number, packed) = match &column.data {
        ColumnData::Int32(v) => {
            (columns::INTEGERS, pack_varints(values, rows, v[range].iter().map(|&x| zigzag(i64::from(x)))))
        }
        ColumnData::Int64(v) => (columns::INTEGERS, pack_varints(values, rows, v[range].iter().map(|&x| zigzag(x)))),
        ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
            let mut before = 0_i64;
            let deltas = v[range].iter().map(|&x| zigzag(x.wrapping_sub(std::mem::replace(&mut before, x))));
            (columns::DELTAS, pack_varints(values, rows, deltas))
        }
        ColumnData::Double(v) => {
            begin_column(out, nulls, columns::DOUBLES, bytes_field_len(rows * 8));
            return put_doubles(out, 1, rows, &v[range]);
        }
        ColumnData::String(text) | ColumnData::Blob(text) => {
            return put_text(out, nulls, text, range, lengths);
        }
        ColumnData::ArrayInt32(v) => {
            let v = &v[range];
            let lens = pack_varints(lengths, rows, v.iter().map(|row| row.len() as u64));
            let count = v.iter().map(|row| row.len()).sum();
            let elements = v.iter().flat_map(|row| row.iter()).map(|&x| zigzag(i64::from(x)));
            let packed = pack_varints(values, count, elements);
            return put_integer_arrays(out, nulls, &lengths[..lens], &values[..packed]);
        }
        ColumnData::ArrayInt64(v) => {
            let v = &v[range];
            let lens = pack_varints(lengths, rows, v.iter().map(|row| row.len() as u64));
            let count = v.iter().map(|row| row.len()).sum();
            let packed = pack_varints(values, count, v.iter().flat_map(|row| row.iter()).map(|&x| zigzag(x)));
            return put_integer_arrays(out, nulls, &lengths[..lens], &values[..packed]);
        }
        ColumnData::ArrayDouble(v) => {
            let v = &v[range];
            let lens = pack_varints(lengths, rows, v.iter().map(|row| row.len() as u64));
            let count = v.iter().map(|row| row.len()).sum::<usize>();
            begin_column(out, nulls, columns::DOUBLE_ARRAYS, bytes_field_len(lens) + bytes_field_len(count * 8));
            put_bytes_field(out, 1, &lengths[..lens]);
            return put_doubles(out, 2, count, v.iter().flat_map(|row| row.iter()));
        }
    };
    begin_column(out, nulls, number, bytes_field_len(packed));
    put_bytes_field(out, 1, &values[..packed]);
}

/// Writes everything of a column in front of its values, which take `len` bytes.
fn begin_column(out: &mut Vec<u8>, nulls: &[u8], number: u32, len: usize) {
    put_tag(out, fields::COLUMNS, BYTES);
    put_varint(out, (bytes_field_len(nulls.len()) + 1 + varint_len(len as u64) + len) as u64);
    put_bytes_field(out, columns::NULLS, nulls);
    put_tag(out, number, BYTES);
    put_varint(out, len as u64);
}

fn put_doubles<'a>(out: &mut Vec<u8>, field: u32, count: usize, values: impl IntoIterator<Item = &'a f64>) {
    if count > 0 {
        put_tag(out, field, BYTES);
        put_varint(out, count as u64 * 8);
        out.reserve(count * 8);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn put_text(out: &mut Vec<u8>, nulls: &[u8], text: &Bytes2D, range: Range<usize>, lengths: &mut Vec<u8>) {
    // A column may be a view of longer bytes.
    let from = if range.start == 0 { 0 } else { text.ends[range.start - 1] };
    let ends = &text.ends[range];
    let data = &text.bytes[from as usize..ends.last().copied().unwrap_or(from) as usize];
    let mut before = from;
    let lens = ends.iter().map(|&end| u64::from(end - std::mem::replace(&mut before, end)));
    let lens = pack_varints(lengths, ends.len(), lens);
    begin_column(out, nulls, columns::TEXTS, bytes_field_len(lens) + bytes_field_len(data.len()));
    put_bytes_field(out, 1, &lengths[..lens]);
    put_bytes_field(out, 2, data);
}

fn put_integer_arrays(out: &mut Vec<u8>, nulls: &[u8], lengths: &[u8], values: &[u8]) {
    let len = bytes_field_len(lengths.len()) + bytes_field_len(values.len());
    begin_column(out, nulls, columns::INTEGER_ARRAYS, len);
    put_bytes_field(out, 1, lengths);
    put_bytes_field(out, 2, values);
}

/// The bitmap of these rows without trailing zero bytes.
fn put_null_bytes(out: &mut Vec<u8>, nulls: &NullMask, rows: Range<usize>) {
    out.clear();
    if nulls.is_empty() {
        return;
    }
    let part;
    let words = if rows.start == 0 {
        nulls.words()
    } else {
        part = nulls.slice(rows.clone());
        part.words()
    };
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    out.truncate(rows.len().div_ceil(8));
    if let (Some(last), rest @ 1..) = (out.get_mut(rows.len() / 8), rows.len() % 8) {
        *last &= (1 << rest) - 1; // the mask goes on behind these rows
    }
    while out.last() == Some(&0) {
        out.pop();
    }
}
