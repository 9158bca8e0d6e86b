//! One line into the columns. Numbers, dates and text in their usual form are read straight from the line; any other
//! form of a field goes the careful way, so both ways accept the same and only `field` makes errors.

use super::columns::{Columns, CsvColumn, Values};
use super::date::DateFormat;
use super::error::quoted;
use super::field::{FieldRules, push_text};
use super::number;
use super::token::{NoToken, Text, Token, scan};
use crate::{FieldType, Flags, Opcode, Schema};

/// What a line must look like.
#[derive(Debug)]
pub(super) struct RowShape {
    pub delimiter: u8,
    /// Opcode of lines without one.
    pub opcode: Option<Opcode>,
    /// Flags of lines without them.
    pub flags: Option<Flags>,
    /// Inserts become upserts.
    pub upsert: bool,
    /// The column that the lines lack.
    pub absent: Option<usize>,
    /// The last column that the lines have.
    pub last: usize,
    pub date_format: Option<DateFormat>,
    pub na_is_null: bool,
}

/// A line that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowEnd {
    /// Position behind it.
    pub next: usize,
    /// Line breaks within quotes.
    pub inner_breaks: u64,
}

/// Why a line was not read.
#[derive(Debug)]
pub(super) enum NoRow {
    /// Quotes are open at the end of the bytes.
    Open(Box<BadField>),
    /// The line is bad.
    Bad(Box<BadField>),
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct BadField {
    /// Position of the field.
    pub at: usize,
    /// Its name.
    pub field: String,
    pub expected: String,
    pub found: String,
}

/// Reads lines into columns.
pub(super) struct RowReader<'a> {
    /// Bytes that end with a line break.
    pub bytes: &'a [u8],
    /// True when all of them are known to be UTF-8.
    pub is_utf8: bool,
    pub shape: &'a RowShape,
    pub schema: &'a Schema,
    pub scratch: &'a mut Vec<u8>,
}

