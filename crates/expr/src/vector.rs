//! The values of an expression for all rows of a block. Constants have one row and stay so through every operator.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use mesh_event::{Bytes2D, NullMask};

use crate::Type;
use crate::scalar::Scalar;

/// Borrowed from the block, made by an operator (most are used once), or shared between uses.
#[derive(Debug)]
pub(crate) enum Shared<'b, T> {
    Borrowed(&'b T),
    Fresh(T),
    Owned(Arc<T>),
}

impl<T: Clone> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Shared::Borrowed(value) => Shared::Borrowed(value),
            Shared::Fresh(value) => Shared::Fresh(value.clone()),
            Shared::Owned(value) => Shared::Owned(value.clone()),
        }
    }
}

impl<T: Clone> Shared<'_, T> {
    pub fn get(&self) -> &T {
        match self {
            Shared::Borrowed(value) => value,
            Shared::Fresh(value) => value,
            Shared::Owned(value) => value,
        }
    }

    /// The same value, cheap to clone from now on.
    fn shared(self) -> Self {
        match self {
            Shared::Fresh(value) => Shared::Owned(Arc::new(value)),
            other => other,
        }
    }

    /// The value itself; copies only what somebody else still uses.
    pub fn take(self) -> T {
        match self {
            Shared::Borrowed(value) => value.clone(),
            Shared::Fresh(value) => value,
            Shared::Owned(value) => Arc::unwrap_or_clone(value),
        }
    }
}

/// The values by representation; dates are held as reals.
#[derive(Debug, Clone)]
pub(crate) enum Data<'b> {
    Integer(Shared<'b, Vec<i64>>),
    Real(Shared<'b, Vec<f64>>),
    Boolean(Shared<'b, Vec<bool>>),
    Text(Shared<'b, Bytes2D>),
}

/// Values, which of them are null, and whether row 0 stands for all.
#[derive(Debug, Clone)]
pub(crate) struct Vector<'b> {
    pub data: Data<'b>,
    pub nulls: Shared<'b, NullMask>,
    pub constant: bool,
}

impl<'b> Vector<'b> {
    pub fn integers(values: Vec<i64>, nulls: NullMask, constant: bool) -> Vector<'b> {
        Vector { data: Data::Integer(Shared::Fresh(values)), nulls: mask(nulls), constant }
    }

    pub fn reals(values: Vec<f64>, nulls: NullMask, constant: bool) -> Vector<'b> {
        Vector { data: Data::Real(Shared::Fresh(values)), nulls: mask(nulls), constant }
    }

    pub fn booleans(values: Vec<bool>, nulls: NullMask, constant: bool) -> Vector<'b> {
        Vector { data: Data::Boolean(Shared::Fresh(values)), nulls: mask(nulls), constant }
    }

    pub fn text(values: Texts, nulls: NullMask, constant: bool) -> Vector<'b> {
        Vector { data: Data::Text(Shared::Fresh(values.into())), nulls: mask(nulls), constant }
    }

    /// Null in every row.
    pub fn null(ty: Type) -> Vector<'b> {
        let mut nulls = NullMask::default();
        nulls.set(0);
        match ty {
            Type::Integer => Vector::integers(vec![0], nulls, true),
            Type::Real | Type::Date => Vector::reals(vec![0.0], nulls, true),
            Type::Boolean => Vector::booleans(vec![false], nulls, true),
            Type::String => Vector::text(Texts::one(""), nulls, true),
        }
    }

    /// The same vector, cheap to clone from now on: for constants and variables.
    pub fn shared(self) -> Vector<'b> {
        let data = match self.data {
            Data::Integer(values) => Data::Integer(values.shared()),
            Data::Real(values) => Data::Real(values.shared()),
            Data::Boolean(values) => Data::Boolean(values.shared()),
            Data::Text(values) => Data::Text(values.shared()),
        };
        Vector { data, nulls: self.nulls.shared(), constant: self.constant }
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get().is_null(if self.constant { 0 } else { row })
    }

    /// True when every row is null because row 0 stands for all.
    pub fn is_null_constant(&self) -> bool {
        self.constant && self.is_null(0)
    }

    pub fn as_integers(&self) -> &[i64] {
        match &self.data {
            Data::Integer(values) => values.get(),
            _ => unreachable!("the checker put a conversion to integer here"),
        }
    }

    pub fn as_reals(&self) -> &[f64] {
        match &self.data {
            Data::Real(values) => values.get(),
            _ => unreachable!("the checker put a conversion to real here"),
        }
    }

    pub fn as_booleans(&self) -> &[bool] {
        match &self.data {
            Data::Boolean(values) => values.get(),
            _ => unreachable!("the checker put a conversion to boolean here"),
        }
    }

    pub fn as_texts(&self) -> &Bytes2D {
        match &self.data {
            Data::Text(values) => values.get(),
            _ => unreachable!("the checker put a conversion to string here"),
        }
    }

    pub fn bytes(&self, row: usize) -> &[u8] {
        self.as_texts().row(if self.constant { 0 } else { row })
    }

    pub fn str(&self, row: usize) -> &str {
        std::str::from_utf8(self.bytes(row)).unwrap_or_default()
    }

    pub fn integer(&self, row: usize) -> i64 {
        self.as_integers()[if self.constant { 0 } else { row }]
    }

    pub fn boolean(&self, row: usize) -> bool {
        self.as_booleans()[if self.constant { 0 } else { row }]
    }

    /// One row.
    pub fn scalar(&self, row: usize) -> Scalar<'_> {
        if self.is_null(row) {
            return Scalar::Null;
        }
        let at = if self.constant { 0 } else { row };
        match &self.data {
            Data::Integer(values) => Scalar::Integer(values.get()[at]),
            Data::Real(values) => Scalar::Real(values.get()[at]),
            Data::Boolean(values) => Scalar::Boolean(values.get()[at]),
            Data::Text(_) => Scalar::Text(Cow::Borrowed(self.str(row))),
        }
    }

    /// A vector with a row for each of `rows`.
    pub fn expanded(self, rows: usize) -> Vector<'b> {
        if !self.constant {
            return self;
        }
        let mut nulls = NullMask::default();
        if self.is_null(0) {
            (0..rows).for_each(|row| nulls.set(row));
        }
        match &self.data {
            Data::Integer(values) => Vector::integers(vec![values.get()[0]; rows], nulls, false),
            Data::Real(values) => Vector::reals(vec![values.get()[0]; rows], nulls, false),
            Data::Boolean(values) => Vector::booleans(vec![values.get()[0]; rows], nulls, false),
            Data::Text(_) => {
                let mut texts = Texts::default();
                let text = self.str(0);
                for row in 0..rows {
                    if !texts.push(text) {
                        nulls.set(row);
                    }
                }
                Vector::text(texts, nulls, false)
            }
        }
    }

    /// `other` where `chosen`, this one elsewhere.
    pub fn blended(self, other: Vector<'b>, chosen: &[bool]) -> Vector<'b> {
        let rows = chosen.len();
        let (base, other) = (self.expanded(rows), other.expanded(rows));
        let mut nulls = NullMask::default();
        for (row, &chosen) in chosen.iter().enumerate() {
            if if chosen { other.is_null(row) } else { base.is_null(row) } {
                nulls.set(row);
            }
        }
        match (base.data, other.data) {
            (Data::Integer(base), Data::Integer(other)) => {
                Vector::integers(picked(base.take(), other.get(), chosen), nulls, false)
            }
            (Data::Real(base), Data::Real(other)) => {
                Vector::reals(picked(base.take(), other.get(), chosen), nulls, false)
            }
            (Data::Boolean(base), Data::Boolean(other)) => {
                Vector::booleans(picked(base.take(), other.get(), chosen), nulls, false)
            }
            (Data::Text(base), Data::Text(other)) => {
                let mut texts = Texts::default();
                for (row, &chosen) in chosen.iter().enumerate() {
                    let text = if chosen { other.get().row(row) } else { base.get().row(row) };
                    if !texts.push(std::str::from_utf8(text).unwrap_or_default()) {
                        nulls.set(row);
                    }
                }
                Vector::text(texts, nulls, false)
            }
            _ => unreachable!("the checker gave both sides one type"),
        }
    }
}

