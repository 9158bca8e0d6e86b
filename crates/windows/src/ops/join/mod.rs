//! Join: rows of two inputs side by side, kept up to date when either side changes.
//!
//! For every event the output rows that it touches are listed, as they were before and as they are after it: the pairs
//! that the changed row is in, and the rows of the other side that lose or gain their only match. What is in both lists
//! goes out as an update, what is new as an insert, what is gone as a delete. No output row is kept: the halves of an
//! update are put together from the rows of the sides, which stay readable until the run ends.
//!
//! For each event of the input the lookup side goes first, then the fact side, whose key is the key of the output. So a
//! fact meets its own aggregate as it is after the fact.

mod side;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, FieldType, Flags, Opcode, Schema};
use mesh_expr::{Program, State};
use mesh_model::{Join as Spec, JoinField, JoinKey, JoinKind};

use super::{Clock, Held, Operator, Sides, restore_memory, seed_of};
use crate::bad::BadEvent;
use crate::columns::{self, RowRef};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use crate::store::Table;
use side::{Arrivals, Change, Side, SideRow};

/// Sides of the window's input.
pub(crate) const LEFT: usize = 0;
pub(crate) const RIGHT: usize = 1;

/// A join window.
pub(crate) struct Join {
    schema: Arc<Schema>,
    spec: Spec,
    sides: [Side; 2],
    /// What makes the input of a side exact, where it is not.
    exact: [Option<Table>; 2],
    /// The side whose key is the output's.
    fact: usize,
    /// A change of the lookup side puts out updates as upserts, without the old row.
    upserts: bool,
    memory: State,
    errors: u64,
}

/// An output row: a row of each side, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pair([Option<SideRow>; 2]);

/// The output of the run at hand, and lists that are used for every event.
#[derive(Default)]
struct Out {
    opcodes: Vec<Opcode>,
    flags: Vec<Flags>,
    places: [Vec<RowRef>; 2],
    ends: Vec<u32>,
    before: Vec<Pair>,
    after: Vec<Pair>,
    old_matches: Vec<SideRow>,
    new_matches: Vec<SideRow>,
}

impl Out {
    fn reserve(&mut self, rows: usize) {
        self.opcodes.reserve(rows);
        self.flags.reserve(rows);
        self.places.iter_mut().for_each(|places| places.reserve(rows));
    }

    /// A row of a side beside one of the other.
    #[inline]
    fn put(&mut self, side: usize, opcode: Opcode, flags: Flags, (own, other): (RowRef, RowRef)) {
        self.opcodes.push(opcode);
        self.flags.push(flags);
        self.places[side].push(own);
        self.places[1 - side].push(other);
    }

    fn push(&mut self, opcode: Opcode, flags: Flags, pair: Pair) {
        self.opcodes.push(opcode);
        self.flags.push(flags);
        for (places, row) in self.places.iter_mut().zip(pair.0) {
            places.push(row.map_or(RowRef::NULL, |row| row.place));
        }
    }
}

impl Join {
    /// `inputs`: the schema of each side, and whether what comes is exact (or inserts only). `upserts`: the window has no
    /// index of its own. `place`: where it stands.
    pub(crate) fn new(
        schema: &Arc<Schema>,
        spec: &Spec,
        inputs: [(&Arc<Schema>, bool); 2],
        upserts: bool,
        place: &str,
    ) -> Join {
        let fact = if spec.key == JoinKey::Right || spec.kind == JoinKind::RightOuter { RIGHT } else { LEFT };
        let keeps = |side: usize| !spec.no_regenerates || side != fact;
        let side = |side: usize, on: &[usize]| Side::new(inputs[side].0, on, keeps(side));
        let table = |side: usize| {
            let (schema, exact) = inputs[side];
            (keeps(side) && !exact).then(|| Table::new(schema, None))
        };
        Join {
            schema: Arc::clone(schema),
            sides: [side(LEFT, &spec.left), side(RIGHT, &spec.right)],
            exact: [table(LEFT), table(RIGHT)],
            spec: spec.clone(),
            fact,
            upserts,
            memory: State::new(seed_of(place)),
            errors: 0,
        }
    }

    /// Whether a row of a side goes out when it has no match.
    fn is_outer(&self, side: usize) -> bool {
        match self.spec.kind {
            JoinKind::Inner => false,
            JoinKind::LeftOuter => side == LEFT,
            JoinKind::RightOuter => side == RIGHT,
            JoinKind::FullOuter => true,
        }
    }

