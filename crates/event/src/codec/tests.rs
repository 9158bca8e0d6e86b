//! The codec against `prost`, against itself, and against broken bytes.

use bytes::Bytes;
use mesh_proto::event as wire;
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

use super::*;
use crate::testing::{any_block, block_of};
use crate::{Block, BlockKind, ColumnBuilder, ColumnData, FieldType, JoinedBlocks, Schema, Value};

fn any_header() -> impl Strategy<Value = BlockHeader> {
    let cause = prop_oneof![Just(Cause::None), Just(Cause::Input), Just(Cause::Tick)];
    let file = (any::<String>(), any::<[u64; 2]>()).prop_map(|(path, [inode, head])| SourceFile { path, inode, head });
    let source = (any::<String>(), any::<[u64; 4]>(), prop::option::of(file)).prop_map(
        |(source, [bytes, lines, events, round], file)| SourcePosition { source, bytes, lines, events, round, file },
    );
    (any::<u64>(), cause, any::<u64>(), prop::option::of(source), any::<u32>()).prop_map(
        |(message_id, cause, sequence, source, input_index)| BlockHeader {
            message_id,
            cause,
            sequence,
            source,
            input_index,
            schema_fingerprint: 0,
        },
    )
}

/// The same message, made by `prost` from the block.
fn to_prost(block: &Block, header: &BlockHeader) -> wire::Block {
    let opcodes: Vec<u8> = block.opcodes.iter().map(|&opcode| opcode as u8).collect();
    let same = opcodes.iter().all(|&opcode| opcode == opcodes[0]);
    let opcodes = match opcodes.first() {
        None | Some(1) if same => vec![],
        Some(&first) if same => vec![first],
        _ => opcodes,
    };
    let flags: Vec<u8> = block.flags.iter().map(|flags| flags.0).collect();
    let flags = if flags.iter().all(|&flags| flags == 0) { vec![] } else { flags };
    wire::Block {
        version: 1,
        message_id: header.message_id,
        cause: header.cause as i32,
        sequence: header.sequence,
        kind: if block.kind == BlockKind::Normal { 1 } else { 2 },
        schema_fingerprint: block.schema.fingerprint(),
        source: header.source.clone().map(|s| wire::SourcePosition {
            source: s.source,
            bytes: s.bytes,
            lines: s.lines,
            events: s.events,
            round: s.round,
            file: s.file.map(|f| wire::SourceFile { path: f.path, inode: f.inode, head: f.head }),
        }),
        event_count: block.len() as u32,
        opcodes: opcodes.into(),
        flags: flags.into(),
        columns: block.columns.iter().map(|column| prost_column(column)).collect(),
        input_index: header.input_index,
    }
}

fn prost_column(column: &crate::Column) -> wire::Column {
    use wire::column::Values;
    let texts = |text: &crate::Bytes2D| {
        let lengths = (0..text.ends.len()).map(|row| text.row(row).len() as u32).collect();
        Values::Texts(wire::Texts { lengths, data: text.bytes.clone() })
    };
    let deltas = |v: &[i64]| {
        let before = std::iter::once(0).chain(v.iter().copied());
        let values = v.iter().zip(before).map(|(x, before)| x.wrapping_sub(before)).collect();
        Values::Deltas(wire::Deltas { values })
    };
    let arrays = |lengths: Vec<usize>, values: Vec<i64>| {
        let lengths = lengths.into_iter().map(|len| len as u32).collect();
        Values::IntegerArrays(wire::IntegerArrays { lengths, values })
    };
    let values = match &column.data {
        ColumnData::Int32(v) => Values::Integers(wire::Integers { values: v.iter().map(|&x| i64::from(x)).collect() }),
        ColumnData::Int64(v) => Values::Integers(wire::Integers { values: v.clone() }),
        ColumnData::Double(v) => Values::Doubles(wire::Doubles { values: v.clone() }),
        ColumnData::String(text) | ColumnData::Blob(text) => texts(text),
        ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => deltas(v),
        ColumnData::ArrayInt32(v) => arrays(
            v.iter().map(|row| row.len()).collect(),
            v.iter().flat_map(|row| row.iter()).map(|&x| i64::from(x)).collect(),
        ),
        ColumnData::ArrayInt64(v) => {
            arrays(v.iter().map(|row| row.len()).collect(), v.iter().flat_map(|row| row.to_vec()).collect())
        }
        ColumnData::ArrayDouble(v) => Values::DoubleArrays(wire::DoubleArrays {
            lengths: v.iter().map(|row| row.len() as u32).collect(),
            values: v.iter().flat_map(|row| row.to_vec()).collect(),
        }),
    };
    let mut nulls = vec![0; column.len().div_ceil(8)];
    (0..column.len()).filter(|&row| column.is_null(row)).for_each(|row| nulls[row / 8] |= 1 << (row % 8));
    while nulls.last() == Some(&0) {
        nulls.pop();
    }
    wire::Column { nulls: nulls.into(), values: Some(values) }
}

