//! Function calls over all rows.

use mesh_event::NullMask;

use crate::Type;
use crate::convert::make_texts;
use crate::functions::{AnyFunction, Kernel, Pattern};
use crate::kernel::Context;
use crate::scalar::{OVERFLOW, Outcome, Scalar};
use crate::state::State;
use crate::vector::{Texts, Vector, union};

pub(crate) const NAN: &str = "the function has no value here";
const BAD_PATTERN: &str = "`*` inside a pattern is not allowed";

/// Where a call is null, and whether its arguments are all constant; `None`: null everywhere.
fn nulls_of(args: &[Vector<'_>]) -> Option<(NullMask, bool)> {
    let mut nulls = NullMask::default();
    for arg in args {
        if arg.is_null_constant() {
            return None;
        }
        if !arg.nulls.get().is_empty() {
            nulls = union(&nulls, arg.nulls.get());
        }
    }
    Some((nulls, args.iter().all(|arg| arg.constant)))
}

/// Runs a function; `None`: null in every row.
pub(crate) fn call<'b>(kernel: Kernel, args: &[Vector<'_>], context: &mut Context<'_>) -> Option<Vector<'b>> {
    let (nulls, constant) = nulls_of(args)?;
    let real = |arg: usize, row: usize| args[arg].as_reals()[if args[arg].constant { 0 } else { row }];
    let integer = |arg: usize, row: usize| args[arg].integer(row);
    let text = |arg: usize, row: usize| args[arg].str(row);
    let finite = |value: f64| (!value.is_nan()).then_some(value);
    let appended = |context: &mut Context<'_>, each: &dyn Fn(usize, &mut String)| {
        make_texts(nulls.clone(), context, constant, |row, out| {
            each(row, out);
            None
        })
    };
    Some(match kernel {
        Kernel::Integer1(f) => integers(context, nulls, constant, |row| f(integer(0, row))),
        Kernel::Integer2(f) => integers(context, nulls, constant, |row| Some(f(integer(0, row), integer(1, row)))),
        Kernel::TextToInteger(f) => integers(context, nulls, constant, |row| Some(f(text(0, row)))),
        Kernel::Text2ToInteger(f) => {
            integers(context, nulls, constant, |row| Some(f(text(0, row), text(1, row), integer(2, row))))
        }
        Kernel::Real1(f) => reals(context, nulls, constant, |row| finite(f(real(0, row)))),
        Kernel::Real2(f) => reals(context, nulls, constant, |row| finite(f(real(0, row), real(1, row)))),
        Kernel::RealInteger(f) => reals(context, nulls, constant, |row| finite(f(real(0, row), integer(1, row)))),
        Kernel::Text(f) => appended(context, &|row, out| f(text(0, row), out)),
        Kernel::TextInteger(f) => appended(context, &|row, out| f(text(0, row), integer(1, row), out)),
        Kernel::TextInteger2(f) => {
            appended(context, &|row, out| f(text(0, row), integer(1, row), integer(2, row), out))
        }
        Kernel::Replace(f) => appended(context, &|row, out| f(text(0, row), text(1, row), text(2, row), out)),
        Kernel::Match if args[1].constant => {
            // A constant pattern is read once per block; a bad one was refused at compile time unless computed.
            let pattern = Pattern::parse(text(1, 0));
            booleans(context, nulls, constant, |row| Some(pattern.as_ref()?.matches(text(0, row))))
        }
        Kernel::Any(f, result) => each_row(f, result, args, nulls, constant, context),
        Kernel::Match => {
            booleans(context, nulls, constant, |row| Some(Pattern::parse(text(1, row))?.matches(text(0, row))))
        }
    })
}

