//! JSON for scripts. The reader is lenient as the original's: names need no quotes, `'` is a quote too, commas may trail.

use mlua::{Lua, Value};

/// Deepest nesting that is read or written.
const MAX_DEPTH: usize = 64;

/// A text as Lua values; null is nil.
pub(crate) fn parse(lua: &Lua, text: &str) -> Result<Value, String> {
    let mut reader = Reader { lua, text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.wrong("the end"));
    }
    Ok(value)
}

struct Reader<'a> {
    lua: &'a Lua,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, expected: &str) -> String {
        let found: String = self.rest().chars().take(12).collect();
        format!("JSON, byte {}: found `{found}`, expected {expected}", self.at)
    }

    fn made<T>(&self, made: mlua::Result<T>) -> Result<T, String> {
        made.map_err(|error| error.to_string())
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("JSON: nested deeper than {MAX_DEPTH}"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"' | b'\'') => {
                let text = self.quoted()?;
                Ok(Value::String(self.made(self.lua.create_string(text))?))
            }
            Some(_) => self.word(),
            None => Err(self.wrong("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let table = self.made(self.lua.create_table())?;
        while !self.takes(b'}') {
            let name = match self.peek() {
                Some(b'"' | b'\'') => self.quoted()?,
                _ => self.bare().to_owned(),
            };
            if name.is_empty() || !self.takes(b':') {
                return Err(self.wrong("a name and `:`"));
            }
            let value = self.value(depth + 1)?;
            self.made(table.raw_set(name, value))?;
            if !self.takes(b',') && self.peek() != Some(b'}') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
        Ok(Value::Table(table))
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let table = self.made(self.lua.create_table())?;
        let mut index = 0_i64;
        while !self.takes(b']') {
            index += 1;
            let value = self.value(depth + 1)?;
            self.made(table.raw_set(index, value))?;
            if !self.takes(b',') && self.peek() != Some(b']') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
        Ok(Value::Table(table))
    }

    /// Letters without quotes.
    fn bare(&mut self) -> &str {
        let start = self.at;
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '$');
        self.at += self.rest().find(|c| !word(c)).unwrap_or(self.rest().len());
        &self.text[start..self.at]
    }

    fn word(&mut self) -> Result<Value, String> {
        let start = self.at;
        let word = self.bare().to_owned();
        match word.as_str() {
            "null" | "nil" => Ok(Value::Nil),
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => {
                if let Ok(number) = word.parse() {
                    return Ok(Value::Integer(number));
                }
                match word.parse::<f64>() {
                    Ok(number) if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                        Ok(Value::Number(number))
                    }
                    _ => {
                        self.at = start;
                        Err(self.wrong("a value"))
                    }
                }
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.peek().map_or('"', char::from);
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else { return Err(self.wrong("the end of a text")) };
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(out),
                '\\' => {
                    let Some(escaped) = self.rest().chars().next() else { return Err(self.wrong("an escape")) };
                    self.at += escaped.len_utf8();
                    match escaped {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'u' => out.push(self.unicode()?),
                        other => out.push(other),
                    }
                }
                c => out.push(c),
            }
        }
    }

    fn unicode(&mut self) -> Result<char, String> {
        let high = self.hex()?;
        if !(0xD800..0xDC00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.rest().starts_with("\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let low = self.hex()?;
        let code = 0x10000 + ((high - 0xD800) << 10) + (low & 0x3FF);
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.rest().get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += if digits.is_some() { 4 } else { 0 };
        digits.ok_or_else(|| self.wrong("four hexadecimal digits"))
    }
}

/// A value as JSON, names in order.
pub(crate) fn write(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_into(value, 0, &mut out)?;
    Ok(out)
}

fn write_into(value: &Value, depth: usize, out: &mut String) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("a table is nested deeper than {MAX_DEPTH}, or in itself"));
    }
    match value {
        Value::Nil => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Number(value) if value.is_finite() => out.push_str(&value.to_string()),
        Value::Number(_) => out.push_str("null"),
        Value::String(text) => text_into(&text.to_string_lossy(), out),
        Value::Table(table) => {
            let length = table.raw_len();
            let mut named: Vec<(String, Value)> = Vec::new();
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair.map_err(|error| error.to_string())?;
                match key {
                    Value::Integer(at) if at >= 1 && at as usize <= length => {}
                    Value::Integer(at) => named.push((at.to_string(), value)),
                    Value::String(name) => named.push((name.to_string_lossy(), value)),
                    other => return Err(format!("a {} as a key has no text", other.type_name())),
                }
            }
            if named.is_empty() && length > 0 {
                out.push('[');
                for at in 1..=length {
                    let item: Value = table.raw_get(at).map_err(|error| error.to_string())?;
                    out.push_str(if at > 1 { "," } else { "" });
                    write_into(&item, depth + 1, out)?;
                }
                out.push(']');
                return Ok(());
            }
            for at in 1..=length {
                named.push((at.to_string(), table.raw_get(at).map_err(|error| error.to_string())?));
            }
            named.sort_by(|(one, _), (other, _)| one.cmp(other));
            out.push('{');
            for (at, (name, value)) in named.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                text_into(name, out);
                out.push(':');
                write_into(value, depth + 1, out)?;
            }
            out.push('}');
        }
        other => return Err(format!("a {} has no text", other.type_name())),
    }
    Ok(())
}

fn text_into(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
