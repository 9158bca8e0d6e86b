//! The function language of functional windows, `name(arg, ...)`: read into the same trees as the expression language,
//! and compiled by the same checker. `build` knows the functions.

mod build;

use std::collections::BTreeMap;
use std::ops::Range;

use mesh_event::FieldType;

use crate::ast::{Expr, ExprKind, Stmt};
use crate::parser::{MAX_DEPTH, MAX_PROGRAM_BYTES};
use crate::{ExprError, Program, Scope, Type, check};

use build::converted;

/// What a function text is.
#[derive(Debug, Clone)]
pub enum Function {
    /// `eventCounter()`.
    EventCounter,
    /// A function of the event.
    Program(Program),
}

/// Compiles the functions of a window in the order in which they stand: a later one may use the fields of earlier ones.
#[derive(Debug)]
pub struct FunctionCompiler {
    scope: Scope,
    /// Functions compiled so far, by the field they fill, and their size in nodes.
    computed: BTreeMap<String, (Option<Expr>, usize)>,
}

/// Largest tree after the functions of earlier fields were put in.
const MAX_NODES: usize = 10_000;

impl FunctionCompiler {
    /// For a window with this input.
    pub fn new(scope: Scope) -> FunctionCompiler {
        FunctionCompiler { scope, computed: BTreeMap::new() }
    }

    /// Compiles the function of a field.
    pub fn compile(&mut self, field: &str, ty: FieldType, text: &str) -> Result<Function, ExprError> {
        if text.len() > MAX_PROGRAM_BYTES {
            let message = format!("the function has {} bytes, at most {MAX_PROGRAM_BYTES} are allowed", text.len());
            return Err(ExprError::at(text, 0..0, message, None));
        }
        let mut reader = FunctionReader { text, at: 0, depth: 0, nodes: 0, compiler: self };
        let expr = reader.whole()?;
        let nodes = reader.nodes;
        if let ExprKind::Call { name, args, .. } = &expr.kind
            && name == COUNTER
            && args.is_empty()
        {
            self.computed.insert(field.to_owned(), (None, nodes));
            return Ok(Function::EventCounter);
        }
        if let Some(span) = counter_inside(&expr) {
            let help = Some("give the counter a field of its own, and compute with it in a compute window".to_owned());
            let message = "eventCounter() inside another function is not supported yet";
            return Err(ExprError::at(text, span, message, help));
        }
        let code = check::check(text, &[Stmt::Return(expr.clone())], &self.scope)?;
        let program = Program::of(text, code, &self.scope);
        // A later function sees the value as the field holds it.
        let seen = match Type::of_field(ty) {
            Some(Type::Integer) => converted("tointeger", expr),
            Some(Type::String) => converted("tostring", expr),
            Some(Type::Real) => converted("toreal", expr),
            _ => expr,
        };
        self.computed.insert(field.to_owned(), (Some(seen), nodes + 1));
        Ok(Function::Program(program))
    }
}

const COUNTER: &str = "eventCounter";

fn counter_inside(expr: &Expr) -> Option<Range<usize>> {
    match &expr.kind {
        ExprKind::Call { name, name_span, .. } if name == COUNTER => Some(name_span.clone()),
        ExprKind::Call { args, .. } => args.iter().find_map(counter_inside),
        ExprKind::Unary(_, inner) => counter_inside(inner),
        ExprKind::Binary(_, left, right) => counter_inside(left).or_else(|| counter_inside(right)),
        ExprKind::Choose(condition, yes, no) => [condition, yes, no].into_iter().find_map(|part| counter_inside(part)),
        _ => None,
    }
}

/// The same tree, all of it standing at `span`: it was checked where it was written.
fn placed(expr: &Expr, span: &Range<usize>) -> Expr {
    let again = |part: &Expr| Box::new(placed(part, span));
    let kind = match &expr.kind {
        ExprKind::Call { name, args, .. } => {
            let args = args.iter().map(|arg| placed(arg, span)).collect();
            ExprKind::Call { name: name.clone(), name_span: span.clone(), args }
        }
        ExprKind::Unary(op, inner) => ExprKind::Unary(*op, again(inner)),
        ExprKind::Binary(op, left, right) => ExprKind::Binary(*op, again(left), again(right)),
        ExprKind::Choose(condition, yes, no) => ExprKind::Choose(again(condition), again(yes), again(no)),
        other => other.clone(),
    };
    Expr { kind, span: span.clone(), depth: expr.depth }
}

