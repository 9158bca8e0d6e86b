//! Everything behind the bus's one lock: topics, the transaction coordinator, faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::log::{Fate, Topic};
use super::{CommitFault, HISTORY_MAX};
use crate::OutRecord;

/// What the coordinator knows of a transactional id.
#[derive(Default)]
struct Producer {
    epoch: u64,
    open: Option<Open>,
    fault: Option<CommitFault>,
}

/// An open transaction.
struct Open {
    fate: Arc<Fate>,
    topics: Vec<Arc<str>>,
    /// When the bus aborts it, on the bus's clock.
    expires: Duration,
}

/// Why the coordinator refused.
pub(super) enum Refusal {
    /// The epoch is old.
    Fenced,
    /// The topic is not there.
    NoTopic,
}

/// How a commit went.
pub(super) enum Committed {
    Yes,
    Unknown,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    producers: BTreeMap<String, Producer>,
    pub(super) unavailable: bool,
    pub(super) commit_delay: Duration,
    /// Readers that see records before their transaction ends: only they need to be woken by a send.
    pub(super) uncommitted_readers: usize,
}

impl State {
    /// Aborts transactions whose time is up and fences their writers, as Kafka does. True if there were any.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let mut any = false;
        for producer in self.producers.values_mut() {
            if producer.open.as_ref().is_some_and(|open| open.expires <= now) {
                producer.epoch += 1;
                end(&mut self.topics, producer, false);
                any = true;
            }
        }
        any
    }

    /// When the next open transaction's time is up.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.producers.values().filter_map(|p| p.open.as_ref().map(|o| o.expires)).min()
    }

    /// Fences all other writers of the id, aborts what they left open; the caller's epoch, or `None` when the bus
    /// holds its limit of transactional ids.
    pub(super) fn fence(&mut self, transactional_id: &str) -> Option<u64> {
        if self.producers.len() >= HISTORY_MAX && !self.producers.contains_key(transactional_id) {
            return None;
        }
        let producer = self.producers.entry(transactional_id.to_owned()).or_default();
        producer.epoch += 1;
        end(&mut self.topics, producer, false);
        Some(producer.epoch)
    }

    fn producer(&mut self, transactional_id: &str, epoch: u64) -> Result<&mut Producer, Refusal> {
        match self.producers.get_mut(transactional_id) {
            Some(producer) if producer.epoch == epoch => Ok(producer),
            _ => Err(Refusal::Fenced),
        }
    }

    /// Adds a record to the transaction, which is opened by its first record.
    pub(super) fn append(
        &mut self,
        (transactional_id, epoch): (&str, u64),
        record: OutRecord,
        now: Duration,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let Some(name) = self.topics.get(&record.topic).map(|t| Arc::clone(&t.name)) else {
            self.producer(transactional_id, epoch)?;
            return Err(Refusal::NoTopic);
        };
        let producer = self.producer(transactional_id, epoch)?;
        let open = producer.open.get_or_insert_with(|| Open {
            fate: Arc::default(),
            topics: Vec::new(),
            expires: now + timeout,
        });
        let first = !open.topics.contains(&name);
        if first {
            open.topics.push(Arc::clone(&name));
        }
        let fate = Arc::clone(&open.fate);
        let topic = self.topics.get_mut(&name).expect("looked up above under the same lock");
        topic.append(record, &fate, now.as_millis() as i64, first);
        Ok(())
    }

    /// Commits the open transaction, if a record was sent.
    pub(super) fn commit(&mut self, transactional_id: &str, epoch: u64) -> Result<Committed, Refusal> {
        let producer = self.producer(transactional_id, epoch)?;
        match producer.fault.take() {
            Some(CommitFault::UnknownNotCommitted) => Ok(Committed::Unknown),
            fault => {
                end(&mut self.topics, self.producers.get_mut(transactional_id).expect("found above"), true);
                Ok(if fault.is_some() { Committed::Unknown } else { Committed::Yes })
            }
        }
    }

    pub(super) fn abort(&mut self, transactional_id: &str, epoch: u64) -> Result<(), Refusal> {
        self.producer(transactional_id, epoch)?;
        let producer = self.producers.get_mut(transactional_id).expect("found above");
        end(&mut self.topics, producer, false);
        Ok(())
    }

    pub(super) fn set_fault(&mut self, transactional_id: &str, fault: CommitFault) {
        self.producers.entry(transactional_id.to_owned()).or_default().fault = Some(fault);
    }
}

/// Ends the open transaction of a producer, if any: its fate, and a control record in each topic.
fn end(topics: &mut BTreeMap<Arc<str>, Topic>, producer: &mut Producer, commit: bool) {
    let Some(open) = producer.open.take() else {
        return;
    };
    open.fate.finish(commit);
    for name in &open.topics {
        if let Some(topic) = topics.get_mut(name) {
            topic.finish(&open.fate);
        }
    }
}
