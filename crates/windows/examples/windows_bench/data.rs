//! Flights and planes as typed columns, repeated with rising keys and times.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use mesh_event::csv::{CsvBlock, CsvDecoder, CsvOptions};
use mesh_event::{Block, BlockKind, Column, ColumnData, Flags, JoinedBlocks, Opcode, Schema};

/// What the queries use of a flight.
pub const FLIGHT: &str = "id*:int64,carrier:string,origin:string,tailnum:string,dep_delay:double,arr_delay:double,\
                          air_time:double,distance:double,at:stamp";
/// The same for a source that makes its key itself.
pub const FLIGHT_COLUMNS: [&str; 8] =
    ["carrier", "origin", "tailnum", "dep_delay", "arr_delay", "air_time", "distance", "time_hour"];
/// A plane, by its tail number.
pub const PLANE: &str = "tailnum*:string,year:int32,seats:int32";

const FLIGHT_FILE: &str = "year*:int32,month:int32,day:int32,dep_time:int32,sched_dep_time:int32,dep_delay:double,\
                           arr_time:int32,sched_arr_time:int32,arr_delay:double,carrier:string,flight:int32,\
                           tailnum:string,origin:string,dest:string,air_time:double,distance:double,hour:int32,\
                           minute:int32,time_hour:stamp";
const PLANE_FILE: &str = "tailnum*:string,year:int32,type:string,manufacturer:string,model:string,engines:int32,\
                          seats:int32,speed:int32,engine:string";

/// Events of a block, and blocks whose columns are shared, as the reader of an engine decodes them.
const BLOCK: usize = 512;
const JOINED: usize = 4;
const DAY_US: i64 = 86_400_000_000;

/// Everything the queries read.
pub struct Data {
    /// Shared columns of every piece, without key and time.
    pieces: Vec<Vec<Arc<Column>>>,
    times: Vec<Vec<i64>>,
    /// Time from one repetition to the next.
    period_us: i64,
    flights: usize,
    pub planes: Block,
}

impl Data {
    /// Reads `flights.csv` and `planes.csv`, packed or not, of a folder.
    pub fn read(folder: &Path) -> Result<Data> {
        let flights = rows(folder, "flights.csv", FLIGHT_FILE)?;
        let at = column(&flights, "time_hour")?;
        let ColumnData::Stamp(times) = &at.data else { bail!("flights.csv: `time_hour` is no time") };
        // The file goes by the names of the months; time must not go back.
        let mut order: Vec<u32> = (0..times.len() as u32).collect();
        order.sort_by_key(|&row| times[row as usize]);
        let columns: Vec<Column> =
            FLIGHT_COLUMNS[..7].iter().map(|name| Ok(column(&flights, name)?.gather(&order))).collect::<Result<_>>()?;
        let times: Vec<i64> = order.iter().map(|&row| times[row as usize]).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { bail!("flights.csv has no rows") };
        let piece = |start: usize| {
            let range = start..times.len().min(start + BLOCK * JOINED);
            columns.iter().map(|column| Arc::new(column.slice(range.clone()))).collect()
        };
        let pieces = (0..times.len()).step_by(BLOCK * JOINED).map(piece).collect();
        let planes = rows(folder, "planes.csv", PLANE_FILE)?;
        let schema = Arc::new(Schema::parse(PLANE)?);
        let columns = schema.fields().iter().map(|field| column(&planes, &field.name).cloned());
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Data {
            pieces,
            period_us: ((last - first) / DAY_US + 1) * DAY_US,
            flights: times.len(),
            times: times.chunks(BLOCK * JOINED).map(<[i64]>::to_vec).collect(),
            planes: inserts(&schema, columns),
        })
    }

    /// Flights of one repetition.
    pub fn len(&self) -> usize {
        self.flights
    }

    /// The flights so many times over, keys from 0. `keyed`: the blocks carry the key.
    pub fn flights(&self, times: usize, keyed: bool) -> Result<Vec<JoinedBlocks>> {
        let keyless = FLIGHT.trim_start_matches("id*:int64,").replacen("carrier:", "carrier*:", 1);
        let schema = Arc::new(Schema::parse(if keyed { FLIGHT } else { &keyless })?);
        let mut joined = Vec::with_capacity(times * self.pieces.len());
        let mut id = 0;
        for repetition in 0..times as i64 {
            for (columns, at) in self.pieces.iter().zip(&self.times) {
                let mut all = Vec::with_capacity(columns.len() + 2);
                if keyed {
                    all.push(Arc::new(Column::new(ColumnData::Int64((id..id + at.len() as i64).collect()))));
                }
                all.extend(columns.iter().cloned());
                let shifted = at.iter().map(|at| at + repetition * self.period_us).collect();
                all.push(Arc::new(Column::new(ColumnData::Stamp(shifted))));
                id += at.len() as i64;
                let ends: Vec<u32> = (1..=at.len().div_ceil(BLOCK)).map(|n| (n * BLOCK).min(at.len()) as u32).collect();
                let kinds = vec![BlockKind::Normal; ends.len()];
                joined.push(JoinedBlocks { events: inserts(&schema, all), ends, kinds });
            }
        }
        Ok(joined)
    }
}

/// A block of inserts.
pub fn inserts(schema: &Arc<Schema>, columns: Vec<Arc<Column>>) -> Block {
    let rows = columns[0].len();
    Block::new(Arc::clone(schema), vec![Opcode::Insert; rows], vec![Flags::NORMAL; rows], columns)
}

fn column<'a>(block: &'a Block, name: &str) -> Result<&'a Arc<Column>> {
    let at = block.schema.fields().iter().position(|field| &*field.name == name);
    Ok(&block.columns[at.with_context(|| format!("no column `{name}`"))?])
}

/// All rows of a file.
fn rows(folder: &Path, name: &str, schema: &str) -> Result<Block> {
    let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
    let mut text = Vec::new();
    if plain.exists() {
        File::open(&plain)?.read_to_end(&mut text)?;
    } else {
        let file = File::open(&packed).with_context(|| format!("{name}: neither {plain:?} nor {packed:?} is there"))?;
        MultiGzDecoder::new(BufReader::new(file)).read_to_end(&mut text)?;
    }
    let options = CsvOptions {
        header_lines: 1,
        add_opcode: true,
        add_flags: Some(Flags::NORMAL),
        na_is_null: true,
        date_format: Some("%Y-%m-%dT%H:%M:%SZ".to_owned()),
        file: name.to_owned(),
        ..CsvOptions::default()
    };
    let mut decoder = CsvDecoder::new(Arc::new(Schema::parse(schema)?), options)?;
    let mut blocks = Vec::new();
    decoder.decode(&text, true, 1 << 20, usize::MAX, &mut |block: CsvBlock| blocks.push(block.block))?;
    if blocks.is_empty() {
        bail!("{name} has no rows");
    }
    Ok(Block::concat(&blocks.iter().collect::<Vec<_>>()))
}
