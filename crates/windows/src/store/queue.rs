//! Rows in the order of their arrival, that leave oldest first. No index.

use std::collections::VecDeque;
use std::sync::Arc;

use mesh_event::{Column, Flags, Opcode, Schema};
use mesh_model::RetentionKind;

use super::{Expiry, MERGE_COUNT, level};
use crate::columns::{self, RowRef};
use crate::live::Live;
use crate::ops::{Clock, Held};
use crate::run::{Emitter, Run, Unread};
use crate::state::{Damage, Reader, RowBatches, Writer, save_rows};

/// Why this needs no index of keys: it is used only where the input consists of inserts and no key ever comes twice
/// (an insert-only source with generated keys, and windows after it that keep the key). Then no event can meet a row
/// that is held: nothing is a duplicate, an update or a delete. And with retention by the clock or by count, the row
/// that leaves is always the oldest one.
pub(crate) struct Queue {
    schema: Arc<Schema>,
    expiry: Expiry,
    chunks: VecDeque<Chunk>,
    /// Rows of the first chunk that are gone already.
    gone: usize,
    rows: u64,
    /// Clock at arrival (`None`: before the first tick) and how many rows in sequence have it.
    ages: VecDeque<(Option<i64>, u64)>,
    now: Option<i64>,
    /// Chunks of each small level at the back.
    small: [usize; 2],
    /// What is read of what comes out, and what the digest needs beyond it.
    pub live: Live,
    pub unread: Unread,
}

struct Chunk {
    columns: Vec<Arc<Column>>,
    rows: usize,
}

impl Queue {
    /// `expiry` must not be by a field.
    pub(crate) fn new(schema: &Arc<Schema>, expiry: Expiry) -> Queue {
        assert!(expiry.field.is_none(), "event times may leave in another order than rows came: that takes a table");
        Queue {
            schema: Arc::clone(schema),
            expiry,
            chunks: VecDeque::new(),
            gone: 0,
            rows: 0,
            ages: VecDeque::new(),
            now: None,
            small: [0; 2],
            live: Live::all(schema),
            unread: Unread::new(),
        }
    }

    /// Takes a run of inserts.
    pub(crate) fn process(&mut self, run: Run, clock: Clock) -> Run {
        debug_assert!(run.block.opcodes.iter().all(|&opcode| opcode == Opcode::Insert), "the input is inserts only");
        let rows = run.block.len();
        if rows == 0 {
            return run;
        }
        self.push_chunk(Chunk { columns: run.block.columns.clone(), rows });
        let run = match self.expiry.kind {
            RetentionKind::ByTimeSliding { .. }
            | RetentionKind::ByTimeJumping { .. }
            | RetentionKind::ByTimeLookback { .. } => {
                self.arrive(clock, rows as u64);
                run
            }
            RetentionKind::ByCountSliding { n } => self.by_count(run, |held| held.saturating_sub(n)),
            RetentionKind::ByCountJumping { n } => self.by_count(run, |held| if held > n { held - 1 } else { 0 }),
        };
        self.merge_small();
        run
    }

    fn arrive(&mut self, clock: Clock, rows: u64) {
        self.rows += rows;
        match self.ages.back_mut() {
            Some((at, count)) if *at == clock.get() => *count += rows,
            _ => self.ages.push_back((clock.get(), rows)),
        }
    }

    /// Passes the run on; `excess` says how many of the oldest rows leave when so many are held, after each insert.
    fn by_count(&mut self, run: Run, excess: impl Fn(u64) -> u64) -> Run {
        let mut out = Emitter::with_capacity(run.block.len() * 2);
        let (mut chunk, mut row, mut removed) = (0, self.gone, 0);
        let mut next = 0;
        for &end in run.ends.iter() {
            for arrival in next..end {
                out.push(Opcode::Insert, run.block.flags[arrival as usize], RowRef { source: 0, row: arrival });
                self.rows += 1;
                for _ in 0..excess(self.rows) {
                    while row == self.chunks[chunk].rows {
                        (chunk, row) = (chunk + 1, 0);
                    }
                    out.push(Opcode::Delete, Flags::RETENTION, RowRef { source: chunk as u32 + 1, row: row as u32 });
                    (row, removed, self.rows) = (row + 1, removed + 1, self.rows - 1);
                }
            }
            next = end;
            out.end_cause();
        }
        let mut sources = vec![run.block.columns.as_slice()];
        sources.extend(self.chunks.iter().take(chunk + 1).map(|chunk| chunk.columns.as_slice()));
        let (run, unread) = out.finish_for(&self.schema, &sources, Some(0), &self.live);
        self.unread = unread;
        self.drop_front(removed);
        run
    }

    /// Deletes of the oldest `count` rows, as the output of one tick.
    fn remove_oldest(&mut self, count: u64) -> Option<Run> {
        if count == 0 {
            return None;
        }
        let mut out = Emitter::with_capacity(count as usize);
        let (mut source, mut row) = (0, self.gone);
        for _ in 0..count {
            while row == self.chunks[source].rows {
                (source, row) = (source + 1, 0);
            }
            out.push(Opcode::Delete, Flags::RETENTION, RowRef { source: source as u32, row: row as u32 });
            row += 1;
        }
        out.end_cause();
        let sources: Vec<_> = self.chunks.iter().take(source + 1).map(|chunk| chunk.columns.as_slice()).collect();
        let whole = (source == 0).then_some(0);
        let (run, unread) = out.finish_for(&self.schema, &sources, whole, &self.live);
        self.unread = unread;
        self.rows -= count;
        self.drop_front(count);
        Some(run)
    }