/// The mask of most vectors.
static NO_NULLS: LazyLock<NullMask> = LazyLock::new(NullMask::default);

fn mask<'b>(nulls: NullMask) -> Shared<'b, NullMask> {
    if nulls.is_empty() { Shared::Borrowed(&NO_NULLS) } else { Shared::Fresh(nulls) }
}

fn picked<T: Copy>(mut base: Vec<T>, other: &[T], chosen: &[bool]) -> Vec<T> {
    for ((base, other), chosen) in base.iter_mut().zip(other).zip(chosen) {
        if *chosen {
            *base = *other;
        }
    }
    base
}

/// Texts of a block in the making: one buffer for all rows.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub text: String,
    pub ends: Vec<u32>,
}

impl From<Texts> for Bytes2D {
    fn from(texts: Texts) -> Bytes2D {
        Bytes2D { ends: texts.ends, bytes: texts.text.into_bytes().into() }
    }
}

impl Texts {
    pub fn with_rows(rows: usize) -> Texts {
        Texts { text: String::new(), ends: Vec::with_capacity(rows) }
    }

    pub fn one(text: &str) -> Texts {
        Texts { text: text.to_owned(), ends: vec![text.len() as u32] }
    }

    /// Adds a row; false, and an empty row, when the block's text would pass 4 GiB.
    pub fn push(&mut self, text: &str) -> bool {
        self.text.push_str(text);
        self.close()
    }

    /// Ends the row whose text was appended to `text`; as [`Texts::push`].
    pub fn close(&mut self) -> bool {
        let start = self.ends.last().copied().unwrap_or(0);
        match u32::try_from(self.text.len()) {
            Ok(end) => {
                self.ends.push(end);
                true
            }
            Err(_) => {
                self.text.truncate(start as usize);
                self.ends.push(start);
                false
            }
        }
    }
}

/// Null where either is null.
pub(crate) fn union(a: &NullMask, b: &NullMask) -> NullMask {
    let (long, short) = if a.words().len() >= b.words().len() { (a, b) } else { (b, a) };
    let mut words = long.words().to_vec();
    for (word, other) in words.iter_mut().zip(short.words()) {
        *word |= other;
    }
    NullMask::from_words(words)
}
