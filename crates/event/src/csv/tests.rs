//! Lines to blocks and back: round trips over random chunk borders, tables of forms and of errors.

use proptest::prelude::*;
use std::sync::Arc;

use super::*;
use crate::testing::any_block;
use crate::{Block, FieldType, Opcode, Schema, Value};

fn schema(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text).unwrap())
}

/// Lines without opcode and flags.
fn bare() -> CsvOptions {
    CsvOptions { add_opcode: true, add_flags: Some(Flags::NORMAL), file: "t.csv".to_owned(), ..CsvOptions::default() }
}

fn read_all(decoder: &mut CsvDecoder, text: &[u8], block_size: usize) -> Result<Vec<CsvBlock>, CsvError> {
    let mut blocks = Vec::new();
    let progress = decoder.decode(text, true, block_size, usize::MAX, |block| blocks.push(block))?;
    assert_eq!(progress, CsvProgress { consumed: text.len(), more: false });
    Ok(blocks)
}

fn read(schema_text: &str, options: CsvOptions, text: &str) -> Result<Block, CsvError> {
    let mut decoder = CsvDecoder::new(schema(schema_text), options).unwrap();
    let blocks = read_all(&mut decoder, text.as_bytes(), 1_000_000)?;
    assert_eq!(blocks.len(), 1, "one block");
    Ok(blocks[0].block.clone())
}

