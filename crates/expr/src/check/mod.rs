//! Names and types: from what a program says to what it does. Here statements; `expr`: operators; `call`: functions.

mod call;
mod expr;

use std::ops::Range;

use mesh_event::FieldType;

use crate::ast::{Expr, ExprKind, Stmt};
use crate::error::position;
use crate::node::{Node, Site, Step};
use crate::suggest::nearest;
use crate::vector::Vector;
use crate::{ExprError, Scope, Type};

pub(crate) use call::result_type;
use expr::reserved;

/// A checked program.
#[derive(Debug)]
pub(crate) struct Checked {
    pub steps: Vec<Step>,
    /// Types of the variables by slot.
    pub locals: Vec<Type>,
    /// `None`: always null.
    pub result: Option<Type>,
    /// The blob or array field whose value the program is.
    pub copies: Option<usize>,
}

/// A node and its type; `None` is the type of `null`.
type Typed = (Node, Option<Type>);

/// Checks a program.
pub(crate) fn check(text: &str, stmts: &[Stmt], scope: &Scope) -> Result<Checked, ExprError> {
    if let [
        Stmt::Value(Expr { kind: ExprKind::Name(name), .. }) | Stmt::Return(Expr { kind: ExprKind::Name(name), .. }),
    ] = stmts
        && let Some((index, ty)) = scope.field(name)
        && Type::of_field(ty).is_none()
    {
        return Ok(Checked { steps: Vec::new(), locals: Vec::new(), result: None, copies: Some(index) });
    }
    let mut checker = Checker { text, scope, locals: Vec::new(), results: Vec::new() };
    let mut steps = Vec::new();
    checker.statements(stmts, &mut steps)?;
    if checker.results.is_empty() {
        let help = "end it with `return value` or with an expression".to_owned();
        return Err(ExprError::at(text, 0..text.len(), "the program has no result", Some(help)));
    }
    let result = checker.results.iter().copied().reduce(unified).flatten();
    let mut types = checker.results.iter().copied();
    convert_results(&mut steps, result, &mut types);
    let locals = checker.locals.into_iter().map(|local| local.ty).collect();
    Ok(Checked { steps, locals, result, copies: None })
}

/// The type that can hold the results of two ways through a program.
fn unified(a: Option<Type>, b: Option<Type>) -> Option<Type> {
    use Type::{Boolean, Integer, Real};
    match (a, b) {
        (a, b) if a == b => a,
        (None, other) | (other, None) => other,
        (Some(Integer | Boolean), Some(Integer | Boolean)) => Some(Integer),
        (Some(Integer | Boolean | Real), Some(Integer | Boolean | Real)) => Some(Real),
        _ => Some(Type::String),
    }
}

/// Gives every result the program's type, in the order in which the checker met them.
fn convert_results(steps: &mut [Step], to: Option<Type>, types: &mut impl Iterator<Item = Option<Type>>) {
    for step in steps {
        match step {
            Step::Value(value) | Step::Return(value) => {
                let from = types.next().flatten();
                let node = std::mem::replace(value, Node::Opcode);
                *value = cast(node, from, to.unwrap_or(Type::String), Site { line: 1, column: 1 });
            }
            Step::If { then, otherwise, .. } => {
                convert_results(then, to, types);
                convert_results(otherwise, to, types);
            }
            Step::Set { .. } => {}
        }
    }
}

struct Local {
    name: String,
    ty: Type,
}

struct Checker<'a> {
    text: &'a str,
    scope: &'a Scope,
    locals: Vec<Local>,
    results: Vec<Option<Type>>,
}

impl Checker<'_> {
    fn error(&self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) -> ExprError {
        ExprError::at(self.text, span.clone(), message, help)
    }

    fn site(&self, span: &Range<usize>) -> Site {
        let (line, column) = position(self.text, span.start);
        Site { line, column }
    }

    fn statements(&mut self, stmts: &[Stmt], out: &mut Vec<Step>) -> Result<(), ExprError> {
        for stmt in stmts {
            match stmt {
                Stmt::Declare { ty, name, span, value } => self.declare(*ty, name, span, value.as_ref(), out)?,
                Stmt::Assign { name, span, value } => self.assign(name, span, value, out)?,
                Stmt::If { condition, then, otherwise } => {
                    let condition = self.converted(condition, Type::Boolean)?;
                    let (mut yes, mut no) = (Vec::new(), Vec::new());
                    self.statements(then, &mut yes)?;
                    self.statements(otherwise, &mut no)?;
                    out.push(Step::If { condition, then: yes, otherwise: no });
                }
                Stmt::Return(value) | Stmt::Value(value) => {
                    let (node, ty) = self.expr(value)?;
                    self.results.push(ty);
                    out.push(if matches!(stmt, Stmt::Return(_)) { Step::Return(node) } else { Step::Value(node) });
                }
            }
        }
        Ok(())
    }

    fn declare(
        &mut self,
        ty: Type,
        name: &str,
        span: &Range<usize>,
        value: Option<&Expr>,
        out: &mut Vec<Step>,
    ) -> Result<(), ExprError> {
        let taken = if self.scope.field(name).is_some() || reserved(name).is_some() {
            Some("a field of the input")
        } else if self.local(name).is_some() {
            Some("a variable declared above")
        } else {
            None
        };
        if let Some(what) = taken {
            let message = format!("`{name}` is already {what}");
            return Err(self.error(span, message, Some("give the variable another name".into())));
        }
        let value = match value {
            Some(value) => Some(self.converted(value, ty)?),
            None => None,
        };
        let slot = self.locals.len();
        self.locals.push(Local { name: name.to_owned(), ty });
        out.extend(value.map(|value| Step::Set { slot, value }));
        Ok(())
    }

    fn assign(&mut self, name: &str, span: &Range<usize>, value: &Expr, out: &mut Vec<Step>) -> Result<(), ExprError> {
        let Some(slot) = self.local(name) else {
            let (message, help) = if self.scope.field(name).is_some() || reserved(name).is_some() {
                (
                    format!("`{name}` is a field of the input and cannot be assigned"),
                    "to compare, write `==`".to_owned(),
                )
            } else {
                let near = nearest(name, self.locals.iter().map(|local| local.name.as_str()));
                let declare = format!("declare it first, for example `integer {name}`");
                let help = near.map_or(declare, |near| format!("did you mean `{near}`?"));
                (format!("`{name}` is not a variable"), help)
            };
            return Err(self.error(span, message, Some(help)));
        };
        let value = self.converted(value, self.locals[slot].ty)?;
        out.push(Step::Set { slot, value });
        Ok(())
    }

    fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().position(|local| local.name.eq_ignore_ascii_case(name))
    }
}

/// `node` as `to`; nothing to do when it has that type, and dates are reals already.
pub(crate) fn cast(node: Node, from: Option<Type>, to: Type, site: Site) -> Node {
    match from {
        None => Node::Constant(Vector::null(to).shared()),
        Some(from) if from == to => node,
        Some(Type::Date) if to == Type::Real => node,
        Some(Type::Real) if to == Type::Date => node,
        Some(from) => Node::Cast { value: Box::new(node), from, to, site },
    }
}

impl Scope {
    /// Position and type of a field.
    pub(crate) fn field(&self, name: &str) -> Option<(usize, FieldType)> {
        self.fields.iter().position(|(field, _)| field == name).map(|index| (index, self.fields[index].1))
    }
}
