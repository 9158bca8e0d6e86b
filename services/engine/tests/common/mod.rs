//! A project on some engines over the memory bus, granted terms by the test.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mesh_bus::memory::MemoryBus;
use mesh_bus::{Bus, EndOf, OutRecord, Polled, ReaderOptions, StartAt, TopicSpec, Writer, WriterOptions};
use mesh_engine::project::bad_events::BadEventOptions;
use mesh_engine::project::connectors::Permit;
use mesh_engine::project::connectors::mail::Mail;
use mesh_engine::project::election::ElectionLink;
use mesh_engine::project::message::Control;
use mesh_engine::project::snapshots::SnapshotOptions;
use mesh_engine::project::{ProjectOptions, RunningProject, topics::Topics};
use mesh_event::codec::{BlockHeader, decode_block, encode_block};
use mesh_event::{Block, Column, ColumnData, Flags, Opcode};
use mesh_model::Project;
use mesh_proto::election::{Progress, Role};
use mesh_replication::{CommitRecord, EngineId, Step, Term};
use mesh_service::Metrics;
use mesh_windows::{Executor, OutputBlock};

pub const LIMIT: Duration = Duration::from_secs(20);
pub const DEADLINE: Duration = Duration::from_secs(5);

const PROJECT: &str = r#"<project name="sums" pubsub="auto" heartbeat-interval="1">
  <contqueries><contquery name="cq"><windows>
    <window-source name="src" insert-only="true" index="pi_EMPTY">
      <schema><fields><field name="id" type="int64" key="true"/><field name="x" type="double"/></fields></schema>
    </window-source>
    <window-calculate name="sum" algorithm="Summary">
      <schema><fields><field name="id" type="int64" key="true"/><field name="total" type="double"/></fields></schema>
      <parameters><properties><property name="windowLength">3</property></properties></parameters>
      <input-map><properties><property name="input">x</property></properties></input-map>
      <output-map><properties><property name="sumOut">total</property></properties></output-map>
    </window-calculate>
  </windows><edges><edge source="src" target="sum"/></edges></contquery></contqueries>
</project>"#;

#[derive(Default)]
pub struct Seen {
    pub progress: Option<Progress>,
    pub stepped_down: Vec<(Term, Option<EngineId>)>,
}

pub struct Link(Arc<Mutex<Seen>>);

impl ElectionLink for Link {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().progress = Some(progress);
    }

    fn stepped_down(&self, term: Term, successor: Option<&EngineId>, _reason: &str) {
        self.0.lock().unwrap().stepped_down.push((term, successor.cloned()));
    }

    fn parked(&self, term: Term, _reason: &str) {
        self.0.lock().unwrap().stepped_down.push((term, None));
    }

    fn leave(&self) {}
}

pub struct Replica {
    pub project: RunningProject,
    pub control: Sender<Control>,
    pub seen: Arc<Mutex<Seen>>,
}

impl Replica {
    pub fn role(&self) -> Role {
        Role::try_from(self.project.reports.last().role).unwrap_or_default()
    }

    pub fn grant(&self, term: u64) {
        self.control.send(Control::Granted { term: Term(term), reason: "test".into() }).unwrap();
    }
}

pub struct Mesh {
    pub bus: MemoryBus,
    pub project: Arc<Project>,
    pub topics: Topics,
    pub publisher: Box<dyn Writer>,
    pub published: Vec<Block>,
    pub permit: Permit,
    pub mail: Mail,
    pub bad_events: Option<BadEventOptions>,
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

impl Mesh {
    pub fn new() -> Mesh {
        Mesh::of(PROJECT)
    }

    /// A mesh for this project.
    pub fn of(xml: &str) -> Mesh {
        let bus = MemoryBus::new();
        let checked = mesh_model::parse_project(xml, "project.xml", &BTreeMap::new()).unwrap();
        let project = Arc::new(checked.project);
        let topics = Topics::of(&project, "host_1").unwrap();
        let names = topics.inputs.iter().chain(&topics.outputs).chain([&topics.log, &topics.metadata]);
        for name in names {
            let spec = TopicSpec { name: name.to_string(), replication_factor: 1, settings: BTreeMap::new() };
            assert!(bus.create_topic(&spec, DEADLINE).unwrap());
        }
        let options = WriterOptions {
            client: "publisher".into(),
            transactional_id: "publisher".into(),
            two_lanes: false,
            transaction_timeout: Duration::from_secs(10),
            buffer_bytes_max: 1 << 20,
        };
        let mut publisher = bus.writer(options, DEADLINE).unwrap();
        publisher.fence(DEADLINE).unwrap();
        Mesh {
            bus,
            project,
            topics,
            publisher,
            published: Vec::new(),
            permit: Permit::default(),
            mail: Mail::default(),
            bad_events: None,
        }
    }

    pub fn engine(&self, name: &str) -> Replica {
        let replica = self.start(name, None);
        wait_until("the engine to be a standby", || replica.role() == Role::Standby);
        replica
    }

