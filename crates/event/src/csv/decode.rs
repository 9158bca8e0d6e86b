//! Bytes to blocks: lines over chunk borders, header lines, block borders, bad lines.

use std::sync::Arc;

use super::columns::Columns;
use super::date::DateFormat;
use super::error::{CsvSetupError, quoted};
use super::row::{BadField, NoRow, RowReader, RowShape};
use super::{CsvError, CsvOptions, MAX_BLOCK_TEXT_BYTES, MAX_KEPT_ERRORS, MAX_ROW_BYTES};
use crate::{Block, FieldType, Opcode, Schema};

/// Bytes that are read at a time, so that they stay in the fast caches from one pass to the next.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes of a line that is too long that its error looks at.
const ERROR_BYTES: usize = 256;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A place in a source: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CsvPosition {
    /// Bytes before it.
    pub bytes: u64,
    /// Lines before it.
    pub lines: u64,
    /// Events before it.
    pub events: u64,
}

/// A block, and where the source stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvBlock {
    /// The events.
    pub block: Block,
    /// The place behind the last of its lines; a decoder that resumes there reads the rest.
    pub position: CsvPosition,
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvProgress {
    /// Bytes of the chunk that need not be passed again.
    pub consumed: usize,
    /// The limit of blocks was reached: call again with the rest of the chunk, even when nothing is left of it.
    pub more: bool,
}

/// Reads CSV lines into blocks.
#[derive(Debug)]
pub struct CsvDecoder {
    schema: Arc<Schema>,
    shape: RowShape,
    file: String,
    ignore_errors: bool,
    header_lines_left: u64,
    columns: Columns,
    /// Lines that were not complete when their chunk ended.
    carry: Vec<u8>,
    /// The carried line has open quotes, so that more than one line must be added.
    carry_is_open: bool,
    /// The carry ends with a line break that is not in the source.
    padded: bool,
    /// The line that is passed is too long and was refused: its rest is skipped.
    skips_line: bool,
    position: CsvPosition,
    block_start: u64,
    errors: Vec<CsvError>,
    bad_lines: u64,
    scratch: Vec<u8>,
}

/// What one call may do.
#[derive(Debug, Clone, Copy)]
struct Limits {
    block_size: usize,
    max_blocks: usize,
}

enum Stop {
    /// All complete lines are read.
    Incomplete,
    /// The limit of blocks is reached.
    Blocks,
}

impl CsvDecoder {
    /// A decoder for a source from its start.
    pub fn new(schema: Arc<Schema>, options: CsvOptions) -> Result<CsvDecoder, CsvSetupError> {
        CsvDecoder::resume(schema, options, CsvPosition::default())
    }

    /// A decoder for a source whose bytes before `position` are not passed; header lines before it are not skipped again.
    pub fn resume(
        schema: Arc<Schema>,
        options: CsvOptions,
        position: CsvPosition,
    ) -> Result<CsvDecoder, CsvSetupError> {
        let delimiter = options.delimiter;
        check_delimiter(delimiter)?;
        let absent = if options.no_autogen_field { Some(autogen_field(&schema)?) } else { None };
        let last = (0..schema.fields().len()).rev().find(|&index| absent != Some(index));
        let added = if options.upsert { Opcode::Upsert } else { Opcode::Insert };
        let shape = RowShape {
            delimiter,
            opcode: options.add_opcode.then_some(added),
            flags: options.add_flags,
            upsert: options.upsert,
            absent,
            last: last.expect("a schema has a field, with an absent one it has two"),
            date_format: options.date_format.as_deref().map(DateFormat::new).transpose()?,
            na_is_null: options.na_is_null,
        };
        Ok(CsvDecoder {
            columns: Columns::new(&schema),
            schema,
            shape,
            file: options.file,
            ignore_errors: options.ignore_errors,
            header_lines_left: options.header_lines.saturating_sub(position.lines),
            carry: Vec::new(),
            carry_is_open: false,
            padded: false,
            skips_line: false,
            position,
            block_start: position.bytes,
            errors: Vec::new(),
            bad_lines: 0,
            scratch: Vec::new(),
        })
    }

