//! Parts of blocks and columns: slices, chosen rows, and several put together.

use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::sync::Arc;

use crate::{Block, BlockKind, Bytes2D, Column, ColumnData, NullMask};

/// One expression for columns that are plain vectors, one for columns of texts.
macro_rules! map_data {
    ($data:expr, $values:ident => $plain:expr, $texts:ident => $text:expr) => {
        match $data {
            ColumnData::Int32($values) => ColumnData::Int32($plain),
            ColumnData::Int64($values) => ColumnData::Int64($plain),
            ColumnData::Double($values) => ColumnData::Double($plain),
            ColumnData::String($texts) => ColumnData::String($text),
            ColumnData::Date($values) => ColumnData::Date($plain),
            ColumnData::Stamp($values) => ColumnData::Stamp($plain),
            ColumnData::Money($values) => ColumnData::Money($plain),
            ColumnData::Blob($texts) => ColumnData::Blob($text),
            ColumnData::ArrayInt32($values) => ColumnData::ArrayInt32($plain),
            ColumnData::ArrayInt64($values) => ColumnData::ArrayInt64($plain),
            ColumnData::ArrayDouble($values) => ColumnData::ArrayDouble($plain),
        }
    };
}

impl Column {
    /// The rows of a range; text shares its bytes.
    ///
    /// # Panics
    /// When the range ends beyond the column.
    pub fn slice(&self, range: Range<usize>) -> Column {
        let data = map_data!(&self.data, v => v[range.clone()].to_vec(), t => t.slice(range.clone()));
        Column { data, nulls: self.nulls.slice(range) }
    }

    /// The rows at these positions, in this order.
    ///
    /// # Panics
    /// When a position lies beyond the column.
    pub fn gather(&self, rows: &[u32]) -> Column {
        let data = map_data!(
            &self.data,
            v => pick(v, rows),
            t => t.gather(rows)
        );
        Column { data, nulls: self.nulls.gather(rows) }
    }

    /// The rows of all columns, one column after the other.
    ///
    /// # Panics
    /// When there is no column, or when they differ in type, or when texts together exceed 4 GiB.
    pub fn concat(columns: &[&Column]) -> Column {
        let rows = columns.iter().map(|column| column.len()).sum();
        let first = columns.first().expect("at least one column is put together");
        macro_rules! join {
            ($kind:ident) => {{
                let mut all = Vec::with_capacity(rows);
                for column in columns {
                    match &column.data {
                        ColumnData::$kind(values) => all.extend_from_slice(values),
                        _ => panic!("a column of {} among {}", column.field_type(), first.field_type()),
                    }
                }
                ColumnData::$kind(all)
            }};
        }
        macro_rules! join_texts {
            ($kind:ident) => {{
                let parts = columns.iter().map(|column| match &column.data {
                    ColumnData::$kind(texts) => texts,
                    _ => panic!("a column of {} among {}", column.field_type(), first.field_type()),
                });
                ColumnData::$kind(Bytes2D::concat(&parts.collect::<Vec<_>>()))
            }};
        }
        let data = match &first.data {
            ColumnData::Int32(_) => join!(Int32),
            ColumnData::Int64(_) => join!(Int64),
            ColumnData::Double(_) => join!(Double),
            ColumnData::String(_) => join_texts!(String),
            ColumnData::Date(_) => join!(Date),
            ColumnData::Stamp(_) => join!(Stamp),
            ColumnData::Money(_) => join!(Money),
            ColumnData::Blob(_) => join_texts!(Blob),
            ColumnData::ArrayInt32(_) => join!(ArrayInt32),
            ColumnData::ArrayInt64(_) => join!(ArrayInt64),
            ColumnData::ArrayDouble(_) => join!(ArrayDouble),
        };
        let mut nulls = NullMask::default();
        let mut before = 0;
        for column in columns {
            nulls.append(&column.nulls, before);
            before += column.len();
        }
        Column { data, nulls }
    }
}

impl Bytes2D {
    fn slice(&self, range: Range<usize>) -> Bytes2D {
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        let ends: Vec<u32> = self.ends[range].iter().map(|end| end - start).collect();
        let len = ends.last().copied().unwrap_or(0) as usize;
        let bytes = if len == 0 { Bytes::new() } else { self.bytes.slice(start as usize..start as usize + len) };
        Bytes2D { ends, bytes }
    }