/// A function of values as they are, row by row; it remembers nothing.
fn each_row<'b>(
    f: AnyFunction,
    result: Type,
    args: &[Vector<'_>],
    mut nulls: NullMask,
    constant: bool,
    context: &mut Context<'_>,
) -> Vector<'b> {
    let rows = if constant { 1 } else { context.rows };
    let mut state = State::default();
    let mut values = Vec::with_capacity(rows);
    let mut given = Vec::with_capacity(args.len());
    for row in 0..rows {
        let mut value = Scalar::Null;
        if !nulls.is_null(row) {
            given.clear();
            given.extend(args.iter().map(|arg| arg.scalar(row)));
            match f(&mut state, &given) {
                Ok(made) => value = made,
                Err(message) => context.fail(row, constant, message),
            }
        }
        if value.is_null() {
            nulls.set(row);
        }
        values.push(value);
    }
    match result {
        Type::Integer => Vector::integers(values.iter().map(Scalar::integer).collect(), nulls, constant),
        Type::Real | Type::Date => Vector::reals(values.iter().map(Scalar::real).collect(), nulls, constant),
        Type::Boolean => Vector::booleans(values.iter().map(Scalar::holds).collect(), nulls, constant),
        Type::String => {
            let mut texts = Texts::with_rows(rows);
            for (row, value) in values.iter().enumerate() {
                if !texts.push(value.str()) {
                    nulls.set(row);
                }
            }
            Vector::text(texts, nulls, constant)
        }
    }
}

fn integers<'b>(
    context: &mut Context<'_>,
    mut nulls: NullMask,
    constant: bool,
    each: impl Fn(usize) -> Option<i64>,
) -> Vector<'b> {
    let values = context.rows_of(&mut nulls, constant, 0, OVERFLOW, each);
    Vector::integers(values, nulls, constant)
}

fn reals<'b>(
    context: &mut Context<'_>,
    mut nulls: NullMask,
    constant: bool,
    each: impl Fn(usize) -> Option<f64>,
) -> Vector<'b> {
    let values = context.rows_of(&mut nulls, constant, 0.0, NAN, each);
    Vector::reals(values, nulls, constant)
}

fn booleans<'b>(
    context: &mut Context<'_>,
    mut nulls: NullMask,
    constant: bool,
    each: impl Fn(usize) -> Option<bool>,
) -> Vector<'b> {
    let values = context.rows_of(&mut nulls, constant, false, BAD_PATTERN, each);
    Vector::booleans(values, nulls, constant)
}

/// Runs a function over one row's arguments, none of which is null.
pub(crate) fn call_one<'a>(kernel: Kernel, args: &[Scalar<'_>], state: &mut State) -> Outcome<'a> {
    let real = |arg: usize| args[arg].real();
    let integer = |arg: usize| args[arg].integer();
    let text = |arg: usize| args[arg].str();
    let finite = |value: f64| if value.is_nan() { Err(NAN) } else { Ok(Scalar::Real(value)) };
    let mut out = String::new();
    match kernel {
        Kernel::Integer1(f) => return f(integer(0)).map(Scalar::Integer).ok_or(OVERFLOW),
        Kernel::Integer2(f) => return Ok(Scalar::Integer(f(integer(0), integer(1)))),
        Kernel::TextToInteger(f) => return Ok(Scalar::Integer(f(text(0)))),
        Kernel::Text2ToInteger(f) => return Ok(Scalar::Integer(f(text(0), text(1), integer(2)))),
        Kernel::Real1(f) => return finite(f(real(0))),
        Kernel::Real2(f) => return finite(f(real(0), real(1))),
        Kernel::RealInteger(f) => return finite(f(real(0), integer(1))),
        Kernel::Match => {
            let pattern = Pattern::parse(text(1)).ok_or(BAD_PATTERN)?;
            return Ok(Scalar::Boolean(pattern.matches(text(0))));
        }
        Kernel::Any(f, _) => return f(state, args),
        Kernel::Text(f) => f(text(0), &mut out),
        Kernel::TextInteger(f) => f(text(0), integer(1), &mut out),
        Kernel::TextInteger2(f) => f(text(0), integer(1), integer(2), &mut out),
        Kernel::Replace(f) => f(text(0), text(1), text(2), &mut out),
    }
    Ok(Scalar::text(out))
}
