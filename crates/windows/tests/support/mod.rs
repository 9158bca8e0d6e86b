//! Projects without XML, and blocks as text: `I 1 a 2.5`, one event a line; `D/R` is a delete by retention, `.` is null.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a helper that panics fails its test

pub mod random;
pub mod scenario;
pub mod weather;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Program, Scope};
use mesh_model::{Edge, EdgeRole, Index, Project, PubSub, Query, Retention, RetentionKind, Window, WindowKind};
use mesh_windows::{Executor, OutputBlock};

pub fn schema(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text).unwrap())
}

pub fn window(name: &str, index: Index, schema: &Arc<Schema>, kind: WindowKind) -> Window {
    Window {
        name: name.to_owned(),
        index,
        pubsub: true,
        schema: Arc::clone(schema),
        kind,
        retention: None,
        output: Default::default(),
        splitter: None,
        connectors: Vec::new(),
        line: 1,
    }
}

pub fn source(index: Index, schema: &Arc<Schema>) -> Window {
    window("source", index, schema, WindowKind::Source { insert_only: false, autogen_key: false })
}

pub fn insert_source(schema: &Arc<Schema>) -> Window {
    window("source", Index::None, schema, WindowKind::Source { insert_only: true, autogen_key: false })
}

pub fn autogen_source(schema: &Arc<Schema>) -> Window {
    window("source", Index::None, schema, WindowKind::Source { insert_only: true, autogen_key: true })
}

pub fn copy(name: &str, schema: &Arc<Schema>, kind: RetentionKind) -> Window {
    let retention = Some(Retention { kind, field: None });
    Window { retention, ..window(name, Index::Ordered, schema, WindowKind::Copy) }
}

pub fn filter(name: &str, index: Index, schema: &Arc<Schema>, condition: &str) -> Window {
    let condition = Program::compile(condition, &Scope::new(schema)).unwrap();
    window(name, index, schema, WindowKind::Filter { condition })
}

/// A project of one query whose windows form a chain.
pub fn chain(windows: Vec<Window>) -> Arc<Project> {
    let edge = |target: usize| Edge { source: target - 1, target, role: EdgeRole::Data, slot: None };
    let edges = (1..windows.len()).map(edge).collect();
    project(windows, edges)
}

pub fn project(windows: Vec<Window>, edges: Vec<Edge>) -> Arc<Project> {
    Arc::new(Project {
        name: "p".to_owned(),
        fingerprint: 7,
        heartbeat_us: 1_000_000,
        pubsub: PubSub::Auto,
        properties: BTreeMap::new(),
        queries: vec![Query { name: "cq".to_owned(), windows, edges }],
        start_order: Default::default(),
    })
}

fn value(ty: FieldType, text: &str) -> Value {
    match ty {
        _ if text == "." => Value::Null,
        FieldType::Int32 => Value::Int32(text.parse().unwrap()),
        FieldType::Int64 => Value::Int64(text.parse().unwrap()),
        FieldType::Double => Value::Double(text.parse().unwrap()),
        FieldType::String => Value::String(text.into()),
        FieldType::Date => Value::Date(text.parse().unwrap()),
        FieldType::Stamp => Value::Stamp(text.parse().unwrap()),
        FieldType::Money => Value::Money(text.parse().unwrap()),
        other => panic!("no text form for {other}"),
    }
}

pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => ".".to_owned(),
        Value::Int32(x) => x.to_string(),
        Value::Int64(x) | Value::Date(x) | Value::Stamp(x) | Value::Money(x) => x.to_string(),
        Value::Double(x) => x.to_string(),
        Value::String(x) => x.to_string(),
        other => format!("{other:?}"),
    }
}

pub type Row = (Opcode, Flags, Vec<Value>);

pub fn block_of(schema: &Arc<Schema>, rows: &[Row]) -> Block {
    let columns = schema.fields().iter().enumerate().map(|(i, field)| {
        let mut builder = ColumnBuilder::new(field.ty, rows.len());
        for (_, _, values) in rows {
            assert!(builder.push(&values[i]), "{:?} into {}", values[i], field.ty);
        }
        Arc::new(builder.finish())
    });
    let opcodes = rows.iter().map(|row| row.0).collect();
    let flags = rows.iter().map(|row| row.1).collect();
    Block::new(Arc::clone(schema), opcodes, flags, columns.collect())
}

pub fn rows_of(block: &Block) -> Vec<Row> {
    (0..block.len()).map(|row| (block.opcodes[row], block.flags[row], block.row(row))).collect()
}

/// Reads events, one a line; `;` separates lines as well.
pub fn block(schema: &Arc<Schema>, text: &str) -> Block {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let head = words.next().unwrap();
        let (opcode, flags) = head.split_once('/').unwrap_or((head, "N"));
        let values: Vec<Value> = words.zip(schema.fields()).map(|(word, field)| value(field.ty, word)).collect();
        (Opcode::parse(opcode.as_bytes()).unwrap(), Flags::parse(flags.as_bytes()).unwrap(), values)
    };
    let lines = text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty());
    block_of(schema, &lines.map(row).collect::<Vec<_>>())
}

pub fn pretty(block: &Block) -> String {
    let line = |(opcode, flags, values): Row| {
        let flags = if flags == Flags::NORMAL { String::new() } else { format!("/{}", flags.letters()) };
        let values: Vec<String> = values.iter().map(text_of).collect();
        format!("{opcode}{flags} {}", values.join(" "))
    };
    rows_of(block).into_iter().map(line).collect::<Vec<_>>().join("; ")
}

/// An executor with one input and one output, and the shape of its input.
pub struct Bench {
    pub executor: Executor,
    schema: Arc<Schema>,
}

impl Bench {
    pub fn new(windows: Vec<Window>) -> Bench {
        let schema = Arc::clone(&windows[0].schema);
        Bench { executor: Executor::new(chain(windows)), schema }
    }

    /// What one block causes.
    pub fn apply(&mut self, text: &str) -> String {
        let mut sink = Vec::new();
        self.executor.apply(0, &[block(&self.schema, text)], &mut sink);
        one(&sink)
    }

    pub fn tick(&mut self, clock_us: i64) -> String {
        let mut sink = Vec::new();
        self.executor.tick(clock_us, &mut sink);
        one(&sink)
    }

    pub fn bad_events(&self) -> u64 {
        self.executor.stats().iter().map(|stats| stats.bad_events).sum()
    }
}

fn one(sink: &[OutputBlock]) -> String {
    match sink {
        [] => String::new(),
        [only] => {
            assert!(!only.block.is_empty());
            pretty(&only.block)
        }
        more => panic!("one block per cause and output, found {}", more.len()),
    }
}

pub fn digests(executor: &Executor) -> Vec<u64> {
    let mut digests = Vec::new();
    executor.digests(&mut digests);
    digests
}

/// Gives every section of a saved state the hash of what it holds now; leaves the rest where its frames end.
pub fn rehash(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).map(|four| u32::from_le_bytes(four.try_into().unwrap()) as usize)
    };
    let mut at = 18;
    while at < bytes.len() {
        for _ in 0..2 {
            let Some(length) = number(bytes, at) else { return };
            at += 4 + length;
        }
        at += 2;
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        loop {
            let Some(length) = number(bytes, at) else { return };
            at += 4;
            if length == 0 {
                break;
            }
            let Some(frame) = bytes.get(at..at + length) else { return };
            hash.update(frame);
            at += length;
        }
        let Some(place) = bytes.get_mut(at..at + 8) else { return };
        place.copy_from_slice(&hash.digest().to_le_bytes());
        at += 8;
    }
}
