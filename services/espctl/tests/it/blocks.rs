//! `events decode`.

use super::support::{file, run, run_with_input};
use bytes::Bytes;
use mesh_event::csv::{CsvDecoder, CsvOptions};
use mesh_event::{BlockHeader, Cause, Schema, SourcePosition, encode_block};
use std::sync::Arc;

const SCHEMA: &str = "id*:int64,name:string,v:double,at:date";

fn block(lines: &str, header: BlockHeader) -> Bytes {
    let mut decoder = CsvDecoder::new(Arc::new(Schema::parse(SCHEMA).unwrap()), CsvOptions::default()).unwrap();
    let mut blocks = Vec::new();
    decoder.decode(lines.as_bytes(), true, usize::MAX, 100, |block| blocks.push(block)).unwrap();
    let block = blocks.pop().unwrap().block;
    encode_block(&block, &header)
}

fn header() -> BlockHeader {
    let source =
        SourcePosition { source: "a.csv".to_owned(), bytes: 9, lines: 1, events: 1, ..SourcePosition::default() };
    BlockHeader { message_id: 41, cause: Cause::Input, sequence: 7, source: Some(source), ..BlockHeader::default() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn raw_and_hex_blocks_become_lines() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = block("I,N,1,ab,1.5,60\nD,N,2,,,\n", header());
    let expected = "I,N, 1,ab,1.500000,60\nD,N, 2,,,\n";
    let raw = file(folder.path(), "block", &bytes);
    assert_eq!(run(&["events", "decode", raw.to_str().unwrap(), "--schema", SCHEMA]).out, expected);
    let ran = run_with_input(&["events", "decode", "--schema", SCHEMA], hex(&bytes).as_bytes());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));

    let ran = run(&["events", "decode", raw.to_str().unwrap(), "--schema", SCHEMA, "--date-format", "%H:%M:%S"]);
    assert!(ran.out.starts_with("I,N, 1,ab,1.500000,00:01:00\n"), "{}", ran.out);
}

#[test]
fn json_has_the_envelope_and_every_value() {
    let ran =
        run_with_input(&["events", "decode", "--json", "--schema", SCHEMA], &block("I,N,1,ab,1.5,60\n", header()));
    let shown: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&shown["message_id"], &shown["cause"], &shown["sequence"]), (&41.into(), &"input".into(), &7.into()));
    assert_eq!(shown["source"]["source"], "a.csv");
    assert_eq!(shown["events"][0]["opcode"], "I");
    assert_eq!(shown["events"][0]["fields"], serde_json::json!({"id": 1, "name": "ab", "v": 1.5, "at": 60}));

    let ran = run_with_input(&["events", "decode", "--header"], &block("I,N,1,ab,1.5,60\n", header()));
    assert!(ran.out.starts_with("message_id=41 cause=input sequence=7 input=0 schema="), "{}", ran.out);
    assert!(ran.out.ends_with(" source=a.csv bytes=9 lines=1 events=1 round=0\n"), "{}", ran.out);
}

#[test]
fn many_blocks_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let two = [block("I,N,1,a,1,1\n", header()), block("I,N,2,b,2,2\n", header())];
    let lines = file(folder.path(), "lines", format!("{}\n{}\n", hex(&two[0]), hex(&two[1])));
    let mut delimited = Vec::new();
    for block in &two {
        delimited.push(u8::try_from(block.len()).unwrap()); // below 128: a varint of one byte
        delimited.extend_from_slice(block);
    }
    let raw = file(folder.path(), "raw", &delimited);
    for path in [lines, raw] {
        let ran = run(&["events", "decode", "--from-file", path.to_str().unwrap(), "--schema", SCHEMA]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "I,N, 1,a,1.000000,1\nI,N, 2,b,2.000000,2\n"), "{}", ran.err);
    }
}

#[test]
fn what_is_no_block_is_refused_with_what_was_expected() {
    let bytes = block("I,N,1,ab,1.5,60\n", header());
    for (arguments, input, part) in [
        (&["events", "decode", "--schema", "id*:int64"][..], &bytes[..], "schema"),
        (&["events", "decode", "--schema", SCHEMA], &bytes[..bytes.len() - 3], "decode block 1 of standard input: "),
        (&["events", "decode", "--schema", SCHEMA], b"", "it is empty; expected an event block, raw or as hex digits"),
        (
            &["events", "decode", "--schema", "id*:int65"],
            &bytes,
            "--schema: field `id` has type `int65`, expected one of",
        ),
        (&["events", "decode"], &bytes, "--schema <SCHEMA>"),
    ] {
        let ran = run_with_input(arguments, input);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}");
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
    }
}
