//! `espctl events decode`: binary event blocks as CSV or JSON.

use bytes::Bytes;
use mesh_connector::documents::json_value;
use mesh_event::csv::{CsvOutOptions, DateFormat, encode_csv};
use mesh_event::{Block, BlockHeader, Cause, Schema, decode_block, decode_header};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::cli::Decode;
use crate::fail::Fail;
use crate::out;

/// Largest input that is read; files of records belong on a topic.
const INPUT_BYTES_MAX: u64 = 1 << 30;
/// Bits of a varint.
const VARINT_BITS: u32 = 64;

/// A block as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    message_id: u64,
    cause: &'static str,
    sequence: u64,
    input_index: u32,
    schema_fingerprint: String,
    source: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Event>>,
}

/// Where the block came from.
#[derive(Debug, Serialize)]
struct Source {
    source: String,
    bytes: u64,
    lines: u64,
    events: u64,
    round: u64,
}

/// An event.
#[derive(Debug, Serialize)]
pub struct Event {
    opcode: &'static str,
    flags: &'static str,
    fields: Map<String, Json>,
}

/// Prints the blocks.
pub fn run(arguments: &Decode) -> Result<(), Fail> {
    let schema = match &arguments.schema {
        Some(text) => {
            let parsed = Schema::parse(text).map_err(|error| Fail::input(format!("--schema: {error}")))?;
            Some(Arc::new(parsed))
        }
        None => None,
    };
    let date_format = match &arguments.date_format {
        Some(text) => Some(DateFormat::new(text).map_err(|error| Fail::input(format!("--date-format: {error}")))?),
        None => None,
    };
    let (name, input) = read(arguments)?;
    let payloads = if arguments.from_file.is_some() { many(&name, &input)? } else { vec![one(&name, input)?] };
    let options = CsvOutOptions { date_format, ..CsvOutOptions::default() };
    let mut text = Vec::new();
    for (index, payload) in payloads.into_iter().enumerate() {
        let wrong =
            |error: &dyn std::fmt::Display| Fail::input(format!("decode block {} of {name}: {error}", index + 1));
        text.clear();
        match &schema {
            Some(schema) if !arguments.header => {
                let (header, block) = decode_block(&payload, schema).map_err(|error| wrong(&error))?;
                if arguments.json {
                    push_json(&shown(header, Some(&block)), &mut text)?;
                } else {
                    encode_csv(&block, &options, &mut text);
                }
            }
            _ => {
                let header = shown(decode_header(&payload).map_err(|error| wrong(&error))?, None);
                if arguments.json {
                    push_json(&header, &mut text)?;
                } else {
                    push_header(&header, &mut text);
                }
            }
        }
        out::bytes(&text)?;
    }
    Ok(())
}

/// The input with its name.
fn read(arguments: &Decode) -> Result<(String, Vec<u8>), Fail> {
    let file = arguments.from_file.as_deref().or(arguments.file.as_deref()).filter(|file| *file != Path::new("-"));
    let name = file.map_or_else(|| "standard input".to_owned(), |file| format!("`{}`", file.display()));
    let mut input = Vec::new();
    let read = match file {
        Some(file) => std::fs::File::open(file).and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut input)),
        None => std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut input),
    };
    read.map_err(|error| Fail::input(format!("read {name}: {error}; expected an event block, raw or as hex digits")))?;
    if input.len() as u64 > INPUT_BYTES_MAX {
        return Err(Fail::input(format!("read {name}: longer than {INPUT_BYTES_MAX} bytes, the most that is decoded")));
    }
    Ok((name, input))
}

/// One block: a raw one begins with a byte that is no text.
fn one(name: &str, input: Vec<u8>) -> Result<Bytes, Fail> {
    if input.is_empty() {
        return Err(Fail::input(format!("decode {name}: it is empty; expected an event block, raw or as hex digits")));
    }
    if !is_hex(&input) {
        return Ok(Bytes::from(input));
    }
    let digits: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    from_hex(&digits).map(Bytes::from).ok_or_else(|| {
        Fail::input(format!("decode {name}: {} hex digits, expected an even number of them", digits.len()))
    })
}

