//! Hashing and comparing keys in columns, without making values of them.

use std::sync::Arc;

use mesh_event::{Column, ColumnData};
use xxhash_rust::xxh3::xxh3_64;

const MULTIPLIER: u64 = 0x9fb2_1c65_1e98_df25;

#[inline]
fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 32)
}

/// The hash of each row's key; fixed seeds, so the same on every machine.
pub(crate) fn hashes(columns: &[Arc<Column>], keys: &[usize], rows: usize) -> Vec<u64> {
    let mut hashes = vec![MULTIPLIER; rows];
    for &key in keys {
        let column = &*columns[key];
        match &column.data {
            ColumnData::Int32(v) => fold(&mut hashes, |row| v[row] as u32 as u64),
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
                fold(&mut hashes, |row| v[row] as u64);
            }
            ColumnData::Double(v) => fold(&mut hashes, |row| v[row].to_bits()),
            ColumnData::String(v) | ColumnData::Blob(v) => fold(&mut hashes, |row| xxh3_64(v.row(row))),
            ColumnData::ArrayInt32(v) => {
                fold(&mut hashes, |row| v[row].iter().fold(0, |h, &x| mix(h, x as u32 as u64)))
            }
            ColumnData::ArrayInt64(v) => fold(&mut hashes, |row| v[row].iter().fold(0, |h, &x| mix(h, x as u64))),
            ColumnData::ArrayDouble(v) => fold(&mut hashes, |row| v[row].iter().fold(0, |h, x| mix(h, x.to_bits()))),
        }
    }
    hashes
}

#[inline]
fn fold(hashes: &mut [u64], value: impl Fn(usize) -> u64) {
    for (row, hash) in hashes.iter_mut().enumerate() {
        // Twice: one multiplication leaves the low bits, which choose the bucket, weak.
        *hash = mix(mix(*hash, value(row)), MULTIPLIER);
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

fn same(left: &Column, i: usize, right: &Column, j: usize) -> bool {
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
