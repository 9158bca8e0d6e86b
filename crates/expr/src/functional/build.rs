//! The functions, as calls and operators of the expression language.

use std::ops::Range;

use super::FunctionReader;
use crate::ExprError;
use crate::ast::{BinaryOp, Comparison, Expr, ExprKind, UnaryOp};
use crate::parser::MAX_DEPTH;
use crate::suggest::nearest;

/// Functions whose meaning is one of the expression language's.
const SAME: [(&str, &str); 19] = [
    ("abs", "abs"),
    ("ceiling", "ceil"),
    ("floor", "floor"),
    ("round", "round"),
    ("min", "min"),
    ("max", "max"),
    ("integer", "tointeger"),
    ("long", "tointeger"),
    ("number", "toreal"),
    ("string", "tostring"),
    ("boolean", "toboolean"),
    ("isNull", "isnull"),
    ("toUpper", "upper"),
    ("toLower", "lower"),
    ("trim", "trim"),
    ("stringLength", "len"),
    ("length", "len"),
    ("replace", "replace"),
    ("eventCounter", "eventCounter"),
];

/// Functions made of operators, with the least and the greatest number of arguments.
const BUILT: [(&str, usize, usize); 24] = [
    ("sum", 1, 64),
    ("diff", 1, 64),
    ("product", 1, 64),
    ("quotient", 2, 2),
    ("mod", 2, 2),
    ("neg", 1, 1),
    ("mean", 1, 64),
    ("concat", 1, 64),
    ("concatDelim", 2, 64),
    ("equals", 2, 2),
    ("nequals", 2, 2),
    ("gt", 2, 2),
    ("gte", 2, 2),
    ("lt", 2, 2),
    ("lte", 2, 2),
    ("between", 3, 3),
    ("and", 1, 64),
    ("or", 1, 64),
    ("not", 1, 1),
    ("if", 2, 3),
    ("isNotNull", 1, 1),
    ("true", 0, 0),
    ("false", 0, 0),
    ("contains", 2, 2),
];

impl FunctionReader<'_> {
    pub(super) fn function(
        &self,
        name: &str,
        name_span: &Range<usize>,
        args: Vec<Expr>,
        span: Range<usize>,
    ) -> Result<Expr, ExprError> {
        if let Some((_, same)) = SAME.iter().find(|(known, _)| *known == name) {
            let depth = args.iter().map(|arg| arg.depth).max().unwrap_or(0) + 1;
            let kind = ExprKind::Call { name: (*same).to_owned(), name_span: name_span.clone(), args };
            return Ok(Expr { kind, span, depth });
        }
        let Some((_, least, most)) = BUILT.iter().find(|(known, ..)| *known == name) else {
            let known = SAME.iter().map(|(known, _)| *known).chain(BUILT.iter().map(|(known, ..)| *known));
            let known: Vec<&str> = known.collect();
            let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}supported: {}", near.unwrap_or_default(), known.join(", "));
            let message = format!("function `{name}` is unknown or not supported yet");
            return Err(self.error(name_span.clone(), message, Some(&help)));
        };
        if !(*least..=*most).contains(&args.len()) {
            let message = format!("`{name}` takes {least} to {most} arguments, found {}", args.len());
            return Err(self.error(span, message, None));
        }
        let made = built(name, args, &span);
        if made.depth > MAX_DEPTH {
            return Err(self.error(span, "the functions are nested too deep", None));
        }
        Ok(made)
    }
}

/// A call of a one-argument function.
pub(super) fn converted(name: &str, expr: Expr) -> Expr {
    let (span, depth) = (expr.span.clone(), expr.depth + 1);
    let call = ExprKind::Call { name: name.to_owned(), name_span: span.clone(), args: vec![expr] };
    Expr { kind: call, span, depth }
}

/// A function made of operators; the number of arguments was checked.
fn built(name: &str, args: Vec<Expr>, span: &Range<usize>) -> Expr {
    let count = args.len();
    let leaf = |kind| Expr { kind, span: span.clone(), depth: 1 };
    let mut args = args.into_iter();
    let mut next = || args.next().unwrap_or(leaf(ExprKind::Null));
    let compare = |op, left, right| Expr::binary(BinaryOp::Compare(op), left, right);
    let unary = |op, inner: Expr| {
        let depth = inner.depth + 1;
        Expr { kind: ExprKind::Unary(op, Box::new(inner)), span: span.clone(), depth }
    };
    let mut made = match name {
        "neg" => unary(UnaryOp::Negate, next()),
        "not" => unary(UnaryOp::Not, next()),
        "quotient" => Expr::binary(BinaryOp::Divide, next(), next()),
        "mod" => Expr::binary(BinaryOp::Remainder, next(), next()),
        "equals" => compare(Comparison::Equal, next(), next()),
        "nequals" => compare(Comparison::NotEqual, next(), next()),
        "gt" => compare(Comparison::Greater, next(), next()),
        "gte" => compare(Comparison::GreaterEqual, next(), next()),
        "lt" => compare(Comparison::Less, next(), next()),
        "lte" => compare(Comparison::LessEqual, next(), next()),
        "between" => {
            let (value, low, high) = (next(), next(), next());
            let above = compare(Comparison::LessEqual, low, value.clone());
            Expr::binary(BinaryOp::And, above, compare(Comparison::LessEqual, value, high))
        }
        "isNotNull" => unary(UnaryOp::Not, converted("isnull", next())),
        "contains" => {
            let (text, part) = (next(), next());
            let depth = text.depth.max(part.depth) + 1;
            let kind = ExprKind::Call { name: "instr".into(), name_span: span.clone(), args: vec![text, part] };
            compare(Comparison::Greater, Expr { kind, span: span.clone(), depth }, leaf(ExprKind::Integer(0)))
        }
        "true" => leaf(ExprKind::Boolean(true)),
        "false" => leaf(ExprKind::Boolean(false)),
        "if" => {
            let (condition, yes) = (next(), next());
            let no = if count == 3 { next() } else { leaf(ExprKind::Null) };
            let depth = condition.depth.max(yes.depth).max(no.depth) + 1;
            let kind = ExprKind::Choose(Box::new(condition), Box::new(yes), Box::new(no));
            Expr { kind, span: span.clone(), depth }
        }
        "mean" => {
            let sum = built("sum", args.collect(), span);
            Expr::binary(BinaryOp::Divide, sum, leaf(ExprKind::Integer(count as i64)))
        }
        "concatDelim" => {
            let delimiter = next();
            let first = next();
            args.fold(converted("tostring", first), |left, right| {
                let left = Expr::binary(BinaryOp::Concat, left, delimiter.clone());
                Expr::binary(BinaryOp::Concat, left, right)
            })
        }
        _ => {
            let op = match name {
                "sum" => BinaryOp::Add,
                "diff" => BinaryOp::Subtract,
                "product" => BinaryOp::Multiply,
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                _ => BinaryOp::Concat,
            };
            let first = next();
            args.fold(first, |left, right| Expr::binary(op, left, right))
        }
    };
    made.span = span.clone();
    made
}
