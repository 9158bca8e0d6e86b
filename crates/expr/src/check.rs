//! Names and types: from what a program says to what it does.

use std::ops::Range;

use mesh_event::{FieldType, NullMask};

use crate::ast::{BinaryOp, Comparison, Expr, ExprKind, Stmt, UnaryOp};
use crate::error::position;
use crate::functions::{self, Form, Function, Kernel, Param, Pattern};
use crate::node::{Arithmetic, Node, Site, Step};
use crate::suggest::nearest;
use crate::vector::{Texts, Vector};
use crate::{ExprError, Scope, Type};

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

    fn expr(&mut self, expr: &Expr) -> Result<Typed, ExprError> {
        let constant = |vector, ty| Ok((Node::Constant(vector), Some(ty)));
        match &expr.kind {
            ExprKind::Null => Ok((Node::Constant(Vector::null(Type::String)), None)),
            ExprKind::Integer(value) => constant(integer(*value), Type::Integer),
            ExprKind::Real(value) => constant(real(*value), Type::Real),
            ExprKind::Date(value) => constant(real(*value), Type::Date),
            ExprKind::Text(value) => constant(Vector::text(Texts::one(value), NullMask::default(), true), Type::String),
            ExprKind::Boolean(value) => {
                constant(Vector::booleans(vec![*value], NullMask::default(), true), Type::Boolean)
            }
            ExprKind::Name(name) => self.name(name, &expr.span),
            ExprKind::Unary(op, inner) => self.unary(*op, inner, &expr.span),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, &expr.span),
            ExprKind::Call { name, name_span, args } => self.call(name, name_span, args, &expr.span),
            ExprKind::Choose(condition, yes, no) => {
                let condition = Box::new(self.converted(condition, Type::Boolean)?);
                let ((yes, yes_type), (no, no_type)) = (self.expr(yes)?, self.expr(no)?);
                let ty = unified(yes_type, no_type);
                let site = self.site(&expr.span);
                let fit = |node, from| Box::new(cast(node, from, ty.unwrap_or(Type::String), site));
                Ok((Node::Choose { condition, yes: fit(yes, yes_type), no: fit(no, no_type) }, ty))
            }
        }
    }

    fn name(&self, name: &str, span: &Range<usize>) -> Result<Typed, ExprError> {
        if let Some(slot) = self.local(name) {
            return Ok((Node::Local(slot), Some(self.locals[slot].ty)));
        }
        if let Some((index, ty)) = self.scope.field(name) {
            return match Type::of_field(ty) {
                Some(ty) => Ok((Node::Field(index), Some(ty))),
                None => {
                    let message = format!("field `{name}` has type {ty}, which expressions can only copy");
                    let help = format!("make `{name}` the whole expression");
                    Err(self.error(span, message, Some(help)))
                }
            };
        }
        if let Some(node) = reserved(name) {
            return Ok((node, Some(Type::String)));
        }
        let names = self.locals.iter().map(|local| local.name.as_str());
        let fields = self.scope.fields.iter().map(|(name, _)| name.as_str());
        let known: Vec<&str> = names.chain(fields).chain(RESERVED).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? known: {}", listed(&known)),
            None if functions::find(name).is_some() => format!("`{name}` is a function: write `{name}(...)`"),
            None => format!("known: {}", listed(&known)),
        };
        Err(self.error(span, format!("`{name}` is neither a field nor a variable"), Some(help)))
    }

    fn unary(&mut self, op: UnaryOp, inner: &Expr, span: &Range<usize>) -> Result<Typed, ExprError> {
        if op == UnaryOp::Not {
            return Ok((Node::Not(Box::new(self.converted(inner, Type::Boolean)?)), Some(Type::Boolean)));
        }
        let inner = self.expr(inner)?;
        if op == UnaryOp::Plus {
            return Ok(self.number(inner, span));
        }
        let zero = (Node::Constant(integer(0)), Some(Type::Integer));
        let inner = self.number(inner, span);
        let zero = if inner.1 == Some(Type::Real) { (Node::Constant(real(-0.0)), Some(Type::Real)) } else { zero };
        self.arithmetic(Arithmetic::Subtract, zero, inner, span)
    }

    /// A value as an integer or a real number.
    fn number(&self, (node, ty): Typed, span: &Range<usize>) -> Typed {
        match ty {
            None | Some(Type::Integer | Type::Real) => (node, ty),
            Some(Type::Boolean) => (cast(node, ty, Type::Integer, self.site(span)), Some(Type::Integer)),
            Some(Type::String | Type::Date) => (cast(node, ty, Type::Real, self.site(span)), Some(Type::Real)),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: &Range<usize>) -> Result<Typed, ExprError> {
        let logical = |checker: &mut Self, node: fn(Box<Node>, Box<Node>) -> Node| {
            let left = checker.converted(left, Type::Boolean)?;
            let right = checker.converted(right, Type::Boolean)?;
            Ok((node(Box::new(left), Box::new(right)), Some(Type::Boolean)))
        };
        match op {
            BinaryOp::And => logical(self, Node::And),
            BinaryOp::Or => logical(self, Node::Or),
            BinaryOp::Concat => {
                let left = Box::new(self.converted(left, Type::String)?);
                let right = Box::new(self.converted(right, Type::String)?);
                Ok((Node::Concat { left, right, site: self.site(span) }, Some(Type::String)))
            }
            BinaryOp::Compare(op) => {
                let (left_typed, right_typed) = (self.expr(left)?, self.expr(right)?);
                self.comparison(op, (left_typed, &left.span), (right_typed, &right.span))
            }
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder => {
                let op = match op {
                    BinaryOp::Add => Arithmetic::Add,
                    BinaryOp::Subtract => Arithmetic::Subtract,
                    BinaryOp::Multiply => Arithmetic::Multiply,
                    BinaryOp::Divide => Arithmetic::Divide,
                    _ => Arithmetic::Remainder,
                };
                let left = self.expr(left)?;
                let right = self.expr(right)?;
                self.arithmetic(op, left, right, span)
            }
        }
    }

    fn arithmetic(&self, op: Arithmetic, left: Typed, right: Typed, span: &Range<usize>) -> Result<Typed, ExprError> {
        use Type::Date;
        let result = match (op, left.1, right.1) {
            (Arithmetic::Add, Some(Date), Some(Date)) => {
                let help = Some("their difference is a number of days; a number can be added to a date".to_owned());
                return Err(self.error(span, "two dates cannot be added", help));
            }
            (Arithmetic::Add, Some(Date), _) | (Arithmetic::Add, _, Some(Date)) => Some(Date),
            (Arithmetic::Subtract, Some(Date), other) if other != Some(Date) => Some(Date),
            _ => None,
        };
        let (left, right) = (self.number(left, span), self.number(right, span));
        let site = self.site(span);
        let whole = |ty| matches!(ty, Some(Type::Integer) | None);
        if op != Arithmetic::Divide && result.is_none() && whole(left.1) && whole(right.1) {
            let side = |(node, ty)| Box::new(cast(node, ty, Type::Integer, site));
            return Ok((Node::Integers { op, left: side(left), right: side(right), site }, Some(Type::Integer)));
        }
        let side = |(node, ty)| Box::new(cast(node, ty, Type::Real, site));
        Ok((Node::Reals { op, left: side(left), right: side(right), site }, result.or(Some(Type::Real))))
    }

    fn comparison(
        &self,
        op: Comparison,
        (left, left_span): (Typed, &Range<usize>),
        (right, right_span): (Typed, &Range<usize>),
    ) -> Result<Typed, ExprError> {
        use Type::{Boolean, Date, Integer, Real, String};
        let common = match (left.1, right.1) {
            (None, None) => String,
            (None, Some(ty)) | (Some(ty), None) => ty,
            (Some(a), Some(b)) if a == b => a,
            (Some(Integer | Boolean), Some(Integer | Boolean)) => Integer,
            (Some(Integer | Real | Boolean), Some(Integer | Real | Boolean)) => Real,
            (Some(Date), Some(String)) | (Some(String), Some(Date)) => Date,
            (Some(Boolean), Some(String)) | (Some(String), Some(Boolean)) => Boolean,
            (Some(Date), Some(Integer | Real)) | (Some(Integer | Real), Some(Date)) => Real,
            (Some(String), Some(_)) | (Some(_), Some(String)) => Real,
            (Some(Date), Some(_)) | (Some(_), Some(_)) => {
                let help = Some("compare a date with a date, a text or a number of days".to_owned());
                return Err(self.error(left_span, "a date cannot be compared with a boolean", help));
            }
        };
        let left = Box::new(cast(left.0, left.1, common, self.site(left_span)));
        let right = Box::new(cast(right.0, right.1, common, self.site(right_span)));
        Ok((Node::Compare { op, left, right }, Some(Boolean)))
    }

    /// A value converted to a type.
    fn converted(&mut self, expr: &Expr, to: Type) -> Result<Node, ExprError> {
        let (node, from) = self.expr(expr)?;
        if from == Some(Type::Boolean) && to == Type::Date {
            return Err(self.error(&expr.span, "a boolean cannot become a date", None));
        }
        Ok(cast(node, from, to, self.site(&expr.span)))
    }

    fn call(
        &mut self,
        name: &str,
        name_span: &Range<usize>,
        args: &[Expr],
        span: &Range<usize>,
    ) -> Result<Typed, ExprError> {
        let Some(function) = functions::find(name) else {
            return Err(self.unknown_function(name, name_span));
        };
        let site = self.site(span);
        match function.form {
            Form::IsNull => {
                self.count(function, args, 1, 1, span)?;
                Ok((Node::IsNull(Box::new(self.expr(&args[0])?.0)), Some(Type::Boolean)))
            }
            Form::IsBlank => {
                self.count(function, args, 1, 1, span)?;
                Ok((Node::IsBlank(Box::new(self.converted(&args[0], Type::String)?)), Some(Type::Boolean)))
            }
            Form::To(to) => {
                self.count(function, args, 1, 1, span)?;
                Ok((self.converted(&args[0], to)?, Some(to)))
            }
            Form::Number { integer, real, at_least, at_most } => {
                self.count(function, args, at_least, at_most, span)?;
                self.number_call(integer, real, args, site)
            }
            Form::Fixed { kernel, params, required, defaults } => {
                self.count(function, args, required, params.len(), span)?;
                let mut nodes = Vec::with_capacity(params.len());
                for (index, param) in params.iter().enumerate() {
                    nodes.push(match args.get(index) {
                        Some(arg) => self.converted(arg, param_type(*param))?,
                        None => Node::Constant(integer(defaults[index - required])),
                    });
                }
                if let (Kernel::Match, Some(Expr { kind: ExprKind::Text(pattern), span, .. })) = (kernel, args.get(1))
                    && Pattern::parse(pattern).is_none()
                {
                    let help = "use `*` only at its start and end; `?` stands for one character, `\\*` for a star";
                    return Err(self.error(span, "`*` inside a pattern is not allowed", Some(help.into())));
                }
                Ok((Node::Call { kernel, args: nodes, site }, Some(result_type(kernel))))
            }
        }
    }

    fn number_call(
        &mut self,
        on_integers: Kernel,
        on_reals: Kernel,
        args: &[Expr],
        site: Site,
    ) -> Result<Typed, ExprError> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            let typed = self.expr(arg)?;
            let date = typed.1 == Some(Type::Date);
            values.push((self.number(typed, &arg.span), date));
        }
        let dates = values.iter().all(|(_, date)| *date);
        let integers = values.iter().all(|((_, ty), _)| matches!(ty, Some(Type::Integer) | None));
        let (kernel, ty) = if integers { (on_integers, Type::Integer) } else { (on_reals, Type::Real) };
        let mut nodes = values.into_iter().map(|((node, from), _)| cast(node, from, ty, site));
        let first = nodes.next().unwrap_or(Node::Constant(Vector::null(ty)));
        let folded = match kernel {
            Kernel::Integer1(_) | Kernel::Real1(_) => Node::Call { kernel, args: vec![first], site },
            _ => nodes.fold(first, |left, right| Node::Call { kernel, args: vec![left, right], site }),
        };
        Ok((folded, Some(if dates { Type::Date } else { ty })))
    }

    fn count(
        &self,
        function: &Function,
        args: &[Expr],
        at_least: usize,
        at_most: usize,
        span: &Range<usize>,
    ) -> Result<(), ExprError> {
        if (at_least..=at_most).contains(&args.len()) {
            return Ok(());
        }
        let expected = match (at_least, at_most) {
            (1, 1) => "1 argument".to_owned(),
            (a, b) if a == b => format!("{a} arguments"),
            (a, b) => format!("{a} to {b} arguments"),
        };
        let message = format!("`{}` takes {expected}, found {}", function.name, args.len());
        Err(self.error(span, message, Some(format!("usage: {}", function.usage))))
    }

    fn unknown_function(&self, name: &str, span: &Range<usize>) -> ExprError {
        if functions::NOT_YET.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let message = format!("function `{name}` is not supported yet");
            return self.error(span, message, Some(format!("supported: {}", supported_functions())));
        }
        let help = match nearest(name, functions::all().map(|function| function.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", supported_functions()),
        };
        self.error(span, format!("there is no function `{name}`"), Some(help))
    }
}

