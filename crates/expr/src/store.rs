//! From a result to a column of the wanted field type.

use mesh_event::{Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, NullMask};

use crate::Type;
use crate::convert::cast;
use crate::date;
use crate::kernel::Context;
use crate::node::Site;
use crate::row::RowRun;
use crate::scalar::{self, Scalar};
use crate::vector::{Data, Texts, Vector};

const NOT_INT32: &str = "the number does not fit int32";
const NOT_MONEY: &str = "the number does not fit money";
const NOT_A_DATE: &str = "the number is out of the range of dates";

/// True when results of type `from` can become fields of type `into`.
pub(crate) fn fits(from: Type, into: FieldType) -> bool {
    match into {
        FieldType::Blob | FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::ArrayDouble => false,
        FieldType::Date | FieldType::Stamp => from != Type::Boolean,
        _ => true,
    }
}

/// What a result must be to become a field of type `into`.
fn wanted(into: FieldType) -> Type {
    match into {
        FieldType::Int32 | FieldType::Int64 => Type::Integer,
        FieldType::Double | FieldType::Money => Type::Real,
        FieldType::String => Type::String,
        FieldType::Date | FieldType::Stamp => Type::Date,
        FieldType::Blob | FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::ArrayDouble => {
            unreachable!("the caller asked `fits`")
        }
    }
}

/// The results of type `from` of so many rows as a column of type `into`, asked for one by one.
pub(crate) fn store_rows<'a>(
    run: &mut RowRun<'a, '_>,
    rows: usize,
    (from, into): (Type, FieldType),
    each: impl Fn(&mut RowRun<'a, '_>, usize) -> Scalar<'a>,
) -> Column {
    let want = wanted(into);
    let mut nulls = NullMask::default();
    let mut value = |row: usize| {
        let value = each(run, row);
        let value = if same(from, want) { value } else { run.settle(scalar::cast(value, from, want), WHOLE) };
        let stored = match (value, into) {
            (Scalar::Integer(v), FieldType::Int32) => {
                i32::try_from(v).map(|_| Scalar::Integer(v)).map_err(|_| NOT_INT32)
            }
            (Scalar::Real(v), FieldType::Money) => money(v).map(Scalar::Integer).ok_or(NOT_MONEY),
            (Scalar::Real(v), FieldType::Date) => date::to_seconds(v).map(Scalar::Integer).ok_or(NOT_A_DATE),
            (Scalar::Real(v), FieldType::Stamp) => date::to_micros(v).map(Scalar::Integer).ok_or(NOT_A_DATE),
            (value, _) => Ok(value),
        };
        let stored = run.settle(stored, WHOLE);
        if stored.is_null() {
            nulls.set(row);
        }
        stored
    };
    let data = match into {
        FieldType::Int32 => ColumnData::Int32((0..rows).map(|row| value(row).integer() as i32).collect()),
        FieldType::Int64 => ColumnData::Int64((0..rows).map(|row| value(row).integer()).collect()),
        FieldType::Date => ColumnData::Date((0..rows).map(|row| value(row).integer()).collect()),
        FieldType::Stamp => ColumnData::Stamp((0..rows).map(|row| value(row).integer()).collect()),
        FieldType::Money => ColumnData::Money((0..rows).map(|row| value(row).integer()).collect()),
        FieldType::Double => ColumnData::Double((0..rows).map(|row| value(row).real()).collect()),
        _ => {
            let mut texts = Texts::with_rows(rows);
            let mut too_long = Vec::new();
            for row in 0..rows {
                if !texts.push(value(row).str()) {
                    too_long.push(row);
                }
            }
            too_long.into_iter().for_each(|row| nulls.set(row));
            ColumnData::String(texts.into())
        }
    };
    Column { data, nulls }
}

/// Where a result as a whole is reported.
pub(crate) const WHOLE: Site = Site { line: 1, column: 1 };

fn money(value: f64) -> Option<i64> {
    crate::convert::real_to_integer((value * MONEY_SCALE as f64).round())
}

/// The result of type `from` as a column of type `into`; rows that do not fit are null and counted.
pub(crate) fn store(value: Vector<'_>, from: Type, into: FieldType, context: &mut Context<'_>) -> Column {
    let want = wanted(into);
    let value = if same(from, want) { value } else { cast(value, from, want, context) };
    let Vector { data, nulls, .. } = value.expanded(context.rows);
    let mut nulls: NullMask = nulls.take();
    let data = match (data, into) {
        (Data::Integer(values), FieldType::Int32) => {
            let values = values.get();
            let each = |row| i32::try_from(values[row]).ok();
            ColumnData::Int32(context.rows_of(&mut nulls, false, 0, NOT_INT32, each))
        }
        (Data::Integer(values), _) => ColumnData::Int64(zeroed(values.take(), &nulls)),
        (Data::Real(values), FieldType::Money) => {
            let values = values.get();
            let each = |row: usize| money(values[row]);
            ColumnData::Money(context.rows_of(&mut nulls, false, 0, NOT_MONEY, each))
        }
        (Data::Real(values), FieldType::Date) => {
            let values = values.get();
            ColumnData::Date(context.rows_of(&mut nulls, false, 0, NOT_A_DATE, |row| date::to_seconds(values[row])))
        }
        (Data::Real(values), FieldType::Stamp) => {
            let values = values.get();
            ColumnData::Stamp(context.rows_of(&mut nulls, false, 0, NOT_A_DATE, |row| date::to_micros(values[row])))
        }
        (Data::Real(values), _) => ColumnData::Double(zeroed(values.take(), &nulls)),
        (Data::Text(values), _) => ColumnData::String(values.take()),
        (Data::Boolean(_), _) => unreachable!("no field type wants booleans"),
    };
    Column { data, nulls }
}

/// Texts of at most so many bytes; what is longer is cut, at a character.
pub(crate) fn cut(column: Column, bytes_max: Option<usize>) -> Column {
    let (ColumnData::String(texts), Some(bytes_max)) = (&column.data, bytes_max) else { return column };
    // most blocks are shorter as a whole than one of their texts may be
    if texts.bytes.len() <= bytes_max || (0..column.len()).all(|row| texts.row(row).len() <= bytes_max) {
        return column;
    }
    let mut builder = ColumnBuilder::new(FieldType::String, column.len());
    for row in 0..column.len() {
        if column.is_null(row) {
            builder.push_null();
            continue;
        }
        let text = column.str(row);
        let end = (0..=text.len().min(bytes_max)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        assert!(builder.push_str(&text[..end]), "a column of texts takes a text");
    }
    builder.finish()
}

/// Null rows hold zero, so that equal columns are equal bit by bit.
fn zeroed<T: Copy + Default>(mut values: Vec<T>, nulls: &NullMask) -> Vec<T> {
    if !nulls.is_empty() {
        for (row, value) in values.iter_mut().enumerate() {
            if nulls.is_null(row) {
                *value = T::default();
            }
        }
    }
    values
}

fn same(from: Type, want: Type) -> bool {
    from == want || matches!((from, want), (Type::Date, Type::Real) | (Type::Real, Type::Date))
}
