//! Runs a checked program row by row: for blocks of a few events, where setting up columns costs more than the work.

use std::borrow::Cow;

use mesh_event::{Block, Column, ColumnData, MONEY_SCALE};

use crate::Type;
use crate::call::call_one;
use crate::date;
use crate::error::{RowError, RowErrors};
use crate::node::{Node, Site, Step};
use crate::scalar::{self, Outcome, Scalar};
use crate::vector::{Data, Vector};

/// A block of up to so many events runs row by row (measured: `cargo bench -p mesh-expr`).
pub(crate) const SMALL_BLOCK: usize = 4;

/// A program at work on the rows of a block, one after the other.
pub(crate) struct RowRun<'a> {
    block: &'a Block,
    row: usize,
    locals: Vec<Scalar<'a>>,
    result: Scalar<'a>,
    pub errors: RowErrors,
}

impl<'a> RowRun<'a> {
    pub fn new(block: &'a Block, locals: usize) -> RowRun<'a> {
        let locals = vec![Scalar::Null; locals];
        RowRun { block, row: 0, locals, result: Scalar::Null, errors: RowErrors::default() }
    }

    /// The value of a program in one row.
    pub fn program(&mut self, steps: &'a [Step], row: usize) -> Scalar<'a> {
        self.row = row;
        // The usual program is one expression.
        if let [Step::Value(value) | Step::Return(value)] = steps {
            return self.node(value);
        }
        self.locals.iter_mut().for_each(|local| *local = Scalar::Null);
        self.result = Scalar::Null;
        self.steps(steps);
        std::mem::replace(&mut self.result, Scalar::Null)
    }

    /// Runs steps; false after a `return`.
    fn steps(&mut self, steps: &'a [Step]) -> bool {
        for step in steps {
            match step {
                Step::Set { slot, value } => self.locals[*slot] = self.node(value),
                Step::Value(value) => self.result = self.node(value),
                Step::Return(value) => {
                    self.result = self.node(value);
                    return false;
                }
                Step::If { condition, then, otherwise } => {
                    let taken = if self.truth(condition) == Some(true) { then } else { otherwise };
                    if !self.steps(taken) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Null, and an error counted, when there is no value.
    pub fn settle(&mut self, outcome: Outcome<'a>, site: Site) -> Scalar<'a> {
        self.settled(outcome, site).unwrap_or(Scalar::Null)
    }

    /// As [`RowRun::settle`].
    fn settled<T>(&mut self, outcome: Result<T, &'static str>, site: Site) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(message) => {
                let first = RowError { row: self.row, line: site.line, column: site.column, message };
                self.errors.add(RowErrors { count: 1, first: Some(first) });
                None
            }
        }
    }

    fn node(&mut self, node: &'a Node) -> Scalar<'a> {
        match node {
            Node::Constant(value) => constant(value),
            Node::Field(index) => field(&self.block.columns[*index], self.row),
            Node::Opcode => Scalar::text(self.block.opcodes[self.row].letters()),
            Node::Flags => Scalar::text(self.block.flags[self.row].letters()),
            Node::Local(slot) => self.locals[*slot].clone(),
            Node::Cast { value, from, to, site } => {
                let value = self.node(value);
                self.settle(scalar::cast(value, *from, *to), *site)
            }
            Node::Integers { .. } => self.integer(node).map_or(Scalar::Null, Scalar::Integer),
            Node::Reals { .. } => self.real(node).map_or(Scalar::Null, Scalar::Real),
            Node::Compare { .. } | Node::And(..) | Node::Or(..) | Node::Not(_) | Node::IsNull(_) | Node::IsBlank(_) => {
                self.truth(node).map_or(Scalar::Null, Scalar::Boolean)
            }
            Node::Concat { left, right, .. } => match (self.node(left), self.node(right)) {
                (Scalar::Text(left), Scalar::Text(right)) => {
                    let mut left = left.into_owned();
                    left.push_str(&right);
                    Scalar::text(left)
                }
                _ => Scalar::Null,
            },
            Node::Call { kernel, args, site } => {
                let values: [Scalar<'a>; 3] = std::array::from_fn(|at| match args.get(at) {
                    Some(arg) => self.node(arg),
                    None => Scalar::Null,
                });
                let given = &values[..args.len()];
                if given.iter().any(Scalar::is_null) {
                    return Scalar::Null;
                }
                self.settle(call_one(*kernel, given), *site)
            }
            Node::Choose { condition, yes, no } => {
                let taken = if self.truth(condition) == Some(true) { yes } else { no };
                self.node(taken)
            }
        }
    }

    /// An expression that gives an integer; `None` is null. Numbers and truths need no [`Scalar`] on their way.
    fn integer(&mut self, node: &'a Node) -> Option<i64> {
        match node {
            Node::Integers { op, left, right, site } => {
                let (left, right) = (self.integer(left), self.integer(right));
                self.settled(scalar::integers(*op, left?, right?), *site)
            }
            Node::Constant(value) => (!value.is_null(0)).then(|| value.integer(0)),
            Node::Field(index) => {
                let column = &self.block.columns[*index];
                match &column.data {
                    ColumnData::Int64(values) if !column.is_null(self.row) => Some(values[self.row]),
                    ColumnData::Int32(values) if !column.is_null(self.row) => Some(i64::from(values[self.row])),
                    _ => None,
                }
            }
            other => match self.node(other) {
                Scalar::Integer(value) => Some(value),
                _ => None,
            },
        }
    }

    /// An expression that gives a real number; as [`RowRun::integer`].
    fn real(&mut self, node: &'a Node) -> Option<f64> {
        match node {
            Node::Reals { op, left, right, site } => {
                let (left, right) = (self.real(left), self.real(right));
                self.settled(scalar::reals(*op, left?, right?), *site)
            }
            Node::Constant(value) => (!value.is_null(0)).then(|| value.as_reals()[0]),
            Node::Field(index) => {
                let column = &self.block.columns[*index];
                match &column.data {
                    ColumnData::Double(values) => (!column.is_null(self.row)).then(|| values[self.row]),
                    _ => match field(column, self.row) {
                        Scalar::Real(value) => Some(value),
                        _ => None,
                    },
                }
            }
            Node::Cast { value, from: Type::Integer, to: Type::Real | Type::Date, .. } => {
                self.integer(value).map(|value| value as f64)
            }
            other => match self.node(other) {
                Scalar::Real(value) => Some(value),
                _ => None,
            },
        }
    }

    /// An expression that gives a boolean; as [`RowRun::integer`].
    fn truth(&mut self, node: &'a Node) -> Option<bool> {
        match node {
            Node::Compare { op, kind, left, right } => match kind {
                Type::Real | Type::Date => {
                    let (left, right) = (self.real(left), self.real(right));
                    Some(scalar::ordered(*op, &left?, &right?))
                }
                Type::Integer => {
                    let (left, right) = (self.integer(left), self.integer(right));
                    Some(scalar::ordered(*op, &left?, &right?))
                }
                Type::Boolean => {
                    let (left, right) = (self.truth(left), self.truth(right));
                    Some(scalar::ordered(*op, &left?, &right?))
                }
                Type::String => match (self.node(left), self.node(right)) {
                    (Scalar::Text(left), Scalar::Text(right)) => {
                        Some(scalar::ordered(*op, left.as_bytes(), right.as_bytes()))
                    }
                    _ => None,
                },
            },
            Node::And(left, right) => self.logical(false, left, right),
            Node::Or(left, right) => self.logical(true, left, right),
            Node::Not(inner) => self.truth(inner).map(|value| !value),
            Node::IsNull(inner) => Some(self.node(inner).is_null()),
            Node::IsBlank(inner) => Some(self.node(inner).str().trim().is_empty()),
            other => match self.node(other) {
                Scalar::Boolean(value) => Some(value),
                _ => None,
            },
        }
    }

    /// Three-valued; a left side that is `stop` decides alone.
    fn logical(&mut self, stop: bool, left: &'a Node, right: &'a Node) -> Option<bool> {
        let left = self.truth(left);
        if left == Some(stop) {
            return left;
        }
        match (left, self.truth(right)) {
            (_, Some(right)) if right == stop => Some(stop),
            (Some(_), Some(_)) => Some(!stop),
            _ => None,
        }
    }
}

fn constant<'a>(value: &'a Vector<'static>) -> Scalar<'a> {
    if value.is_null(0) {
        return Scalar::Null;
    }
    match &value.data {
        Data::Integer(values) => Scalar::Integer(values.get()[0]),
        Data::Real(values) => Scalar::Real(values.get()[0]),
        Data::Boolean(values) => Scalar::Boolean(values.get()[0]),
        Data::Text(_) => Scalar::Text(Cow::Borrowed(value.str(0))),
    }
}

/// A field of a row; widened where the language has no such type.
fn field(column: &Column, row: usize) -> Scalar<'_> {
    if column.is_null(row) {
        return Scalar::Null;
    }
    match &column.data {
        ColumnData::Int32(values) => Scalar::Integer(i64::from(values[row])),
        ColumnData::Int64(values) => Scalar::Integer(values[row]),
        ColumnData::Double(values) => Scalar::Real(values[row]),
        ColumnData::Money(values) => Scalar::Real(values[row] as f64 / MONEY_SCALE as f64),
        ColumnData::Date(values) => Scalar::Real(date::from_seconds(values[row])),
        ColumnData::Stamp(values) => Scalar::Real(date::from_micros(values[row])),
        ColumnData::String(_) => Scalar::Text(Cow::Borrowed(column.str(row))),
        ColumnData::Blob(_) | ColumnData::ArrayInt32(_) | ColumnData::ArrayInt64(_) | ColumnData::ArrayDouble(_) => {
            unreachable!("the checker refuses blobs and arrays")
        }
    }
}
