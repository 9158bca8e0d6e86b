//! Runs a checked program row by row: for blocks of a few events, where setting up columns costs more than the work.

mod flow;

use std::borrow::Cow;

use mesh_event::{Block, Column, ColumnData, MONEY_SCALE};

use crate::Type;
use crate::ast::ObjectKind;
use crate::call::call_one;
use crate::check::Checked;
use crate::date;
use crate::error::{RowError, RowErrors};
use crate::functions::{Kernel, RAISED};
use crate::node::{Node, ObjectPlace, Place, Site, Step};
use crate::object::{Method, Object, split};
use crate::scalar::{self, Outcome, Scalar};
use crate::scope::Library;
use crate::state::State;
use crate::store::WHOLE;
use crate::vector::Vector;

/// A block of up to so many events runs row by row (measured: `cargo bench -p mesh-expr`).
pub(crate) const SMALL_BLOCK: usize = 4;

/// Most rounds of loops, jumps and calls of user functions for one event.
const MAX_ROUNDS: u32 = 1_000_000;
/// Deepest nesting of calls of user functions.
const MAX_CALLS: usize = 16;

const TOO_LONG: &str = "the program takes more than 1000000 loop rounds, jumps and calls";
const TOO_DEEP: &str = "user functions call each other deeper than 16 levels";

/// Programs of a window at work on the rows of a block, one after the other.
pub(crate) struct RowRun<'a, 's> {
    block: &'a Block,
    row: usize,
    library: &'a Library,
    state: &'s mut State,
    frame: Frame<'a>,
    calls: usize,
    rounds: u32,
    /// `raiseerror` was called.
    raised: bool,
    pub errors: RowErrors,
}

/// What one program, or one call of a user function, has for itself.
#[derive(Default)]
struct Frame<'a> {
    locals: Vec<Scalar<'a>>,
    objects: Vec<Option<Object>>,
    parameters: Vec<Scalar<'a>>,
    result: Option<Scalar<'a>>,
}

impl<'a, 's> RowRun<'a, 's> {
    /// Runs the initializer when this is the first event of the window.
    pub fn new(block: &'a Block, library: &'a Library, state: &'s mut State) -> RowRun<'a, 's> {
        let frame = Frame::default();
        let errors = RowErrors::default();
        let mut run = RowRun { block, row: 0, library, state, frame, calls: 0, rounds: 0, raised: false, errors };
        if let Some(initializer) = library.initializer.as_ref().filter(|_| !run.state.started && !block.is_empty()) {
            run.state.started = true;
            run.program(initializer, 0);
        }
        run
    }

    /// The value of a program in one row.
    pub fn program(&mut self, code: &'a Checked, row: usize) -> Scalar<'a> {
        (self.row, self.rounds, self.raised) = (row, 0, false);
        // The usual program is one expression, and has no variables of its own.
        if let ([Step::Value(value) | Step::Return(value)], []) = (code.steps.as_slice(), code.locals.as_slice())
            && code.objects == 0
        {
            return self.node(value);
        }
        self.body(code, Vec::new())
    }

    /// A program as a condition; null is false.
    pub fn condition(&mut self, code: &'a Checked, row: usize) -> bool {
        let value = self.program(code, row);
        let outcome = match code.result {
            Some(result) => scalar::cast(value, result, Type::Boolean),
            None => Ok(Scalar::Null),
        };
        self.settle(outcome, WHOLE).holds()
    }

    /// Runs a program with variables of its own.
    fn body(&mut self, code: &'a Checked, parameters: Vec<Scalar<'a>>) -> Scalar<'a> {
        let frame = Frame {
            locals: vec![Scalar::Null; code.locals.len()],
            objects: vec![None; code.objects],
            parameters,
            result: None,
        };
        let outer = std::mem::replace(&mut self.frame, frame);
        self.steps(&code.steps);
        let frame = std::mem::replace(&mut self.frame, outer);
        frame.result.unwrap_or(Scalar::Null)
    }

    fn set(&mut self, place: Place, value: Scalar<'a>) {
        match place {
            Place::Local(slot) => self.frame.locals[slot] = value,
            Place::Kept(slot) => self.state.set_slot(slot, value.into_owned()),
        }
    }

