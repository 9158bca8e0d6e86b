//! Bytes to blocks: the envelope, and the checks that need no column.

use std::sync::Arc;

use super::decode_column::decode_column;
use super::wire::{BYTES, FIXED64, Fields, RawField, VARINT};
use super::{BlockError, BlockHeader, Cause, JOINED_BYTES, JOINED_ROWS, LAYOUT_VERSION, MAX_PAYLOAD_BYTES};
use super::{SourceFile, SourcePosition, fields};
use crate::{Block, BlockKind, ColumnBuilder, Flags, JoinedBlocks, Opcode, Schema};

/// Decodes a block of the given schema.
pub fn decode_block(payload: &[u8], schema: &Arc<Schema>) -> Result<(BlockHeader, Block), BlockError> {
    let mut decoder = BlockDecoder::new(schema.clone());
    let header = decoder.push(payload)?;
    let JoinedBlocks { events, kinds, .. } = decoder.finish();
    Ok((header, Block { kind: kinds[0], ..events }))
}

/// Decodes blocks of one schema, one behind the other, into shared columns: most of what a block of one event costs is
/// columns of its own.
#[derive(Debug)]
pub struct BlockDecoder {
    schema: Arc<Schema>,
    opcodes: Vec<Opcode>,
    flags: Vec<Flags>,
    columns: Vec<ColumnBuilder>,
    ends: Vec<u32>,
    kinds: Vec<BlockKind>,
    bytes: usize,
    /// Where the columns of a payload lie; kept for its room.
    ranges: Vec<(usize, usize)>,
}

impl BlockDecoder {
    /// A decoder of blocks of this schema.
    pub fn new(schema: Arc<Schema>) -> BlockDecoder {
        let columns = builders(&schema);
        let (opcodes, flags, ends, kinds, ranges) = Default::default();
        BlockDecoder { schema, opcodes, flags, columns, ends, kinds, bytes: 0, ranges }
    }

    /// True when nothing was decoded since the last [`BlockDecoder::finish`].
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// True when another block should not join those so far: there are as many rows as go through the windows at once,
    /// or a megabyte.
    pub fn is_full(&self) -> bool {
        self.opcodes.len() >= JOINED_ROWS || self.bytes >= JOINED_BYTES
    }

    /// Decodes one more block; after an error the decoder is as before.
    pub fn push(&mut self, payload: &[u8]) -> Result<BlockHeader, BlockError> {
        let rows = self.opcodes.len();
        let pushed = self.append(payload);
        match &pushed {
            Ok((_, kind)) => {
                self.bytes += payload.len();
                self.end(*kind);
            }
            Err(_) => {
                self.opcodes.truncate(rows);
                self.flags.truncate(rows);
                self.columns.iter_mut().for_each(|column| column.truncate(rows));
            }
        }
        pushed.map(|(header, _)| header)
    }

    /// Adds a block without events.
    pub fn push_empty(&mut self) {
        self.end(BlockKind::Normal);
    }

    fn end(&mut self, kind: BlockKind) {
        self.ends.push(self.opcodes.len() as u32);
        self.kinds.push(kind);
    }

    /// Hands out the blocks and starts anew.
    pub fn finish(&mut self) -> JoinedBlocks {
        let columns = std::mem::replace(&mut self.columns, builders(&self.schema));
        let events = Block {
            schema: self.schema.clone(),
            kind: BlockKind::Normal,
            opcodes: std::mem::take(&mut self.opcodes),
            flags: std::mem::take(&mut self.flags),
            columns: columns.into_iter().map(|column| Arc::new(column.finish())).collect(),
        };
        self.bytes = 0;
        JoinedBlocks { events, ends: std::mem::take(&mut self.ends), kinds: std::mem::take(&mut self.kinds) }
    }

