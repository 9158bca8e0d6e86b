//! A reader: one consumer, each topic's partition 0 assigned to it with a queue of its own.
//!
//! Queues of their own, because rdkafka's "end of partition" does not say of which topic, and because a paused topic
//! is then simply not asked: what is read ahead of it stays, within `buffer_bytes_max`, and nothing is read twice.

use bytes::Bytes;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::context::Context;
use super::deliveries::text_of;
use crate::{EndOf, Header, Polled, ReadError, Reader, Record, StartAt};

/// Limit of asking for an end where the port gives no deadline.
const ASK_MAX: Duration = Duration::from_secs(5);

/// How often at least the client's own events (logs, errors) are looked at.
const EVENTS_EVERY: Duration = Duration::from_millis(100);

/// Limit of attempts to go on at an offset that the broker refused although it has it.
const REASSIGN_MAX: u32 = 10;

/// Woken by librdkafka when a queue is no longer empty.
#[derive(Default)]
struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    fn raise(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_beyond(&self, seen: u64, timeout: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(count, timeout, |count| *count == seen));
    }
}

/// A topic that is read.
struct Flow {
    topic: Arc<str>,
    queue: PartitionQueue<Context>,
    paused: bool,
    /// Offset that comes next, for messages and for going on after an error.
    next: u64,
    /// Returned by each poll until a seek.
    broken: Option<ReadError>,
    reassigned: u32,
}

pub(super) struct KafkaReader {
    consumer: Arc<BaseConsumer<Context>>,
    asker: Arc<Asker>,
    committed_only: bool,
    flows: Vec<Flow>,
    first: usize,
    signal: Arc<Signal>,
    events_seen: Instant,
    bus: String,
}

impl KafkaReader {
    pub(super) fn open(
        consumer: BaseConsumer<Context>,
        asker: Arc<Asker>,
        committed_only: bool,
        topics: &[(Arc<str>, StartAt)],
        bus: String,
    ) -> Result<Self, ReadError> {
        let consumer = Arc::new(consumer);
        let signal = Arc::new(Signal::default());
        let mut assignment = TopicPartitionList::with_capacity(topics.len());
        let mut starts = Vec::with_capacity(topics.len());
        for (topic, at) in topics {
            // Also the check that the topic is there. Newest is settled here, so that it means "now".
            let (low, high) = asker.ends(topic, committed_only, ASK_MAX)?;
            let (next, offset) = start(*at, low, high);
            add(&mut assignment, topic, offset);
            starts.push((next, (next < low).then(|| gone(topic, next, low))));
        }
        let failed = |error: KafkaError| ReadError::Unavailable {
            attempted: format!("opening a reader on {bus}"),
            reason: text_of(&error),
        };
        for (topic, _) in topics {
            // Now this client knows the topic too. Else its partition would be a placeholder, which is replaced, with
            // its queue, when the topic becomes known.
            consumer.fetch_metadata(Some(topic), ASK_MAX).map_err(failed)?;
        }
        consumer.assign(&assignment).map_err(failed)?;
        let mut flows = Vec::with_capacity(topics.len());
        for ((topic, _), (next, broken)) in topics.iter().zip(starts) {
            let queue = attach(&consumer, topic, &signal)?;
            flows.push(Flow { topic: Arc::clone(topic), queue, paused: false, next, broken, reassigned: 0 });
        }
        if early(&consumer) {
            // Something came before its topic had its queue. Assigning anew throws it away and fetches it again.
            consumer
                .incremental_unassign(&assignment)
                .and_then(|()| consumer.incremental_assign(&assignment))
                .map_err(failed)?;
        }
        Ok(Self { consumer, asker, committed_only, flows, first: 0, signal, events_seen: Instant::now(), bus })
    }

    fn flow(&mut self, topic: &str) -> Result<&mut Flow, ReadError> {
        self.flows
            .iter_mut()
            .find(|flow| &*flow.topic == topic)
            .ok_or_else(|| ReadError::NoTopic { topic: topic.to_owned() })
    }

