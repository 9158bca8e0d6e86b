//! The row that each group put out last: the old one when the group changes.
//!
//! A run that touches a group a thousand times puts out two thousand rows of it, of which one is needed later. So the
//! new rows of a run stay in the run's columns, and only the last one of each group is moved here.

use std::sync::Arc;

use mesh_event::{Column, ColumnBuilder, ColumnData, FieldType, Flags, NullMask, Opcode, Schema, Value};

use super::changes::Output;
use super::group::{Group, Groups};
use crate::columns::{self, RowRef};
use crate::state::{Damage, Reader, RowBatches, Writer, save_rows};
use crate::store::keys;

/// No row.
const NONE: u32 = u32::MAX;
/// Order of a group that has put out nothing.
const NEVER: u64 = u64::MAX;

/// The values of one field by place of the group.
enum Values {
    Int32(Vec<i32>),
    /// Integers and times of 64 bits.
    Int64(Vec<i64>),
    Double(Vec<f64>),
    /// Values of variable length.
    Any(Vec<Value>),
}

struct Field {
    values: Values,
    null: Vec<bool>,
}

/// The last rows, without their keys, which are the groups'.
pub(crate) struct Last {
    schema: Arc<Schema>,
    /// One for each field that is no key.
    fields: Vec<Field>,
    /// Rises from the group that was longest untouched to the youngest; [`NEVER`].
    orders: Vec<u64>,
    next: u64,
    /// Used within a run: the row of the run that each group put out last; or [`NONE`].
    at: Vec<u32>,
    /// Groups that the run touched.
    touched: Vec<u32>,
}

/// What goes out, as rows of the run's new rows (and behind them the old ones).
pub(crate) struct Rows {
    pub opcodes: Vec<Opcode>,
    pub flags: Vec<Flags>,
    /// The row of the input that has the key.
    pub keys: Vec<u32>,
    /// Groups whose old row stands behind the new ones, in this order.
    old: Vec<u32>,
    /// Which row.
    rows: Vec<u32>,
    /// The new rows as they are.
    whole: bool,
}

