//! The computed fields of the weather project and two filters, by events per block.
//! `cargo bench -p mesh-expr --bench block`
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;

use divan::AllocProfiler;
use divan::counter::ItemsCount;
use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Program, Scope};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SIZES: [usize; 5] = [1, 8, 16, 64, 2048];

fn block(rows: usize) -> Block {
    let schema = Arc::new(Schema::parse("id*:int64,origin:string,temp:double,dewp:double,mean:double").unwrap());
    let columns = schema.fields().iter().map(|field| {
        let mut builder = ColumnBuilder::new(field.ty, rows);
        for row in 0..rows {
            let value = match field.ty {
                FieldType::Int64 => Value::Int64(row as i64),
                FieldType::String => Value::String(["EWR", "JFK", "LGA"][row % 3].into()),
                _ => Value::Double(row as f64 * 0.1),
            };
            assert!(builder.push(&value));
        }
        Arc::new(builder.finish())
    });
    let columns = columns.collect();
    Block::new(schema, vec![Opcode::Insert; rows], vec![Flags::NORMAL; rows], columns)
}

fn eval(bencher: divan::Bencher<'_, '_>, rows: usize, text: &str, into: FieldType) {
    let block = block(rows);
    let program = Program::compile(text, &Scope::new(&block.schema)).unwrap();
    bencher.counter(ItemsCount::new(rows)).bench(|| program.eval(&block, into));
}

#[divan::bench(args = SIZES)]
fn celsius(bencher: divan::Bencher<'_, '_>, rows: usize) {
    eval(bencher, rows, "(temp - 32) * 5 / 9", FieldType::Double);
}

#[divan::bench(args = SIZES)]
fn above_mean(bencher: divan::Bencher<'_, '_>, rows: usize) {
    eval(bencher, rows, "temp > mean", FieldType::Int32);
}

#[divan::bench(args = SIZES)]
fn copied_field(bencher: divan::Bencher<'_, '_>, rows: usize) {
    eval(bencher, rows, "origin", FieldType::String);
}

#[divan::bench(args = SIZES)]
fn number_to_text(bencher: divan::Bencher<'_, '_>, rows: usize) {
    eval(bencher, rows, "temp", FieldType::String);
}

#[divan::bench(args = SIZES)]
fn branches(bencher: divan::Bencher<'_, '_>, rows: usize) {
    eval(bencher, rows, "real x = temp if x > 20 begin x = x * 2 end return x - dewp", FieldType::Double);
}

#[divan::bench(args = SIZES)]
fn filter(bencher: divan::Bencher<'_, '_>, rows: usize) {
    let block = block(rows);
    let program = Program::compile("temp > 15 and origin != 'JFK'", &Scope::new(&block.schema)).unwrap();
    let mut keep = Vec::new();
    bencher.counter(ItemsCount::new(rows)).bench_local(|| program.eval_filter(&block, &mut keep));
}
