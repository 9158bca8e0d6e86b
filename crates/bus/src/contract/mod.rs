//! What every bus must do, as tests: an implementation that passes them all behaves like every other one.
//!
//! An implementation gives a [`Harness`] and writes `mesh_bus::contract_tests!(harness)` in a test module; each case
//! becomes a `#[test]`. `harness` is a function that returns `Option<impl Harness>`; with `None` the cases are skipped.
//! Preconditions: topic names from [`Harness::unique`] are used by nobody else.

#![allow(clippy::unwrap_used, reason = "these are tests, though not under cfg(test) for other implementations")]

mod fencing;
mod reading;
mod topics;
mod transactions;

pub use fencing::*;
pub use reading::*;
pub use topics::*;
pub use transactions::*;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{
    Bus, EndOf, OutRecord, Polled, Reader, ReaderOptions, Record, StartAt, TopicSpec, WriteError, Writer, WriterOptions,
};

/// Deadline of everything that should succeed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What the cases need beside the bus itself.
pub trait Harness: Sync {
    /// The bus under test.
    fn bus(&self) -> &dyn Bus;
    /// A name that nobody else uses.
    fn unique(&self, stem: &str) -> String;
    /// Copies that topics get.
    fn replication_factor(&self) -> u32;
    /// Takes away what lies below `offset`, as retention would.
    fn truncate_before(&self, topic: &str, offset: u64);
    /// Creates a topic with more than one partition, as somebody else might.
    fn create_with_partitions(&self, topic: &str, partitions: u32);
    /// Commits so that the answer is lost, if that can be arranged at once; [`unknown_commit_outcome`] tries again
    /// while the result is `Ok`. `committed` is a wish.
    fn lose_commit(&self, writer: &mut dyn Writer, transactional_id: &str, committed: bool) -> Result<(), WriteError>;
    /// Whether writers have two lanes ([`WriterOptions::two_lanes`]).
    fn two_lanes(&self) -> bool {
        false
    }
    /// How long the bus may take beyond the timeout to abort a silent writer's transaction.
    fn timeout_slack(&self) -> Duration;
}

/// Makes a `#[test]` of each case.
#[macro_export]
macro_rules! contract_tests {
    ($harness:path) => {
        $crate::contract_tests!($harness; order_and_content, ends_are_reported, newest_starts_behind_what_is_there,
            pause_and_resume_lose_nothing, seek_goes_on_elsewhere, retention_is_an_error_not_a_jump,
            deleted_or_missing_topics_are_named, several_topics_each_get_their_turn, a_lost_topic_is_reported_while_another_flows, a_poll_waits_for_a_commit,
            aborted_records_are_never_seen, open_transactions_hold_readers_back, a_large_transaction_is_atomic,
            a_missing_topic_aborts, unknown_commit_outcome, calls_out_of_order_are_refused, empty_transactions_pass,
            fenced_writer_is_refused, an_idle_fenced_writer_is_refused, two_fences_in_a_race, a_silent_writer_is_fenced,
            topics_come_and_go, two_partitions_are_refused, records_are_deleted_below_an_offset);
    };
    ($harness:path; $($case:ident),+) => {
        $(
            #[test]
            fn $case() {
                match $harness() {
                    Some(harness) => $crate::contract::$case(&harness),
                    None => eprintln!("skipped: {}", stringify!($case)),
                }
            }
        )+
    };
}

pub(crate) fn topic(harness: &dyn Harness, stem: &str) -> Arc<str> {
    let spec = TopicSpec {
        name: harness.unique(stem),
        replication_factor: harness.replication_factor(),
        settings: BTreeMap::new(),
    };
    assert_eq!(harness.bus().create_topic(&spec, LONG), Ok(true));
    Arc::from(spec.name)
}

pub(crate) fn opened(harness: &dyn Harness, id: &str) -> Box<dyn Writer> {
    opened_with(harness, id, Duration::from_secs(30))
}

pub(crate) fn opened_with(harness: &dyn Harness, id: &str, transaction_timeout: Duration) -> Box<dyn Writer> {
    let options = WriterOptions {
        client: "contract".to_owned(),
        transactional_id: id.to_owned(),
        two_lanes: harness.two_lanes(),
        transaction_timeout,
        buffer_bytes_max: 32 * 1024 * 1024,
    };
    harness.bus().writer(options, LONG).expect("a writer opens")
}

