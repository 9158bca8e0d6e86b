//! One side of a join: its rows by key, and by what they are joined on.

use std::sync::Arc;

// order-free: found by key only; matches are listed in the order of their links.
use hashbrown::HashTable;
use mesh_event::{Block, Column, Flags, Opcode, Schema};

use crate::bad::{BadEvent, BadEvents, wrong_key};
use crate::columns::RowRef;
use crate::run::{Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use crate::store::{Notes, Rows, any_null, keys};

const NONE: u32 = u32::MAX;

/// The rows with one join value, linked in the order of their arrival or last update.
struct Bucket {
    hash: u64,
    first: u32,
    last: u32,
    rows: u32,
}

#[derive(Clone, Copy)]
struct Link {
    bucket: u32,
    prev: u32,
    next: u32,
}

const UNLINKED: Link = Link { bucket: NONE, prev: NONE, next: NONE };

/// One side of a join.
pub(crate) struct Side {
    /// The fields it is joined on.
    on: Vec<usize>,
    /// `None`: its rows are not kept.
    rows: Option<Rows>,
    schema: Arc<Schema>,
    buckets: Vec<Bucket>,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// By slot of the row.
    links: Vec<Link>,
    bad: BadEvents,
}

/// The run of a side at hand.
pub(crate) struct Arrivals<'a> {
    pub block: &'a Block,
    ends: &'a [u32],
    key_hashes: Vec<u64>,
    on_hashes: Vec<u64>,
    chunk: u32,
}

impl Arrivals<'_> {
    /// Ends of the rows of each cause.
    pub(crate) fn ends(&self) -> &[u32] {
        self.ends
    }
}

/// A row of a side in the run at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SideRow {
    /// The same as long as the row is the same.
    pub id: u32,
    pub place: RowRef,
}

/// What an event changes on its side.
pub(crate) struct Change {
    row: u32,
    pub old: Option<SideRow>,
    /// Where rows are not kept: the row of the run that is the old one.
    old_at: Option<u32>,
    held: Option<u32>,
    pub new: Option<SideRow>,
    pub flags: Flags,
    pub opcode: Opcode,
}

impl Side {
    pub(crate) fn new(schema: &Arc<Schema>, on: &[usize], keeps: bool) -> Side {
        Side {
            on: on.to_vec(),
            rows: keeps.then(|| Rows::new(schema, Notes::default())),
            schema: Arc::clone(schema),
            buckets: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            links: Vec::new(),
            bad: BadEvents::default(),
        }
    }

    /// Stands for a side that is lent.
    pub(crate) fn empty(schema: &Arc<Schema>) -> Side {
        Side::new(schema, &[], false)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.rows.is_some()
    }

    /// The fields it is joined on.
    pub(crate) fn on(&self) -> &[usize] {
        &self.on
    }

