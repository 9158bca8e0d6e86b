//! The running digest of a window's output: a streaming hash that sees rows, never calls or runs.
//!
//! Each stream (opcodes, or one column) is hashed over four lanes; row `i` of the stream's whole life belongs to lane
//! `i % 4`. So the digest depends on the rows and their order alone, and the four multiplications of a row group run
//! side by side. One step is a bijection of the lane for a given value and of the value for a given lane: two streams
//! that differ in one row cannot end in the same state.

use crate::columns::RowRef;
use crate::state::{Damage, Reader, State, Writer};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

use mesh_event::{Block, Bytes2D, Column, ColumnData, NullMask};

const LANES: usize = 4;
const SEED: [u64; LANES] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x27d4_eb2f_1656_67c5];
const MULTIPLIER: u64 = 0x9fb2_1c65_1e98_df25;
/// Stands for null; a value with these bits would collide with null, one of 2^64.
const NULL: u64 = 0xd6e8_feb8_6659_fd93;

/// What the digest takes in for the rows that `refs` name, of columns of one type.
pub(crate) fn words(sources: &[&Column], refs: &[RowRef]) -> Vec<u64> {
    macro_rules! each {
        ($($kind:ident)|+, $word:expr) => {{
            let of = sources.iter().map(|source| match &source.data {
                $(ColumnData::$kind(values))|+ => values,
                _ => unreachable!("columns of one field share one type"),
            });
            let of: Vec<_> = of.collect();
            let word = $word;
            refs.iter().map(|from| word(&of[from.source as usize], from.row as usize)).collect()
        }};
    }
    let Some(first) = sources.first() else { return Vec::new() };
    let mut words: Vec<u64> = match &first.data {
        ColumnData::Int32(_) => each!(Int32, |v: &Vec<i32>, row: usize| v[row] as u32 as u64),
        ColumnData::Int64(_) | ColumnData::Date(_) | ColumnData::Stamp(_) | ColumnData::Money(_) => {
            each!(Int64 | Date | Stamp | Money, |v: &Vec<i64>, row: usize| v[row] as u64)
        }
        ColumnData::Double(_) => each!(Double, |v: &Vec<f64>, row: usize| v[row].to_bits()),
        ColumnData::String(_) | ColumnData::Blob(_) => {
            each!(String | Blob, |v: &Bytes2D, row: usize| xxh3_64(v.row(row)))
        }
        ColumnData::ArrayInt32(_) => {
            each!(ArrayInt32, |v: &Vec<Arc<[i32]>>, row: usize| array(v[row].iter().map(|&x| x as u32 as u64)))
        }
        ColumnData::ArrayInt64(_) => {
            each!(ArrayInt64, |v: &Vec<Arc<[i64]>>, row: usize| array(v[row].iter().map(|&x| x as u64)))
        }
        ColumnData::ArrayDouble(_) => {
            each!(ArrayDouble, |v: &Vec<Arc<[f64]>>, row: usize| array(v[row].iter().map(|x| x.to_bits())))
        }
    };
    if sources.iter().any(|source| !source.nulls.is_empty()) {
        for (word, from) in words.iter_mut().zip(refs) {
            if sources[from.source as usize].is_null(from.row as usize) {
                *word = NULL;
            }
        }
    }
    words
}

/// Running hash over a sequence of 64-bit words.
#[derive(Debug, Clone)]
struct Lanes {
    lanes: [u64; LANES],
    rows: u64,
}

impl State for Lanes {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.lanes, self.rows));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (lanes, rows) = from.get()?;
        Ok(Lanes { lanes, rows })
    }
}

#[inline]
fn step(lane: u64, value: u64) -> u64 {
    (lane ^ value).wrapping_mul(MULTIPLIER).rotate_left(29)
}

impl Lanes {
    fn new() -> Lanes {
        Lanes { lanes: SEED, rows: 0 }
    }

    #[inline]
    fn one(&mut self, value: u64) {
        let lane = &mut self.lanes[(self.rows % LANES as u64) as usize];
        *lane = step(*lane, value);
        self.rows += 1;
    }

    /// The same as [`Lanes::one`] for the word of each row, four at a time where the lanes line up.
    #[inline]
    fn many(&mut self, rows: usize, word: impl Fn(usize) -> u64) {
        let head = ((LANES as u64 - self.rows % LANES as u64) % LANES as u64) as usize;
        let head = head.min(rows);
        (0..head).for_each(|row| self.one(word(row)));
        let groups = (rows - head) / LANES;
        let [mut a, mut b, mut c, mut d] = self.lanes;
        for group in 0..groups {
            let row = head + group * LANES;
            a = step(a, word(row));
            b = step(b, word(row + 1));
            c = step(c, word(row + 2));
            d = step(d, word(row + 3));
        }
        self.lanes = [a, b, c, d];
        self.rows += (groups * LANES) as u64;
        (head + groups * LANES..rows).for_each(|row| self.one(word(row)));
    }

