//! What a running publisher has done so far, for status, metrics and the demo; read from any thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::State;

/// Counters of one publisher. Only committed events count.
#[derive(Debug, Default)]
pub struct Progress {
    events: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    source_bytes: AtomicU64,
    source_events: AtomicU64,
    bad_events: AtomicU64,
    transactions: AtomicU64,
    doubts: AtomicU64,
    commit_us: AtomicU64,
    commit_us_max: AtomicU64,
    queued_bytes: AtomicU64,
    turns: AtomicU64,
    state: Mutex<State>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the publisher is doing.
    pub state: State,
    /// Events committed since the start.
    pub events: u64,
    /// Blocks committed since the start.
    pub blocks: u64,
    /// Bytes of those blocks as records.
    pub bytes: u64,
    /// Place in the source behind the last committed block.
    pub source_bytes: u64,
    /// Events of the source committed in all, also before the start.
    pub source_events: u64,
    /// Lines that could not be read and were skipped.
    pub bad_events: u64,
    /// Transactions committed since the start.
    pub transactions: u64,
    /// How often an outcome was in doubt or the writer was lost.
    pub doubts: u64,
    /// Time of all commits together.
    pub commit_time: Duration,
    /// Longest commit.
    pub commit_max: Duration,
    /// Bytes read ahead and not yet in a transaction.
    pub queued_bytes: u64,
}

impl Progress {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            state: self.state(),
            events: load(&self.events),
            blocks: load(&self.blocks),
            bytes: load(&self.bytes),
            source_bytes: load(&self.source_bytes),
            source_events: load(&self.source_events),
            bad_events: load(&self.bad_events),
            transactions: load(&self.transactions),
            doubts: load(&self.doubts),
            commit_time: Duration::from_micros(load(&self.commit_us)),
            commit_max: Duration::from_micros(load(&self.commit_us_max)),
            queued_bytes: load(&self.queued_bytes),
        }
    }

    /// What the publisher is doing.
    pub fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says what the publisher is doing now.
    pub fn set_state(&self, state: State) {
        *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    }

    /// Turns of the publishing loop; stands still when it hangs.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(crate) fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, blocks: u64, events: u64, bytes: u64) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.transactions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn commit_took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.commit_us.fetch_add(us, Ordering::Relaxed);
        self.commit_us_max.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn source_at(&self, bytes: u64, events: u64) {
        self.source_bytes.store(bytes, Ordering::Relaxed);
        self.source_events.store(events, Ordering::Relaxed);
    }

    pub(crate) fn bad(&self, events: u64) {
        self.bad_events.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn queued(&self, bytes: usize) {
        self.queued_bytes.store(bytes as u64, Ordering::Relaxed);
    }
}
