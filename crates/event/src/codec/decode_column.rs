//! Bytes to one column. Packed and unpacked numbers are read, as protobuf demands of readers.

use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

use super::decode::expect;
use super::wire::{BYTES, FIXED64, Fields, RawField, VARINT, take_varint, unzigzag};
use super::{BlockError, columns};
use crate::{Bytes2D, Column, ColumnData, Field, FieldType, NullMask};

const WHAT: &str = "column";

/// Decodes the column message in `payload[start..end]` of a block with `events` events.
///
/// `events` is at most the length of the payload, so that a buffer for them is in proportion.
pub(super) fn decode_column(
    payload: &Bytes,
    start: usize,
    end: usize,
    field: &Field,
    events: usize,
) -> Result<Column, BlockError> {
    let mut nulls = NullMask::default();
    let mut values = None;
    let mut walk = Fields::new(payload, start, end, WHAT);
    while let Some(raw) = walk.next()? {
        match raw.number {
            columns::NULLS => {
                expect(&raw, BYTES, WHAT)?;
                nulls = decode_nulls(&payload[raw.start..raw.end], field, events)?;
            }
            columns::INTEGERS..=columns::DOUBLE_ARRAYS => {
                expect(&raw, BYTES, WHAT)?;
                if values.replace(raw).is_some() {
                    return Err(BlockError::ColumnTwice { field: field.name.clone() });
                }
            }
            _ => {}
        }
    }
    let expected = kind_of(field.ty);
    let found = values.map_or(0, |raw| raw.number);
    let Some(raw) = values.filter(|_| found == expected) else {
        return Err(BlockError::ColumnType {
            field: field.name.clone(),
            found: kind_name(found),
            expected: kind_name(expected),
            ty: field.ty,
        });
    };
    let reader = Values { payload, range: raw.start..raw.end, field, events };
    Ok(Column { data: reader.decode()?, nulls })
}

fn kind_of(ty: FieldType) -> u32 {
    match ty {
        FieldType::Int32 | FieldType::Int64 => columns::INTEGERS,
        FieldType::Double => columns::DOUBLES,
        FieldType::String | FieldType::Blob => columns::TEXTS,
        FieldType::Date | FieldType::Stamp | FieldType::Money => columns::DELTAS,
        FieldType::ArrayInt32 | FieldType::ArrayInt64 => columns::INTEGER_ARRAYS,
        FieldType::ArrayDouble => columns::DOUBLE_ARRAYS,
    }
}

fn kind_name(number: u32) -> &'static str {
    match number {
        columns::INTEGERS => "integers",
        columns::DOUBLES => "doubles",
        columns::TEXTS => "texts",
        columns::DELTAS => "deltas",
        columns::INTEGER_ARRAYS => "integer arrays",
        columns::DOUBLE_ARRAYS => "double arrays",
        _ => "no values",
    }
}

fn decode_nulls(bytes: &[u8], field: &Field, rows: usize) -> Result<NullMask, BlockError> {
    let beyond = || BlockError::Nulls { field: field.name.clone(), rows };
    if bytes.len() > rows.div_ceil(8) {
        return Err(beyond());
    }
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let words: Vec<u64> = words.collect();
    if !rows.is_multiple_of(64) && words.get(rows / 64).is_some_and(|word| word >> (rows % 64) != 0) {
        return Err(beyond());
    }
    Ok(NullMask::from_words(words))
}

/// The values message of one column.
struct Values<'a> {
    payload: &'a Bytes,
    range: Range<usize>,
    field: &'a Field,
    events: usize,
}

