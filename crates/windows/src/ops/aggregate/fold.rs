//! What an aggregate function keeps of a group, and how a row changes it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use mesh_event::{FieldType, MONEY_SCALE, Value};
use mesh_model::{AggregateCall, AggregateFunction};

use super::rank::Ranked;
use super::sum::Sum;
use crate::state::{Damage, Reader, Writer};

/// What a row does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It joins.
    Add,
    /// It leaves.
    Take,
}

/// What one function keeps of one group.
#[derive(Debug, Clone)]
pub(crate) enum Fold {
    /// Sum of integers, and how many there are.
    Integers { sum: i128, n: u64 },
    /// Sum, sum of squares, and how many there are.
    Reals { sum: Sum, squares: Sum, n: u64 },
    /// Sum of weights, sum of weighted values, and how many there are.
    Weighted { weights: Sum, products: Sum, n: u64 },
    /// A number of rows or events.
    Number(i64),
    /// The largest or smallest value where none ever leaves.
    Extreme(Value),
    /// Every value and how often it is there; with `by_count` also ordered by that.
    Values { counts: BTreeMap<Ranked, u64>, by_count: Option<BTreeSet<(u64, Reverse<Ranked>)>> },
    /// The last value.
    Last(Value),
    /// Nothing of its own: the group's rows in order tell.
    Rows,
}

impl Fold {
    /// `grows`: rows never leave.
    pub(crate) fn new(call: &AggregateCall, grows: bool) -> Fold {
        use AggregateFunction as F;
        match call.function {
            F::Sum if call.ty != FieldType::Double => Fold::Integers { sum: 0, n: 0 },
            F::Sum | F::Ave | F::Std => Fold::Reals { sum: Sum::default(), squares: Sum::default(), n: 0 },
            F::WAve => Fold::Weighted { weights: Sum::default(), products: Sum::default(), n: 0 },
            F::Count | F::CountOpcodes(_) | F::CountNonNull | F::CountNull | F::LastOpcode | F::Guid => Fold::Number(0),
            F::Max | F::Min if grows || call.period_us.is_some() => Fold::Extreme(Value::Null),
            F::Max | F::Min | F::CountDistinct => Fold::Values { counts: BTreeMap::new(), by_count: None },
            F::Mode => Fold::Values { counts: BTreeMap::new(), by_count: Some(BTreeSet::new()) },
            F::LastNonDelete => Fold::Last(Value::Null),
            F::First | F::Last | F::Lag(_) | F::Cat(_) => Fold::Rows,
        }
    }

    /// A row joins or leaves.
    pub(crate) fn change(&mut self, call: &AggregateCall, change: Change, value: &Value, weight: &Value) {
        let adds = change == Change::Add;
        match self {
            Fold::Integers { sum, n } => {
                if let Some(value) = integer(value) {
                    *sum += if adds { i128::from(value) } else { -i128::from(value) };
                    *n = if adds { *n + 1 } else { n.saturating_sub(1) };
                }
            }
            Fold::Reals { sum, squares, n } => {
                let Some(value) = real(value) else { return };
                let squared = call.function == AggregateFunction::Std;
                if adds {
                    sum.add(value);
                    *n += 1;
                } else {
                    sum.take(value);
                    *n = n.saturating_sub(1);
                }
                if squared {
                    squares.add_square(value, if adds { 1.0 } else { -1.0 });
                }
                if *n == 0 {
                    (*sum, *squares) = Default::default();
                }
            }
            Fold::Weighted { weights, products, n } => {
                let (Some(value), Some(weight)) = (real(value), real(weight)) else { return };
                if adds {
                    weights.add(weight);
                    products.add(weight * value);
                    *n += 1;
                } else {
                    weights.take(weight);
                    products.take(weight * value);
                    *n = n.saturating_sub(1);
                }
                if *n == 0 {
                    (*weights, *products) = Default::default();
                }
            }
            Fold::Number(n) => {
                let counts = match call.function {
                    AggregateFunction::Count => true,
                    AggregateFunction::CountNonNull => !value.is_null(),
                    AggregateFunction::CountNull => value.is_null(),
                    _ => false,
                };
                *n += if counts { if adds { 1 } else { -1 } } else { 0 };
            }
            Fold::Extreme(extreme) => {
                let better = match call.function {
                    AggregateFunction::Max => Ranked(value.clone()) > Ranked(extreme.clone()),
                    _ => Ranked(value.clone()) < Ranked(extreme.clone()),
                };
                if adds && !value.is_null() && (extreme.is_null() || better) {
                    *extreme = value.clone();
                }
            }
            Fold::Values { counts, by_count } => {
                if !value.is_null() {
                    recount(counts, by_count, &Ranked(value.clone()), adds);
                }
            }
            Fold::Last(last) => {
                if adds {
                    *last = value.clone();
                }
            }
            Fold::Rows => {}
        }
    }

