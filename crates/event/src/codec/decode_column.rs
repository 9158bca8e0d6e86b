//! Bytes to the rows of one column. Packed and unpacked numbers are read, as protobuf demands of readers.

use std::ops::Range;
use std::sync::Arc;

use super::decode::expect;
use super::wire::{BYTES, FIXED64, Fields, RawField, VARINT, take_varint, unzigzag};
use super::{BlockError, columns};
use crate::column::BuilderData;
use crate::{ColumnBuilder, ColumnData, Field, FieldType, NullMask};

const WHAT: &str = "column";

/// Appends the rows of the column message in `payload[start..end]`, of a block with `events` events. After an error the
/// builder may hold a part of them.
///
/// `events` is at most the length of the payload, so that a buffer for them is in proportion.
pub(super) fn decode_column(
    payload: &[u8],
    start: usize,
    end: usize,
    field: &Field,
    events: usize,
    into: &mut ColumnBuilder,
) -> Result<(), BlockError> {
    if events == 1 && one_value(&payload[start..end], field, into).is_some() {
        return Ok(());
    }
    decode_rows(payload, start, end, field, events, into)
}

/// [`decode_column`] for every column that protobuf allows.
pub(super) fn decode_rows(
    payload: &[u8],
    start: usize,
    end: usize,
    field: &Field,
    events: usize,
    into: &mut ColumnBuilder,
) -> Result<(), BlockError> {
    let before = into.rows;
    let mut values = None;
    let mut walk = Fields::new(payload, start, end, WHAT);
    while let Some(raw) = walk.next()? {
        match raw.number {
            columns::NULLS => {
                expect(&raw, BYTES, WHAT)?;
                into.nulls.truncate(before); // the last of several counts
                decode_nulls(&payload[raw.start..raw.end], field, events, before, &mut into.nulls)?;
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
    Values { payload, range: raw.start..raw.end, field, events }.append_to(&mut into.data)?;
    into.rows += events;
    Ok(())
}

/// Appends the value of a column of one row, if it is written as we write it: no null, numbers packed, lengths in one
/// byte. `None`, and nothing appended, for anything else. A block of one event is mostly this.
pub(super) fn one_value(column: &[u8], field: &Field, into: &mut ColumnBuilder) -> Option<()> {
    const FIRST: u8 = 1 << 3 | BYTES;
    const SECOND: u8 = 2 << 3 | BYTES;
    let &[kind, len, FIRST, packed_len, ref rest @ ..] = column else { return None };
    if kind != (kind_of(field.ty) << 3) as u8 | BYTES || usize::from(len) != column.len() - 2 || len >= 0x80 {
        return None;
    }
    match &mut into.data {
        BuilderData::Text { ends, bytes, blob } => {
            let (text_len, text) = match *rest {
                [0] => (0, &[][..]),
                [len, SECOND, again, ref text @ ..] if len == again && len < 0x80 => (len, text),
                _ => return None,
            };
            if packed_len != 1 || usize::from(text_len) != text.len() || !*blob && std::str::from_utf8(text).is_err() {
                return None;
            }
            ends.push(u32::try_from(bytes.len() + text.len()).ok()?);
            bytes.extend_from_slice(text);
        }
        BuilderData::Fixed(_) if usize::from(packed_len) != rest.len() => return None,
        BuilderData::Fixed(ColumnData::Double(out)) => out.push(f64::from_le_bytes(rest.try_into().ok()?)),
        BuilderData::Fixed(data) => {
            let mut at = 0;
            let value = unzigzag(take_varint(rest, &mut at)?);
            match data {
                _ if at != rest.len() => return None,
                ColumnData::Int32(out) => out.push(i32::try_from(value).ok()?),
                ColumnData::Int64(out) | ColumnData::Date(out) | ColumnData::Stamp(out) | ColumnData::Money(out) => {
                    out.push(value);
                }
                _ => return None,
            }
        }
    }
    into.rows += 1;
    Some(())
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

fn decode_nulls(
    bytes: &[u8],
    field: &Field,
    rows: usize,
    before: usize,
    nulls: &mut NullMask,
) -> Result<(), BlockError> {
    let beyond = || BlockError::Nulls { field: field.name.clone(), rows };
    if bytes.len() > rows.div_ceil(8) {
        return Err(beyond());
    }
    if !rows.is_multiple_of(8) && bytes.get(rows / 8).is_some_and(|byte| byte >> (rows % 8) != 0) {
        return Err(beyond());
    }
    for (at, &byte) in bytes.iter().enumerate() {
        let mut left = byte;
        while left != 0 {
            nulls.set(before + at * 8 + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
    Ok(())
}

/// The values message of one column.
struct Values<'a> {
    payload: &'a [u8],
    range: Range<usize>,
    field: &'a Field,
    events: usize,
}

impl Values<'_> {
    fn append_to(&self, data: &mut BuilderData) -> Result<(), BlockError> {
        let data = match data {
            BuilderData::Text { ends, bytes, blob } => return self.texts(!*blob, ends, bytes),
            BuilderData::Fixed(data) => data,
        };
        match data {
            ColumnData::Int32(out) => self.int32s(out),
            ColumnData::Int64(out) => {
                let before = out.len();
                self.integers(1, self.events, out)?;
                self.check_rows(out.len() - before)
            }
            ColumnData::Date(out) | ColumnData::Stamp(out) | ColumnData::Money(out) => self.deltas(out),
            ColumnData::Double(out) => {
                let before = out.len();
                self.doubles(1, self.events, out)?;
                self.check_rows(out.len() - before)
            }
            ColumnData::ArrayInt32(out) => {
                let mut values = Vec::new();
                self.integers(2, self.bytes_left(), &mut values)?;
                let misfit = values.iter().position(|&value| value != i64::from(value as i32));
                self.check_int32(misfit.map(|at| (at, values[at])))?;
                let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
                self.arrays(&values, out)
            }
            ColumnData::ArrayInt64(out) => {
                let mut values = Vec::new();
                self.integers(2, self.bytes_left(), &mut values)?;
                self.arrays(&values, out)
            }
            ColumnData::ArrayDouble(out) => {
                let mut values = Vec::new();
                self.doubles(2, self.bytes_left(), &mut values)?;
                self.arrays(&values, out)
            }
            ColumnData::String(_) | ColumnData::Blob(_) => unreachable!("text is built in BuilderData::Text"),
        }
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

    fn int32s(&self, out: &mut Vec<i32>) -> Result<(), BlockError> {
        let before = out.len();
        let mut misfit = None;
        out.reserve(self.events);
        self.each_varint(1, self.events, |value| {
            let value = unzigzag(value);
            if value != i64::from(value as i32) && misfit.is_none() {
                misfit = Some((out.len() - before, value));
            }
            out.push(value as i32);
        })?;
        self.check_int32(misfit)?;
        self.check_rows(out.len() - before)
    }

    fn integers(&self, number: u32, limit: usize, out: &mut Vec<i64>) -> Result<(), BlockError> {
        out.reserve(limit);
        self.each_varint(number, limit, |value| out.push(unzigzag(value)))
    }

    fn deltas(&self, out: &mut Vec<i64>) -> Result<(), BlockError> {
        let before = out.len();
        let mut value = 0_i64;
        out.reserve(self.events);
        self.each_varint(1, self.events, |delta| {
            value = value.wrapping_add(unzigzag(delta));
            out.push(value);
        })?;
        self.check_rows(out.len() - before)
    }

    fn doubles(&self, number: u32, limit: usize, out: &mut Vec<f64>) -> Result<(), BlockError> {
        let before = out.len();
        let mut walk = self.fields();
        while let Some(raw) = walk.next()? {
            if raw.number != number {
                continue;
            }
            if raw.wire_type == FIXED64 {
                out.push(f64::from_bits(raw.value));
            } else {
                self.packed_doubles(&raw, out)?;
            }
            self.check_limit(out.len() - before, limit)?;
        }
        Ok(())
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

    /// Appends the ends of the rows in a vector of `available` elements, the first of which is number `before`.
    fn ends(&self, before: u32, available: usize, ends: &mut Vec<u32>) -> Result<(), BlockError> {
        let rows = ends.len();
        let mut sum = 0_u64;
        ends.reserve(self.events);
        // past the limit the sum is wrong anyway; saturating keeps it too large
        self.each_varint(1, self.events, |len| {
            sum = sum.saturating_add(len);
            ends.push(before.wrapping_add(sum as u32));
        })?;
        self.check_rows(ends.len() - rows)?;
        if sum != available as u64 || u32::try_from(before as usize + available).is_err() {
            let field = self.field.name.clone();
            return Err(BlockError::Lengths { field, found: sum, expected: available });
        }
        Ok(())
    }

    fn texts(&self, utf8: bool, ends: &mut Vec<u32>, bytes: &mut Vec<u8>) -> Result<(), BlockError> {
        let mut data = 0..0;
        let mut walk = self.fields();
        while let Some(raw) = walk.next()? {
            if raw.number == 2 {
                expect(&raw, BYTES, WHAT)?;
                data = raw.start..raw.end;
            }
        }
        let data = &self.payload[data];
        let (rows, before) = (ends.len(), bytes.len() as u32);
        self.ends(before, data.len(), ends)?;
        if utf8 {
            let bad = |offset| BlockError::Utf8 { field: self.field.name.clone(), offset };
            let text = std::str::from_utf8(data).map_err(|e| bad(e.valid_up_to()))?;
            let ends = ends[rows..].iter().map(|end| (end - before) as usize);
            if let Some(end) = ends.into_iter().find(|&end| !text.is_char_boundary(end)) {
                return Err(bad(end));
            }
        }
        bytes.extend_from_slice(data);
        Ok(())
    }

    fn arrays<T: Copy>(&self, values: &[T], out: &mut Vec<Arc<[T]>>) -> Result<(), BlockError> {
        let mut ends = Vec::new();
        self.ends(0, values.len(), &mut ends)?;
        // empty rows share one allocation: a byte of payload must not cost one each
        let empty: Arc<[T]> = Arc::from([]);
        let mut start = 0;
        out.extend(ends.into_iter().map(|end| {
            let row = &values[std::mem::replace(&mut start, end as usize)..end as usize];
            if row.is_empty() { empty.clone() } else { Arc::from(row) }
        }));
        Ok(())
    }
}
