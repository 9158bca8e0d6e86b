//! What an aggregate function keeps of a group, and how a row changes it.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use mesh_event::{Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Value};
use mesh_model::{AggregateCall, AggregateFunction};

use super::counts::{self, Counts};
use super::rank::Ranked;
use super::sum::Sum;
use crate::columns;
use crate::state::{Damage, Reader, Writer};

/// What a row does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It joins.
    Add,
    /// It leaves.
    Take,
}

/// A value of a row.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub column: &'a Column,
    pub row: usize,
}

impl Cell<'_> {
    #[inline]
    pub(crate) fn is_null(&self) -> bool {
        self.column.is_null(self.row)
    }

    /// A number as a double.
    #[inline]
    fn real(&self) -> Option<f64> {
        columns::number(self.column, self.row)
    }

    /// A number as an integer; money in its own unit.
    #[inline]
    fn integer(&self) -> Option<i64> {
        match &self.column.data {
            _ if self.is_null() => None,
            ColumnData::Int32(v) => Some(i64::from(v[self.row])),
            ColumnData::Int64(v) | ColumnData::Money(v) => Some(v[self.row]),
            _ => None,
        }
    }

    pub(crate) fn value(&self) -> Value {
        self.column.value(self.row)
    }

    /// How the value, not null, stands to another of its type.
    fn ranks(&self, other: &Value) -> Ordering {
        match (&self.column.data, other) {
            (ColumnData::Double(v), Value::Double(x)) => v[self.row].total_cmp(x),
            (ColumnData::Int64(v), Value::Int64(x)) | (ColumnData::Stamp(v), Value::Stamp(x)) => v[self.row].cmp(x),
            _ => Ranked(self.value()).cmp(&Ranked(other.clone())),
        }
    }
}

/// What one function keeps of one group.
#[derive(Debug, Clone)]
pub(crate) enum Fold {
    /// Sum of integers, and how many there are.
    Integers { sum: i128, n: u64 },
    /// Sum, and how many there are.
    Reals { sum: Sum, n: u64 },
    /// Sum, sum of squares, and how many there are.
    Spread { sums: Box<(Sum, Sum)>, n: u64 },
    /// Sum of weights, sum of weighted values, and how many there are.
    Weighted { sums: Box<(Sum, Sum)>, n: u64 },
    /// A number of rows or events.
    Number(i64),
    /// The largest or smallest value where none ever leaves.
    Extreme(Value),
    /// Every number or time, by its rank, and how often it is there.
    Numbers { counts: Counts<u64>, ty: FieldType },
    /// Every value and how often it is there; with `by_count` also ordered by that.
    Values { counts: Counts<Ranked>, by_count: Option<BTreeSet<(u64, Reverse<Ranked>)>> },
    /// The last value.
    Last(Value),
    /// Nothing of its own: the group's rows in order tell.
    Rows,
}

impl Fold {
    /// `grows`: rows never leave; `ty`: that of the argument.
    pub(crate) fn new(call: &AggregateCall, grows: bool, ty: Option<FieldType>) -> Fold {
        use AggregateFunction as F;
        match call.function {
            F::Sum if call.ty != FieldType::Double => Fold::Integers { sum: 0, n: 0 },
            F::Sum | F::Ave => Fold::Reals { sum: Sum::default(), n: 0 },
            F::Std => Fold::Spread { sums: Box::default(), n: 0 },
            F::WAve => Fold::Weighted { sums: Box::default(), n: 0 },
            F::Count | F::CountOpcodes(_) | F::CountNonNull | F::CountNull | F::LastOpcode | F::Guid => Fold::Number(0),
            F::Max | F::Min if grows || call.period_us.is_some() => Fold::Extreme(Value::Null),
            F::Max | F::Min | F::CountDistinct => match ty.filter(|&ty| counts::has_rank(ty)) {
                Some(ty) => Fold::Numbers { counts: Counts::default(), ty },
                None => Fold::Values { counts: Counts::default(), by_count: None },
            },
            F::Mode => Fold::Values { counts: Counts::default(), by_count: Some(BTreeSet::new()) },
            F::LastNonDelete => Fold::Last(Value::Null),
            F::First | F::Last | F::Lag(_) | F::Cat(_) => Fold::Rows,
        }
    }