    fn get(&self, place: Place) -> Scalar<'a> {
        match place {
            Place::Local(slot) => self.frame.locals[slot].clone(),
            Place::Kept(slot) => self.state.slot(slot),
        }
    }

    fn user(&mut self, index: usize, args: &'a [Node], site: Site) -> Scalar<'a> {
        let args: Vec<Scalar<'a>> = args.iter().map(|arg| self.node(arg)).collect();
        let Some(code) = &self.library.functions[index].code else { return Scalar::Null };
        if self.calls == MAX_CALLS {
            return self.settle(Err(TOO_DEEP), site);
        }
        if !self.round(site) {
            return Scalar::Null;
        }
        self.calls += 1;
        let result = self.body(code, args);
        self.calls -= 1;
        result
    }

    fn parameter(&mut self, number: &'a Node, as_text: bool, site: Site) -> Scalar<'a> {
        let number = self.integer(number).and_then(|number| usize::try_from(number).ok());
        let value = number.and_then(|number| self.frame.parameters.get(number.checked_sub(1)?).cloned());
        let to = if as_text { Type::String } else { Type::Real };
        let converted = value.unwrap_or(Scalar::Null).converted(to);
        self.settle(converted, site)
    }

    fn method(
        &mut self,
        (place, kind): (ObjectPlace, ObjectKind),
        method: Method,
        args: &'a [Node],
        site: Site,
    ) -> Scalar<'a> {
        let values: Vec<Scalar<'a>> = args.iter().map(|arg| self.node(arg)).collect();
        let may_be_null = usize::from(method == Method::Set);
        if values[..values.len() - may_be_null.min(values.len())].iter().any(Scalar::is_null) {
            return Scalar::Null;
        }
        let (objects, at) = match place {
            ObjectPlace::Local(at) => (&mut self.frame.objects, at),
            ObjectPlace::Kept(at) => (&mut self.state.objects, at),
        };
        if objects.len() <= at {
            objects.resize(at + 1, None);
        }
        let object = objects[at].get_or_insert_with(|| Object::new(kind));
        let outcome = object.call(method, &values, &mut self.state.patterns);
        self.settle(outcome, site)
    }

    fn parse_into(&mut self, text: &'a Node, delimiters: &'a Node, into: &[Place]) -> Scalar<'a> {
        let (text, delimiters) = (self.node(text), self.node(delimiters));
        if text.is_null() || delimiters.is_null() {
            return Scalar::Null;
        }
        let parts: Vec<Scalar<'a>> =
            split(text.str(), delimiters.str()).map(|part| Scalar::text(part.to_owned())).collect();
        let count = parts.len() as i64;
        let mut parts = parts.into_iter();
        for place in into {
            self.set(*place, parts.next().unwrap_or(Scalar::Null));
        }
        Scalar::Integer(count)
    }

    fn bind(&mut self, slot: usize, value: &'a Node) -> Option<bool> {
        let value = self.node(value);
        if value.is_null() {
            return None;
        }
        match self.state.slots.get(slot).and_then(Option::as_ref) {
            Some(bound) => Some(equal(bound, &value)),
            None => {
                self.state.set_slot(slot, value.into_owned());
                Some(true)
            }
        }
    }

    fn call(&mut self, kernel: Kernel, args: &'a [Node], site: Site) -> Scalar<'a> {
        const FEW: usize = 4;
        if args.len() > FEW {
            let values: Vec<Scalar<'a>> = args.iter().map(|arg| self.node(arg)).collect();
            return self.called(kernel, &values, site);
        }
        let values: [Scalar<'a>; FEW] = std::array::from_fn(|at| match args.get(at) {
            Some(arg) => self.node(arg),
            None => Scalar::Null,
        });
        self.called(kernel, &values[..args.len()], site)
    }

    fn called(&mut self, kernel: Kernel, args: &[Scalar<'a>], site: Site) -> Scalar<'a> {
        if args.iter().any(Scalar::is_null) {
            return Scalar::Null;
        }
        let outcome = call_one(kernel, args, self.state);
        self.settle(outcome, site)
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
                self.raised |= message == RAISED;
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
            Node::Local(slot) => self.frame.locals[*slot].clone(),
            Node::Kept(slot) => self.state.slot(*slot),
            Node::User { index, args, site } => self.user(*index, args, *site),
            Node::Parameter { number, as_text, site } => self.parameter(number, *as_text, *site),
            Node::Method { object, kind, method, args, site } => self.method((*object, *kind), *method, args, *site),
            Node::ParseInto { text, delimiters, into } => self.parse_into(text, delimiters, into),
            Node::Cast { value, from, to, site } => {
                let value = self.node(value);
                self.settle(scalar::cast(value, *from, *to), *site)
            }
            Node::Integers { .. } => self.integer(node).map_or(Scalar::Null, Scalar::Integer),
            Node::Reals { .. } => self.real(node).map_or(Scalar::Null, Scalar::Real),
            Node::Compare { .. }
            | Node::And(..)
            | Node::Or(..)
            | Node::Not(_)
            | Node::IsNull(_)
            | Node::IsBlank(_)
            | Node::Bind { .. } => self.truth(node).map_or(Scalar::Null, Scalar::Boolean),
            Node::Concat { left, right, .. } => match (self.node(left), self.node(right)) {
                (Scalar::Text(left), Scalar::Text(right)) => {
                    let mut left = left.into_owned();
                    left.push_str(&right);
                    Scalar::text(left)
                }
                _ => Scalar::Null,
            },
            Node::Call { kernel, args, site } => self.call(*kernel, args, *site),
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
            Node::Bind { slot, value } => self.bind(*slot, value),
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

/// Equal, across numeric types too.
fn equal(a: &Scalar<'_>, b: &Scalar<'_>) -> bool {
    match (a, b) {
        (Scalar::Integer(a), Scalar::Real(b)) | (Scalar::Real(b), Scalar::Integer(a)) => *a as f64 == *b,
        (a, b) => a == b,
    }
}

fn constant<'a>(value: &'a Vector<'static>) -> Scalar<'a> {
    value.scalar(0)
}

/// A field of a row; widened where the language has no such type.
pub(crate) fn field(column: &Column, row: usize) -> Scalar<'_> {
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