impl Values<'_> {
    fn decode(&self) -> Result<ColumnData, BlockError> {
        Ok(match self.field.ty {
            FieldType::Int32 => {
                let mut out = Vec::with_capacity(self.events);
                let mut misfit = None;
                self.each_varint(1, self.events, |value| {
                    let value = unzigzag(value);
                    if value != i64::from(value as i32) && misfit.is_none() {
                        misfit = Some((out.len(), value));
                    }
                    out.push(value as i32);
                })?;
                self.check_int32(misfit)?;
                self.check_rows(out.len())?;
                ColumnData::Int32(out)
            }
            FieldType::Int64 => ColumnData::Int64(self.integers(1, self.events, true)?),
            FieldType::Date => ColumnData::Date(self.deltas()?),
            FieldType::Stamp => ColumnData::Stamp(self.deltas()?),
            FieldType::Money => ColumnData::Money(self.deltas()?),
            FieldType::Double => {
                let out = self.doubles(1, self.events)?;
                self.check_rows(out.len())?;
                ColumnData::Double(out)
            }
            FieldType::String => ColumnData::String(self.texts(true)?),
            FieldType::Blob => ColumnData::Blob(self.texts(false)?),
            FieldType::ArrayInt32 => {
                let values = self.integers(2, self.bytes_left(), false)?;
                let misfit = values.iter().position(|&value| value != i64::from(value as i32));
                self.check_int32(misfit.map(|at| (at, values[at])))?;
                let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
                ColumnData::ArrayInt32(self.arrays(&values)?)
            }
            FieldType::ArrayInt64 => {
                let values = self.integers(2, self.bytes_left(), false)?;
                ColumnData::ArrayInt64(self.arrays(&values)?)
            }
            FieldType::ArrayDouble => {
                let values = self.doubles(2, self.bytes_left())?;
                ColumnData::ArrayDouble(self.arrays(&values)?)
            }
        })
    }

    /// How many values of a byte or more there can be.
    fn bytes_left(&self) -> usize {
        self.range.len()
    }

    fn check_rows(&self, found: usize) -> Result<(), BlockError> {
        if found == self.events {
            Ok(())
        } else {
            Err(BlockError::Rows { field: self.field.name.clone(), found, expected: self.events })
        }
    }

    fn check_int32(&self, misfit: Option<(usize, i64)>) -> Result<(), BlockError> {
        match misfit {
            None => Ok(()),
            Some((row, found)) => Err(BlockError::Int32 { field: self.field.name.clone(), row, found }),
        }
    }

    fn fields(&self) -> Fields<'_> {
        Fields::new(self.payload, self.range.start, self.range.end, WHAT)
    }

    /// Calls `each` for every varint of a repeated field, at most `limit` times.
    #[inline]
    fn each_varint(&self, number: u32, limit: usize, mut each: impl FnMut(u64)) -> Result<(), BlockError> {
        let mut count = 0;
        let mut walk = self.fields();
        while let Some(raw) = walk.next()? {
            if raw.number != number {
                continue;
            }
            if raw.wire_type == VARINT {
                count += 1;
                self.check_limit(count, limit)?;
                each(raw.value);
                continue;
            }
            expect(&raw, BYTES, WHAT)?;
            let packed = &self.payload[raw.start..raw.end];
            let mut at = 0;
            while at < packed.len() {
                count += 1;
                self.check_limit(count, limit)?;
                each(take_varint(packed, &mut at).ok_or(BlockError::Truncated {
                    what: WHAT,
                    wanted: "a varint",
                    offset: raw.start + at,
                })?);
            }
        }
        Ok(())
    }

    #[inline]
    fn check_limit(&self, count: usize, limit: usize) -> Result<(), BlockError> {
        if count <= limit {
            return Ok(());
        }
        Err(BlockError::Rows { field: self.field.name.clone(), found: count, expected: self.events })
    }

    fn integers(&self, number: u32, limit: usize, one_per_row: bool) -> Result<Vec<i64>, BlockError> {
        let mut out = Vec::with_capacity(limit);
        self.each_varint(number, limit, |value| out.push(unzigzag(value)))?;
        if one_per_row {
            self.check_rows(out.len())?;
        }
        Ok(out)
    }

    fn deltas(&self) -> Result<Vec<i64>, BlockError> {
        let mut out = Vec::with_capacity(self.events);
        let mut value = 0_i64;
        self.each_varint(1, self.events, |delta| {
            value = value.wrapping_add(unzigzag(delta));
            out.push(value);
        })?;
        self.check_rows(out.len())?;
        Ok(out)
    }

    fn doubles(&self, number: u32, limit: usize) -> Result<Vec<f64>, BlockError> {
        let mut out = Vec::new();
        let mut walk = self.fields();
        while let Some(raw) = walk.next()? {
            if raw.number != number {
                continue;
            }
            if raw.wire_type == FIXED64 {
                out.push(f64::from_bits(raw.value));
            } else {
                self.packed_doubles(&raw, &mut out)?;
            }
            self.check_limit(out.len(), limit)?;
        }
        Ok(out)
    }

    fn packed_doubles(&self, raw: &RawField, out: &mut Vec<f64>) -> Result<(), BlockError> {
        expect(raw, BYTES, WHAT)?;
        let (chunks, rest) = self.payload[raw.start..raw.end].as_chunks::<8>();
        if !rest.is_empty() {
            let found = raw.end - raw.start;
            return Err(BlockError::Doubles { field: self.field.name.clone(), found });
        }
        out.extend(chunks.iter().map(|&chunk| f64::from_le_bytes(chunk)));
        Ok(())
    }

    /// The ends of the rows in a vector of `available` elements.
    fn ends(&self, available: usize) -> Result<Vec<u32>, BlockError> {
        let mut ends = Vec::with_capacity(self.events);
        let mut sum = 0_u64;
        // past the limit the sum is wrong anyway; saturating keeps it too large
        self.each_varint(1, self.events, |len| {
            sum = sum.saturating_add(len);
            ends.push(sum as u32);
        })?;
        self.check_rows(ends.len())?;
        if sum != available as u64 || u32::try_from(available).is_err() {
            let field = self.field.name.clone();
            return Err(BlockError::Lengths { field, found: sum, expected: available });
        }
        Ok(ends)
    }

    fn texts(&self, utf8: bool) -> Result<Bytes2D, BlockError> {
        let mut data = 0..0;
        let mut walk = self.fields();
        while let Some(raw) = walk.next()? {
            if raw.number == 2 {
                expect(&raw, BYTES, WHAT)?;
                data = raw.start..raw.end;
            }
        }
        let bytes = if data.is_empty() { Bytes::new() } else { self.payload.slice(data) };
        let ends = self.ends(bytes.len())?;
        if utf8 {
            let bad = |offset| BlockError::Utf8 { field: self.field.name.clone(), offset };
            let text = std::str::from_utf8(&bytes).map_err(|e| bad(e.valid_up_to()))?;
            if let Some(&end) = ends.iter().find(|&&end| !text.is_char_boundary(end as usize)) {
                return Err(bad(end as usize));
            }
        }
        Ok(Bytes2D { ends, bytes })
    }

    fn arrays<T: Copy>(&self, values: &[T]) -> Result<Vec<Arc<[T]>>, BlockError> {
        let ends = self.ends(values.len())?;
        // empty rows share one allocation: a byte of payload must not cost one each
        let empty: Arc<[T]> = Arc::from([]);
        let mut start = 0;
        let rows = ends.into_iter().map(|end| {
            let row = &values[std::mem::replace(&mut start, end as usize)..end as usize];
            if row.is_empty() { empty.clone() } else { Arc::from(row) }
        });
        Ok(rows.collect())
    }
}