    fn append(&mut self, payload: &[u8]) -> Result<(BlockHeader, BlockKind), BlockError> {
        let schema = &self.schema;
        let envelope = Envelope::read(payload, schema.fields().len(), &mut self.ranges)?;
        if envelope.header.schema_fingerprint != schema.fingerprint() {
            return Err(BlockError::Fingerprint {
                found: envelope.header.schema_fingerprint,
                expected: schema.fingerprint(),
                schema: schema.to_string(),
            });
        }
        if envelope.column_count != schema.fields().len() {
            return Err(BlockError::ColumnCount { found: envelope.column_count, expected: schema.fields().len() });
        }
        // each event takes at least a byte in each column, and there is at least one column
        let events = usize::try_from(envelope.event_count).ok().filter(|&events| events <= payload.len());
        let events = events.ok_or(BlockError::EventCount { found: envelope.event_count, payload: payload.len() })?;
        for ((&(start, end), field), column) in self.ranges.iter().zip(schema.fields()).zip(&mut self.columns) {
            decode_column(payload, start, end, field, events, column)?;
        }
        decode_opcodes(&payload[envelope.opcodes.0..envelope.opcodes.1], events, &mut self.opcodes)?;
        decode_flags(&payload[envelope.flags.0..envelope.flags.1], events, &mut self.flags)?;
        Ok((envelope.header, envelope.kind))
    }
}

fn builders(schema: &Schema) -> Vec<ColumnBuilder> {
    schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, 0)).collect()
}

/// Decodes what travels with a block, without looking at its columns or needing its schema.
pub fn decode_header(payload: &[u8]) -> Result<BlockHeader, BlockError> {
    Ok(Envelope::read(payload, 0, &mut Vec::new())?.header)
}

/// The outermost message, with ranges instead of contents.
struct Envelope {
    header: BlockHeader,
    kind: BlockKind,
    event_count: u64,
    opcodes: (usize, usize),
    flags: (usize, usize),
    column_count: usize,
}

