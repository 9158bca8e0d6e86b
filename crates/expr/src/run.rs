//! Runs a checked program over a block, column by column. Branches run for the rows that take them.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnData, Flags, NullMask};

use crate::Type;
use crate::active::{Active, holds};
use crate::call::call;
use crate::convert::{cast, make_texts};
use crate::error::RowErrors;
use crate::kernel::{self, Context};
use crate::node::{Node, Place, Site, Step};
use crate::vector::{Data, Shared, Texts, Vector};

const ROWS_ONLY: &str = "the checker marks what only the row engine can do";

/// A program at work on a block.
pub(crate) struct Run<'b> {
    block: &'b Block,
    rows: usize,
    locals: Vec<Vector<'b>>,
    /// Nothing until a step gives a value.
    result: Option<Vector<'b>>,
    result_type: Type,
    pub errors: RowErrors,
}

impl<'b> Run<'b> {
    pub fn new(block: &'b Block, locals: &[Type], result: Type) -> Run<'b> {
        let locals = locals.iter().map(|ty| Vector::null(*ty)).collect();
        Run { block, rows: block.len(), locals, result: None, result_type: result, errors: RowErrors::default() }
    }

    /// The value of a program in every row.
    pub fn program(&mut self, steps: &[Step]) -> Vector<'b> {
        // The usual program is one expression.
        if let [Step::Value(value) | Step::Return(value)] = steps {
            return self.node(value, &Active::All);
        }
        self.steps(steps, Active::All);
        self.result.take().unwrap_or_else(|| Vector::null(self.result_type))
    }

    /// Runs steps for the active rows; gives those that have not returned.
    fn steps(&mut self, steps: &[Step], mut active: Active) -> Active {
        for step in steps {
            if !active.any(self.rows) {
                break;
            }
            match step {
                Step::Set { place: Place::Local(slot), value } => {
                    let value = self.node(value, &active);
                    let before = std::mem::replace(&mut self.locals[*slot], Vector::null(Type::Integer));
                    self.locals[*slot] = chosen(before, value, &active).shared();
                }
                Step::Value(value) => self.set_result(value, &active),
                Step::Return(value) => {
                    self.set_result(value, &active);
                    return Active::Some(vec![false; self.rows]);
                }
                Step::If { condition, then, otherwise } => {
                    let condition = self.node(condition, &active);
                    let yes = active.only(self.rows, |row| holds(&condition, row));
                    let no = active.only(self.rows, |row| !holds(&condition, row));
                    let yes = self.steps(then, yes);
                    let no = self.steps(otherwise, no);
                    active = yes.or(&no);
                }
                _ => unreachable!("{ROWS_ONLY}"),
            }
        }
        active
    }

    fn set_result(&mut self, value: &Node, active: &Active) {
        let value = self.node(value, active);
        let before = self.result.take().unwrap_or_else(|| Vector::null(self.result_type));
        self.result = Some(chosen(before, value, active));
    }