fn rows(block: &Block) -> Vec<Vec<Value>> {
    (0..block.len()).map(|row| block.row(row)).collect()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

#[test]
fn every_type_in_every_form() {
    let cases: [(&str, &str, Value); 40] = [
        ("int32", "-2147483648", Value::Int32(i32::MIN)),
        ("int32", " 7 ", Value::Int32(7)),
        ("int32", "+7", Value::Int32(7)),
        ("int32", "\"7\"", Value::Int32(7)),
        ("int32", "", Value::Null),
        ("int32", "  ", Value::Null),
        ("int64", "0", Value::Int64(0)),
        ("int64", "12345678", Value::Int64(12_345_678)),
        ("int64", "1234567890123456", Value::Int64(1_234_567_890_123_456)),
        ("int64", "-9223372036854775808", Value::Int64(i64::MIN)),
        ("int64", "9223372036854775807", Value::Int64(i64::MAX)),
        ("double", "1", Value::Double(1.0)),
        ("double", "-0.5", Value::Double(-0.5)),
        ("double", ".5", Value::Double(0.5)),
        ("double", "10.357019999999999", Value::Double(10.357019999999999)),
        ("double", "123456789.125", Value::Double(123_456_789.125)),
        ("double", "8.3e-07", Value::Double(8.3e-7)),
        ("double", "inf", Value::Double(f64::INFINITY)),
        ("string", "abc", text("abc")),
        ("string", " a b ", text(" a b ")),
        ("string", "", Value::Null),
        ("string", "\"\"", text("")),
        ("string", "\"a,\"\"b\\\"\"", text("a,\"b\"")),
        ("string", "a\\,b", text("a,b")),
        ("string", "NASA", text("NASA")),
        ("string", "sm\u{f8}rrebr\u{f8}d", text("sm\u{f8}rrebr\u{f8}d")),
        ("date", "1357020000", Value::Date(1_357_020_000)),
        ("stamp", "-1", Value::Stamp(-1)),
        ("money", "12.34", Value::Money(123_400)),
        ("money", "-0.0001", Value::Money(-1)),
        ("blob", "AQID", Value::Blob(vec![1, 2, 3].into())),
        ("blob", "\"\"", Value::Blob(vec![].into())),
        ("blob", "", Value::Null),
        ("array(i32)", "[1; 2;-3]", Value::ArrayInt32([1, 2, -3].into())),
        ("array(i32)", "[]", Value::ArrayInt32([].into())),
        ("array(i64)", "[9223372036854775807]", Value::ArrayInt64([i64::MAX].into())),
        ("array(dbl)", "[1.5;2e3]", Value::ArrayDouble([1.5, 2000.0].into())),
        ("array(dbl)", "", Value::Null),
        ("rstring", "x", text("x")),
        ("timestamp", "5", Value::Stamp(5)),
    ];
    for (ty, shown, value) in cases {
        for (end, follow) in [("\n", ""), ("\r\n", ""), ("\n", "9,some following text,9\n"), ("", "")] {
            let name = format!("a*:int64,f:{ty},z:int64");
            let lines =
                format!("1,{shown},2{end}{}", if follow.is_empty() { String::new() } else { format!("3,{shown},4\n") });
            let block = read(&name, bare(), &lines).unwrap();
            assert_eq!(block.columns[1].value(0), value, "{ty} {shown:?} in the middle");
            let last = read(&format!("a*:int64,f:{ty}"), bare(), &format!("1,{shown}{end}")).unwrap();
            assert_eq!(last.columns[1].value(0), value, "{ty} {shown:?} at the end");
        }
    }
}

#[test]
fn dates_follow_the_format() {
    let options = |format: &str| CsvOptions { date_format: Some(format.to_owned()), ..bare() };
    let line = "2013-01-01 06:00:00,2013-01-01 06:00:00.25\n";
    let block = read("d*:date,s:stamp", options("'%Y-%m-%d %H:%M:%S"), line).unwrap();
    assert_eq!(rows(&block), [[Value::Date(1_357_020_000), Value::Stamp(1_357_020_000_250_000)]]);
    let before = read("d*:date,s:stamp", options("%Y-%m-%d"), "1969-12-31,1969-12-31\n").unwrap();
    assert_eq!(rows(&before), [[Value::Date(-86_400), Value::Stamp(-86_400_000_000)]]);
    let out = CsvOutOptions { date_format: Some(DateFormat::new("%d.%m.%Y %H:%M:%S").unwrap()), ..Default::default() };
    let mut lines = Vec::new();
    encode_csv(&block, &out, &mut lines);
    assert_eq!(String::from_utf8(lines).unwrap(), "I,N, 01.01.2013 06:00:00,01.01.2013 06:00:00.250000\n");
}

#[test]
fn opcodes_and_flags() {
    let options = CsvOptions { file: "t.csv".to_owned(), ..CsvOptions::default() };
    let lines = " i , n , 1\nI,N,1\nu,,2\nP,p,3\nd,r,4\ns,N,5\nSD,N,6\nub,N,7\nD,N,7\n";
    let block = read("id*:int64", options.clone(), lines).unwrap();
    use Opcode::*;
    assert_eq!(block.opcodes, [Insert, Insert, Update, Upsert, Delete, SafeDelete, SafeDelete, UpdateBlock, Delete]);
    assert_eq!(block.flags.iter().map(|flags| flags.0).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 0, 0, 0, 0]);
    assert_eq!(block.columns[0].value(0), Value::Int64(1));
    let upserts = CsvOptions { upsert: true, ..options.clone() };
    assert_eq!(read("id*:int64", upserts.clone(), "I,N,1\nD,N,1\n").unwrap().opcodes, [Upsert, Delete]);
    let added = CsvOptions { add_opcode: true, ..upserts };
    assert_eq!(read("id*:int64", added, "N,1\n").unwrap().opcodes, [Upsert]);
    let partial = CsvOptions { add_flags: Some(Flags::PARTIAL), ..options };
    assert_eq!(read("id*:int64", partial, "U,1\n").unwrap().flags, [Flags::PARTIAL]);
}

#[test]
fn a_generated_key_is_absent_wherever_it_stands() {
    let options = CsvOptions { no_autogen_field: true, ..bare() };
    let block = read("id*:int64,a:int32", options.clone(), "5\n6\n").unwrap();
    assert_eq!(rows(&block), [[Value::Null, Value::Int32(5)], [Value::Null, Value::Int32(6)]]);
    let block = read("a:int32,id*:string", options.clone(), "5\n").unwrap();
    assert_eq!(rows(&block), [[Value::Int32(5), Value::Null]]);
    let error = CsvDecoder::new(schema("a*:int32,b*:int64"), options).unwrap_err().to_string();
    assert_eq!(
        error,
        "noautogenfield needs a schema with one key field of type int64 or string and another field, found `a*:int32,b*:int64`"
    );
}

