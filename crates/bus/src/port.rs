//! The port: what the mesh needs of a bus.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{AdminError, ReadError, WriteError};

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name, e.g. `traceparent`.
    pub key: &'static str,
    /// Value.
    pub value: Bytes,
}

/// A record as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Topic it was read from.
    pub topic: Arc<str>,
    /// Its offset.
    pub offset: u64,
    /// When the producer (or the broker, as the topic is set) stamped it, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Key, if it has one.
    pub key: Option<Bytes>,
    /// Headers whose names the port knows: `traceparent`, `tracestate`, `term`, `sequence`, `content-type`.
    pub headers: Vec<Header>,
    /// Content.
    pub payload: Bytes,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq)]
pub struct OutRecord {
    /// Topic; it must exist and have one partition.
    pub topic: Arc<str>,
    /// Key, if it has one (compacted topics keep the last record of a key).
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Vec<Header>,
    /// Content.
    pub payload: Bytes,
}

/// Where a reader starts in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record there is.
    Oldest,
    /// Behind the newest record that the reader may see now: open transactions that commit later are still to come.
    Newest,
    /// At this offset; [`ReadError::Gone`] when the topic no longer holds it.
    Offset(u64),
}

/// How a reader reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Name of the client, for the broker's logs and metrics.
    pub client: String,
    /// Limit of what the client library reads ahead, in bytes.
    pub buffer_bytes_max: usize,
    /// True: only committed records, in offset order, never beyond the last stable offset (always, but for tools).
    pub committed_only: bool,
    /// How soon after the end of a topic was reached its [`Polled::End`] comes, and how long at most a topic that was
    /// sought or resumed waits for its turn. Records come at once, whatever this is; on Kafka an idle reader asks the
    /// brokers as often as this, so what does not need to know is patient.
    pub end_within: Duration,
}

impl ReaderOptions {
    /// [`ReaderOptions::end_within`] of who waits for the end.
    pub const SOON: Duration = Duration::from_millis(10);
    /// [`ReaderOptions::end_within`] of who reads one topic and does not look at its end.
    pub const PATIENT: Duration = Duration::from_millis(250);
}

/// How a writer writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterOptions {
    /// Name of the client, for the broker's logs and metrics.
    pub client: String,
    /// Common id of all writers of a group: the last one that fenced may write.
    pub transactional_id: String,
    /// True: a second transactional id is taken in turn with this one, so that a transaction can begin while the last is
    /// being completed. All writers of a group must agree. See `mesh_replication::lanes`.
    pub two_lanes: bool,
    /// How long the bus leaves a transaction open whose writer is silent.
    pub transaction_timeout: Duration,
    /// Limit of what the client library holds unsent, in bytes.
    pub buffer_bytes_max: usize,
}

/// What a poll brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Polled {
    /// A record.
    Record(Record),
    /// Everything readable below `next_offset` of this topic was delivered (end of what is stable now).
    /// Reported again whenever the reader reaches the end anew.
    End {
        /// Topic.
        topic: Arc<str>,
        /// Offset that the next record will have at least.
        next_offset: u64,
    },
}

/// Which end of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOf {
    /// Offset of the oldest record there is (equals `Stable` when empty).
    Oldest,
    /// Offset that the next record will have, open transactions included (high watermark).
    Newest,
    /// Offset up to which committed readers may read now (last stable offset).
    Stable,
}

/// How a fence went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    /// `None`: the fast way. `Some(why)`: the client library alone did it, half a second slower.
    pub fallback: Option<String>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication_factor: u32,
    /// Copies in sync now, the least of all partitions.
    pub in_sync: u32,
    /// Settings that differ from the defaults of the bus.
    pub settings: BTreeMap<String, String>,
}

/// A topic to create, with one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Copies.
    pub replication_factor: u32,
    /// Settings such as `min.insync.replicas`, `retention.ms`, `cleanup.policy`.
    pub settings: BTreeMap<String, String>,
}

