//! Rows by key, linked from the longest untouched to the youngest. No rule about what comes and goes.

use std::sync::Arc;

// order-free: found by key only; whatever is put out follows the order of the rows' links, never of the table.
use hashbrown::HashTable;
use mesh_event::{Column, Schema};

use super::chunks::{Chunks, NONE};
use super::keys;
use crate::columns::RowRef;
use crate::state::{Damage, Reader, RowBatches, Writer, save_rows};

/// A row that is held. The slots form a list from the longest untouched row to the youngest; an update makes a row the
/// youngest again ("renews its age"). Iteration follows the list, never the hash table.
struct Slot {
    /// Half of the key's hash: it finds the place in the index again, and tells most other keys from this one.
    hash: u32,
    chunk: u32,
    row: u32,
    prev: u32,
    next: u32,
}

/// What is noted with every row besides: a row costs the memory of what its owner asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notes {
    /// A time that the owner sets; 0 where it is not noted.
    pub time: bool,
    /// The number of the arrival or last update.
    pub order: bool,
}

/// Slots are made for so many rows more when there are none left: one in so many of those there are.
const GROWTH: usize = 4;

/// Rows by key.
pub(crate) struct Rows {
    schema: Arc<Schema>,
    index: HashTable<u32>,
    slots: Vec<Slot>,
    /// By slot, where they are noted.
    notes: Notes,
    times: Vec<i64>,
    orders: Vec<u64>,
    free: Vec<u32>,
    oldest: u32,
    youngest: u32,
    next_order: u64,
    chunks: Chunks,
}

