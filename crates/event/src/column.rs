//! A column: the values of one field for all events of a block.

use bytes::Bytes;
use std::sync::Arc;

use crate::{FieldType, Value};

/// Values of variable length, one after the other: row `i` is `bytes[ends[i-1]..ends[i]]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bytes2D {
    /// End of each row's bytes, ascending.
    pub ends: Vec<u32>,
    /// The bytes of all rows.
    pub bytes: Bytes,
}

impl Bytes2D {
    /// The bytes of one row.
    #[inline]
    pub fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }
}

/// The values of a column by type. A null row holds a default (0, empty), which readers must not look at.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnData {
    /// 32-bit integers.
    Int32(Vec<i32>),
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// Doubles.
    Double(Vec<f64>),
    /// UTF-8 text; every row is valid UTF-8.
    String(Bytes2D),
    /// Seconds since the Unix epoch.
    Date(Vec<i64>),
    /// Microseconds since the Unix epoch.
    Stamp(Vec<i64>),
    /// Ten-thousandths.
    Money(Vec<i64>),
    /// Bytes.
    Blob(Bytes2D),
    /// Arrays of 32-bit integers.
    ArrayInt32(Vec<Arc<[i32]>>),
    /// Arrays of 64-bit integers.
    ArrayInt64(Vec<Arc<[i64]>>),
    /// Arrays of doubles.
    ArrayDouble(Vec<Arc<[f64]>>),
}

/// Which rows of a column are null; bit `i % 64` of word `i / 64` set means null. Empty means no nulls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NullMask {
    words: Vec<u64>,
}

impl NullMask {
    /// A mask of these words; trailing words may be missing (no nulls there).
    pub fn from_words(mut words: Vec<u64>) -> NullMask {
        // without trailing zeros equal masks have equal words
        while words.last() == Some(&0) {
            words.pop();
        }
        NullMask { words }
    }

    /// The words; empty when nothing is null.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// True when no row is null.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Marks a row as null.
    #[inline]
    pub fn set(&mut self, row: usize) {
        let word = row / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
    }

    /// Calls `row` with every row that is null.
    #[inline]
    pub fn each(&self, mut row: impl FnMut(usize)) {
        for (at, &word) in self.words.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                row(at * 64 + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }

    /// Forgets all rows but the first ones.
    pub fn truncate(&mut self, rows: usize) {
        if self.words.len() * 64 > rows {
            self.words.truncate(rows.div_ceil(64));
            if let (Some(last), rest @ 1..) = (self.words.get_mut(rows / 64), rows % 64) {
                *last &= (1 << rest) - 1;
            }
            while self.words.last() == Some(&0) {
                self.words.pop();
            }
        }
    }

    /// True when the row is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// The values of one field for all events of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The values.
    pub data: ColumnData,
    /// Which of them are null.
    pub nulls: NullMask,
}

impl Column {
    /// A column without nulls.
    pub fn new(data: ColumnData) -> Column {
        Column { data, nulls: NullMask::default() }
    }

    /// Number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.data {
            ColumnData::Int32(v) => v.len(),
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => v.len(),
            ColumnData::Double(v) => v.len(),
            ColumnData::String(v) | ColumnData::Blob(v) => v.ends.len(),
            ColumnData::ArrayInt32(v) => v.len(),
            ColumnData::ArrayInt64(v) => v.len(),
            ColumnData::ArrayDouble(v) => v.len(),
        }
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn field_type(&self) -> FieldType {
        match &self.data {
            ColumnData::Int32(_) => FieldType::Int32,
            ColumnData::Int64(_) => FieldType::Int64,
            ColumnData::Double(_) => FieldType::Double,
            ColumnData::String(_) => FieldType::String,
            ColumnData::Date(_) => FieldType::Date,
            ColumnData::Stamp(_) => FieldType::Stamp,
            ColumnData::Money(_) => FieldType::Money,
            ColumnData::Blob(_) => FieldType::Blob,
            ColumnData::ArrayInt32(_) => FieldType::ArrayInt32,
            ColumnData::ArrayInt64(_) => FieldType::ArrayInt64,
            ColumnData::ArrayDouble(_) => FieldType::ArrayDouble,
        }
    }