    /// An expression in every row; errors count in active rows only.
    fn node(&mut self, node: &Node, active: &Active) -> Vector<'b> {
        match node {
            Node::Constant(value) => value.clone(),
            Node::Field(index) => field(&self.block.columns[*index]),
            Node::Opcode => self.letters(|block, row| block.opcodes[row].letters()),
            Node::Flags => self.letters(|block, row| flag_letters(block.flags[row])),
            Node::Local(slot) => self.locals[*slot].clone(),
            Node::Cast { value, from, to, site } => {
                let value = self.node(value, active);
                cast(value, *from, *to, &mut self.context(active, *site))
            }
            Node::Integers { op, left, right, site } => {
                let (left, right) = (self.node(left, active), self.node(right, active));
                let value = kernel::integers(*op, &left, &right, &mut self.context(active, *site));
                value.unwrap_or_else(|| Vector::null(Type::Integer))
            }
            Node::Reals { op, left, right, site } => {
                let (left, right) = (self.node(left, active), self.node(right, active));
                let value = kernel::reals(*op, &left, &right, &mut self.context(active, *site));
                value.unwrap_or_else(|| Vector::null(Type::Real))
            }
            Node::Compare { op, left, right, .. } => {
                let (left, right) = (self.node(left, active), self.node(right, active));
                kernel::compare(*op, &left, &right, self.rows).unwrap_or_else(|| Vector::null(Type::Boolean))
            }
            Node::And(left, right) => self.logical(false, left, right, active),
            Node::Or(left, right) => self.logical(true, left, right, active),
            Node::Not(inner) => {
                let inner = self.node(inner, active);
                let values = inner.as_booleans().iter().map(|value| !value).collect();
                Vector::booleans(values, inner.nulls.get().clone(), inner.constant)
            }
            Node::Concat { left, right, site } => {
                let (left, right) = (self.node(left, active), self.node(right, active));
                let Some(nulls) = kernel::nulls_of(&left, &right) else { return Vector::null(Type::String) };
                let constant = left.constant && right.constant;
                make_texts(nulls, &mut self.context(active, *site), constant, |row, out| {
                    out.push_str(left.str(row));
                    out.push_str(right.str(row));
                    None
                })
            }
            Node::IsNull(inner) => {
                let inner = self.node(inner, active);
                self.each(inner.constant, |row| inner.is_null(row))
            }
            Node::IsBlank(inner) => {
                let inner = self.node(inner, active);
                self.each(inner.constant, |row| inner.is_null(row) || inner.str(row).trim().is_empty())
            }
            Node::Call { kernel, args, site } => {
                let args: Vec<Vector<'b>> = args.iter().map(|arg| self.node(arg, active)).collect();
                let value = call(*kernel, &args, &mut self.context(active, *site));
                value.unwrap_or_else(|| Vector::null(crate::check::result_type(*kernel)))
            }
            Node::Kept(_)
            | Node::User { .. }
            | Node::Parameter { .. }
            | Node::Method { .. }
            | Node::ParseInto { .. }
            | Node::Bind { .. } => unreachable!("{ROWS_ONLY}"),
        }
    }

    /// `and`, `or`: the right side counts its errors only where the left one does not decide.
    fn logical(&mut self, stop: bool, left: &Node, right: &Node, active: &Active) -> Vector<'b> {
        let left = self.node(left, active);
        let open = active.only(self.rows, |row| left.is_null(row) || left.boolean(row) != stop);
        let right = self.node(right, &open);
        kernel::logical(stop, &left, &right, self.rows)
    }

    fn context<'a>(&'a mut self, active: &'a Active, site: Site) -> Context<'a> {
        Context { rows: self.rows, active, errors: &mut self.errors, site }
    }

    fn each(&self, constant: bool, test: impl Fn(usize) -> bool) -> Vector<'b> {
        let rows = if constant { 1 } else { self.rows };
        Vector::booleans((0..rows).map(test).collect(), NullMask::default(), constant)
    }

    fn letters(&self, of: fn(&Block, usize) -> &'static str) -> Vector<'b> {
        let mut texts = Texts::with_rows(self.rows);
        let mut nulls = NullMask::default();
        for row in 0..self.rows {
            if !texts.push(of(self.block, row)) {
                nulls.set(row);
            }
        }
        Vector::text(texts, nulls, false)
    }
}

fn flag_letters(flags: Flags) -> &'static str {
    flags.letters()
}

/// `value` in the active rows, `before` in the others.
fn chosen<'b>(before: Vector<'b>, value: Vector<'b>, active: &Active) -> Vector<'b> {
    match active {
        Active::All => value,
        Active::Some(rows) => before.blended(value, rows),
    }
}

/// A field of the block; widened where the language has no such type.
fn field<'b>(column: &'b Arc<Column>) -> Vector<'b> {
    let nulls = Shared::Borrowed(&column.nulls);
    let fresh = |data| Vector { data, nulls: nulls.clone(), constant: false };
    let reals = |values: Vec<f64>| Data::Real(Shared::Fresh(values));
    fresh(match &column.data {
        ColumnData::Int64(values) => Data::Integer(Shared::Borrowed(values)),
        ColumnData::Double(values) => Data::Real(Shared::Borrowed(values)),
        ColumnData::String(values) => Data::Text(Shared::Borrowed(values)),
        ColumnData::Int32(values) => {
            Data::Integer(Shared::Fresh(values.iter().map(|value| i64::from(*value)).collect()))
        }
        ColumnData::Money(values) => {
            reals(values.iter().map(|value| *value as f64 / mesh_event::MONEY_SCALE as f64).collect())
        }
        ColumnData::Date(values) => reals(values.iter().map(|value| crate::date::from_seconds(*value)).collect()),
        ColumnData::Stamp(values) => reals(values.iter().map(|value| crate::date::from_micros(*value)).collect()),
        ColumnData::Blob(_) | ColumnData::ArrayInt32(_) | ColumnData::ArrayInt64(_) | ColumnData::ArrayDouble(_) => {
            unreachable!("the checker refuses blobs and arrays")
        }
    })
}
