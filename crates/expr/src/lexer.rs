//! Text to tokens. Keywords are not told apart here: a field may be called `date` or `end`.

use std::ops::Range;

use crate::ExprError;
use crate::date;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or a keyword; `quoted` names (in back quotes) are never keywords.
    Name {
        text: String,
        quoted: bool,
    },
    Integer(i64),
    Real(f64),
    Text(String),
    Date(f64),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 20] =
    ["==", "!=", "<>", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "&", "(", ")", ",", ";", ".", ":"];

/// Splits a text into tokens; the last one is [`TokenKind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, ExprError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let kind = lexer.token()?;
        let end = kind == TokenKind::End;
        tokens.push(Token { kind, span: start..lexer.at });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> ExprError {
        ExprError::at(self.text, span, message, help.map(str::to_owned))
    }

    /// Skips white space, `// ...` and `/* ... */`.
    fn skip_blanks(&mut self) -> Result<(), ExprError> {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            let rest = &rest[blanks..];
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                let open = self.at + blanks..self.at + blanks + 2;
                let end =
                    rest.find("*/").ok_or_else(|| self.error(open, "this comment has no end", Some("add `*/`")))?;
                end + 2
            } else {
                0
            };
            self.at += blanks + comment;
            if comment == 0 {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<TokenKind, ExprError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(TokenKind::End) };
        if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let text = rest[..length].to_owned();
            self.at += length;
            return Ok(TokenKind::Name { text, quoted: false });
        }
        let after_point = rest.as_bytes().get(1);
        if first.is_ascii_digit() || (first == '.' && after_point.is_some_and(u8::is_ascii_digit)) {
            return self.number();
        }
        match first {
            '"' | '\'' => Ok(TokenKind::Text(self.enclosed(first, "text")?)),
            '`' => Ok(TokenKind::Name { text: self.enclosed(first, "name")?, quoted: true }),
            '#' => {
                let start = self.at;
                let inner = self.enclosed(first, "date")?;
                let bad = || {
                    self.error(
                        start..self.at,
                        format!("`{inner}` is not a date"),
                        Some("write it as #2010-02-12# or #2010-02-12 08:30:00#"),
                    )
                };
                date::parse(&inner).map(TokenKind::Date).ok_or_else(bad)
            }
            _ => match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Ok(TokenKind::Symbol(symbol))
                }
                None => {
                    let help = match first {
                        '|' => Some("logical or is written `or`, concatenation `&`"),
                        '!' => Some("logical not is written `not`"),
                        _ => None,
                    };
                    Err(self.error(self.at..self.at + first.len_utf8(), format!("`{first}` has no meaning here"), help))
                }
            },
        }
    }

    /// What stands between two equal quotes. There are no escapes: use the other kind of quote inside.
    fn enclosed(&mut self, quote: char, what: &str) -> Result<String, ExprError> {
        let start = self.at;
        let inner = &self.text[start + 1..];
        let Some(length) = inner.find(quote) else {
            let help = format!("add `{quote}` at its end");
            return Err(self.error(start..start + 1, format!("this {what} has no end"), Some(&help)));
        };
        self.at = start + length + 2;
        Ok(inner[..length].to_owned())
    }

    fn number(&mut self) -> Result<TokenKind, ExprError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(start);
        let mut real = false;
        if bytes.get(end) == Some(&b'.') {
            real = true;
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                real = true;
                end = exponent;
            }
        }
        self.at = end;
        let text = &self.text[start..end];
        if self.rest().starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Err(self.error(
                start..end,
                format!("letters follow the number `{text}` directly"),
                Some("put a blank or an operator between them; names start with a letter"),
            ));
        }
        if real {
            let value: f64 =
                text.parse().map_err(|_| self.error(start..end, format!("`{text}` is not a number"), None))?;
            return Ok(TokenKind::Real(value));
        }
        let too_big = |_| {
            self.error(
                start..end,
                format!("`{text}` does not fit a 64-bit integer"),
                Some("write it as a real number, with `.0`"),
            )
        };
        text.parse().map(TokenKind::Integer).map_err(too_big)
    }
}
