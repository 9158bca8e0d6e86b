//! Rows by key, in the order of their insertion or last update: the opcode algebra, and every kind of retention.

use std::sync::Arc;

use mesh_event::{Column, Flags, Opcode, Schema};
use mesh_model::RetentionKind;

use super::by_time::ByTime;
use super::expiry::event_time_us;
use super::{Expiry, Notes, Rows, keys};
use crate::bad::{BadEvent, BadEvents, wrong_key};
use crate::columns::{self, RowRef};
use crate::live::Live;
use crate::ops::{Clock, Held};
use crate::run::{Emitter, Run, Unread};
use crate::state::{Damage, Reader, Writer};

/// The clock had not started when the row came.
const UNSTAMPED: i64 = i64::MAX;

/// Rows by key. With retention by time, the time noted with a row is the clock at its arrival or last update
/// ([`UNSTAMPED`] before the first tick), or the row's event time.
pub(crate) struct Table {
    expiry: Option<Expiry>,
    rows: Rows,
    bad: BadEvents,
    now: Option<i64>,
    /// With event time: newest time seen, the period it is in, and the rows by time.
    newest: Option<i64>,
    period: i64,
    by_time: ByTime,
    /// Slots that leave, while they are put in order.
    leaving: Vec<u32>,
    /// What is read of what comes out, and what the digest needs beyond it.
    pub live: Live,
    pub unread: Unread,
}

/// The run at hand.
struct Arrivals<'a> {
    columns: &'a [Arc<Column>],
    hashes: Vec<u64>,
    chunk: u32,
    clock: Clock,
}

impl Table {
    pub(crate) fn new(schema: &Arc<Schema>, expiry: Option<Expiry>) -> Table {
        let by_field = expiry.as_ref().is_some_and(|expiry| expiry.field.is_some());
        let time = expiry.as_ref().is_some_and(Expiry::is_by_time);
        Table {
            expiry,
            rows: Rows::new(schema, Notes { time, order: by_field }),
            bad: BadEvents::default(),
            now: None,
            newest: None,
            period: 0,
            by_time: ByTime::default(),
            leaving: Vec::new(),
            live: Live::all(schema),
            unread: Unread::new(),
        }
    }