impl Last {
    pub(crate) fn new(schema: &Arc<Schema>) -> Last {
        let field = |field: &mesh_event::Field| Field {
            values: match field.ty {
                FieldType::Int32 => Values::Int32(Vec::new()),
                FieldType::Int64 | FieldType::Date | FieldType::Stamp | FieldType::Money => Values::Int64(Vec::new()),
                FieldType::Double => Values::Double(Vec::new()),
                _ => Values::Any(Vec::new()),
            },
            null: Vec::new(),
        };
        Last {
            fields: schema.fields().iter().filter(|field| !field.key).map(field).collect(),
            schema: Arc::clone(schema),
            orders: Vec::new(),
            next: 0,
            at: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Each output beside what its group put out before. `ends`: of the outputs of each cause; becomes that of the rows.
    pub(crate) fn beside(&mut self, outputs: &[Output], ends: &mut [u32], places: usize) -> Rows {
        self.resize(places);
        let room = outputs.len() * 2;
        let mut out = Rows {
            opcodes: Vec::with_capacity(room),
            flags: Vec::with_capacity(room),
            keys: Vec::with_capacity(room),
            old: Vec::new(),
            rows: Vec::with_capacity(room),
            whole: false,
        };
        let behind = outputs.len() as u32;
        let mut row = 0;
        for end in ends {
            for at in std::mem::replace(&mut row, *end)..*end {
                let Output { group, flags, gone, row: key, .. } = outputs[at as usize];
                let place = group as usize;
                let mut old = self.at[place];
                if old == NONE {
                    self.touched.push(group);
                    if self.orders[place] != NEVER {
                        old = behind + out.old.len() as u32;
                        out.old.push(group);
                    }
                } else if old == GONE {
                    old = NONE;
                }
                let mut push = |opcode, from| {
                    out.opcodes.push(opcode);
                    out.flags.push(flags);
                    out.keys.push(key);
                    out.rows.push(from);
                };
                match (gone, old) {
                    // A group that came and went within one event.
                    (true, NONE) => {}
                    (true, old) => push(Opcode::Delete, old),
                    (false, NONE) => push(Opcode::Insert, at),
                    (false, old) => {
                        push(Opcode::UpdateBlock, at);
                        push(Opcode::Delete, old);
                    }
                }
                if gone {
                    self.at[place] = GONE;
                } else {
                    self.at[place] = at;
                    self.orders[place] = self.next;
                    self.next += 1;
                }
            }
            *end = out.opcodes.len() as u32;
        }
        out.whole = out.rows.len() == outputs.len() && out.rows.iter().zip(0..).all(|(&from, row)| from == row);
        out
    }

    fn resize(&mut self, places: usize) {
        if self.orders.len() >= places {
            return;
        }
        self.orders.resize(places, NEVER);
        self.at.resize(places, NONE);
        for field in &mut self.fields {
            field.null.resize(places, true);
            match &mut field.values {
                Values::Int32(values) => values.resize(places, 0),
                Values::Int64(values) => values.resize(places, 0),
                Values::Double(values) => values.resize(places, 0.0),
                Values::Any(values) => values.resize(places, Value::Null),
            }
        }
    }

    /// The column of a field (counted without keys) of what goes out, from that of the new rows, the last of which are
    /// kept.
    pub(crate) fn column(&mut self, field: usize, new: Arc<Column>, rows: &Rows) -> Arc<Column> {
        let Last { fields, at, touched, .. } = self;
        let Field { values, null } = &mut fields[field];
        let kept = touched.iter().map(|&place| (place as usize, at[place as usize]));
        let kept = kept.filter(|&(_, row)| row != GONE);
        if rows.whole {
            kept.for_each(|(place, row)| set(values, null, place, &new, row as usize));
            return new;
        }
        macro_rules! fixed {
            ($kind:ident, $new:expr, $old:expr) => {{
                let mut all = Vec::with_capacity($new.len() + rows.old.len());
                all.extend_from_slice($new);
                all.extend(rows.old.iter().map(|&place| $old[place as usize]));
                ColumnData::$kind(rows.rows.iter().map(|&row| all[row as usize]).collect())
            }};
        }
        let data = match (&new.data, &*values) {
            (ColumnData::Int32(new), Values::Int32(old)) => fixed!(Int32, new, old),
            (ColumnData::Int64(new), Values::Int64(old)) => fixed!(Int64, new, old),
            (ColumnData::Date(new), Values::Int64(old)) => fixed!(Date, new, old),
            (ColumnData::Stamp(new), Values::Int64(old)) => fixed!(Stamp, new, old),
            (ColumnData::Money(new), Values::Int64(old)) => fixed!(Money, new, old),
            (ColumnData::Double(new), Values::Double(old)) => fixed!(Double, new, old),
            (_, old) => {
                let mut before = ColumnBuilder::new(new.field_type(), rows.old.len());
                for &place in &rows.old {
                    match old {
                        Values::Any(old) if before.push(&old[place as usize]) => {}
                        _ => before.push_null(),
                    }
                }
                let behind = new.len() as u32;
                let from = |&row: &u32| match row.checked_sub(behind) {
                    Some(row) => RowRef { source: 1, row },
                    None => RowRef { source: 0, row },
                };
                let refs: Vec<RowRef> = rows.rows.iter().map(from).collect();
                let column = columns::gather(&[&new, &before.finish()], &refs);
                kept.for_each(|(place, row)| set(values, null, place, &new, row as usize));
                return Arc::new(column);
            }
        };
        let mut nulls = NullMask::default();
        if !new.nulls.is_empty() || rows.old.iter().any(|&place| null[place as usize]) {
            let behind = new.len() as u32;
            for (to, &row) in rows.rows.iter().enumerate() {
                let is_null = match row.checked_sub(behind) {
                    Some(old) => null[rows.old[old as usize] as usize],
                    None => new.is_null(row as usize),
                };
                if is_null {
                    nulls.set(to);
                }
            }
        }
        kept.for_each(|(place, row)| set(values, null, place, &new, row as usize));
        Arc::new(Column { data, nulls })
    }

    /// Ends a run.
    pub(crate) fn settle(&mut self) {
        for place in self.touched.drain(..) {
            if std::mem::replace(&mut self.at[place as usize], NONE) == GONE {
                self.orders[place as usize] = NEVER;
            }
        }
    }

    /// Saves the rows in the order in which they were put out, with times that nobody asks for.
    pub(crate) fn save(&self, groups: &[(u32, &Group)], to: &mut Writer<'_>) {
        let mut groups: Vec<_> = groups.iter().filter(|(place, _)| self.orders[*place as usize] != NEVER).collect();
        groups.sort_unstable_by_key(|(place, _)| self.orders[*place as usize]);
        let (mut columns, mut key, mut other) = (Vec::new(), 0..self.schema.keys().len(), self.fields.iter());
        for field in self.schema.fields() {
            let mut builder = ColumnBuilder::new(field.ty, groups.len());
            let mut put = |value: &Value| {
                assert!(builder.push(value), "a field has values of its type");
            };
            if field.key {
                let key = key.next().expect("counted just now");
                groups.iter().for_each(|(_, group)| put(&group.key[key]));
            } else {
                let field = other.next().expect("one for each field that is no key");
                groups.iter().for_each(|&&(place, _)| put(&field.value(place as usize, self.type_of(columns.len()))));
            }
            columns.push(Arc::new(builder.finish()));
        }
        let refs: Vec<RowRef> = (0..groups.len() as u32).map(|row| RowRef { source: 0, row }).collect();
        save_rows(to, &[&columns], &refs, columns.len());
        groups.iter().for_each(|_| to.put(&0_i64));
    }

    fn type_of(&self, field: usize) -> FieldType {
        self.schema.fields()[field].ty
    }

    /// Takes what [`Last::save`] wrote, for these groups.
    pub(crate) fn restore(&mut self, groups: &Groups, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.resize(groups.places());
        let mut batches = RowBatches::load(from)?;
        let mut rows = 0;
        while let Some((columns, count)) = batches.next(from, &self.schema)? {
            let hashes = keys::hashes(&columns, self.schema.keys(), count);
            for (row, &hash) in hashes.iter().enumerate() {
                let place = groups.find(hash, self.schema.keys(), &columns, row);
                let place = place.ok_or(Damage::Broken("there are more rows than groups"))? as usize;
                if self.orders[place] != NEVER {
                    return Err(Damage::Broken("a key stands twice"));
                }
                self.orders[place] = self.next;
                self.next += 1;
                let others = columns.iter().zip(self.schema.fields()).filter(|(_, field)| !field.key);
                for (field, (column, _)) in self.fields.iter_mut().zip(others) {
                    set(&mut field.values, &mut field.null, place, column, row);
                }
            }
            rows += count;
        }
        for _ in 0..rows {
            let _time: i64 = from.get()?;
        }
        if rows == groups.len() { Ok(()) } else { Err(Damage::Broken("a group has no row that it put out")) }
    }

    pub(crate) fn bytes(&self) -> usize {
        let field = |field: &Field| match &field.values {
            Values::Int32(values) => values.capacity() * size_of::<i32>() + field.null.capacity(),
            Values::Int64(values) => values.capacity() * size_of::<i64>() + field.null.capacity(),
            Values::Double(values) => values.capacity() * size_of::<f64>() + field.null.capacity(),
            Values::Any(values) => values.capacity() * size_of::<Value>() + field.null.capacity(),
        };
        let places = self.orders.capacity() * size_of::<u64>() + self.at.capacity() * size_of::<u32>();
        self.fields.iter().map(field).sum::<usize>() + places
    }
}

/// Within a run: the group is no more.
const GONE: u32 = u32::MAX - 1;

fn set(values: &mut Values, null: &mut [bool], place: usize, column: &Column, row: usize) {
    null[place] = column.is_null(row);
    match (values, &column.data) {
        (Values::Int32(values), ColumnData::Int32(new)) => values[place] = new[row],
        (
            Values::Int64(values),
            ColumnData::Int64(new) | ColumnData::Date(new) | ColumnData::Stamp(new) | ColumnData::Money(new),
        ) => values[place] = new[row],
        (Values::Double(values), ColumnData::Double(new)) => values[place] = new[row],
        (Values::Any(values), _) => values[place] = column.value(row),
        _ => unreachable!("a field has columns of its type"),
    }
}

impl Field {
    fn value(&self, place: usize, ty: FieldType) -> Value {
        if self.null[place] {
            return Value::Null;
        }
        match &self.values {
            Values::Int32(values) => Value::Int32(values[place]),
            Values::Int64(values) => match ty {
                FieldType::Date => Value::Date(values[place]),
                FieldType::Stamp => Value::Stamp(values[place]),
                FieldType::Money => Value::Money(values[place]),
                _ => Value::Int64(values[place]),
            },
            Values::Double(values) => Value::Double(values[place]),
            Values::Any(values) => values[place].clone(),
        }
    }
}
