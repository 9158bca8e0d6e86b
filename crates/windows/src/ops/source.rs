//! The entry of a source window: joins blocks to a run, checks events, makes keys.

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Bytes2D, Column, ColumnData, FieldType, Flags, JoinedBlocks, Opcode, Schema};
use xxhash_rust::xxh3::xxh3_128;

use super::functional::nulls;
use crate::bad::{BadEvent, BadEvents};
use crate::columns::RowRef;
use crate::run::{Emitter, Run};
use crate::state::{Damage, Reader, Writer};
use crate::store::any_null;

/// Makes the run of a source's input blocks.
pub(crate) struct Ingest {
    schema: Arc<Schema>,
    insert_only: bool,
    autogen: Option<Autogen>,
    /// The schema of the last good block and whether it has the generated key: blocks of a topic share one schema.
    known: Option<(Arc<Schema>, bool)>,
    bad: BadEvents,
}

/// Generated keys.
struct Autogen {
    /// Position of the key field.
    key: usize,
    /// Text that goes into the hash of string keys: `project/query/window/`.
    seed: String,
    /// Number of the next event, from 0.
    next: u64,
}

impl Ingest {
    /// `autogen_seed`: `project/query/window/` when the source makes its key itself.
    pub(crate) fn new(schema: &Arc<Schema>, insert_only: bool, autogen_seed: Option<String>) -> Ingest {
        let key = |seed| Autogen { key: schema.keys()[0], seed, next: 0 };
        let (schema, autogen) = (Arc::clone(schema), autogen_seed.map(key));
        Ingest { schema, insert_only, autogen, known: None, bad: BadEvents::default() }
    }

    pub(crate) fn bad_events(&self) -> u64 {
        self.bad.count()
    }