    /// A row joins or leaves.
    pub(crate) fn change(
        &mut self,
        call: &AggregateCall,
        change: Change,
        value: Option<Cell<'_>>,
        weight: Option<Cell<'_>>,
    ) {
        let adds = change == Change::Add;
        match self {
            Fold::Integers { sum, n } => {
                if let Some(value) = value.and_then(|value| value.integer()) {
                    *sum += if adds { i128::from(value) } else { -i128::from(value) };
                    *n = if adds { *n + 1 } else { n.saturating_sub(1) };
                }
            }
            Fold::Reals { sum, n } => {
                if let Some(value) = value.and_then(|value| value.real()) {
                    sum.count(n, value, adds);
                }
            }
            Fold::Spread { sums, n } => {
                let Some(value) = value.and_then(|value| value.real()) else { return };
                let (sum, squares) = &mut **sums;
                squares.add_square(value, if adds { 1.0 } else { -1.0 });
                sum.count(n, value, adds);
                if *n == 0 {
                    *squares = Sum::default();
                }
            }
            Fold::Weighted { sums, n } => {
                let real = |cell: Option<Cell<'_>>| cell.and_then(|cell| cell.real());
                let (Some(value), Some(weight)) = (real(value), real(weight)) else { return };
                let (weights, products) = &mut **sums;
                let mut both = *n;
                weights.count(&mut both, weight, adds);
                products.count(n, weight * value, adds);
            }
            Fold::Number(n) => {
                let counts = match call.function {
                    AggregateFunction::Count => true,
                    AggregateFunction::CountNonNull => value.is_some_and(|value| !value.is_null()),
                    AggregateFunction::CountNull => value.is_none_or(|value| value.is_null()),
                    _ => false,
                };
                *n += if counts { if adds { 1 } else { -1 } } else { 0 };
            }
            Fold::Extreme(extreme) => {
                let Some(value) = value.filter(|value| adds && !value.is_null()) else { return };
                let better = match call.function {
                    AggregateFunction::Max => Ordering::Greater,
                    _ => Ordering::Less,
                };
                if extreme.is_null() || value.ranks(extreme) == better {
                    *extreme = value.value();
                }
            }
            Fold::Numbers { counts, .. } => {
                let Some(rank) = value.and_then(counts::rank) else { return };
                if adds {
                    counts.add(rank);
                } else {
                    counts.take(&rank);
                }
            }
            Fold::Values { counts, by_count } => {
                if let Some(value) = value.filter(|value| !value.is_null()) {
                    recount(counts, by_count, Ranked(value.value()), adds);
                }
            }
            Fold::Last(last) => {
                if adds {
                    *last = value.map_or(Value::Null, |value| value.value());
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

    /// Adds the present value of the function, when it needs nothing but the fold, to a column.
    pub(crate) fn put(&self, call: &AggregateCall, into: &mut ColumnBuilder) {
        let done = match self {
            Fold::Number(n) => into.push_i64(*n),
            Fold::Reals { sum, n: 1.., .. } if call.function == AggregateFunction::Sum => into.push_f64(sum.value()),
            Fold::Reals { sum, n: n @ 1.., .. } if call.function == AggregateFunction::Ave => {
                into.push_f64(sum.value() / *n as f64)
            }
            Fold::Extreme(Value::Double(value)) => into.push_f64(*value),
            _ => false,
        };
        if !done && !into.push(&self.value(call)) {
            into.push_null();
        }
    }

    /// The present value of the function, when it needs nothing but the fold.
    pub(crate) fn value(&self, call: &AggregateCall) -> Value {
        match self {
            Fold::Integers { n: 0, .. } | Fold::Reals { n: 0, .. } => Value::Null,
            Fold::Spread { n: 0, .. } | Fold::Weighted { n: 0, .. } | Fold::Rows => Value::Null,
            Fold::Integers { sum, .. } => match (i64::try_from(*sum), call.ty) {
                (Ok(sum), FieldType::Money) => Value::Money(sum),
                (Ok(sum), _) => Value::Int64(sum),
                (Err(_), _) => Value::Null,
            },
            Fold::Reals { sum, n } => Value::Double(match call.function {
                AggregateFunction::Sum => sum.value(),
                _ => sum.value() / *n as f64,
            }),
            Fold::Spread { n: 1, .. } => Value::Double(0.0),
            Fold::Spread { sums, n } => Value::Double((sums.1.css(&sums.0, *n as f64) / (*n - 1) as f64).sqrt()),
            Fold::Weighted { sums, .. } => match sums.1.value() / sums.0.value() {
                mean if mean.is_nan() => Value::Null,
                mean => Value::Double(mean),
            },
            Fold::Number(n) => Value::Int64(*n),
            Fold::Extreme(value) | Fold::Last(value) => value.clone(),
            Fold::Numbers { counts, ty } => {
                let extreme = match call.function {
                    AggregateFunction::CountDistinct => return Value::Int64(counts.len() as i64),
                    AggregateFunction::Max => counts.last(),
                    _ => counts.first(),
                };
                extreme.map_or(Value::Null, |&rank| counts::value_of(rank, *ty))
            }
            Fold::Values { counts, by_count } => {
                let extreme = match call.function {
                    AggregateFunction::CountDistinct => return Value::Int64(counts.len() as i64),
                    AggregateFunction::Mode => {
                        by_count.as_ref().and_then(|by_count| by_count.last().map(|(_, Reverse(v))| v))
                    }
                    AggregateFunction::Max => counts.last(),
                    _ => counts.first(),
                };
                extreme.map_or(Value::Null, |value| value.0.clone())
            }
        }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        match self {
            Fold::Integers { sum, n } => to.put(&(*sum, *n)),
            // Squares stand there whether or not they are asked for.
            Fold::Reals { sum, n } => to.put(&(*sum, Sum::default(), *n)),
            Fold::Spread { sums, n } | Fold::Weighted { sums, n } => to.put(&(sums.0, sums.1, *n)),
            Fold::Number(n) => to.put(n),
            Fold::Extreme(value) | Fold::Last(value) => to.put(value),
            Fold::Numbers { counts, .. } => to.put(counts),
            Fold::Values { counts, .. } => to.put(counts),
            Fold::Rows => {}
        }
    }

    /// Takes what [`Fold::save`] wrote of a fold of the same call.
    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match self {
            Fold::Integers { sum, n } => (*sum, *n) = from.get()?,
            Fold::Reals { sum, n } => {
                let _squares: Sum;
                (*sum, _squares, *n) = from.get()?;
            }
            Fold::Spread { sums, n } | Fold::Weighted { sums, n } => (sums.0, sums.1, *n) = from.get()?,
            Fold::Number(n) => *n = from.get()?,
            Fold::Extreme(value) | Fold::Last(value) => *value = from.get()?,
            Fold::Numbers { counts, .. } => *counts = from.get()?,
            Fold::Values { counts, by_count } => {
                *counts = from.get()?;
                if let Some(by_count) = by_count {
                    by_count.extend(counts.to_list().into_iter().map(|(value, count)| (count, Reverse(value))));
                }
            }
            Fold::Rows => {}
        }
        Ok(())
    }
}

fn recount(
    counts: &mut Counts<Ranked>,
    by_count: &mut Option<BTreeSet<(u64, Reverse<Ranked>)>>,
    value: Ranked,
    adds: bool,
) {
    let before = if adds { counts.add(value.clone()) } else { counts.take(&value) };
    let after = if adds { before + 1 } else { before.saturating_sub(1) };
    if let Some(by_count) = by_count {
        by_count.remove(&(before, Reverse(value.clone())));
        if after > 0 {
            by_count.insert((after, Reverse(value)));
        }
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