    fn gather(&self, rows: &[u32]) -> Bytes2D {
        let (mut starts, mut ends, mut len) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()), 0);
        for &row in rows {
            let start = if row == 0 { 0 } else { self.ends[row as usize - 1] };
            len += (self.ends[row as usize] - start) as usize;
            starts.push(start);
            ends.push(end_of(len));
        }
        let mut bytes = vec![0; len];
        let mut at = 0;
        for (&start, &end) in starts.iter().zip(&ends) {
            let to = end as usize;
            copy(&self.bytes, start as usize, &mut bytes, at..to);
            at = to;
        }
        Bytes2D { ends, bytes: bytes.into() }
    }

    /// Rows of several columns, in this order.
    ///
    /// # Panics
    /// When a position lies beyond its column, or when the texts together exceed 4 GiB.
    pub fn collect<'a>(rows: impl ExactSizeIterator<Item = (&'a Bytes2D, usize)> + Clone) -> Bytes2D {
        let mut ends = Vec::with_capacity(rows.len());
        let mut len = 0;
        for (texts, row) in rows.clone() {
            len += texts.row(row).len();
            ends.push(end_of(len));
        }
        let mut bytes = vec![0; len];
        let mut at = 0;
        for ((texts, row), &end) in rows.zip(&ends) {
            let (start, end) = (if row == 0 { 0 } else { texts.ends[row - 1] as usize }, end as usize);
            copy(&texts.bytes, start, &mut bytes, at..end);
            at = end;
        }
        Bytes2D { ends, bytes: bytes.into() }
    }

    fn concat(parts: &[&Bytes2D]) -> Bytes2D {
        let used = |part: &Bytes2D| part.ends.last().copied().unwrap_or(0) as usize;
        let mut bytes = BytesMut::with_capacity(parts.iter().map(|part| used(part)).sum());
        let mut ends = Vec::with_capacity(parts.iter().map(|part| part.ends.len()).sum());
        for part in parts {
            let before = bytes.len();
            bytes.extend_from_slice(&part.bytes[..used(part)]);
            ends.extend(part.ends.iter().map(|&end| end_of(before + end as usize)));
        }
        Bytes2D { ends, bytes: bytes.freeze() }
    }
}

/// Copies a text to its place; what stands behind it may be overwritten.
#[inline(always)]
fn copy(from: &[u8], start: usize, to: &mut [u8], place: Range<usize>) {
    // Most texts are short. A copy of fixed length is two instructions; what is too much is overwritten next.
    let short = if place.len() <= SHORT { from.get(start..start + SHORT) } else { None };
    match (short, to.get_mut(place.start..place.start + SHORT)) {
        (Some(from), Some(to)) => to.copy_from_slice(from),
        _ => to[place.clone()].copy_from_slice(&from[start..start + place.len()]),
    }
}

fn pick<T: Clone>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| values[row as usize].clone()).collect()
}

/// Bytes of a short text.
const SHORT: usize = 16;

fn end_of(len: usize) -> u32 {
    u32::try_from(len).expect("the texts of a column stay below 4 GiB")
}

impl NullMask {
    /// The part of the mask that belongs to these rows.
    pub fn slice(&self, range: Range<usize>) -> NullMask {
        if self.is_empty() || range.is_empty() {
            return NullMask::default();
        }
        let (skip, shift) = (range.start / 64, range.start % 64);
        let word = |i: usize| self.words().get(i).copied().unwrap_or(0);
        let mut words: Vec<u64> = (0..range.len().div_ceil(64))
            .map(|i| {
                let high = if shift == 0 { 0 } else { word(skip + i + 1) << (64 - shift) };
                word(skip + i) >> shift | high
            })
            .collect();
        let rest = range.len() % 64;
        if rest != 0 {
            *words.last_mut().expect("the range has rows") &= (1 << rest) - 1;
        }
        NullMask::from_words(words)
    }

