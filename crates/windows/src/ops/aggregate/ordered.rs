//! The rows of groups in order, where a function asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

// order-free: found by key only; rows are saved by their order.
use hashbrown::HashMap;
use mesh_event::{Column, ColumnBuilder, Value};
use mesh_model::{AggregateCall, AggregateFunction};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::changes::Changes;
use super::text::text_of;
use crate::state::{Damage, Reader, State, Writer};
use crate::store::keys;

/// A row as the ordered functions see it.
#[derive(Debug, Clone)]
pub(crate) struct OrderedRow {
    /// The row's key; empty where rows never leave.
    key: Box<[u8]>,
    /// One value for each argument.
    values: Box<[Value]>,
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

/// Rows by the number of their arrival or last update.
pub(crate) type InOrder = BTreeMap<u64, OrderedRow>;

/// The rows of each group in order.
pub(crate) struct Ordered {
    /// Key fields of the input, by which rows are found again; `None`: rows never leave.
    keys: Option<Vec<usize>>,
    /// The order of each held row, by key, where rows can leave.
    orders: HashMap<Box<[u8]>, u64, Xxh3DefaultBuilder>,
    pub next: u64,
    /// Rows behind the first that are looked at where rows never leave; `None`: all.
    depth: Option<usize>,
    /// By place of the group.
    groups: Vec<InOrder>,
}

impl Ordered {
    /// `None`: no function asks for rows in order. `keys`: fields of the input by which rows are found again, where they
    /// can leave.
    pub(crate) fn new(calls: &[AggregateCall], keys: Option<Vec<usize>>) -> Option<Ordered> {
        if !calls.iter().any(|call| call.function.is_ordered()) {
            return None;
        }
        let lag = |call: &AggregateCall| match call.function {
            AggregateFunction::Cat(_) => None,
            AggregateFunction::Lag(back) => Some(back),
            _ => Some(0),
        };
        let depth = if keys.is_none() {
            calls.iter().map(lag).try_fold(0, |deepest, lag| Some(lag?.max(deepest)))
        } else {
            None
        };
        Some(Ordered { keys, orders: HashMap::default(), next: 0, depth, groups: Vec::new() })
    }

    /// Fields of the input by which rows are found again.
    pub(crate) fn keys(&self) -> &[usize] {
        self.keys.as_deref().unwrap_or_default()
    }

    /// Does what a run does, and adds the values of the ordered functions to their columns.
    pub(crate) fn run(
        &mut self,
        calls: &[AggregateCall],
        changes: &Changes<'_>,
        places: usize,
        values: &mut [ColumnBuilder],
    ) {
        self.groups.resize_with(places.max(self.groups.len()), BTreeMap::new);
        let mut moves = changes.moves.iter();
        let mut done = 0;
        for output in &changes.outputs {
            for step in moves.by_ref().take((output.moves - std::mem::replace(&mut done, output.moves)) as usize) {
                self.step(changes, step.row as usize, step.group as usize, step.adds);
            }
            let rows = &mut self.groups[output.group as usize];
            if output.gone {
                rows.clear();
            }
            for (call, into) in calls.iter().zip(&mut *values).filter(|(call, _)| call.function.is_ordered()) {
                if output.gone || !into.push(&value_of(call, rows)) {
                    into.push_null();
                }
            }
        }
    }

    fn step(&mut self, changes: &Changes<'_>, row: usize, group: usize, adds: bool) {
        let rows = &mut self.groups[group];
        let mut key = Vec::new();
        if let Some(keys) = &self.keys {
            keys::write(changes.columns, keys, row, &mut key);
        }
        let key: Box<[u8]> = key.into();
        if !adds {
            if let Some(order) = self.orders.remove(&key) {
                rows.remove(&order);
            }
            return;
        }
        let order = self.next;
        self.next += 1;
        if self.keys.is_some() {
            self.orders.insert(key.clone(), order);
        }
        let value = |column: &Arc<Column>| column.value(row);
        rows.insert(order, OrderedRow { key, values: changes.arguments.iter().map(value).collect() });
        // The first, and those that a lag reaches.
        if let Some(depth) = self.depth
            && rows.len() > depth + 2
        {
            let second = rows.keys().nth(1).copied().expect("there are more than two");
            rows.remove(&second);
        }
    }

    pub(crate) fn of_group(&self, place: u32) -> &InOrder {
        &self.groups[place as usize]
    }

    /// Takes the rows of a group. `arguments`: how many the window has.
    pub(crate) fn restore(&mut self, place: u32, rows: InOrder, arguments: usize) -> Result<(), Damage> {
        if rows.values().any(|row| row.values.len() != arguments) {
            return Err(Damage::Broken("a row has another number of arguments than the window"));
        }
        if self.keys.is_some() {
            self.orders.extend(rows.iter().map(|(&order, row)| (row.key.clone(), order)));
        }
        self.groups.resize_with(self.groups.len().max(place as usize + 1), BTreeMap::new);
        self.groups[place as usize] = rows;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.orders.len() * (size_of::<OrderedRow>() + size_of::<u64>())
    }
}

fn value_of(call: &AggregateCall, rows: &InOrder) -> Value {
    let argument = |row: &OrderedRow| call.argument.map_or(Value::Null, |at| row.values[at].clone());
    let of = |row: Option<(&u64, &OrderedRow)>| row.map_or(Value::Null, |(_, row)| argument(row));
    match &call.function {
        AggregateFunction::First => of(rows.first_key_value()),
        AggregateFunction::Last => of(rows.last_key_value()),
        AggregateFunction::Lag(back) => of(rows.iter().nth_back(*back)),
        AggregateFunction::Cat(separator) => {
            let texts = rows.values().map(argument).filter(|value| !value.is_null());
            let texts: Vec<String> = texts.map(|value| text_of(&value)).collect();
            if texts.is_empty() { Value::Null } else { Value::String(texts.join(separator).into()) }
        }
        _ => unreachable!("only ordered functions are asked"),
    }
}