    /// The event at a row of a side: what it changes there, and what goes out.
    fn event(&mut self, this: usize, arrivals: &Arrivals<'_>, row: u32, end: u32, out: &mut Out) {
        let that = 1 - this;
        let Some(mut change) = self.sides[this].plan(arrivals, row, end) else { return };
        if !self.sides[that].keeps() {
            // A lookup whose facts are gone: nothing can be put out again.
            self.sides[this].apply(arrivals, &mut change);
            return;
        }
        let outer = [self.is_outer(this), self.is_outer(that)];
        let [left, right] = &mut self.sides;
        let (own, other) = if this == LEFT { (left, right) } else { (right, left) };
        let (old_value, new_value) = (own.old_value(arrivals, &change), own.new_value(arrivals, &change));
        other.matches(old_value.as_ref(), &mut out.old_matches);
        other.matches(new_value.as_ref(), &mut out.new_matches);
        let (old_bucket, old_rows) = own.bucket(old_value.as_ref());
        let (new_bucket, new_rows) = own.bucket(new_value.as_ref());
        own.apply(arrivals, &mut change);

        let pair = |own: Option<SideRow>, other: Option<SideRow>| {
            if this == LEFT { Pair([own, other]) } else { Pair([other, own]) }
        };
        out.before.clear();
        out.after.clear();
        let Change { old, new, .. } = change;
        if old.is_some() {
            out.before.extend(out.old_matches.iter().map(|&row| pair(old, Some(row))));
            if out.old_matches.is_empty() && outer[0] {
                out.before.push(pair(old, None));
            }
            if outer[1] && old_rows == 1 && old_bucket != new_bucket {
                out.after.extend(out.old_matches.iter().map(|&row| pair(None, Some(row))));
            }
        }
        if new.is_some() {
            out.after.extend(out.new_matches.iter().map(|&row| pair(new, Some(row))));
            if out.new_matches.is_empty() && outer[0] {
                out.after.push(pair(new, None));
            }
            if outer[1] && new_rows == 0 {
                out.before.extend(out.new_matches.iter().map(|&row| pair(None, Some(row))));
            }
        }
        self.put_out(this, &change, out);
    }

    /// True when a fact goes out with its matches and is forgotten.
    fn facts_pass(&self) -> bool {
        !self.sides[self.fact].keeps() && self.sides[1 - self.fact].keeps() && !self.is_outer(1 - self.fact)
    }

    /// Facts alone: the lookup side stands still, so that the matches of all of them are looked up at once.
    fn pass(&mut self, facts: &Arrivals<'_>, out: &mut Out) {
        let (fact, outer) = (self.fact, self.is_outer(self.fact));
        let (mut opcodes, flags) = (facts.block.opcodes.iter(), &facts.block.flags);
        let simple = |opcode: &Opcode| matches!(opcode, Opcode::Insert | Opcode::Update | Opcode::Upsert);
        if !opcodes.all(simple) {
            return;
        }
        let buckets = self.sides[1 - fact].buckets(&self.sides[fact], facts);
        let lookup = &mut self.sides[1 - fact];
        out.reserve(buckets.len());
        let mut row = 0;
        for &end in facts.ends() {
            for row in std::mem::replace(&mut row, end)..end {
                let at = row as usize;
                let flags = Flags(flags[at].0 & !Flags::PARTIAL.0);
                let own = RowRef { source: 0, row };
                let mut next = lookup.first(buckets[at]);
                if next.is_none() && outer {
                    out.put(fact, facts.block.opcodes[at], flags, (own, RowRef::NULL));
                }
                while let Some(slot) = next {
                    out.put(fact, facts.block.opcodes[at], flags, (own, lookup.place(slot)));
                    next = lookup.after(slot);
                }
            }
            out.ends.push(out.opcodes.len() as u32);
        }
    }

    /// What identifies an output row among those that one event touches.
    fn identity(&self, pair: &Pair) -> (Option<u32>, Option<u32>) {
        let [left, right] = pair.0.map(|row| row.map(|row| row.id));
        match self.spec.key {
            JoinKey::Left => (left, None),
            JoinKey::Right => (None, right),
            JoinKey::Matched => (None, None),
            JoinKey::Both => (left, right),
        }
    }

