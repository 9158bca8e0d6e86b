//! A memory bus with an output topic of numbered blocks.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // each test file uses its part of it

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_adapter::SubscriberOptions;
use mesh_bus::{Bus, MemoryBus, OutRecord, TopicSpec, WriterOptions};
use mesh_event::csv::{CsvOutOptions, encode_csv};
use mesh_event::{Block, BlockHeader, Cause, ColumnBuilder, Flags, Opcode, Schema, Value, encode_block};
use mesh_proto::replication::SchemaAnnouncement;
use mesh_subscriber_adapter::{SubscribeError, Subscriber, Summary};
use prost::Message;

pub const SCHEMA: &str = "id*:int64,place:string";
pub const OUTPUT: &str = "h_1.p.q.w.O";
pub const WAIT: Duration = Duration::from_secs(10);

pub fn schema() -> Arc<Schema> {
    Arc::new(Schema::parse(SCHEMA).unwrap())
}

pub fn mesh() -> MemoryBus {
    let bus = MemoryBus::new();
    make(&bus);
    bus
}

/// Makes and announces the topics.
pub fn make(bus: &MemoryBus) {
    for name in ["h_1.M", OUTPUT] {
        let spec = TopicSpec { name: name.into(), replication_factor: 1, settings: Default::default() };
        bus.create_topic(&spec, WAIT).unwrap();
    }
    announce(bus, 1);
}

pub fn announce(bus: &MemoryBus, version: u32) {
    let announcement = SchemaAnnouncement {
        version,
        project: "p".into(),
        query: "q".into(),
        window: "w".into(),
        schema: SCHEMA.into(),
        schema_fingerprint: schema().fingerprint(),
        ..SchemaAnnouncement::default()
    };
    write(bus, "h_1.M", [(Some("p/q/w"), announcement.encode_to_vec())]);
}

/// Writes records in one transaction.
pub fn write<'a>(bus: &MemoryBus, topic: &str, records: impl IntoIterator<Item = (Option<&'a str>, Vec<u8>)>) {
    let options = WriterOptions {
        client: "test".into(),
        transactional_id: format!("test-{topic}"),
        two_lanes: false,
        transaction_timeout: WAIT,
        buffer_bytes_max: 1 << 20,
    };
    let mut writer = bus.writer(options, WAIT).unwrap();
    writer.fence(WAIT).unwrap();
    writer.begin(WAIT).unwrap();
    for (key, payload) in records {
        let key = key.map(|key| key.as_bytes().to_vec().into());
        let record = OutRecord { topic: topic.into(), key, headers: vec![], payload: payload.into() };
        writer.send(record, WAIT).unwrap();
    }
    writer.commit(WAIT).unwrap();
}

/// The block with this sequence: one to three events.
pub fn block(sequence: u64) -> Block {
    let rows: Vec<i64> = (0..1 + sequence % 3).map(|i| (sequence * 10 + i) as i64).collect();
    rows_block(&rows, Opcode::Insert, Flags::NORMAL)
}

pub fn rows_block(ids: &[i64], opcode: Opcode, flags: Flags) -> Block {
    let schema = schema();
    let mut builders: Vec<ColumnBuilder> =
        schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, ids.len())).collect();
    for id in ids {
        assert!(builders[0].push(&Value::Int64(*id)));
        assert!(builders[1].push_str(&format!("place {id}")));
    }
    let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Block::new(schema, vec![opcode; ids.len()], vec![flags; ids.len()], columns)
}

pub fn payload(block: &Block, sequence: u64) -> Vec<u8> {
    let header = BlockHeader { message_id: sequence, cause: Cause::Input, sequence, ..BlockHeader::default() };
    encode_block(block, &header).to_vec()
}

/// Writes blocks with these sequences, a few in each transaction, so that control records lie between them.
pub fn fill(bus: &MemoryBus, sequences: impl IntoIterator<Item = u64>) {
    let all: Vec<u64> = sequences.into_iter().collect();
    for some in all.chunks(4) {
        write(bus, OUTPUT, some.iter().map(|sequence| (None, payload(&block(*sequence), *sequence))));
    }
}

/// The lines of these blocks.
pub fn lines(sequences: impl IntoIterator<Item = u64>) -> String {
    let mut out = Vec::new();
    for sequence in sequences {
        encode_csv(&block(sequence), &CsvOutOptions::default(), &mut out);
    }
    String::from_utf8(out).unwrap()
}

pub fn options(path: &Path, more: &str) -> SubscriberOptions {
    let line = format!("type=sub,url=dfESP://h:1/p/q/w?snapshot=false,fsname={},schemawait=5{more}", path.display());
    let checked = SubscriberOptions::from_line(&line).unwrap();
    assert_eq!(checked.warnings, []);
    checked.options
}

/// Runs until the sink stands at this sequence (or it fails).
pub fn run_to(bus: &MemoryBus, path: &Path, more: &str, sequence: u64) -> Result<Summary, SubscribeError> {
    let subscriber = Subscriber::new(options(path, more), Arc::new(bus.clone()));
    let (progress, stop) = (subscriber.progress(), Arc::new(AtomicBool::new(false)));
    let thread = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || subscriber.run(&stop))
    };
    let started = Instant::now();
    while progress.snapshot().sequence < sequence && !thread.is_finished() {
        assert!(started.elapsed() < Duration::from_secs(20), "stuck at {:?}", progress.snapshot());
        std::thread::sleep(Duration::from_millis(1));
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap()
}

/// Runs until it fails.
pub fn run_to_error(bus: &MemoryBus, path: &Path, more: &str) -> SubscribeError {
    run_to(bus, path, more, u64::MAX).unwrap_err()
}

/// Pseudo-random numbers from a seed.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}