proptest! {
    #[test]
    fn blocks_come_back_and_prost_writes_the_same_bytes(block in any_block(100), header in any_header()) {
        let bytes = encode_block(&block, &header);
        prop_assert_eq!(&bytes[..], &to_prost(&block, &header).encode_to_vec()[..]);
        let (read, back) = decode_block(&bytes, &block.schema).unwrap();
        let header = BlockHeader { schema_fingerprint: block.schema.fingerprint(), ..header };
        prop_assert_eq!(&read, &header);
        prop_assert_eq!(&back, &block);
        prop_assert_eq!(decode_header(&bytes).unwrap(), header);
    }

    #[test]
    fn rows_are_encoded_like_a_block_of_their_own(block in any_block(150), ends: [prop::sample::Index; 6]) {
        let mut encoder = BlockEncoder::default();
        for pair in ends.chunks(2) {
            let (a, b) = (pair[0].index(block.len() + 1), pair[1].index(block.len() + 1));
            let rows = a.min(b)..a.max(b);
            let part = block.slice(rows.clone());
            let bytes = encoder.encode(&block, rows.clone(), block.kind, &BlockHeader::default());
            prop_assert!(bytes.len() <= encoded_len_max(&block, rows.clone()));
            prop_assert_eq!(&bytes, &encode_block(&part, &BlockHeader::default()));
            prop_assert_eq!(decode_block(&bytes, &block.schema).unwrap().1, part);
        }
    }

    #[test]
    fn blocks_decoded_one_behind_the_other_are_what_they_are_alone(
        block in any_block(150),
        ends: [prop::sample::Index; 8],
        damage: prop::sample::Index,
    ) {
        let mut decoder = BlockDecoder::new(block.schema.clone());
        let mut expected = Vec::new();
        for pair in ends.chunks(2) {
            let (a, b) = (pair[0].index(block.len() + 1), pair[1].index(block.len() + 1));
            let part = block.slice(a.min(b)..a.max(b));
            let payload = encode_block(&part, &BlockHeader::default());
            // Whatever a damaged block left behind must be gone again.
            let mut damaged = payload.to_vec();
            damaged[damage.index(payload.len())] ^= 0x55;
            if let Ok((_, read)) = decode_block(&damaged, &block.schema) {
                decoder.push(&damaged).unwrap();
                expected.push(read);
            } else {
                prop_assert!(decoder.push(&damaged).is_err());
            }
            decoder.push(&payload).unwrap();
            expected.push(part);
        }
        decoder.push_empty();
        let joined = decoder.finish();
        prop_assert!(decoder.is_empty());
        prop_assert_eq!(joined.len(), expected.len() + 1);
        prop_assert_eq!(joined.rows(expected.len()..expected.len() + 1), 0);
        for (at, part) in expected.iter().enumerate() {
            prop_assert_eq!(joined.rows(at..at + 1), part.len());
            // Doubles of a damaged block may be NaN, which no comparison finds equal.
            let alone = JoinedBlocks::from(part.clone());
            prop_assert_eq!(format!("{:?}", joined.slice(at..at + 1)), format!("{alone:?}"));
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_a_sound_block(bytes: Vec<u8>, block in any_block(1)) {
        let _ = decode_header(&bytes);
        if let Ok((_, block)) = decode_block(&bytes, &block.schema) {
            check_sound(&block);
        }
    }

    #[test]
    fn damaged_blocks_are_refused_or_a_sound_block(
        block in any_block(20),
        header in any_header(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut: prop::sample::Index,
    ) {
        let bytes = encode_block(&block, &header);
        let mut damaged = bytes.to_vec();
        for (at, byte) in damage {
            damaged[at.index(bytes.len())] = byte;
        }
        for bytes in [bytes.slice(..cut.index(bytes.len())), damaged.into()] {
            if let Ok((_, block)) = decode_block(&bytes, &block.schema) {
                check_sound(&block);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_short_way_to_one_value_reads_what_the_long_way_reads(
        block in any_block(1).prop_filter("a row", |block| block.len() == 1),
        damage in prop::option::of((any::<prop::sample::Index>(), 0_u8..8)),
    ) {
        let columns = to_prost(&block, &BlockHeader::default()).columns;
        for (column, field) in columns.iter().zip(block.schema.fields()) {
            let mut bytes = column.encode_to_vec();
            if let Some((at, bit)) = damage {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let mut short = ColumnBuilder::new(field.ty, 1);
            let read = decode_column::one_value(&bytes, field, &mut short).is_some();
            prop_assert_eq!(short.len(), usize::from(read), "nothing is appended for what the short way does not know");
            let mut long = ColumnBuilder::new(field.ty, 1);
            let result = decode_column::decode_rows(&bytes, 0, bytes.len(), field, 1, &mut long);
            if read {
                result.unwrap();
                prop_assert_eq!(format!("{:?}", short.finish()), format!("{:?}", long.finish()));
            } else if damage.is_none() {
                let array = matches!(field.ty, FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::ArrayDouble);
                prop_assert!(array || !column.nulls.is_empty() || bytes.len() > 0x80, "what we write is read shortly");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn single_flipped_bits_in_small_blocks(block in any_block(3)) {
        let bytes = encode_block(&block, &BlockHeader::default());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok((_, block)) = decode_block(&damaged, &block.schema) {
                check_sound(&block);
            }
        }
    }
}

/// Every accessor works on every row, and text is text.
fn check_sound(block: &Block) {
    assert_eq!(block.flags.len(), block.len());
    for (column, field) in block.columns.iter().zip(block.schema.fields()) {
        assert_eq!((column.len(), column.field_type()), (block.len(), field.ty));
        for row in 0..block.len() {
            if let (Value::String(text), ColumnData::String(raw)) = (column.value(row), &column.data) {
                assert_eq!(text.as_bytes(), raw.row(row), "valid UTF-8 row by row");
            }
        }
        assert!(!(block.len()..block.len() + 200).any(|row| column.is_null(row)), "no nulls beyond the rows");
    }
}

fn schema(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text).unwrap())
}

/// The error of a message that starts from two valid rows and is then changed.
fn error_of(schema_text: &str, rows: &[Vec<Value>], change: impl FnOnce(&mut wire::Block)) -> String {
    let schema = schema(schema_text);
    let mut message = to_prost(&block_of(&schema, rows), &BlockHeader::default());
    change(&mut message);
    decode_block(&message.encode_to_vec(), &schema).unwrap_err().to_string()
}

fn ints(values: &[i64]) -> Vec<Vec<Value>> {
    values.iter().map(|&x| vec![Value::Int64(x)]).collect()
}

fn values(message: &mut wire::Block) -> &mut wire::column::Values {
    message.columns[0].values.as_mut().unwrap()
}

#[test]
fn every_refusal_says_what_was_expected_and_found() {
    use wire::column::Values;
    let two = ints(&[1, 2]);
    let text = |text: &str| vec![vec![Value::String(text.into())]];
    let case = |expected: &str, change: fn(&mut wire::Block)| {
        assert_eq!(error_of("id*:int64", &two, change), expected);
    };
    case("block has layout version 2, this reader knows 1: upgrade the reader first", |m| m.version = 2);
    case("block has layout version 0, this reader knows 1: upgrade the reader first", |m| m.version = 0);
    case("block has cause 9, expected 0 to 2", |m| m.cause = 9);
    case("block has kind 3, expected 0 to 2", |m| m.kind = 3);
    case("block claims 4000000000 events in 27 bytes, an event takes at least one byte", |m| {
        m.event_count = 4_000_000_000;
    });
    case("column `id` has 2 rows, the block has 3 events", |m| m.event_count = 3);
    case("column `id` has 2 rows, the block has 1 events", |m| m.event_count = 1);
    case("block of 2 events has 3 opcodes, expected 0, 1 or 2", |m| m.opcodes = Bytes::from_static(&[1, 1, 1]));
    case("event 1 has opcode 7, expected 1 to 6", |m| m.opcodes = Bytes::from_static(&[1, 7]));
    case("event 0 has opcode 0, expected 1 to 6", |m| m.opcodes = Bytes::from_static(&[0]));
    case("block of 2 events has 1 flags, expected 0 or 2", |m| m.flags = Bytes::from_static(&[1]));
    case("event 1 has flags 0x4, expected bits of 0x3", |m| m.flags = Bytes::from_static(&[1, 4]));
    case("block has 0 columns, the schema has 1 fields", |m| m.columns.clear());
    case("block has 2 columns, the schema has 1 fields", |m| m.columns.push(m.columns[0].clone()));
    case("column `id` holds no values, expected integers for type int64", |m| m.columns[0].values = None);
    case("column `id` holds doubles, expected integers for type int64", |m| {
        m.columns[0].values = Some(Values::Doubles(wire::Doubles { values: vec![1.0, 2.0] }));
    });
    case("column `id` marks nulls beyond its 2 rows", |m| m.columns[0].nulls = Bytes::from_static(&[4]));
    case("column `id` marks nulls beyond its 2 rows", |m| m.columns[0].nulls = Bytes::from_static(&[1, 0]));
    let fingerprint = error_of("id*:int64", &two, |m| m.schema_fingerprint = 1);
    assert!(
        fingerprint.starts_with("block has schema fingerprint 0000000000000001, expected ")
            && fingerprint.ends_with(" of `id*:int64`: writer and reader use different models"),
        "{fingerprint}"
    );
    let wide = error_of("id*:int32", &[vec![Value::Int32(1)]], |m| {
        *values(m) = Values::Integers(wire::Integers { values: vec![1 << 31] });
    });
    assert_eq!(wide, "column `id` row 0 is 2147483648, expected an int32");
    let lengths = error_of("t*:string", &text("abc"), |m| {
        *values(m) = Values::Texts(wire::Texts { lengths: vec![4], data: Bytes::from_static(b"abc") });
    });
    assert_eq!(lengths, "column `t` has row lengths that sum to 4, expected 3 as in the data");
    let utf8 = error_of("t*:string", &text("abc"), |m| {
        *values(m) = Values::Texts(wire::Texts { lengths: vec![3], data: Bytes::from_static(b"ab\xff") });
    });
    assert_eq!(utf8, "column `t` has text that is not UTF-8 at byte 2 of its data (bytes belong into a blob field)");
    let both = [text("a"), text("b")].concat();
    let cut = error_of("t*:string", &both, |m| {
        *values(m) = Values::Texts(wire::Texts { lengths: vec![1, 1], data: Bytes::from_static("ä".as_bytes()) });
    });
    assert_eq!(cut, "column `t` has text that is not UTF-8 at byte 1 of its data (bytes belong into a blob field)");
}

#[test]
fn broken_framing_is_located() {
    let id = schema("id*:int64");
    let error = |bytes: &'static [u8]| decode_block(bytes, &id).unwrap_err().to_string();
    assert_eq!(error(b"\x08"), "block is cut off at byte 1: expected a varint, found the end");
    assert_eq!(error(b"\x08\x01\x31\x00"), "block is cut off at byte 3: expected eight bytes, found the end");
    assert_eq!(error(b"\x08\x01\x4a\x09\x01"), "block is cut off at byte 4: a field claims 9 bytes, only 1 are left");
    assert_eq!(error(b"\x0d\x01\x00\x00\x00"), "block field 1 has wire type 5, expected 0");
    assert!(error(b"{\"json\": true}").starts_with("block has the tag 0x7b before byte 1, expected"));
    assert!(error(b"").starts_with("block has layout version 0"));
}

#[test]
fn a_column_without_its_rows_costs_nothing() {
    // event_count 2^31 in a short payload, with and without the constant form of opcodes
    let id = schema("id*:int64");
    let mut message = to_prost(&block_of(&id, &[]), &BlockHeader::default());
    message.event_count = 1 << 31;
    message.opcodes = Bytes::from_static(&[4]);
    let error = decode_block(&message.encode_to_vec(), &id).unwrap_err();
    assert!(matches!(error, BlockError::EventCount { found: 0x8000_0000, .. }), "{error}");
}

#[test]
fn unpacked_numbers_are_read_too() {
    let id = schema("id*:int64");
    let block = block_of(&id, &ints(&[-3, 300]));
    let mut message = to_prost(&block, &BlockHeader::default());
    message.columns.clear();
    let mut bytes = message.encode_to_vec();
    // Column { integers { values: -3 as 5, values: 300 as 600 } }, one tag each
    bytes.extend_from_slice(b"\x5a\x07\x12\x05\x08\x05\x08\xd8\x04");
    assert_eq!(decode_block(&bytes, &id).unwrap().1, block);
}