    /// Puts out the difference between the rows before and after an event.
    fn put_out(&self, this: usize, change: &Change, out: &mut Out) {
        let (before, after) = (std::mem::take(&mut out.before), std::mem::take(&mut out.after));
        let mut gone: BTreeMap<(Option<u32>, Option<u32>), usize> = BTreeMap::new();
        // One fact with one match, or one lookup row with its facts in order, are the usual cases.
        let aligned = before.len() == after.len()
            && before.iter().zip(&after).all(|(old, new)| self.identity(old) == self.identity(new));
        if !aligned {
            gone.extend(before.iter().enumerate().map(|(at, pair)| (self.identity(pair), at)));
        }
        let kept = self.sides[this].keeps();
        for (at, &new) in after.iter().enumerate() {
            let old = if aligned { Some(at) } else { gone.remove(&self.identity(&new)) };
            match (old, change.opcode) {
                (Some(_), _) if self.upserts && this != self.fact => out.push(Opcode::Upsert, change.flags, new),
                (Some(old), _) => {
                    out.push(Opcode::UpdateBlock, change.flags, new);
                    out.push(Opcode::Delete, change.flags, before[old]);
                }
                (None, Opcode::Update | Opcode::Upsert) if !kept => out.push(change.opcode, change.flags, new),
                (None, _) => out.push(Opcode::Insert, change.flags, new),
            }
        }
        let opcode = if change.opcode == Opcode::SafeDelete && !kept { Opcode::SafeDelete } else { Opcode::Delete };
        let mut gone: Vec<usize> = gone.into_values().collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|at| out.push(opcode, change.flags, before[at]));
        (out.before, out.after) = (before, after);
    }

    /// The fields of the output rows.
    fn computed(&mut self, out: Out, sources: [Vec<&[Arc<Column>]>; 2]) -> Run {
        let Out { opcodes, flags, places, ends, .. } = out;
        // A fact for each row, in order, is the usual case: its columns are shared.
        let whole = [LEFT, RIGHT].map(|side| {
            let mut expected = (0..).map(|row| RowRef { source: 0, row });
            let rows = sources[side].first().and_then(|columns| columns.iter().map(|column| column.len()).max());
            rows == Some(places[side].len()) && places[side].iter().all(|place| Some(*place) == expected.next())
        });
        let gather = |side: usize, field: usize, ty| {
            if whole[side] {
                return Arc::clone(&sources[side][0][field]);
            }
            let parts: Vec<&Column> = sources[side].iter().map(|columns| &*columns[field]).collect();
            Arc::new(columns::gather_or_null(&parts, &places[side], ty))
        };
        let column = |field: &JoinField, ty| match field {
            JoinField::Left(at) => Some(gather(LEFT, *at, ty)),
            JoinField::Right(at) => Some(gather(RIGHT, *at, ty)),
            JoinField::Either(left, right) => {
                let (left, right) = (gather(LEFT, *left, ty), gather(RIGHT, *right, ty));
                let choose =
                    |row: usize| RowRef { source: u32::from(places[LEFT][row] == RowRef::NULL), row: row as u32 };
                let refs: Vec<RowRef> = (0..opcodes.len()).map(choose).collect();
                Some(Arc::new(columns::gather(&[&left, &right], &refs)))
            }
            JoinField::Program(_) => None,
        };
        let scope = self.spec.scope.as_ref().map(|scope| Block {
            schema: Arc::clone(scope),
            kind: BlockKind::Normal,
            opcodes: opcodes.clone(),
            flags: flags.clone(),
            columns: (self.spec.uses.iter().zip(scope.fields()))
                .map(|(used, field)| column(used, field.ty).expect("programs use fields of the sides"))
                .collect(),
        });
        let programs: Vec<(&Program, FieldType)> = (self.spec.fields.iter().zip(self.schema.fields()))
            .filter_map(|(field, shape)| match field {
                JoinField::Program(program) => Some((program, shape.ty)),
                _ => None,
            })
            .collect();
        let evaluated = scope.map(|scope| Program::eval_all(&programs, &scope, &mut self.memory));
        let mut evaluated = evaluated.into_iter().flatten();
        let mut made = Vec::with_capacity(self.spec.fields.len());
        for (field, shape) in self.spec.fields.iter().zip(self.schema.fields()) {
            made.push(match column(field, shape.ty) {
                Some(column) => column,
                None => {
                    let evaluated = evaluated.next().expect("a join with programs has their scope");
                    self.errors += evaluated.errors.count;
                    evaluated.column
                }
            });
        }
        let block = Block { schema: Arc::clone(&self.schema), kind: BlockKind::Normal, opcodes, flags, columns: made };
        Run { block, ends: ends.into() }
    }
}

