//! What a function text says: `name(argument, ...)`, `$field`, `#property`, literals.

use std::ops::Range;

use super::Names;
use super::library::{self, Entry};
use crate::ExprError;
use crate::parser::MAX_PROGRAM_BYTES;
use crate::scalar::Scalar;
use crate::suggest::nearest;

/// Deepest nesting of functions.
const MAX_NESTING: usize = 50;
/// Most arguments of a function.
pub(crate) const MAX_ARGS: usize = 256;

#[derive(Debug, Clone)]
pub(crate) enum Func {
    Constant(Scalar<'static>),
    /// `$name`: the output field when it has a value already, else the input field.
    Field {
        output: Option<usize>,
        input: Option<usize>,
    },
    /// `#name`: a property of the function context.
    Property(usize),
    /// `#name` or `$name`: the item of an event loop.
    Item(usize),
    Call {
        entry: &'static Entry,
        args: Vec<Func>,
        at: usize,
    },
}

/// Reads the text of a function.
pub(crate) fn read(text: &str, names: &Names) -> Result<Func, ExprError> {
    if text.len() > MAX_PROGRAM_BYTES {
        let message = format!("the function has {} bytes, at most {MAX_PROGRAM_BYTES} are allowed", text.len());
        return Err(ExprError::at(text, 0..0, message, None));
    }
    let mut reader = Reader { text, at: 0, depth: 0, names };
    let func = reader.argument(true)?;
    reader.skip_blanks();
    if reader.at < text.len() {
        let help = "nest functions: sum(a, product(b, c))";
        return Err(reader.error(reader.at..text.len(), "nothing may follow the function", Some(help)));
    }
    Ok(func)
}

/// True for a property's text that is computed: one `$field`, one `#property`, or the call of a function.
pub(crate) fn is_computed(text: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let text = text.trim();
    let called = || {
        let (name, rest) = text.split_once('(')?;
        Some(rest.ends_with(')') && library::find(name.trim()).is_some())
    };
    text.strip_prefix(['$', '#']).is_some_and(word) || called().unwrap_or(false)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    names: &'a Names,
}

impl Reader<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> ExprError {
        ExprError::at(self.text, span, message, help.map(str::to_owned))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn argument(&mut self, top: bool) -> Result<Func, ExprError> {
        self.skip_blanks();
        let start = self.at;
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error(start..start, format!("functions are nested deeper than {MAX_NESTING}"), None));
        }
        let func = match self.rest().chars().next() {
            Some('$') => self.field()?,
            Some('#') => self.property()?,
            Some(quote @ ('"' | '\'')) => match self.quoted(quote)? {
                // `'a' and more` at the top is a literal as a whole.
                text if !top || self.rest().trim().is_empty() => Func::Constant(Scalar::text(text)),
                _ => {
                    self.at = start;
                    self.literal(true)
                }
            },
            _ => self.call_or_literal(top)?,
        };
        self.depth -= 1;
        Ok(func)
    }

    /// A text in quotes; `\'` is a quote inside.
    fn quoted(&mut self, quote: char) -> Result<String, ExprError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && chars.peek().is_some_and(|(_, next)| *next == quote) {
                out.push(quote);
                chars.next();
            } else if c == quote {
                self.at = start + 1 + at + 1;
                return Ok(out);
            } else {
                out.push(c);
            }
        }
        Err(self.error(start..start + 1, "this text has no end", Some("close the quote")))
    }

    fn word(&mut self) -> (String, Range<usize>) {
        let start = self.at + 1;
        let rest = &self.text[start..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
        self.at = start + length;
        (rest[..length].to_owned(), start..self.at)
    }

    fn field(&mut self) -> Result<Func, ExprError> {
        let (name, span) = self.word();
        // The item of a loop goes by `$name` too, and stands before a field of that name.
        if let Some(at) = self.names.items.iter().rposition(|known| *known == name) {
            return Ok(Func::Item(at));
        }
        let output = self.names.outputs.iter().position(|(known, _)| *known == name);
        let input = self.names.inputs.iter().position(|(known, _)| *known == name);
        if output.is_some() || input.is_some() {
            return Ok(Func::Field { output, input });
        }
        if self.names.elsewhere.contains(&name) {
            return Ok(Func::Constant(Scalar::Null));
        }
        let mut known: Vec<&str> = self.names.inputs.iter().map(|(name, _)| name.as_str()).collect();
        for (name, _) in &self.names.outputs {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        let near = nearest(&name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let help = format!("{}known: {}", near.unwrap_or_default(), known.join(", "));
        Err(self.error(span, format!("`{name}` is no field of the input or of this window"), Some(&help)))
    }

    fn property(&mut self) -> Result<Func, ExprError> {
        let (name, span) = self.word();
        if let Some(at) = self.names.items.iter().rposition(|known| *known == name) {
            return Ok(Func::Item(at));
        }
        if let Some(at) = self.names.properties.iter().position(|(known, _)| *known == name) {
            return Ok(Func::Property(at));
        }
        let properties = self.names.properties.iter().map(|(name, _)| name.as_str());
        let known: Vec<&str> = properties.chain(self.names.items.iter().map(String::as_str)).collect();
        let help = match nearest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean `#{near}`?"),
            None if known.is_empty() => "add it to <properties> of the function-context".to_owned(),
            None => format!("known: {}", known.join(", ")),
        };
        Err(self.error(span, format!("there is no property `{name}`"), Some(&help)))
    }

    fn call_or_literal(&mut self, top: bool) -> Result<Func, ExprError> {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let is_name = rest.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name && rest[length..].trim_start().starts_with('(') {
            let name = rest[..length].to_owned();
            self.at += length;
            return self.call(&name, start..start + length);
        }
        Ok(self.literal(top))
    }

    /// Bare text; numeric text is a number.
    fn literal(&mut self, top: bool) -> Func {
        let rest = &self.text[self.at..];
        let end = if top { rest.len() } else { rest.find([',', ')']).unwrap_or(rest.len()) };
        let literal = rest[..end].trim();
        self.at += end;
        Func::Constant(match literal.parse::<i64>() {
            Ok(value) => Scalar::Integer(value),
            Err(_) => match crate::convert::text_to_real(literal) {
                Some(value) => Scalar::Real(value),
                None => Scalar::text(literal.to_owned()),
            },
        })
    }

    fn call(&mut self, name: &str, name_span: Range<usize>) -> Result<Func, ExprError> {
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
                let found = self.rest().chars().next().unwrap_or(' ');
                let span = self.at..self.at + found.len_utf8();
                return Err(self.error(span, format!("expected `,` or `)`, found `{found}`"), None));
            }
        }
        self.at += 1;
        let entry = self.known(name, &name_span)?;
        if !(entry.least..=entry.most).contains(&args.len()) {
            let expected = match (entry.least, entry.most) {
                (a, b) if a == b => a.to_string(),
                (a, MAX_ARGS) => format!("{a} or more"),
                (a, b) => format!("{a} to {b}"),
            };
            let message = format!("`{name}` takes {expected} arguments, found {}", args.len());
            let help = format!("usage: {}", entry.usage);
            return Err(self.error(name_span.start..self.at, message, Some(&help)));
        }
        if let Err(error) = library::check(entry, &mut args) {
            return Err(self.error(name_span.start..self.at, error, Some(&format!("usage: {}", entry.usage))));
        }
        Ok(Func::Call { entry, args, at: name_span.start })
    }

    fn known(&self, name: &str, span: &Range<usize>) -> Result<&'static Entry, ExprError> {
        if let Some(entry) = library::find(name) {
            return Ok(entry);
        }
        let help = match nearest(name, library::all().map(|entry| entry.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", library::all().map(|entry| entry.name).collect::<Vec<_>>().join(", ")),
        };
        Err(self.error(span.clone(), format!("there is no function `{name}`"), Some(&help)))
    }
}