#[test]
fn header_lines_blank_lines_and_byte_order_mark() {
    let options = CsvOptions { header_lines: 2, ..bare() };
    let block = read("id*:int64", options.clone(), "\u{feff}a title\nid\n\n1\n\r\n2").unwrap();
    assert_eq!(rows(&block), [[Value::Int64(1)], [Value::Int64(2)]]);
    // two lines are skipped even when one of them is an event
    let block = read("id*:int64", options, "id\n1\n2\n").unwrap();
    assert_eq!(rows(&block), [[Value::Int64(2)]]);
    let block = read("id*:int64", bare(), "\u{feff}1\n").unwrap();
    assert_eq!(rows(&block), [[Value::Int64(1)]]);
}

#[test]
fn every_error_says_where_what_and_how_to_go_on() {
    let way_out = " (correct the line, or set ignorecsvparseerrors=true to skip such lines)";
    let date = |format: &str| CsvOptions { date_format: Some(format.to_owned()), ..bare() };
    let full = CsvOptions { file: "t.csv".to_owned(), ..CsvOptions::default() };
    let cases: [(&str, CsvOptions, &str, &str); 25] = [
        ("id*:int64", bare(), "12.12\n", "t.csv:1:1: field `id`: expected int64, found `12.12`"),
        (
            "a*:int64,id:int32",
            bare(),
            "1,2\n\n12,4000000000\n",
            "t.csv:3:4: field `id`: expected int32, found `4000000000`",
        ),
        ("a*:int64,x:double", bare(), "1,abc\n", "t.csv:1:3: field `x`: expected double, found `abc`"),
        ("a*:int64,x:double", bare(), "1,1.5x\n", "t.csv:1:3: field `x`: expected double, found `1.5x`"),
        ("a*:int64,x:double", bare(), "1\n", "t.csv:1:2: field `x`: expected double, found the end of the line"),
        (
            "a*:int64",
            bare(),
            "1,2,3\n",
            "t.csv:1:3: field `a`: expected the end of the line after 1 fields, found `2,3`",
        ),
        (
            "a*:date",
            bare(),
            "today\n",
            "t.csv:1:1: field `a`: expected date as seconds since 1970 (or set dateformat), found `today`",
        ),
        (
            "a*:stamp",
            bare(),
            "x\n",
            "t.csv:1:1: field `a`: expected stamp as microseconds since 1970 (or set dateformat), found `x`",
        ),
        ("a*:date", date("%Y-%m-%d"), "1\n", "t.csv:1:1: field `a`: expected date as `%Y-%m-%d`, found `1`"),
        (
            "a*:money",
            bare(),
            "1.00001\n",
            "t.csv:1:1: field `a`: expected money (a number with at most 4 decimals), found `1.00001`",
        ),
        ("a*:blob", bare(), "!\n", "t.csv:1:1: field `a`: expected blob in base64, found `!`"),
        ("a*:array(i32)", bare(), "1;2\n", "t.csv:1:1: field `a`: expected array such as [1;2;3], found `1;2`"),
        ("a*:array(i32)", bare(), "[1;x]\n", "t.csv:1:1: field `a`: expected array(i32), found `[1;x]`"),
        ("a*:array(i64)", bare(), "[1;;2]\n", "t.csv:1:1: field `a`: expected array(i64), found `[1;;2]`"),
        ("a*:array(dbl)", bare(), "[x]\n", "t.csv:1:1: field `a`: expected double, found `[x]`"),
        (
            "a*:string",
            bare(),
            "\"x\"y,z\n",
            "t.csv:1:4: field `a`: expected a delimiter after the closing quote of the string, found `y,z`",
        ),
        (
            "a*:string",
            bare(),
            "ok\n\"x\ny\n",
            "t.csv:2:1: field `a`: expected string with a closing quote, found `\"x`",
        ),
        (
            "a*:int64",
            full.clone(),
            "X,N,1\n",
            "t.csv:1:1: field `opcode`: expected one of I, U, P, D, SD, UB (or set addcsvopcode=true), found `X`",
        ),
        (
            "a*:int64",
            full.clone(),
            "1\n",
            "t.csv:1:1: field `opcode`: expected one of I, U, P, D, SD, UB (or set addcsvopcode=true), found `1`",
        ),
        (
            "a*:int64",
            full.clone(),
            "I,x,1\n",
            "t.csv:1:3: field `flags`: expected N, P or R (or set addcsvflags), found `x`",
        ),
        (
            "a*:int64",
            full.clone(),
            "I\n",
            "t.csv:1:2: field `a`: expected a delimiter and int64, found the end of the line",
        ),
        ("a*:int64", full, "I,N,x\n", "t.csv:1:5: field `a`: expected int64, found `x`"),
        (
            "id*:int64,a:int32",
            CsvOptions { no_autogen_field: true, ..bare() },
            "1,2\n",
            "t.csv:1:3: field `a`: expected the end of the line after 1 fields, found `2`",
        ),
        (
            "a*:int64",
            bare(),
            "this is a very long text with more than forty characters\n",
            "t.csv:1:1: field `a`: expected int64, found `this is a very long text with more than ...`",
        ),
        ("a*:int64", bare(), "\t\u{1}\n", "t.csv:1:1: field `a`: expected int64, found `\\t\\u{1}`"),
    ];
    for (fields, options, lines, expected) in cases {
        let error = read(fields, options, lines).unwrap_err();
        assert_eq!(error.to_string(), format!("{expected}{way_out}"), "{lines:?}");
    }
    let mut decoder = CsvDecoder::new(schema("a*:string"), bare()).unwrap();
    let error = read_all(&mut decoder, b"ok\nb\xff\n", 10).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("t.csv:2:1: field `a`: expected string in UTF-8, found `b\u{fffd}`{way_out}")
    );
    assert_eq!(decoder.flush().unwrap().position, CsvPosition { bytes: 3, lines: 1, events: 1 });
    for delimiter in *b"a0\"\\\n.-" {
        let error = CsvDecoder::new(schema("a*:string"), CsvOptions { delimiter, ..bare() }).unwrap_err().to_string();
        assert!(error.starts_with("csvfielddelimiter is `"), "{error}");
    }
}