struct FunctionReader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    nodes: usize,
    compiler: &'a FunctionCompiler,
}

impl FunctionReader<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> ExprError {
        ExprError::at(self.text, span, message, help.map(str::to_owned))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// The whole text: a call, a field, or a literal.
    fn whole(&mut self) -> Result<Expr, ExprError> {
        let expr = self.argument(true)?;
        self.skip_blanks();
        if self.at < self.text.len() {
            let span = self.at..self.text.len();
            return Err(self.error(
                span,
                "nothing may follow the function",
                Some("nest functions: sum(a, product(b, c))"),
            ));
        }
        Ok(expr)
    }

    fn made(&mut self, kind: ExprKind, span: Range<usize>) -> Expr {
        self.nodes += 1;
        Expr { kind, span, depth: 1 }
    }

    fn argument(&mut self, top: bool) -> Result<Expr, ExprError> {
        self.skip_blanks();
        let start = self.at;
        self.depth += 1;
        if self.depth > MAX_DEPTH / 2 {
            return Err(self.error(start..start + 1, "the functions are nested too deep", None));
        }
        let expr = match self.rest().chars().next() {
            Some('$') => self.field()?,
            Some('#') => {
                let help = Some("write the value itself, or a project property as @NAME@");
                return Err(self.error(
                    start..start + 1,
                    "properties of the function context are not supported yet",
                    help,
                ));
            }
            Some(quote @ ('"' | '\'')) => {
                let Some(length) = self.rest()[1..].find(quote) else {
                    return Err(self.error(start..start + 1, "this text has no end", None));
                };
                let text = self.rest()[1..1 + length].to_owned();
                self.at += length + 2;
                self.made(ExprKind::Text(text), start..start + length + 2)
            }
            _ => self.call_or_literal(top)?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn field(&mut self) -> Result<Expr, ExprError> {
        let start = self.at;
        let rest = &self.rest()[1..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        self.at += 1 + length;
        let span = start + 1..self.at;
        match self.compiler.computed.get(&name) {
            Some((Some(expr), nodes)) => {
                self.nodes += nodes;
                if self.nodes > MAX_NODES {
                    let help = Some("compute the steps in several windows");
                    return Err(self.error(span, "the functions of this window use each other too often", help));
                }
                Ok(placed(expr, &span))
            }
            Some((None, _)) => {
                let help = Some("compute with the counter in a later compute window");
                Err(self.error(span, format!("`{name}` is an event counter, which functions cannot use yet"), help))
            }
            None => Ok(self.made(ExprKind::Name(name), span)),
        }
    }

    fn call_or_literal(&mut self, top: bool) -> Result<Expr, ExprError> {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let is_name = rest.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name && rest[length..].trim_start().starts_with('(') {
            let name = rest[..length].to_owned();
            self.at += length;
            return self.call(name, start..start + length);
        }
        let end = if top { rest.len() } else { rest.find([',', ')']).unwrap_or(rest.len()) };
        let literal = rest[..end].trim().to_owned();
        self.at += end;
        let span = start..start + literal.len();
        let kind = match literal.parse::<i64>() {
            Ok(value) => ExprKind::Integer(value),
            Err(_) => match crate::convert::text_to_real(&literal) {
                Some(value) => ExprKind::Real(value),
                None => ExprKind::Text(literal),
            },
        };
        Ok(self.made(kind, span))
    }

    fn call(&mut self, name: String, name_span: Range<usize>) -> Result<Expr, ExprError> {
        self.skip_blanks();
        let open = self.at;
        self.at += 1;
        let mut args = Vec::new();
        loop {
            self.skip_blanks();
            match self.rest().chars().next() {
                None => return Err(self.error(open..open + 1, "this `(` has no `)`", Some("add `)`"))),
                Some(')') => break,
                // `sum(a,b,)` stands in public models.
                Some(',') => {
                    self.at += 1;
                    continue;
                }
                Some(_) => args.push(self.argument(false)?),
            }
            self.skip_blanks();
            if !self.rest().is_empty() && !self.rest().starts_with([',', ')']) {
                let span = self.at..self.at + 1;
                return Err(self.error(span, "expected `,` or `)` here", None));
            }
        }
        self.at += 1;
        let span = name_span.start..self.at;
        let made = self.function(&name, &name_span, args, span)?;
        self.nodes += 1;
        Ok(made)
    }
}
