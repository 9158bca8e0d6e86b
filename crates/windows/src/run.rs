//! A run: the events of several input blocks on their way through the windows, as one columnar block.
//!
//! Tiny blocks are what costs time, not rows. The executor therefore joins the blocks of a call into runs, sends a run
//! through each window at once, and cuts what comes out at the places that [`Run::ends`] remembers.

use std::ops::Range;
use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, Flags, Opcode, Schema};

use crate::OutputPart;
use crate::columns::{self, RowRef};
use crate::digest::words;
use crate::live::{Live, Use};

/// Events of one window's output.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub block: Block,
    /// `ends[k]` is the end of the rows that input block `k` of the run caused; as long as the run has input blocks.
    pub ends: Arc<[u32]>,
}

impl Run {
    /// A run of these rows that replaces the rows of `self` one for one.
    pub(crate) fn with_columns(self, schema: &Arc<Schema>, columns: Vec<Arc<Column>>) -> Run {
        let Block { kind, opcodes, flags, .. } = self.block;
        Run { block: Block { schema: Arc::clone(schema), kind, opcodes, flags, columns }, ends: self.ends }
    }

    /// The rows of a range, with the same causes.
    pub(crate) fn rows(&self, range: Range<usize>) -> Run {
        let (start, end) = (range.start as u32, range.end as u32);
        let ends = self.ends.iter().map(|&at| at.clamp(start, end) - start).collect();
        Run { block: self.block.slice(range), ends }
    }

    /// Parts that follow one another and have the same causes, as one run.
    pub(crate) fn join(parts: &[Run]) -> Run {
        let blocks: Vec<&Block> = parts.iter().map(|part| &part.block).collect();
        let causes = parts[0].ends.len();
        let ends = (0..causes).map(|cause| parts.iter().map(|part| part.ends[cause]).sum()).collect();
        Run { block: Block::concat(&blocks), ends }
    }

    /// Two runs of the same causes that meet in one window: for each cause the events of `self`, then those of `later`.
    pub(crate) fn meet(&self, later: &Run) -> Run {
        let runs = [self, later];
        let mut out = Emitter::with_capacity(self.block.len() + later.block.len());
        let mut next = [0, 0];
        for ends in self.ends.iter().zip(later.ends.iter()) {
            for (source, end) in [*ends.0, *ends.1].into_iter().enumerate() {
                for row in std::mem::replace(&mut next[source], end)..end {
                    let block = &runs[source].block;
                    let (opcode, flags) = (block.opcodes[row as usize], block.flags[row as usize]);
                    out.push(opcode, flags, RowRef { source: source as u32, row });
                }
            }
            out.end_cause();
        }
        out.finish(&self.block.schema, &[&self.block.columns, &later.block.columns], None)
    }

    /// For each cause the rows of its events that say what is now: no deletions, of an update block its new half.
    pub(crate) fn news(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let (block, mut next) = (&self.block, 0);
        self.ends.iter().map(move |&end| {
            let mut row = std::mem::replace(&mut next, end);
            std::iter::from_fn(move || {
                while row < end {
                    let at = row as usize;
                    row += if is_pair(block, row, end) { 2 } else { 1 };
                    if !matches!(block.opcodes[at], Opcode::Delete | Opcode::SafeDelete) {
                        return Some(at);
                    }
                }
                None
            })
        })
    }

    /// A run of events that these rows of `self` became, each by itself, with their opcodes and flags.
    pub(crate) fn with_rows(
        &self,
        rows: &[u32],
        schema: &Arc<Schema>,
        columns: Vec<Arc<Column>>,
        ends: Vec<u32>,
    ) -> Run {
        let block = Block {
            schema: Arc::clone(schema),
            kind: BlockKind::Normal,
            opcodes: rows.iter().map(|&row| alone(self.block.opcodes[row as usize])).collect(),
            flags: rows.iter().map(|&row| self.block.flags[row as usize]).collect(),
            columns,
        };
        Run { block, ends: ends.into() }
    }

    /// The same rows with each event as a cause of its own (an update block is one event); and for each cause of
    /// `self` the number of events up to its end.
    pub(crate) fn by_event(self) -> (Run, Vec<u32>) {
        let Run { block, ends: blocks } = self;
        let mut ends = Vec::with_capacity(block.len());
        let mut events = Vec::with_capacity(blocks.len());
        let mut row = 0;
        for &end in blocks.iter() {
            while row < end {
                row += if is_pair(&block, row, end) { 2 } else { 1 };
                ends.push(row);
            }
            events.push(ends.len() as u32);
        }
        (Run { block, ends: ends.into() }, events)
    }