const RESERVED: [&str; 2] = ["ESP_OPCODE", "ESP_FLAGS"];

fn reserved(name: &str) -> Option<Node> {
    if name.eq_ignore_ascii_case(RESERVED[0]) {
        Some(Node::Opcode)
    } else if name.eq_ignore_ascii_case(RESERVED[1]) {
        Some(Node::Flags)
    } else {
        None
    }
}

/// Most names listed in a help line.
const MAX_LISTED: usize = 20;

fn listed(names: &[&str]) -> String {
    let more = if names.len() > MAX_LISTED { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(MAX_LISTED)].join(", "))
}

fn supported_functions() -> String {
    functions::all().map(|function| function.name).collect::<Vec<_>>().join(", ")
}

fn integer(value: i64) -> Vector<'static> {
    Vector::integers(vec![value], NullMask::default(), true)
}

fn real(value: f64) -> Vector<'static> {
    Vector::reals(vec![value], NullMask::default(), true)
}

fn param_type(param: Param) -> Type {
    match param {
        Param::Integer => Type::Integer,
        Param::Real => Type::Real,
        Param::Text => Type::String,
    }
}

pub(crate) fn result_type(kernel: Kernel) -> Type {
    match kernel {
        Kernel::Integer1(_) | Kernel::Integer2(_) | Kernel::TextToInteger(_) | Kernel::Text2ToInteger(_) => {
            Type::Integer
        }
        Kernel::Real1(_) | Kernel::Real2(_) | Kernel::RealInteger(_) => Type::Real,
        Kernel::Text(_) | Kernel::TextInteger(_) | Kernel::TextInteger2(_) | Kernel::Replace(_) => Type::String,
        Kernel::Match => Type::Boolean,
    }
}

/// `node` as `to`; nothing to do when it has that type, and dates are reals already.
pub(crate) fn cast(node: Node, from: Option<Type>, to: Type, site: Site) -> Node {
    match from {
        None => Node::Constant(Vector::null(to)),
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
