//! What the subscriber sees of the output topic: sequences, terms, and how long each takeover was to be felt.

use mesh_bus::Record;
use mesh_event::decode_header;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::local::bus::Tap;

/// Watches the records that the subscriber reads. Clones are the same.
#[derive(Clone, Default)]
pub struct Outputs {
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Condvar>,
}

/// What was seen so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Blocks.
    pub blocks: u64,
    /// The last block's time and term.
    last: Option<(Instant, u64)>,
    /// Terms in the order of their first block, each with the time since the last block of the term before.
    pub terms: Vec<(u64, Option<Duration>)>,
    /// Sequences.
    pub order: Order,
}

/// Counts what is wrong with a run of numbers that should go up from 1 by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    highest: u64,
    missing: BTreeSet<u64>,
    doubled: u64,
    reordered: u64,
}

impl Order {
    /// Takes the next number.
    pub fn take(&mut self, number: u64) {
        if number > self.highest {
            self.missing.extend(self.highest + 1..number);
            self.highest = number;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.doubled += 1;
        }
    }

    /// Numbers that never came.
    pub fn lost(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Numbers that came again.
    pub fn doubled(&self) -> u64 {
        self.doubled
    }

    /// Numbers that came after a higher one.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// The highest number.
    pub fn highest(&self) -> u64 {
        self.highest
    }
}

impl Outputs {
    /// The function that looks at each record of this topic.
    pub fn tap(&self, topic: String) -> Tap {
        let outputs = self.clone();
        Arc::new(move |record: &Record| {
            if *record.topic == *topic {
                outputs.take(record, Instant::now());
            }
        })
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Waits until a block of this term or a later one was seen; the time since the last block of the term before.
    pub fn wait_for_term(&self, term: u64, limit: Duration) -> Option<Duration> {
        let begin = Instant::now();
        let mut seen = self.lock();
        loop {
            if let Some((_, gap)) = seen.terms.iter().find(|(seen, _)| *seen >= term) {
                return *gap;
            }
            let left = limit.checked_sub(begin.elapsed()).filter(|left| !left.is_zero())?;
            seen = self.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take(&self, record: &Record, at: Instant) {
        let header = record.headers.iter().find(|header| header.key == "term");
        let term = header.and_then(|header| std::str::from_utf8(&header.value).ok()?.parse().ok()).unwrap_or(0);
        // a block that cannot be read stops the subscriber with an error of its own
        let sequence = decode_header(&record.payload).map_or(0, |header| header.sequence);
        let mut seen = self.lock();
        let gap = match seen.last {
            None => Some(None),
            Some((before, last)) => (last != term).then(|| Some(at.duration_since(before))),
        };
        seen.terms.extend(gap.map(|gap| (term, gap)));
        seen.last = Some((at, term));
        seen.blocks += 1;
        seen.order.take(sequence);
        drop(seen);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(numbers: &[u64]) -> (u64, u64, u64) {
        let mut order = Order::default();
        numbers.iter().for_each(|&number| order.take(number));
        (order.lost(), order.doubled(), order.reordered())
    }

    #[test]
    fn what_is_wrong_with_a_sequence_is_counted_by_kind() {
        assert_eq!(order(&[1, 2, 3]), (0, 0, 0));
        assert_eq!(order(&[1, 4]), (2, 0, 0));
        assert_eq!(order(&[1, 2, 2, 1]), (0, 2, 0));
        assert_eq!(order(&[1, 3, 2, 4]), (0, 0, 1));
        assert_eq!(order(&[2]), (1, 0, 0));
    }
}