impl Envelope {
    /// `columns`: gets the places of the first columns, at most as many as are wanted.
    fn read(payload: &[u8], columns_wanted: usize, columns: &mut Vec<(usize, usize)>) -> Result<Envelope, BlockError> {
        columns.clear();
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(BlockError::TooLong { found: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        let mut version = 0;
        let mut read = Envelope {
            header: BlockHeader::default(),
            kind: BlockKind::Normal,
            event_count: 0,
            opcodes: (0, 0),
            flags: (0, 0),
            column_count: 0,
        };
        let mut walk = Fields::new(payload, 0, payload.len(), "block");
        while let Some(field) = walk.next()? {
            match field.number {
                fields::VERSION => {
                    version = number(&field, "block")?;
                    check_version(version)?;
                }
                fields::MESSAGE_ID => read.header.message_id = number(&field, "block")?,
                fields::CAUSE => read.header.cause = cause(number(&field, "block")?)?,
                fields::SEQUENCE => read.header.sequence = number(&field, "block")?,
                fields::KIND => read.kind = kind(number(&field, "block")?)?,
                fields::FINGERPRINT => {
                    expect(&field, FIXED64, "block")?;
                    read.header.schema_fingerprint = field.value;
                }
                fields::SOURCE => read.header.source = Some(source(payload, &field)?),
                fields::EVENT_COUNT => read.event_count = number(&field, "block")?,
                fields::OPCODES => read.opcodes = range(&field)?,
                fields::FLAGS => read.flags = range(&field)?,
                fields::COLUMNS => {
                    let range = range(&field)?;
                    if read.column_count < columns_wanted {
                        columns.push(range);
                    }
                    read.column_count += 1;
                }
                fields::INPUT_INDEX => {
                    let found = number(&field, "block")?;
                    read.header.input_index = u32::try_from(found).map_err(|_| BlockError::Number {
                        what: "input index",
                        found,
                        expected: "a 32-bit number",
                    })?;
                }
                // a field of a later layout that does not change the meaning of the others
                _ => {}
            }
        }
        check_version(version)?;
        Ok(read)
    }
}

fn check_version(found: u64) -> Result<(), BlockError> {
    if found == u64::from(LAYOUT_VERSION) {
        Ok(())
    } else {
        Err(BlockError::Version { found, expected: LAYOUT_VERSION })
    }
}

/// Refuses a known field of another wire type.
pub(super) fn expect(field: &RawField, expected: u8, what: &'static str) -> Result<(), BlockError> {
    if field.wire_type == expected {
        Ok(())
    } else {
        Err(BlockError::WireType { what, number: field.number, found: field.wire_type, expected })
    }
}

fn number(field: &RawField, what: &'static str) -> Result<u64, BlockError> {
    expect(field, VARINT, what)?;
    Ok(field.value)
}

fn range(field: &RawField) -> Result<(usize, usize), BlockError> {
    expect(field, BYTES, "block")?;
    Ok((field.start, field.end))
}

fn cause(found: u64) -> Result<Cause, BlockError> {
    Ok(match found {
        0 => Cause::None,
        1 => Cause::Input,
        2 => Cause::Tick,
        _ => {
            return Err(BlockError::Number { what: "cause", found, expected: "0 to 2" });
        }
    })
}

fn kind(found: u64) -> Result<BlockKind, BlockError> {
    Ok(match found {
        0 | 1 => BlockKind::Normal,
        2 => BlockKind::Transactional,
        _ => {
            return Err(BlockError::Number { what: "kind", found, expected: "0 to 2" });
        }
    })
}

fn source(payload: &[u8], field: &RawField) -> Result<SourcePosition, BlockError> {
    const WHAT: &str = "source position";
    expect(field, BYTES, "block")?;
    let mut position = SourcePosition::default();
    let mut walk = Fields::new(payload, field.start, field.end, WHAT);
    while let Some(field) = walk.next()? {
        match field.number {
            1 => position.source = name(payload, &field, WHAT)?,
            2 => position.bytes = number(&field, WHAT)?,
            3 => position.lines = number(&field, WHAT)?,
            4 => position.events = number(&field, WHAT)?,
            5 => position.round = number(&field, WHAT)?,
            6 => position.file = Some(source_file(payload, &field)?),
            _ => {}
        }
    }
    Ok(position)
}

fn source_file(payload: &[u8], field: &RawField) -> Result<SourceFile, BlockError> {
    const WHAT: &str = "file of a source position";
    expect(field, BYTES, "source position")?;
    let mut file = SourceFile::default();
    let mut walk = Fields::new(payload, field.start, field.end, WHAT);
    while let Some(field) = walk.next()? {
        match field.number {
            1 => file.path = name(payload, &field, WHAT)?,
            2 => file.inode = number(&field, WHAT)?,
            3 => file.head = number(&field, WHAT)?,
            _ => {}
        }
    }
    Ok(file)
}

fn name(payload: &[u8], field: &RawField, what: &'static str) -> Result<String, BlockError> {
    expect(field, BYTES, what)?;
    let text = std::str::from_utf8(&payload[field.start..field.end])
        .map_err(|e| BlockError::Utf8 { field: "source".to_owned(), offset: e.valid_up_to() })?;
    Ok(text.to_owned())
}

fn decode_opcodes(bytes: &[u8], events: usize, into: &mut Vec<Opcode>) -> Result<(), BlockError> {
    let opcode = |(event, &found): (usize, &u8)| Opcode::from_wire(found).ok_or(BlockError::Opcode { event, found });
    let rows = into.len() + events;
    match bytes {
        [] => into.resize(rows, Opcode::Insert),
        [found] => into.resize(rows, opcode((0, found))?),
        _ if bytes.len() == events => {
            into.reserve(events);
            for each in bytes.iter().enumerate().map(opcode) {
                into.push(each?);
            }
        }
        _ => return Err(BlockError::PerEvent { what: "opcodes", found: bytes.len(), expected: "0, 1", events }),
    }
    Ok(())
}

fn decode_flags(bytes: &[u8], events: usize, into: &mut Vec<Flags>) -> Result<(), BlockError> {
    const KNOWN: u8 = Flags::PARTIAL.0 | Flags::RETENTION.0;
    if bytes.is_empty() {
        into.resize(into.len() + events, Flags::NORMAL);
        return Ok(());
    }
    if bytes.len() != events {
        return Err(BlockError::PerEvent { what: "flags", found: bytes.len(), expected: "0", events });
    }
    if let Some(event) = bytes.iter().position(|&flags| flags & !KNOWN != 0) {
        return Err(BlockError::Flags { event, found: bytes[event] });
    }
    into.extend(bytes.iter().map(|&flags| Flags(flags)));
    Ok(())
}
