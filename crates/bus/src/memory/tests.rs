//! The contract on memory, and what only memory has: faults and a clock of one's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{CommitFault, MemoryBus};
use crate::contract::Harness;
use crate::{Bus, OutRecord, Polled, ReadError, ReaderOptions, StartAt, TopicSpec, WriteError, Writer, WriterOptions};

struct Memory {
    bus: MemoryBus,
    names: AtomicU64,
}

impl Harness for Memory {
    fn bus(&self) -> &dyn Bus {
        &self.bus
    }

    fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn replication_factor(&self) -> u32 {
        1
    }

    fn truncate_before(&self, topic: &str, offset: u64) {
        self.bus.truncate_before(topic, offset);
    }

    fn create_with_partitions(&self, topic: &str, partitions: u32) {
        self.bus.create_with_partitions(spec(topic), partitions);
    }

    fn lose_commit(&self, writer: &mut dyn Writer, id: &str, committed: bool) -> Result<(), WriteError> {
        let fault = if committed { CommitFault::UnknownCommitted } else { CommitFault::UnknownNotCommitted };
        self.bus.fail_next_commit(id, fault);
        writer.commit(Duration::from_secs(1))
    }

    fn timeout_slack(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn memory() -> Option<Memory> {
    Some(Memory { bus: MemoryBus::new(), names: AtomicU64::new(0) })
}

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), replication_factor: 1, settings: BTreeMap::new() }
}

crate::contract_tests!(memory);

const SECOND: Duration = Duration::from_secs(1);

/// A writer that is fenced in and has sent one record to `topic` in an open transaction.
fn open_transaction(bus: &MemoryBus, topic: &str, timeout: Duration) -> Box<dyn Writer> {
    bus.create_topic(&spec(topic), SECOND).unwrap();
    let options = WriterOptions {
        client: "test".to_owned(),
        transactional_id: "id".to_owned(),
        two_lanes: false,
        transaction_timeout: timeout,
        buffer_bytes_max: 1024,
    };
    let mut writer = bus.writer(options, SECOND).unwrap();
    writer.fence(SECOND).unwrap();
    writer.begin(SECOND).unwrap();
    let record =
        OutRecord { topic: Arc::from(topic), key: None, headers: Vec::new(), payload: bytes::Bytes::from_static(b"1") };
    writer.send(record, SECOND).unwrap();
    writer
}

fn reader_options() -> ReaderOptions {
    ReaderOptions {
        client: "test".to_owned(),
        buffer_bytes_max: 1024,
        committed_only: true,
        end_within: ReaderOptions::SOON,
    }
}

#[test]
fn a_transaction_expires_on_the_injected_clock() {
    let now = Arc::new(AtomicU64::new(1_700_000_000));
    let clock = Arc::clone(&now);
    let bus = MemoryBus::with_clock(Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed))));
    let mut writer = open_transaction(&bus, "t", 10 * SECOND);
    let end = |bus: &MemoryBus| bus.end("t", crate::EndOf::Stable, SECOND);
    now.fetch_add(9, Ordering::Relaxed);
    bus.tick();
    assert_eq!(end(&bus), Ok(0));
    now.fetch_add(1, Ordering::Relaxed);
    bus.tick();
    assert_eq!(end(&bus), Ok(2));
    assert!(matches!(writer.commit(SECOND), Err(WriteError::Fenced { .. })));
}

#[test]
fn a_commit_slower_than_its_deadline_has_an_unknown_outcome() {
    let bus = MemoryBus::new();
    let mut writer = open_transaction(&bus, "t", 60 * SECOND);
    bus.set_commit_delay(Duration::from_millis(20));
    let committed = writer.commit(Duration::from_millis(5));
    assert!(matches!(committed, Err(WriteError::Unknown { .. })), "found {committed:?}");
}

#[test]
fn a_bus_that_is_down_says_so_and_comes_back() {
    let bus = MemoryBus::new();
    let mut writer = open_transaction(&bus, "t", 60 * SECOND);
    let mut reader = bus.reader(reader_options(), &[(Arc::from("t"), StartAt::Oldest)]).unwrap();
    bus.set_unavailable(true);
    assert!(matches!(writer.commit(SECOND), Err(WriteError::Unavailable { .. })));
    let mut polled = Vec::new();
    let down = reader.poll(Duration::from_millis(5), 10, &mut polled);
    assert!(matches!(down, Err(ReadError::Unavailable { .. })));
    assert!(bus.topics("", SECOND).is_err());
    bus.set_unavailable(false);
    writer.commit(SECOND).unwrap();
    reader.poll(SECOND, 1, &mut polled).unwrap();
    assert!(matches!(&polled[..], [Polled::Record(record)] if record.offset == 0));
}
