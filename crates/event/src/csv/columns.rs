//! The block under construction: plain vectors that a line pushes to, and that forget a line which turns out bad.

use std::sync::Arc;

use crate::{Block, Bytes2D, Column, ColumnData, FieldType, Flags, NullMask, Opcode, Schema};

/// Rows for which room is made at first; blocks may be configured far longer than what arrives.
const ROWS_AT_FIRST: usize = 4096;

/// The values of one field.
#[derive(Debug)]
pub(super) struct CsvColumn {
    pub values: Values,
    pub nulls: NullMask,
}

/// The values by type.
#[derive(Debug)]
pub(super) enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Double(Vec<f64>),
    String(Texts),
    Blob(Texts),
    Date(Vec<i64>),
    Stamp(Vec<i64>),
    Money(Vec<i64>),
    ArrayInt32(Vec<Arc<[i32]>>),
    ArrayInt64(Vec<Arc<[i64]>>),
    ArrayDouble(Vec<Arc<[f64]>>),
}

/// Text under construction.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub ends: Vec<u32>,
    pub bytes: Vec<u8>,
}

impl Texts {
    /// Ends a row at what was pushed; the length fits, since a block's text is limited.
    #[inline]
    pub(super) fn end_row(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }
}

/// The events of the block under construction.
#[derive(Debug)]
pub(super) struct Columns {
    pub columns: Vec<CsvColumn>,
    pub opcodes: Vec<Opcode>,
    pub flags: Vec<Flags>,
}

impl CsvColumn {
    /// No rows yet.
    pub(super) fn new(ty: FieldType, rows: usize, text_bytes: usize) -> CsvColumn {
        let texts = || Texts { ends: Vec::with_capacity(rows), bytes: Vec::with_capacity(text_bytes) };
        let values = match ty {
            FieldType::Int32 => Values::Int32(Vec::with_capacity(rows)),
            FieldType::Int64 => Values::Int64(Vec::with_capacity(rows)),
            FieldType::Double => Values::Double(Vec::with_capacity(rows)),
            FieldType::String => Values::String(texts()),
            FieldType::Blob => Values::Blob(texts()),
            FieldType::Date => Values::Date(Vec::with_capacity(rows)),
            FieldType::Stamp => Values::Stamp(Vec::with_capacity(rows)),
            FieldType::Money => Values::Money(Vec::with_capacity(rows)),
            FieldType::ArrayInt32 => Values::ArrayInt32(Vec::with_capacity(rows)),
            FieldType::ArrayInt64 => Values::ArrayInt64(Vec::with_capacity(rows)),
            FieldType::ArrayDouble => Values::ArrayDouble(Vec::with_capacity(rows)),
        };
        CsvColumn { values, nulls: NullMask::default() }
    }

    /// Adds a null as row `row`.
    pub(super) fn push_null(&mut self, row: usize) {
        self.nulls.set(row);
        match &mut self.values {
            Values::Int32(v) => v.push(0),
            Values::Int64(v) | Values::Date(v) | Values::Stamp(v) | Values::Money(v) => v.push(0),
            Values::Double(v) => v.push(0.0),
            Values::String(v) | Values::Blob(v) => v.end_row(),
            Values::ArrayInt32(v) => v.push(Arc::from([])),
            Values::ArrayInt64(v) => v.push(Arc::from([])),
            Values::ArrayDouble(v) => v.push(Arc::from([])),
        }
    }

    fn truncate(&mut self, rows: usize) {
        if !self.nulls.is_empty() {
            self.nulls = self.nulls.slice(0..rows);
        }
        match &mut self.values {
            Values::Int32(v) => v.truncate(rows),
            Values::Int64(v) | Values::Date(v) | Values::Stamp(v) | Values::Money(v) => v.truncate(rows),
            Values::Double(v) => v.truncate(rows),
            Values::String(v) | Values::Blob(v) => {
                v.ends.truncate(rows);
                v.bytes.truncate(v.ends.last().copied().unwrap_or(0) as usize);
            }
            Values::ArrayInt32(v) => v.truncate(rows),
            Values::ArrayInt64(v) => v.truncate(rows),
            Values::ArrayDouble(v) => v.truncate(rows),
        }
    }

    fn text_len(&self) -> usize {
        match &self.values {
            Values::String(texts) | Values::Blob(texts) => texts.bytes.len(),
            _ => 0,
        }
    }

    /// The finished column.
    pub(super) fn finish(self) -> Column {
        let texts = |texts: Texts| Bytes2D { ends: texts.ends, bytes: texts.bytes.into() };
        let data = match self.values {
            Values::Int32(v) => ColumnData::Int32(v),
            Values::Int64(v) => ColumnData::Int64(v),
            Values::Double(v) => ColumnData::Double(v),
            Values::String(v) => ColumnData::String(texts(v)),
            Values::Blob(v) => ColumnData::Blob(texts(v)),
            Values::Date(v) => ColumnData::Date(v),
            Values::Stamp(v) => ColumnData::Stamp(v),
            Values::Money(v) => ColumnData::Money(v),
            Values::ArrayInt32(v) => ColumnData::ArrayInt32(v),
            Values::ArrayInt64(v) => ColumnData::ArrayInt64(v),
            Values::ArrayDouble(v) => ColumnData::ArrayDouble(v),
        };
        Column { data, nulls: self.nulls }
    }
}

impl Columns {
    /// No events yet, of this schema.
    pub(super) fn new(schema: &Schema) -> Columns {
        let columns = schema.fields().iter().map(|field| CsvColumn::new(field.ty, 0, 0)).collect();
        Columns { columns, opcodes: Vec::new(), flags: Vec::new() }
    }

    /// Number of complete events.
    pub(super) fn len(&self) -> usize {
        self.opcodes.len()
    }

    /// Forgets what an incomplete event has pushed.
    pub(super) fn roll_back(&mut self) {
        let rows = self.flags.len().min(self.opcodes.len());
        for column in &mut self.columns {
            column.truncate(rows);
        }
    }

    /// The block of all events; makes room for another of about the same size.
    pub(super) fn take(&mut self, schema: &Arc<Schema>) -> Block {
        let rows = self.len().min(ROWS_AT_FIRST);
        let columns = self.columns.iter_mut().zip(schema.fields()).map(|(column, field)| {
            // an eighth of reserve, so that the next block's text usually fits
            let text = column.text_len() / 8 * 9;
            Arc::new(std::mem::replace(column, CsvColumn::new(field.ty, rows, text)).finish())
        });
        let columns = columns.collect();
        let opcodes = std::mem::replace(&mut self.opcodes, Vec::with_capacity(rows));
        let flags = std::mem::replace(&mut self.flags, Vec::with_capacity(rows));
        Block::new(schema.clone(), opcodes, flags, columns)
    }
}
