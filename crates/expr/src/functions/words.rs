//! More text: `asc chr edit_distance has_control_chars pattern sort sort_words`.

use super::{Form, Function, Param};
use crate::Type;
use crate::scalar::{Outcome, Scalar};
use crate::state::State;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "asc", usage: "asc(string)", form: any(asc, &[Param::Text], 1, Type::Integer) },
    Function { name: "chr", usage: "chr(number)", form: any(chr, &[Param::Integer], 1, Type::String) },
    Function {
        name: "edit_distance",
        usage: "edit_distance(string, string)",
        form: any(distance, &[Param::Text, Param::Text], 2, Type::Integer),
    },
    Function {
        name: "has_control_chars",
        usage: "has_control_chars(string)",
        form: any(
            |_, args| Ok(Scalar::Boolean(args[0].str().chars().any(char::is_control))),
            &[Param::Text],
            1,
            Type::Boolean,
        ),
    },
    Function { name: "pattern", usage: "pattern(string)", form: any(pattern, &[Param::Text], 1, Type::String) },
    Function {
        name: "sort",
        usage: "sort(string [, ascending [, remove_duplicates]])",
        form: any(sort, &[Param::Text, Param::Boolean, Param::Boolean], 1, Type::String),
    },
    Function {
        name: "sort_words",
        usage: "sort_words(string [, ascending [, remove_duplicates]])",
        form: any(sort_words, &[Param::Text, Param::Boolean, Param::Boolean], 1, Type::String),
    },
];

const fn any(f: super::AnyFunction, params: &'static [Param], required: usize, result: Type) -> Form {
    Form::Any { f, params, required, result, pure: true }
}

fn asc(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::Integer(args[0].str().chars().next().map_or(0, |c| i64::from(u32::from(c)))))
}

fn chr(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    let code = u32::try_from(args[0].integer()).ok().and_then(char::from_u32);
    Ok(Scalar::text(code.ok_or("the number is no character")?.to_string()))
}

/// Letters of the two texts multiplied: about a second of work.
const MAX_CELLS: usize = 100_000_000;

fn distance(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    edit_distance(args[0].str(), args[1].str())
        .map(|distance| Scalar::Integer(distance as i64))
        .ok_or("the texts are too long to compare")
}

/// Letters to insert, delete or replace to make one text of the other; `None` when they are too long.
fn edit_distance(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().saturating_mul(b.len()) > MAX_CELLS {
        return None;
    }
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, from) in a.iter().enumerate() {
        let mut corner = row;
        last[0] = row + 1;
        for (column, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != to);
            corner = last[column + 1];
            last[column + 1] = replaced.min(corner + 1).min(last[column] + 1);
        }
    }
    Some(last[b.len()])
}

/// Capitals as `A`, other letters as `a`, digits as `9`, the rest as it is.
fn pattern(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    let shape = |c: char| match c {
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c if c.is_numeric() => '9',
        c => c,
    };
    Ok(Scalar::text(args[0].str().chars().map(shape).collect::<String>()))
}

fn sort(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::text(sorted(args[0].str().chars().collect(), args).into_iter().collect::<String>()))
}

fn sort_words(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::text(sorted(args[0].str().split_whitespace().collect(), args).join(" ")))
}

fn sorted<T: Ord>(mut items: Vec<T>, args: &[Scalar<'_>]) -> Vec<T> {
    items.sort();
    if args.get(2).is_some_and(Scalar::holds) {
        items.dedup();
    }
    if args.get(1) == Some(&Scalar::Boolean(false)) {
        items.reverse();
    }
    items
}
