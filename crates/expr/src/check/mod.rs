//! Names and types: from what a program says to what it does. Here statements; `declare`: variables; `expr`: operators;
//! `call`: functions; `object`: methods.

mod call;
mod declare;
mod expr;
mod object;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::ast::{Expr, ExprKind, ObjectKind, Stmt};
use crate::error::position;
use crate::node::{Node, Place, Site, Step};
use crate::scope::{Kept, Scope};
use crate::suggest::nearest;
use crate::vector::Vector;
use crate::{ExprError, Type};

pub(crate) use call::result_type;

/// A checked program.
#[derive(Debug)]
pub(crate) struct Checked {
    pub steps: Vec<Step>,
    /// Types of the variables by slot.
    pub locals: Vec<Type>,
    /// Number of object variables.
    pub objects: usize,
    /// `None`: always null.
    pub result: Option<Type>,
    /// The blob or array field whose value the program is.
    pub copies: Option<usize>,
    /// Nothing but the row decides the result, and there are no loops: it may run column by column.
    pub pure: bool,
    /// It reads the recorded clock.
    pub clock: bool,
    /// Fields that it names.
    pub fields: BTreeSet<usize>,
    /// Most bytes of a text that is its result; `None`: any number, and nobody asked.
    pub texts_max: Option<usize>,
}

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A value for each event.
    Program,
    /// Its variables outlive it; it needs no result.
    Initializer,
    /// A user function with this result.
    Function(Type),
}

/// A node and its type; `None` is the type of `null`.
type Typed = (Node, Option<Type>);

/// Checks a program; gives the variables that an initializer declares, too.
pub(crate) fn check(text: &str, stmts: &[Stmt], scope: &Scope, mode: Mode) -> Result<(Checked, Vec<Kept>), ExprError> {
    if let [
        Stmt::Value(Expr { kind: ExprKind::Name(name), .. }) | Stmt::Return(Expr { kind: ExprKind::Name(name), .. }),
    ] = stmts
        && let Some((index, ty)) = scope.field(name)
        && Type::of_field(ty).is_none()
        && mode == Mode::Program
    {
        let code = Checked {
            steps: Vec::new(),
            locals: Vec::new(),
            objects: 0,
            result: None,
            copies: Some(index),
            pure: true,
            clock: false,
            fields: [index].into(),
            texts_max: scope.texts_max,
        };
        return Ok((code, Vec::new()));
    }
    let mut checker = Checker {
        text,
        scope,
        mode,
        variables: Vec::new(),
        locals: Vec::new(),
        objects: 0,
        kept: Vec::new(),
        results: Vec::new(),
        labels: Vec::new(),
        next_label: 0,
        pure: true,
        clock: false,
        fields: BTreeSet::new(),
        returns: returns(stmts),
    };
    let mut steps = Vec::new();
    checker.statements(stmts, &mut steps)?;
    if checker.results.is_empty() {
        checker.last_assignment(&mut steps);
    }
    if checker.results.is_empty() && mode == Mode::Program {
        let help = "end it with `return value` or with an expression".to_owned();
        return Err(ExprError::at(text, 0..text.len(), "the program has no result", Some(help)));
    }
    let mut result = checker.results.iter().copied().reduce(unified).flatten();
    if let Mode::Function(ty) = mode {
        result = Some(ty);
    }
    let mut types = checker.results.iter().copied();
    convert_results(&mut steps, result, &mut types);
    let Checker { locals, objects, kept, pure, clock, fields, .. } = checker;
    let texts_max = scope.texts_max;
    Ok((Checked { steps, locals, objects, result, copies: None, pure, clock, fields, texts_max }, kept))
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
            Step::While { body, .. } | Step::For { body, .. } => convert_results(body, to, types),
            _ => {}
        }
    }
}

struct Variable {
    name: String,
    kind: VariableKind,
}

#[derive(Clone, Copy)]
enum VariableKind {
    Value { place: Place, ty: Type, size: Option<i64> },
    Object { place: crate::node::ObjectPlace, kind: ObjectKind },
}

struct Checker<'a> {
    text: &'a str,
    scope: &'a Scope,
    mode: Mode,
    variables: Vec<Variable>,
    locals: Vec<Type>,
    objects: usize,
    kept: Vec<Kept>,
    results: Vec<Option<Type>>,
    /// Labels that can be jumped to from here: those of the statement lists around.
    labels: Vec<(String, usize)>,
    next_label: usize,
    pure: bool,
    clock: bool,
    fields: BTreeSet<usize>,
    /// There is a `return` somewhere.
    returns: bool,
}

/// Calls that do something.
const ACTS: [&str; 5] = ["print", "logmessage", "raiseerror", "parse", "aparse"];

