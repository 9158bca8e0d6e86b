//! How often each value is there, in the order of the values: few in a sorted list, many in a tree.

use std::collections::BTreeMap;

use mesh_event::{ColumnData, FieldType, Value};

use super::fold::Cell;
use crate::state::{Damage, Reader, State, Writer};

/// From so many different values on a tree is faster than moving the tail of a list.
const FEW: usize = 64;

/// Values and their counts, none of which is 0.
#[derive(Debug, Clone)]
pub(crate) enum Counts<K> {
    Few(Vec<(K, u64)>),
    Many(BTreeMap<K, u64>),
}

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts::Few(Vec::new())
    }
}

impl<K: Ord + Clone> Counts<K> {
    /// One more; how often it was there.
    pub(crate) fn add(&mut self, key: K) -> u64 {
        match self {
            Counts::Few(list) => match list.binary_search_by(|(other, _)| other.cmp(&key)) {
                Ok(at) => {
                    list[at].1 += 1;
                    list[at].1 - 1
                }
                Err(at) if list.len() < FEW => {
                    list.insert(at, (key, 1));
                    0
                }
                Err(_) => {
                    let mut tree: BTreeMap<K, u64> = std::mem::take(list).into_iter().collect();
                    tree.insert(key, 1);
                    *self = Counts::Many(tree);
                    0
                }
            },
            Counts::Many(tree) => {
                let count = tree.entry(key).or_insert(0);
                *count += 1;
                *count - 1
            }
        }
    }

    /// One less; how often it was there.
    pub(crate) fn take(&mut self, key: &K) -> u64 {
        match self {
            Counts::Few(list) => {
                let Ok(at) = list.binary_search_by(|(other, _)| other.cmp(key)) else { return 0 };
                let before = list[at].1;
                if before > 1 {
                    list[at].1 = before - 1;
                } else {
                    list.remove(at);
                }
                before
            }
            Counts::Many(tree) => {
                let Some(count) = tree.get_mut(key) else { return 0 };
                let before = *count;
                if before > 1 {
                    *count = before - 1;
                } else {
                    tree.remove(key);
                    if tree.is_empty() {
                        *self = Counts::default();
                    }
                }
                before
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Counts::Few(list) => list.len(),
            Counts::Many(tree) => tree.len(),
        }
    }

    pub(crate) fn first(&self) -> Option<&K> {
        match self {
            Counts::Few(list) => list.first().map(|(key, _)| key),
            Counts::Many(tree) => tree.first_key_value().map(|(key, _)| key),
        }
    }

    pub(crate) fn last(&self) -> Option<&K> {
        match self {
            Counts::Few(list) => list.last().map(|(key, _)| key),
            Counts::Many(tree) => tree.last_key_value().map(|(key, _)| key),
        }
    }

    /// Values and counts in order.
    pub(crate) fn to_list(&self) -> Vec<(K, u64)> {
        match self {
            Counts::Few(list) => list.clone(),
            Counts::Many(tree) => tree.iter().map(|(key, &count)| (key.clone(), count)).collect(),
        }
    }
}

impl<K: State + Ord + Clone> State for Counts<K> {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.to_list());
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let list: Vec<(K, u64)> = from.get()?;
        if list.windows(2).any(|two| two[0].0 >= two[1].0) || list.iter().any(|(_, count)| *count == 0) {
            return Err(Damage::Broken("counted values are not in order"));
        }
        Ok(if list.len() <= FEW { Counts::Few(list) } else { Counts::Many(list.into_iter().collect()) })
    }
}

const SIGN: u64 = 1 << 63;

/// A number or time as a whole number with the same order; `None` for null and for other types. Doubles are in total
/// order: NaN stands behind the numbers.
pub(crate) fn rank(cell: Cell<'_>) -> Option<u64> {
    if cell.is_null() {
        return None;
    }
    let signed = |value: i64| value as u64 ^ SIGN;
    match &cell.column.data {
        ColumnData::Int32(v) => Some(signed(i64::from(v[cell.row]))),
        ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
            Some(signed(v[cell.row]))
        }
        ColumnData::Double(v) => Some(rank_of_double(v[cell.row])),
        _ => None,
    }
}

/// The [`rank`] of a double.
#[inline]
pub(crate) fn rank_of_double(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

/// The double with a [`rank`].
#[inline]
pub(crate) fn double_of_rank(rank: u64) -> f64 {
    f64::from_bits(if rank & SIGN == 0 { !rank } else { rank ^ SIGN })
}

/// True for the types whose values have a [`rank`].
pub(crate) fn has_rank(ty: FieldType) -> bool {
    use FieldType::{Date, Double, Int32, Int64, Money, Stamp};
    matches!(ty, Int32 | Int64 | Date | Stamp | Money | Double)
}

/// The value with a [`rank`].
pub(crate) fn value_of(rank: u64, ty: FieldType) -> Value {
    let signed = (rank ^ SIGN) as i64;
    match ty {
        FieldType::Int32 => Value::Int32(signed as i32),
        FieldType::Int64 => Value::Int64(signed),
        FieldType::Date => Value::Date(signed),
        FieldType::Stamp => Value::Stamp(signed),
        FieldType::Money => Value::Money(signed),
        FieldType::Double => Value::Double(double_of_rank(rank)),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_event::Column;

    #[test]
    fn ranks_keep_order_and_value() {
        let doubles = vec![f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let integers = vec![i64::MIN, -1, 0, 1, i64::MAX];
        for (column, ty) in [
            (Column::new(ColumnData::Double(doubles)), FieldType::Double),
            (Column::new(ColumnData::Int64(integers.clone())), FieldType::Int64),
            (Column::new(ColumnData::Stamp(integers)), FieldType::Stamp),
            (Column::new(ColumnData::Int32(vec![i32::MIN, -1, 0, i32::MAX])), FieldType::Int32),
        ] {
            let ranks: Vec<u64> =
                (0..column.len()).map(|row| rank(Cell { column: &column, row }).expect("it has one")).collect();
            assert!(ranks.is_sorted_by(|a, b| a < b), "{ty}");
            for (row, &rank) in ranks.iter().enumerate() {
                assert_eq!(format!("{:?}", value_of(rank, ty)), format!("{:?}", column.value(row)));
            }
        }
    }

    #[test]
    fn few_and_many_count_alike() {
        let (mut counts, mut plain) = (Counts::default(), BTreeMap::new());
        for step in 0..5000_u64 {
            let key = step * 7919 % 211;
            if step % 3 == 2 || step > 4000 {
                let before = plain.get(&key).copied().unwrap_or(0);
                assert_eq!(counts.take(&key), before);
                if before > 1 {
                    plain.insert(key, before - 1);
                } else {
                    plain.remove(&key);
                }
            } else {
                let before = plain.entry(key).or_insert(0);
                assert_eq!(counts.add(key), *before);
                *before += 1;
            }
            assert_eq!(counts.to_list(), plain.iter().map(|(&key, &count)| (key, count)).collect::<Vec<_>>());
            assert_eq!((counts.first(), counts.last()), (plain.keys().next(), plain.keys().next_back()));
        }
    }
}
