//! The loops: one operator over all rows. The kind of operator is chosen once per block, never per row.

use std::cmp::Ordering;

use mesh_event::NullMask;

use crate::active::Active;
use crate::ast::Comparison;
use crate::error::{RowError, RowErrors};
use crate::node::{Arithmetic, Site};
use crate::scalar::{DIVISION, OVERFLOW};
use crate::vector::{Vector, union};

/// Where an operator works and where it reports: only errors of active rows count.
pub(crate) struct Context<'a> {
    pub rows: usize,
    pub active: &'a Active,
    pub errors: &'a mut RowErrors,
    pub site: Site,
}

impl Context<'_> {
    /// Reports an error of a row; of a constant it is one of every active row.
    pub fn fail(&mut self, row: usize, constant: bool, message: &'static str) {
        let (row, count) = if constant {
            match self.active.first() {
                Some(row) => (row, self.active.count(self.rows)),
                None => return,
            }
        } else if self.active.is(row) {
            (row, 1)
        } else {
            return;
        };
        let first = RowError { row, line: self.site.line, column: self.site.column, message };
        self.errors.add(RowErrors { count: count as u64, first: Some(first) });
    }

    /// Calls `each` for every row that is not null and makes those null for which it has no value.
    pub fn rows_of<T: Clone>(
        &mut self,
        nulls: &mut NullMask,
        constant: bool,
        empty: T,
        message: &'static str,
        each: impl Fn(usize) -> Option<T>,
    ) -> Vec<T> {
        let rows = if constant { 1 } else { self.rows };
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let value = if nulls.is_null(row) { Some(empty.clone()) } else { each(row) };
            values.push(value.unwrap_or_else(|| {
                nulls.set(row);
                self.fail(row, constant, message);
                empty.clone()
            }));
        }
        values
    }
}

/// Where an operator of two operands is null; `None` when a constant makes it null everywhere.
pub(crate) fn nulls_of(left: &Vector<'_>, right: &Vector<'_>) -> Option<NullMask> {
    if left.is_null_constant() || right.is_null_constant() {
        return None;
    }
    Some(match (left.constant, right.constant) {
        (true, false) => right.nulls.get().clone(),
        (false, true) => left.nulls.get().clone(),
        _ => union(left.nulls.get(), right.nulls.get()),
    })
}

/// An operator over two slices, either of which may be one constant.
fn zip<A: Copy, B: Copy, R>((a, a_one): (&[A], bool), (b, b_one): (&[B], bool), f: impl Fn(A, B) -> R) -> Vec<R> {
    match (a_one, b_one) {
        (false, false) => a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect(),
        (false, true) => a.iter().map(|a| f(*a, b[0])).collect(),
        (true, false) => b.iter().map(|b| f(a[0], *b)).collect(),
        (true, true) => vec![f(a[0], b[0])],
    }
}

/// A fallible operator over two vectors.
fn zip_checked<A: Copy, T: Clone>(
    context: &mut Context<'_>,
    (a, a_one): (&[A], bool),
    (b, b_one): (&[A], bool),
    (nulls, empty, message): (&mut NullMask, T, &'static str),
    f: impl Fn(A, A) -> Option<T>,
) -> Vec<T> {
    let pick = |one: bool, row: usize| if one { 0 } else { row };
    context.rows_of(nulls, a_one && b_one, empty, message, |row| f(a[pick(a_one, row)], b[pick(b_one, row)]))
}

pub(crate) fn integers<'b>(
    op: Arithmetic,
    left: &Vector<'_>,
    right: &Vector<'_>,
    context: &mut Context<'_>,
) -> Option<Vector<'b>> {
    let mut nulls = nulls_of(left, right)?;
    let constant = left.constant && right.constant;
    let (a, b) = ((left.as_integers(), left.constant), (right.as_integers(), right.constant));
    let (f, message): (fn(i64, i64) -> Option<i64>, _) = match op {
        Arithmetic::Add => (i64::checked_add, OVERFLOW),
        Arithmetic::Subtract => (i64::checked_sub, OVERFLOW),
        Arithmetic::Multiply => (i64::checked_mul, OVERFLOW),
        Arithmetic::Remainder | Arithmetic::Divide => {
            (|a, b| if b == 0 { None } else { Some(a.wrapping_rem(b)) }, DIVISION)
        }
    };
    let values = zip_checked(context, a, b, (&mut nulls, 0, message), f);
    Some(Vector::integers(values, nulls, constant))
}

