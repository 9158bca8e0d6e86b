//! Transpose: one row to one for each tag, or the rows of a group to one with a column for each tag.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Column, ColumnBuilder, Schema, Value};
use mesh_model::Transpose as Spec;

use super::functional::nulls;
use super::{Clock, Held, Operator};
use crate::columns::RowRef;
use crate::run::{Emitter, Run, is_pair};
use crate::state::{Damage, Reader, Writer};
use crate::store::keys;

/// Columns to rows. Keeps nothing: every event becomes one for each tag, with its own opcode.
pub(crate) struct Long {
    schema: Arc<Schema>,
    spec: Spec,
}

impl Long {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec) -> Long {
        Long { schema: Arc::clone(schema), spec: spec.clone() }
    }
}

impl Operator for Long {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let Spec::Long { copies, number, tag, values, tags } = &self.spec else {
            unreachable!("the plan gives a long transpose to this operator")
        };
        let block = &run.block;
        let mut out = Emitter::with_capacity(block.len() * tags.len());
        // The tag of each event that goes out.
        let mut tag_of = Vec::with_capacity(block.len() * tags.len());
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end {
                let halves = if is_pair(block, row, end) { 2 } else { 1 };
                for tag in 0..tags.len() {
                    for half in 0..halves {
                        let at = (row + half) as usize;
                        // The source is the tag: its value columns are those of the tag.
                        out.push(block.opcodes[at], block.flags[at], RowRef { source: tag as u32, row: row + half });
                        tag_of.push(tag);
                    }
                }
                row += halves;
            }
            out.end_cause();
        }
        let fields = self.schema.fields();
        let sources: Vec<Vec<Arc<Column>>> = (0..tags.len())
            .map(|tag| {
                let column = |(field, shape): (usize, &mesh_event::Field)| {
                    let value = values.iter().position(|&value| value == field).and_then(|value| tags[tag].1[value]);
                    match copies[field].or(value) {
                        Some(input) => Arc::clone(&block.columns[input]),
                        None => Arc::new(nulls(shape.ty, block.len())),
                    }
                };
                fields.iter().enumerate().map(column).collect()
            })
            .collect();
        let sources: Vec<&[Arc<Column>]> = sources.iter().map(Vec::as_slice).collect();
        let mut run = out.finish(&self.schema, &sources, None);
        let mut numbers = ColumnBuilder::new(fields[*number].ty, tag_of.len());
        tag_of.iter().for_each(|&tag| assert!(numbers.push_i64(tag as i64), "the model gives the number an int type"));
        run.block.columns[*number] = Arc::new(numbers.finish());
        if let Some(field) = tag {
            let mut names = ColumnBuilder::new(fields[*field].ty, tag_of.len());
            tag_of.iter().for_each(|&tag| assert!(names.push_str(&tags[tag].0), "the model gives the tag a text type"));
            run.block.columns[*field] = Arc::new(names.finish());
        }
        run
    }

    fn kind(&self) -> &'static str {
        "transpose-long"
    }

    fn save(&self, _to: &mut Writer<'_>) {}

    fn restore(&mut self, _from: &mut Reader<'_>) -> Result<(), Damage> {
        Ok(())
    }
}

/// The last values of a group.
struct Group {
    values: Vec<Value>,
    /// Clock of its last event.
    time: Option<i64>,
}

/// Rows to columns. Every insert, update or upsert puts its values into the columns of its tag, beside the last values
/// of the group's other tags. Deletes, and the old halves of updates, put nothing out: the last value stays the last.
pub(crate) struct Wide {
    schema: Arc<Schema>,
    spec: Spec,
    groups: BTreeMap<Vec<u8>, Group>,
}

impl Wide {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec) -> Wide {
        Wide { schema: Arc::clone(schema), spec: spec.clone(), groups: BTreeMap::new() }
    }

    fn clear_us(&self) -> Option<i64> {
        match &self.spec {
            Spec::Wide { clear_us, .. } => *clear_us,
            Spec::Long { .. } => None,
        }
    }
}

impl Operator for Wide {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let Spec::Wide { group, tag, tags, columns, copies, .. } = &self.spec else {
            unreachable!("the plan gives a wide transpose to this operator")
        };
        let block = &run.block;
        let places: Vec<(usize, usize)> = columns.iter().flatten().copied().collect();
        let mut builders: Vec<ColumnBuilder> =
            places.iter().map(|&(field, _)| ColumnBuilder::new(self.schema.fields()[field].ty, block.len())).collect();
        let (mut rows, mut ends) = (Vec::new(), Vec::with_capacity(run.ends.len()));
        for news in run.news() {
            for at in news {
                let name = block.columns[*tag].str(at);
                let Some(found) = tags.iter().position(|tag| tag == name) else { continue };
                let mut key = Vec::new();
                keys::write(&block.columns, group, at, &mut key);
                let empty = || Group { values: vec![Value::Null; places.len()], time: None };
                let held = self.groups.entry(key).or_insert_with(empty);
                held.time = clock.get();
                let first: usize = columns[..found].iter().map(Vec::len).sum();
                for (offset, &(_, input)) in columns[found].iter().enumerate() {
                    held.values[first + offset] = block.columns[input].value(at);
                }
                for (builder, value) in builders.iter_mut().zip(&held.values) {
                    assert!(builder.push(value), "the model gives a column the type of its values");
                }
                rows.push(at as u32);
            }
            ends.push(rows.len() as u32);
        }
        let mut made: BTreeMap<usize, Arc<Column>> =
            places.iter().zip(builders).map(|(&(field, _), builder)| (field, Arc::new(builder.finish()))).collect();
        let column = |(field, shape): (usize, &mesh_event::Field)| match (made.remove(&field), copies[field]) {
            (Some(column), _) => column,
            (None, Some(input)) => Arc::new(block.columns[input].gather(&rows)),
            (None, None) => Arc::new(nulls(shape.ty, rows.len())),
        };
        let columns = self.schema.fields().iter().enumerate().map(column).collect();
        run.with_rows(&rows, &self.schema, columns, ends)
    }

    fn tick(&mut self, _before: Clock, now: Clock) -> Option<Run> {
        let us = self.clear_us()?;
        let now = now.get().expect("a tick has set the clock");
        self.groups.retain(|_, group| now.saturating_sub(*group.time.get_or_insert(now)) < us);
        None
    }

    fn held(&self) -> Held {
        let values: usize = self.groups.values().map(|group| group.values.len() * size_of::<Value>()).sum();
        let groups = self.groups.len() * size_of::<Group>();
        Held { rows: self.groups.len() as u64, bytes: (values + groups) as u64, ..Held::default() }
    }

    fn kind(&self) -> &'static str {
        "transpose-wide"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.groups.len());
        for (key, group) in &self.groups {
            to.put(key);
            to.put(&group.values);
            to.put(&group.time);
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let Spec::Wide { columns, .. } = &self.spec else {
            unreachable!("the plan gives a wide transpose to this operator")
        };
        let types: Vec<_> = columns.iter().flatten().map(|&(field, _)| self.schema.fields()[field].ty).collect();
        let (groups, _) = from.length()?;
        for _ in 0..groups {
            let key = from.get()?;
            let values: Vec<Value> = from.get()?;
            let fits = values.len() == types.len()
                && values.iter().zip(&types).all(|(value, ty)| value.field_type().is_none_or(|found| found == *ty));
            if !fits {
                return Err(Damage::Broken("a group has other columns than the window"));
            }
            self.groups.insert(key, Group { values, time: from.get()? });
        }
        Ok(())
    }
}