#[test]
fn bad_lines_can_be_skipped() {
    let options = CsvOptions { ignore_errors: true, ..bare() };
    let mut decoder = CsvDecoder::new(schema("id*:int64,t:string"), options).unwrap();
    let lines = "1,a\nx,b\n2\n3,c,d\n4,\"open\n5,e\n6,\"two\nlines\"\n";
    let blocks = read_all(&mut decoder, lines.as_bytes(), 10).unwrap();
    // the quotes that line 4 opens are closed before `two`: the line ends with junk and is skipped up to its break
    assert_eq!(
        rows(&blocks[0].block),
        [[Value::Int64(1), text("a")], [Value::Int64(5), text("e")], [Value::Int64(6), text("two\nlines")]]
    );
    assert_eq!(decoder.bad_lines(), 4);
    let lines: Vec<u64> = decoder.take_errors().iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    assert_eq!(blocks[0].position, CsvPosition { bytes: 42, lines: 8, events: 3 });

    let many = "x\n".repeat(MAX_KEPT_ERRORS + 5);
    read_all(&mut decoder, many.as_bytes(), 10).unwrap();
    assert_eq!(decoder.take_errors().len(), MAX_KEPT_ERRORS);
    assert_eq!(decoder.bad_lines(), 4 + MAX_KEPT_ERRORS as u64 + 5);
}

#[test]
fn a_line_without_end_is_refused_and_skipped() {
    let piece = vec![b'x'; 1 << 20];
    let options = CsvOptions { ignore_errors: true, ..bare() };
    let mut strict = CsvDecoder::new(schema("id*:int64"), bare()).unwrap();
    let mut lenient = CsvDecoder::new(schema("id*:int64"), options).unwrap();
    let mut blocks = Vec::new();
    let mut refused = None;
    for _ in 0..9 {
        if refused.is_none() {
            refused = strict.decode(&piece, false, 1, 9, |_| panic!("no event here")).err();
        }
        lenient.decode(&piece, false, 1, 9, |_| panic!("no event here")).unwrap();
    }
    let refused = refused.unwrap().to_string();
    assert!(
        refused.starts_with("t.csv:1:1: field `id`: expected a line of at most 4194304 bytes, found `xxx"),
        "{refused}"
    );
    lenient.decode(b"\n5\n", true, 1, 9, |block| blocks.push(block)).unwrap();
    assert_eq!(lenient.bad_lines(), 1);
    assert_eq!(blocks[0].position, CsvPosition { bytes: (9 << 20) + 3, lines: 2, events: 1 });
}