    /// Forgets rows that are no longer counted, and chunks of which none is left.
    fn drop_front(&mut self, count: u64) {
        self.gone += count as usize;
        while let Some(first) = self.chunks.front()
            && self.gone >= first.rows
        {
            self.gone -= first.rows;
            self.chunks.pop_front();
        }
        let [tiny, small] = self.small;
        let tiny = tiny.min(self.chunks.len());
        self.small = [tiny, small.min(self.chunks.len() - tiny)];
    }

    /// Adds a chunk at the back. The small chunks before it are joined first when it is larger than they are, so that
    /// at most one small chunk stays in front of each larger one. The back looks like `.. large, small.., tiny..`.
    fn push_chunk(&mut self, chunk: Chunk) {
        let [tiny, small] = self.small;
        match level(chunk.rows) {
            Some(0) => self.small = [tiny + 1, small],
            Some(_) => {
                self.merge_last(tiny);
                self.small = [0, small + usize::from(tiny > 0) + 1];
            }
            None => {
                self.merge_last(tiny + small);
                self.small = [0, 0];
            }
        }
        self.chunks.push_back(chunk);
    }

    /// Joins the small chunks at the back when there are many.
    fn merge_small(&mut self) {
        if self.small[0] >= MERGE_COUNT {
            self.merge_last(self.small[0]);
            self.small = [0, self.small[1] + 1];
        }
        if self.small[0] == 0 && self.small[1] >= MERGE_COUNT {
            self.merge_last(self.small[1]);
            self.small = [0, 0];
        }
    }

    fn merge_last(&mut self, count: usize) {
        if count < 2 {
            return;
        }
        let first = self.chunks.len() - count;
        let skip = if first == 0 { std::mem::take(&mut self.gone) } else { 0 };
        let parts: Vec<Chunk> = self.chunks.drain(first..).collect();
        let rows = parts.iter().map(|part| part.rows).sum::<usize>();
        let field = |field: usize| {
            let columns: Vec<&Column> = parts.iter().map(|part| &*part.columns[field]).collect();
            let joined = Column::concat(&columns);
            Arc::new(if skip == 0 { joined } else { joined.slice(skip..rows) })
        };
        let columns = (0..self.schema.fields().len()).map(field).collect();
        self.chunks.push_back(Chunk { columns, rows: rows - skip });
    }

    /// What leaves because of the clock.
    pub(crate) fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        if before.get().is_none() {
            // Rows from before the clock started are as old as the clock.
            self.ages.iter_mut().for_each(|(at, _)| *at = now.get());
        }
        self.now = now.get();
        let count = match self.expiry.sliding_us() {
            Some(us) => self.expired(us),
            None if self.expiry.jumps(before, now) => {
                self.expiry.lookback_us().map_or(self.rows, |us| self.expired(us))
            }
            None => 0,
        };
        let mut left = count;
        while left > 0 {
            let (_, rows) = self.ages.front_mut().expect("every row has an age");
            let taken = left.min(*rows);
            (*rows, left) = (*rows - taken, left - taken);
            if *rows == 0 {
                self.ages.pop_front();
            }
        }
        self.remove_oldest(count)
    }

    fn expired(&self, us: i64) -> u64 {
        let now = self.now.expect("a tick has set the clock");
        let old = |&&(at, _): &&(Option<i64>, u64)| at.is_some_and(|at| now.saturating_sub(at) >= us);
        self.ages.iter().take_while(old).map(|&(_, rows)| rows).sum()
    }

    /// The earliest clock at which a row leaves.
    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let &(oldest, _) = self.ages.front()?;
        match self.expiry.sliding_us() {
            Some(us) => oldest?.checked_add(us),
            None => self.expiry.next_jump_us(self.now),
        }
    }

    pub(crate) fn held(&self) -> Held {
        let chunk = |chunk: &Chunk| chunk.columns.iter().map(|column| columns::bytes(column)).sum::<usize>();
        Held { rows: self.rows, bytes: self.chunks.iter().map(chunk).sum::<usize>() as u64, ..Held::default() }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        let sources: Vec<_> = self.chunks.iter().map(|chunk| chunk.columns.as_slice()).collect();
        let mut refs = Vec::with_capacity(self.rows as usize);
        for (source, chunk) in self.chunks.iter().enumerate() {
            let gone = if source == 0 { self.gone } else { 0 };
            refs.extend((gone..chunk.rows).map(|row| RowRef { source: source as u32, row: row as u32 }));
        }
        save_rows(to, &sources, &refs, self.schema.fields().len());
        to.put(&self.ages);
        to.put(&(self.expiry.state(), self.now));
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let mut batches = RowBatches::load(from)?;
        while let Some((columns, rows)) = batches.next(from, &self.schema)? {
            self.rows += rows as u64;
            self.push_chunk(Chunk { columns, rows });
            self.merge_small();
        }
        self.ages = from.get()?;
        let by_time = matches!(
            self.expiry.kind,
            RetentionKind::ByTimeSliding { .. }
                | RetentionKind::ByTimeJumping { .. }
                | RetentionKind::ByTimeLookback { .. }
        );
        let aged = self.ages.iter().try_fold(0_u64, |sum, &(_, rows)| sum.checked_add(rows).filter(|_| rows > 0));
        if aged != Some(if by_time { self.rows } else { 0 }) {
            return Err(Damage::Broken("the ages are not those of the rows"));
        }
        let (start, now) = from.get()?;
        self.expiry.restore(start);
        self.now = now;
        Ok(())
    }
}
