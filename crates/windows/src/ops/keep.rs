//! Keep: the work of copy windows, and of source windows after their events are checked. Rows are held, leave by
//! retention, and the opcode algebra is applied.

use super::{Clock, Held, Operator};
use crate::bad::BadEvent;
use crate::live::Live;
use crate::run::{Run, Unread};
use crate::state::{Damage, Reader, Writer};
use crate::store::{Queue, Table};

/// Keeps rows whose keys never repeat.
pub(crate) struct KeepQueue(pub(crate) Queue);

/// Keeps rows by key.
pub(crate) struct KeepTable(pub(crate) Table);

impl Operator for KeepQueue {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        self.0.process(run, clock)
    }

    fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        self.0.tick(before, now)
    }

    fn deadline_us(&self) -> Option<i64> {
        self.0.deadline_us()
    }

    fn set_live(&mut self, live: Live) {
        self.0.live = live;
    }

    fn take_unread(&mut self) -> Unread {
        std::mem::take(&mut self.0.unread)
    }

    fn held(&self) -> Held {
        self.0.held()
    }

    fn kind(&self) -> &'static str {
        "queue"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.0.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.0.restore(from)
    }
}

impl Operator for KeepTable {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        self.0.process(run, clock)
    }

    fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        self.0.tick(before, now)
    }

    fn deadline_us(&self) -> Option<i64> {
        self.0.deadline_us()
    }

    fn set_live(&mut self, live: Live) {
        self.0.live = live;
    }

    fn take_unread(&mut self) -> Unread {
        std::mem::take(&mut self.0.unread)
    }

    fn held(&self) -> Held {
        self.0.held()
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.0.take_bad_events()
    }

    fn kind(&self) -> &'static str {
        "table"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.0.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.0.restore(from)
    }
}