    /// Applies a run; what comes out is exact: inserts of unknown keys, update blocks, deletes with the stored row.
    pub(crate) fn process(&mut self, run: Run, clock: Clock) -> Run {
        if run.block.flags.iter().any(|flags| flags.contains(Flags::PARTIAL)) {
            return self.process_partial(run, clock);
        }
        let rows = run.block.len();
        let mut out = Emitter::with_capacity(rows * 2);
        let chunk = self.rows.open(run.block.columns.clone(), rows);
        let hashes = keys::hashes(&run.block.columns, self.rows.schema().keys(), rows);
        let whole = self.rows.arrival(chunk, 0).source;
        let arrivals = Arrivals { columns: &run.block.columns, hashes, chunk, clock };
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                row += self.event(&run, &arrivals, row, end, &mut out);
            }
            out.end_cause();
        }
        self.finish(out, Some(whole))
    }

    /// Applies the event at a row; how many rows it took (an update block takes two).
    fn event(&mut self, run: &Run, arrivals: &Arrivals<'_>, row: u32, end: u32, out: &mut Emitter) -> u32 {
        let at = row as usize;
        let opcode = run.block.opcodes[at];
        let flags = run.block.flags[at];
        let old_half = opcode == Opcode::UpdateBlock && row + 1 < end && self.is_old_half(run, arrivals, at + 1);
        let held = self.find(arrivals, at);
        match (opcode, held) {
            (Opcode::Insert | Opcode::Upsert, None) => self.insert(arrivals, row, flags, out),
            (Opcode::Update | Opcode::Upsert | Opcode::UpdateBlock, Some(slot)) => {
                self.replace(slot, arrivals, row, flags, out);
            }
            (Opcode::Delete | Opcode::SafeDelete, Some(slot)) => self.remove(slot, flags, out),
            (Opcode::SafeDelete, None) => {}
            (Opcode::Insert, Some(_)) | (Opcode::Update | Opcode::Delete | Opcode::UpdateBlock, None) => {
                self.bad.add(wrong_key(opcode), &run.block, at);
            }
        }
        1 + u32::from(old_half)
    }

    /// The delete after the new half of an update block belongs to it when it has the same key.
    fn is_old_half(&self, run: &Run, arrivals: &Arrivals<'_>, row: usize) -> bool {
        run.block.opcodes[row] == Opcode::Delete
            && keys::equal(self.rows.schema().keys(), (arrivals.columns, row - 1), (arrivals.columns, row))
    }

    fn find(&self, arrivals: &Arrivals<'_>, row: usize) -> Option<u32> {
        self.rows.find(arrivals.hashes[row], arrivals.columns, row)
    }

    fn insert(&mut self, arrivals: &Arrivals<'_>, row: u32, flags: Flags, out: &mut Emitter) {
        let slot = self.rows.insert(arrivals.hashes[row as usize], arrivals.chunk, row);
        let row_ref = self.rows.arrival(arrivals.chunk, row);
        out.push(Opcode::Insert, flags, row_ref);
        self.enter(slot, arrivals, row);
        self.expire_after(slot, true, out);
    }

    fn replace(&mut self, slot: u32, arrivals: &Arrivals<'_>, row: u32, flags: Flags, out: &mut Emitter) {
        let new = self.rows.arrival(arrivals.chunk, row);
        let old = self.rows.stored(slot);
        out.push(Opcode::UpdateBlock, flags, new);
        out.push(Opcode::Delete, flags, old);
        self.rows.replace(slot, arrivals.chunk, row);
        self.enter(slot, arrivals, row);
        self.expire_after(slot, false, out);
    }

    /// Puts out a delete with the stored row and forgets it.
    fn remove(&mut self, slot: u32, flags: Flags, out: &mut Emitter) {
        let stored = self.rows.stored(slot);
        out.push(Opcode::Delete, flags, stored);
        self.rows.remove(slot);
    }

    fn by_field(&self) -> Option<usize> {
        self.expiry.as_ref().and_then(|expiry| expiry.field)
    }

    /// Gives a row its time.
    fn enter(&mut self, slot: u32, arrivals: &Arrivals<'_>, row: u32) {
        let time = match self.by_field() {
            None => arrivals.clock.get().unwrap_or(UNSTAMPED),
            Some(field) => {
                // A row without an event time is as new as the newest row before it.
                let time = event_time_us(&arrivals.columns[field], row as usize).or(self.newest).unwrap_or(i64::MIN);
                self.newest = self.newest.max(Some(time));
                self.by_time.insert(time, slot, self.rows.order(slot));
                self.by_time.forget_gone(&self.rows);
                time
            }
        };
        self.rows.set_time(slot, time);
    }

    /// What leaves because the row in `slot` came or changed: retention by count and by event time.
    fn expire_after(&mut self, slot: u32, inserted: bool, out: &mut Emitter) {
        let Some(expiry) = &mut self.expiry else { return };
        let held = self.rows.len() as u64;
        match (expiry.kind, expiry.field) {
            (RetentionKind::ByCountSliding { n }, _) if inserted && held > n => {
                let oldest = self.rows.oldest().expect("more than n rows are held");
                self.remove(oldest, Flags::RETENTION, out);
            }
            (RetentionKind::ByCountJumping { n }, _) if inserted && held > n => self.remove_all_but(Some(slot), out),
            (RetentionKind::ByTimeSliding { us }, Some(_)) => self.remove_older_than(us, out),
            (RetentionKind::ByTimeJumping { us }, Some(_)) => {
                let newest = self.newest.expect("the row in the slot has a time");
                let period = expiry.period_of(newest, us);
                if period > self.period {
                    self.period = period;
                    self.remove_all_but(Some(slot), out);
                }
            }
            (RetentionKind::ByTimeLookback { us, span_us }, Some(_)) => {
                let newest = self.newest.expect("the row in the slot has a time");
                let period = expiry.period_of(newest, us);
                if period > self.period {
                    self.period = period;
                    self.remove_older_than(span_us, out);
                }
            }
            _ => {}
        }
    }

    fn remove_all_but(&mut self, kept: Option<u32>, out: &mut Emitter) {
        let mut next = self.rows.oldest();
        while let Some(slot) = next {
            next = self.rows.after(slot);
            if Some(slot) != kept {
                self.remove(slot, Flags::RETENTION, out);
            }
        }
    }

    /// Removes the rows whose event time is `us` or more before the newest, in insertion order.
    fn remove_older_than(&mut self, us: i64, out: &mut Emitter) {
        let newest = self.newest.expect("a row has come");
        let mut old = std::mem::take(&mut self.leaving);
        while let Some((time, slot, order)) = self.by_time.oldest()
            && newest.saturating_sub(time) >= us
        {
            self.by_time.remove_oldest();
            if self.rows.is_at(slot, order) {
                old.push(slot);
            }
        }
        old.sort_unstable_by_key(|&slot| self.rows.order(slot));
        for slot in old.drain(..) {
            self.remove(slot, Flags::RETENTION, out);
        }
        self.leaving = old;
    }

    /// What leaves because of the clock.
    pub(crate) fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        if self.expiry.as_ref()?.field.is_some() {
            return None;
        }
        let clock = now.get().expect("a tick has set the clock");
        self.now = Some(clock);
        if before.get().is_none() {
            self.stamp(clock);
        }
        let jumps = self.expiry.as_mut().is_some_and(|expiry| expiry.jumps(before, now));
        let lookback = self.expiry.as_ref().and_then(Expiry::lookback_us);
        let sliding = self.expiry.as_ref().and_then(Expiry::sliding_us);
        let mut out = Emitter::default();
        if jumps && lookback.is_none() {
            self.remove_all_but(None, &mut out);
        } else if let Some(us) = lookback.filter(|_| jumps).or(sliding) {
            while let Some(oldest) = self.rows.oldest()
                && clock.saturating_sub(self.rows.time(oldest)) >= us
            {
                self.remove(oldest, Flags::RETENTION, &mut out);
            }
        }
        out.end_cause();
        (!out.is_empty()).then(|| self.finish(out, None))
    }

    /// Rows from before the clock started are as old as the clock.
    fn stamp(&mut self, clock: i64) {
        let mut next = self.rows.oldest();
        while let Some(slot) = next {
            next = self.rows.after(slot);
            self.rows.set_time(slot, self.rows.time(slot).min(clock));
        }
    }

    fn finish(&mut self, out: Emitter, whole: Option<u32>) -> Run {
        let (run, unread) = out.finish_for(self.rows.schema(), &self.rows.sources(), whole, &self.live);
        self.unread = unread;
        self.rows.settle();
        run
    }

    /// A run with partial updates: each is completed from the stored row before it is applied, so one at a time.
    fn process_partial(&mut self, run: Run, clock: Clock) -> Run {
        // Parts are joined column by column.
        let live = std::mem::replace(&mut self.live, Live::all(self.rows.schema()));
        let mut parts = Vec::new();
        let mut start = 0;
        for row in 0..run.block.len() {
            if run.block.flags[row].contains(Flags::PARTIAL) {
                if start < row {
                    parts.push(self.process(run.rows(start..row), clock));
                }
                let mut one = run.rows(row..row + 1);
                one.block.flags[0].0 &= !Flags::PARTIAL.0;
                self.complete(&mut one);
                parts.push(self.process(one, clock));
                start = row + 1;
            }
        }
        if start < run.block.len() {
            parts.push(self.process(run.rows(start..run.block.len()), clock));
        }
        self.live = live;
        Run::join(&parts)
    }

    /// Fills the nulls of a one-row run from the stored row, if there is one. A partial upsert of an unknown key keeps
    /// its nulls and becomes an insert.
    fn complete(&self, one: &mut Run) {
        let columns = &mut one.block.columns;
        let hash = keys::hashes(columns, self.rows.schema().keys(), 1)[0];
        let Some(slot) = self.rows.find(hash, columns, 0) else { return };
        let (stored, row) = self.rows.values(slot);
        for (column, stored) in columns.iter_mut().zip(stored) {
            if column.is_null(0) {
                *column = Arc::new(columns::gather(&[stored], &[RowRef { source: 0, row: row as u32 }]));
            }
        }
    }

    /// The earliest clock at which a row leaves.
    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let (expiry, oldest) = (self.expiry.as_ref()?, self.rows.oldest()?);
        match expiry.sliding_us() {
            Some(us) => self.rows.time(oldest).checked_add(us),
            None => expiry.next_jump_us(self.now),
        }
    }

    /// Events that could not be applied, since the last call.
    pub(crate) fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            rows: self.rows.len() as u64,
            bytes: (self.rows.bytes() + self.by_time.bytes()) as u64,
            bad_events: self.bad.count(),
            expression_errors: 0,
        }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        self.rows.save(to);
        to.put(&self.expiry.as_ref().map(Expiry::state));
        self.bad.save(to);
        to.put(&(self.now, self.newest, self.period));
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.rows.load(from)?;
        let expiry: Option<Option<i64>> = from.get()?;
        if expiry.is_some() != self.expiry.is_some() {
            return Err(Damage::Broken("it has a retention where the window has none, or the other way round"));
        }
        if let (Some(expiry), Some(start)) = (&mut self.expiry, expiry) {
            expiry.restore(start);
        }
        self.bad.restore(from)?;
        (self.now, self.newest, self.period) = from.get()?;
        if self.by_field().is_some() {
            if self.newest.is_none() && self.rows.len() > 0 {
                return Err(Damage::Broken("there are rows, but no event time"));
            }
            let mut next = self.rows.oldest();
            while let Some(slot) = next {
                next = self.rows.after(slot);
                self.by_time.insert(self.rows.time(slot), slot, self.rows.order(slot));
            }
        }
        Ok(())
    }
}
