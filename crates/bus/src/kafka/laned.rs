//! A writer with two transactional ids in turn: while the coordinator completes the last transaction of one, the next
//! begins on the other. Which one, and when, says [`Lanes`], which has the reasons.

use std::time::{Duration, Instant};

use mesh_replication::lanes::{FIRST, LANES, Lanes, SECOND};

use super::writer::KafkaWriter;
use crate::{Fenced, OutRecord, WriteError, Writer, WriterOptions};

/// Limit of what is done on the side; a lane that takes longer is waited for when its turn comes.
const ASIDE: Duration = Duration::from_millis(500);

pub(super) struct LanedWriter {
    lanes: [KafkaWriter; LANES],
    /// What is next; `None` until fenced in.
    order: Option<Lanes>,
    /// Lane of the transaction that is open, or of the last one.
    used: usize,
    /// The second lane did not open: one will do.
    single: bool,
}

impl LanedWriter {
    /// Options of the second lane of a writer.
    pub(super) fn second_of(options: &WriterOptions) -> WriterOptions {
        let transactional_id = format!("{}.2", options.transactional_id);
        WriterOptions { transactional_id, two_lanes: false, ..options.clone() }
    }

    pub(super) fn new(first: KafkaWriter, second: KafkaWriter) -> Self {
        Self { lanes: [first, second], order: None, used: FIRST, single: false }
    }

    fn next(&self) -> usize {
        self.order.map_or(FIRST, |order| order.next())
    }

    /// Opens the second lane once it may be.
    fn open_second(&mut self) {
        let Some(order) = self.order.as_mut().filter(|order| order.wants_second() && !self.single) else { return };
        let second = &mut self.lanes[SECOND];
        // Without a fast fence it was opened when it was to be shut.
        let opened = if second.is_usable() { Ok(()) } else { second.fence(ASIDE).map(drop) };
        match opened {
            Ok(()) => order.second_opened(),
            Err(error) => {
                // Correct with one lane, only slower; the next term tries again.
                tracing::warn!(%error, "the second lane of a writer did not open");
                self.single = true;
            }
        }
    }
}

impl Writer for LanedWriter {
    fn fence(&mut self, deadline: Duration) -> Result<Fenced, WriteError> {
        let until = Instant::now() + deadline;
        let [first, second] = &mut self.lanes;
        // What is open on the second lane is aborted meanwhile; that takes the time, and does not count for the rule.
        let fenced = std::thread::scope(|scope| {
            let early = scope.spawn(|| second.shut(deadline / 2));
            let fenced = first.fence(deadline);
            early.join().expect("a fence does not panic");
            fenced
        })?;
        let fallback = second.shut(until.saturating_duration_since(Instant::now()) / 2);
        if fallback.is_some() {
            second.fence(until.saturating_duration_since(Instant::now()))?;
        }
        self.order = Some(Lanes::fenced());
        Ok(Fenced { fallback: fenced.fallback.or(fallback) })
    }

    fn begin(&mut self, deadline: Duration) -> Result<(), WriteError> {
        if self.lanes[self.used].is_usable() {
            self.open_second();
            self.used = self.next();
        }
        self.lanes[self.used].begin(deadline)
    }

    fn send(&mut self, record: OutRecord, deadline: Duration) -> Result<(), WriteError> {
        self.lanes[self.used].send(record, deadline)
    }

    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.lanes[self.used].commit(deadline)?;
        if let Some(order) = &mut self.order {
            assert_eq!(order.next(), self.used, "a transaction is on the lane that was next when it began");
            order.committed();
        }
        Ok(())
    }

    fn abort(&mut self, deadline: Duration) -> Result<(), WriteError> {
        self.lanes[self.used].abort(deadline)
    }

    fn settle(&mut self, deadline: Duration) -> Result<bool, WriteError> {
        if !self.lanes[self.used].is_usable() {
            return self.lanes[self.used].settle(deadline);
        }
        self.open_second();
        let next = self.next();
        if next != self.used {
            self.lanes[self.used].nudge(deadline.min(ASIDE));
        }
        self.lanes[next].settle(deadline)
    }
}
