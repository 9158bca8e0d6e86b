//! What a value is, and what a program says: `isalpha isnumber print logmessage raiseerror`.

use super::{Form, Function, Param};
use crate::Type;
use crate::convert::text_to_real;
use crate::scalar::{Outcome, Scalar};
use crate::state::State;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "isalpha", usage: "isalpha(string)", form: any(is_alpha, &[Param::Text], true) },
    Function { name: "isnumber", usage: "isnumber(any)", form: any(is_number, &[Param::Any], true) },
    Function {
        name: "print",
        usage: "print(any [, no_line_end])",
        form: any(print, &[Param::Text, Param::Boolean], false),
    },
    Function { name: "logmessage", usage: "logmessage(any)", form: any(print, &[Param::Text], false) },
    Function { name: "raiseerror", usage: "raiseerror(any)", form: any(raise, &[Param::Text], false) },
];

/// The error of `raiseerror`: it ends the program.
pub(crate) const RAISED: &str = "raiseerror was called";

const fn any(f: super::AnyFunction, params: &'static [Param], pure: bool) -> Form {
    Form::Any { f, params, required: 1, result: Type::Boolean, pure }
}

fn is_alpha(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    let text = args[0].str();
    Ok(Scalar::Boolean(!text.is_empty() && text.chars().all(char::is_alphabetic)))
}

fn is_number(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::Boolean(match &args[0] {
        Scalar::Text(text) => text_to_real(text).is_some(),
        value => matches!(value, Scalar::Integer(_) | Scalar::Real(_)),
    }))
}

fn print(state: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    state.message(args[0].str());
    Ok(Scalar::Boolean(true))
}

fn raise(state: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    state.message(args[0].str());
    Err(RAISED)
}
