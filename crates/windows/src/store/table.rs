//! Rows by key, in the order of their insertion or last update: the opcode algebra, and every kind of retention.

use std::collections::BTreeSet;
use std::sync::Arc;

// order-free: found by key only; whatever is put out follows the order of the rows' links, never of the table.
use hashbrown::HashTable;
use mesh_event::{Column, Flags, Opcode, Schema};
use mesh_model::RetentionKind;

use super::chunks::{Chunks, NONE};
use super::expiry::event_time_us;
use super::{Expiry, keys};
use crate::columns::{self, RowRef};
use crate::ops::{Clock, Held};
use crate::run::{Emitter, Run};

/// A row that is held. The slots form a list from the longest untouched row to the youngest; an update makes a row the
/// youngest again ("renews its age"). Iteration follows the list, never the hash table.
struct Slot {
    hash: u64,
    chunk: u32,
    row: u32,
    prev: u32,
    next: u32,
    /// Clock at arrival or last update ([`UNSTAMPED`] before the first tick), or the row's event time.
    time: i64,
    /// Number of the arrival or last update.
    order: u64,
}

/// The clock had not started when the row came.
const UNSTAMPED: i64 = i64::MAX;

/// Rows by key.
pub(crate) struct Table {
    schema: Arc<Schema>,
    expiry: Option<Expiry>,
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    oldest: u32,
    youngest: u32,
    next_order: u64,
    chunks: Chunks,
    bad_events: u64,
    now: Option<i64>,
    /// With event time: newest time seen, the period it is in, and the rows by time (time, slot).
    newest: Option<i64>,
    period: i64,
    by_time: BTreeSet<(i64, u32)>,
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
        Table {
            schema: Arc::clone(schema),
            expiry,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            youngest: NONE,
            next_order: 0,
            chunks: Chunks::default(),
            bad_events: 0,
            now: None,
            newest: None,
            period: 0,
            by_time: BTreeSet::new(),
        }
    }

    /// Applies a run; what comes out is exact: inserts of unknown keys, update blocks, deletes with the stored row.
    pub(crate) fn process(&mut self, run: Run, clock: Clock) -> Run {
        if run.block.flags.iter().any(|flags| flags.contains(Flags::PARTIAL)) {
            return self.process_partial(run, clock);
        }
        let rows = run.block.len();
        let mut out = Emitter::with_capacity(rows * 2);
        let chunk = self.chunks.open(run.block.columns.clone(), rows);
        let hashes = keys::hashes(&run.block.columns, self.schema.keys(), rows);
        let whole = self.chunks.source_row(chunk, 0).source;
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
                self.bad_events += 1;
            }
        }
        1 + u32::from(old_half)
    }

    /// The delete after the new half of an update block belongs to it when it has the same key.
    fn is_old_half(&self, run: &Run, arrivals: &Arrivals<'_>, row: usize) -> bool {
        run.block.opcodes[row] == Opcode::Delete
            && keys::equal(self.schema.keys(), (arrivals.columns, row - 1), (arrivals.columns, row))
    }

    fn find(&self, arrivals: &Arrivals<'_>, row: usize) -> Option<u32> {
        self.find_key(arrivals.hashes[row], arrivals.columns, row)
    }

    fn find_key(&self, hash: u64, columns: &[Arc<Column>], row: usize) -> Option<u32> {
        let same = |&slot: &u32| {
            let slot = &self.slots[slot as usize];
            let stored = (self.chunks.columns(slot.chunk), slot.row as usize);
            slot.hash == hash && keys::equal(self.schema.keys(), stored, (columns, row))
        };
        self.index.find(hash, same).copied()
    }

    fn insert(&mut self, arrivals: &Arrivals<'_>, row: u32, flags: Flags, out: &mut Emitter) {
        let hash = arrivals.hashes[row as usize];
        let new = Slot { hash, chunk: arrivals.chunk, row, prev: NONE, next: NONE, time: 0, order: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&slot| slots[slot as usize].hash);
        self.chunks.occupy(arrivals.chunk, row, slot);
        let row_ref = self.chunks.source_row(arrivals.chunk, row);
        out.push(Opcode::Insert, flags, row_ref);
        self.enter(slot, arrivals, row);
        self.expire_after(slot, true, out);
    }

    fn replace(&mut self, slot: u32, arrivals: &Arrivals<'_>, row: u32, flags: Flags, out: &mut Emitter) {
        let new = self.chunks.source_row(arrivals.chunk, row);
        let old = self.stored(slot);
        out.push(Opcode::UpdateBlock, flags, new);
        out.push(Opcode::Delete, flags, old);
        let (chunk, old_row) = (self.slots[slot as usize].chunk, self.slots[slot as usize].row);
        self.chunks.release(chunk, old_row);
        self.unlink(slot);
        self.chunks.occupy(arrivals.chunk, row, slot);
        self.slots[slot as usize].chunk = arrivals.chunk;
        self.slots[slot as usize].row = row;
        self.enter(slot, arrivals, row);
        self.expire_after(slot, false, out);
    }

    /// Puts out a delete with the stored row and forgets it.
    fn remove(&mut self, slot: u32, flags: Flags, out: &mut Emitter) {
        let stored = self.stored(slot);
        out.push(Opcode::Delete, flags, stored);
        self.unlink(slot);
        let Slot { hash, chunk, row, .. } = self.slots[slot as usize];
        self.chunks.release(chunk, row);
        match self.index.find_entry(hash, |&other| other == slot) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every slot is in the index under its hash"),
        }
        self.free.push(slot);
    }

    fn stored(&mut self, slot: u32) -> RowRef {
        let Slot { chunk, row, .. } = self.slots[slot as usize];
        self.chunks.source_row(chunk, row)
    }

    /// Makes a row the youngest and gives it its time.
    fn enter(&mut self, slot: u32, arrivals: &Arrivals<'_>, row: u32) {
        let field = self.expiry.as_ref().and_then(|expiry| expiry.field);
        let time = match field {
            None => arrivals.clock.get().unwrap_or(UNSTAMPED),
            Some(field) => {
                // A row without an event time is as new as the newest row before it.
                let time = event_time_us(&arrivals.columns[field], row as usize).or(self.newest).unwrap_or(i64::MIN);
                self.newest = self.newest.max(Some(time));
                self.by_time.insert((time, slot));
                time
            }
        };
        let (prev, order) = (self.youngest, self.next_order);
        self.next_order += 1;
        let entry = &mut self.slots[slot as usize];
        (entry.time, entry.order, entry.prev, entry.next) = (time, order, prev, NONE);
        match prev {
            NONE => self.oldest = slot,
            prev => self.slots[prev as usize].next = slot,
        }
        self.youngest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { prev, next, time, .. } = self.slots[slot as usize];
        match prev {
            NONE => self.oldest = next,
            prev => self.slots[prev as usize].next = next,
        }
        match next {
            NONE => self.youngest = prev,
            next => self.slots[next as usize].prev = prev,
        }
        if self.expiry.as_ref().is_some_and(|expiry| expiry.field.is_some()) {
            self.by_time.remove(&(time, slot));
        }
    }

    /// What leaves because the row in `slot` came or changed: retention by count and by event time.
    fn expire_after(&mut self, slot: u32, inserted: bool, out: &mut Emitter) {
        let Some(expiry) = &mut self.expiry else { return };
        let held = self.index.len() as u64;
        match (expiry.kind, expiry.field) {
            (RetentionKind::ByCountSliding { n }, _) if inserted && held > n => {
                self.remove(self.oldest, Flags::RETENTION, out);
            }
            (RetentionKind::ByCountJumping { n }, _) if inserted && held > n => self.remove_all_but(slot, out),
            (RetentionKind::ByTimeSliding { us }, Some(_)) => self.remove_older_than(us, out),
            (RetentionKind::ByTimeJumping { us }, Some(_)) => {
                let newest = self.newest.expect("the row in the slot has a time");
                let period = expiry.period_of(newest, us);
                if period > self.period {
                    self.period = period;
                    self.remove_all_but(slot, out);
                }
            }
            _ => {}
        }
    }

    fn remove_all_but(&mut self, kept: u32, out: &mut Emitter) {
        let mut slot = self.oldest;
        while slot != NONE {
            let next = self.slots[slot as usize].next;
            if slot != kept {
                self.remove(slot, Flags::RETENTION, out);
            }
            slot = next;
        }
    }

    /// Removes the rows whose event time is `us` or more before the newest, in insertion order.
    fn remove_older_than(&mut self, us: i64, out: &mut Emitter) {
        let newest = self.newest.expect("a row has come");
        let old = self.by_time.iter().take_while(|&&(time, _)| newest.saturating_sub(time) >= us);
        let mut old: Vec<u32> = old.map(|&(_, slot)| slot).collect();
        old.sort_unstable_by_key(|&slot| self.slots[slot as usize].order);
        for slot in old {
            self.remove(slot, Flags::RETENTION, out);
        }
    }

    /// What leaves because of the clock.
    pub(crate) fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        let expiry = self.expiry.as_mut()?;
        if expiry.field.is_some() {
            return None;
        }
        let clock = now.get().expect("a tick has set the clock");
        self.now = Some(clock);
        if before.get().is_none() {
            self.slots.iter_mut().for_each(|slot| slot.time = slot.time.min(clock));
        }
        let mut out = Emitter::default();
        if expiry.jumps(before, now) {
            self.remove_all_but(NONE, &mut out);
        } else if let Some(us) = expiry.sliding_us() {
            while self.oldest != NONE && clock.saturating_sub(self.slots[self.oldest as usize].time) >= us {
                self.remove(self.oldest, Flags::RETENTION, &mut out);
            }
        }
        out.end_cause();
        (!out.is_empty()).then(|| self.finish(out, None))
    }

    fn finish(&mut self, out: Emitter, whole: Option<u32>) -> Run {
        let run = out.finish(&self.schema, &self.chunks.sources(), whole);
        let mut moved = Vec::new();
        self.chunks.settle(&mut moved);
        for to in moved {
            let slot = &mut self.slots[to.slot as usize];
            (slot.chunk, slot.row) = (to.chunk, to.row);
        }
        run
    }

    /// A run with partial updates: each is completed from the stored row before it is applied, so one at a time.
    fn process_partial(&mut self, run: Run, clock: Clock) -> Run {
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
        Run::join(&parts)
    }

    /// Fills the nulls of a one-row run from the stored row, if there is one. A partial upsert of an unknown key keeps
    /// its nulls and becomes an insert.
    fn complete(&self, one: &mut Run) {
        let columns = &mut one.block.columns;
        let hash = keys::hashes(columns, self.schema.keys(), 1)[0];
        let Some(slot) = self.find_key(hash, columns, 0) else { return };
        let slot = &self.slots[slot as usize];
        for (column, stored) in columns.iter_mut().zip(self.chunks.columns(slot.chunk)) {
            if column.is_null(0) {
                *column = Arc::new(columns::gather(&[stored], &[RowRef { source: 0, row: slot.row }]));
            }
        }
    }

    /// The earliest clock at which a row leaves.
    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let expiry = self.expiry.as_ref().filter(|_| self.oldest != NONE)?;
        match expiry.sliding_us() {
            Some(us) => self.slots[self.oldest as usize].time.checked_add(us),
            None => expiry.next_jump_us(self.now),
        }
    }

    pub(crate) fn held(&self) -> Held {
        let slots = self.slots.capacity() * (size_of::<Slot>() + size_of::<u32>());
        Held {
            rows: self.index.len() as u64,
            bytes: (self.chunks.bytes() + slots) as u64,
            bad_events: self.bad_events,
            expression_errors: 0,
        }
    }
}
