//! Filter: passes rows for which the condition is true.

use std::sync::Arc;

use mesh_event::{Opcode, Schema};
use mesh_expr::{Program, State};

use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::columns::RowRef;
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
    condition: Program,
    passed: Option<Table>,
    keep: Vec<bool>,
    memory: State,
    errors: u64,
}

impl Filter {
    /// A filter that holds no rows.
    pub(crate) fn stateless(schema: &Arc<Schema>, condition: &Program, seed: &str) -> Filter {
        let memory = State::new(seed_of(seed));
        let schema = Arc::clone(schema);
        Filter { schema, condition: condition.clone(), passed: None, keep: Vec::new(), memory, errors: 0 }
    }

    /// A filter that holds the rows that passed.
    pub(crate) fn stateful(schema: &Arc<Schema>, condition: &Program, seed: &str) -> Filter {
        Filter { passed: Some(Table::new(schema, None)), ..Filter::stateless(schema, condition, seed) }
    }
}

impl Operator for Filter {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let mut keep = std::mem::take(&mut self.keep);
        self.memory.set_clock(clock.get());
        self.errors += self.condition.eval_filter_in(&run.block, &mut keep, &mut self.memory).count;
        self.keep = keep;
        if let Some(passed) = &mut self.passed {
            return passed.process(intents(&self.schema, &self.keep, &run), clock);
        }
        select(&self.schema, &run, &self.keep)
    }

    fn held(&self) -> Held {
        let held = self.passed.as_ref().map_or(Held::default(), Table::held);
        Held { expression_errors: self.errors, ..held }
    }

    fn kind(&self) -> &'static str {
        if self.passed.is_some() { "filter-of-held-rows" } else { "filter" }
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.errors, self.memory.save()));
        if let Some(passed) = &self.passed {
            passed.save(to);
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let memory: Vec<u8>;
        (self.errors, memory) = from.get()?;
        restore_memory(&mut self.memory, &memory)?;
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