    /// Takes what is ready, at most `max`.
    fn drain(&mut self, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError> {
        let (count, first, mut left) = (self.flows.len(), self.first, max);
        // Moved on even when a topic fails: it comes first some time, and its failure is reported then.
        self.first = (first + 1) % count.max(1);
        for turn in 0..count {
            let index = (first + turn) % count;
            // A fair share for each topic, and what the others leave.
            let mut share = left.div_ceil(count - turn);
            while share > 0 && !self.flows[index].paused {
                let flow = &mut self.flows[index];
                if let Some(broken) = &flow.broken {
                    return Err(broken.clone());
                }
                let polled = match flow.queue.poll(Duration::ZERO) {
                    None => break,
                    Some(Ok(message)) => {
                        let record = convert(&flow.topic, &message);
                        flow.next = record.offset + 1;
                        flow.reassigned = 0;
                        Polled::Record(record)
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => {
                        flow.next = self.consumer.context().take_end().unwrap_or(flow.next).max(flow.next);
                        Polled::End { topic: Arc::clone(&flow.topic), next_offset: flow.next }
                    }
                    Some(Err(error)) => {
                        self.failed(index, &error)?;
                        break;
                    }
                };
                into.push(polled);
                share -= 1;
                left -= 1;
            }
        }
        Ok(())
    }

    /// An error on a topic's queue: goes on, or says what the caller must know.
    fn failed(&mut self, index: usize, error: &KafkaError) -> Result<(), ReadError> {
        let flow = &self.flows[index];
        let (topic, next) = (Arc::clone(&flow.topic), flow.next);
        let unavailable = |reason: String| ReadError::Unavailable {
            attempted: format!("reading topic `{topic}` at offset {next} from {}", self.bus),
            reason,
        };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let (low, high) = self.asker.ends(&topic, false, ASK_MAX)?;
                if (low..=high).contains(&next) && flow.reassigned < REASSIGN_MAX {
                    // A leader that has just been elected may know less for a moment.
                    return self.reassign(index, Offset::Offset(offset_of(next)));
                }
                let broken = gone(&topic, next, low);
                self.flows[index].broken = Some(broken.clone());
                Err(broken)
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => {
                // Only if it is really gone; a broker that starts may not know it yet.
                if let Err(broken @ ReadError::NoTopic { .. }) = self.asker.ends(&topic, false, ASK_MAX) {
                    self.flows[index].broken = Some(broken.clone());
                    return Err(broken);
                }
                self.reassign(index, Offset::Offset(offset_of(next)))
            }
            _ => Err(unavailable(format!("{}{}", text_of(error), self.consumer.context().last_error()))),
        }
    }

    fn reassign(&mut self, index: usize, offset: Offset) -> Result<(), ReadError> {
        let flow = &mut self.flows[index];
        flow.reassigned += 1;
        let mut assignment = TopicPartitionList::with_capacity(1);
        add(&mut assignment, &flow.topic, offset);
        self.consumer
            .incremental_unassign(&assignment)
            .and_then(|()| self.consumer.incremental_assign(&assignment))
            .map_err(|error| ReadError::Unavailable {
                attempted: format!("going to {offset:?} of topic `{}` on {}", flow.topic, self.bus),
                reason: text_of(&error),
            })
    }

    /// Serves the client's own events. An error of the whole client is worth a report: nothing can come.
    fn events(&mut self) -> Result<(), ReadError> {
        self.events_seen = Instant::now();
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            let error = match event {
                Err(error) => error,
                Ok(record) => {
                    // Cannot happen while each topic has its queue; passing it by would lose it silently.
                    return Err(ReadError::Unavailable {
                        attempted: format!("reading from {}", self.bus),
                        reason: format!("offset {} of `{}` came outside of its queue", record.offset(), record.topic()),
                    });
                }
            };
            let down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
            if down || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
                return Err(ReadError::Unavailable {
                    attempted: format!("reading from {}", self.bus),
                    reason: format!("{}{}", text_of(&error), self.consumer.context().last_error()),
                });
            }
        }
        Ok(())
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, timeout: Duration, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError> {
        let (start, before) = (Instant::now(), into.len());
        loop {
            let seen = self.signal.count();
            match self.drain(max, into) {
                // What was collected before must not be lost; a broken topic says so again at the next poll.
                Err(error) if into.len() > before => tracing::debug!(%error, "reported at the next poll"),
                done => done?,
            }
            if self.events_seen.elapsed() >= EVENTS_EVERY {
                match self.events() {
                    Err(error) if into.len() > before => tracing::warn!(%error, "while records were still there"),
                    done => done?,
                }
            }
            let left = timeout.saturating_sub(start.elapsed());
            if into.len() > before || left.is_zero() {
                return Ok(());
            }
            self.signal.wait_beyond(seen, left.min(EVENTS_EVERY));
        }
    }

