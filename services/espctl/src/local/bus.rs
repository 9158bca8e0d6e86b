//! What one process of the mesh sees of the bus. When the process dies, nothing of it reaches the bus any more: a
//! transaction that was open stays open, as with a process that was killed.

use mesh_bus::{
    AdminError, Bus, EndOf, Fenced, OutRecord, Polled, ReadError, Reader, ReaderOptions, Record, StartAt, TopicInfo,
    TopicSpec, WriteError, Writer, WriterOptions,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Where a process is when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Anywhere.
    Anywhere,
    /// Everything of a transaction is sent, its commit is not: the transaction stays open.
    BeforeCommit,
    /// The commit is done, and the process does not get to know.
    AfterCommit,
}

impl Death {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Death::Anywhere => "somewhere in its work",
            Death::BeforeCommit => "with a transaction open",
            Death::AfterCommit => "after a commit that it does not know of",
        }
    }
}

/// Called for each record that a reader of this process is given.
pub type Tap = Arc<dyn Fn(&Record) + Send + Sync>;

/// The bus as one process sees it. Clones belong to the same process.
#[derive(Clone)]
pub struct ProcessBus {
    bus: Arc<dyn Bus>,
    life: Arc<Life>,
    tap: Option<Tap>,
}

struct Life {
    dead: AtomicBool,
    trap: Mutex<Option<Death>>,
    died: watch::Sender<bool>,
}

impl Life {
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.send_replace(true);
    }

    /// True when the process was to die at this place; it is dead then.
    fn falls_into(&self, place: Death) -> bool {
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if *trap != Some(place) {
            return false;
        }
        *trap = None;
        self.die();
        true
    }
}

impl ProcessBus {
    /// A process on this bus.
    pub fn new(bus: Arc<dyn Bus>) -> ProcessBus {
        let life = Life { dead: AtomicBool::new(false), trap: Mutex::default(), died: watch::Sender::new(false) };
        ProcessBus { bus, life: Arc::new(life), tap: None }
    }

    /// Has each record told that is read.
    #[must_use]
    pub fn tapped(mut self, tap: Tap) -> ProcessBus {
        self.tap = Some(tap);
        self
    }

    /// The process will die when it comes to this place.
    pub fn set_trap(&self, place: Death) {
        if place == Death::Anywhere {
            return self.kill();
        }
        *self.life.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// The process is dead from now on.
    pub fn kill(&self) {
        self.life.die();
    }

    /// Waits until it is dead.
    pub async fn died(&self) {
        // the sender lives as long as this bus
        let _ = self.life.died.subscribe().wait_for(|dead| *dead).await;
    }

    fn read(&self, what: &str) -> Result<(), ReadError> {
        if self.life.is_dead() { Err(unread(what)) } else { Ok(()) }
    }

    fn admin(&self, what: &str) -> Result<(), AdminError> {
        if self.life.is_dead() {
            return Err(AdminError::Unavailable { attempted: what.to_owned(), reason: DEAD.to_owned() });
        }
        Ok(())
    }
}

const DEAD: &str = "the process is dead";

fn unread(what: &str) -> ReadError {
    ReadError::Unavailable { attempted: what.to_owned(), reason: DEAD.to_owned() }
}

fn unwritten(what: &str) -> WriteError {
    WriteError::Unavailable { attempted: what.to_owned(), reason: DEAD.to_owned() }
}

impl Bus for ProcessBus {
    fn name(&self) -> String {
        self.bus.name()
    }

    fn reader(&self, options: ReaderOptions, topics: &[(Arc<str>, StartAt)]) -> Result<Box<dyn Reader>, ReadError> {
        self.read("open a reader")?;
        let reader = self.bus.reader(options, topics)?;
        Ok(Box::new(ProcessReader { reader, process: self.clone() }))
    }

    fn writer(&self, options: WriterOptions, deadline: Duration) -> Result<Box<dyn Writer>, WriteError> {
        if self.life.is_dead() {
            return Err(unwritten("open a writer"));
        }
        let writer = self.bus.writer(options, deadline)?;
        Ok(Box::new(ProcessWriter { writer, life: self.life.clone() }))
    }

    fn end(&self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        self.read("ask for an end")?;
        self.bus.end(topic, end, deadline)
    }

    fn topics(&self, prefix: &str, deadline: Duration) -> Result<Vec<TopicInfo>, AdminError> {
        self.admin("list topics")?;
        self.bus.topics(prefix, deadline)
    }

    fn create_topic(&self, spec: &TopicSpec, deadline: Duration) -> Result<bool, AdminError> {
        self.admin("create a topic")?;
        self.bus.create_topic(spec, deadline)
    }

    fn delete_topic(&self, topic: &str, deadline: Duration) -> Result<bool, AdminError> {
        self.admin("delete a topic")?;
        self.bus.delete_topic(topic, deadline)
    }