    /// Reads the next bytes of the source and passes on each full block of `block_size` events (at least 1).
    ///
    /// Incomplete lines and blocks are kept for the next call; with `last` they end here. At most `max_blocks` blocks
    /// are made, see [`CsvProgress::more`]. After an error the decoder stands before the bad line and is of no further
    /// use, except that [`CsvDecoder::flush`] gives the events before it.
    pub fn decode(
        &mut self,
        chunk: &[u8],
        last: bool,
        block_size: usize,
        max_blocks: usize,
        mut sink: impl FnMut(CsvBlock),
    ) -> Result<CsvProgress, CsvError> {
        let mut limits = Limits { block_size: block_size.max(1), max_blocks };
        let mut consumed = self.skip_line_rest(chunk);
        while !self.carry.is_empty() {
            if let Stop::Blocks = self.read_carry(false, &mut limits, &mut sink)? {
                return Ok(CsvProgress { consumed, more: true });
            }
            if self.carry.is_empty() || consumed == chunk.len() {
                break;
            }
            let rest = &chunk[consumed..];
            let line = if self.carry_is_open { memchr::memrchr(b'\n', rest) } else { memchr::memchr(b'\n', rest) };
            let taken = line.map_or(rest.len(), |at| at + 1);
            self.carry.extend_from_slice(&rest[..taken]);
            consumed += taken;
        }
        if self.carry.is_empty() {
            let mut piece = PIECE_BYTES;
            loop {
                let rest = &chunk[consumed..];
                let rest = &rest[..piece.min(rest.len())];
                let is_rest = consumed + rest.len() == chunk.len();
                let complete = memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1);
                let (read, stop) = self.read_lines(&rest[..complete], false, &mut limits, &mut sink)?;
                consumed += read;
                if let Stop::Blocks = stop {
                    return Ok(CsvProgress { consumed, more: true });
                }
                if is_rest {
                    break;
                }
                // a line that is longer than the piece
                piece = if read == 0 { piece.saturating_mul(2) } else { PIECE_BYTES };
            }
            self.carry.extend_from_slice(&chunk[consumed..]);
            consumed = chunk.len();
        }
        if last {
            if !self.carry.is_empty() && !self.padded && self.carry.last() != Some(&b'\n') {
                self.carry.push(b'\n');
                self.padded = true;
            }
            if let Stop::Blocks = self.read_carry(true, &mut limits, &mut sink)? {
                return Ok(CsvProgress { consumed, more: true });
            }
            if self.columns.len() > 0 {
                if limits.max_blocks == 0 {
                    return Ok(CsvProgress { consumed, more: true });
                }
                self.flush().into_iter().for_each(sink);
            }
        }
        Ok(CsvProgress { consumed, more: false })
    }

    /// The events that are waiting for their block to become full, for sources that pause.
    pub fn flush(&mut self) -> Option<CsvBlock> {
        (self.columns.len() > 0).then(|| {
            self.block_start = self.position.bytes;
            CsvBlock { block: self.columns.take(&self.schema), position: self.position }
        })
    }

    /// The place behind the last complete line, whether or not its event has left in a block.
    pub fn position(&self) -> CsvPosition {
        self.position
    }

    /// Number of bad lines that were skipped.
    pub fn bad_lines(&self) -> u64 {
        self.bad_lines
    }

    /// The errors of skipped lines since the last call, at most [`MAX_KEPT_ERRORS`].
    pub fn take_errors(&mut self) -> Vec<CsvError> {
        std::mem::take(&mut self.errors)
    }

    fn read_carry(
        &mut self,
        at_end: bool,
        limits: &mut Limits,
        sink: &mut impl FnMut(CsvBlock),
    ) -> Result<Stop, CsvError> {
        let mut carry = std::mem::take(&mut self.carry);
        let complete = memchr::memrchr(b'\n', &carry).map_or(0, |at| at + 1);
        let result = self.read_lines(&carry[..complete], at_end, limits, sink);
        let read = result.as_ref().map_or(0, |(read, _)| *read);
        carry.drain(..read);
        // complete lines that are not read have open quotes
        self.carry_is_open = read < complete;
        let is_too_long = carry.len() > MAX_ROW_BYTES && matches!(result, Ok((_, Stop::Incomplete)));
        self.carry = carry;
        if is_too_long {
            self.refuse_carried_line()?;
        }
        result.map(|(_, stop)| stop)
    }

    fn refuse_carried_line(&mut self) -> Result<(), CsvError> {
        let error = CsvError {
            file: self.file.clone(),
            line: self.position.lines + 1,
            column: 1,
            field: self.schema.fields()[0].name.clone(),
            expected: format!("a line of at most {MAX_ROW_BYTES} bytes"),
            found: quoted(&self.carry[..ERROR_BYTES]),
        };
        self.refuse(error)?;
        let end = memchr::memchr(b'\n', &self.carry);
        let skipped = end.map_or(self.carry.len(), |at| at + 1);
        self.position.bytes += skipped as u64;
        self.carry.drain(..skipped);
        match end {
            Some(_) => self.position.lines += 1,
            None => self.skips_line = true,
        }
        Ok(())
    }

    /// Skips to the end of a line that was refused; returns how many bytes were skipped.
    fn skip_line_rest(&mut self, chunk: &[u8]) -> usize {
        if !self.skips_line {
            return 0;
        }
        let end = memchr::memchr(b'\n', chunk);
        let skipped = end.map_or(chunk.len(), |at| at + 1);
        self.position.bytes += skipped as u64;
        if end.is_some() {
            self.position.lines += 1;
            self.skips_line = false;
        }
        skipped
    }

    /// Counts a bad line, or stops at it.
    fn refuse(&mut self, error: CsvError) -> Result<(), CsvError> {
        if !self.ignore_errors {
            return Err(error);
        }
        self.bad_lines += 1;
        if self.errors.len() < MAX_KEPT_ERRORS {
            self.errors.push(error);
        }
        Ok(())
    }

    fn skip_header(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.position.bytes == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            at = BYTE_ORDER_MARK.len();
        }
        while self.header_lines_left > 0
            && let Some(end) = memchr::memchr(b'\n', &bytes[at..])
        {
            at += end + 1;
            self.header_lines_left -= 1;
            self.position.lines += 1;
        }
        at
    }

    /// Reads complete lines; `bytes` is empty or ends with a line break. Returns how many bytes are done with.
    fn read_lines(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        limits: &mut Limits,
        sink: &mut impl FnMut(CsvBlock),
    ) -> Result<(usize, Stop), CsvError> {
        let places = Places { base: self.position.bytes, end: bytes.len(), padded: self.padded };
        let mut at = self.skip_header(bytes);
        if at > 0 {
            self.position.bytes = places.of(at);
        }
        // once for all fields: they are cut at ASCII characters
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        loop {
            match self.read_good_lines(bytes, is_utf8, &mut at, places, limits, sink) {
                Pause::End => return Ok((at, Stop::Incomplete)),
                Pause::Blocks => return Ok((at, Stop::Blocks)),
                Pause::Open(_) if !at_end => return Ok((at, Stop::Incomplete)),
                Pause::Open(field) | Pause::Bad(field) => {
                    self.refuse(CsvError {
                        file: self.file.clone(),
                        line: self.position.lines + 1,
                        column: (field.at - at) as u64 + 1,
                        field: field.field,
                        expected: field.expected,
                        found: field.found,
                    })?;
                    at += memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len() - at, |end| end + 1);
                    self.position.lines += 1;
                    self.position.bytes = places.of(at);
                }
            }
        }
    }

    /// Reads lines from `at`, which moves along, up to one that cannot be read.
    fn read_good_lines(
        &mut self,
        bytes: &[u8],
        is_utf8: bool,
        at: &mut usize,
        places: Places,
        limits: &mut Limits,
        sink: &mut impl FnMut(CsvBlock),
    ) -> Pause {
        let mut reader =
            RowReader { bytes, is_utf8, shape: &self.shape, schema: &self.schema, scratch: &mut self.scratch };
        while *at < bytes.len() {
            if limits.max_blocks == 0 {
                return Pause::Blocks;
            }
            let blank = match bytes[*at] {
                b'\n' => 1,
                b'\r' if bytes.get(*at + 1) == Some(&b'\n') => 2,
                _ => 0,
            };
            if blank > 0 {
                *at += blank;
                self.position.lines += 1;
                self.position.bytes = places.of(*at);
                continue;
            }
            match reader.read(*at, &mut self.columns) {
                Ok(end) => {
                    *at = end.next;
                    self.position.bytes = places.of(*at);
                    self.position.lines += 1 + end.inner_breaks;
                    self.position.events += 1;
                }
                Err(no_row) => {
                    self.columns.roll_back();
                    return match no_row {
                        NoRow::Open(field) => Pause::Open(field),
                        NoRow::Bad(field) => Pause::Bad(field),
                    };
                }
            }
            let full = self.columns.len() >= limits.block_size
                || self.position.bytes - self.block_start >= MAX_BLOCK_TEXT_BYTES;
            if full && self.columns.opcodes.last() != Some(&Opcode::UpdateBlock) {
                limits.max_blocks -= 1;
                self.block_start = self.position.bytes;
                sink(CsvBlock { block: self.columns.take(&self.schema), position: self.position });
            }
        }
        Pause::End
    }
}

