//! Lua: events that a script makes; and scripts at work for filters, splitters and patterns.

use std::ops::Range;
use std::sync::Arc;

use mesh_event::{Block, BlockKind, ColumnBuilder, Flags, Opcode, Schema, Value};
use mesh_model::{LuaInput, LuaWindow, ScriptCall};
use mesh_script::{Machine, Made, Output, Rows, Script, ScriptError};

use super::{Clock, Held, Operator, Sides, seed_of};
use crate::bad::{BadEvent, BadEvents};
use crate::run::{Run, alone, is_pair};
use crate::state::{Damage, Reader, Writer};

/// A script at work: its machine, what went wrong, what it says.
pub(crate) struct Work {
    machine: Machine,
    pub errors: u64,
    messages: Vec<String>,
}

/// Errors that are told in the log between two calls of [`Work::take_messages`]; more are only counted.
const MAX_TOLD: usize = 20;

/// A machine has room for what it hands over: its limit is far above a schema's names.
const ROOM: &str = "the names of a schema fit into a script's memory";

impl Work {
    /// `place`: where the script stands, which makes its random numbers its own.
    pub(crate) fn new(script: &Script, place: &str) -> Work {
        Work { machine: Machine::new(script, seed_of(place)), errors: 0, messages: Vec::new() }
    }

    pub(crate) fn rows(&self, schema: &Schema, used: Option<&[usize]>) -> Rows {
        self.machine.rows(schema, used).expect(ROOM)
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.machine.set_clock(clock.get());
    }

    /// A result; an error is counted and told.
    pub(crate) fn settle<T>(&mut self, result: Result<T, ScriptError>) -> Option<T> {
        result.map_err(|error| self.tell(error.to_string())).ok()
    }

    fn tell(&mut self, error: String) {
        self.errors += 1;
        if self.messages.len() < MAX_TOLD {
            self.messages.push(format!("script error: {error}"));
        }
    }

    /// What a function says of a row.
    pub(crate) fn test(&mut self, function: &str, row: (&Rows, &Block, usize)) -> bool {
        let result = self.machine.test(function, row);
        self.settle(result).unwrap_or(false)
    }

    /// Whether a row is an event of a pattern, for an instance; `name`: the event's.
    pub(crate) fn matches(
        &mut self,
        (function, name): (&str, &str),
        row: (&Rows, &Block, usize),
        instance: u64,
    ) -> bool {
        let result = self.machine.matches((function, name), row, instance);
        self.settle(result).unwrap_or(false)
    }

    /// What a function makes of a complete instance: the values of the window's fields; `None`: nothing goes out.
    pub(crate) fn complete(&mut self, function: &str, instance: u64, output: &Output) -> Option<Vec<Option<Value>>> {
        let result = self.machine.complete(function, instance, output);
        let made = self.settle(result)?.into_iter().next()?;
        made.misfits.into_iter().for_each(|misfit| self.tell(misfit));
        Some(made.values)
    }

    pub(crate) fn output(&self, schema: &Schema) -> Output {
        self.machine.output(schema, &[]).expect(ROOM)
    }

    pub(crate) fn forget(&mut self, instance: u64) {
        self.machine.forget(instance);
    }

    pub(crate) fn take_messages(&mut self) -> Vec<String> {
        let mut messages = self.machine.take_messages();
        messages.append(&mut self.messages);
        messages
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.errors);
        match self.machine.save() {
            Ok(state) => to.put(&state),
            Err(error) => to.refuse(error.to_string()),
        }
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.errors = from.get()?;
        let state: Vec<u8> = from.get()?;
        if self.machine.restore(&state) { Ok(()) } else { Err(Damage::Broken("the state of a script is not readable")) }
    }
}

/// A function of a script that is asked about rows.
pub(crate) struct Asked {
    pub work: Work,
    function: String,
    rows: Rows,
}

impl Asked {
    pub(crate) fn new(call: &ScriptCall, schema: &Schema, place: &str) -> Asked {
        let work = Work::new(&call.script, place);
        let rows = work.rows(schema, call.used.as_deref());
        Asked { work, function: call.function.clone(), rows }
    }

    /// What the function says of each row.
    pub(crate) fn keep(&mut self, block: &Block, keep: &mut Vec<bool>) {
        keep.clear();
        keep.extend((0..block.len()).map(|row| self.work.test(&self.function, (&self.rows, block, row))));
    }

    /// The number that the function makes of a row.
    pub(crate) fn number(&mut self, block: &Block, row: usize) -> Option<i64> {
        let result = self.work.machine.number(&self.function, (&self.rows, block, row));
        self.work.settle(result).flatten()
    }
}

/// A Lua window.
pub(crate) struct Lua {
    schema: Arc<Schema>,
    spec: LuaWindow,
    work: Work,
    /// How the rows of each side are handed over.
    rows: Vec<Rows>,
    /// The side whose name the script was told last.
    side: Option<usize>,
    output: Output,
    bad: BadEvents,
    /// Clock of the last heartbeat.
    beat: Option<i64>,
}

/// Events on their way into a block.
struct Making {
    opcodes: Vec<Opcode>,
    flags: Vec<Flags>,
    columns: Vec<ColumnBuilder>,
}

