//! One value of one field. For rows at the edge (CSV, keys, tests); blocks store columns instead.

use bytes::Bytes;
use std::sync::Arc;

use crate::FieldType;

/// What one unit of money is in the stored integer: four digits after the point.
pub const MONEY_SCALE: i64 = 10_000;

/// One value, or null.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// 32-bit signed integer.
    Int32(i32),
    /// 64-bit signed integer.
    Int64(i64),
    /// IEEE 754 double.
    Double(f64),
    /// UTF-8 text.
    String(Arc<str>),
    /// Seconds since the Unix epoch.
    Date(i64),
    /// Microseconds since the Unix epoch.
    Stamp(i64),
    /// Ten-thousandths of a unit ([`MONEY_SCALE`]).
    Money(i64),
    /// Bytes.
    Blob(Bytes),
    /// Array of 32-bit integers.
    ArrayInt32(Arc<[i32]>),
    /// Array of 64-bit integers.
    ArrayInt64(Arc<[i64]>),
    /// Array of doubles.
    ArrayDouble(Arc<[f64]>),
}

impl Value {
    /// True when there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The type of the value; `None` for null.
    pub fn field_type(&self) -> Option<FieldType> {
        Some(match self {
            Value::Null => return None,
            Value::Int32(_) => FieldType::Int32,
            Value::Int64(_) => FieldType::Int64,
            Value::Double(_) => FieldType::Double,
            Value::String(_) => FieldType::String,
            Value::Date(_) => FieldType::Date,
            Value::Stamp(_) => FieldType::Stamp,
            Value::Money(_) => FieldType::Money,
            Value::Blob(_) => FieldType::Blob,
            Value::ArrayInt32(_) => FieldType::ArrayInt32,
            Value::ArrayInt64(_) => FieldType::ArrayInt64,
            Value::ArrayDouble(_) => FieldType::ArrayDouble,
        })
    }
}