    /// Takes a run; its events are applied one by one.
    pub(crate) fn open<'a>(&mut self, run: &'a Run) -> Arrivals<'a> {
        let (columns, rows) = (&run.block.columns, run.block.len());
        Arrivals {
            block: &run.block,
            ends: &run.ends,
            key_hashes: keys::hashes(columns, self.schema.keys(), if self.keeps() { rows } else { 0 }),
            on_hashes: keys::hashes(columns, &self.on, rows),
            chunk: self.rows.as_mut().map_or(0, |store| store.open(columns.clone(), rows)),
        }
    }

    /// What references name in the run at hand.
    pub(crate) fn sources<'a>(&'a self, arrivals: Option<&Arrivals<'a>>) -> Vec<&'a [Arc<Column>]> {
        match (&self.rows, arrivals) {
            (Some(rows), _) => rows.sources(),
            (None, Some(arrivals)) => vec![&arrivals.block.columns],
            (None, None) => Vec::new(),
        }
    }

    /// The rows with a join value, in order.
    pub(crate) fn matches(&mut self, value: Option<&Other<'_>>, into: &mut Vec<SideRow>) {
        into.clear();
        let Some(bucket) = value.and_then(|value| self.bucket_of(value)) else { return };
        let mut slot = self.buckets[bucket as usize].first;
        let rows = self.rows.as_mut().expect("a side with buckets keeps rows");
        while slot != NONE {
            into.push(SideRow { id: slot, place: rows.stored(slot) });
            slot = self.links[slot as usize].next;
        }
    }

    /// The bucket of each row of the other side; [`NONE`] where there is no match.
    pub(crate) fn buckets(&self, other: &Side, arrivals: &Arrivals<'_>) -> Vec<u32> {
        let columns = &arrivals.block.columns;
        let bucket = |(row, &hash): (usize, &u64)| {
            self.bucket_of(&Other { fields: &other.on, columns, row, hash }).unwrap_or(NONE)
        };
        arrivals.on_hashes.iter().enumerate().map(bucket).collect()
    }

    /// The oldest row of a bucket.
    #[inline]
    pub(crate) fn first(&self, bucket: u32) -> Option<u32> {
        self.buckets.get(bucket as usize).map(|bucket| bucket.first)
    }

    /// The next row of its bucket.
    #[inline]
    pub(crate) fn after(&self, slot: u32) -> Option<u32> {
        Some(self.links[slot as usize].next).filter(|&next| next != NONE)
    }

    /// A held row as one of [`Side::sources`].
    #[inline]
    pub(crate) fn place(&mut self, slot: u32) -> RowRef {
        self.rows.as_mut().expect("a side with buckets keeps rows").stored(slot)
    }

    /// The bucket of a join value, and how many rows it holds.
    pub(crate) fn bucket(&self, value: Option<&Other<'_>>) -> (Option<u32>, u32) {
        let bucket = value.and_then(|value| self.bucket_of(value));
        (bucket, bucket.map_or(0, |bucket| self.buckets[bucket as usize].rows))
    }

    fn bucket_of(&self, on: &Other<'_>) -> Option<u32> {
        if any_null(on.columns, on.fields, on.row) {
            return None;
        }
        let rows = self.rows.as_ref()?;
        let same = |&bucket: &u32| {
            let bucket = &self.buckets[bucket as usize];
            let (columns, row) = rows.values(bucket.first);
            bucket.hash == on.hash && keys::equal_fields((&self.on, columns, row), (on.fields, on.columns, on.row))
        };
        self.index.find(on.hash, same).copied()
    }

    /// The join value of a held row; `None` when it has a null.
    pub(crate) fn value_of(&self, slot: u32) -> Option<Other<'_>> {
        let bucket = self.links[slot as usize].bucket;
        let (columns, row) = self.rows.as_ref()?.values(slot);
        let hash = self.buckets.get(bucket as usize)?.hash;
        Some(Other { fields: &self.on, columns, row, hash })
    }

    /// The row range of a cause.
    pub(crate) fn rows_of(arrivals: &Arrivals<'_>, cause: usize) -> std::ops::Range<u32> {
        let start = if cause == 0 { 0 } else { arrivals.ends[cause - 1] };
        start..arrivals.ends[cause]
    }

    /// Number of rows that the event at a row takes: an update block takes two.
    pub(crate) fn width(arrivals: &Arrivals<'_>, row: u32, end: u32) -> u32 {
        if is_pair(arrivals.block, row, end) { 2 } else { 1 }
    }

    /// What the event at a row will change; nothing is changed yet. `None`: it is bad, or changes nothing.
    pub(crate) fn plan(&mut self, arrivals: &Arrivals<'_>, row: u32, end: u32) -> Option<Change> {
        let at = row as usize;
        let (opcode, flags) = (arrivals.block.opcodes[at], Flags(arrivals.block.flags[at].0 & !Flags::PARTIAL.0));
        let deletes = matches!(opcode, Opcode::Delete | Opcode::SafeDelete);
        let Some(rows) = &mut self.rows else {
            // What is not kept is believed: the old half of an update block, and a delete, are the old row.
            let this = |row: u32| SideRow { id: 0, place: RowRef { source: 0, row } };
            let old_at = if is_pair(arrivals.block, row, end) { Some(row + 1) } else { deletes.then_some(row) };
            let new = (!deletes).then(|| this(row));
            return Some(Change { row, old: old_at.map(this), old_at, held: None, new, flags, opcode });
        };
        let held = rows.find(arrivals.key_hashes[at], &arrivals.block.columns, at);
        let bad = match opcode {
            Opcode::Insert => held.is_some(),
            Opcode::Update | Opcode::UpdateBlock | Opcode::Delete => held.is_none(),
            Opcode::Upsert | Opcode::SafeDelete => false,
        };
        if bad {
            self.bad.add(wrong_key(opcode), arrivals.block, at);
        }
        if bad || deletes && held.is_none() {
            return None;
        }
        let old = held.map(|slot| SideRow { id: slot, place: rows.stored(slot) });
        // The id of a new key is that of its slot, which it gets when it is applied.
        let new = (!deletes).then(|| SideRow { id: held.unwrap_or(NONE), place: rows.arrival(arrivals.chunk, row) });
        Some(Change { row, old, old_at: None, held, new, flags, opcode })
    }

    /// The join value of the old row of a change that is not applied yet.
    pub(crate) fn old_value<'a>(&'a self, arrivals: &'a Arrivals<'_>, change: &Change) -> Option<Other<'a>> {
        match (change.held, change.old_at) {
            (Some(slot), _) => self.value_of(slot),
            (None, Some(row)) => Some(self.value_at(arrivals, row as usize)),
            (None, None) => None,
        }
    }

    /// The join value of the new row of a change.
    pub(crate) fn new_value<'a>(&'a self, arrivals: &'a Arrivals<'_>, change: &Change) -> Option<Other<'a>> {
        change.new.map(|_| self.value_at(arrivals, change.row as usize))
    }

    fn value_at<'a>(&'a self, arrivals: &'a Arrivals<'_>, row: usize) -> Other<'a> {
        Other { fields: &self.on, columns: &arrivals.block.columns, row, hash: arrivals.on_hashes[row] }
    }

    /// Does what was planned.
    pub(crate) fn apply(&mut self, arrivals: &Arrivals<'_>, change: &mut Change) {
        let Some(rows) = &mut self.rows else { return };
        let (row, hash) = (change.row, arrivals.on_hashes[change.row as usize]);
        match (change.held, &mut change.new) {
            (Some(slot), Some(_)) => {
                self.unlink(slot);
                self.rows.as_mut().expect("seen above").replace(slot, arrivals.chunk, row);
                self.link(slot, hash);
            }
            (Some(slot), None) => {
                self.unlink(slot);
                self.rows.as_mut().expect("seen above").remove(slot);
            }
            (None, Some(new)) => {
                let slot = rows.insert(arrivals.key_hashes[row as usize], arrivals.chunk, row);
                new.id = slot;
                self.link(slot, hash);
            }
            (None, None) => {}
        }
    }

    fn link(&mut self, slot: u32, hash: u64) {
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, UNLINKED);
        }
        let rows = self.rows.as_ref().expect("only kept rows are linked");
        let (columns, row) = rows.values(slot);
        let value = Other { fields: &self.on, columns, row, hash };
        if any_null(columns, &self.on, row) {
            self.links[slot as usize] = UNLINKED;
            return;
        }
        match self.bucket_of(&value) {
            Some(at) => {
                let bucket = &mut self.buckets[at as usize];
                self.links[slot as usize] = Link { bucket: at, prev: bucket.last, next: NONE };
                self.links[bucket.last as usize].next = slot;
                (bucket.last, bucket.rows) = (slot, bucket.rows + 1);
            }
            None => {
                let bucket = Bucket { hash, first: slot, last: slot, rows: 1 };
                let at = match self.free.pop() {
                    Some(at) => {
                        self.buckets[at as usize] = bucket;
                        at
                    }
                    None => {
                        self.buckets.push(bucket);
                        self.buckets.len() as u32 - 1
                    }
                };
                let buckets = &self.buckets;
                self.index.insert_unique(hash, at, |&at| buckets[at as usize].hash);
                self.links[slot as usize] = Link { bucket: at, prev: NONE, next: NONE };
            }
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Link { bucket: at, prev, next } = std::mem::replace(&mut self.links[slot as usize], UNLINKED);
        if at == NONE {
            return;
        }
        let bucket = &mut self.buckets[at as usize];
        bucket.rows -= 1;
        match prev {
            NONE => bucket.first = next,
            prev => self.links[prev as usize].next = next,
        }
        match next {
            NONE => bucket.last = prev,
            next => self.links[next as usize].prev = prev,
        }
        if bucket.rows == 0 {
            let found = self.index.find_entry(bucket.hash, |&other| other == at);
            match found {
                Ok(entry) => drop(entry.remove()),
                Err(_) => unreachable!("every bucket is in the index under its hash"),
            }
            self.free.push(at);
        }
    }

    pub(crate) fn settle(&mut self) {
        if let Some(rows) = &mut self.rows {
            rows.settle();
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.as_ref().map_or(0, |rows| rows.len() as u64)
    }

    pub(crate) fn bytes(&self) -> u64 {
        let index = self.links.capacity() * size_of::<Link>() + self.buckets.capacity() * size_of::<Bucket>();
        self.rows.as_ref().map_or(0, |rows| (rows.bytes() + index) as u64)
    }

    pub(crate) fn bad_events(&self) -> u64 {
        self.bad.count()
    }

    pub(crate) fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        self.bad.save(to);
        if let Some(rows) = &self.rows {
            rows.save(to);
        }
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.bad.restore(from)?;
        let Some(rows) = &mut self.rows else { return Ok(()) };
        rows.load(from)?;
        let mut next = rows.oldest();
        let mut slots = Vec::new();
        while let Some(slot) = next {
            next = rows.after(slot);
            slots.push(slot);
        }
        for slot in slots {
            let rows = self.rows.as_ref().expect("seen above");
            let (columns, row) = rows.values(slot);
            let one: Vec<Arc<Column>> =
                self.on.iter().map(|&field| Arc::new(columns[field].gather(&[row as u32]))).collect();
            let fields: Vec<usize> = (0..one.len()).collect();
            self.link(slot, keys::hashes(&one, &fields, 1)[0]);
        }
        Ok(())
    }
}

/// The join value of a row of the other side.
pub(crate) struct Other<'a> {
    fields: &'a [usize],
    columns: &'a [Arc<Column>],
    row: usize,
    hash: u64,
}
