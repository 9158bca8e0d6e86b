//! Truth and comparison.

use std::cmp::Ordering;

use super::{Call, Code, Entry, MANY, compared, entry, same, truth};
use crate::scalar::{Outcome, Scalar};

const fn logic(
    name: &'static str,
    usage: &'static str,
    count: (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    entry("boolean", (name, usage), count, code)
}

const AS_NUMBERS: &str = "as numbers when both are numbers or look like it, else as texts";

pub(super) const FUNCTIONS: &[Entry] = &[
    logic("and", "and(condition, ...)", (1, MANY), |_, args| Ok(joined(args, false))).nulls(),
    logic("or", "or(condition, ...)", (1, MANY), |_, args| Ok(joined(args, true))).nulls(),
    logic("not", "not(condition)", (1, 1), |_, args| {
        Ok(truth(&args[0]).map_or(Scalar::Null, |value| Scalar::Boolean(!value)))
    }),
    logic("true", "true()", (0, 0), |_, _| Ok(Scalar::Boolean(true))),
    logic("false", "false()", (0, 0), |_, _| Ok(Scalar::Boolean(false))),
    logic("boolean", "boolean(value)", (1, 1), |_, args| Ok(truth(&args[0]).map_or(Scalar::Null, Scalar::Boolean)))
        .note("a text is true unless it is empty, `false`, `no` or 0"),
    logic("equals", "equals(a, b)", (2, 2), |_, args| Ok(Scalar::Boolean(same(&args[0], &args[1])))).note(AS_NUMBERS),
    logic("nequals", "nequals(a, b)", (2, 2), |_, args| Ok(Scalar::Boolean(!same(&args[0], &args[1]))))
        .note(AS_NUMBERS),
    logic("gt", "gt(a, b)", (2, 2), |_, args| order(args, Ordering::is_gt)).note(AS_NUMBERS),
    logic("gte", "gte(a, b)", (2, 2), |_, args| order(args, Ordering::is_ge)).note(AS_NUMBERS),
    logic("lt", "lt(a, b)", (2, 2), |_, args| order(args, Ordering::is_lt)).note(AS_NUMBERS),
    logic("lte", "lte(a, b)", (2, 2), |_, args| order(args, Ordering::is_le)).note(AS_NUMBERS),
    logic("between", "between(value, low, high)", (3, 3), |_, args| {
        let above = compared(&args[0], &args[1]).is_some_and(Ordering::is_ge);
        Ok(Scalar::Boolean(above && compared(&args[0], &args[2]).is_some_and(Ordering::is_le)))
    })
    .note("both ends included"),
    logic("isNull", "isNull(value)", (1, 1), |_, args| Ok(Scalar::Boolean(args[0].is_null()))).nulls(),
    logic("isNotNull", "isNotNull(value)", (1, 1), |_, args| Ok(Scalar::Boolean(!args[0].is_null()))).nulls(),
    logic("isSet", "isSet(value)", (1, 1), |_, args| {
        Ok(Scalar::Boolean(!args[0].is_null() && !super::text(&args[0]).is_empty()))
    })
    .nulls()
    .note("neither null nor an empty text"),
    logic("if", "if(condition, value [, otherwise])", (2, 3), nothing)
        .code(Code::If)
        .note("null when the condition does not hold and nothing else is given; only what is chosen is computed"),
    logic("ifNext", "ifNext(condition, value, condition, value, ..., otherwise)", (2, MANY), nothing)
        .code(Code::If)
        .note("the value of the first condition that holds"),
    logic("switch", "switch(value, case, result, case, result, ..., otherwise)", (3, MANY), nothing).code(Code::Switch),
];

/// Functions with code of their own are not called this way.
fn nothing(_: &mut Call<'_>, _: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::Null)
}

/// Three-valued: an argument that is `stop` decides, else null wins.
fn joined(args: &[Scalar<'_>], stop: bool) -> Scalar<'static> {
    let values = || args.iter().map(truth);
    if values().any(|value| value == Some(stop)) {
        Scalar::Boolean(stop)
    } else if values().any(|value| value.is_none()) {
        Scalar::Null
    } else {
        Scalar::Boolean(!stop)
    }
}

fn order(args: &[Scalar<'_>], test: fn(Ordering) -> bool) -> Outcome<'static> {
    Ok(Scalar::Boolean(compared(&args[0], &args[1]).is_some_and(test)))
}
