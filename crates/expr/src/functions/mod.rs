//! The function library: names, parameters, and the code that computes one value. A file per family.

mod math;
mod text;

pub(crate) use text::Pattern;

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    Integer,
    Real,
    Text,
}

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

const FAMILIES: [&[Function]; 3] = [math::FUNCTIONS, text::FUNCTIONS, CONVERSIONS];

const CONVERSIONS: &[Function] = &[
    Function { name: "isnull", usage: "isnull(any)", form: Form::IsNull },
    Function { name: "isblank", usage: "isblank(string)", form: Form::IsBlank },
    Function { name: "tointeger", usage: "tointeger(any)", form: Form::To(crate::Type::Integer) },
    Function { name: "toreal", usage: "toreal(any)", form: Form::To(crate::Type::Real) },
    Function { name: "tostring", usage: "tostring(any)", form: Form::To(crate::Type::String) },
    Function { name: "toboolean", usage: "toboolean(any)", form: Form::To(crate::Type::Boolean) },
    Function { name: "todate", usage: "todate(string or days)", form: Form::To(crate::Type::Date) },
];

/// Functions of the real language that this version does not have.
pub(crate) const NOT_YET: [&str; 39] = [
    "aparse",
    "asc",
    "chr",
    "dim",
    "edit_distance",
    "formatdate",
    "get",
    "has_control_chars",
    "inlist",
    "isalpha",
    "isnumber",
    "locale",
    "logmessage",
    "parameter",
    "parameterstring",
    "parse",
    "pattern",
    "print",
    "raiseerror",
    "set",
    "sort",
    "sort_words",
    "today",
    "typeof",
    "username",
    "vareval",
    "varset",
    "compile",
    "findfirst",
    "findnext",
    "matchstart",
    "matchlength",
    "substringcount",
    "substringstart",
    "substringlength",
    "readrow",
    "run",
    "execute",
    "rand",
];

/// Every function.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.into_iter().flatten()
}

/// The function of this name, case-free.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name.eq_ignore_ascii_case(name))
}
