//! Filter: passes rows for which the condition is true.

use std::sync::Arc;

use mesh_event::{Block, Opcode, Schema};
use mesh_expr::{Program, State};

use super::lua::Asked;
use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::columns::RowRef;
use crate::live::Live;
use crate::run::{Emitter, Run, is_pair};
use crate::slots::select;
use crate::state::{Damage, Reader, Writer};
use crate::store::Table;

/// An update block passes by what the condition says of its halves: only the new one passes: Insert; only the old one:
/// Delete; both: both; none: nothing.
///
/// Where rows can change or go and the window has an index, the rows that passed are held ([`Filter::stateful`]): a
/// delete passes when the row did, and carries it as it was, whatever the condition says of the delete. Without an
/// index the condition is asked about every event as it comes.
pub(crate) struct Filter {
    schema: Arc<Schema>,
    condition: Condition,
    passed: Option<Table>,
    keep: Vec<bool>,
    live: Live,
}

/// What says which rows pass.
pub(crate) enum Condition {
    Program { program: Program, memory: State, errors: u64 },
    Script(Box<Asked>),
}

impl Condition {
    /// An expression. `place`: where the window stands.
    pub(crate) fn program(program: &Program, place: &str) -> Condition {
        Condition::Program { program: program.clone(), memory: State::new(seed_of(place)), errors: 0 }
    }

    fn keep(&mut self, block: &Block, clock: Clock, keep: &mut Vec<bool>) {
        match self {
            Condition::Program { program, memory, errors } => {
                memory.set_clock(clock.get());
                *errors += program.eval_filter_in(block, keep, memory).count;
            }
            Condition::Script(asked) => {
                asked.work.set_clock(clock);
                asked.keep(block, keep);
            }
        }
    }
}

impl Filter {
    /// A filter that holds no rows.
    pub(crate) fn stateless(schema: &Arc<Schema>, condition: Condition) -> Filter {
        Filter { schema: Arc::clone(schema), condition, passed: None, keep: Vec::new(), live: Live::all(schema) }
    }

    /// A filter that holds the rows that passed.
    pub(crate) fn stateful(schema: &Arc<Schema>, condition: Condition) -> Filter {
        Filter { passed: Some(Table::new(schema, None)), ..Filter::stateless(schema, condition) }
    }
}

impl Operator for Filter {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let mut keep = std::mem::take(&mut self.keep);
        self.condition.keep(&run.block, clock, &mut keep);
        self.keep = keep;
        if let Some(passed) = &mut self.passed {
            return passed.process(intents(&self.schema, &self.keep, &run), clock);
        }
        select(&self.live, &run, &self.keep)
    }

    fn reads(&self, _side: usize, out: &[bool], input: &mut [bool]) {
        match (&self.condition, &self.passed) {
            (Condition::Program { program, .. }, None) => {
                input.copy_from_slice(out);
                program.fields().for_each(|field| input[field] = true);
            }
            _ => input.fill(true),
        }
    }

    fn set_live(&mut self, live: Live) {
        self.live = live.with_digested();
    }

    fn held(&self) -> Held {
        let held = self.passed.as_ref().map_or(Held::default(), Table::held);
        let expression_errors = match &self.condition {
            Condition::Program { errors, .. } => *errors,
            Condition::Script(asked) => asked.work.errors,
        };
        Held { expression_errors, ..held }
    }

    fn take_messages(&mut self) -> Vec<String> {
        match &mut self.condition {
            Condition::Program { memory, .. } => memory.take_messages(),
            Condition::Script(asked) => asked.work.take_messages(),
        }
    }

    fn kind(&self) -> &'static str {
        match (&self.condition, &self.passed) {
            (Condition::Program { .. }, Some(_)) => "filter-of-held-rows",
            (Condition::Program { .. }, None) => "filter",
            (Condition::Script(_), Some(_)) => "lua-filter-of-held-rows",
            (Condition::Script(_), None) => "lua-filter",
        }
    }

    fn save(&self, to: &mut Writer<'_>) {
        match &self.condition {
            Condition::Program { memory, errors, .. } => to.put(&(*errors, memory.save())),
            Condition::Script(asked) => asked.work.save(to),
        }
        if let Some(passed) = &self.passed {
            passed.save(to);
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match &mut self.condition {
            Condition::Program { memory, errors, .. } => {
                let saved: Vec<u8>;
                (*errors, saved) = from.get()?;
                restore_memory(memory, &saved)?;
            }
            Condition::Script(asked) => asked.work.restore(from)?,
        }
        self.passed.as_mut().map_or(Ok(()), |passed| passed.restore(from))
    }
}

/// Each event as what it asks of the rows that passed before: a row that passes now is put in, one that does not
/// is taken out if it is there.
fn intents(schema: &Arc<Schema>, keep: &[bool], run: &Run) -> Run {
    let block = &run.block;
    let mut out = Emitter::with_capacity(block.len());
    let mut row = 0;
    for &end in run.ends.iter() {
        while row < end {
            let at = row as usize;
            let opcode = block.opcodes[at];
            let pair = is_pair(block, row, end);
            let intent = match (opcode, keep[at]) {
                (Opcode::Delete | Opcode::SafeDelete, _) => Some(Opcode::SafeDelete),
                (Opcode::Insert, true) => Some(Opcode::Insert),
                (Opcode::Insert, false) => None,
                (Opcode::Update | Opcode::Upsert | Opcode::UpdateBlock, true) => Some(Opcode::Upsert),
                (Opcode::Update | Opcode::Upsert | Opcode::UpdateBlock, false) => Some(Opcode::SafeDelete),
            };
            if let Some(intent) = intent {
                out.push(intent, block.flags[at], RowRef { source: 0, row });
            }
            row += 1 + u32::from(pair);
        }
        out.end_cause();
    }
    out.finish(schema, &[&block.columns], Some(0))
}
