//! The function library: names, parameters, and the code that computes one value. A file per family.

mod date;
mod info;
mod math;
mod text;
mod words;

pub(crate) use info::RAISED;
pub(crate) use math::round;
pub(crate) use text::{Pattern, left};

use crate::scalar::{Outcome, Scalar};
use crate::state::State;

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    Integer,
    Real,
    Text,
    Date,
    Boolean,
    /// As it is.
    Any,
    /// As it is, any number of times.
    More,
}

/// A function of values as they are; it is called with arguments that are not null.
pub(crate) type AnyFunction = fn(&mut State, &[Scalar<'_>]) -> Outcome<'static>;

/// The code of a function over values that are not null; a null argument gives null without a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernel {
    Integer1(fn(i64) -> Option<i64>),
    Integer2(fn(i64, i64) -> i64),
    /// NaN is a run-time error.
    Real1(fn(f64) -> f64),
    Real2(fn(f64, f64) -> f64),
    RealInteger(fn(f64, i64) -> f64),
    /// Appends the result.
    Text(fn(&str, &mut String)),
    TextInteger(fn(&str, i64, &mut String)),
    TextInteger2(fn(&str, i64, i64, &mut String)),
    TextToInteger(fn(&str) -> i64),
    Text2ToInteger(fn(&str, &str, i64) -> i64),
    Replace(fn(&str, &str, &str, &mut String)),
    Match,
    /// Everything that is not worth a loop of its own; with its result type.
    Any(AnyFunction, crate::Type),
}

/// How the checker treats a function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Parameters are converted to these; the first `required` must be given, the rest have a default.
    Fixed {
        kernel: Kernel,
        params: &'static [Param],
        required: usize,
        defaults: &'static [i64],
    },
    /// Integers stay integers, everything else is a real number; more than two arguments are folded.
    Number {
        integer: Kernel,
        real: Kernel,
        at_least: usize,
        at_most: usize,
    },
    /// `isnull`, `isblank`.
    IsNull,
    IsBlank,
    /// A conversion.
    To(crate::Type),
    /// Parameters are converted to these; those after the first `required` may be left out.
    Any {
        f: AnyFunction,
        params: &'static [Param],
        required: usize,
        result: crate::Type,
        /// Nothing but the arguments decides the result.
        pure: bool,
    },
    TypeOf,
    VarEval,
    InList,
    ParseArray,
    ParseVariables,
    Parameter {
        as_text: bool,
    },
}

/// A function of the language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    pub name: &'static str,
    /// How it is called, for messages.
    pub usage: &'static str,
    pub form: Form,
}

/// Most arguments of `min` and `max`.
pub(crate) const MAX_ARGS: usize = 64;

const FAMILIES: [&[Function]; 6] =
    [math::FUNCTIONS, text::FUNCTIONS, words::FUNCTIONS, date::FUNCTIONS, info::FUNCTIONS, CONVERSIONS];

const CONVERSIONS: &[Function] = &[
    Function { name: "isnull", usage: "isnull(any)", form: Form::IsNull },
    Function { name: "isblank", usage: "isblank(string)", form: Form::IsBlank },
    Function { name: "tointeger", usage: "tointeger(any)", form: Form::To(crate::Type::Integer) },
    Function { name: "toreal", usage: "toreal(any)", form: Form::To(crate::Type::Real) },
    Function { name: "tostring", usage: "tostring(any)", form: Form::To(crate::Type::String) },
    Function { name: "toboolean", usage: "toboolean(any)", form: Form::To(crate::Type::Boolean) },
    Function { name: "typeof", usage: "typeof(any)", form: Form::TypeOf },
    Function { name: "vareval", usage: "vareval(\"name\")", form: Form::VarEval },
    Function { name: "inlist", usage: "inlist(value, item, ...)", form: Form::InList },
    Function { name: "aparse", usage: "aparse(string, delimiters, array)", form: Form::ParseArray },
    Function { name: "parse", usage: "parse(string, delimiters, variable, ...)", form: Form::ParseVariables },
    Function { name: "parameter", usage: "parameter(number)", form: Form::Parameter { as_text: false } },
    Function { name: "parameterstring", usage: "parameterstring(number)", form: Form::Parameter { as_text: true } },
];

/// Functions of the original language that cannot be here: name, why, the way out.
pub(crate) const REFUSED: [(&str, &str, &str); 9] = [
    ("locale", "results must not depend on the machine's language", "texts are UTF-8, names of months are English"),
    ("username", "results must not depend on who started the engine", "use a project property: @NAME@"),
    ("varset", "variables are found when the project is loaded", "assign: name = value"),
    ("execute", "expressions do not start programs", "do it in an adapter"),
    ("readrow", "expressions do not read files or databases", "publish the rows into a source window and join"),
    ("writerow", "expressions do not write files or databases", "use a subscribe connector"),
    ("fileexists", "expressions do not look at files", "publish what the file says into a source window"),
    ("sleep", "an expression must not wait", "use a timer connector"),
    ("dq", "it needs the vendor's knowledge base", "use functions and regex objects"),
];

/// Every function.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.into_iter().flatten()
}

/// The function of this name, case-free.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name.eq_ignore_ascii_case(name))
}
