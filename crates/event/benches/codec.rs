//! Blocks to bytes and back, and CSV against the `csv` crate: `cargo bench -p mesh-event`.

use std::io::Read as _;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mesh_event::csv::{CsvDecoder, CsvOptions, CsvOutOptions, encode_csv};
use mesh_event::{
    Block, BlockHeader, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value, decode_block, encode_block,
};

const FIELDS: &str = "id*:int64,a:int64,b:int32,c:int32,d:double,e:double,f:double,g:double,h:double,i:double,\
                      sym:string,side:string,at:stamp,day:date,price:money,note:string";
const WEATHER: &str = "origin*:string,year:int32,month:int32,day:int32,hour:int32,temp:double,dewp:double,\
                       humid:double,wind_dir:int32,wind_speed:double,wind_gust:double,precip:double,pressure:double,\
                       visib:double,time_hour*:date";

fn main() {
    divan::main();
}

/// A block of 16 fields like those of a trade.
fn trades(events: usize) -> Block {
    let schema = Arc::new(Schema::parse(FIELDS).expect("the schema above is one"));
    let columns = schema.fields().iter().enumerate().map(|(position, field)| {
        let mut column = ColumnBuilder::new(field.ty, events);
        for row in 0..events as i64 {
            let value = match field.ty {
                FieldType::Int32 => Value::Int32((row * 37 % 5000) as i32),
                FieldType::Int64 => Value::Int64(1_000_000 + row),
                FieldType::Double => Value::Double(row as f64 * 1.37 + position as f64),
                FieldType::Stamp => Value::Stamp(1_700_000_000_000_000 + row * 1311),
                FieldType::Date => Value::Date(1_700_000_000 + row / 100),
                FieldType::Money => Value::Money(123_400 + row * 100),
                _ => Value::String(format!("text-{}", row % 50).into()),
            };
            assert!(column.push(&value), "the value has the field's type");
        }
        Arc::new(column.finish())
    });
    let columns = columns.collect();
    Block::new(schema.clone(), vec![Opcode::Insert; events], vec![Flags::NORMAL; events], columns)
}

#[divan::bench(args = [1, 512])]
fn block_encode(bencher: Bencher<'_, '_>, events: usize) {
    let block = trades(events);
    let header = BlockHeader { sequence: 7, message_id: 9, ..BlockHeader::default() };
    bencher.counter(ItemsCount::new(events)).bench_local(|| encode_block(&block, &header));
}

#[divan::bench(args = [1, 512])]
fn block_decode(bencher: Bencher<'_, '_>, events: usize) {
    let block = trades(events);
    let payload = encode_block(&block, &BlockHeader::default());
    bencher
        .counter(ItemsCount::new(events))
        .bench_local(|| decode_block(&payload, &block.schema).expect("the payload was just made"));
}

fn weather() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/weather.csv.gz");
    let file = std::fs::File::open(path).expect("the weather example is in the repository");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).expect("the weather example is a gzip file");
    text
}

/// The weather example as one block.
fn weather_block(text: &[u8]) -> Block {
    let mut block = None;
    decode_weather(text, usize::MAX, |read| block = Some(read));
    block.expect("the weather example has events")
}

fn decode_weather(text: &[u8], block_size: usize, mut sink: impl FnMut(Block)) {
    let schema = Arc::new(Schema::parse(WEATHER).expect("the schema above is one"));
    let options = CsvOptions {
        header_lines: 1,
        add_opcode: true,
        add_flags: Some(Flags::NORMAL),
        na_is_null: true,
        date_format: Some("%Y-%m-%dT%H:%M:%SZ".to_owned()),
        ..CsvOptions::default()
    };
    let mut decoder = CsvDecoder::new(schema, options).expect("the options fit the schema");
    decoder
        .decode(text, true, block_size, usize::MAX, |block| sink(block.block))
        .expect("the weather example has no bad line");
}

#[divan::bench]
fn csv_decode(bencher: Bencher<'_, '_>) {
    let text = weather();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| decode_weather(&text, 512, |block| drop(divan::black_box(block))));
}

#[divan::bench]
fn csv_crate_records(bencher: Bencher<'_, '_>) {
    let text = weather();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let mut reader = csv::Reader::from_reader(&text[..]);
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).expect("bytes in memory are read without errors") {
            divan::black_box(&record);
        }
    });
}

#[divan::bench]
fn csv_encode(bencher: Bencher<'_, '_>) {
    let block = weather_block(&weather());
    let mut out = Vec::new();
    encode_csv(&block, &CsvOutOptions::default(), &mut out);
    let counter = BytesCount::new(out.len());
    bencher.counter(counter).bench_local(|| {
        out.clear();
        encode_csv(&block, &CsvOutOptions::default(), &mut out);
    });
}
