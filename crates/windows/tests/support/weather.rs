//! The chain of the reference architecture over the weather observations, without XML and without the CSV codec.
#![allow(dead_code)] // each user takes its part

use std::io::Read;
use std::sync::Arc;

use mesh_event::{Block, ColumnBuilder, Flags, Opcode, Schema};
use mesh_expr::{Program, Scope};
use mesh_model::{
    FunctionalField, FunctionalInput, Index, Project, Retention, RetentionKind, SummaryField, SummaryStat, Window,
    WindowKind,
};

use super::{autogen_source, chain, schema, window};

/// Rows of an input block: the key is left out, the engine makes it.
pub const INPUT: &str = "origin:string,year:int32,month:int32,day:int32,hour:int32,temp:double,dewp:double,\
    humid:double,wind_dir:int32,wind_speed:double,wind_gust:double,precip:double,pressure:double,visib:double,\
    time_hour:string";

/// Minutes that the copy window keeps rows.
pub const RETENTION_US: i64 = 30 * 60 * 1_000_000;
pub const WINDOW_LENGTH: usize = 20;

/// source -> copy (30 minutes) -> eventCounter -> Summary over 20 -> compute.
pub fn project() -> Arc<Project> {
    let source_schema = schema(&format!("id*:int64,{INPUT}"));
    let keep = Window {
        retention: Some(Retention { kind: RetentionKind::ByTimeSliding { us: RETENTION_US }, field: None }),
        ..window("keep", Index::Ordered, &source_schema, WindowKind::Copy)
    };
    let counted = schema(&format!("id*:int64,{INPUT},n:int64"));
    let fields = (0..16).map(FunctionalField::Copy).chain([FunctionalField::EventCounter]).collect();
    let count = window(
        "count",
        Index::Ordered,
        &counted,
        WindowKind::Functional(vec![FunctionalInput { fields, code: mesh_expr::FunctionalCode::default() }]),
    );
    let with_stats = schema(
        "id*:int64,origin:string,n:int64,temp:double,time_hour:string,nOut:int64,nmissOut:int64,minOut:double,\
         maxOut:double,sumOut:double,meanOut:double,stdOut:double",
    );
    let mut fields: Vec<SummaryField> = [0, 1, 16, 6, 15].into_iter().map(SummaryField::Copy).collect();
    use SummaryStat::{Max, Mean, Min, N, NMiss, Std, Sum};
    fields.extend([N, NMiss, Min, Max, Sum, Mean, Std].map(SummaryField::Stat));
    let kind = WindowKind::Summary { window_length: WINDOW_LENGTH, input: 6, alpha: 0.05, fields };
    let stats = window("stats", Index::Ordered, &with_stats, kind);
    let result = schema(
        "id*:int64,origin:string,n:int64,temp:double,time_hour:string,nOut:int64,minOut:double,maxOut:double,\
         sumOut:double,meanOut:double,stdOut:double,celsius:double,above:double",
    );
    let scope = Scope::new(&with_stats);
    let program = |text: &str| Program::compile(text, &scope).unwrap();
    let copies = ["origin", "n", "temp", "time_hour", "nOut", "minOut", "maxOut", "sumOut", "meanOut", "stdOut"];
    let mut fields: Vec<Program> = copies.map(program).to_vec();
    fields.push(program("(temp - 32) * 5 / 9"));
    fields.push(program("temp - meanOut"));
    let compute = window("result", Index::Ordered, &result, WindowKind::Compute { fields, keys: vec![0] });
    chain(vec![autogen_source(&source_schema), keep, count, stats, compute])
}

/// The observations as blocks of so many rows, all of them `times` over.
pub fn blocks(rows_of_a_block: usize, times: usize) -> Vec<Block> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/weather.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let schema = schema(INPUT);
    let blocks: Vec<Block> = lines.chunks(rows_of_a_block).map(|lines| block(&schema, lines)).collect();
    (0..times).flat_map(|_| blocks.clone()).collect()
}

fn block(schema: &Arc<Schema>, lines: &[&str]) -> Block {
    let mut builders: Vec<ColumnBuilder> =
        schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, lines.len())).collect();
    for line in lines {
        for (builder, cell) in builders.iter_mut().zip(line.split(',')) {
            let pushed = match cell {
                "NA" | "" => {
                    builder.push_null();
                    true
                }
                cell => {
                    builder.push_str(cell)
                        || cell.parse().is_ok_and(|x| builder.push_f64(x))
                        || builder.push_i64(cell.parse().unwrap())
                }
            };
            assert!(pushed, "`{cell}` in `{line}`");
        }
    }
    let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Block::new(Arc::clone(schema), vec![Opcode::Insert; lines.len()], vec![Flags::NORMAL; lines.len()], columns)
}