    /// An event with this opcode number (insert 1, update 2, delete 3) changed the group.
    pub(crate) fn event(&mut self, call: &AggregateCall, opcode: i64) {
        if let Fold::Number(n) = self {
            match call.function {
                AggregateFunction::CountOpcodes(counted) if counted == opcode => *n += 1,
                AggregateFunction::LastOpcode => *n = opcode,
                _ => {}
            }
        }
    }

    /// The present value of the function, when it needs nothing but the fold.
    pub(crate) fn value(&self, call: &AggregateCall) -> Value {
        match self {
            Fold::Integers { n: 0, .. } | Fold::Reals { n: 0, .. } | Fold::Weighted { n: 0, .. } | Fold::Rows => {
                Value::Null
            }
            Fold::Integers { sum, .. } => match (i64::try_from(*sum), call.ty) {
                (Ok(sum), FieldType::Money) => Value::Money(sum),
                (Ok(sum), _) => Value::Int64(sum),
                (Err(_), _) => Value::Null,
            },
            Fold::Reals { sum, squares, n } => Value::Double(match call.function {
                AggregateFunction::Sum => sum.value(),
                AggregateFunction::Ave => sum.value() / *n as f64,
                _ if *n == 1 => 0.0,
                _ => (squares.css(sum, *n as f64) / (*n - 1) as f64).sqrt(),
            }),
            Fold::Weighted { weights, products, .. } => match products.value() / weights.value() {
                mean if mean.is_nan() => Value::Null,
                mean => Value::Double(mean),
            },
            Fold::Number(n) => Value::Int64(*n),
            Fold::Extreme(value) | Fold::Last(value) => value.clone(),
            Fold::Values { counts, by_count } => {
                let extreme = match call.function {
                    AggregateFunction::CountDistinct => return Value::Int64(counts.len() as i64),
                    AggregateFunction::Mode => {
                        by_count.as_ref().and_then(|by_count| by_count.last().map(|(_, Reverse(v))| v))
                    }
                    AggregateFunction::Max => counts.last_key_value().map(|(value, _)| value),
                    _ => counts.first_key_value().map(|(value, _)| value),
                };
                extreme.map_or(Value::Null, |value| value.0.clone())
            }
        }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        match self {
            Fold::Integers { sum, n } => to.put(&(*sum, *n)),
            Fold::Reals { sum, squares, n } => to.put(&(*sum, *squares, *n)),
            Fold::Weighted { weights, products, n } => to.put(&(*weights, *products, *n)),
            Fold::Number(n) => to.put(n),
            Fold::Extreme(value) | Fold::Last(value) => to.put(value),
            Fold::Values { counts, .. } => to.put(counts),
            Fold::Rows => {}
        }
    }

    /// Takes what [`Fold::save`] wrote of a fold of the same call.
    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match self {
            Fold::Integers { sum, n } => (*sum, *n) = from.get()?,
            Fold::Reals { sum, squares, n } => (*sum, *squares, *n) = from.get()?,
            Fold::Weighted { weights, products, n } => (*weights, *products, *n) = from.get()?,
            Fold::Number(n) => *n = from.get()?,
            Fold::Extreme(value) | Fold::Last(value) => *value = from.get()?,
            Fold::Values { counts, by_count } => {
                *counts = from.get()?;
                if let Some(by_count) = by_count {
                    by_count.extend(counts.iter().map(|(value, count)| (*count, Reverse(value.clone()))));
                }
            }
            Fold::Rows => {}
        }
        Ok(())
    }
}

fn recount(
    counts: &mut BTreeMap<Ranked, u64>,
    by_count: &mut Option<BTreeSet<(u64, Reverse<Ranked>)>>,
    value: &Ranked,
    adds: bool,
) {
    let before = counts.get(value).copied().unwrap_or(0);
    let after = if adds { before + 1 } else { before.saturating_sub(1) };
    if after == 0 {
        counts.remove(value);
    } else {
        counts.insert(value.clone(), after);
    }
    if let Some(by_count) = by_count {
        by_count.remove(&(before, Reverse(value.clone())));
        if after > 0 {
            by_count.insert((after, Reverse(value.clone())));
        }
    }
}

/// A number as an integer; money in its own unit.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int32(x) => Some(i64::from(*x)),
        Value::Int64(x) | Value::Money(x) => Some(*x),
        _ => None,
    }
}

/// A number as a double.
fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Int32(x) => Some(f64::from(*x)),
        Value::Int64(x) => Some(*x as f64),
        Value::Money(x) => Some(*x as f64 / MONEY_SCALE as f64),
        Value::Double(x) => Some(*x),
        _ => None,
    }
}

/// True for equal values, and for equal numbers of different types.
pub(crate) fn same_number(a: &Value, b: &Value) -> bool {
    match (real(a), real(b)) {
        (Some(x), Some(y)) if a.field_type() != b.field_type() => x == y,
        _ => Ranked(a.clone()) == Ranked(b.clone()),
    }
}
