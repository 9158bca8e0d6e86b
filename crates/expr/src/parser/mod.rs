//! Tokens to statements: a Pratt parser. A statement ends where the next token cannot continue the expression.

mod statement;

use std::ops::Range;

use crate::ExprError;
use crate::ast::{BinaryOp, Comparison, Expr, ExprKind, Stmt, UnaryOp};
use crate::lexer::{Token, TokenKind, tokens};

/// Longest program in bytes.
pub(crate) const MAX_PROGRAM_BYTES: usize = 256 * 1024;
/// Deepest nesting of expressions and statements.
pub(crate) const MAX_DEPTH: usize = 100;

/// Reads a program.
pub(crate) fn program(text: &str) -> Result<Vec<Stmt>, ExprError> {
    if text.len() > MAX_PROGRAM_BYTES {
        let message = format!("the program has {} bytes, at most {MAX_PROGRAM_BYTES} are allowed", text.len());
        return Err(ExprError::at(text, 0..0, message, Some("split it over several windows".into())));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, loops: 0 };
    let mut stmts = Vec::new();
    while parser.peek() != &TokenKind::End {
        parser.statement(&mut stmts)?;
    }
    Ok(stmts)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Loops around the statement that is read.
    loops: usize,
}

/// Binding power of the prefix `not`: weaker than comparisons, stronger than `and`.
const NOT_POWER: u8 = 3;
/// Binding power of a sign.
const SIGN_POWER: u8 = 8;

