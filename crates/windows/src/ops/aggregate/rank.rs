//! Values with an order, so that the largest, smallest and most frequent of many can be kept.

use std::cmp::Ordering;

use mesh_event::Value;

use crate::state::{Damage, Reader, State, Writer};

/// A value in the order: null, then by size; texts and blobs by bytes, arrays element by element, NaN behind numbers.
#[derive(Debug, Clone)]
pub(crate) struct Ranked(pub(crate) Value);

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        fn doubles(a: &[f64], b: &[f64]) -> Ordering {
            let differ = a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne());
            differ.unwrap_or(a.len().cmp(&b.len()))
        }
        match (&self.0, &other.0) {
            (Value::Int32(a), Value::Int32(b)) => a.cmp(b),
            (Value::Int64(a), Value::Int64(b))
            | (Value::Date(a), Value::Date(b))
            | (Value::Stamp(a), Value::Stamp(b))
            | (Value::Money(a), Value::Money(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
            (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
            (Value::ArrayInt32(a), Value::ArrayInt32(b)) => a.cmp(b),
            (Value::ArrayInt64(a), Value::ArrayInt64(b)) => a.cmp(b),
            (Value::ArrayDouble(a), Value::ArrayDouble(b)) => doubles(a, b),
            (a, b) => a.field_type().cmp(&b.field_type()),
        }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl State for Ranked {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.0);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Ranked(from.get()?))
    }
}
