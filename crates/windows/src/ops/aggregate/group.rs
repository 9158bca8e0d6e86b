//! A group: what every function keeps of it, and its rows in order where a function asks for them.

use std::collections::BTreeMap;

use mesh_event::Value;
use mesh_model::{AggregateCall, AggregateFunction};

use super::fold::{Change, Fold};
use super::text::text_of;
use crate::state::{Damage, Reader, State, Writer};

/// A row as the ordered functions see it.
#[derive(Debug, Clone)]
pub(crate) struct OrderedRow {
    /// The row's key; empty where rows never leave.
    pub key: Box<[u8]>,
    /// One value for each argument.
    pub values: Box<[Value]>,
}

impl State for OrderedRow {
    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.key.len());
        to.bytes(&self.key);
        to.length(self.values.len());
        self.values.iter().for_each(|value| to.put(value));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (length, _) = from.length()?;
        let key = from.bytes(length)?.into();
        Ok(OrderedRow { key, values: from.get::<Vec<Value>>()?.into() })
    }
}

/// What a call keeps: a fold, and since when for one that starts anew.
#[derive(Debug, Clone)]
struct Kept {
    fold: Fold,
    start: Option<i64>,
}

/// One group.
pub(crate) struct Group {
    /// The values it is grouped by.
    pub key: Vec<Value>,
    /// Number of the group by its creation.
    pub number: u64,
    /// Its rows.
    pub rows: u64,
    /// Its output events so far.
    pub outputs: u64,
    kept: Vec<Kept>,
    /// Rows by the number of their arrival or last update.
    pub ordered: BTreeMap<u64, OrderedRow>,
}

impl Group {
    pub(crate) fn new(key: Vec<Value>, number: u64, calls: &[AggregateCall], grows: bool) -> Group {
        let kept = calls.iter().map(|call| Kept { fold: Fold::new(call, grows), start: None }).collect();
        Group { key, number, rows: 0, outputs: 0, kept, ordered: BTreeMap::new() }
    }

    /// A row joins or leaves. `values`: one for each argument.
    pub(crate) fn change(&mut self, calls: &[AggregateCall], change: Change, values: &[Value], clock: Option<i64>) {
        let adds = change == Change::Add;
        self.rows = if adds { self.rows + 1 } else { self.rows.saturating_sub(1) };
        for (kept, call) in self.kept.iter_mut().zip(calls) {
            if let Some(us) = call.period_us {
                // Nothing leaves a period but by its end.
                if !adds {
                    continue;
                }
                match (kept.start, clock) {
                    (Some(start), Some(now)) if now.saturating_sub(start) >= us => {
                        *kept = Kept { fold: Fold::new(call, true), start: clock };
                    }
                    (None, _) => kept.start = clock,
                    _ => {}
                }
            }
            let value = call.argument.map_or(&Value::Null, |at| &values[at]);
            let weight = call.weight.map_or(&Value::Null, |at| &values[at]);
            kept.fold.change(call, change, value, weight);
        }
    }

    /// An event changed the group.
    pub(crate) fn event(&mut self, calls: &[AggregateCall], opcode: i64) {
        self.kept.iter_mut().zip(calls).for_each(|(kept, call)| kept.fold.event(call, opcode));
    }

    /// The present value of a call.
    pub(crate) fn value(&self, at: usize, call: &AggregateCall) -> Value {
        let argument = |row: &OrderedRow| call.argument.map_or(Value::Null, |at| row.values[at].clone());
        let of = |row: Option<(&u64, &OrderedRow)>| row.map_or(Value::Null, |(_, row)| argument(row));
        match &call.function {
            AggregateFunction::First => of(self.ordered.first_key_value()),
            AggregateFunction::Last => of(self.ordered.last_key_value()),
            AggregateFunction::Lag(back) => of(self.ordered.iter().nth_back(*back)),
            AggregateFunction::Cat(separator) => {
                let texts = self.ordered.values().map(argument).filter(|value| !value.is_null());
                let texts: Vec<String> = texts.map(|value| text_of(&value)).collect();
                if texts.is_empty() { Value::Null } else { Value::String(texts.join(separator).into()) }
            }
            _ => self.kept[at].fold.value(call),
        }
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.key);
        to.put(&(self.rows, self.outputs));
        for kept in &self.kept {
            to.put(&kept.start);
            kept.fold.save(to);
        }
        to.put(&self.ordered);
    }

    pub(crate) fn restore(
        from: &mut Reader<'_>,
        number: u64,
        calls: &[AggregateCall],
        (grows, arguments): (bool, usize),
    ) -> Result<Group, Damage> {
        let mut group = Group::new(from.get()?, number, calls, grows);
        (group.rows, group.outputs) = from.get()?;
        for kept in &mut group.kept {
            kept.start = from.get()?;
            kept.fold.restore(from)?;
        }
        group.ordered = from.get()?;
        if group.ordered.values().any(|row| row.values.len() != arguments) {
            return Err(Damage::Broken("a row has another number of arguments than the window"));
        }
        Ok(group)
    }
}
