//! Projects on two engines over the memory bus: the threads, the driver and the real protocol, without a network.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mesh_bus::memory::{CommitFault, MemoryBus};
use mesh_bus::{Bus, EndOf, OutRecord, Polled, ReaderOptions, StartAt, TopicSpec, Writer, WriterOptions};
use mesh_engine::project::election::ElectionLink;
use mesh_engine::project::message::Control;
use mesh_engine::project::{ProjectOptions, RunningProject, topics::Topics};
use mesh_event::codec::{BlockHeader, decode_block, encode_block};
use mesh_event::{Block, Column, ColumnData, Flags, Opcode};
use mesh_model::Project;
use mesh_proto::election::{Progress, Role};
use mesh_replication::{CommitRecord, EngineId, Step, Term};
use mesh_service::Metrics;
use mesh_windows::Executor;

const LIMIT: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_secs(5);

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
struct Seen {
    progress: Option<Progress>,
    stepped_down: Vec<(Term, Option<EngineId>)>,
}

struct Link(Arc<Mutex<Seen>>);

impl ElectionLink for Link {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().progress = Some(progress);
    }

    fn stepped_down(&self, term: Term, successor: Option<&EngineId>, _reason: &str) {
        self.0.lock().unwrap().stepped_down.push((term, successor.cloned()));
    }

    fn leave(&self) {}
}

struct Replica {
    project: RunningProject,
    control: Sender<Control>,
    seen: Arc<Mutex<Seen>>,
}

impl Replica {
    fn role(&self) -> Role {
        Role::try_from(self.project.reports.last().role).unwrap_or_default()
    }

    fn grant(&self, term: u64) {
        self.control.send(Control::Granted { term: Term(term), reason: "test".into() }).unwrap();
    }
}

struct Mesh {
    bus: MemoryBus,
    project: Arc<Project>,
    topics: Topics,
    publisher: Box<dyn Writer>,
    published: Vec<Block>,
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

impl Mesh {
    fn new() -> Mesh {
        let bus = MemoryBus::new();
        let checked = mesh_model::parse_project(PROJECT, "sums.xml", &BTreeMap::new()).unwrap();
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
            transaction_timeout: Duration::from_secs(10),
            buffer_bytes_max: 1 << 20,
        };
        let mut publisher = bus.writer(options, DEADLINE).unwrap();
        publisher.fence(DEADLINE).unwrap();
        Mesh { bus, project, topics, publisher, published: Vec::new() }
    }

    fn engine(&self, name: &str) -> Replica {
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
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let link = seen.clone();
        let metrics = Metrics::new();
        let bus = Arc::new(self.bus.clone());
        let project = RunningProject::start(self.project.clone(), options, bus, &metrics, |_| Box::new(Link(link)));
        let project = project.unwrap();
        let replica = Replica { control: project.control.clone(), project, seen };
        wait_until("the engine to be a standby", || replica.role() == Role::Standby);
        replica
    }

    fn publish(&mut self, blocks: usize) {
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
    fn read(&self, topic: &Arc<str>) -> Vec<mesh_bus::Record> {
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

    fn outputs(&self) -> usize {
        self.read(&self.topics.outputs[0]).len()
    }

    fn wait_for_all(&self) {
        wait_until("every block to come out", || self.outputs() >= self.published.len());
    }

    /// The output is that of one engine that never failed, fed the recorded steps.
    fn check(&self) {
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
            }
        }
        assert_eq!(next, self.published.len(), "every block is in the log once");
        let found = self.read(&self.topics.outputs[0]);
        assert_eq!(found.len(), expected.len());
        let schema = self.project.outputs()[0].schema.clone();
        for (i, (record, expected)) in found.into_iter().zip(expected).enumerate() {
            let (header, block) = decode_block(&record.payload, &schema).unwrap();
            assert_eq!(header.sequence, i as u64 + 1, "sequences are contiguous");
            assert_eq!(block.columns, expected.block.columns, "block {i}");
        }
    }
}

#[test]
fn standby_takes_over_from_a_vanished_leader() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    for _ in 0..10 {
        mesh.publish(5);
    }
    mesh.wait_for_all();
    wait_until("b to follow", || b.project.reports.last().commit_number == a.project.reports.last().commit_number);
    drop(a); // no last commit, no step down
    b.grant(2);
    mesh.publish(7);
    mesh.wait_for_all();
    assert_eq!(b.role(), Role::Active);
    let a = mesh.engine("a"); // restarted: replays the log
    mesh.publish(3);
    mesh.wait_for_all();
    wait_until("a to catch up", || a.project.reports.last().commit_number == b.project.reports.last().commit_number);
    mesh.check();
}

#[test]
fn leader_fenced_under_load_follows_and_leads_again() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    for term in 2..12 {
        mesh.publish(40);
        let (next, last) = if term % 2 == 0 { (&b, &a) } else { (&a, &b) };
        next.grant(term);
        wait_until("the granted engine to lead", || next.role() == Role::Active);
        wait_until("the fenced one to follow", || last.role() == Role::Standby);
    }
    mesh.publish(1);
    mesh.wait_for_all();
    mesh.check();
    assert!(a.seen.lock().unwrap().progress.is_some());
}

#[test]
fn lost_commit_is_settled_by_the_log() {
    for fault in [CommitFault::UnknownCommitted, CommitFault::UnknownNotCommitted] {
        let mut mesh = Mesh::new();
        let a = mesh.engine("a");
        a.grant(1);
        wait_until("a to lead", || a.role() == Role::Active);
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.bus.fail_next_commit(&mesh.topics.log, fault);
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.check();
    }
}

#[test]
fn handover_commits_and_steps_down() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    mesh.publish(20);
    let successor = EngineId(Arc::from("b"));
    a.control.send(Control::HandOver { term: Term(1), successor: successor.clone() }).unwrap();
    wait_until("a to step down", || a.seen.lock().unwrap().stepped_down == [(Term(1), Some(successor.clone()))]);
    b.grant(2);
    mesh.wait_for_all();
    a.project.stop();
    mesh.publish(2);
    mesh.wait_for_all();
    mesh.check();
}

#[test]
fn corrupted_block_is_skipped_by_all_and_named() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    mesh.publish(2);
    let topic = mesh.topics.inputs[0].clone();
    mesh.publisher.begin(DEADLINE).unwrap();
    let payload = bytes::Bytes::from_static(b"not a block");
    mesh.publisher.send(OutRecord { topic, key: None, headers: Vec::new(), payload }, DEADLINE).unwrap();
    mesh.publisher.commit(DEADLINE).unwrap();
    mesh.publish(2);
    wait_until("the blocks around it to come out", || mesh.outputs() == 4);
    for engine in [&a, &b] {
        wait_until("the block to be named", || {
            let error = engine.project.reports.last().error;
            error.contains("host_1.sums.cq.src.I` offset 3") && error.contains("stays in the topic")
        });
    }
    wait_until("b to follow", || b.project.reports.last().commit_number == a.project.reports.last().commit_number);
}