    /// True when the row is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.is_null(row)
    }

    /// The text of a row of a string column; empty for other types and for null.
    pub fn str(&self, row: usize) -> &str {
        match &self.data {
            ColumnData::String(text) if !self.is_null(row) => std::str::from_utf8(text.row(row)).unwrap_or_default(),
            _ => "",
        }
    }

    /// One row as a value.
    #[inline]
    pub fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match &self.data {
            ColumnData::Int32(v) => Value::Int32(v[row]),
            ColumnData::Int64(v) => Value::Int64(v[row]),
            ColumnData::Double(v) => Value::Double(v[row]),
            ColumnData::String(_) => Value::String(self.str(row).into()),
            ColumnData::Date(v) => Value::Date(v[row]),
            ColumnData::Stamp(v) => Value::Stamp(v[row]),
            ColumnData::Money(v) => Value::Money(v[row]),
            ColumnData::Blob(v) => Value::Blob(Bytes::copy_from_slice(v.row(row))),
            ColumnData::ArrayInt32(v) => Value::ArrayInt32(v[row].clone()),
            ColumnData::ArrayInt64(v) => Value::ArrayInt64(v[row].clone()),
            ColumnData::ArrayDouble(v) => Value::ArrayDouble(v[row].clone()),
        }
    }
}

/// Builds a column value by value.
#[derive(Debug, Clone)]
pub struct ColumnBuilder {
    pub(crate) data: BuilderData,
    pub(crate) nulls: NullMask,
    pub(crate) rows: usize,
}

/// The values so far; the decoder of blocks appends to them column by column.
#[derive(Debug, Clone)]
pub(crate) enum BuilderData {
    Fixed(ColumnData),
    Text { ends: Vec<u32>, bytes: Vec<u8>, blob: bool },
}

impl ColumnBuilder {
    /// An empty builder with room for `rows`.
    pub fn new(ty: FieldType, rows: usize) -> ColumnBuilder {
        let text = |blob| BuilderData::Text { ends: Vec::with_capacity(rows), bytes: Vec::new(), blob };
        let data = match ty {
            FieldType::Int32 => BuilderData::Fixed(ColumnData::Int32(Vec::with_capacity(rows))),
            FieldType::Int64 => BuilderData::Fixed(ColumnData::Int64(Vec::with_capacity(rows))),
            FieldType::Double => BuilderData::Fixed(ColumnData::Double(Vec::with_capacity(rows))),
            FieldType::Date => BuilderData::Fixed(ColumnData::Date(Vec::with_capacity(rows))),
            FieldType::Stamp => BuilderData::Fixed(ColumnData::Stamp(Vec::with_capacity(rows))),
            FieldType::Money => BuilderData::Fixed(ColumnData::Money(Vec::with_capacity(rows))),
            FieldType::String => text(false),
            FieldType::Blob => text(true),
            FieldType::ArrayInt32 => BuilderData::Fixed(ColumnData::ArrayInt32(Vec::with_capacity(rows))),
            FieldType::ArrayInt64 => BuilderData::Fixed(ColumnData::ArrayInt64(Vec::with_capacity(rows))),
            FieldType::ArrayDouble => BuilderData::Fixed(ColumnData::ArrayDouble(Vec::with_capacity(rows))),
        };
        ColumnBuilder { data, nulls: NullMask::default(), rows: 0 }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a null.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.set(self.rows);
        self.rows += 1;
        match &mut self.data {
            BuilderData::Text { ends, bytes, .. } => ends.push(bytes.len() as u32),
            BuilderData::Fixed(data) => match data {
                ColumnData::Int32(v) => v.push(0),
                ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => v.push(0),
                ColumnData::Double(v) => v.push(0.0),
                ColumnData::ArrayInt32(v) => v.push(Arc::from([])),
                ColumnData::ArrayInt64(v) => v.push(Arc::from([])),
                ColumnData::ArrayDouble(v) => v.push(Arc::from([])),
                ColumnData::String(_) | ColumnData::Blob(_) => {
                    unreachable!("text is built in BuilderData::Text")
                }
            },
        }
    }