    pub(crate) fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.autogen.as_ref().map(|autogen| autogen.next));
        self.bad.save(to);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let next: Option<u64> = from.get()?;
        match (&mut self.autogen, next) {
            (Some(autogen), Some(next)) => autogen.next = next,
            (None, None) => {}
            _ => return Err(Damage::Broken("it makes keys where the source does not, or the other way round")),
        }
        self.bad.restore(from)
    }

    /// One run of all blocks. Blocks whose columns are not the window's are dropped and counted.
    pub(crate) fn run(&mut self, blocks: &[JoinedBlocks]) -> Run {
        let mut good: Vec<(&Block, bool)> = Vec::with_capacity(blocks.len());
        let mut ends = Vec::with_capacity(blocks.iter().map(JoinedBlocks::len).sum());
        let mut rows = 0;
        for joined in blocks {
            match self.has_key(&joined.events) {
                Some(key) => {
                    good.push((&joined.events, key));
                    ends.extend(joined.ends.iter().map(|end| rows + end));
                    rows += joined.events.len() as u32;
                }
                None => {
                    self.bad.add_block(joined.events.len());
                    ends.extend(joined.ends.iter().map(|_| rows));
                }
            }
        }
        let mut opcodes = Vec::with_capacity(rows as usize);
        let mut flags = Vec::with_capacity(rows as usize);
        for (block, _) in &good {
            opcodes.extend_from_slice(&block.opcodes);
            flags.extend_from_slice(&block.flags);
        }
        let columns = self.join_columns(&good, rows as usize);
        let block = Block { schema: Arc::clone(&self.schema), kind: BlockKind::Normal, opcodes, flags, columns };
        let mut run = self.check(Run { block, ends: ends.into() });
        self.make_keys(&mut run.block);
        run
    }

    /// Whether the block carries the generated key; `None` when its columns are not the window's.
    fn has_key(&mut self, block: &Block) -> Option<bool> {
        if let Some((known, has_key)) = &self.known
            && Arc::ptr_eq(known, &block.schema)
        {
            return Some(*has_key);
        }
        let fields = self.schema.fields();
        let fits = |skip: Option<usize>| {
            let wanted = fields.iter().enumerate().filter(|&(i, _)| Some(i) != skip).map(|(_, field)| field.ty);
            wanted.eq(block.columns.iter().map(|column| column.field_type()))
        };
        let has_key = if fits(None) {
            true
        } else if self.autogen.as_ref().is_some_and(|autogen| fits(Some(autogen.key))) {
            false
        } else {
            return None;
        };
        self.known = Some((Arc::clone(&block.schema), has_key));
        Some(has_key)
    }

    /// The columns of the run; the generated key is an empty stand-in until [`Ingest::make_keys`].
    fn join_columns(&self, blocks: &[(&Block, bool)], rows: usize) -> Vec<Arc<Column>> {
        let generated = self.autogen.as_ref().map(|autogen| autogen.key);
        let mut parts: Vec<&Column> = Vec::with_capacity(blocks.len());
        let column = |(field, shape): (usize, &mesh_event::Field)| {
            if Some(field) == generated {
                return Arc::new(nulls(shape.ty, rows));
            }
            let position = |has_key: bool| field - usize::from(!has_key && generated.is_some_and(|key| key < field));
            match blocks {
                [] => Arc::new(nulls(shape.ty, 0)),
                [(block, has_key)] => Arc::clone(&block.columns[position(*has_key)]),
                _ => {
                    parts.clear();
                    parts.extend(blocks.iter().map(|(block, has_key)| &*block.columns[position(*has_key)]));
                    Arc::new(Column::concat(&parts))
                }
            }
        };
        self.schema.fields().iter().enumerate().map(column).collect()
    }

    /// Drops and counts events that a source does not take: a null key, and anything but inserts into an insert-only
    /// source (an upsert of a key that cannot be there is an insert; with nothing to update, no insert is partial).
    fn check(&mut self, run: Run) -> Run {
        let block = &run.block;
        let keys = if self.autogen.is_some() { &[][..] } else { self.schema.keys() };
        let keys_fine = keys.iter().all(|&key| block.columns[key].nulls.is_empty());
        let opcodes_fine = !self.insert_only
            || block.opcodes.iter().all(|&opcode| opcode == Opcode::Insert)
                && !block.flags.iter().any(|flags| flags.contains(Flags::PARTIAL));
        if keys_fine && opcodes_fine {
            return run;
        }
        let mut out = Emitter::with_capacity(block.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            for row in std::mem::replace(&mut row, end)..end {
                let at = row as usize;
                let (mut opcode, mut flags) = (block.opcodes[at], block.flags[at]);
                if self.insert_only && matches!(opcode, Opcode::Insert | Opcode::Upsert) {
                    (opcode, flags) = (Opcode::Insert, Flags(flags.0 & !Flags::PARTIAL.0));
                }
                let taken = !self.insert_only || opcode == Opcode::Insert;
                if !taken {
                    self.bad.add("the source takes inserts only", block, at);
                } else if any_null(&block.columns, keys, at) {
                    self.bad.add("its key is null", block, at);
                } else {
                    out.push(opcode, flags, RowRef { source: 0, row });
                }
            }
            out.end_cause();
        }
        out.finish(&self.schema, &[&block.columns], Some(0))
    }

    fn make_keys(&mut self, block: &mut Block) {
        let Some(autogen) = &mut self.autogen else { return };
        let numbers = autogen.next..autogen.next + block.len() as u64;
        autogen.next = numbers.end;
        let column = match self.schema.fields()[autogen.key].ty {
            FieldType::String => guids(&autogen.seed, numbers),
            _ => ColumnData::Int64(numbers.map(|number| number as i64).collect()),
        };
        block.columns[autogen.key] = Arc::new(Column::new(column));
    }
}

/// A text like a version 5 UUID for each number: the same for the same seed and number on every machine.
fn guids(seed: &str, numbers: std::ops::Range<u64>) -> ColumnData {
    use std::fmt::Write;
    let (mut text, mut ends, mut name) = (String::new(), Vec::new(), seed.to_owned());
    for number in numbers {
        name.truncate(seed.len());
        write!(name, "{number}").expect("writing to a String never fails");
        let hash = xxh3_128(name.as_bytes());
        write_guid(hash, &mut text);
        ends.push(text.len() as u32);
    }
    ColumnData::String(Bytes2D { ends, bytes: text.into() })
}

/// The text of a version 5 UUID with these bits.
pub(crate) fn write_guid(hash: u128, text: &mut String) {
    use std::fmt::Write;
    let version = hash & !(0xf << 76) | 5 << 76;
    let uuid = version & !(0b11 << 62) | 0b10 << 62;
    let part = |shift: u32, bits: u32| (uuid >> shift) & ((1 << bits) - 1);
    write!(
        text,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
    .expect("writing to a String never fails");
}