pub(crate) fn fenced_in(harness: &dyn Harness, id: &str) -> Box<dyn Writer> {
    let mut writer = opened(harness, id);
    writer.fence(LONG).expect("a new writer is fenced in");
    writer
}

pub(crate) fn record(topic: &Arc<str>, text: &str) -> OutRecord {
    OutRecord {
        topic: Arc::clone(topic),
        key: None,
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// A transaction of these records, complete at the bus.
pub(crate) fn write(writer: &mut dyn Writer, records: &[(&Arc<str>, &str)]) {
    writer.begin(LONG).expect("a transaction begins");
    for (topic, text) in records {
        writer.send(record(topic, text), LONG).expect("a record is taken");
    }
    writer.commit(LONG).expect("a transaction commits");
    assert_eq!(writer.settle(LONG), Ok(true));
}

pub(crate) fn reader_of(
    harness: &dyn Harness,
    topics: &[(&Arc<str>, StartAt)],
    committed_only: bool,
) -> Box<dyn Reader> {
    let options = ReaderOptions {
        client: "contract".to_owned(),
        buffer_bytes_max: 4 * 1024 * 1024,
        committed_only,
        end_within: ReaderOptions::SOON,
    };
    let topics: Vec<_> = topics.iter().map(|(topic, at)| (Arc::clone(topic), *at)).collect();
    harness.bus().reader(options, &topics).expect("a reader opens")
}

pub(crate) fn reader(harness: &dyn Harness, topic: &Arc<str>, at: StartAt) -> Box<dyn Reader> {
    reader_of(harness, &[(topic, at)], true)
}

pub(crate) fn text(record: &Record) -> &str {
    std::str::from_utf8(&record.payload).expect("the cases write text")
}

/// Polls until `enough`, at most 20 s.
pub(crate) fn poll_until(reader: &mut dyn Reader, mut enough: impl FnMut(&[Polled]) -> bool) -> Vec<Polled> {
    let (start, mut all) = (Instant::now(), Vec::new());
    while !enough(&all) {
        assert!(start.elapsed() < LONG, "not enough within {LONG:?}: {} items, last {:?}", all.len(), all.last());
        reader.poll(Duration::from_millis(100), 1000, &mut all).expect("polling works");
    }
    all
}

pub(crate) fn texts(polled: &[Polled]) -> Vec<&str> {
    let records = polled.iter().filter_map(|item| match item {
        Polled::Record(record) => Some(text(record)),
        Polled::End { .. } => None,
    });
    records.collect()
}

/// Everything that a committed reader may see of a topic now.
pub(crate) fn all_of(harness: &dyn Harness, topic: &Arc<str>) -> Vec<String> {
    let end_of = |which| harness.bus().end(topic, which, LONG).expect("an end is told");
    let (start, mut end) = (Instant::now(), end_of(EndOf::Stable));
    // With two lanes the last commit may be decided and not complete; one that is open stays so.
    while harness.two_lanes() && end < end_of(EndOf::Newest) && start.elapsed() < Duration::from_secs(2) {
        end = end_of(EndOf::Stable);
    }
    let mut reader = reader(harness, topic, StartAt::Oldest);
    let polled = poll_until(&mut *reader, |all| match all.last() {
        Some(Polled::End { next_offset, .. }) => *next_offset >= end,
        Some(Polled::Record(record)) => record.offset + 1 >= end,
        None => false,
    });
    texts(&polled).into_iter().map(str::to_owned).collect()
}

/// The writer must not be able to get anything through: fenced at once, or told to abort and fenced then.
pub(crate) fn assert_fenced(writer: &mut dyn Writer, result: Result<(), WriteError>) {
    match result {
        Err(WriteError::Fenced { .. }) => {}
        Err(WriteError::Aborted { .. }) => {
            let aborted = writer.abort(LONG);
            assert!(matches!(aborted, Err(WriteError::Fenced { .. })), "abort said {aborted:?}");
        }
        other => panic!("expected Fenced, found {other:?}"),
    }
    let again = writer.begin(LONG);
    assert!(matches!(again, Err(WriteError::Fenced { .. })), "begin said {again:?}");
}
