//! Function calls.

use std::ops::Range;

use super::expr::{integer, text};
use super::{Checker, Mode, Typed, cast};
use crate::ast::{Comparison, Expr, ExprKind};
use crate::functions::{self, Form, Function, Kernel, Param, Pattern};
use crate::node::{Node, Site};
use crate::suggest::nearest;
use crate::vector::Vector;
use crate::{ExprError, Type};

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: &Range<usize>,
        args: &[Expr],
        span: &Range<usize>,
    ) -> Result<Typed, ExprError> {
        if let Some(index) = self.scope.function(name) {
            return self.user_call(index, args, span);
        }
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
            Form::TypeOf => {
                self.count(function, args, 1, 1, span)?;
                let name = self.expr(&args[0])?.1.map_or("null", Type::name);
                Ok((Node::Constant(text(name)), Some(Type::String)))
            }
            Form::VarEval => {
                self.count(function, args, 1, 1, span)?;
                let ExprKind::Text(name) = &args[0].kind else {
                    let help = Some("write the name as a text: vareval(\"name\")".to_owned());
                    return Err(self.error(&args[0].span, "the name must be known when the project is loaded", help));
                };
                let name = name.clone();
                self.name(&name, &args[0].span)
            }
            Form::InList => {
                self.count(function, args, 2, functions::MAX_ARGS, span)?;
                self.in_list(args)
            }
            Form::ParseArray => {
                self.count(function, args, 3, 3, span)?;
                self.parse_into_array(args, span)
            }
            Form::ParseVariables => {
                self.count(function, args, 3, functions::MAX_ARGS, span)?;
                self.parse_into_variables(args)
            }
            Form::Parameter { as_text } => {
                self.count(function, args, 1, 1, span)?;
                if !matches!(self.mode, Mode::Function(_)) {
                    let help = Some("only the body of a user function (udf) has parameters".to_owned());
                    return Err(self.error(span, format!("there are no parameters for `{name}` here"), help));
                }
                self.pure = false;
                let number = Box::new(self.converted(&args[0], Type::Integer)?);
                let ty = if as_text { Type::String } else { Type::Real };
                Ok((Node::Parameter { number, as_text, site }, Some(ty)))
            }
            Form::Any { f, params, required, result, pure } => {
                let most = if params.last() == Some(&Param::More) { functions::MAX_ARGS } else { params.len() };
                self.count(function, args, required, most, span)?;
                self.pure &= pure;
                self.clock |= function.name == "today";
                let mut nodes = Vec::with_capacity(args.len());
                for (index, arg) in args.iter().enumerate() {
                    nodes.push(match params.get(index) {
                        Some(Param::Any | Param::More) | None => self.expr(arg)?.0,
                        Some(param) => self.converted(arg, param_type(*param))?,
                    });
                }
                Ok((Node::Call { kernel: Kernel::Any(f, result), args: nodes, site }, Some(result)))
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

    fn user_call(&mut self, index: usize, args: &[Expr], span: &Range<usize>) -> Result<Typed, ExprError> {
        self.pure = false;
        if args.len() > functions::MAX_ARGS {
            let message = format!("a user function takes up to {} arguments", functions::MAX_ARGS);
            return Err(self.error(span, message, None));
        }
        let mut nodes = Vec::with_capacity(args.len());
        for arg in args {
            nodes.push(self.expr(arg)?.0);
        }
        let ty = self.scope.library.functions[index].ty;
        Ok((Node::User { index, args: nodes, site: self.site(span) }, Some(ty)))
    }

    /// `inlist(value, a, b)` is `value == a or value == b`.
    fn in_list(&mut self, args: &[Expr]) -> Result<Typed, ExprError> {
        let mut found: Option<Node> = None;
        for arg in &args[1..] {
            let (value, item) = (self.expr(&args[0])?, self.expr(arg)?);
            let (same, _) = self.comparison(Comparison::Equal, (value, &args[0].span), (item, &arg.span))?;
            found = Some(match found {
                Some(before) => Node::Or(Box::new(before), Box::new(same)),
                None => same,
            });
        }
        Ok((found.expect("the list has an item"), Some(Type::Boolean)))
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
        if let Some((_, why, way_out)) =
            functions::REFUSED.iter().find(|(refused, ..)| refused.eq_ignore_ascii_case(name))
        {
            let message = format!("function `{name}` is not supported: {why}");
            return self.error(span, message, Some((*way_out).to_owned()));
        }
        let own = self.scope.library.functions.iter().map(|function| function.name.as_str());
        let help = match nearest(name, functions::all().map(|function| function.name).chain(own)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", supported_functions()),
        };
        self.error(span, format!("there is no function `{name}`"), Some(help))
    }
}

fn supported_functions() -> String {
    functions::all().map(|function| function.name).collect::<Vec<_>>().join(", ")
}

pub(super) fn param_type(param: Param) -> Type {
    match param {
        Param::Integer => Type::Integer,
        Param::Real => Type::Real,
        Param::Text | Param::Any | Param::More => Type::String,
        Param::Date => Type::Date,
        Param::Boolean => Type::Boolean,
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
        Kernel::Any(_, result) => result,
    }
}
