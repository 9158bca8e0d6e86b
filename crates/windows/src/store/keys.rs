//! Hashing and comparing keys in columns, without making values of them.

use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

use mesh_event::{Column, ColumnData, NullMask, Value};

const MULTIPLIER: u64 = 0x9fb2_1c65_1e98_df25;
/// Stands for null.
const NULL: u64 = 0xd6e8_feb8_6659_fd93;

#[inline]
fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 32)
}

/// The hash of each row's key; fixed seeds, so the same on every machine.
pub(crate) fn hashes(columns: &[Arc<Column>], keys: &[usize], rows: usize) -> Vec<u64> {
    let mut hashes = vec![MULTIPLIER; rows];
    for &key in keys {
        let Column { data, nulls } = &*columns[key];
        match data {
            ColumnData::Int32(v) => fold(&mut hashes, nulls, |row| v[row] as u32 as u64),
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
                fold(&mut hashes, nulls, |row| v[row] as u64);
            }
            ColumnData::Double(v) => fold(&mut hashes, nulls, |row| v[row].to_bits()),
            ColumnData::String(v) | ColumnData::Blob(v) => fold(&mut hashes, nulls, |row| xxh3_64(v.row(row))),
            ColumnData::ArrayInt32(v) => {
                fold(&mut hashes, nulls, |row| v[row].iter().fold(0, |h, &x| mix(h, x as u32 as u64)))
            }
            ColumnData::ArrayInt64(v) => {
                fold(&mut hashes, nulls, |row| v[row].iter().fold(0, |h, &x| mix(h, x as u64)))
            }
            ColumnData::ArrayDouble(v) => {
                fold(&mut hashes, nulls, |row| v[row].iter().fold(0, |h, x| mix(h, x.to_bits())))
            }
        }
    }
    hashes
}

#[inline]
fn fold(hashes: &mut [u64], nulls: &NullMask, value: impl Fn(usize) -> u64) {
    // Twice: one multiplication leaves the low bits, which choose the bucket, weak.
    let folded = |hash: u64, value: u64| mix(mix(hash, value), MULTIPLIER);
    if nulls.is_empty() {
        hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = folded(*hash, value(row)));
    } else {
        let value = |row| if nulls.is_null(row) { NULL } else { value(row) };
        hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = folded(*hash, value(row)));
    }
}

/// True when two rows have the same key. Doubles are compared by their bits, so that NaN equals itself.
pub(crate) fn equal(
    keys: &[usize],
    (left, left_row): (&[Arc<Column>], usize),
    (right, right_row): (&[Arc<Column>], usize),
) -> bool {
    keys.iter().all(|&key| same(&left[key], left_row, &right[key], right_row))
}

/// True when two rows of the same side or of two have equal values in as many fields.
pub(crate) fn equal_fields(
    (left_keys, left, left_row): (&[usize], &[Arc<Column>], usize),
    (right_keys, right, right_row): (&[usize], &[Arc<Column>], usize),
) -> bool {
    left_keys.iter().zip(right_keys).all(|(&l, &r)| same(&left[l], left_row, &right[r], right_row))
}

/// What [`hashes`] takes in for a value.
fn value_hash(value: &Value) -> u64 {
    match value {
        Value::Null => NULL,
        Value::Int32(x) => *x as u32 as u64,
        Value::Int64(x) | Value::Date(x) | Value::Stamp(x) | Value::Money(x) => *x as u64,
        Value::Double(x) => x.to_bits(),
        Value::String(x) => xxh3_64(x.as_bytes()),
        Value::Blob(x) => xxh3_64(x),
        Value::ArrayInt32(x) => x.iter().fold(0, |h, &x| mix(h, x as u32 as u64)),
        Value::ArrayInt64(x) => x.iter().fold(0, |h, &x| mix(h, x as u64)),
        Value::ArrayDouble(x) => x.iter().fold(0, |h, x| mix(h, x.to_bits())),
    }
}

/// The hash that [`hashes`] gives a row with these key values.
pub(crate) fn hash_of_values(values: &[Value]) -> u64 {
    let mut hash = [MULTIPLIER];
    let none = NullMask::default();
    values.iter().for_each(|value| fold(&mut hash, &none, |_| value_hash(value)));
    hash[0]
}

