//! A reader: a position per topic; blocks on the bus's condition variable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::Found;
use super::state::State;
use super::{DOWN, MemoryBus, no_topic};
use crate::{EndOf, Polled, ReadError, Reader, ReaderOptions, StartAt};

struct Cursor {
    topic: Arc<str>,
    next: u64,
    paused: bool,
    /// Where the last [`Polled::End`] was reported.
    ended_at: Option<u64>,
}

pub(super) struct MemoryReader {
    bus: MemoryBus,
    committed_only: bool,
    cursors: Vec<Cursor>,
    /// Which topic comes first in the next poll, so that none starves.
    first: usize,
}

impl MemoryReader {
    pub(super) fn open(
        bus: MemoryBus,
        options: ReaderOptions,
        topics: &[(Arc<str>, StartAt)],
    ) -> Result<Self, ReadError> {
        let mut state = bus.lock();
        if state.unavailable {
            return Err(ReadError::Unavailable {
                attempted: "opening a reader on the memory bus".to_owned(),
                reason: DOWN.to_owned(),
            });
        }
        let mut cursors = Vec::with_capacity(topics.len());
        for (topic, at) in topics {
            cursors.push(Cursor {
                topic: Arc::clone(topic),
                next: bus.resolve(&state, topic, *at, options.committed_only)?,
                paused: false,
                ended_at: None,
            });
        }
        if !options.committed_only {
            state.uncommitted_readers += 1;
        }
        drop(state);
        Ok(Self { bus, committed_only: options.committed_only, cursors, first: 0 })
    }

    fn cursor(&mut self, topic: &str) -> Result<&mut Cursor, ReadError> {
        self.cursors.iter_mut().find(|c| &*c.topic == topic).ok_or_else(|| no_topic(topic))
    }

    fn collect(&mut self, state: &State, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError> {
        let (count, first, mut left) = (self.cursors.len(), self.first, max);
        // Moved on even when a topic fails: it comes first some time, and its failure is reported then.
        self.first = (first + 1) % count.max(1);
        for turn in 0..count {
            let cursor = &mut self.cursors[(first + turn) % count];
            if cursor.paused {
                continue;
            }
            let topic = state.topics.get(&cursor.topic).ok_or_else(|| no_topic(&cursor.topic))?;
            // A fair share for each topic, and what the others leave.
            let mut share = left.div_ceil(count - turn);
            while share > 0 {
                match topic.read(cursor.next, self.committed_only) {
                    Found::Record(record) => {
                        cursor.next = record.offset + 1;
                        into.push(Polled::Record(record));
                    }
                    Found::End(next) => {
                        cursor.next = next;
                        if cursor.ended_at == Some(next) {
                            break;
                        }
                        cursor.ended_at = Some(next);
                        into.push(Polled::End { topic: Arc::clone(&cursor.topic), next_offset: next });
                    }
                    Found::Gone { oldest } => {
                        return Err(ReadError::Gone { topic: cursor.topic.to_string(), needed: cursor.next, oldest });
                    }
                }
                share -= 1;
                left -= 1;
            }
        }
        Ok(())
    }
}

impl Reader for MemoryReader {
    fn poll(&mut self, timeout: Duration, max: usize, into: &mut Vec<Polled>) -> Result<(), ReadError> {
        let (bus, start, before) = (self.bus.clone(), Instant::now(), into.len());
        let mut state = bus.lock();
        loop {
            let down = state.unavailable;
            if !down {
                match self.collect(&state, max, into) {
                    // What was collected before the error must not be lost; the error comes back at the next poll.
                    Err(_) if into.len() > before => return Ok(()),
                    done => done?,
                }
            }
            let left = timeout.saturating_sub(start.elapsed());
            if into.len() > before || left.is_zero() {
                return if down {
                    Err(ReadError::Unavailable {
                        attempted: "reading from the memory bus".to_owned(),
                        reason: DOWN.to_owned(),
                    })
                } else {
                    Ok(())
                };
            }
            let expiry = state.next_expiry().map_or(left, |at| at.saturating_sub(bus.now()));
            let wait = left.min(expiry.max(Duration::from_millis(1)));
            let waited = bus.inner.changed.wait_timeout(state, wait);
            state = waited.expect("no section under the bus's lock panics").0;
            if state.expire(bus.now()) {
                bus.inner.changed.notify_all();
            }
        }
    }

    fn pause(&mut self, topic: &str) -> Result<(), ReadError> {
        self.cursor(topic)?.paused = true;
        Ok(())
    }

    fn resume(&mut self, topic: &str) -> Result<(), ReadError> {
        self.cursor(topic)?.paused = false;
        Ok(())
    }

    fn seek(&mut self, topic: &str, to: StartAt) -> Result<(), ReadError> {
        let next = self.bus.resolve(&self.bus.lock(), topic, to, self.committed_only)?;
        let cursor = self.cursor(topic)?;
        cursor.next = next;
        cursor.ended_at = None;
        Ok(())
    }

    fn end(&mut self, topic: &str, end: EndOf, _deadline: Duration) -> Result<u64, ReadError> {
        self.bus.end_of(topic, end)
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        if !self.committed_only {
            self.bus.lock().uncommitted_readers -= 1;
        }
    }
}