fn is_act(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Method { .. } => true,
        ExprKind::Call { name, .. } => ACTS.iter().any(|act| act.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

fn returns(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Return(_) => true,
        Stmt::If { then, otherwise, .. } => returns(then) || returns(otherwise),
        Stmt::While { body, .. } | Stmt::For { body, .. } => returns(body),
        _ => false,
    })
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
        let outer = self.labels.len();
        for stmt in stmts {
            if let Stmt::Label { name, span } = stmt {
                if self.labels.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                    return Err(self.error(span, format!("there are two labels `{name}`"), None));
                }
                self.labels.push((name.clone(), self.next_label));
                self.next_label += 1;
            }
        }
        for stmt in stmts {
            self.statement(stmt, out)?;
        }
        self.labels.truncate(outer);
        Ok(())
    }

    fn statement(&mut self, stmt: &Stmt, out: &mut Vec<Step>) -> Result<(), ExprError> {
        match stmt {
            Stmt::Declare { .. } => self.declare(stmt, out)?,
            Stmt::Object { kind, name, span, keep } => self.declare_object(*kind, name, span, *keep)?,
            Stmt::Assign { name, span, value } => self.assign(name, span, value, out)?,
            Stmt::If { condition, then, otherwise } => {
                let condition = self.converted(condition, Type::Boolean)?;
                let (mut yes, mut no) = (Vec::new(), Vec::new());
                self.statements(then, &mut yes)?;
                self.statements(otherwise, &mut no)?;
                out.push(Step::If { condition, then: yes, otherwise: no });
            }
            Stmt::While { condition, body } => {
                self.pure = false;
                let condition = self.converted(condition, Type::Boolean)?;
                let mut steps = Vec::new();
                self.statements(body, &mut steps)?;
                out.push(Step::While { condition, body: steps });
            }
            Stmt::For { name, span, bounds, body } => {
                self.pure = false;
                let (place, ty, _) = self.assignable(name, span)?;
                if ty != Type::Integer {
                    let message = format!("`for` counts in an integer, `{name}` is {ty}");
                    return Err(self.error(span, message, Some(format!("declare `integer {name}`"))));
                }
                let site = self.site(span);
                let (from, to) = (self.converted(&bounds.from, ty)?, self.converted(&bounds.to, ty)?);
                let by = match &bounds.step {
                    Some(step) => self.converted(step, ty)?,
                    None => Node::Constant(expr::integer(1)),
                };
                let mut steps = Vec::new();
                self.statements(body, &mut steps)?;
                out.push(Step::For { place, from, to, by, body: steps, site });
            }
            Stmt::Break => out.push(Step::Break),
            Stmt::Continue => out.push(Step::Continue),
            Stmt::Goto { label, span } => {
                self.pure = false;
                let known = || self.labels.iter().map(|(name, _)| name.as_str());
                let Some((_, id)) = self.labels.iter().find(|(name, _)| name.eq_ignore_ascii_case(label)) else {
                    let help = match nearest(label, known()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("write `{label}:` before the statement to go on with, here or further out"),
                    };
                    return Err(self.error(span, format!("there is no label `{label}` to go to"), Some(help)));
                };
                out.push(Step::Goto(*id, self.site(span)));
            }
            Stmt::Label { name, .. } => {
                let label = self.labels.iter().find(|(known, _)| known == name);
                out.push(Step::Label(label.expect("the list's labels were collected first").1));
            }
            // Beside a `return`, a call such as `r.compile(...)` is there for what it does.
            Stmt::Value(value) if self.returns && is_act(value) => {
                let (node, _) = self.expr(value)?;
                out.push(Step::Do(node));
            }
            Stmt::Return(value) | Stmt::Value(value) => {
                let (node, ty) = self.expr(value)?;
                self.results.push(ty);
                out.push(if matches!(stmt, Stmt::Return(_)) { Step::Return(node) } else { Step::Value(node) });
            }
        }
        Ok(())
    }

    /// A program that only assigns has the value that it assigned last.
    fn last_assignment(&mut self, steps: &mut Vec<Step>) {
        let Some(Step::Set { place, .. }) = steps.last() else { return };
        let place = *place;
        let of_place = |variable: &Variable| match variable.kind {
            VariableKind::Value { place: at, ty, .. } if at == place => Some(ty),
            _ => None,
        };
        let kept = || {
            self.scope.library.kept.iter().find_map(|kept| match (kept.kind, place) {
                (crate::scope::KeptKind::Value { ty, .. }, Place::Kept(slot)) if slot == kept.slot => Some(ty),
                _ => None,
            })
        };
        if let Some(ty) = self.variables.iter().find_map(of_place).or_else(kept) {
            self.results.push(Some(ty));
            steps.push(Step::Value(match place {
                Place::Local(slot) => Node::Local(slot),
                Place::Kept(slot) => Node::Kept(slot),
            }));
        }
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