/// Positions within the source of positions within some bytes.
#[derive(Debug, Clone, Copy)]
struct Places {
    base: u64,
    end: usize,
    padded: bool,
}

impl Places {
    #[inline]
    fn of(self, at: usize) -> u64 {
        self.base + at as u64 - u64::from(self.padded && at == self.end)
    }
}

/// Why reading pauses.
enum Pause {
    End,
    Blocks,
    Open(Box<BadField>),
    Bad(Box<BadField>),
}

/// Refuses a delimiter that numbers, dates, arrays or quotes are made of.
pub(super) fn check_delimiter(delimiter: u8) -> Result<(), CsvSetupError> {
    let is_usable = delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && !matches!(delimiter, b'"' | b'\\' | b'\n' | b'\r' | b'\0' | b'.' | b'-' | b'+');
    if is_usable {
        return Ok(());
    }
    Err(CsvSetupError::Delimiter { found: delimiter.escape_ascii().to_string() })
}

/// The single key field, which the lines lack.
fn autogen_field(schema: &Schema) -> Result<usize, CsvSetupError> {
    match schema.keys() {
        &[key]
            if schema.fields().len() > 1 && matches!(schema.fields()[key].ty, FieldType::Int64 | FieldType::String) =>
        {
            Ok(key)
        }
        _ => Err(CsvSetupError::AutogenKey { schema: schema.to_string() }),
    }
}