    /// Adds an integer to an int32, int64, date, stamp or money column; false when the type differs or it does not fit.
    #[inline]
    pub fn push_i64(&mut self, value: i64) -> bool {
        let BuilderData::Fixed(data) = &mut self.data else {
            return false;
        };
        match data {
            ColumnData::Int32(v) => match i32::try_from(value) {
                Ok(value) => v.push(value),
                Err(_) => return false,
            },
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => v.push(value),
            _ => return false,
        }
        self.rows += 1;
        true
    }

    /// Adds a double; false when the column is not of doubles.
    #[inline]
    pub fn push_f64(&mut self, value: f64) -> bool {
        let BuilderData::Fixed(ColumnData::Double(v)) = &mut self.data else {
            return false;
        };
        v.push(value);
        self.rows += 1;
        true
    }

    /// Adds text; false when the column is not of text.
    pub fn push_str(&mut self, value: &str) -> bool {
        matches!(self.data, BuilderData::Text { blob: false, .. }) && self.push_bytes(value.as_bytes())
    }

    fn push_bytes(&mut self, value: &[u8]) -> bool {
        let BuilderData::Text { ends, bytes, .. } = &mut self.data else {
            return false;
        };
        bytes.extend_from_slice(value);
        ends.push(bytes.len() as u32);
        self.rows += 1;
        true
    }

    /// Adds a value; false when its type is not the column's.
    #[inline]
    pub fn push(&mut self, value: &Value) -> bool {
        match (value, &mut self.data) {
            (Value::Null, _) => {
                self.push_null();
                return true;
            }
            (Value::Int32(x), BuilderData::Fixed(ColumnData::Int32(v))) => v.push(*x),
            (Value::Int64(x), BuilderData::Fixed(ColumnData::Int64(v)))
            | (Value::Date(x), BuilderData::Fixed(ColumnData::Date(v)))
            | (Value::Stamp(x), BuilderData::Fixed(ColumnData::Stamp(v)))
            | (Value::Money(x), BuilderData::Fixed(ColumnData::Money(v))) => v.push(*x),
            (Value::Double(x), BuilderData::Fixed(ColumnData::Double(v))) => v.push(*x),
            (Value::ArrayInt32(x), BuilderData::Fixed(ColumnData::ArrayInt32(v))) => v.push(x.clone()),
            (Value::ArrayInt64(x), BuilderData::Fixed(ColumnData::ArrayInt64(v))) => v.push(x.clone()),
            (Value::ArrayDouble(x), BuilderData::Fixed(ColumnData::ArrayDouble(v))) => v.push(x.clone()),
            (Value::String(x), BuilderData::Text { blob: false, .. }) => {
                return self.push_bytes(x.as_bytes());
            }
            (Value::Blob(x), BuilderData::Text { blob: true, .. }) => return self.push_bytes(x),
            _ => return false,
        }
        self.rows += 1;
        true
    }

    /// Forgets all rows but the first ones.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.data {
            BuilderData::Text { ends, bytes, .. } => {
                ends.truncate(rows);
                bytes.truncate(ends.last().map_or(0, |&end| end as usize));
            }
            BuilderData::Fixed(data) => match data {
                ColumnData::Int32(v) => v.truncate(rows),
                ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
                    v.truncate(rows);
                }
                ColumnData::Double(v) => v.truncate(rows),
                ColumnData::ArrayInt32(v) => v.truncate(rows),
                ColumnData::ArrayInt64(v) => v.truncate(rows),
                ColumnData::ArrayDouble(v) => v.truncate(rows),
                ColumnData::String(_) | ColumnData::Blob(_) => {
                    unreachable!("text is built in BuilderData::Text")
                }
            },
        }
        self.nulls.truncate(rows);
        self.rows = self.rows.min(rows);
    }

    /// The finished column.
    pub fn finish(self) -> Column {
        let data = match self.data {
            BuilderData::Fixed(data) => data,
            BuilderData::Text { ends, bytes, blob } => {
                let text = Bytes2D { ends, bytes: bytes.into() };
                if blob { ColumnData::Blob(text) } else { ColumnData::String(text) }
            }
        };
        Column { data, nulls: self.nulls }
    }
}
