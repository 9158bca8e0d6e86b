//! The functions of functional windows: names, arguments, code. A file per family.

mod data;
mod logic;
mod number;
mod text;
mod time;

use std::borrow::Cow;

use super::PropertyKind;
use super::tree::{Func, MAX_ARGS};
use crate::Type;
use crate::convert::text_to_real;
use crate::object::compile;
use crate::scalar::{Outcome, Scalar};
use crate::state::State;

/// A function.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub family: &'static str,
    /// How it is called, for messages.
    pub usage: &'static str,
    pub least: usize,
    pub most: usize,
    /// It is called with nulls, too; the others give null for a null argument.
    pub takes_nulls: bool,
    pub code: Code,
    /// What to know about it: the decision where the original is not documented.
    pub note: &'static str,
}

/// How a function is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Code {
    Values(fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>),
    /// Its first argument may be a property.
    Property(fn(Option<&Property>, &[Scalar<'_>]) -> Outcome<'static>),
    /// Only the argument that is chosen has a value.
    If,
    Switch,
    Input,
    Event,
}

/// What a function may know besides its arguments.
pub(crate) struct Call<'s> {
    pub state: &'s mut State,
    /// The first number of `eventCounter()`.
    pub counter_start: i64,
    /// Items of the loops around.
    pub items: Vec<Item>,
    /// Number of the event among those that the input event gives, from 0.
    pub number: i64,
    pub opcode: mesh_event::Opcode,
}

/// The item of an event loop as a text.
#[derive(Debug, Clone)]
pub(crate) struct Item(pub String);

/// A property of a function context.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    kind: PropertyKind,
    outer: String,
    inner: String,
    /// What its text is computed from, anew for each event; a text that stands in the model was taken apart once.
    pub source: Option<Func>,
    pub text: String,
    pub values: Vec<String>,
    pub entries: Vec<(String, String)>,
}

impl Property {
    pub fn new(kind: PropertyKind, source: Option<Func>, text: &str, outer: &str, inner: &str) -> Property {
        let (outer, inner) = (outer.to_owned(), inner.to_owned());
        let empty =
            Property { kind, outer, inner, source, text: String::new(), values: Vec::new(), entries: Vec::new() };
        empty.holding(text)
    }

    /// The property with this text.
    pub fn holding(&self, text: &str) -> Property {
        let mut property = Property { text: text.to_owned(), ..self.clone() };
        match self.kind {
            PropertyKind::List | PropertyKind::Set => property.values = list(text, &self.outer),
            PropertyKind::Map => property.entries = map(text, &self.outer, &self.inner),
            PropertyKind::String | PropertyKind::Xml | PropertyKind::Json => {}
        }
        property
    }
}

/// The trimmed parts of a text.
pub(crate) fn list(text: &str, delimiter: &str) -> Vec<String> {
    let delimiter = if delimiter.is_empty() { "," } else { delimiter };
    text.split(delimiter).map(|part| part.trim().to_owned()).collect()
}

pub(crate) fn map(text: &str, outer: &str, inner: &str) -> Vec<(String, String)> {
    let (outer, inner) = (if outer.is_empty() { "," } else { outer }, if inner.is_empty() { "=" } else { inner });
    let pair = |part: &str| {
        let (name, value) = part.split_once(inner)?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(outer).filter_map(pair).collect()
}

const FAMILIES: [&[Entry]; 5] =
    [number::FUNCTIONS, text::FUNCTIONS, logic::FUNCTIONS, time::FUNCTIONS, data::FUNCTIONS];

/// Every function.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.into_iter().flatten()
}

/// The function of this name; case matters, unless only one name fits.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name).or_else(|| all().find(|entry| entry.name.eq_ignore_ascii_case(name)))
}

