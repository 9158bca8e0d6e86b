//! A group: what every function keeps of it, and its rows in order where a function asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Column, ColumnBuilder, FieldType, Value};
use mesh_model::{AggregateCall, AggregateFunction};

use super::fold::{Cell, Change, Fold};
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

/// What the functions of a window keep of each group: those that can do with one fold share it.
pub(crate) struct Calls {
    pub list: Vec<AggregateCall>,
    /// Type of each argument.
    types: Vec<FieldType>,
    /// For each call its fold.
    fold_of: Vec<usize>,
    /// For each fold the first call that has it.
    call_of: Vec<usize>,
    /// Rows never leave.
    grows: bool,
}

impl Calls {
    pub(crate) fn new(list: &[AggregateCall], types: Vec<FieldType>, grows: bool) -> Calls {
        let (mut fold_of, mut call_of): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (at, call) in list.iter().enumerate() {
            let shared = call_of.iter().position(|&other| shares(&list[other], call, grows));
            fold_of.push(shared.unwrap_or(call_of.len()));
            if shared.is_none() {
                call_of.push(at);
            }
        }
        Calls { list: list.to_vec(), types, fold_of, call_of, grows }
    }

    fn fold(&self, call: usize, grows: bool) -> Fold {
        let call = &self.list[call];
        Fold::new(call, grows, call.argument.map(|at| self.types[at]))
    }
}

/// True when two calls can read one fold: sum and mean, or smallest, largest and number of different values where
/// values leave, of one argument since the same time.
fn shares(a: &AggregateCall, b: &AggregateCall, grows: bool) -> bool {
    use AggregateFunction as F;
    let real = |call: &AggregateCall| matches!(call.function, F::Sum | F::Ave) && call.ty == FieldType::Double;
    let counted = |call: &AggregateCall| {
        matches!(call.function, F::Max | F::Min) && !grows && call.period_us.is_none()
            || matches!(call.function, F::CountDistinct)
    };
    let alike = real(a) && real(b) || counted(a) && counted(b);
    alike && (a.argument, a.weight, a.period_us) == (b.argument, b.weight, b.period_us)
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
    pub(crate) fn new(key: Vec<Value>, number: u64, calls: &Calls) -> Group {
        let kept =
            calls.call_of.iter().map(|&call| Kept { fold: calls.fold(call, calls.grows), start: None }).collect();
        Group { key, number, rows: 0, outputs: 0, kept, ordered: BTreeMap::new() }
    }

    /// A row joins or leaves. `arguments`: a column for each.
    pub(crate) fn change(
        &mut self,
        calls: &Calls,
        change: Change,
        (arguments, row): (&[Arc<Column>], usize),
        clock: Option<i64>,
    ) {
        let adds = change == Change::Add;
        self.rows = if adds { self.rows + 1 } else { self.rows.saturating_sub(1) };
        for (kept, &at) in self.kept.iter_mut().zip(&calls.call_of) {
            let call = &calls.list[at];
            if let Some(us) = call.period_us {
                // Nothing leaves a period but by its end.
                if !adds {
                    continue;
                }
                match (kept.start, clock) {
                    (Some(start), Some(now)) if now.saturating_sub(start) >= us => {
                        *kept = Kept { fold: calls.fold(at, true), start: clock };
                    }
                    (None, _) => kept.start = clock,
                    _ => {}
                }
            }
            let cell = |at: usize| Cell { column: &arguments[at], row };
            kept.fold.change(call, change, call.argument.map(cell), call.weight.map(cell));
        }
    }

    /// An event changed the group.
    pub(crate) fn event(&mut self, calls: &Calls, opcode: i64) {
        let kept = self.kept.iter_mut().zip(&calls.call_of);
        kept.for_each(|(kept, &call)| kept.fold.event(&calls.list[call], opcode));
    }

    /// Adds the present value of a call to a column.
    pub(crate) fn put(&self, at: usize, calls: &Calls, into: &mut ColumnBuilder) {
        let call = &calls.list[at];
        let argument = |row: &OrderedRow| call.argument.map_or(Value::Null, |at| row.values[at].clone());
        let of = |row: Option<(&u64, &OrderedRow)>| row.map_or(Value::Null, |(_, row)| argument(row));
        let value = match &call.function {
            AggregateFunction::First => of(self.ordered.first_key_value()),
            AggregateFunction::Last => of(self.ordered.last_key_value()),
            AggregateFunction::Lag(back) => of(self.ordered.iter().nth_back(*back)),
            AggregateFunction::Cat(separator) => {
                let texts = self.ordered.values().map(argument).filter(|value| !value.is_null());
                let texts: Vec<String> = texts.map(|value| text_of(&value)).collect();
                if texts.is_empty() { Value::Null } else { Value::String(texts.join(separator).into()) }
            }
            _ => return self.kept[calls.fold_of[at]].fold.put(call, into),
        };
        if !into.push(&value) {
            into.push_null();
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

    pub(crate) fn restore(from: &mut Reader<'_>, number: u64, calls: &Calls) -> Result<Group, Damage> {
        let mut group = Group::new(from.get()?, number, calls);
        (group.rows, group.outputs) = from.get()?;
        for kept in &mut group.kept {
            kept.start = from.get()?;
            kept.fold.restore(from)?;
        }
        group.ordered = from.get()?;
        if group.ordered.values().any(|row| row.values.len() != calls.types.len()) {
            return Err(Damage::Broken("a row has another number of arguments than the window"));
        }
        Ok(group)
    }
}
