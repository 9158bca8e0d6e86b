//! A memory bus with a window announced, and a bus that fails on purpose.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // each test file uses its part of it

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use mesh_adapter::PublisherOptions;
use mesh_bus::{
    AdminError, Bus, EndOf, Fenced, MemoryBus, OutRecord, Polled, ReadError, Reader, ReaderOptions, StartAt, TopicInfo,
    TopicSpec, WriteError, Writer, WriterOptions,
};
use mesh_event::{Schema, Value, decode_block};
use mesh_proto::replication::SchemaAnnouncement;
use mesh_publisher_adapter::{PublishError, Publisher, Summary};
use prost::Message;

pub const SCHEMA: &str = "id*:int64,place:string,temp:double";
pub const INPUT: &str = "h_1.p.q.w.I";
pub const META: &str = "ESPAdapterMetapub";
pub const WAIT: Duration = Duration::from_secs(10);

pub fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.into(), replication_factor: 1, settings: Default::default() }
}

pub fn announcement(schema: &str) -> SchemaAnnouncement {
    SchemaAnnouncement {
        version: 1,
        project: "p".into(),
        query: "q".into(),
        window: "w".into(),
        schema: schema.into(),
        schema_fingerprint: Schema::parse(schema).unwrap().fingerprint(),
        input: true,
        ..SchemaAnnouncement::default()
    }
}

/// Writes records in one transaction.
pub fn write(bus: &dyn Bus, topic: &str, records: impl IntoIterator<Item = (Option<Vec<u8>>, Vec<u8>)>) {
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
        let record =
            OutRecord { topic: topic.into(), key: key.map(Into::into), headers: vec![], payload: payload.into() };
        writer.send(record, WAIT).unwrap();
    }
    writer.commit(WAIT).unwrap();
}

pub fn announce(bus: &dyn Bus, announcement: &SchemaAnnouncement) {
    write(bus, "h_1.M", [(Some(b"p/q/w".to_vec()), announcement.encode_to_vec())]);
}

/// A bus with the topics of window `p/q/w`.
pub fn mesh() -> MemoryBus {
    let bus = MemoryBus::new();
    for topic in ["h_1.M", INPUT, META] {
        bus.create_topic(&spec(topic), WAIT).unwrap();
    }
    announce(&bus, &announcement(SCHEMA));
    bus
}

/// A file of so many lines, and their text.
pub fn source(dir: &Path, name: &str, lines: usize) -> PathBuf {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    for i in 0..lines {
        writeln!(file, "{}", line(i)).unwrap();
    }
    path
}

pub fn line(i: usize) -> String {
    format!("i,n,{i},place {},{}.5", i % 7, i)
}

pub fn options(path: &Path, more: &str) -> PublisherOptions {
    let line = format!("type=pub,url=dfESP://h:1/p/q/w,fsname={},schemawait=5,buswait=20{more}", path.display());
    let checked = PublisherOptions::from_line(&line).unwrap();
    assert_eq!(checked.warnings, []);
    checked.options
}

pub fn run(bus: &(impl Bus + Clone), path: &Path, more: &str) -> Result<Summary, PublishError> {
    Publisher::new(options(path, more), Arc::new(bus.clone()), 0.0).run(&AtomicBool::new(false))
}

/// Ids of all committed events, in order.
pub fn published(bus: &dyn Bus) -> Vec<i64> {
    published_in(bus, INPUT)
}

pub fn published_in(bus: &dyn Bus, topic: &str) -> Vec<i64> {
    let schema = Arc::new(Schema::parse(SCHEMA).unwrap());
    let mut ids = Vec::new();
    for record in records(bus, topic) {
        let (header, block) = decode_block(&record.payload, &schema).unwrap();
        assert!(header.source.is_some());
        for row in 0..block.len() {
            let Value::Int64(id) = block.row(row)[0] else { panic!("{:?}", block.row(row)) };
            ids.push(id);
        }
    }
    ids
}

pub fn records(bus: &dyn Bus, topic: &str) -> Vec<mesh_bus::Record> {
    let end = bus.end(topic, EndOf::Stable, WAIT).unwrap();
    let options = ReaderOptions {
        client: "test".into(),
        buffer_bytes_max: 1 << 20,
        committed_only: true,
        end_within: ReaderOptions::SOON,
    };
    let mut reader = bus.reader(options, &[(topic.into(), StartAt::Oldest)]).unwrap();
    let mut all = Vec::new();
    loop {
        let mut polled = Vec::new();
        reader.poll(WAIT, 1000, &mut polled).unwrap();
        assert!(!polled.is_empty(), "the end at {end} was not reached");
        for item in polled {
            match item {
                Polled::Record(record) => all.push(record),
                Polled::End { next_offset, .. } if next_offset >= end => return all,
                Polled::End { .. } => {}
            }
        }
    }
}