/// An entry of the table.
const fn entry(
    family: &'static str,
    (name, usage): (&'static str, &'static str),
    (least, most): (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    Entry { name, family, usage, least, most, takes_nulls: false, code: Code::Values(code), note: "" }
}

impl Entry {
    const fn nulls(self) -> Entry {
        Entry { takes_nulls: true, ..self }
    }

    const fn note(self, note: &'static str) -> Entry {
        Entry { note, ..self }
    }

    const fn code(self, code: Code) -> Entry {
        Entry { code, ..self }
    }
}

/// True when the recorded clock can change the value: functions of the clock, and parts of a time that is not given.
pub(crate) fn reads_clock(func: &Func) -> bool {
    const CLOCKS: [&str; 5] = ["timeCurrent", "timeToday", "systemMilli", "systemMicro", "eventTimestamp"];
    match func {
        Func::Call { entry, args, .. } => {
            CLOCKS.contains(&entry.name) || entry.family == "time" && args.is_empty() || args.iter().any(reads_clock)
        }
        _ => false,
    }
}

/// True when the value depends on the window that the event comes from.
pub(crate) fn names_input(func: &Func) -> bool {
    match func {
        Func::Call { entry, args, .. } => matches!(entry.code, Code::Input) || args.iter().any(names_input),
        _ => false,
    }
}

const MANY: usize = MAX_ARGS;

/// Checks constant arguments, and puts those of regular expressions in order: text first.
pub(crate) fn check(entry: &Entry, args: &mut [Func]) -> Result<(), String> {
    if entry.name.starts_with("rgx") && args.len() >= 2 {
        // Both orders are in use; a constant beside a field is the expression.
        if matches!(args[0], Func::Constant(_)) && !matches!(args[1], Func::Constant(_)) {
            args.swap(0, 1);
        }
        if let Func::Constant(pattern) = &args[1] {
            let pattern = text(pattern);
            compile(&pattern).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
        }
    }
    let constant = |at: usize| match args.get(at) {
        Some(Func::Constant(value)) => Some(text(value)),
        _ => None,
    };
    match (entry.name, constant(1)) {
        ("xpath", Some(path)) => super::xpath::check(&path),
        ("json", Some(path)) => super::json::check(&path),
        _ => Ok(()),
    }
}

/// A value as a text; null is empty.
pub(crate) fn text<'v>(value: &'v Scalar<'_>) -> Cow<'v, str> {
    match value {
        Scalar::Text(text) => Cow::Borrowed(text),
        Scalar::Null => Cow::Borrowed(""),
        other => match other.clone().into_owned().converted(Type::String) {
            Ok(Scalar::Text(text)) => text,
            _ => Cow::Borrowed(""),
        },
    }
}

const NOT_A_NUMBER: &str = "the text is not a number";

/// A value as an integer or a real number.
fn number(value: &Scalar<'_>) -> Result<Scalar<'static>, &'static str> {
    Ok(match value {
        Scalar::Integer(value) => Scalar::Integer(*value),
        Scalar::Real(value) => Scalar::Real(*value),
        Scalar::Boolean(value) => Scalar::Integer(i64::from(*value)),
        Scalar::Null => Scalar::Null,
        Scalar::Text(text) => match text.trim().parse::<i64>() {
            Ok(value) => Scalar::Integer(value),
            Err(_) => Scalar::Real(text_to_real(text).ok_or(NOT_A_NUMBER)?),
        },
    })
}

fn real(value: &Scalar<'_>) -> Result<f64, &'static str> {
    Ok(match number(value)? {
        Scalar::Integer(value) => value as f64,
        Scalar::Real(value) => value,
        _ => 0.0,
    })
}

fn integer(value: &Scalar<'_>) -> Result<i64, &'static str> {
    match number(value)? {
        Scalar::Integer(value) => Ok(value),
        Scalar::Real(value) => crate::convert::real_to_integer(value).ok_or(crate::convert::OUT_OF_RANGE),
        _ => Ok(0),
    }
}

/// True or false: numbers by zero, texts by `true`, `yes`, numbers; `None` is null.
pub(crate) fn truth(value: &Scalar<'_>) -> Option<bool> {
    match value {
        Scalar::Null => None,
        Scalar::Boolean(value) => Some(*value),
        Scalar::Integer(value) => Some(*value != 0),
        Scalar::Real(value) => Some(*value != 0.0),
        // Any other text says yes by being there.
        Scalar::Text(text) => Some(crate::convert::text_to_boolean(text).unwrap_or(!text.trim().is_empty())),
    }
}

/// How two values compare: as numbers when both are, else as texts.
fn compared(a: &Scalar<'_>, b: &Scalar<'_>) -> Option<std::cmp::Ordering> {
    match (number(a), number(b)) {
        (Ok(Scalar::Integer(a)), Ok(Scalar::Integer(b))) => Some(a.cmp(&b)),
        (Ok(_), Ok(_)) => real(a).ok()?.partial_cmp(&real(b).ok()?),
        _ => Some(text(a).cmp(&text(b))),
    }
}

/// Equal: as numbers when both are, else as texts; null equals nothing.
pub(crate) fn same(a: &Scalar<'_>, b: &Scalar<'_>) -> bool {
    !a.is_null() && !b.is_null() && compared(a, b) == Some(std::cmp::Ordering::Equal)
}
