//! Reads the weather example as CSV into typed blocks, against the `csv` crate merely splitting it into records.
//!
//! Both read the same bytes from memory in one process, in alternation; the medians are printed, for people and as a
//! `RESULT` line for `cargo xtask bench csv`.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_event::csv::{CsvDecoder, CsvOptions};
use mesh_event::{Flags, Schema};

const RUNS: usize = 21;
const BLOCK_SIZE: usize = 512;
const CHUNK_BYTES: usize = 256 << 10;
const SCHEMA: &str = "origin*:string,year:int32,month:int32,day:int32,hour:int32,temp:double,dewp:double,humid:double,\
                      wind_dir:int32,wind_speed:double,wind_gust:double,precip:double,pressure:double,visib:double,\
                      time_hour*:date";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/weather.csv.gz");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_end(&mut text)?;
    let schema = Arc::new(Schema::parse(SCHEMA)?);

    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut rows = 0;
    for _ in 0..RUNS {
        let begin = Instant::now();
        rows = decode(&schema, &text)?;
        ours.push(begin.elapsed());
        let begin = Instant::now();
        let records = split(&text)?;
        theirs.push(begin.elapsed());
        assert_eq!(rows, records, "both read the same rows");
    }
    let speed = |times: &mut Vec<Duration>| text.len() as f64 / 1e6 / median(times).as_secs_f64();
    let (ours, theirs) = (speed(&mut ours), speed(&mut theirs));
    println!(
        "{rows} rows, {:.1} MB: {ours:.0} MB/s into typed blocks, {theirs:.0} MB/s into records of the csv crate ({:.2} times, median of {RUNS})",
        text.len() as f64 / 1e6,
        ours / theirs,
    );
    println!(r#"RESULT {{"name":"csv","mb_per_s":{ours:.1},"csv_crate_mb_per_s":{theirs:.1},"rows":{rows}}}"#);
    Ok(())
}

/// Into typed blocks, in chunks as from a file.
fn decode(schema: &Arc<Schema>, text: &[u8]) -> Result<usize, Box<dyn std::error::Error>> {
    let options = CsvOptions {
        header_lines: 1,
        add_opcode: true,
        add_flags: Some(Flags::NORMAL),
        na_is_null: true,
        date_format: Some("%Y-%m-%dT%H:%M:%SZ".to_owned()),
        file: "weather.csv".to_owned(),
        ..CsvOptions::default()
    };
    let mut decoder = CsvDecoder::new(schema.clone(), options)?;
    let mut rows = 0;
    let mut sink = |block: mesh_event::csv::CsvBlock| rows += std::hint::black_box(block).block.len();
    for chunk in text.chunks(CHUNK_BYTES) {
        decoder.decode(chunk, false, BLOCK_SIZE, usize::MAX, &mut sink)?;
    }
    decoder.decode(&[], true, BLOCK_SIZE, usize::MAX, &mut sink)?;
    Ok(rows)
}

/// Into records of byte strings, the fastest way the `csv` crate has.
fn split(text: &[u8]) -> Result<usize, Box<dyn std::error::Error>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let mut record = csv::ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record)? {
        std::hint::black_box(&record);
        rows += 1;
    }
    Ok(rows)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