    /// The rows of each cause that has any; `first` is the number of the run's first cause. `events`: the number of
    /// events up to the end of each cause, when the run is by event.
    pub(crate) fn parts(&self, kinds: &[BlockKind], first: usize, events: Option<&[u32]>) -> Vec<OutputPart> {
        let mut start = 0;
        let mut parts = Vec::with_capacity(kinds.len());
        for (cause, &kind) in kinds.iter().enumerate() {
            let end = match events {
                None => self.ends[cause],
                Some(events) => match events[cause] {
                    0 => 0,
                    count => self.ends[count as usize - 1],
                },
            };
            let rows = std::mem::replace(&mut start, end as usize)..end as usize;
            if !rows.is_empty() {
                parts.push(OutputPart { cause: first + cause, kind, rows });
            }
        }
        parts
    }
}

/// The opcode of an event of which no old half goes out.
pub(crate) fn alone(opcode: Opcode) -> Opcode {
    if opcode == Opcode::UpdateBlock { Opcode::Update } else { opcode }
}

/// True when an update block begins at a row: its new half, and the old half behind it.
pub(crate) fn is_pair(block: &Block, row: u32, end: u32) -> bool {
    let at = row as usize;
    block.opcodes[at] == Opcode::UpdateBlock && row + 1 < end && block.opcodes[at + 1] == Opcode::Delete
}

/// By field, what the digest takes in for rows whose values nobody else reads.
pub(crate) type Unread = Vec<(usize, Vec<u64>)>;

/// Collects the events of a window that does not answer one for one, as references to rows of several sources.
#[derive(Debug, Default)]
pub(crate) struct Emitter {
    opcodes: Vec<Opcode>,
    flags: Vec<Flags>,
    refs: Vec<RowRef>,
    ends: Vec<u32>,
}

impl Emitter {
    pub(crate) fn with_capacity(rows: usize) -> Emitter {
        Emitter {
            opcodes: Vec::with_capacity(rows),
            flags: Vec::with_capacity(rows),
            refs: Vec::with_capacity(rows),
            ends: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, opcode: Opcode, flags: Flags, row: RowRef) {
        self.opcodes.push(opcode);
        self.flags.push(flags);
        self.refs.push(row);
    }

    /// Every further event has the next cause.
    #[inline]
    pub(crate) fn end_cause(&mut self) {
        self.ends.push(self.opcodes.len() as u32);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.opcodes.is_empty()
    }

    /// The collected events as a run. `whole`: the index of a source that is taken as it is, columns shared, when its
    /// rows are exactly what was emitted.
    pub(crate) fn finish(self, schema: &Arc<Schema>, sources: &[&[Arc<Column>]], whole: Option<u32>) -> Run {
        self.finish_for(schema, sources, whole, &Live::all(schema)).0
    }

    /// The same, without the columns that nobody reads; and the words of those that are digested all the same.
    pub(crate) fn finish_for(
        self,
        schema: &Arc<Schema>,
        sources: &[&[Arc<Column>]],
        whole: Option<u32>,
        live: &Live,
    ) -> (Run, Unread) {
        let mut unread = Vec::new();
        let identity = whole.filter(|&source| {
            let rows = sources[source as usize].first().map_or(0, |column| column.len());
            let mut expected = (0..).map(|row| RowRef { source, row });
            rows == self.refs.len() && self.refs.iter().all(|from| Some(*from) == expected.next())
        });
        let columns = match identity {
            Some(source) => sources[source as usize].to_vec(),
            None => self.gather(schema, sources, live, &mut unread),
        };
        let block = Block {
            schema: Arc::clone(schema),
            kind: BlockKind::Normal,
            opcodes: self.opcodes,
            flags: self.flags,
            columns,
        };
        (Run { block, ends: self.ends.into() }, unread)
    }

    fn gather(
        &self,
        schema: &Arc<Schema>,
        sources: &[&[Arc<Column>]],
        live: &Live,
        unread: &mut Unread,
    ) -> Vec<Arc<Column>> {
        let mut parts: Vec<&Column> = Vec::with_capacity(sources.len());
        let column = |field: usize| {
            if live.of(field) == Use::Unused {
                return live.absent(field);
            }
            parts.clear();
            parts.extend(sources.iter().map(|columns| &*columns[field]));
            if live.of(field) == Use::Digested {
                unread.push((field, words(&parts, &self.refs)));
                return live.absent(field);
            }
            Arc::new(columns::gather(&parts, &self.refs))
        };
        (0..schema.fields().len()).map(column).collect()
    }
}
