//! The contract on real brokers, and what only Kafka has.
//!
//! Needs `ESP_MESH_KAFKA=host:port,...` (`cargo xtask stack up`); without it each case says that it was skipped.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::admin::wait;
use super::{KafkaBus, KafkaOptions};
use crate::contract::Harness;
use crate::{AdminError, Bus, ReadError, TopicSpec, WriteError, Writer, WriterOptions};

const LONG: Duration = Duration::from_secs(20);

struct Kafka {
    bus: KafkaBus,
    admin: AdminClient<DefaultClientContext>,
    brokers: u32,
    two_lanes: bool,
}

/// One bus for all cases, as a process has one.
static KAFKA: LazyLock<Option<Kafka>> = LazyLock::new(|| Kafka::connect(false));

/// The same with writers of two lanes.
static TWO_LANES: LazyLock<Option<Kafka>> = LazyLock::new(|| Kafka::connect(true));

impl Kafka {
    fn connect(two_lanes: bool) -> Option<Kafka> {
        let bootstrap = std::env::var("ESP_MESH_KAFKA").ok()?;
        Some(Kafka {
            admin: ClientConfig::new().set("bootstrap.servers", &bootstrap).create().unwrap(),
            brokers: bootstrap.split(',').count() as u32,
            bus: bus(&bootstrap, ""),
            two_lanes,
        })
    }
}

fn bus(bootstrap: &str, extra: &str) -> KafkaBus {
    KafkaBus::new(KafkaOptions { bootstrap: bootstrap.to_owned(), settings: crate::parse_settings(extra).unwrap() })
        .unwrap()
}

fn kafka() -> Option<&'static Kafka> {
    KAFKA.as_ref()
}

fn kafka_with_two_lanes() -> Option<&'static Kafka> {
    TWO_LANES.as_ref()
}

impl Harness for &Kafka {
    fn bus(&self) -> &dyn Bus {
        &self.bus
    }

    fn unique(&self, stem: &str) -> String {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        format!("contract.{stem}.{time}.{}", NAMES.fetch_add(1, Ordering::Relaxed))
    }

    fn replication_factor(&self) -> u32 {
        self.brokers
    }

    fn truncate_before(&self, topic: &str, offset: u64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(offset as i64)).unwrap();
        let options = AdminOptions::new();
        let deleted = wait(self.admin.delete_records(&offsets, &options), Instant::now() + LONG, "truncating");
        deleted.unwrap().unwrap();
    }

    fn create_with_partitions(&self, topic: &str, partitions: u32) {
        let new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(1));
        let options = AdminOptions::new();
        let created = wait(self.admin.create_topics([&new], &options), Instant::now() + LONG, "creating");
        created.unwrap().unwrap().remove(0).unwrap();
        let start = Instant::now();
        while self.bus.topics(topic, LONG).unwrap().iter().all(|t| t.partitions != partitions) {
            assert!(start.elapsed() < LONG, "the topic did not appear");
        }
    }

    fn lose_commit(&self, writer: &mut dyn Writer, _id: &str, _committed: bool) -> Result<(), WriteError> {
        // Long enough for the records to be acknowledged, so that only the commit itself has no time.
        std::thread::sleep(Duration::from_millis(100));
        writer.commit(Duration::from_millis(1))
    }

    fn two_lanes(&self) -> bool {
        self.two_lanes
    }

    fn timeout_slack(&self) -> Duration {
        // The brokers look for timed out transactions every 10 s.
        Duration::from_secs(30)
    }
}

crate::contract_tests!(kafka);

fn writer_options(id: &str) -> WriterOptions {
    WriterOptions {
        client: "test".to_owned(),
        transactional_id: id.to_owned(),
        two_lanes: false,
        transaction_timeout: Duration::from_secs(10),
        buffer_bytes_max: 1024 * 1024,
    }
}

/// An address on which nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_broker_that_does_not_answer_is_named_within_the_deadline() {
    let address = nowhere();
    let bus = bus(&address, "");
    let deadline = Duration::from_millis(700);
    let texts = [
        bus.topics("x", deadline).unwrap_err().to_string(),
        bus.end("x", crate::EndOf::Newest, deadline).unwrap_err().to_string(),
        bus.writer(writer_options("x"), deadline).err().unwrap().to_string(),
        bus.delete_topic("x", deadline).unwrap_err().to_string(),
    ];
    let start = Instant::now();
    let spec = TopicSpec { name: "x".to_owned(), replication_factor: 1, settings: BTreeMap::new() };
    let created = bus.create_topic(&spec, deadline);
    assert!(matches!(created, Err(AdminError::Unavailable { .. })), "found {created:?}");
    assert!(start.elapsed() < 3 * deadline, "took {:?}", start.elapsed());
    for text in texts {
        assert!(text.contains(&address), "{text}");
    }
}

#[test]
fn a_wrong_setting_is_named() {
    let created = KafkaBus::new(KafkaOptions {
        bootstrap: nowhere(),
        settings: BTreeMap::from([("lingre.ms".to_owned(), "5".to_owned())]),
    });
    let text = created.err().map(|error| error.to_string()).unwrap();
    assert!(text.contains("lingre.ms"), "{text}");
}