    fn delete_records(&self, topic: &str, before: u64, deadline: Duration) -> Result<u64, AdminError> {
        self.admin("delete records")?;
        self.bus.delete_records(topic, before, deadline)
    }
}

struct ProcessReader {
    reader: Box<dyn Reader>,
    process: ProcessBus,
}

impl Reader for ProcessReader {
    fn poll(&mut self, timeout: Duration, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError> {
        self.process.read("read")?;
        let before = into.len();
        let polled = self.reader.poll(timeout, max, into);
        if self.process.life.is_dead() {
            into.truncate(before);
            return Err(unread("read"));
        }
        if let Some(tap) = &self.process.tap {
            for item in &into[before..] {
                if let Polled::Record(record) = item {
                    tap(record);
                }
            }
        }
        polled
    }

    fn pause(&mut self, topic: &str) -> Result<(), ReadError> {
        self.reader.pause(topic)
    }

    fn resume(&mut self, topic: &str) -> Result<(), ReadError> {
        self.reader.resume(topic)
    }

    fn seek(&mut self, topic: &str, to: StartAt) -> Result<(), ReadError> {
        self.process.read("seek")?;
        self.reader.seek(topic, to)
    }

    fn end(&mut self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        self.process.read("ask for an end")?;
        self.reader.end(topic, end, deadline)
    }
}

struct ProcessWriter {
    writer: Box<dyn Writer>,
    life: Arc<Life>,
}

impl ProcessWriter {
    fn alive(&self, what: &str) -> Result<(), WriteError> {
        if self.life.is_dead() { Err(unwritten(what)) } else { Ok(()) }
    }
}

impl Writer for ProcessWriter {
    fn fence(&mut self, deadline: Duration) -> Result<Fenced, WriteError> {
        self.alive("fence")?;
        self.writer.fence(deadline)
    }

    fn begin(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.alive("begin")?;
        self.writer.begin(deadline)
    }

    fn send(&mut self, record: OutRecord, deadline: Duration) -> Result<(), WriteError> {
        self.alive("send")?;
        self.writer.send(record, deadline)
    }

    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.alive("commit")?;
        if self.life.falls_into(Death::BeforeCommit) {
            return Err(unwritten("commit"));
        }
        self.writer.commit(deadline)?;
        if self.life.falls_into(Death::AfterCommit) {
            return Err(unwritten("hear of a commit"));
        }
        Ok(())
    }

    fn abort(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.alive("abort")?;
        self.writer.abort(deadline)
    }

    fn settle(&mut self, deadline: Duration) -> Result<bool, WriteError> {
        self.alive("settle")?;
        self.writer.settle(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_bus::MemoryBus;

    const WAIT: Duration = Duration::from_secs(5);
    const TOPIC: &str = "a.O";

    fn writer(bus: &dyn Bus) -> Box<dyn Writer> {
        let options = WriterOptions {
            client: "test".to_owned(),
            transactional_id: "a".to_owned(),
            two_lanes: false,
            transaction_timeout: WAIT * 10,
            buffer_bytes_max: 1 << 20,
        };
        let mut writer = bus.writer(options, WAIT).unwrap();
        writer.fence(WAIT).unwrap();
        writer
    }

    fn send(writer: &mut dyn Writer, text: &'static str) {
        writer.begin(WAIT).unwrap();
        let record = OutRecord { topic: TOPIC.into(), key: None, headers: Vec::new(), payload: text.into() };
        writer.send(record, WAIT).unwrap();
    }

    fn readable(bus: &dyn Bus) -> Vec<String> {
        let options = ReaderOptions {
            client: "test".to_owned(),
            buffer_bytes_max: 1 << 20,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        };
        let mut reader = bus.reader(options, &[(TOPIC.into(), StartAt::Oldest)]).unwrap();
        let mut polled = Vec::new();
        reader.poll(Duration::ZERO, 100, &mut polled).unwrap();
        let text = |item| match item {
            Polled::Record(record) => Some(String::from_utf8(record.payload.to_vec()).unwrap()),
            Polled::End { .. } => None,
        };
        polled.into_iter().filter_map(text).collect()
    }

    fn memory() -> Arc<dyn Bus> {
        let bus = MemoryBus::new();
        let spec = TopicSpec { name: TOPIC.to_owned(), replication_factor: 1, settings: Default::default() };
        bus.create_topic(&spec, WAIT).unwrap();
        Arc::new(bus)
    }

    #[test]
    fn a_process_that_dies_before_its_commit_leaves_the_transaction_open_until_it_is_fenced() {
        let bus = memory();
        let process = ProcessBus::new(bus.clone());
        let mut dying = writer(&process);
        send(dying.as_mut(), "never seen");
        process.set_trap(Death::BeforeCommit);
        assert!(dying.commit(WAIT).is_err());
        assert!(dying.abort(WAIT).is_err() && process.writer_is_refused());
        drop(dying);
        let (stable, newest) = (bus.end(TOPIC, EndOf::Stable, WAIT), bus.end(TOPIC, EndOf::Newest, WAIT));
        assert!(stable.unwrap() < newest.unwrap(), "open");
        let mut next = writer(bus.as_ref());
        send(next.as_mut(), "seen");
        next.commit(WAIT).unwrap();
        assert_eq!(readable(bus.as_ref()), ["seen"]);
    }

    #[test]
    fn a_process_that_dies_after_its_commit_has_committed() {
        let bus = memory();
        let process = ProcessBus::new(bus.clone());
        let mut dying = writer(&process);
        send(dying.as_mut(), "seen");
        process.set_trap(Death::AfterCommit);
        assert!(dying.commit(WAIT).is_err());
        assert_eq!(readable(bus.as_ref()), ["seen"]);
    }

    impl ProcessBus {
        fn writer_is_refused(&self) -> bool {
            let options = WriterOptions {
                client: "test".to_owned(),
                transactional_id: "a".to_owned(),
                two_lanes: false,
                transaction_timeout: WAIT,
                buffer_bytes_max: 1,
            };
            self.writer(options, WAIT).is_err()
        }
    }
}
