//! What a window may do to its output before it leaves: inserts only, no update blocks, in pulses.

use std::sync::Arc;

use mesh_event::{Opcode, Schema};
use mesh_model::OutputRule;

use crate::columns::RowRef;
use crate::ops::Clock;
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, RowBatches, Writer, save_rows};

/// Changes a window's output. With a pulse, what leaves is held until the first tick that is at least the interval
/// after the last one; pulses are counted from the first tick.
pub(crate) struct Outlet {
    rule: OutputRule,
    schema: Arc<Schema>,
    held: Vec<Run>,
    /// Start of the present pulse.
    start: Option<i64>,
}

impl Outlet {
    /// `None`: the rule changes nothing.
    pub(crate) fn new(rule: OutputRule, schema: &Arc<Schema>) -> Option<Outlet> {
        let changes = rule != OutputRule::default();
        changes.then(|| Outlet { rule, schema: Arc::clone(schema), held: Vec::new(), start: None })
    }

    /// What leaves of a run at once.
    pub(crate) fn pass(&mut self, run: Run, clock: Clock) -> Option<Run> {
        let run = if self.rule.insert_only || self.rule.collapse_updates { self.changed(&run) } else { run };
        if self.rule.pulse_us.is_none() {
            return Some(run);
        }
        self.start = self.start.or(clock.get());
        if !run.block.is_empty() {
            self.held.push(Run { ends: [run.block.len() as u32].into(), ..run });
        }
        None
    }

    /// What leaves at a tick; `own`: what the window itself puts out because of it.
    pub(crate) fn tick(&mut self, own: Option<Run>, now: Clock) -> Option<Run> {
        let passed = own.and_then(|run| self.pass(run, now));
        let Some(us) = self.rule.pulse_us else { return passed };
        let now = now.get().expect("a tick has set the clock");
        let start = *self.start.get_or_insert(now);
        let passed = now.saturating_sub(start);
        if passed < us {
            return None;
        }
        self.start = Some(now.saturating_sub(passed % us));
        let held = std::mem::take(&mut self.held);
        if held.is_empty() { None } else { Some(Run::join(&held)) }
    }

    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let us = self.rule.pulse_us.filter(|_| !self.held.is_empty())?;
        match self.start {
            Some(start) => start.checked_add(us),
            None => Some(i64::MIN),
        }
    }

    fn changed(&self, run: &Run) -> Run {
        let block = &run.block;
        let mut out = Emitter::with_capacity(block.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                let at = row as usize;
                let pair = is_pair(block, row, end);
                let opcode = match block.opcodes[at] {
                    Opcode::Delete | Opcode::SafeDelete if self.rule.insert_only => None,
                    _ if self.rule.insert_only => Some(Opcode::Insert),
                    Opcode::UpdateBlock => Some(Opcode::Update),
                    other => Some(other),
                };
                if let Some(opcode) = opcode {
                    out.push(opcode, block.flags[at], RowRef { source: 0, row });
                }
                row += 1 + u32::from(pair);
            }
            out.end_cause();
        }
        out.finish(&self.schema, &[&block.columns], Some(0))
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.start);
        let sources: Vec<_> = self.held.iter().map(|run| run.block.columns.as_slice()).collect();
        let mut refs = Vec::new();
        let (mut opcodes, mut flags) = (Vec::new(), Vec::new());
        for (source, run) in self.held.iter().enumerate() {
            refs.extend((0..run.block.len()).map(|row| RowRef { source: source as u32, row: row as u32 }));
            opcodes.extend_from_slice(&run.block.opcodes);
            flags.extend_from_slice(&run.block.flags);
        }
        to.put(&(opcodes, flags));
        save_rows(to, &sources, &refs, self.schema.fields().len());
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.start = from.get()?;
        let (opcodes, flags): (Vec<Opcode>, Vec<_>) = from.get()?;
        let mut batches = RowBatches::load(from)?;
        let mut at = 0;
        while let Some((columns, rows)) = batches.next(from, &self.schema)? {
            let range = at..at + rows;
            at = range.end;
            let (Some(opcodes), Some(flags)) = (opcodes.get(range.clone()), flags.get(range)) else {
                return Err(Damage::Broken("there are more rows than opcodes"));
            };
            let block = mesh_event::Block {
                schema: Arc::clone(&self.schema),
                kind: mesh_event::BlockKind::Normal,
                opcodes: opcodes.to_vec(),
                flags: flags.to_vec(),
                columns,
            };
            self.held.push(Run { block, ends: [rows as u32].into() });
        }
        if at == opcodes.len() { Ok(()) } else { Err(Damage::Broken("there are fewer rows than opcodes")) }
    }
}