/// Many blocks: hex a line, or raw behind their lengths.
fn many(name: &str, input: &[u8]) -> Result<Vec<Bytes>, Fail> {
    if is_hex(input) {
        let lines = input.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
        let line = |(index, line): (usize, &[u8])| {
            from_hex(line).map(Bytes::from).ok_or_else(|| {
                Fail::input(format!("decode {name}: line {}: expected an even number of hex digits", index + 1))
            })
        };
        return lines.filter(|(_, line)| !line.is_empty()).map(line).collect();
    }
    let input = Bytes::copy_from_slice(input);
    let mut at = 0;
    let mut blocks = Vec::new();
    while at < input.len() {
        let cut = || {
            Fail::input(format!(
                "decode block {} of {name}: byte {at}: expected a length as a varint and that many bytes, found {} bytes in all; one block alone is read without --from-file",
                blocks.len() + 1,
                input.len()
            ))
        };
        let (length, start) = varint(&input, at).ok_or_else(cut)?;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let end = end.filter(|&end| end <= input.len()).ok_or_else(cut)?;
        blocks.push(input.slice(start..end));
        at = end;
    }
    Ok(blocks)
}

fn varint(input: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for shift in (0..VARINT_BITS).step_by(7) {
        let byte = *input.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// A raw block begins with the tag of its version, which is no hex digit; so this never takes one for text.
fn is_hex(input: &[u8]) -> bool {
    input.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn shown(header: BlockHeader, block: Option<&Block>) -> Shown {
    Shown {
        message_id: header.message_id,
        cause: match header.cause {
            Cause::None => "none",
            Cause::Input => "input",
            Cause::Tick => "tick",
        },
        sequence: header.sequence,
        input_index: header.input_index,
        schema_fingerprint: format!("{:016x}", header.schema_fingerprint),
        source: header.source.map(|from| Source {
            source: from.source,
            bytes: from.bytes,
            lines: from.lines,
            events: from.events,
            round: from.round,
        }),
        events: block.map(|block| (0..block.len()).map(|row| event(block, row)).collect()),
    }
}

/// A row of a block as `--json` prints it.
pub fn event(block: &Block, row: usize) -> Event {
    let names = block.schema.fields().iter().map(|field| field.name.clone());
    Event {
        opcode: block.opcodes[row].letters(),
        flags: block.flags[row].letters(),
        fields: names.zip(block.row(row).iter().map(json_value)).collect(),
    }
}

fn push_json(shown: &Shown, text: &mut Vec<u8>) -> Result<(), Fail> {
    serde_json::to_writer(&mut *text, shown).map_err(|error| Fail::fault(format!("write a block as JSON: {error}")))?;
    text.push(b'\n');
    Ok(())
}

fn push_header(header: &Shown, text: &mut Vec<u8>) {
    let mut line = format!(
        "message_id={} cause={} sequence={} input={} schema={}",
        header.message_id, header.cause, header.sequence, header.input_index, header.schema_fingerprint
    );
    if let Some(from) = &header.source {
        line.push_str(&format!(
            " source={} bytes={} lines={} events={} round={}",
            from.source, from.bytes, from.lines, from.events, from.round
        ));
    }
    line.push('\n');
    text.extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_raw_are_told_apart() {
        assert_eq!(one("x", b"08 01\n0a".to_vec()).unwrap(), Bytes::from_static(&[8, 1, 10]));
        assert_eq!(one("x", vec![8, 1, 10]).unwrap(), Bytes::from_static(&[8, 1, 10]));
        assert!(matches!(one("x", b"080".to_vec()), Err(Fail::Input(text)) if text.contains("even number")));
        assert!(matches!(one("x", Vec::new()), Err(Fail::Input(text)) if text.contains("empty")));
    }

    #[test]
    fn many_blocks_come_a_line_or_behind_their_lengths() {
        let two = [Bytes::from_static(&[8, 1]), Bytes::from_static(&[8, 1, 16])];
        assert_eq!(many("x", b"0801\n\n080110\n").unwrap(), two);
        assert_eq!(many("x", &[2, 8, 1, 3, 8, 1, 16]).unwrap(), two);
        for broken in [&[2u8, 8][..], &[0xff; 12], &[0x80]] {
            assert!(matches!(many("x", broken), Err(Fail::Input(text)) if text.contains("byte 0")), "{broken:?}");
        }
    }
}
