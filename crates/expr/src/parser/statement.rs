//! Statements. One ends where the next token cannot continue its expression.

use std::ops::Range;

use super::Parser;
use crate::ast::{Bounds, ObjectKind, Stmt};
use crate::lexer::{Token, TokenKind};
use crate::{ExprError, Type};

impl Parser<'_> {
    pub(super) fn statement(&mut self, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
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
            "while" if !self.assigned() => return self.while_statement(out),
            "for" if named => return self.for_statement(out),
            "goto" if named => {
                self.next();
                let Token { kind: TokenKind::Name { text, .. }, span } = self.next() else {
                    unreachable!("a name follows")
                };
                out.push(Stmt::Goto { label: text, span });
                return Ok(());
            }
            "break" | "continue" if self.loops > 0 && !self.assigned() => {
                self.next();
                out.push(if keyword == "break" { Stmt::Break } else { Stmt::Continue });
                return Ok(());
            }
            "dq" if named => {
                let help =
                    Some("data quality objects need the vendor's knowledge base; use functions and regex objects");
                return Err(self.error(start, "`dq` objects are not supported", help));
            }
            "regex" | "array" if named => return self.object(false, out),
            "static" if named => {
                self.next();
                let keyword = self.keyword();
                if matches!(keyword.as_str(), "regex" | "array") {
                    return self.object(true, out);
                }
                let Some(ty) = declared_type(&keyword) else {
                    let help = Some("for example: static integer count = 0");
                    return Err(self.error(self.span(), "expected a type after `static`", help));
                };
                return self.declaration(ty, true, out);
            }
            "private" | "public" | "hidden" if named => {
                self.next();
                return self.one_statement(self.span(), out);
            }
            _ => {}
        }
        if let Some(ty) = declared_type(&keyword)
            && (named || matches!(self.ahead(), TokenKind::Symbol("(")) && self.is_sized_declaration())
        {
            return self.declaration(ty, false, out);
        }
        if let (TokenKind::Name { text, .. }, TokenKind::Symbol(":")) = (self.peek(), self.ahead()) {
            out.push(Stmt::Label { name: text.clone(), span: start });
            self.next();
            self.next();
            return Ok(());
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

    /// `name = `: an assignment to a variable that is called like a keyword.
    fn assigned(&self) -> bool {
        matches!(self.ahead(), TokenKind::Symbol("="))
    }

    fn declaration(&mut self, ty: Type, keep: bool, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        let mut size = None;
        if self.is_open_size() {
            self.next();
            if let TokenKind::Integer(n) = self.next().kind {
                size = Some(n);
            }
            self.next();
        }
        // `string array names`
        if self.keyword() == "array" && matches!(self.ahead(), TokenKind::Name { .. }) {
            self.next();
            return self.object_names(ObjectKind::Array(ty), keep, out);
        }
        loop {
            let (name, span) = self.declared_name()?;
            let value = if self.take_symbol("=") { Some(self.expression(0)?) } else { None };
            out.push(Stmt::Declare { ty, name, span, keep, size, value });
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    /// `(20)`: the size of a string.
    fn is_open_size(&self) -> bool {
        let kind = |offset: usize| self.tokens.get(self.at + offset).map(|token| &token.kind);
        matches!(
            (kind(0), kind(1), kind(2)),
            (Some(TokenKind::Symbol("(")), Some(TokenKind::Integer(_)), Some(TokenKind::Symbol(")")))
        )
    }

    fn declared_name(&mut self) -> Result<(String, Range<usize>), ExprError> {
        let token = self.next();
        match token.kind {
            TokenKind::Name { text, .. } => Ok((text, token.span)),
            _ => {
                let found = self.found(&token.span);
                Err(self.error(token.span, format!("expected the name of a variable, found {found}"), None))
            }
        }
    }

    fn found(&self, span: &Range<usize>) -> String {
        if span.is_empty() { "the end of the expression".into() } else { format!("`{}`", &self.text[span.clone()]) }
    }

    /// `regex name`, `array of string name`.
    fn object(&mut self, keep: bool, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        if self.take_keyword("regex") {
            return self.object_names(ObjectKind::Regex, keep, out);
        }
        self.take_keyword("array");
        self.take_keyword("of");
        let Some(ty) = declared_type(&self.keyword()) else {
            let help = Some("for example: string array names");
            return Err(self.error(self.span(), "expected the type of the array's values", help));
        };
        self.next();
        self.object_names(ObjectKind::Array(ty), keep, out)
    }

    fn object_names(&mut self, kind: ObjectKind, keep: bool, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        loop {
            let (name, span) = self.declared_name()?;
            out.push(Stmt::Object { kind, name, span, keep });
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    fn while_statement(&mut self, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        let condition = self.expression(0)?;
        self.take_keyword("do");
        let body = self.loop_body("while")?;
        out.push(Stmt::While { condition, body });
        Ok(())
    }

    fn for_statement(&mut self, out: &mut Vec<Stmt>) -> Result<(), ExprError> {
        self.next();
        let (name, span) = self.declared_name()?;
        if !self.take_symbol("=") {
            let help = Some("for example: for i = 1 to 10 begin ... end");
            return Err(self.error(self.span(), format!("expected `=` after `for {name}`"), help));
        }
        let from = self.expression(0)?;
        if !self.take_keyword("to") {
            let found = self.found(&self.span());
            let help = Some("for example: for i = 1 to 10 step 2 begin ... end");
            return Err(self.error(self.span(), format!("expected `to`, found {found}"), help));
        }
        let to = self.expression(0)?;
        let step = if self.take_keyword("step") { Some(self.expression(0)?) } else { None };
        self.take_keyword("do");
        let body = self.loop_body("for")?;
        out.push(Stmt::For { name, span, bounds: Box::new(Bounds { from, to, step }), body });
        Ok(())
    }

    fn loop_body(&mut self, of: &str) -> Result<Vec<Stmt>, ExprError> {
        self.loops += 1;
        let body = self.branch(of);
        self.loops -= 1;
        body
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
}

fn declared_type(keyword: &str) -> Option<Type> {
    [Type::Integer, Type::Real, Type::String, Type::Boolean, Type::Date].into_iter().find(|ty| ty.name() == keyword)
}
