//! Blocks to lines: `I,N, 17,abc,1.500000`.

use std::sync::Arc;

use super::base64;
use super::date::DateFormat;
use super::error::CsvSetupError;
use super::float::{push_double, push_integer, push_unsigned};
use crate::{Block, Column, ColumnData, MONEY_SCALE, Schema};

/// What stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CsvHeader {
    /// Nothing.
    #[default]
    None,
    /// A line with the names of the fields.
    Names,
    /// A line with `opcode,flags,` and the names, then an empty line.
    Full,
}

/// How lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOutOptions {
    /// What separates fields.
    pub delimiter: u8,
    /// strftime format of dates and stamps; without it they are integers since the epoch.
    pub date_format: Option<DateFormat>,
    /// What stands before the first event.
    pub header: CsvHeader,
}

impl Default for CsvOutOptions {
    fn default() -> CsvOutOptions {
        CsvOutOptions { delimiter: b',', date_format: None, header: CsvHeader::None }
    }
}

/// Writes blocks as lines, the header in front of the first.
#[derive(Debug, Clone)]
pub struct CsvEncoder {
    options: CsvOutOptions,
    header_is_due: bool,
}

impl CsvEncoder {
    /// An encoder for output that is empty so far.
    pub fn new(options: CsvOutOptions) -> Result<CsvEncoder, CsvSetupError> {
        super::decode::check_delimiter(options.delimiter)?;
        let header_is_due = options.header != CsvHeader::None;
        Ok(CsvEncoder { options, header_is_due })
    }

    /// An encoder for output that goes on: no header.
    pub fn appending(options: CsvOutOptions) -> Result<CsvEncoder, CsvSetupError> {
        let mut encoder = CsvEncoder::new(options)?;
        encoder.header_is_due = false;
        Ok(encoder)
    }

    /// Appends the header, if it is still due: for output that shall have one even without events.
    pub fn header(&mut self, schema: &Arc<Schema>, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.header_is_due) {
            return;
        }
        let delimiter = self.options.delimiter;
        if self.options.header == CsvHeader::Full {
            for name in ["opcode", "flags"] {
                out.extend_from_slice(name.as_bytes());
                out.push(delimiter);
            }
        }
        for (i, field) in schema.fields().iter().enumerate() {
            if i > 0 {
                out.push(delimiter);
            }
            push_text(field.name.as_bytes(), delimiter, out);
        }
        out.extend_from_slice(if self.options.header == CsvHeader::Full { b"\n\n" } else { b"\n" });
    }

    /// Appends the events of a block, one a line; an update block is a `UB` line and a `D` line.
    pub fn encode(&mut self, block: &Block, out: &mut Vec<u8>) {
        self.header(&block.schema, out);
        encode_csv(block, &self.options, out);
    }
}

/// Appends the events of a block, without a header.
pub fn encode_csv(block: &Block, options: &CsvOutOptions, out: &mut Vec<u8>) {
    let delimiter = options.delimiter;
    out.reserve(block.len() * (8 + 8 * block.columns.len()));
    for row in 0..block.len() {
        out.extend_from_slice(block.opcodes[row].letters().as_bytes());
        out.push(delimiter);
        out.extend_from_slice(block.flags[row].letters().as_bytes());
        for (i, column) in block.columns.iter().enumerate() {
            out.push(delimiter);
            if i == 0 {
                out.push(b' ');
            }
            if !column.is_null(row) {
                encode_value(column, row, options, out);
            }
        }
        out.push(b'\n');
    }
}

/// Appends one value that is not null.
#[inline]
pub(crate) fn encode_value(column: &Column, row: usize, options: &CsvOutOptions, out: &mut Vec<u8>) {
    match &column.data {
        ColumnData::Int32(v) => push_integer(i64::from(v[row]), out),
        ColumnData::Int64(v) => push_integer(v[row], out),
        ColumnData::Double(v) => push_double(v[row], out),
        ColumnData::String(texts) => push_text(texts.row(row), options.delimiter, out),
        ColumnData::Date(v) => push_time(v[row], 1_000_000, options, out),
        ColumnData::Stamp(v) => push_time(v[row], 1, options, out),
        ColumnData::Money(v) => push_money(v[row], out),
        ColumnData::Blob(texts) => match texts.row(row) {
            // quoted, since nothing at all is null
            b"" => out.extend_from_slice(b"\"\""),
            bytes => base64::encode(bytes, out),
        },
        ColumnData::ArrayInt32(v) => push_array(&v[row], |x, out| push_integer(i64::from(*x), out), out),
        ColumnData::ArrayInt64(v) => push_array(&v[row], |x, out| push_integer(*x, out), out),
        ColumnData::ArrayDouble(v) => push_array(&v[row], |x, out| push_double(*x, out), out),
    }
}

/// Text in quotes if it could be misread without: inner quotes and backslashes get a backslash.
fn push_text(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let special = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\\' | b'\n' | b'\r');
    let edge = |byte: Option<&u8>| matches!(byte, None | Some(b' ' | b'\t'));
    if !text.iter().any(special) && !edge(text.first()) && !edge(text.last()) && text != b"NA" {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A time by the format; as an integer without one, or beyond the years it can show.
fn push_time(value: i64, unit: i64, options: &CsvOutOptions, out: &mut Vec<u8>) {
    let format = options.date_format.as_ref();
    let printed = format.zip(value.checked_mul(unit)).is_some_and(|(format, micros)| format.print(micros, out));
    if !printed {
        push_integer(value, out);
    }
}

/// Two decimals, or four if they are needed.
fn push_money(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let scale = MONEY_SCALE.unsigned_abs();
    let (whole, rest) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    push_unsigned(whole, out);
    out.push(b'.');
    let (digits, rest) = if rest % 100 == 0 { (2, rest / 100) } else { (4, rest) };
    for place in (0..digits).rev() {
        out.push(b'0' + (rest / 10_u64.pow(place) % 10) as u8);
    }
}

fn push_array<T>(items: &[T], push: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        push(item, out);
    }
    out.push(b']');
}