/// What a [`FaultyBus`] does when its calls are used up.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The calling thread dies, as by kill -9: nothing is tidied up.
    Kill,
    /// The call is not carried out and says that the bus does not answer; once.
    Unavailable,
    /// The call is carried out and says that nobody knows; once.
    Unknown,
    /// The call is not carried out, the transaction has to be aborted; once.
    Aborted,
}

/// A bus whose writers fail at the n-th call; the questions for topics count, if the bus does not answer.
#[derive(Clone)]
pub struct FaultyBus {
    pub inner: Arc<dyn Bus>,
    pub fault: Fault,
    pub calls_left: Arc<AtomicI64>,
}

impl FaultyBus {
    pub fn on(inner: &MemoryBus, fault: Fault, after: i64) -> FaultyBus {
        FaultyBus::new(Arc::new(inner.clone()), fault, after)
    }

    pub fn new(inner: Arc<dyn Bus>, fault: Fault, after: i64) -> FaultyBus {
        FaultyBus { inner, fault, calls_left: Arc::new(AtomicI64::new(after)) }
    }

    fn due(&self) -> bool {
        self.calls_left.fetch_sub(1, Ordering::SeqCst) == 0
    }
}

impl Bus for FaultyBus {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn reader(&self, options: ReaderOptions, topics: &[(Arc<str>, StartAt)]) -> Result<Box<dyn Reader>, ReadError> {
        self.inner.reader(options, topics)
    }

    fn writer(&self, options: WriterOptions, deadline: Duration) -> Result<Box<dyn Writer>, WriteError> {
        let inner = self.inner.writer(options, deadline)?;
        Ok(Box::new(FaultyWriter { inner, bus: self.clone() }))
    }

    fn end(&self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        self.inner.end(topic, end, deadline)
    }

    fn topics(&self, prefix: &str, deadline: Duration) -> Result<Vec<TopicInfo>, AdminError> {
        if matches!(self.fault, Fault::Unavailable) && self.due() {
            return Err(AdminError::Unavailable { attempted: "topics".to_owned(), reason: "on purpose".to_owned() });
        }
        self.inner.topics(prefix, deadline)
    }

    fn create_topic(&self, spec: &TopicSpec, deadline: Duration) -> Result<bool, AdminError> {
        self.inner.create_topic(spec, deadline)
    }

    fn delete_topic(&self, topic: &str, deadline: Duration) -> Result<bool, AdminError> {
        self.inner.delete_topic(topic, deadline)
    }

    fn delete_records(&self, topic: &str, before: u64, deadline: Duration) -> Result<u64, AdminError> {
        self.inner.delete_records(topic, before, deadline)
    }
}

struct FaultyWriter {
    inner: Box<dyn Writer>,
    bus: FaultyBus,
}

impl FaultyWriter {
    fn call<T>(
        &mut self,
        what: &str,
        call: impl FnOnce(&mut dyn Writer) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let (attempted, reason) = (what.to_owned(), "on purpose".to_owned());
        if !self.bus.due() {
            return call(self.inner.as_mut());
        }
        match self.bus.fault {
            Fault::Kill => std::panic::resume_unwind(Box::new("killed")),
            Fault::Unavailable => Err(WriteError::Unavailable { attempted, reason }),
            Fault::Aborted => Err(WriteError::Aborted { attempted, reason }),
            Fault::Unknown => {
                let _ = call(self.inner.as_mut());
                Err(WriteError::Unknown { attempted, waited: Duration::ZERO, reason })
            }
        }
    }
}

impl Writer for FaultyWriter {
    fn fence(&mut self, deadline: Duration) -> Result<Fenced, WriteError> {
        self.inner.fence(deadline)
    }

    fn begin(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.inner.begin(deadline)
    }

    fn send(&mut self, record: OutRecord, deadline: Duration) -> Result<(), WriteError> {
        self.call("send", |writer| writer.send(record, deadline))
    }

    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.call("commit", |writer| writer.commit(deadline))
    }

    fn abort(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.inner.abort(deadline)
    }

    fn settle(&mut self, deadline: Duration) -> Result<bool, WriteError> {
        self.inner.settle(deadline)
    }
}

/// Pseudo-random numbers from a seed.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}
