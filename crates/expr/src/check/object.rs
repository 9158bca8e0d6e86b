//! Methods of objects, and the functions that fill variables.

use std::ops::Range;

use super::call::param_type;
use super::{Checker, Typed, VariableKind};
use crate::ast::{Expr, ExprKind, ObjectKind};
use crate::node::{Node, ObjectPlace};
use crate::object::{ARRAY_METHODS, Method, REGEX_METHODS, Signature, compile, method_result};
use crate::suggest::nearest;
use crate::{ExprError, Type};

impl Checker<'_> {
    pub(super) fn method(
        &mut self,
        (object, object_span): (&str, &Range<usize>),
        (method, method_span): (&str, &Range<usize>),
        args: &[Expr],
        span: &Range<usize>,
    ) -> Result<Typed, ExprError> {
        self.pure = false;
        let (place, kind) = self.object(object, object_span)?;
        let methods: &[Signature] = match kind {
            ObjectKind::Regex => &REGEX_METHODS,
            ObjectKind::Array(_) => &ARRAY_METHODS,
        };
        let Some((name, method, required, params)) =
            methods.iter().copied().find(|(name, ..)| name.eq_ignore_ascii_case(method))
        else {
            let known: Vec<&str> = methods.iter().map(|(name, ..)| *name).collect();
            let near = nearest(method, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}known: {}", near.unwrap_or_default(), known.join(", "));
            return Err(self.error(method_span, format!("`{object}` has no method `{method}`"), Some(help)));
        };
        if !(required..=params.len()).contains(&args.len()) {
            let expected =
                if required == params.len() { required.to_string() } else { format!("{required} to {}", params.len()) };
            let message = format!("`{name}` takes {expected} arguments, found {}", args.len());
            return Err(self.error(span, message, None));
        }
        if let (Method::Compile, Some(Expr { kind: ExprKind::Text(pattern), span, .. })) = (method, args.first())
            && let Err(error) = compile(pattern)
        {
            return Err(self.error(span, format!("`{pattern}` is no regular expression: {error}"), None));
        }
        let mut nodes = Vec::with_capacity(args.len());
        for (arg, param) in args.iter().zip(params) {
            let to = match (param, kind) {
                (Some(param), _) => param_type(*param),
                (None, ObjectKind::Array(ty)) => ty,
                (None, ObjectKind::Regex) => Type::String,
            };
            nodes.push(self.converted(arg, to)?);
        }
        let site = self.site(span);
        Ok((Node::Method { object: place, kind, method, args: nodes, site }, Some(method_result(method, kind))))
    }

    fn object(&self, name: &str, span: &Range<usize>) -> Result<(ObjectPlace, ObjectKind), ExprError> {
        if let Some(VariableKind::Object { place, kind }) = self.variable(name) {
            return Ok((place, kind));
        }
        let help = match nearest(name, self.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it first, for example `regex {name}` or `string array {name}`"),
        };
        Err(self.error(span, format!("`{name}` is no object"), Some(help)))
    }

    /// `aparse(text, delimiters, array)`.
    pub(super) fn parse_into_array(&mut self, args: &[Expr], span: &Range<usize>) -> Result<Typed, ExprError> {
        self.pure = false;
        let ExprKind::Name(name) = &args[2].kind else {
            return Err(self.error(&args[2].span, "expected a string array here", None));
        };
        let (place, kind) = self.object(name, &args[2].span)?;
        if kind != ObjectKind::Array(Type::String) {
            let help = Some(format!("declare `string array {name}`"));
            return Err(self.error(&args[2].span, format!("`{name}` is no string array"), help));
        }
        let nodes = vec![self.converted(&args[0], Type::String)?, self.converted(&args[1], Type::String)?];
        let site = self.site(span);
        Ok((Node::Method { object: place, kind, method: Method::Split, args: nodes, site }, Some(Type::Integer)))
    }

    /// `parse(text, delimiters, variable, ...)`.
    pub(super) fn parse_into_variables(&mut self, args: &[Expr]) -> Result<Typed, ExprError> {
        self.pure = false;
        let text = Box::new(self.converted(&args[0], Type::String)?);
        let delimiters = Box::new(self.converted(&args[1], Type::String)?);
        let mut into = Vec::new();
        for arg in &args[2..] {
            let ExprKind::Name(name) = &arg.kind else {
                return Err(self.error(&arg.span, "expected a string variable here", None));
            };
            let (place, ty, _) = self.assignable(name, &arg.span)?;
            if ty != Type::String {
                let help = Some(format!("declare `string {name}`"));
                return Err(self.error(&arg.span, format!("`{name}` is {ty}, the parts of a text are strings"), help));
            }
            into.push(place);
        }
        Ok((Node::ParseInto { text, delimiters, into }, Some(Type::Integer)))
    }
}