#[test]
fn too_many_copies_are_refused_with_the_number_of_brokers() {
    let Some(kafka) = kafka() else {
        return eprintln!("skipped: no ESP_MESH_KAFKA");
    };
    let spec =
        TopicSpec { name: kafka.unique("copies"), replication_factor: kafka.brokers + 2, settings: BTreeMap::new() };
    let text = kafka.bus.create_topic(&spec, LONG).unwrap_err().to_string();
    let expected = format!("replication factor {} but {} broker", kafka.brokers + 2, kafka.brokers);
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_wrong_topic_setting_is_refused() {
    let Some(kafka) = kafka() else {
        return eprintln!("skipped: no ESP_MESH_KAFKA");
    };
    let spec = TopicSpec {
        name: kafka.unique("settings"),
        replication_factor: 1,
        settings: BTreeMap::from([("retention.ms".to_owned(), "soon".to_owned())]),
    };
    let text = kafka.bus.create_topic(&spec, LONG).unwrap_err().to_string();
    assert!(text.contains("retention.ms"), "{text}");
}

#[test]
fn a_topic_deleted_under_a_reader_is_named() {
    let Some(kafka) = kafka() else {
        return eprintln!("skipped: no ESP_MESH_KAFKA");
    };
    let topic = crate::contract::topic(&kafka, "deleted");
    let mut reader = crate::contract::reader(&kafka, &topic, crate::StartAt::Oldest);
    crate::contract::poll_until(&mut *reader, |all| !all.is_empty());
    assert_eq!(kafka.bus.delete_topic(&topic, LONG), Ok(true));
    let (start, mut polled) = (Instant::now(), Vec::new());
    let error = loop {
        assert!(start.elapsed() < LONG, "the reader did not notice");
        if let Err(error) = reader.poll(Duration::from_millis(100), 10, &mut polled) {
            break error;
        }
    };
    let expected = ReadError::NoTopic { topic: topic.to_string() };
    assert_eq!(error, expected);
}

#[test]
fn without_the_plain_connection_librdkafka_fences_alone_and_says_so() {
    let Some(kafka) = kafka() else {
        return eprintln!("skipped: no ESP_MESH_KAFKA");
    };
    let topic = crate::contract::topic(&kafka, "fallback");
    let id = kafka.unique("fallback");
    let mut old = crate::contract::fenced_in(&kafka, &id);
    old.begin(LONG).unwrap();
    old.send(crate::contract::record(&topic, "never"), LONG).unwrap();
    let mut new = kafka.bus.open_writer(writer_options(&id), LONG, Err("switched off".to_owned())).unwrap();
    assert_eq!(new.fence(LONG).unwrap().fallback.as_deref(), Some("switched off"));
    crate::contract::write(&mut *new, &[(&topic, "1")]);
    let committed = old.commit(LONG);
    crate::contract::assert_fenced(&mut *old, committed);
    crate::contract::write(&mut *new, &[(&topic, "2")]);
    assert_eq!(crate::contract::all_of(&kafka, &topic), ["1", "2"]);
}

/// Writers with two lanes keep the contract too, as far as it is about writers.
mod two_lanes {
    use super::*;
    use crate::contract::{all_of, assert_fenced, fenced_in, record, topic, write};

    crate::contract_tests!(super::kafka_with_two_lanes; order_and_content, aborted_records_are_never_seen,
        open_transactions_hold_readers_back, a_large_transaction_is_atomic, a_missing_topic_aborts,
        unknown_commit_outcome, calls_out_of_order_are_refused, empty_transactions_pass, fenced_writer_is_refused,
        an_idle_fenced_writer_is_refused, two_fences_in_a_race, a_silent_writer_is_fenced);

    /// Whatever the old writer was at with its lanes, a new one shuts it out of both.
    #[test]
    fn a_new_writer_fences_both_lanes() {
        let Some(kafka) = kafka_with_two_lanes() else {
            return eprintln!("skipped: no ESP_MESH_KAFKA");
        };
        for commits in 1..=5 {
            for open in [true, false] {
                let (topic, id) = (topic(&kafka, "lanes"), kafka.unique("lanes"));
                let mut old = fenced_in(&kafka, &id);
                let mut expected: Vec<String> = (0..commits).map(|number| format!("old {number}")).collect();
                for text in &expected {
                    write(&mut *old, &[(&topic, text)]);
                }
                if open {
                    old.begin(LONG).unwrap();
                    old.send(record(&topic, "never"), LONG).unwrap();
                }
                let mut new = fenced_in(&kafka, &id);
                for number in 0..2 {
                    write(&mut *new, &[(&topic, &format!("new {number}"))]);
                    expected.push(format!("new {number}"));
                }
                let begun = if open { Ok(()) } else { old.begin(LONG) };
                let sent = begun.and_then(|()| old.send(record(&topic, "nor this"), LONG));
                let committed = sent.and_then(|()| old.commit(LONG));
                assert_fenced(&mut *old, committed);
                assert_eq!(all_of(&kafka, &topic), expected, "after {commits} commits, open: {open}");
            }
        }
    }

    /// Without the fast fence the second lane is opened when it is to be shut, and still is not used first.
    #[test]
    fn without_the_plain_connection_both_lanes_are_fenced_by_librdkafka() {
        let Some(kafka) = kafka_with_two_lanes() else {
            return eprintln!("skipped: no ESP_MESH_KAFKA");
        };
        let (topic, id) = (topic(&kafka, "slow"), kafka.unique("slow"));
        let mut old = fenced_in(&kafka, &id);
        for text in ["1", "2", "3"] {
            write(&mut *old, &[(&topic, text)]);
        }
        old.begin(LONG).unwrap();
        old.send(record(&topic, "never"), LONG).unwrap();
        let options = WriterOptions { two_lanes: true, ..writer_options(&id) };
        let mut new = kafka.bus.open_writer(options, LONG, Err("switched off".to_owned())).unwrap();
        assert_eq!(new.fence(LONG).unwrap().fallback.as_deref(), Some("switched off"));
        for text in ["4", "5", "6"] {
            write(&mut *new, &[(&topic, text)]);
        }
        let committed = old.commit(LONG);
        assert_fenced(&mut *old, committed);
        assert_eq!(all_of(&kafka, &topic), ["1", "2", "3", "4", "5", "6"]);
    }
}