    fn pause(&mut self, topic: &str) -> Result<(), ReadError> {
        self.flow(topic)?.paused = true;
        Ok(())
    }

    fn resume(&mut self, topic: &str) -> Result<(), ReadError> {
        self.flow(topic)?.paused = false;
        Ok(())
    }

    fn seek(&mut self, topic: &str, to: StartAt) -> Result<(), ReadError> {
        let (low, high) = self.asker.ends(topic, self.committed_only, ASK_MAX)?;
        let index = self
            .flows
            .iter()
            .position(|flow| &*flow.topic == topic)
            .ok_or_else(|| ReadError::NoTopic { topic: topic.to_owned() })?;
        let (next, offset) = start(to, low, high);
        let flow = &mut self.flows[index];
        flow.next = next;
        flow.reassigned = 0;
        flow.broken = (next < low).then(|| gone(topic, next, low));
        if flow.broken.is_some() {
            return Ok(());
        }
        // Seeking throws away what is queued. It is refused while the topic is not being fetched (just opened, or
        // after an error): then assigning anew does the same.
        if self.consumer.seek(topic, 0, offset, ASK_MAX).is_err() {
            self.reassign(index, offset)?;
        }
        Ok(())
    }

    fn end(&mut self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        self.asker.end(topic, end, deadline)
    }
}

/// Gives a topic that is assigned a queue of its own, which wakes the reader. It stays the topic's through later assignments.
fn attach(
    consumer: &Arc<BaseConsumer<Context>>,
    topic: &str,
    signal: &Arc<Signal>,
) -> Result<PartitionQueue<Context>, ReadError> {
    let queue = consumer.split_partition_queue(topic, 0);
    let mut queue = queue.ok_or_else(|| ReadError::NoTopic { topic: topic.to_owned() })?;
    let woken = Arc::clone(signal);
    queue.set_nonempty_callback(move || woken.raise());
    Ok(queue)
}

/// Empties the client's common queue; true when it held more than events of the client itself.
fn early(consumer: &BaseConsumer<Context>) -> bool {
    let mut any = false;
    while let Some(event) = consumer.poll(Duration::ZERO) {
        any |= matches!(event, Ok(_) | Err(KafkaError::PartitionEOF(_)));
    }
    any
}

fn add(assignment: &mut TopicPartitionList, topic: &str, offset: Offset) {
    assignment
        .add_partition_offset(topic, 0, offset)
        .expect("the list is ours and the offset is one of three kinds that it takes");
}

fn offset_of(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn start(at: StartAt, low: u64, high: u64) -> (u64, Offset) {
    match at {
        StartAt::Oldest => (low, Offset::Beginning),
        StartAt::Newest => (high, Offset::Offset(offset_of(high))),
        StartAt::Offset(offset) => (offset, Offset::Offset(offset_of(offset))),
    }
}

fn gone(topic: &str, needed: u64, oldest: u64) -> ReadError {
    ReadError::Gone { topic: topic.to_owned(), needed, oldest }
}

fn convert(topic: &Arc<str>, message: &BorrowedMessage<'_>) -> Record {
    let mut headers = Vec::new();
    if let Some(theirs) = message.headers() {
        for header in theirs.iter() {
            if let (Some(key), Some(value)) = (known(header.key), header.value) {
                headers.push(Header { key, value: Bytes::copy_from_slice(value) });
            }
        }
    }
    Record {
        topic: Arc::clone(topic),
        offset: u64::try_from(message.offset()).expect("a consumed record has an offset"),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        headers,
        payload: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
    }
}

fn known(key: &str) -> Option<&'static str> {
    ["traceparent", "tracestate", "term", "sequence", "content-type"].into_iter().find(|known| *known == key)
}
