//! Conversions between the language's types, value by value and vector by vector.

use std::fmt::Write;

use mesh_event::NullMask;

use crate::Type;
use crate::date;
use crate::kernel::Context;
use crate::vector::{Data, Texts, Vector};

/// Truncates; `None` when out of range.
pub(crate) fn real_to_integer(value: f64) -> Option<i64> {
    // 2^63 as a double; -2^63 itself is in range.
    const END: f64 = 9_223_372_036_854_775_808.0;
    (-END..END).contains(&value).then_some(value as i64)
}

pub(crate) fn text_to_real(text: &str) -> Option<f64> {
    let text = text.trim();
    // Rust also reads `inf`, `nan` and `infinity`, which are words here.
    if text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) {
        return None;
    }
    text.parse().ok()
}

pub(crate) fn text_to_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| text_to_real(text).and_then(real_to_integer))
}

pub(crate) fn text_to_boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "yes"]) {
        Some(true)
    } else if is(["false", "no"]) {
        Some(false)
    } else {
        text_to_real(text).map(|value| value != 0.0)
    }
}

/// Shortest decimal text that reads back as the same number.
pub(crate) fn write_real(value: f64, out: &mut String) {
    // -0.0 + 0.0 is 0.0
    let written = write!(out, "{}", value + 0.0);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

pub(crate) fn write_integer(value: i64, out: &mut String) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

pub(crate) const NOT_A_NUMBER: &str = "the text is not a number";
pub(crate) const OUT_OF_RANGE: &str = "the number does not fit an integer";
pub(crate) const NOT_A_BOOLEAN: &str = "the text is not true, false or a number";
pub(crate) const NOT_A_DATE: &str = "the text is not a date";
pub(crate) const NO_SUCH_DATE: &str = "the number is out of the range of dates";
const TOO_LONG: &str = "the texts of one block are longer than 4 GiB";

/// Converts a vector of type `from`.
pub(crate) fn cast<'b>(value: Vector<'b>, from: Type, to: Type, context: &mut Context<'_>) -> Vector<'b> {
    if value.is_null_constant() {
        return Vector::null(to);
    }
    if to == Type::String {
        return to_text(&value, from, context);
    }
    let constant = value.constant;
    let mut nulls: NullMask = value.nulls.get().clone();
    match (&value.data, to) {
        (Data::Integer(v), Type::Real | Type::Date) => {
            Vector::reals(v.get().iter().map(|v| *v as f64).collect(), nulls, constant)
        }
        (Data::Integer(v), Type::Boolean) => {
            Vector::booleans(v.get().iter().map(|v| *v != 0).collect(), nulls, constant)
        }
        (Data::Real(v), Type::Boolean) => {
            Vector::booleans(v.get().iter().map(|v| *v != 0.0).collect(), nulls, constant)
        }
        (Data::Boolean(v), Type::Integer) => {
            Vector::integers(v.get().iter().map(|v| i64::from(*v)).collect(), nulls, constant)
        }
        (Data::Boolean(v), _) => {
            Vector::reals(v.get().iter().map(|v| f64::from(u8::from(*v))).collect(), nulls, constant)
        }
        (Data::Real(v), Type::Integer) => {
            let v = v.get();
            let values = context.rows_of(&mut nulls, constant, 0, OUT_OF_RANGE, |row| real_to_integer(v[row]));
            Vector::integers(values, nulls, constant)
        }
        (Data::Text(_), Type::Integer) => {
            let each = |row| text_to_integer(value.str(row));
            let values = context.rows_of(&mut nulls, constant, 0, NOT_A_NUMBER, each);
            Vector::integers(values, nulls, constant)
        }
        (Data::Text(_), Type::Real) => {
            let values = context.rows_of(&mut nulls, constant, 0.0, NOT_A_NUMBER, |row| text_to_real(value.str(row)));
            Vector::reals(values, nulls, constant)
        }
        (Data::Text(_), Type::Date) => {
            let values = context.rows_of(&mut nulls, constant, 0.0, NOT_A_DATE, |row| date::parse(value.str(row)));
            Vector::reals(values, nulls, constant)
        }
        (Data::Text(_), Type::Boolean) => {
            let each = |row| text_to_boolean(value.str(row));
            let values = context.rows_of(&mut nulls, constant, false, NOT_A_BOOLEAN, each);
            Vector::booleans(values, nulls, constant)
        }
        // Equal representations: nothing to do.
        (Data::Integer(_), _) | (Data::Real(_), _) | (Data::Text(_), Type::String) => value,
    }
}

fn to_text<'b>(value: &Vector<'_>, from: Type, context: &mut Context<'_>) -> Vector<'b> {
    let constant = value.constant;
    match &value.data {
        Data::Integer(v) => texts(value, context, constant, |row, out| {
            write_integer(v.get()[row], out);
            None
        }),
        Data::Real(v) if from == Type::Date => {
            texts(
                value,
                context,
                constant,
                |row, out| {
                    if date::write(v.get()[row], out) { None } else { Some(NO_SUCH_DATE) }
                },
            )
        }
        Data::Real(v) => texts(value, context, constant, |row, out| {
            write_real(v.get()[row], out);
            None
        }),
        Data::Boolean(v) => texts(value, context, constant, |row, out| {
            out.push_str(if v.get()[row] { "true" } else { "false" });
            None
        }),
        Data::Text(_) => texts(value, context, constant, |row, out| {
            out.push_str(value.str(row));
            None
        }),
    }
}

/// A text for every row of `like` that is not null; `each` appends it, or says why there is none.
fn texts<'b>(
    like: &Vector<'_>,
    context: &mut Context<'_>,
    constant: bool,
    each: impl Fn(usize, &mut String) -> Option<&'static str>,
) -> Vector<'b> {
    make_texts(like.nulls.get().clone(), context, constant, each)
}

/// A text for every row that is not null; `each` appends it, or says why there is none.
pub(crate) fn make_texts<'b>(
    mut nulls: NullMask,
    context: &mut Context<'_>,
    constant: bool,
    each: impl Fn(usize, &mut String) -> Option<&'static str>,
) -> Vector<'b> {
    let rows = if constant { 1 } else { context.rows };
    let mut out = Texts::with_rows(rows);
    for row in 0..rows {
        let start = out.text.len();
        let mut failure = None;
        if !nulls.is_null(row) {
            failure = each(row, &mut out.text);
        }
        if failure.is_some() {
            out.text.truncate(start);
        }
        if !out.close() {
            failure = Some(TOO_LONG);
        }
        if let Some(message) = failure {
            nulls.set(row);
            context.fail(row, constant, message);
        }
    }
    Vector::text(out, nulls, constant)
}
