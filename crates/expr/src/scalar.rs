//! One value: what the row engine and the functions of the library compute with.

use std::borrow::Cow;

use crate::Type;
use crate::ast::Comparison;
use crate::convert::{
    NO_SUCH_DATE, NOT_A_BOOLEAN, NOT_A_DATE, NOT_A_NUMBER, OUT_OF_RANGE, real_to_integer, text_to_boolean,
    text_to_integer, text_to_real, write_integer, write_real,
};
use crate::date;
use crate::node::Arithmetic;

/// A value of a row; dates are held as reals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

/// A value, or why there is none.
pub(crate) type Outcome<'a> = Result<Scalar<'a>, &'static str>;

pub(crate) const OVERFLOW: &str = "integer overflow";
pub(crate) const DIVISION: &str = "division by zero";

impl<'a> Scalar<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Scalar<'a> {
        Scalar::Text(text.into())
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// True, and not null.
    pub fn holds(&self) -> bool {
        matches!(self, Scalar::Boolean(true))
    }

    /// The same value, free of what it was borrowed from.
    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Integer(value) => Scalar::Integer(value),
            Scalar::Real(value) => Scalar::Real(value),
            Scalar::Boolean(value) => Scalar::Boolean(value),
            Scalar::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// The same value, borrowed.
    pub fn borrowed(&self) -> Scalar<'_> {
        match self {
            Scalar::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Scalar::Null => Scalar::Null,
            Scalar::Integer(value) => Scalar::Integer(*value),
            Scalar::Real(value) => Scalar::Real(*value),
            Scalar::Boolean(value) => Scalar::Boolean(*value),
        }
    }

    /// The type of a value that carries no date.
    pub fn kind(&self) -> Option<Type> {
        match self {
            Scalar::Null => None,
            Scalar::Integer(_) => Some(Type::Integer),
            Scalar::Real(_) => Some(Type::Real),
            Scalar::Boolean(_) => Some(Type::Boolean),
            Scalar::Text(_) => Some(Type::String),
        }
    }

    /// Converted to a type, whatever it is.
    pub fn converted(self, to: Type) -> Outcome<'a> {
        match self.kind() {
            None => Ok(Scalar::Null),
            Some(from) => cast(self, from, to),
        }
    }

    /// An integer where the checker put one; 0 for anything else.
    pub fn integer(&self) -> i64 {
        if let Scalar::Integer(value) = self { *value } else { 0 }
    }

    /// A real number where the checker put one; 0 for anything else.
    pub fn real(&self) -> f64 {
        if let Scalar::Real(value) = self { *value } else { 0.0 }
    }

    /// A text where the checker put one; empty for anything else.
    pub fn str(&self) -> &str {
        if let Scalar::Text(text) = self { text } else { "" }
    }
}

/// Converts a value of type `from`.
pub(crate) fn cast(value: Scalar<'_>, from: Type, to: Type) -> Outcome<'_> {
    Ok(match (value, to) {
        (Scalar::Null, _) => Scalar::Null,
        (Scalar::Integer(v), Type::Real | Type::Date) => Scalar::Real(v as f64),
        (Scalar::Integer(v), Type::Boolean) => Scalar::Boolean(v != 0),
        (Scalar::Integer(v), Type::String) => {
            let mut out = String::new();
            write_integer(v, &mut out);
            Scalar::text(out)
        }
        (Scalar::Real(v), Type::Integer) => Scalar::Integer(real_to_integer(v).ok_or(OUT_OF_RANGE)?),
        (Scalar::Real(v), Type::Boolean) => Scalar::Boolean(v != 0.0),
        (Scalar::Real(v), Type::String) => {
            let mut out = String::new();
            if from != Type::Date {
                write_real(v, &mut out);
            } else if !date::write(v, &mut out) {
                return Err(NO_SUCH_DATE);
            }
            Scalar::text(out)
        }
        (Scalar::Boolean(v), Type::Integer) => Scalar::Integer(i64::from(v)),
        (Scalar::Boolean(v), Type::Real | Type::Date) => Scalar::Real(f64::from(u8::from(v))),
        (Scalar::Boolean(v), Type::String) => Scalar::text(if v { "true" } else { "false" }),
        (Scalar::Text(v), Type::Integer) => Scalar::Integer(text_to_integer(&v).ok_or(NOT_A_NUMBER)?),
        (Scalar::Text(v), Type::Real) => Scalar::Real(text_to_real(&v).ok_or(NOT_A_NUMBER)?),
        (Scalar::Text(v), Type::Date) => Scalar::Real(date::parse(&v).ok_or(NOT_A_DATE)?),
        (Scalar::Text(v), Type::Boolean) => Scalar::Boolean(text_to_boolean(&v).ok_or(NOT_A_BOOLEAN)?),
        (value, _) => value,
    })
}

/// An operator over two integers.
pub(crate) fn integers(op: Arithmetic, a: i64, b: i64) -> Result<i64, &'static str> {
    match op {
        Arithmetic::Add => a.checked_add(b).ok_or(OVERFLOW),
        Arithmetic::Subtract => a.checked_sub(b).ok_or(OVERFLOW),
        Arithmetic::Multiply => a.checked_mul(b).ok_or(OVERFLOW),
        Arithmetic::Divide | Arithmetic::Remainder if b == 0 => Err(DIVISION),
        Arithmetic::Divide | Arithmetic::Remainder => Ok(a.wrapping_rem(b)),
    }
}

/// An operator over two real numbers.
pub(crate) fn reals(op: Arithmetic, a: f64, b: f64) -> Result<f64, &'static str> {
    match op {
        Arithmetic::Add => Ok(a + b),
        Arithmetic::Subtract => Ok(a - b),
        Arithmetic::Multiply => Ok(a * b),
        Arithmetic::Divide | Arithmetic::Remainder if b == 0.0 => Err(DIVISION),
        Arithmetic::Divide => Ok(a / b),
        Arithmetic::Remainder => Ok(a % b),
    }
}

/// A comparison of two values of one type.
pub(crate) fn ordered<T: PartialOrd + ?Sized>(op: Comparison, a: &T, b: &T) -> bool {
    match op {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => a < b,
        Comparison::LessEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterEqual => a >= b,
    }
}
