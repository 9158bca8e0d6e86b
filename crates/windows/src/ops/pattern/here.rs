//! The row at hand of a pattern: which events it is, given what an instance knows.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, Value};
use mesh_model::PatternEvent;

use super::machine::{Machine, Outcome};
use super::open::Instance;
use super::rule::{Looked, Scripted};
use crate::ops::aggregate::same_number;

/// The row at hand, for the conditions of a pattern's events.
pub(crate) struct Here<'a> {
    pub events: &'a [PatternEvent],
    pub block: &'a Block,
    pub row: usize,
    pub looked: &'a Looked,
    pub input: usize,
}

/// Shows the row at hand to an instance. `kept`: the row's values for each event, made once for all instances.
pub(crate) fn fed(
    machine: &Machine,
    instance: &mut Instance,
    time: i64,
    here: &Here<'_>,
    kept: &mut [Option<Arc<[Value]>>],
    mut script: Option<&mut Scripted>,
) -> Outcome {
    let Instance { number, progress, variables, captures, .. } = instance;
    let number = *number;
    let mut matches = |event: usize| {
        let matched = here.meets(event, variables) && here.agrees(event, number, script.as_deref_mut());
        if matched {
            let values = kept[event].get_or_insert_with(|| {
                let fields = here.events[event].keeps.iter();
                fields.map(|&field| here.block.columns[field].value(here.row)).collect()
            });
            captures[event] = Some(Arc::clone(values));
        }
        matched
    };
    machine.feed(progress, time, &mut matches)
}

impl Here<'_> {
    /// Whether the row is this event, given the variables; if it is, its variables are bound.
    fn meets(&self, at: usize, variables: &mut [Option<Value>]) -> bool {
        let event = &self.events[at];
        if !self.looked.keep[at].as_ref().is_some_and(|keep| keep[self.row]) {
            return false;
        }
        if event.binds.is_empty() && event.tests.is_empty() {
            return true;
        }
        let mut bound: Vec<(usize, Value)> = Vec::new();
        for ((variable, ..), column) in event.binds.iter().zip(&self.looked.binds[at]) {
            let value = column.value(self.row);
            let before = bound.iter().find(|(other, _)| other == variable).map(|(_, value)| value);
            match before.or(variables[*variable].as_ref()) {
                // Null is equal to nothing, and binds nothing.
                _ if value.is_null() => return false,
                Some(before) if !same_number(before, &value) => return false,
                Some(_) => {}
                None => bound.push((*variable, value)),
            }
        }
        if !event.tests.is_empty() && !self.passes(event, variables, &bound) {
            return false;
        }
        bound.into_iter().for_each(|(variable, value)| variables[variable] = Some(value));
        true
    }

    /// What the event's function in the pattern's script says of the row.
    fn agrees(&self, at: usize, number: u64, script: Option<&mut Scripted>) -> bool {
        let (Some(function), Some(script)) = (&self.events[at].function, script) else { return true };
        let Scripted { work, rows, .. } = script;
        let name = &self.events[at].name;
        work.matches((function, name), (&rows[self.input], self.block, self.row), number)
    }

    /// The tests of an event, over one row and the variables.
    fn passes(&self, event: &PatternEvent, variables: &[Option<Value>], bound: &[(usize, Value)]) -> bool {
        let mut columns: Vec<Arc<Column>> =
            self.block.columns.iter().map(|column| Arc::new(column.gather(&[self.row as u32]))).collect();
        let fields = columns.len();
        for (variable, field) in event.scope.fields()[fields..].iter().enumerate() {
            let new = bound.iter().find(|(other, _)| *other == variable).map(|(_, value)| value);
            let mut builder = ColumnBuilder::new(field.ty, 1);
            match new.or(variables[variable].as_ref()) {
                Some(value) if builder.push(value) => {}
                _ => builder.push_null(),
            }
            columns.push(Arc::new(builder.finish()));
        }
        let block = Block {
            schema: Arc::clone(&event.scope),
            kind: self.block.kind,
            opcodes: vec![self.block.opcodes[self.row]],
            flags: vec![self.block.flags[self.row]],
            columns,
        };
        let mut keep = Vec::new();
        event.tests.iter().all(|test| {
            test.eval_filter(&block, &mut keep);
            keep == [true]
        })
    }
}
