//! Function calls.

use std::ops::Range;

use super::expr::integer;
use super::{Checker, Typed, cast};
use crate::ast::{Expr, ExprKind};
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

fn supported_functions() -> String {
    functions::all().map(|function| function.name).collect::<Vec<_>>().join(", ")
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