impl RowReader<'_> {
    /// Reads the line at `at`. On failure the columns hold a part of it, which must be rolled back.
    #[inline]
    pub(super) fn read(&mut self, at: usize, into: &mut Columns) -> Result<RowEnd, NoRow> {
        let row = into.len();
        let mut end = RowEnd { next: at, inner_breaks: 0 };
        let opcode = match self.shape.opcode {
            Some(opcode) => opcode,
            None => self.opcode(&mut end.next)?,
        };
        let flags = match self.shape.flags {
            Some(flags) => flags,
            None => self.flags(&mut end.next)?,
        };
        if end.next != at {
            // the form in which events are written has a blank behind the flags
            while self.bytes.get(end.next) == Some(&b' ') && self.shape.delimiter != b' ' {
                end.next += 1;
            }
        }
        for (index, column) in into.columns.iter_mut().enumerate() {
            if self.shape.absent == Some(index) {
                column.push_null(row);
                continue;
            }
            match self.usual_field(end.next, index, row, column) {
                Some(next) => end.next = next,
                None => self.any_field(&mut end, index, row, column)?,
            }
        }
        into.opcodes.push(opcode);
        into.flags.push(flags);
        Ok(end)
    }

    /// Position behind a field's end, if it ends at `at` as it should.
    #[inline]
    fn field_end(&self, at: usize, index: usize) -> Option<usize> {
        self.field_end_at(at, *self.bytes.get(at)?, index)
    }

    /// The same when the byte at `at` is known.
    #[inline]
    fn field_end_at(&self, at: usize, byte: u8, index: usize) -> Option<usize> {
        let is_last = index == self.shape.last;
        if byte == if is_last { b'\n' } else { self.shape.delimiter } {
            return Some(at + 1);
        }
        (is_last && byte == b'\r' && self.bytes.get(at + 1) == Some(&b'\n')).then_some(at + 2)
    }

    /// A field in its usual form; `None`, and nothing pushed, when it has another.
    #[inline]
    fn usual_field(&self, at: usize, index: usize, row: usize, column: &mut CsvColumn) -> Option<usize> {
        match &mut column.values {
            Values::Double(v) => {
                if let Some(number) = number::short(self.bytes, at)
                    && let Some(next) = self.field_end_at(number.end, number.follow, index)
                {
                    v.push(number.double());
                    return Some(next);
                }
                if let Some((value, end)) = number::double(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(value);
                    return Some(next);
                }
                let next = self.null_end(at, index)?;
                column.nulls.set(row);
                v.push(0.0);
                return Some(next);
            }
            Values::Int64(v) => {
                if let Some((value, next)) = self.short_integer(at, index) {
                    v.push(i64::from(value));
                    return Some(next);
                }
                if let Some((value, end)) = number::integer(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(value);
                    return Some(next);
                }
            }
            Values::Int32(v) => {
                if let Some((value, next)) = self.short_integer(at, index) {
                    v.push(value);
                    return Some(next);
                }
                if let Some((value, end)) = number::integer(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(i32::try_from(value).ok()?);
                    return Some(next);
                }
            }
            Values::Date(v) | Values::Stamp(v) if self.shape.date_format.is_none() => {
                if let Some((value, end)) = number::integer(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(value);
                    return Some(next);
                }
            }
            Values::Date(v) => {
                let format = self.shape.date_format.as_ref()?;
                if let Some((seconds, end)) = format.parse_usual_at(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(seconds);
                    return Some(next);
                }
            }
            Values::Stamp(v) => {
                let format = self.shape.date_format.as_ref()?;
                if let Some((seconds, end)) = format.parse_usual_at(self.bytes, at) {
                    let next = self.field_end(end, index)?;
                    v.push(seconds * 1_000_000);
                    return Some(next);
                }
            }
            Values::String(texts) if self.is_utf8 => {
                let rest = &self.bytes[at..];
                let delimiter = self.shape.delimiter;
                let len = rest.iter().position(|&byte| {
                    byte == delimiter || byte == b'\n' || byte == b'\r' || byte == b'\\' || byte == b'"'
                })?;
                let text = &rest[..len];
                let unusual = text.is_empty()
                    || matches!(text[0], b' ' | b'\t')
                    || self.shape.na_is_null && text.starts_with(b"NA");
                if !unusual {
                    let next = self.field_end(at + len, index)?;
                    texts.bytes.extend_from_slice(text);
                    texts.end_row();
                    return Some(next);
                }
            }
            _ => {}
        }
        let next = self.null_end(at, index)?;
        column.push_null(row);
        Some(next)
    }

    #[inline]
    fn short_integer(&self, at: usize, index: usize) -> Option<(i32, usize)> {
        // one or two digits are most of what integers are made of, and need no arithmetic on words
        if let Some(&[first, second, third]) = self.bytes.get(at..).and_then(|rest| rest.first_chunk())
            && first.is_ascii_digit()
        {
            let end = if index == self.shape.last { b'\n' } else { self.shape.delimiter };
            let value = i32::from(first & 15);
            if second == end {
                return Some((value, at + 2));
            }
            if third == end && second.is_ascii_digit() {
                return Some((value * 10 + i32::from(second & 15), at + 3));
            }
        }
        self.seven_digits(at, index)
    }

    fn seven_digits(&self, at: usize, index: usize) -> Option<(i32, usize)> {
        let number = number::short(self.bytes, at)?;
        Some((number.integer()?, self.field_end_at(number.end, number.follow, index)?))
    }

    /// Position behind an empty field, or behind `NA` where that is null.
    #[inline]
    fn null_end(&self, at: usize, index: usize) -> Option<usize> {
        let is_na = self.shape.na_is_null && self.bytes.get(at..at + 2) == Some(b"NA");
        self.field_end(if is_na { at + 2 } else { at }, index)
    }

    /// A field in any form.
    fn any_field(&mut self, end: &mut RowEnd, index: usize, row: usize, column: &mut CsvColumn) -> Result<(), NoRow> {
        let at = end.next;
        let name = &self.schema.fields()[index].name;
        let token = self.token(at, name, self.schema.fields()[index].ty)?;
        let text = match token.text {
            Text::Raw(start, end) => &self.bytes[start..end],
            Text::Scratch => &self.scratch[..],
        };
        let rules = FieldRules { date_format: self.shape.date_format.as_ref(), na_is_null: self.shape.na_is_null };
        push_text(column, row, text, token.quoted, rules).map_err(|expected| bad(at, name, expected, quoted(text)))?;
        end.inner_breaks += token.line_breaks;
        end.next = token.next;
        let last = index == self.shape.last;
        if token.ends_line && !last {
            let missing = (index + 1..self.schema.fields().len()).find(|&i| self.shape.absent != Some(i));
            let missing = &self.schema.fields()[missing.expect("a later column, since this is not the last")];
            return Err(bad(token.next - 1, &missing.name, missing.ty.to_string(), "the end of the line".to_owned()));
        }
        if !token.ends_line && last {
            let rest = &self.bytes[token.next..];
            let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
            let fields = self.schema.fields().len() - usize::from(self.shape.absent.is_some());
            let expected = format!("the end of the line after {fields} fields");
            return Err(bad(token.next, name, expected, quoted(rest)));
        }
        Ok(())
    }

    fn token(&mut self, at: usize, name: &str, ty: FieldType) -> Result<Token, NoRow> {
        scan(self.bytes, at, self.shape.delimiter, self.scratch).map_err(|error| match error {
            NoToken::Open => {
                let rest = &self.bytes[at..];
                let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
                let expected = format!("{ty} with a closing quote");
                NoRow::Open(Box::new(BadField { at, field: name.to_owned(), expected, found: quoted(rest) }))
            }
            NoToken::Junk(junk) => {
                let rest = &self.bytes[junk..];
                let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
                bad(junk, name, format!("a delimiter after the closing quote of the {ty}"), quoted(rest))
            }
        })
    }

    fn opcode(&mut self, at: &mut usize) -> Result<Opcode, NoRow> {
        let text = self.word(at, "opcode", "one of I, U, P, D, SD, UB (or set addcsvopcode=true)", Opcode::parse)?;
        Ok(if text == Opcode::Insert && self.shape.upsert { Opcode::Upsert } else { text })
    }

    fn flags(&mut self, at: &mut usize) -> Result<Flags, NoRow> {
        self.word(at, "flags", "N, P or R (or set addcsvflags)", Flags::parse)
    }

    /// A word up to the next delimiter.
    #[inline]
    fn word<T>(
        &self,
        at: &mut usize,
        name: &str,
        expected: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, NoRow> {
        let rest = &self.bytes[*at..];
        let len = rest.iter().position(|&byte| byte == self.shape.delimiter || byte == b'\n').unwrap_or(rest.len());
        let text = &rest[..len];
        let ends_line = rest.get(len) != Some(&self.shape.delimiter);
        match parse(text) {
            Some(value) if !ends_line => {
                *at += len + 1;
                Ok(value)
            }
            Some(_) => {
                let field = &self.schema.fields()[0];
                let expected = format!("a delimiter and {}", field.ty);
                Err(bad(*at + len, &field.name, expected, "the end of the line".to_owned()))
            }
            None => Err(bad(*at, name, expected.to_owned(), quoted(text))),
        }
    }
}

#[cold]
fn bad(at: usize, field: &str, expected: String, found: String) -> NoRow {
    NoRow::Bad(Box::new(BadField { at, field: field.to_owned(), expected, found }))
}
