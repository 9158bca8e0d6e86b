//! One topic: its records in order of offset, which of them may be read, and what retention took away.

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Header, OutRecord, Record, TopicSpec};

/// What became of a transaction; shared by its records, so that finishing one touches no record.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

const OPEN: u8 = 0;
const COMMITTED: u8 = 1;
const ABORTED: u8 = 2;

impl Fate {
    pub(super) fn finish(&self, commit: bool) {
        // Relaxed: all accesses happen under the bus's lock.
        self.0.store(if commit { COMMITTED } else { ABORTED }, Ordering::Relaxed);
    }

    fn is(&self, fate: u8) -> bool {
        self.0.load(Ordering::Relaxed) == fate
    }
}

/// What stands at an offset.
enum Entry {
    Record {
        timestamp_ms: i64,
        key: Option<Bytes>,
        headers: Vec<Header>,
        payload: Bytes,
        fate: Arc<Fate>,
    },
    /// End of a transaction. It takes an offset as in Kafka, so offsets of records have gaps here too.
    Control,
}

/// What a reader finds when it goes on from an offset.
pub(super) enum Found {
    Record(Record),
    /// Nothing more that may be read now; go on from here.
    End(u64),
    /// The offset is outside of what the topic holds.
    Gone {
        oldest: u64,
    },
}

pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) spec: TopicSpec,
    pub(super) partitions: u32,
    oldest: u64,
    entries: VecDeque<Entry>,
    /// First offset of each open transaction.
    open: BTreeMap<u64, Arc<Fate>>,
}

impl Topic {
    pub(super) fn new(spec: TopicSpec, partitions: u32) -> Self {
        Self {
            name: Arc::from(spec.name.as_str()),
            spec,
            partitions,
            oldest: 0,
            entries: VecDeque::new(),
            open: BTreeMap::new(),
        }
    }

    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(super) fn newest(&self) -> u64 {
        self.oldest + self.entries.len() as u64
    }

    pub(super) fn stable(&self) -> u64 {
        self.open.keys().next().map_or(self.newest(), |first| (*first).max(self.oldest))
    }

    pub(super) fn append(&mut self, record: OutRecord, fate: &Arc<Fate>, timestamp_ms: i64, first: bool) {
        if first {
            self.open.insert(self.newest(), Arc::clone(fate));
        }
        self.entries.push_back(Entry::Record {
            timestamp_ms,
            key: record.key,
            headers: record.headers,
            payload: record.payload,
            fate: Arc::clone(fate),
        });
    }

    /// Writes the control record of a transaction that has just been finished.
    pub(super) fn finish(&mut self, fate: &Arc<Fate>) {
        self.open.retain(|_, open| !Arc::ptr_eq(open, fate));
        self.entries.push_back(Entry::Control);
    }

    pub(super) fn truncate_before(&mut self, offset: u64) {
        let drop = offset.clamp(self.oldest, self.newest()) - self.oldest;
        self.entries.drain(..drop as usize);
        self.oldest += drop;
    }

    /// The first readable thing at or behind `from`.
    pub(super) fn read(&self, mut from: u64, committed_only: bool) -> Found {
        if from < self.oldest || from > self.newest() {
            return Found::Gone { oldest: self.oldest };
        }
        let limit = if committed_only { self.stable() } else { self.newest() };
        while from < limit {
            match &self.entries[(from - self.oldest) as usize] {
                Entry::Record { timestamp_ms, key, headers, payload, fate }
                    if !committed_only || fate.is(COMMITTED) =>
                {
                    return Found::Record(Record {
                        topic: Arc::clone(&self.name),
                        offset: from,
                        timestamp_ms: *timestamp_ms,
                        key: key.clone(),
                        headers: headers.clone(),
                        payload: payload.clone(),
                    });
                }
                Entry::Record { fate, .. } => {
                    debug_assert!(!fate.is(OPEN), "an open record lies behind the last stable offset");
                    from += 1;
                }
                Entry::Control => from += 1,
            }
        }
        Found::End(from)
    }
}
