//! The bus inside one process: same offsets, isolation, fencing and error decisions as Kafka, nothing stored on disk.
//!
//! One lock guards everything and one condition variable wakes blocked readers; records share their bytes.
//! As in Kafka, a writer that is dropped leaves its transaction open: it ends when another writer of the id fences,
//! or when its timeout, counted from its first record, is over (which fences the writer too).

mod log;
mod reader;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::log::Topic;
use self::reader::MemoryReader;
use self::state::State;
use self::writer::MemoryWriter;
use crate::{
    AdminError, Bus, EndOf, ReadError, Reader, ReaderOptions, StartAt, TopicInfo, TopicSpec, WriteError, Writer,
    WriterOptions,
};

/// Limit of topics, and of transactional ids, that one bus holds.
const HISTORY_MAX: usize = 100_000;

/// What time it is for a [`MemoryBus`]: the duration since the Unix epoch, never going backwards.
pub type MemoryClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the next commit of a transactional id shall do instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It commits, and the answer is lost.
    UnknownCommitted,
    /// It gets lost on its way; the transaction stays open.
    UnknownNotCommitted,
}

/// A bus inside this process. Clones share it.
#[derive(Clone)]
pub struct MemoryBus {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    clock: MemoryClock,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBus {
    /// An empty bus on the real clock.
    pub fn new() -> Self {
        let (unix, start) = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), Instant::now());
        Self::with_clock(Arc::new(move || unix + start.elapsed()))
    }

    /// An empty bus on a clock of the caller's; call [`MemoryBus::tick`] after moving it.
    pub fn with_clock(clock: MemoryClock) -> Self {
        Self { inner: Arc::new(Inner { state: Mutex::default(), changed: Condvar::new(), clock }) }
    }

    /// Ends transactions whose time is up and wakes blocked readers. Needed only with a clock of one's own.
    pub fn tick(&self) {
        drop(self.lock());
        self.inner.changed.notify_all();
    }

    /// Takes away everything below `offset`, as retention would.
    pub fn truncate_before(&self, topic: &str, offset: u64) {
        if let Some(topic) = self.lock().topics.get_mut(topic) {
            topic.truncate_before(offset);
        }
        self.inner.changed.notify_all();
    }

    /// Creates a topic of a shape that the mesh refuses, as somebody else might have done.
    pub fn create_with_partitions(&self, spec: TopicSpec, partitions: u32) {
        let topic = Topic::new(spec, partitions);
        self.lock().topics.insert(Arc::clone(&topic.name), topic);
    }

    /// Fault: what the next commit of this id does instead of answering.
    pub fn fail_next_commit(&self, transactional_id: &str, fault: CommitFault) {
        self.lock().set_fault(transactional_id, fault);
    }

    /// Fault: while true, no call is answered.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
        self.inner.changed.notify_all();
    }

    /// Fault: how long each commit takes; beyond the caller's deadline its outcome is unknown.
    pub fn set_commit_delay(&self, delay: Duration) {
        self.lock().commit_delay = delay;
    }

    fn now(&self) -> Duration {
        (self.inner.clock)()
    }

    /// The state, with transactions whose time is up ended.
    fn lock(&self) -> MutexGuard<'_, State> {
        let now = self.now();
        // A poisoned lock means that a thread panicked inside one of the short sections below: nothing can be trusted.
        let mut state = self.inner.state.lock().expect("no section under the bus's lock panics");
        if state.expire(now) {
            self.inner.changed.notify_all();
        }
        state
    }

    fn resolve(&self, state: &State, topic: &str, at: StartAt, committed_only: bool) -> Result<u64, ReadError> {
        let topic = state.topics.get(topic).ok_or_else(|| no_topic(topic))?;
        Ok(match at {
            StartAt::Oldest => topic.oldest(),
            StartAt::Newest if committed_only => topic.stable(),
            StartAt::Newest => topic.newest(),
            StartAt::Offset(offset) => offset,
        })
    }

    fn end_of(&self, topic: &str, end: EndOf) -> Result<u64, ReadError> {
        let state = self.lock();
        if state.unavailable {
            return Err(ReadError::Unavailable {
                attempted: format!("asking the memory bus for the end of topic `{topic}`"),
                reason: DOWN.to_owned(),
            });
        }
        let topic = state.topics.get(topic).ok_or_else(|| no_topic(topic))?;
        Ok(match end {
            EndOf::Oldest => topic.oldest(),
            EndOf::Newest => topic.newest(),
            EndOf::Stable => topic.stable(),
        })
    }

    fn admin(&self, attempted: impl FnOnce() -> String) -> Result<MutexGuard<'_, State>, AdminError> {
        let state = self.lock();
        if state.unavailable {
            return Err(AdminError::Unavailable { attempted: attempted(), reason: DOWN.to_owned() });
        }
        Ok(state)
    }
}