impl Parser<'_> {
    fn peek(&self) -> &TokenKind {
        &self.tokens[self.at].kind
    }

    fn ahead(&self) -> &TokenKind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn span(&self) -> Range<usize> {
        self.tokens[self.at].span.clone()
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The keyword that stands here, in lower case; empty for anything else.
    fn keyword(&self) -> String {
        match self.peek() {
            TokenKind::Name { text, quoted: false } => text.to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    fn take_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword() == word;
        if found {
            self.next();
        }
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(s) if *s == symbol);
        if found {
            self.next();
        }
        found
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> ExprError {
        ExprError::at(self.text, span, message, help.map(str::to_owned))
    }

    fn deeper(&self, span: &Range<usize>, depth: usize) -> Result<(), ExprError> {
        if depth > MAX_DEPTH {
            let message = format!("the program is nested deeper than {MAX_DEPTH} levels");
            return Err(self.error(span.clone(), message, Some("keep part of it in a variable")));
        }
        Ok(())
    }

    /// An expression whose operators all bind stronger than `power`.
    fn expression(&mut self, power: u8) -> Result<Expr, ExprError> {
        let start = self.span();
        self.depth += 1;
        self.deeper(&start, self.depth)?;
        let mut left = self.prefix()?;
        while let Some((op, binds)) = self.operator()? {
            if binds <= power {
                break;
            }
            self.next();
            let right = self.expression(binds)?;
            left = Expr::binary(op, left, right);
            self.deeper(&left.span, left.depth)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Expr, ExprError> {
        let keyword = self.keyword();
        let token = self.next();
        let start = token.span.clone();
        let kind = match token.kind {
            TokenKind::Integer(value) => ExprKind::Integer(value),
            TokenKind::Real(value) => ExprKind::Real(value),
            TokenKind::Text(value) => ExprKind::Text(value),
            TokenKind::Date(value) => ExprKind::Date(value),
            TokenKind::Symbol("-") => return self.unary(UnaryOp::Negate, start, SIGN_POWER),
            TokenKind::Symbol("+") => return self.unary(UnaryOp::Plus, start, SIGN_POWER),
            TokenKind::Symbol("(") => {
                let mut inner = self.expression(0)?;
                self.close(start.clone())?;
                inner.span = start.start..self.tokens[self.at - 1].span.end;
                return Ok(inner);
            }
            TokenKind::Name { text, .. } => match keyword.as_str() {
                "not" => return self.unary(UnaryOp::Not, start, NOT_POWER),
                "true" => ExprKind::Boolean(true),
                "false" => ExprKind::Boolean(false),
                "null" => ExprKind::Null,
                "and" | "or" | "then" | "else" | "end" | "if" | "return" | "begin" => {
                    return Err(self.error(start, format!("expected a value, found `{text}`"), None));
                }
                _ if matches!(self.peek(), TokenKind::Symbol("(")) => return self.call(text, start),
                _ if matches!(self.peek(), TokenKind::Symbol(".")) => return self.method(text, start),
                _ => ExprKind::Name(text),
            },
            TokenKind::End => {
                let message = "expected a value, found the end of the expression";
                return Err(self.error(start, message, None));
            }
            TokenKind::Symbol(symbol) => {
                let help = match symbol {
                    "&" => Some("logical and is written `and`; `&` joins texts"),
                    "=" => Some("compare with `==`"),
                    _ => None,
                };
                return Err(self.error(start, format!("expected a value, found `{symbol}`"), help));
            }
        };
        Ok(Expr { kind, span: start, depth: 1 })
    }

    fn unary(&mut self, op: UnaryOp, start: Range<usize>, power: u8) -> Result<Expr, ExprError> {
        let inner = self.expression(power)?;
        let span = start.start..inner.span.end;
        let depth = inner.depth + 1;
        let kind = match (op, &inner.kind) {
            (UnaryOp::Negate, ExprKind::Integer(value)) => ExprKind::Integer(-value),
            (UnaryOp::Negate, ExprKind::Real(value)) => ExprKind::Real(-value),
            _ => ExprKind::Unary(op, Box::new(inner)),
        };
        self.deeper(&span, depth)?;
        Ok(Expr { kind, span, depth })
    }

    fn close(&mut self, open: Range<usize>) -> Result<(), ExprError> {
        if self.take_symbol(")") {
            return Ok(());
        }
        if self.peek() == &TokenKind::End {
            return Err(self.error(open, "this `(` has no `)`", Some("add `)`")));
        }
        let found = self.span();
        let text = &self.text[found.clone()];
        Err(self.error(found, format!("expected `)` or an operator, found `{text}`"), None))
    }

    fn call(&mut self, name: String, name_span: Range<usize>) -> Result<Expr, ExprError> {
        let (args, depth) = self.arguments()?;
        let span = name_span.start..self.tokens[self.at - 1].span.end;
        self.deeper(&span, depth)?;
        Ok(Expr { kind: ExprKind::Call { name, name_span, args }, span, depth })
    }

    fn method(&mut self, object: String, object_span: Range<usize>) -> Result<Expr, ExprError> {
        self.next();
        let token = self.next();
        let (TokenKind::Name { text: method, .. }, TokenKind::Symbol("(")) = (token.kind, self.peek().clone()) else {
            let help = Some("for example: r.compile(\"a+\")");
            return Err(self.error(token.span, format!("expected a method of `{object}`"), help));
        };
        let (args, depth) = self.arguments()?;
        let span = object_span.start..self.tokens[self.at - 1].span.end;
        self.deeper(&span, depth)?;
        let kind = ExprKind::Method { object, object_span, method, method_span: token.span, args };
        Ok(Expr { kind, span, depth })
    }

    /// What stands in brackets, and the depth of a call with it.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), ExprError> {
        let open = self.next().span;
        let mut args = Vec::new();
        if !self.take_symbol(")") {
            loop {
                args.push(self.expression(0)?);
                if !self.take_symbol(",") {
                    break;
                }
            }
            self.close(open)?;
        }
        let depth = args.iter().map(|arg| arg.depth).max().unwrap_or(0) + 1;
        Ok((args, depth))
    }

    /// The operator that stands here and how strongly it binds.
    fn operator(&self) -> Result<Option<(BinaryOp, u8)>, ExprError> {
        let keyword = self.keyword();
        let symbol = match self.peek() {
            TokenKind::Symbol(symbol) => *symbol,
            _ => keyword.as_str(),
        };
        Ok(Some(match symbol {
            "or" => (BinaryOp::Or, 1),
            "and" => (BinaryOp::And, 2),
            "==" => (BinaryOp::Compare(Comparison::Equal), 4),
            "!=" | "<>" => (BinaryOp::Compare(Comparison::NotEqual), 4),
            "<" => (BinaryOp::Compare(Comparison::Less), 4),
            "<=" => (BinaryOp::Compare(Comparison::LessEqual), 4),
            ">" => (BinaryOp::Compare(Comparison::Greater), 4),
            ">=" => (BinaryOp::Compare(Comparison::GreaterEqual), 4),
            "&" => (BinaryOp::Concat, 5),
            "+" => (BinaryOp::Add, 6),
            "-" => (BinaryOp::Subtract, 6),
            "*" => (BinaryOp::Multiply, 7),
            "/" => (BinaryOp::Divide, 7),
            "%" => (BinaryOp::Remainder, 7),
            "=" => {
                let help = Some("compare with `==`; an assignment is a statement of its own: `name = value`");
                return Err(self.error(self.span(), "`=` assigns, it does not compare", help));
            }
            _ => return Ok(None),
        }))
    }
}
