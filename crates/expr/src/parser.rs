//! Tokens to statements: a Pratt parser. A statement ends where the next token cannot continue the expression.

use std::ops::Range;

use crate::ast::{BinaryOp, Comparison, Expr, ExprKind, Stmt, UnaryOp};
use crate::lexer::{Token, TokenKind, tokens};
use crate::{ExprError, Type};

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
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
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

    fn statement(&mut self, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        if self.take_symbol(";") {
            return Ok(());
        }
        let start = self.span();
        self.depth += 1;
        self.deeper(&start, self.depth)?;
        let done = self.one_statement(start, out);
        self.depth -= 1;
        done
    }

    fn one_statement(&mut self, start: Range<usize>, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        let keyword = self.keyword();
        let named = matches!(self.ahead(), TokenKind::Name { .. });
        match keyword.as_str() {
            "if" => return self.if_statement(out),
            "begin" => return self.begin_block(start, out),
            "return" => {
                self.next();
                out.push(Stmt::Return(self.expression(0)?));
                return Ok(());
            }
            "while" | "for" | "goto" if !matches!(self.ahead(), TokenKind::Symbol(s) if *s != "(") => {
                let help = Some("write the steps out, or compute the field in several windows");
                return Err(self.error(start, format!("`{keyword}` is not supported yet"), help));
            }
            "static" | "regex" | "dq" | "array" if named => {
                let help = Some("variables may be integer, real, string, date or boolean and live for one event");
                return Err(self.error(start, format!("`{keyword}` declarations are not supported yet"), help));
            }
            "private" | "public" | "hidden" if named => {
                self.next();
                return self.one_statement(start, out);
            }
            _ => {}
        }
        if let Some(ty) = declared_type(&keyword)
            && (named || matches!(self.ahead(), TokenKind::Symbol("(")) && self.is_sized_declaration())
        {
            return self.declaration(ty, out);
        }
        if let (TokenKind::Name { text, .. }, TokenKind::Symbol("=")) = (self.peek(), self.ahead()) {
            let name = text.clone();
            self.next();
            self.next();
            out.push(Stmt::Assign { name, span: start, value: self.expression(0)? });
            return Ok(());
        }
        out.push(Stmt::Value(self.expression(0)?));
        Ok(())
    }

    /// `string(20) name`: a declaration with a size, not a call.
    fn is_sized_declaration(&self) -> bool {
        let kind = |offset: usize| self.tokens.get(self.at + offset).map(|token| &token.kind);
        matches!(
            (kind(2), kind(3), kind(4)),
            (Some(TokenKind::Integer(_)), Some(TokenKind::Symbol(")")), Some(TokenKind::Name { .. }))
        )
    }

    fn declaration(&mut self, ty: Type, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        if self.take_symbol("(") {
            self.next();
            self.next();
        }
        loop {
            let token = self.next();
            let TokenKind::Name { text: name, .. } = token.kind else {
                return Err(self.error(token.span, "expected the name of a variable", None));
            };
            let value = if self.take_symbol("=") { Some(self.expression(0)?) } else { None };
            out.push(Stmt::Declare { ty, name, span: token.span, value });
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    fn begin_block(&mut self, open: Range<usize>, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        while !self.take_keyword("end") {
            if self.peek() == &TokenKind::End {
                return Err(self.error(open, "this `begin` has no `end`", Some("add `end` after its statements")));
            }
            self.statement(out)?;
        }
        Ok(())
    }

    fn if_statement(&mut self, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        let condition = self.expression(0)?;
        self.take_keyword("then");
        let then = self.branch("if")?;
        let mut otherwise = Vec::new();
        if self.else_follows() {
            otherwise = self.branch("else")?;
        }
        out.push(Stmt::If { condition, then, otherwise });
        Ok(())
    }

    /// Takes an `else`, also one after a `;`.
    fn else_follows(&mut self) -> bool {
        let before = self.at;
        while self.take_symbol(";") {}
        let found = self.take_keyword("else");
        if !found {
            self.at = before;
        }
        found
    }

    fn branch(&mut self, of: &str) -> Result<Vec<Stmt>, ExprError> {
        if self.peek() == &TokenKind::End || self.keyword() == "else" {
            return Err(self.error(self.span(), format!("expected a statement after `{of}`"), None));
        }
        let mut stmts = Vec::new();
        self.statement(&mut stmts)?;
        Ok(stmts)
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
        let span = name_span.start..self.tokens[self.at - 1].span.end;
        let depth = args.iter().map(|arg| arg.depth).max().unwrap_or(0) + 1;
        self.deeper(&span, depth)?;
        Ok(Expr { kind: ExprKind::Call { name, name_span, args }, span, depth })
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

fn declared_type(keyword: &str) -> Option<Type> {
    [Type::Integer, Type::Real, Type::String, Type::Boolean, Type::Date].into_iter().find(|ty| ty.name() == keyword)
}
