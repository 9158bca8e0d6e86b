//! Values as texts, for functions that join them.

use mesh_event::{MONEY_SCALE, Value};

/// The shortest text of a value; empty for null.
pub(crate) fn text_of(value: &Value) -> String {
    fn list<T: ToString>(values: &[T]) -> String {
        format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(";"))
    }
    match value {
        Value::Null => String::new(),
        Value::Int32(x) => x.to_string(),
        Value::Int64(x) | Value::Date(x) | Value::Stamp(x) => x.to_string(),
        Value::Double(x) => x.to_string(),
        Value::String(x) => x.to_string(),
        Value::Money(x) => (*x as f64 / MONEY_SCALE as f64).to_string(),
        Value::Blob(x) => String::from_utf8_lossy(x).into_owned(),
        Value::ArrayInt32(x) => list(x),
        Value::ArrayInt64(x) => list(x),
        Value::ArrayDouble(x) => list(x),
    }
}
