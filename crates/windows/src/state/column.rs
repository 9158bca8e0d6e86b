//! Rows, column by column, in batches of a fixed size: the same bytes however the rows were held.

use std::sync::Arc;

use mesh_event::{Bytes2D, Column, ColumnData, FieldType, NullMask, Schema};

use super::{Damage, Reader, State, Writer};
use crate::columns::{self, RowRef};

/// Rows of a batch.
const BATCH: usize = 1024;

/// Saves the rows that `refs` name.
pub(crate) fn save_rows(to: &mut Writer<'_>, sources: &[&[Arc<Column>]], refs: &[RowRef], fields: usize) {
    to.length(refs.len());
    for batch in refs.chunks(BATCH) {
        for field in 0..fields {
            let parts: Vec<&Column> = sources.iter().map(|columns| &*columns[field]).collect();
            save_column(to, &columns::gather(&parts, batch));
        }
    }
}

/// Columns and the number of their rows.
type Batch = (Vec<Arc<Column>>, usize);

/// The rows of [`save_rows`], batch by batch.
pub(crate) struct RowBatches {
    left: usize,
}

impl RowBatches {
    pub(crate) fn load(from: &mut Reader<'_>) -> Result<RowBatches, Damage> {
        Ok(RowBatches { left: from.length()?.0 })
    }

    /// The next batch.
    pub(crate) fn next(&mut self, from: &mut Reader<'_>, schema: &Schema) -> Result<Option<Batch>, Damage> {
        if self.left == 0 {
            return Ok(None);
        }
        let rows = self.left.min(BATCH);
        self.left -= rows;
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(Arc::new(load_column(from, field.ty, rows)?));
        }
        Ok(Some((columns, rows)))
    }
}

/// What stands under a null is not state: a default is written.
fn save_column(to: &mut Writer<'_>, column: &Column) {
    let nulls = &column.nulls;
    to.put(&!nulls.is_empty());
    if !nulls.is_empty() {
        let words = column.len().div_ceil(64);
        (0..words).for_each(|word| to.put(&nulls.words().get(word).copied().unwrap_or(0)));
    }
    let or_default = |row: usize| !nulls.is_null(row);
    macro_rules! fixed {
        ($values:expr) => {
            for (row, value) in $values.iter().enumerate() {
                to.put(&if or_default(row) { *value } else { Default::default() });
            }
        };
    }
    macro_rules! arrays {
        ($values:expr) => {
            for (row, value) in $values.iter().enumerate() {
                let value = if or_default(row) { &value[..] } else { &[] };
                to.length(value.len());
                value.iter().for_each(|element| to.put(element));
            }
        };
    }
    match &column.data {
        ColumnData::Int32(v) => fixed!(v),
        ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => fixed!(v),
        ColumnData::Double(v) => fixed!(v),
        ColumnData::String(v) | ColumnData::Blob(v) => {
            for row in 0..v.ends.len() {
                let text = if or_default(row) { v.row(row) } else { &[] };
                to.put(&(text.len() as u32));
                to.bytes(text);
            }
        }
        ColumnData::ArrayInt32(v) => arrays!(v),
        ColumnData::ArrayInt64(v) => arrays!(v),
        ColumnData::ArrayDouble(v) => arrays!(v),
    }
}

fn load_column(from: &mut Reader<'_>, ty: FieldType, rows: usize) -> Result<Column, Damage> {
    let nulls = if from.get()? { load_nulls(from, rows)? } else { NullMask::default() };
    fn fixed<T: State>(from: &mut Reader<'_>, rows: usize) -> Result<Vec<T>, Damage> {
        (0..rows).map(|_| from.get()).collect()
    }
    fn arrays<T: State>(from: &mut Reader<'_>, rows: usize) -> Result<Vec<Arc<[T]>>, Damage> {
        (0..rows).map(|_| Ok(from.get::<Vec<T>>()?.into())).collect()
    }
    let data = match ty {
        FieldType::Int32 => ColumnData::Int32(fixed(from, rows)?),
        FieldType::Int64 => ColumnData::Int64(fixed(from, rows)?),
        FieldType::Double => ColumnData::Double(fixed(from, rows)?),
        FieldType::Date => ColumnData::Date(fixed(from, rows)?),
        FieldType::Stamp => ColumnData::Stamp(fixed(from, rows)?),
        FieldType::Money => ColumnData::Money(fixed(from, rows)?),
        FieldType::String => ColumnData::String(load_texts(from, rows, true)?),
        FieldType::Blob => ColumnData::Blob(load_texts(from, rows, false)?),
        FieldType::ArrayInt32 => ColumnData::ArrayInt32(arrays(from, rows)?),
        FieldType::ArrayInt64 => ColumnData::ArrayInt64(arrays(from, rows)?),
        FieldType::ArrayDouble => ColumnData::ArrayDouble(arrays(from, rows)?),
    };
    Ok(Column { data, nulls })
}

fn load_nulls(from: &mut Reader<'_>, rows: usize) -> Result<NullMask, Damage> {
    let words: Vec<u64> = (0..rows.div_ceil(64)).map(|_| from.get()).collect::<Result<_, _>>()?;
    let beyond = if rows.is_multiple_of(64) { 0 } else { u64::MAX << (rows % 64) };
    match words.last() {
        Some(last) if last & beyond != 0 => Err(Damage::Broken("a null mask has more bits than there are rows")),
        _ if words.iter().all(|word| *word == 0) => Err(Damage::Broken("a null mask has no bit set")),
        _ => Ok(NullMask::from_words(words)),
    }
}

fn load_texts(from: &mut Reader<'_>, rows: usize, utf8: bool) -> Result<Bytes2D, Damage> {
    let (mut ends, mut bytes) = (Vec::with_capacity(rows), Vec::new());
    for _ in 0..rows {
        let length = from.get::<u32>()? as usize;
        let text = from.bytes(length)?;
        if utf8 && std::str::from_utf8(&text).is_err() {
            return Err(Damage::Broken("a text is not UTF-8"));
        }
        bytes.extend_from_slice(&text);
        ends.push(u32::try_from(bytes.len()).map_err(|_| Damage::Broken("the texts of a batch exceed 4 GiB"))?);
    }
    Ok(Bytes2D { ends, bytes: bytes.into() })
}
