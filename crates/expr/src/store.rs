//! From a result to a column of the wanted field type.

use mesh_event::{Column, ColumnData, FieldType, MONEY_SCALE, NullMask};

use crate::Type;
use crate::convert::cast;
use crate::date;
use crate::kernel::Context;
use crate::vector::{Data, Vector};

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

/// The result of type `from` as a column of type `into`; rows that do not fit are null and counted.
pub(crate) fn store(value: Vector<'_>, from: Type, into: FieldType, context: &mut Context<'_>) -> Column {
    let want = match into {
        FieldType::Int32 | FieldType::Int64 => Type::Integer,
        FieldType::Double | FieldType::Money => Type::Real,
        FieldType::String => Type::String,
        FieldType::Date | FieldType::Stamp => Type::Date,
        FieldType::Blob | FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::ArrayDouble => {
            unreachable!("the caller asked `fits`")
        }
    };
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
            let each = |row: usize| crate::convert::real_to_integer((values[row] * MONEY_SCALE as f64).round());
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