impl Operator for Join {
    fn process(&mut self, _run: Run, _clock: Clock) -> Run {
        unreachable!("the input of a join comes by side")
    }

    fn process_sides(&mut self, mut inputs: Sides, clock: Clock) -> Run {
        for (side, table) in self.exact.iter_mut().enumerate() {
            if let Some(table) = table {
                inputs.change(side, |run| table.process(run, clock));
            }
        }
        let mut out = Out::default();
        let arrivals: [Option<Arrivals<'_>>; 2] =
            [LEFT, RIGHT].map(|side| inputs.side(side).map(|run| self.sides[side].open(run)));
        if let Some(facts) = &arrivals[self.fact]
            && arrivals[1 - self.fact].as_ref().is_none_or(|lookup| lookup.block.is_empty())
            && self.facts_pass()
        {
            self.pass(facts, &mut out);
        }
        let left = if out.ends.is_empty() { inputs.causes() } else { 0 };
        for cause in 0..left {
            for side in [1 - self.fact, self.fact] {
                let Some(arrivals) = &arrivals[side] else { continue };
                let rows = Side::rows_of(arrivals, cause);
                let mut row = rows.start;
                while row < rows.end {
                    self.event(side, arrivals, row, rows.end, &mut out);
                    row += Side::width(arrivals, row, rows.end);
                }
            }
            out.ends.push(out.opcodes.len() as u32);
        }
        // The sides lend their rows to the output while the join itself counts errors: they change places for so long.
        let sides = std::mem::replace(&mut self.sides, [LEFT, RIGHT].map(|_| Side::empty(&self.schema)));
        self.memory.set_clock(clock.get());
        let run = self.computed(out, [LEFT, RIGHT].map(|side| sides[side].sources(arrivals[side].as_ref())));
        self.sides = sides;
        self.sides.iter_mut().for_each(Side::settle);
        run
    }

    fn reads(&self, side: usize, _out: &[bool], input: &mut [bool]) {
        if self.sides[side].keeps() {
            return input.fill(true);
        }
        for field in self.spec.fields.iter().chain(&self.spec.uses) {
            match (field, side) {
                (JoinField::Left(at) | JoinField::Either(at, _), LEFT) => input[*at] = true,
                (JoinField::Right(at) | JoinField::Either(_, at), RIGHT) => input[*at] = true,
                _ => {}
            }
        }
        self.sides[side].on().iter().for_each(|&at| input[at] = true);
    }

    fn held(&self) -> Held {
        let sum = |of: fn(&Side) -> u64| self.sides.iter().map(of).sum::<u64>();
        let tables = self.exact.iter().flatten().map(Table::held);
        let (bytes, bad) = tables.fold((0, 0), |(bytes, bad), held| (bytes + held.bytes, bad + held.bad_events));
        Held {
            rows: sum(Side::rows),
            bytes: sum(Side::bytes) + bytes,
            bad_events: sum(Side::bad_events) + bad,
            expression_errors: self.errors,
        }
    }

    fn kind(&self) -> &'static str {
        match (self.sides[LEFT].keeps(), self.sides[RIGHT].keeps()) {
            (true, true) => "join",
            (false, _) => "join-of-passing-left",
            _ => "join-of-passing-right",
        }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.memory.take_messages()
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        let mut bad: Vec<BadEvent> = self.sides.iter_mut().flat_map(Side::take_bad_events).collect();
        bad.extend(self.exact.iter_mut().flatten().flat_map(Table::take_bad_events));
        bad
    }

    fn version(&self) -> u16 {
        2
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.exact.each_ref().map(Option::is_some));
        self.exact.iter().flatten().for_each(|table| table.save(to));
        self.sides.iter().for_each(|side| side.save(to));
        to.put(&(self.errors, self.memory.save()));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        from.expect(&self.exact.each_ref().map(Option::is_some), "other sides are made exact than the window's")?;
        for table in self.exact.iter_mut().flatten() {
            table.restore(from)?;
        }
        for side in &mut self.sides {
            side.restore(from)?;
        }
        let memory: Vec<u8>;
        (self.errors, memory) = from.get()?;
        restore_memory(&mut self.memory, &memory)
    }
}