/// A bus. Cheap to share; every call blocks at most for its deadline.
pub trait Bus: Send + Sync + 'static {
    /// What to call it in messages, e.g. `kafka at 127.0.0.1:9092`.
    fn name(&self) -> String;

    /// Opens a reader on these topics.
    fn reader(&self, options: ReaderOptions, topics: &[(Arc<str>, StartAt)]) -> Result<Box<dyn Reader>, ReadError>;

    /// Opens a writer with its connections, ready to be fenced in; does not fence anybody. Blocks up to `deadline`
    /// for the connections; slow (client start), so never on the takeover path.
    fn writer(&self, options: WriterOptions, deadline: Duration) -> Result<Box<dyn Writer>, WriteError>;

    /// An end of a topic.
    fn end(&self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError>;

    /// Topics whose name starts with `prefix`, in order of name, without the bus's own.
    fn topics(&self, prefix: &str, deadline: Duration) -> Result<Vec<TopicInfo>, AdminError>;

    /// Creates a topic with one partition; `Ok(false)` when it is there already with one partition.
    fn create_topic(&self, spec: &TopicSpec, deadline: Duration) -> Result<bool, AdminError>;

    /// Deletes a topic; `Ok(false)` when it is not there.
    fn delete_topic(&self, topic: &str, deadline: Duration) -> Result<bool, AdminError>;

    /// Deletes the records of a topic below an offset; what is there already below it stays deleted. Returns the oldest
    /// offset afterwards. An offset beyond the end is refused.
    fn delete_records(&self, topic: &str, before: u64, deadline: Duration) -> Result<u64, AdminError>;
}

/// Reads topics in order of offset, each by itself. One thread owns it.
pub trait Reader: Send {
    /// Waits up to `timeout` for something, then takes what is ready without waiting, at most `max` items, in `into`
    /// (which is not cleared). Returns `Ok` with nothing added when the time is up.
    /// `Gone` is returned instead of a silent jump when a topic lost the next offset.
    fn poll(&mut self, timeout: Duration, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError>;

    /// Stops the flow of a topic; what the client library holds of it is not delivered until [`Reader::resume`].
    fn pause(&mut self, topic: &str) -> Result<(), ReadError>;

    /// Lets a paused topic flow again, from where it stopped.
    fn resume(&mut self, topic: &str) -> Result<(), ReadError>;

    /// Goes on at another place of a topic. Records read before are not delivered after this call.
    fn seek(&mut self, topic: &str, to: StartAt) -> Result<(), ReadError>;

    /// Asks the bus (not a cache) for an end of a topic, over the reader's own open connections.
    fn end(&mut self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError>;
}

/// Writes transactions. One thread owns it. States: opened -> fenced in -> (begin, send*, commit | abort)*.
pub trait Writer: Send {
    /// Makes this writer the only one of its transactional id: an open transaction of another writer is aborted, every
    /// other writer is fenced for good. The last caller wins, so read the log to its end afterwards.
    fn fence(&mut self, deadline: Duration) -> Result<Fenced, WriteError>;

    /// Opens a transaction. Waits until the transaction before is complete at the bus ([`Writer::settle`]).
    fn begin(&mut self, deadline: Duration) -> Result<(), WriteError>;

    /// Adds a record to the open transaction; blocks while the client library's buffer is full, up to `deadline`.
    fn send(&mut self, record: OutRecord, deadline: Duration) -> Result<(), WriteError>;

    /// Commits: when it returns `Ok`, every record is stored and will be seen by committed readers, all or none.
    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError>;

    /// Gives the open transaction up; none of its records will be seen.
    fn abort(&mut self, deadline: Duration) -> Result<(), WriteError>;

    /// Waits until the next `begin` does not wait. True when it does not (or when this bus cannot be asked: then `begin` and
    /// `send` wait by themselves). With one lane that is when the last commit is complete at the bus, which also means
    /// visible; with two the next transaction may begin before. Call it while there is nothing to commit.
    fn settle(&mut self, deadline: Duration) -> Result<bool, WriteError>;
}
