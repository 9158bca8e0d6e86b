//! What a running subscriber has done so far; read from any thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::State;

/// Counters of one subscriber. Only what is in the sink counts.
#[derive(Debug, Default)]
pub struct Progress {
    events: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    sequence: AtomicU64,
    next_offset: AtomicU64,
    sink_events: AtomicU64,
    breaches: AtomicU64,
    flushes: AtomicU64,
    rounds: AtomicU64,
    state: Mutex<State>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the subscriber is doing.
    pub state: State,
    /// Events written since the start.
    pub events: u64,
    /// Blocks written since the start.
    pub blocks: u64,
    /// Bytes written since the start.
    pub bytes: u64,
    /// Sequence of the last block in the sink.
    pub sequence: u64,
    /// Offset to read next.
    pub next_offset: u64,
    /// Events in the sink in all, also from before the start.
    pub sink_events: u64,
    /// Breaks of the sequence since the start.
    pub breaches: u64,
    /// Flushes since the start.
    pub flushes: u64,
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
            sequence: load(&self.sequence),
            next_offset: load(&self.next_offset),
            sink_events: load(&self.sink_events),
            breaches: load(&self.breaches),
            flushes: load(&self.flushes),
        }
    }

    /// What the subscriber is doing.
    pub fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sets what it is doing; for the owner of a group's member.
    pub fn set_state(&self, state: State) {
        *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    }

    pub(crate) fn flushed(&self, blocks: u64, events: u64, bytes: u64) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.sink_events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stands_at(&self, sequence: u64, next_offset: u64) {
        self.sequence.store(sequence, Ordering::Relaxed);
        self.next_offset.store(next_offset, Ordering::Relaxed);
    }

    pub(crate) fn holds(&self, events: u64) {
        self.sink_events.store(events, Ordering::Relaxed);
    }

    /// How often it has gone round: a sign of life.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    pub(crate) fn round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn breach(&self) {
        self.breaches.fetch_add(1, Ordering::Relaxed);
    }
}