const DOWN: &str = "the memory bus is set unavailable";

fn no_topic(topic: &str) -> ReadError {
    ReadError::NoTopic { topic: topic.to_owned() }
}

impl Bus for MemoryBus {
    fn name(&self) -> String {
        "memory bus".to_owned()
    }

    fn reader(&self, options: ReaderOptions, topics: &[(Arc<str>, StartAt)]) -> Result<Box<dyn Reader>, ReadError> {
        Ok(Box::new(MemoryReader::open(self.clone(), options, topics)?))
    }

    fn writer(&self, options: WriterOptions, _deadline: Duration) -> Result<Box<dyn Writer>, WriteError> {
        if self.lock().unavailable {
            return Err(WriteError::Unavailable {
                attempted: format!("opening a writer of `{}` on the memory bus", options.transactional_id),
                reason: DOWN.to_owned(),
            });
        }
        Ok(Box::new(MemoryWriter::new(self.clone(), options)))
    }

    fn end(&self, topic: &str, end: EndOf, _deadline: Duration) -> Result<u64, ReadError> {
        self.end_of(topic, end)
    }

    fn topics(&self, prefix: &str, _deadline: Duration) -> Result<Vec<TopicInfo>, AdminError> {
        let state = self.admin(|| format!("listing topics `{prefix}*` of the memory bus"))?;
        let named = state.topics.values().filter(|t| t.name.starts_with(prefix));
        Ok(named
            .map(|t| TopicInfo {
                name: t.name.to_string(),
                partitions: t.partitions,
                replication_factor: t.spec.replication_factor,
                in_sync: t.spec.replication_factor,
                settings: t.spec.settings.clone(),
            })
            .collect())
    }

    fn create_topic(&self, spec: &TopicSpec, _deadline: Duration) -> Result<bool, AdminError> {
        let attempted = || format!("creating topic `{}` on the memory bus", spec.name);
        let mut state = self.admin(attempted)?;
        let topics: &mut BTreeMap<_, _> = &mut state.topics;
        match topics.get(spec.name.as_str()) {
            Some(topic) if topic.partitions != 1 => {
                Err(AdminError::Partitions { topic: spec.name.clone(), found: topic.partitions })
            }
            Some(_) => Ok(false),
            None if topics.len() >= HISTORY_MAX => Err(AdminError::Refused {
                attempted: attempted(),
                reason: format!("it holds {HISTORY_MAX} topics already, its limit"),
            }),
            None => {
                let topic = Topic::new(spec.clone(), 1);
                topics.insert(Arc::clone(&topic.name), topic);
                Ok(true)
            }
        }
    }

    fn delete_topic(&self, topic: &str, _deadline: Duration) -> Result<bool, AdminError> {
        let deleted = {
            let mut state = self.admin(|| format!("deleting topic `{topic}` of the memory bus"))?;
            state.topics.remove(topic).is_some()
        };
        self.inner.changed.notify_all();
        Ok(deleted)
    }

    fn delete_records(&self, topic: &str, before: u64, _deadline: Duration) -> Result<u64, AdminError> {
        let attempted = || format!("deleting the records of topic `{topic}` below {before} on the memory bus");
        let oldest = {
            let mut state = self.admin(attempted)?;
            let refused = |reason: String| AdminError::Refused { attempted: attempted(), reason };
            let found = state.topics.get_mut(topic).ok_or_else(|| refused("there is no such topic".to_owned()))?;
            if before > found.newest() {
                return Err(refused(format!("it ends at {}", found.newest())));
            }
            found.truncate_before(before);
            found.oldest()
        };
        self.inner.changed.notify_all();
        Ok(oldest)
    }
}