pub(crate) fn reals<'b>(
    op: Arithmetic,
    left: &Vector<'_>,
    right: &Vector<'_>,
    context: &mut Context<'_>,
) -> Option<Vector<'b>> {
    let mut nulls = nulls_of(left, right)?;
    let constant = left.constant && right.constant;
    let (a, b) = ((left.as_reals(), left.constant), (right.as_reals(), right.constant));
    let values = match op {
        Arithmetic::Add => zip(a, b, |a, b| a + b),
        Arithmetic::Subtract => zip(a, b, |a, b| a - b),
        Arithmetic::Multiply => zip(a, b, |a, b| a * b),
        Arithmetic::Divide if b.1 && b.0[0] != 0.0 => zip(a, b, |a, b| a / b),
        Arithmetic::Divide => zip_checked(context, a, b, (&mut nulls, 0.0, DIVISION), |a, b| (b != 0.0).then(|| a / b)),
        Arithmetic::Remainder => {
            zip_checked(context, a, b, (&mut nulls, 0.0, DIVISION), |a, b| (b != 0.0).then(|| a % b))
        }
    };
    Some(Vector::reals(values, nulls, constant))
}

pub(crate) fn compare<'b>(op: Comparison, left: &Vector<'_>, right: &Vector<'_>, rows: usize) -> Option<Vector<'b>> {
    use crate::vector::Data;
    let nulls = nulls_of(left, right)?;
    let constant = left.constant && right.constant;
    let values = match (&left.data, &right.data) {
        (Data::Integer(a), Data::Integer(b)) => ordered(op, (a.get(), left.constant), (b.get(), right.constant)),
        (Data::Real(a), Data::Real(b)) => ordered(op, (a.get(), left.constant), (b.get(), right.constant)),
        (Data::Boolean(a), Data::Boolean(b)) => ordered(op, (a.get(), left.constant), (b.get(), right.constant)),
        _ => {
            let rows = if constant { 1 } else { rows };
            let test: fn(Ordering) -> bool = match op {
                Comparison::Equal => Ordering::is_eq,
                Comparison::NotEqual => Ordering::is_ne,
                Comparison::Less => Ordering::is_lt,
                Comparison::LessEqual => Ordering::is_le,
                Comparison::Greater => Ordering::is_gt,
                Comparison::GreaterEqual => Ordering::is_ge,
            };
            (0..rows).map(|row| test(left.bytes(row).cmp(right.bytes(row)))).collect()
        }
    };
    Some(Vector::booleans(values, nulls, constant))
}

fn ordered<T: Copy + PartialOrd>(op: Comparison, a: (&[T], bool), b: (&[T], bool)) -> Vec<bool> {
    match op {
        Comparison::Equal => zip(a, b, |a, b| a == b),
        Comparison::NotEqual => zip(a, b, |a, b| a != b),
        Comparison::Less => zip(a, b, |a, b| a < b),
        Comparison::LessEqual => zip(a, b, |a, b| a <= b),
        Comparison::Greater => zip(a, b, |a, b| a > b),
        Comparison::GreaterEqual => zip(a, b, |a, b| a >= b),
    }
}

/// Three-valued `and` (`stop` = false) and `or` (`stop` = true): a side that is `stop` decides, else null wins.
pub(crate) fn logical<'b>(stop: bool, left: &Vector<'_>, right: &Vector<'_>, rows: usize) -> Vector<'b> {
    let constant = left.constant && right.constant;
    let rows = if constant { 1 } else { rows };
    let mut nulls = NullMask::default();
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let decides = |side: &Vector<'_>| !side.is_null(row) && side.boolean(row) == stop;
        let decided = decides(left) || decides(right);
        if !decided && (left.is_null(row) || right.is_null(row)) {
            nulls.set(row);
        }
        values.push(decided == stop);
    }
    Vector::booleans(values, nulls, constant)
}