    fn column(&mut self, column: &Column) {
        let nulls = &column.nulls;
        match &column.data {
            ColumnData::Int32(v) => self.each(v.len(), nulls, |row| v[row] as u32 as u64),
            ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
                self.each(v.len(), nulls, |row| v[row] as u64);
            }
            ColumnData::Double(v) => self.each(v.len(), nulls, |row| v[row].to_bits()),
            ColumnData::String(v) | ColumnData::Blob(v) => {
                self.each(v.ends.len(), nulls, |row| xxh3_64(v.row(row)));
            }
            ColumnData::ArrayInt32(v) => {
                self.each(v.len(), nulls, |row| array(v[row].iter().map(|&x| x as u32 as u64)))
            }
            ColumnData::ArrayInt64(v) => self.each(v.len(), nulls, |row| array(v[row].iter().map(|&x| x as u64))),
            ColumnData::ArrayDouble(v) => self.each(v.len(), nulls, |row| array(v[row].iter().map(|x| x.to_bits()))),
        }
    }

    #[inline]
    fn each(&mut self, rows: usize, nulls: &NullMask, word: impl Fn(usize) -> u64) {
        if nulls.is_empty() {
            self.many(rows, word);
        } else {
            self.many(rows, |row| if nulls.is_null(row) { NULL } else { word(row) });
        }
    }

    fn finish(&self) -> u64 {
        let mixed = self.lanes.iter().fold(self.rows, |hash, &lane| step(hash, lane));
        mixed ^ (mixed >> 32)
    }
}

fn array(words: impl Iterator<Item = u64>) -> u64 {
    let mut lanes = Lanes::new();
    words.for_each(|word| lanes.one(word));
    lanes.finish()
}

/// What of a window's output its digest covers. The rest was covered by an upstream window, whose columns it shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Opcodes and flags: for windows that may change, drop or add events.
    pub opcodes: bool,
    /// Positions of the columns that the window makes.
    pub columns: Vec<usize>,
}

/// Running digest of one window's output.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    rows: u64,
    opcodes: Option<Lanes>,
    columns: Vec<(usize, Lanes)>,
}

impl Digest {
    pub(crate) fn new(coverage: &Coverage) -> Digest {
        Digest {
            rows: 0,
            opcodes: coverage.opcodes.then(Lanes::new),
            columns: coverage.columns.iter().map(|&column| (column, Lanes::new())).collect(),
        }
    }

    /// Positions of the columns that it covers.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|(column, _)| *column)
    }

    /// Adds the rows of a run. `unread`: the [`words`] of covered columns that the block leaves out.
    pub(crate) fn update(&mut self, block: &Block, unread: &[(usize, Vec<u64>)]) {
        let Block { opcodes, flags, columns, .. } = block;
        self.rows += opcodes.len() as u64;
        if let Some(lanes) = &mut self.opcodes {
            lanes.many(opcodes.len(), |row| opcodes[row] as u64 | u64::from(flags[row].0) << 8);
        }
        for (column, lanes) in &mut self.columns {
            match unread.iter().find(|(unread, _)| unread == column) {
                Some((_, words)) => lanes.many(words.len(), |row| words[row]),
                None => lanes.column(&columns[*column]),
            }
        }
    }

    /// The digest of everything so far; going on afterwards is fine.
    pub(crate) fn value(&self) -> u64 {
        let start = step(SEED[0], self.rows);
        let opcodes = self.opcodes.as_ref().map_or(start, |lanes| step(start, lanes.finish()));
        self.columns.iter().fold(opcodes, |hash, (_, lanes)| step(hash, lanes.finish()))
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.rows);
        to.put(&self.opcodes);
        self.columns.iter().for_each(|(_, lanes)| to.put(lanes));
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.rows = from.get()?;
        let opcodes: Option<Lanes> = from.get()?;
        if opcodes.is_some() != self.opcodes.is_some() {
            return Err(Damage::Broken("its digest covers other things than the window's"));
        }
        self.opcodes = opcodes;
        for (_, lanes) in &mut self.columns {
            *lanes = from.get()?;
        }
        Ok(())
    }

    /// Number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_event::{BlockKind, Flags, Opcode, Schema};

    fn digest_of(parts: &[usize], column: &Column) -> u64 {
        let mut digest = Digest::new(&Coverage { opcodes: true, columns: vec![0] });
        let mut from = 0;
        for part in parts {
            let rows = from..from + part;
            let schema = Arc::new(Schema::parse("x*:int64").unwrap());
            let (opcodes, flags) = (vec![Opcode::Insert; *part], vec![Flags::NORMAL; *part]);
            let columns = vec![Arc::new(column.slice(rows.clone()))];
            digest.update(&Block { schema, kind: BlockKind::Normal, opcodes, flags, columns }, &[]);
            from = rows.end;
        }
        digest.value()
    }

    #[test]
    fn cuts_do_not_matter_and_values_do() {
        let mut column = Column::new(ColumnData::Int64((0..23).collect()));
        column.nulls.set(7);
        let whole = digest_of(&[23], &column);
        for parts in [&[1; 23][..], &[3, 5, 15], &[22, 1], &[8, 8, 7]] {
            assert_eq!(digest_of(parts, &column), whole);
        }
        let ColumnData::Int64(values) = &mut column.data else { unreachable!() };
        values[7] = 99;
        assert_eq!(digest_of(&[23], &column), whole, "what stands under a null is not data");
        let ColumnData::Int64(values) = &mut column.data else { unreachable!() };
        values[8] = 99;
        assert_ne!(digest_of(&[23], &column), whole);
        assert_ne!(digest_of(&[22], &column), digest_of(&[21], &column));
    }
}
