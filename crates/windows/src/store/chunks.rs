//! The chunks of a table: which slots use which rows, and when a chunk goes or is rewritten.

use std::sync::Arc;

use mesh_event::Column;

use super::{MERGE_COUNT, level};
use crate::columns::{self, RowRef};

/// No slot, no chunk, no source.
pub(crate) const NONE: u32 = u32::MAX;

/// A row is given up for rewriting when its chunk has at most one live row in so many.
const SPARSE: usize = 4;

struct Chunk {
    columns: Vec<Arc<Column>>,
    /// Slot of each row; [`NONE`] for a dead row.
    slots: Vec<u32>,
    live: usize,
    /// Its number among the sources of the run at hand.
    source: u32,
}

/// Chunks by id.
#[derive(Default)]
pub(crate) struct Chunks {
    chunks: Vec<Option<Chunk>>,
    free: Vec<u32>,
    /// Ids of the small chunks of each level.
    small: [Vec<u32>; 2],
    /// Chunks that lost rows in the run at hand.
    touched: Vec<u32>,
    /// Chunks that the output of the run at hand refers to.
    sources: Vec<u32>,
}

/// Where a row went when its chunk was rewritten.
pub(crate) struct Moved {
    pub slot: u32,
    pub chunk: u32,
    pub row: u32,
}

impl Chunks {
    /// Takes the columns of a run; no row is in use yet.
    pub(crate) fn open(&mut self, columns: Vec<Arc<Column>>, rows: usize) -> u32 {
        let id = self.put(Chunk { columns, slots: vec![NONE; rows], live: 0, source: NONE });
        self.touched.push(id);
        id
    }

    fn put(&mut self, chunk: Chunk) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.chunks[id as usize] = Some(chunk);
                id
            }
            None => {
                self.chunks.push(Some(chunk));
                self.chunks.len() as u32 - 1
            }
        }
    }

    #[inline]
    fn chunk(&self, id: u32) -> &Chunk {
        self.chunks[id as usize].as_ref().expect("slots refer to chunks that exist")
    }

    #[inline]
    fn chunk_mut(&mut self, id: u32) -> &mut Chunk {
        self.chunks[id as usize].as_mut().expect("slots refer to chunks that exist")
    }

    #[inline]
    pub(crate) fn columns(&self, id: u32) -> &[Arc<Column>] {
        &self.chunk(id).columns
    }

    /// Marks a row as used by a slot.
    #[inline]
    pub(crate) fn occupy(&mut self, id: u32, row: u32, slot: u32) {
        let chunk = self.chunk_mut(id);
        chunk.slots[row as usize] = slot;
        chunk.live += 1;
    }

    /// Marks a row as dead. Its values stay readable until [`Chunks::settle`].
    #[inline]
    pub(crate) fn release(&mut self, id: u32, row: u32) {
        let chunk = self.chunk_mut(id);
        chunk.slots[row as usize] = NONE;
        chunk.live -= 1;
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// The row as one of [`Chunks::sources`].
    #[inline]
    pub(crate) fn source_row(&mut self, id: u32, row: u32) -> RowRef {
        let next = self.sources.len() as u32;
        let chunk = self.chunk_mut(id);
        if chunk.source == NONE {
            chunk.source = next;
            self.sources.push(id);
        }
        RowRef { source: self.chunk(id).source, row }
    }

    /// The columns of every chunk that [`Chunks::source_row`] was asked about in this run.
    pub(crate) fn sources(&self) -> Vec<&[Arc<Column>]> {
        self.sources.iter().map(|&id| self.columns(id)).collect()
    }

    /// Ends a run: forgets its sources, drops empty chunks, rewrites sparse ones, joins small ones.
    pub(crate) fn settle(&mut self, moved: &mut Vec<Moved>) {
        for id in std::mem::take(&mut self.sources) {
            self.chunk_mut(id).source = NONE;
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for &id in &touched {
            let (live, rows) = (self.chunk(id).live, self.chunk(id).slots.len());
            if live == 0 {
                self.drop_chunk(id);
            } else if level(rows).is_some() {
                let small = &mut self.small[level(rows).expect("checked in the condition")];
                if !small.contains(&id) {
                    small.push(id);
                }
            } else if live * SPARSE <= rows {
                let id = self.rewrite(&[id], moved);
                self.file(id);
            }
        }
        touched.clear();
        self.touched = touched;
        for level in 0..self.small.len() {
            if self.small[level].len() >= MERGE_COUNT {
                let ids = std::mem::take(&mut self.small[level]);
                let id = self.rewrite(&ids, moved);
                self.file(id);
            }
        }
    }

    /// Notes a new chunk under its level.
    fn file(&mut self, id: u32) {
        if let Some(level) = level(self.chunk(id).slots.len()) {
            self.small[level].push(id);
        }
    }

    fn drop_chunk(&mut self, id: u32) {
        let chunk = self.chunks[id as usize].take().expect("a touched chunk exists");
        if let Some(level) = level(chunk.slots.len()) {
            self.small[level].retain(|&other| other != id);
        }
        self.free.push(id);
    }

    /// Puts the live rows of some chunks into one new chunk.
    fn rewrite(&mut self, ids: &[u32], moved: &mut Vec<Moved>) -> u32 {
        let mut refs = Vec::new();
        let mut slots = Vec::new();
        for (source, &id) in ids.iter().enumerate() {
            for (row, &slot) in self.chunk(id).slots.iter().enumerate().filter(|&(_, &slot)| slot != NONE) {
                refs.push(RowRef { source: source as u32, row: row as u32 });
                slots.push(slot);
            }
        }
        let gather = |field: usize| {
            let parts: Vec<&Column> = ids.iter().map(|&id| &*self.columns(id)[field]).collect();
            Arc::new(columns::gather(&parts, &refs))
        };
        let columns = (0..self.columns(ids[0]).len()).map(gather).collect();
        for &id in ids {
            self.chunks[id as usize] = None;
            self.free.push(id);
        }
        let id = self.put(Chunk { columns, live: slots.len(), slots, source: NONE });
        let slots = self.chunk(id).slots.iter().enumerate();
        moved.extend(slots.map(|(row, &slot)| Moved { slot, chunk: id, row: row as u32 }));
        id
    }

    /// Memory of all chunks.
    pub(crate) fn bytes(&self) -> usize {
        let chunk = |chunk: &Chunk| {
            chunk.columns.iter().map(|column| columns::bytes(column)).sum::<usize>() + size_of_val(&chunk.slots[..])
        };
        self.chunks.iter().flatten().map(chunk).sum()
    }
}