/// True when a row holds a value.
#[inline]
pub(crate) fn is_value(column: &Column, row: usize, value: &Value) -> bool {
    if column.is_null(row) {
        return value.is_null();
    }
    match (&column.data, value) {
        (ColumnData::Int32(v), Value::Int32(x)) => v[row] == *x,
        (ColumnData::Int64(v), Value::Int64(x))
        | (ColumnData::Date(v), Value::Date(x))
        | (ColumnData::Stamp(v), Value::Stamp(x))
        | (ColumnData::Money(v), Value::Money(x)) => v[row] == *x,
        (ColumnData::Double(v), Value::Double(x)) => v[row].to_bits() == x.to_bits(),
        (ColumnData::String(v), Value::String(x)) => v.row(row) == x.as_bytes(),
        (ColumnData::Blob(v), Value::Blob(x)) => v.row(row) == x,
        (ColumnData::ArrayInt32(v), Value::ArrayInt32(x)) => v[row] == *x,
        (ColumnData::ArrayInt64(v), Value::ArrayInt64(x)) => v[row] == *x,
        (ColumnData::ArrayDouble(v), Value::ArrayDouble(x)) => {
            v[row].len() == x.len() && v[row].iter().zip(x.iter()).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        _ => false,
    }
}

/// The key of a row as bytes: equal for equal keys, different for different ones.
pub(crate) fn write(columns: &[Arc<Column>], keys: &[usize], row: usize, into: &mut Vec<u8>) {
    for &key in keys {
        let column = &*columns[key];
        if column.is_null(row) {
            into.push(0);
            continue;
        }
        into.push(1);
        let mut sized = |bytes: &[u8]| {
            into.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            into.extend_from_slice(bytes);
        };
        match &column.data {
            ColumnData::String(v) | ColumnData::Blob(v) => sized(v.row(row)),
            ColumnData::ArrayInt32(v) => sized(&v[row].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()),
            ColumnData::ArrayInt64(v) => sized(&v[row].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()),
            ColumnData::ArrayDouble(v) => sized(&v[row].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()),
            ColumnData::Int32(v) => into.extend_from_slice(&v[row].to_le_bytes()),
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
                into.extend_from_slice(&v[row].to_le_bytes());
            }
            ColumnData::Double(v) => into.extend_from_slice(&v[row].to_bits().to_le_bytes()),
        }
    }
}

#[inline]
fn same(left: &Column, i: usize, right: &Column, j: usize) -> bool {
    match (left.is_null(i), right.is_null(j)) {
        (false, false) => {}
        (left, right) => return left && right,
    }
    match (&left.data, &right.data) {
        (ColumnData::Int32(a), ColumnData::Int32(b)) => a[i] == b[j],
        (ColumnData::Int64(a), ColumnData::Int64(b))
        | (ColumnData::Date(a), ColumnData::Date(b))
        | (ColumnData::Stamp(a), ColumnData::Stamp(b))
        | (ColumnData::Money(a), ColumnData::Money(b)) => a[i] == b[j],
        (ColumnData::Double(a), ColumnData::Double(b)) => a[i].to_bits() == b[j].to_bits(),
        (ColumnData::String(a), ColumnData::String(b)) | (ColumnData::Blob(a), ColumnData::Blob(b)) => {
            a.row(i) == b.row(j)
        }
        (ColumnData::ArrayInt32(a), ColumnData::ArrayInt32(b)) => a[i] == b[j],
        (ColumnData::ArrayInt64(a), ColumnData::ArrayInt64(b)) => a[i] == b[j],
        (ColumnData::ArrayDouble(a), ColumnData::ArrayDouble(b)) => {
            a[i].len() == b[j].len() && a[i].iter().zip(b[j].iter()).all(|(x, y)| x.to_bits() == y.to_bits())
        }
        _ => unreachable!("columns of one field share one type"),
    }
}

/// True when a key field of the row is null.
pub(crate) fn any_null(columns: &[Arc<Column>], keys: &[usize], row: usize) -> bool {
    keys.iter().any(|&key| columns[key].is_null(row))
}
