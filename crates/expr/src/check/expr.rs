//! Names, literals and operators.

use std::ops::Range;

use mesh_event::NullMask;

use super::{Checker, Typed, VariableKind, cast};
use crate::ast::{BinaryOp, Comparison, Expr, ExprKind, UnaryOp};
use crate::node::{Arithmetic, Node, Place};
use crate::suggest::nearest;
use crate::vector::{Texts, Vector};
use crate::{ExprError, Type, functions};

impl Checker<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Typed, ExprError> {
        let constant = |vector, ty| Ok((Node::Constant(vector), Some(ty)));
        match &expr.kind {
            ExprKind::Null => Ok((Node::Constant(Vector::null(Type::String)), None)),
            ExprKind::Integer(value) => constant(integer(*value), Type::Integer),
            ExprKind::Real(value) => constant(real(*value), Type::Real),
            ExprKind::Date(value) => constant(real(*value), Type::Date),
            ExprKind::Text(value) => constant(text(value), Type::String),
            ExprKind::Boolean(value) => {
                constant(Vector::booleans(vec![*value], NullMask::default(), true).shared(), Type::Boolean)
            }
            ExprKind::Name(name) => self.name(name, &expr.span),
            ExprKind::Unary(op, inner) => self.unary(*op, inner, &expr.span),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, &expr.span),
            ExprKind::Call { name, name_span, args } => self.call(name, name_span, args, &expr.span),
            ExprKind::Method { object, object_span, method, method_span, args } => {
                self.method((object, object_span), (method, method_span), args, &expr.span)
            }
        }
    }

    pub(super) fn name(&mut self, name: &str, span: &Range<usize>) -> Result<Typed, ExprError> {
        match self.variable(name) {
            Some(VariableKind::Value { place: Place::Local(slot), ty, .. }) => {
                return Ok((Node::Local(slot), Some(ty)));
            }
            Some(VariableKind::Value { place: Place::Kept(slot), ty, .. }) => {
                self.pure = false;
                return Ok((Node::Kept(slot), Some(ty)));
            }
            Some(VariableKind::Object { .. }) => {
                let help = Some(format!("call its methods: `{name}.method(...)`"));
                return Err(self.error(span, format!("`{name}` is an object, it has no value"), help));
            }
            None => {}
        }
        if let Some((index, ty)) = self.scope.field(name) {
            return match Type::of_field(ty) {
                Some(ty) => {
                    self.fields.insert(index);
                    Ok((Node::Field(index), Some(ty)))
                }
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
        let names = self.names();
        let fields = self.scope.fields.iter().map(|(name, _)| name.as_str());
        let known: Vec<&str> = names.chain(fields).chain(RESERVED).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? known: {}", listed(&known)),
            None if functions::find(name).is_some() || self.scope.function(name).is_some() => {
                format!("`{name}` is a function: write `{name}(...)`")
            }
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
    pub(super) fn number(&self, (node, ty): Typed, span: &Range<usize>) -> Typed {
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
                if let Some(bound) = self.binding(op, left, right)? {
                    return Ok(bound);
                }
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

    /// `variable == value` of a pattern's event, where the variable is no field.
    fn binding(&mut self, op: Comparison, left: &Expr, right: &Expr) -> Result<Option<Typed>, ExprError> {
        let ExprKind::Name(name) = &left.kind else { return Ok(None) };
        let known = self.scope.field(name).is_some() || reserved(name).is_some() || self.variable(name).is_some();
        if op != Comparison::Equal || known {
            return Ok(None);
        }
        let Some(slot) = self.scope.binding(name) else { return Ok(None) };
        self.pure = false;
        let value = Box::new(self.expr(right)?.0);
        Ok(Some((Node::Bind { slot, value }, Some(Type::Boolean))))
    }

    pub(super) fn comparison(
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
        Ok((Node::Compare { op, kind: common, left, right }, Some(Boolean)))
    }

    /// A value converted to a type.
    pub(super) fn converted(&mut self, expr: &Expr, to: Type) -> Result<Node, ExprError> {
        let (node, from) = self.expr(expr)?;
        if from == Some(Type::Boolean) && to == Type::Date {
            return Err(self.error(&expr.span, "a boolean cannot become a date", None));
        }
        Ok(cast(node, from, to, self.site(&expr.span)))
    }
}

const RESERVED: [&str; 2] = ["ESP_OPCODE", "ESP_FLAGS"];

pub(super) fn reserved(name: &str) -> Option<Node> {
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

pub(super) fn integer(value: i64) -> Vector<'static> {
    Vector::integers(vec![value], NullMask::default(), true).shared()
}

fn real(value: f64) -> Vector<'static> {
    Vector::reals(vec![value], NullMask::default(), true).shared()
}

pub(super) fn text(value: &str) -> Vector<'static> {
    Vector::text(Texts::one(value), NullMask::default(), true).shared()
}