    /// The part of the mask that belongs to the rows at these positions, in this order.
    fn gather(&self, rows: &[u32]) -> NullMask {
        if self.is_empty() {
            return NullMask::default();
        }
        let bit = |row: u32| self.words().get(row as usize / 64).map_or(0, |word| word >> (row % 64) & 1);
        let word = |rows: &[u32]| rows.iter().enumerate().fold(0, |word, (at, &row)| word | bit(row) << at);
        NullMask::from_words(rows.chunks(64).map(word).collect())
    }

    /// Adds the nulls of further rows, the first of which is row `before`.
    pub fn append(&mut self, other: &NullMask, before: usize) {
        other.each(|row| self.set(before + row));
    }
}

impl Block {
    /// The events of a range; text shares its bytes.
    ///
    /// # Panics
    /// When the range ends beyond the block.
    pub fn slice(&self, range: Range<usize>) -> Block {
        if range == (0..self.len()) {
            return self.clone();
        }
        let columns = self.columns.iter().map(|column| Arc::new(column.slice(range.clone()))).collect();
        Block {
            schema: self.schema.clone(),
            kind: self.kind,
            opcodes: self.opcodes[range.clone()].to_vec(),
            flags: self.flags[range].to_vec(),
            columns,
        }
    }

    /// The events at these positions, in this order.
    ///
    /// # Panics
    /// When a position lies beyond the block.
    pub fn gather(&self, rows: &[u32]) -> Block {
        Block {
            schema: self.schema.clone(),
            kind: self.kind,
            opcodes: rows.iter().map(|&row| self.opcodes[row as usize]).collect(),
            flags: rows.iter().map(|&row| self.flags[row as usize]).collect(),
            columns: self.columns.iter().map(|column| Arc::new(column.gather(rows))).collect(),
        }
    }

    /// The events of all blocks in order; transactional if one of them is.
    ///
    /// # Panics
    /// When there is no block, or when they differ in schema.
    pub fn concat(blocks: &[&Block]) -> Block {
        let first = *blocks.first().expect("at least one block is put together");
        if blocks.len() == 1 {
            return first.clone();
        }
        for block in blocks {
            assert!(
                Arc::ptr_eq(&block.schema, &first.schema) || block.schema == first.schema,
                "a block of {:?} among {:?}",
                block.schema,
                first.schema
            );
        }
        let columns = (0..first.columns.len()).map(|i| {
            let parts: Vec<&Column> = blocks.iter().map(|block| &*block.columns[i]).collect();
            Arc::new(Column::concat(&parts))
        });
        let transactional = blocks.iter().any(|block| block.kind == BlockKind::Transactional);
        Block {
            schema: first.schema.clone(),
            kind: if transactional { BlockKind::Transactional } else { BlockKind::Normal },
            columns: columns.collect(),
            opcodes: blocks.iter().flat_map(|block| block.opcodes.iter().copied()).collect(),
            flags: blocks.iter().flat_map(|block| block.flags.iter().copied()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Block;
    use crate::testing::any_block;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_have_the_rows_of_the_whole(block in any_block(200), a: prop::sample::Index, b: prop::sample::Index) {
            let (a, b) = (a.index(block.len() + 1), b.index(block.len() + 1));
            let range = a.min(b)..a.max(b);
            let rows: Vec<u32> = range.clone().map(|row| row as u32).collect();
            let slice = block.slice(range.clone());
            prop_assert_eq!(&slice, &block.gather(&rows));
            for (to, from) in range.clone().enumerate() {
                prop_assert_eq!(slice.row(to), block.row(from));
                prop_assert_eq!(slice.opcodes[to], block.opcodes[from]);
            }
            let (before, after) = (block.slice(0..range.start), block.slice(range.end..block.len()));
            prop_assert_eq!(Block::concat(&[&before, &slice, &after]), block);
        }
    }

    #[test]
    #[should_panic(expected = "a block of Schema(a*:int32) among Schema(a*:int64)")]
    fn blocks_of_two_schemas_are_not_put_together() {
        let empty = |text: &str| {
            let schema = std::sync::Arc::new(crate::Schema::parse(text).unwrap());
            let column = crate::ColumnBuilder::new(schema.fields()[0].ty, 0).finish();
            Block::new(schema, vec![], vec![], vec![column.into()])
        };
        Block::concat(&[&empty("a*:int64"), &empty("a*:int32")]);
    }
}