/// The hash that the index goes by: it looks at the highest bits too.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Rows {
    pub(crate) fn new(schema: &Arc<Schema>, notes: Notes) -> Rows {
        Rows {
            schema: Arc::clone(schema),
            index: HashTable::new(),
            slots: Vec::new(),
            notes,
            times: Vec::new(),
            orders: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            youngest: NONE,
            next_order: 0,
            chunks: Chunks::default(),
        }
    }

    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Takes the columns of a run; none of its rows is held yet.
    pub(crate) fn open(&mut self, columns: Vec<Arc<Column>>, rows: usize) -> u32 {
        self.chunks.open(columns, rows)
    }

    /// The slot of a row's key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, columns: &[Arc<Column>], row: usize) -> Option<u32> {
        let same = |&slot: &u32| {
            let slot = &self.slots[slot as usize];
            let stored = (self.chunks.columns(slot.chunk), slot.row as usize);
            slot.hash == hash as u32 && keys::equal(self.schema.keys(), stored, (columns, row))
        };
        self.index.find(spread(hash as u32), same).copied()
    }

    /// Holds a row of an open chunk, as the youngest. Its key must be new.
    pub(crate) fn insert(&mut self, hash: u64, chunk: u32, row: u32) -> u32 {
        let new = Slot { hash: hash as u32, chunk, row, prev: NONE, next: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => self.push(new),
        };
        let slots = &self.slots;
        self.index.insert_unique(spread(hash as u32), slot, |&slot| spread(slots[slot as usize].hash));
        self.chunks.occupy(chunk, row, slot);
        self.link(slot);
        slot
    }

    fn push(&mut self, new: Slot) -> u32 {
        // Twice as many, as is usual, would leave up to half of a table's memory unused.
        let len = self.slots.len();
        if len == self.slots.capacity() {
            let more = (len / GROWTH).max(64);
            self.slots.reserve_exact(more);
            self.times.reserve_exact(if self.notes.time { more } else { 0 });
            self.orders.reserve_exact(if self.notes.order { more } else { 0 });
        }
        self.slots.push(new);
        if self.notes.time {
            self.times.push(0);
        }
        if self.notes.order {
            self.orders.push(0);
        }
        len as u32
    }

    /// Holds a row of an open chunk in the place of another with the same key, as the youngest.
    pub(crate) fn replace(&mut self, slot: u32, chunk: u32, row: u32) {
        let (old_chunk, old_row) = (self.slots[slot as usize].chunk, self.slots[slot as usize].row);
        self.chunks.release(old_chunk, old_row);
        self.unlink(slot);
        self.chunks.occupy(chunk, row, slot);
        self.slots[slot as usize].chunk = chunk;
        self.slots[slot as usize].row = row;
        self.link(slot);
    }

    /// Forgets a row. Its values stay readable, by references taken before, until [`Rows::settle`].
    pub(crate) fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let Slot { hash, chunk, row, .. } = self.slots[slot as usize];
        self.chunks.release(chunk, row);
        self.slots[slot as usize].chunk = NONE;
        match self.index.find_entry(spread(hash), |&other| other == slot) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every slot is in the index under its hash"),
        }
        self.free.push(slot);
    }

    fn link(&mut self, slot: u32) {
        let prev = self.youngest;
        if self.notes.order {
            self.orders[slot as usize] = self.next_order;
            self.next_order += 1;
        }
        let entry = &mut self.slots[slot as usize];
        (entry.prev, entry.next) = (prev, NONE);
        match prev {
            NONE => self.oldest = slot,
            prev => self.slots[prev as usize].next = slot,
        }
        self.youngest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { prev, next, .. } = self.slots[slot as usize];
        match prev {
            NONE => self.oldest = next,
            prev => self.slots[prev as usize].next = next,
        }
        match next {
            NONE => self.youngest = prev,
            next => self.slots[next as usize].prev = prev,
        }
    }

    /// The longest untouched row.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The row touched after this one.
    pub(crate) fn after(&self, slot: u32) -> Option<u32> {
        let next = self.slots[slot as usize].next;
        (next != NONE).then_some(next)
    }

    /// Rises from the longest untouched row to the youngest. It must be noted.
    pub(crate) fn order(&self, slot: u32) -> u64 {
        self.orders[slot as usize]
    }

    /// True when the row in a slot is still the one that had this order.
    pub(crate) fn is_at(&self, slot: u32, order: u64) -> bool {
        self.slots[slot as usize].chunk != NONE && self.orders[slot as usize] == order
    }

    pub(crate) fn time(&self, slot: u32) -> i64 {
        self.times.get(slot as usize).copied().unwrap_or(0)
    }

    pub(crate) fn set_time(&mut self, slot: u32, time: i64) {
        if let Some(noted) = self.times.get_mut(slot as usize) {
            *noted = time;
        }
    }

    /// The columns that hold a row, and its place in them.
    pub(crate) fn values(&self, slot: u32) -> (&[Arc<Column>], usize) {
        let slot = &self.slots[slot as usize];
        (self.chunks.columns(slot.chunk), slot.row as usize)
    }

    /// A row of an open chunk as one of [`Rows::sources`].
    #[inline]
    pub(crate) fn arrival(&mut self, chunk: u32, row: u32) -> RowRef {
        self.chunks.source_row(chunk, row)
    }

    /// A row as one of [`Rows::sources`].
    #[inline]
    pub(crate) fn stored(&mut self, slot: u32) -> RowRef {
        let Slot { chunk, row, .. } = self.slots[slot as usize];
        self.chunks.source_row(chunk, row)
    }

    /// The columns that references of this run name.
    pub(crate) fn sources(&self) -> Vec<&[Arc<Column>]> {
        self.chunks.sources()
    }

    /// Ends a run: references end, memory of dead rows is given back.
    pub(crate) fn settle(&mut self) {
        let mut moved = Vec::new();
        self.chunks.settle(&mut moved);
        for to in moved {
            let slot = &mut self.slots[to.slot as usize];
            (slot.chunk, slot.row) = (to.chunk, to.row);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let notes = self.times.capacity() * size_of::<i64>() + self.orders.capacity() * size_of::<u64>();
        let slots = self.slots.capacity() * size_of::<Slot>() + self.free.capacity() * size_of::<u32>();
        self.chunks.bytes() + self.index.allocation_size() + slots + notes
    }

    /// Saves the rows in the order of their links, then what the owner noted with each.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        // Places are looked up without `stored`, which changes the chunks: sources are numbered here.
        let mut source_of: std::collections::BTreeMap<u32, u32> = Default::default();
        let (mut sources, mut refs, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = self.oldest();
        while let Some(slot) = next {
            let Slot { chunk, row, .. } = self.slots[slot as usize];
            let source = *source_of.entry(chunk).or_insert_with(|| {
                sources.push(self.chunks.columns(chunk));
                sources.len() as u32 - 1
            });
            refs.push(RowRef { source, row });
            times.push(self.time(slot));
            next = self.after(slot);
        }
        save_rows(to, &sources, &refs, self.schema.fields().len());
        times.iter().for_each(|time| to.put(time));
    }

    /// Puts the rows of [`Rows::save`] into an empty store.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let mut batches = RowBatches::load(from)?;
        let mut slots = Vec::new();
        while let Some((columns, rows)) = batches.next(from, &self.schema)? {
            let hashes = keys::hashes(&columns, self.schema.keys(), rows);
            let chunk = self.open(columns.clone(), rows);
            for (row, &hash) in hashes.iter().enumerate() {
                if self.find(hash, &columns, row).is_some() {
                    return Err(Damage::Broken("a key stands twice"));
                }
                slots.push(self.insert(hash, chunk, row as u32));
            }
        }
        for slot in slots {
            let time = from.get()?;
            self.set_time(slot, time);
        }
        self.settle();
        Ok(())
    }
}