#[test]
fn update_blocks_stay_together_and_the_limit_of_blocks_is_kept() {
    let options = CsvOptions { add_opcode: false, ..bare() };
    let mut decoder = CsvDecoder::new(schema("id*:int64"), options).unwrap();
    let lines = b"I,1\nUB,2\nD,1\nI,3\nI,4";
    let mut at = 0;
    let mut blocks = Vec::new();
    loop {
        let before = blocks.len();
        let progress = decoder.decode(&lines[at..], true, 1, 1, |block| blocks.push(block)).unwrap();
        assert!(blocks.len() <= before + 1);
        at += progress.consumed;
        if !progress.more {
            break;
        }
    }
    let shape: Vec<_> =
        blocks.iter().map(|block| (block.block.len(), block.position.bytes, block.position.lines)).collect();
    assert_eq!(shape, [(1, 4, 1), (2, 13, 3), (1, 17, 4), (1, 20, 5)]);
}

#[test]
fn headers_in_front_of_the_first_event() {
    let block = read("id*:int64,name:string", bare(), "1,x\n").unwrap();
    for (header, expected) in [
        (CsvHeader::None, "I,N, 1,x\nI,N, 1,x\n"),
        (CsvHeader::Names, "id,name\nI,N, 1,x\nI,N, 1,x\n"),
        (CsvHeader::Full, "opcode,flags,id,name\n\nI,N, 1,x\nI,N, 1,x\n"),
    ] {
        let options = CsvOutOptions { header, ..Default::default() };
        let mut encoder = CsvEncoder::new(options.clone()).unwrap();
        let mut out = Vec::new();
        encoder.encode(&block, &mut out);
        encoder.encode(&block, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        CsvEncoder::appending(options).unwrap().encode(&block, &mut out);
        assert_eq!(out, b"I,N, 1,x\n");
    }
}

#[test]
fn values_as_other_tools_show_them() {
    let fields = "k*:int32,d:double,s:string,m:money,b:blob,a:array(dbl),n:int64";
    let lines = "-7,0.1,\"a\"\"b,c\\\\\",1234.5,AQID,[1.5;2],\n8,8.3e-07,\"\",0.1234,\"\",[],NA\n";
    let block = read(fields, CsvOptions { na_is_null: true, ..bare() }, lines).unwrap();
    let mut out = Vec::new();
    encode_csv(&block, &CsvOutOptions::default(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "I,N, -7,0.100000,\"a\\\"b,c\\\\\",1234.50,AQID,[1.500000;2.000000],\n\
         I,N, 8,8.3e-07,\"\",0.1234,\"\",[],\n"
    );
}

#[test]
fn the_weather_example_is_read_whole() {
    use std::io::Read as _;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/weather.csv.gz");
    let mut lines = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
    let fields = "origin*:string,year:int32,month:int32,day:int32,hour:int32,temp:double,dewp:double,humid:double,\
                  wind_dir:int32,wind_speed:double,wind_gust:double,precip:double,pressure:double,visib:double,time_hour*:date";
    let options =
        CsvOptions { header_lines: 1, na_is_null: true, date_format: Some("%Y-%m-%dT%H:%M:%SZ".to_owned()), ..bare() };
    let block = read(fields, options, &lines).unwrap();
    assert_eq!(block.len(), 26_115);
    for (row, line) in lines.lines().skip(1).enumerate() {
        for (column, shown) in line.split(',').enumerate() {
            let expected = match block.schema.fields()[column].ty {
                _ if shown == "NA" => Value::Null,
                FieldType::String => text(shown),
                FieldType::Int32 => Value::Int32(shown.parse().unwrap()),
                FieldType::Double => Value::Double(shown.parse().unwrap()),
                _ => Value::Date(shown.parse::<jiff::Timestamp>().unwrap().as_second()),
            };
            assert_eq!(block.columns[column].value(row), expected, "line {} field {column}", row + 2);
        }
    }
}

/// Doubles that six decimals show exactly, and times of the years 0 to 9999.
fn printable(mut block: Block) -> Block {
    const YEARS: i64 = 315_569_520_000;
    const YEAR_0: i64 = 62_167_219_200;
    let round = |x: f64| if x.abs() < 1e9 { (x * 64.0).round() / 64.0 } else { 0.5 };
    for column in &mut block.columns {
        let column = Arc::make_mut(column);
        match &mut column.data {
            crate::ColumnData::Double(v) => v.iter_mut().for_each(|x| *x = round(*x)),
            crate::ColumnData::ArrayDouble(v) => {
                v.iter_mut().for_each(|row| *row = row.iter().map(|x| round(*x)).collect());
            }
            crate::ColumnData::Date(v) => {
                v.iter_mut().filter(|x| **x != 0).for_each(|x| *x = x.rem_euclid(YEARS) - YEAR_0);
            }
            crate::ColumnData::Stamp(v) => {
                let year_0 = YEAR_0 * 1_000_000;
                v.iter_mut().filter(|x| **x != 0).for_each(|x| *x = x.rem_euclid(YEARS * 1_000_000) - year_0);
            }
            _ => {}
        }
    }
    block.kind = crate::BlockKind::Normal;
    block
}

proptest! {
    #[test]
    fn blocks_come_back_over_any_chunk_borders(
        block in any_block(30),
        delimiter in prop::sample::select(&b",;|\t"[..]),
        chunk in 1..200_usize,
        block_size in 1..20_usize,
        format in prop::option::of(Just("%Y-%m-%d %H:%M:%S")),
    ) {
        let block = printable(block);
        prop_assume!(delimiter != b';' || !block.schema.fields().iter().any(|f| f.ty.name().starts_with("array")));
        let out = CsvOutOptions {
            delimiter,
            date_format: format.map(|text| DateFormat::new(text).unwrap()),
            ..Default::default()
        };
        let mut lines = Vec::new();
        encode_csv(&block, &out, &mut lines);
        let options = CsvOptions { delimiter, date_format: format.map(str::to_owned), ..Default::default() };

        let mut decoder = CsvDecoder::new(block.schema.clone(), options.clone()).unwrap();
        let mut blocks = Vec::new();
        for part in lines.chunks(chunk) {
            decoder.decode(part, false, block_size, usize::MAX, |block| blocks.push(block)).unwrap();
        }
        decoder.decode(b"", true, block_size, usize::MAX, |block| blocks.push(block)).unwrap();
        prop_assert_eq!(decoder.position().events, block.len() as u64);
        prop_assert_eq!(decoder.position().bytes, lines.len() as u64);
        let parts: Vec<&Block> = blocks.iter().map(|block| &block.block).collect();
        prop_assume!(!parts.is_empty());
        prop_assert_eq!(&Block::concat(&parts), &block);

        // from the position of every block on, the rest is read
        for (i, from) in blocks.iter().enumerate() {
            let mut decoder = CsvDecoder::resume(block.schema.clone(), options.clone(), from.position).unwrap();
            let rest = read_all(&mut decoder, &lines[from.position.bytes as usize..], block_size).unwrap();
            prop_assert_eq!(&rest[..], &blocks[i + 1..]);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        lines in prop_oneof![any::<Vec<u8>>(), "[IN0-9,\"\\\\\n.; -]{0,200}".prop_map(String::into_bytes)],
        schema in crate::testing::any_schema(),
        bare_lines: bool,
        chunk in 1..50_usize,
    ) {
        let base = if bare_lines { bare() } else { CsvOptions::default() };
        let strict = CsvDecoder::new(schema.clone(), base.clone());
        let _ = read_all(&mut strict.unwrap(), &lines, 3);
        let mut lenient = CsvDecoder::new(schema, CsvOptions { ignore_errors: true, ..base }).unwrap();
        let mut events = 0;
        let sink = |events: &mut u64, block: CsvBlock| {
            *events += block.block.len() as u64;
            assert_eq!(block.position.events, *events);
        };
        for part in lines.chunks(chunk) {
            lenient.decode(part, false, 3, usize::MAX, |block| sink(&mut events, block)).unwrap();
        }
        lenient.decode(b"", true, 3, usize::MAX, |block| sink(&mut events, block)).unwrap();
        prop_assert_eq!(lenient.position().bytes, lines.len() as u64);
    }
}