    /// An engine, with or without snapshots.
    pub fn start(&self, name: &str, snapshots: Option<SnapshotOptions>) -> Replica {
        let options = ProjectOptions {
            engine: name.into(),
            url_host_port: "host_1".into(),
            version: 1,
            blocks_max: 8,
            bytes_max: 1 << 20,
            commit_blocks_max: 16,
            commit_events_max: 1000,
            commit_deadline: DEADLINE,
            transaction_timeout: Duration::from_secs(10),
            caught_up_commits: 4,
            snapshots,
            permit: self.permit.clone(),
            mail: self.mail.clone(),
            bad_events: self.bad_events.clone(),
            trace_ratio: 0.0,
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let link = seen.clone();
        let metrics = Metrics::new();
        let bus = Arc::new(self.bus.clone());
        let project = RunningProject::start(self.project.clone(), options, bus, &metrics, |_| Box::new(Link(link)));
        let project = project.unwrap();
        Replica { control: project.control.clone(), project, seen }
    }

    pub fn publish(&mut self, blocks: usize) {
        let schema = self.project.inputs()[0].schema.clone();
        self.publisher.begin(DEADLINE).unwrap();
        for _ in 0..blocks {
            let id = self.published.len() as i64;
            let ids = Column::new(ColumnData::Int64(vec![id * 2, id * 2 + 1]));
            let values = Column::new(ColumnData::Double(vec![id as f64 * 1.5, -(id as f64)]));
            let columns = vec![Arc::new(ids), Arc::new(values)];
            let block = Block::new(schema.clone(), vec![Opcode::Insert; 2], vec![Flags::NORMAL; 2], columns);
            let payload = encode_block(&block, &BlockHeader::default());
            let topic = self.topics.inputs[0].clone();
            self.publisher.send(OutRecord { topic, key: None, headers: Vec::new(), payload }, DEADLINE).unwrap();
            self.published.push(block);
        }
        self.publisher.commit(DEADLINE).unwrap();
    }

    /// Everything a committed reader sees of a topic.
    pub fn read(&self, topic: &Arc<str>) -> Vec<mesh_bus::Record> {
        let options = ReaderOptions {
            client: "check".into(),
            buffer_bytes_max: 1 << 20,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        };
        let mut reader = self.bus.reader(options, &[(topic.clone(), StartAt::Oldest)]).unwrap();
        let end = self.bus.end(topic, EndOf::Stable, DEADLINE).unwrap();
        let (mut polled, mut records) = (Vec::new(), Vec::new());
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "reading {topic}");
            reader.poll(Duration::from_millis(50), 1000, &mut polled).unwrap();
            for item in polled.drain(..) {
                match item {
                    Polled::Record(record) => records.push(record),
                    Polled::End { next_offset, .. } if next_offset >= end => return records,
                    Polled::End { .. } => {}
                }
            }
        }
    }

    pub fn outputs(&self) -> usize {
        self.read(&self.topics.outputs[0]).len()
    }

    pub fn wait_for_all(&self) {
        wait_until("every block to come out", || self.outputs() >= self.published.len());
    }

    /// The output topic holds these blocks, in this order.
    fn check_topic(&self, expected: &[OutputBlock]) {
        let found = self.read(&self.topics.outputs[0]);
        assert_eq!(found.len(), expected.len());
        let schema = self.project.outputs()[0].schema.clone();
        for (i, (record, expected)) in found.into_iter().zip(expected).enumerate() {
            let (header, block) = decode_block(&record.payload, &schema).unwrap();
            assert_eq!(header.sequence, i as u64 + 1, "sequences are contiguous");
            assert_eq!(block.columns, expected.block.columns, "block {i}");
        }
    }

    /// The output is that of one engine that never failed, fed the recorded steps.
    pub fn check(&self) {
        let log = self.read(&self.topics.log);
        let records: Vec<CommitRecord> = log.iter().map(|r| CommitRecord::decode(&r.payload).unwrap()).collect();
        let mut executor = Executor::new(self.project.clone());
        let (mut expected, mut next) = (Vec::new(), 0);
        for step in records.iter().flat_map(|record| &record.steps) {
            match *step {
                Step::Apply { blocks, .. } => {
                    executor.apply(0, &self.published[next..next + blocks as usize], &mut expected);
                    next += blocks as usize;
                }
                Step::Tick { clock_us } => executor.tick(clock_us, &mut expected),
                Step::Skip { .. } => next += 1,
            }
        }
        assert_eq!(next, self.published.len(), "every block is in the log once");
        self.check_topic(&expected);
    }
}

impl Mesh {
    /// The output is that of one engine that never failed, fed every published block but these. For a project without
    /// ticks, whose log need not be whole.
    pub fn check_output(&self, skipped: &[usize]) {
        let blocks = self.published.iter().enumerate().filter(|(index, _)| !skipped.contains(index));
        let blocks: Vec<Block> = blocks.map(|(_, block)| block.clone()).collect();
        let mut expected = Vec::new();
        Executor::new(self.project.clone()).apply(0, &blocks, &mut expected);
        self.check_topic(&expected);
    }
}