impl Lua {
    /// `inputs`: the schemas of what comes in, by side; `place`: where the window stands.
    pub(crate) fn new(schema: &Arc<Schema>, spec: &LuaWindow, inputs: &[&Schema], place: &str) -> Lua {
        let work = Work::new(&spec.script, place);
        let rows = |(schema, input): (&&Schema, &LuaInput)| {
            let rows = match &input.variables {
                Some(variables) => work.machine.named_rows(schema, variables).expect(ROOM),
                None => work.rows(schema, input.used.as_deref()),
            };
            if spec.expand { rows.expand() } else { rows }
        };
        let rows = inputs.iter().zip(&spec.inputs).map(rows).collect();
        let output = work.machine.output(schema, &spec.outputs).expect(ROOM);
        let (schema, spec) = (Arc::clone(schema), spec.clone());
        Lua { schema, spec, work, rows, side: None, output, bad: BadEvents::default(), beat: None }
    }

    fn making(&self, rows: usize) -> Making {
        let columns = self.schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, rows)).collect();
        Making { opcodes: Vec::with_capacity(rows), flags: Vec::with_capacity(rows), columns }
    }

    /// Adds an event. `from`: the row it was made of, for what is copied.
    fn add(
        &mut self,
        made: Made,
        (opcode, flags): (Opcode, Flags),
        from: Option<(&Block, usize, usize)>,
        into: &mut Making,
    ) {
        made.misfits.into_iter().for_each(|misfit| self.work.tell(misfit));
        let mut values = made.values;
        if let Some((block, row, side)) = from {
            for (value, copy) in values.iter_mut().zip(&self.spec.inputs[side].copies) {
                if let (None, Some(at)) = (&value, copy) {
                    *value = Some(block.columns[*at].value(row));
                }
            }
        }
        let keyless = self.schema.keys().iter().any(|&key| values[key].as_ref().is_none_or(Value::is_null));
        if keyless {
            match from {
                Some((block, row, _)) => self.bad.add("the script made an event without a key of it", block, row),
                None => self.bad.add_made("the script made an event without a key at a heartbeat"),
            }
            return;
        }
        for (value, column) in values.into_iter().zip(&mut into.columns) {
            if !value.is_some_and(|value| column.push(&value)) {
                column.push_null();
            }
        }
        into.opcodes.push(made.opcode.unwrap_or(opcode));
        into.flags.push(made.flags.unwrap_or(flags));
    }

    fn finish(&self, making: Making, ends: Vec<u32>) -> Run {
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: making.opcodes,
            flags: making.flags,
            columns: making.columns.into_iter().map(|column| Arc::new(column.finish())).collect(),
        };
        Run { block, ends: ends.into() }
    }
}

impl Lua {
    /// Hands the events in a range of rows of a side to the script.
    fn rows(&mut self, side: usize, block: &Block, rows: Range<u32>, making: &mut Making) {
        let Range { start: mut row, end } = rows;
        if row < end && self.side != Some(side) {
            self.side = Some(side);
            let named = self.work.machine.name_input(&self.spec.inputs[side].name);
            self.work.settle(named);
        }
        while row < end {
            let at = row as usize;
            let pair = is_pair(block, row, end) && !self.spec.process_blocks;
            let opcode = alone(block.opcodes[at]);
            let result = self.work.machine.event(&self.spec.function, (&self.rows[side], block, at), &self.output);
            for made in self.work.settle(result).unwrap_or_default() {
                self.add(made, (opcode, block.flags[at]), Some((block, at, side)), making);
            }
            row += 1 + u32::from(pair);
        }
    }
}

impl Operator for Lua {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let mut sides = Sides::default();
        sides.add(0, run);
        self.process_sides(sides, clock)
    }

    /// Cause by cause, and of one cause side by side.
    fn process_sides(&mut self, sides: Sides, clock: Clock) -> Run {
        self.work.set_clock(clock);
        let runs: Vec<Option<&Run>> = (0..self.rows.len()).map(|side| sides.side(side)).collect();
        let mut making = self.making(runs.iter().flatten().map(|run| run.block.len()).sum());
        let mut ends = Vec::with_capacity(sides.causes());
        for cause in 0..sides.causes() {
            for (side, run) in runs.iter().enumerate() {
                let Some(run) = run else { continue };
                let start = if cause == 0 { 0 } else { run.ends[cause - 1] };
                self.rows(side, &run.block, start..run.ends[cause], &mut making);
            }
            ends.push(making.opcodes.len() as u32);
        }
        self.finish(making, ends)
    }

    fn tick(&mut self, _before: Clock, now: Clock) -> Option<Run> {
        let (function, every) = self.spec.heartbeat.clone()?;
        let clock = now.get().expect("a tick has set the clock");
        if self.beat.is_some_and(|beat| clock < beat.saturating_add(every)) {
            return None;
        }
        self.beat = Some(clock);
        self.work.set_clock(now);
        let result = self.work.machine.beat(&function, &self.output);
        let mut making = self.making(1);
        for made in self.work.settle(result).unwrap_or_default() {
            self.add(made, (Opcode::Insert, Flags::NORMAL), None, &mut making);
        }
        let rows = making.opcodes.len() as u32;
        (rows > 0).then(|| self.finish(making, vec![rows]))
    }

    fn deadline_us(&self) -> Option<i64> {
        let (_, every) = self.spec.heartbeat.as_ref()?;
        Some(self.beat.map_or(i64::MIN, |beat| beat.saturating_add(*every)))
    }

    fn held(&self) -> Held {
        Held { bad_events: self.bad.count(), expression_errors: self.work.errors, ..Held::default() }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.work.take_messages()
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    fn kind(&self) -> &'static str {
        "lua"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.bad.count(), self.beat));
        self.work.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let count: u64;
        (count, self.beat) = from.get()?;
        self.bad = BadEvents::counted(count);
        self.work.restore(from)
    }
}
