//! Rows as tables, and tables as events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_event::{Block, ColumnData, FieldType, Flags, MONEY_SCALE, Opcode, Schema, Value as FieldValue};
use mlua::{Lua, LuaString, MultiValue, Table, Value};

use crate::{Machine, ScriptError};

/// How rows of one schema are handed to a script.
pub struct Rows {
    /// The fields are parameters of their own.
    expanded: bool,
    used: Vec<(LuaString, usize)>,
    all: Vec<(LuaString, usize)>,
    /// What `_opcode` and `_flags` say, by both.
    kinds: Mutex<BTreeMap<(u8, u8), Table>>,
}

/// How tables of a script become events of one schema.
pub struct Output {
    /// Name and type of each field, and another name that it goes by.
    fields: Vec<(LuaString, FieldType, Option<LuaString>)>,
    opcode: LuaString,
    flags: LuaString,
}

/// An event that a script made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What it says it is; `None`: what the event is that it was made of.
    pub opcode: Option<Opcode>,
    /// Its flags, where it says any.
    pub flags: Option<Flags>,
    /// One for each field; `None` where the table has nothing.
    pub values: Vec<Option<FieldValue>>,
    /// What could not become the value of its field: the field and what was found.
    pub misfits: Vec<String>,
}

/// The name of an opcode in scripts; an update block is handed over as an update.
fn opcode_name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Insert => "insert",
        Opcode::Update | Opcode::UpdateBlock => "update",
        Opcode::Upsert => "upsert",
        Opcode::Delete => "delete",
        Opcode::SafeDelete => "safedelete",
    }
}

impl Machine {
    /// How rows of a schema are handed over; `used`: the fields, all when `None`.
    pub fn rows(&self, schema: &Schema, used: Option<&[usize]>) -> Result<Rows, ScriptError> {
        let named = |at: usize| {
            let name = self.lua().create_string(&schema.fields()[at].name);
            name.map(|name| (name, at)).map_err(|error| ScriptError::of(&error))
        };
        let all: Vec<_> = (0..schema.fields().len()).map(named).collect::<Result<_, _>>()?;
        let used = match used {
            None => all.clone(),
            Some(used) => used.iter().map(|&at| all[at].clone()).collect(),
        };
        Ok(Rows { expanded: false, used, all, kinds: Mutex::default() })
    }

    /// How values of a schema are handed over to the script of a custom window: a name of its own for each.
    pub fn named_rows(&self, schema: &Schema, names: &[(String, usize)]) -> Result<Rows, ScriptError> {
        let named = |(name, at): &(String, usize)| {
            let name = self.lua().create_string(name);
            name.map(|name| (name, *at)).map_err(|error| ScriptError::of(&error))
        };
        let used = names.iter().map(named).collect::<Result<_, _>>()?;
        Ok(Rows { used, ..self.rows(schema, None)? })
    }

    /// How tables become events of a schema. `names`: further names of fields, by position, which go before their own.
    pub fn output(&self, schema: &Schema, names: &[(String, usize)]) -> Result<Output, ScriptError> {
        let text = |name: &str| self.lua().create_string(name).map_err(|error| ScriptError::of(&error));
        let other = |at: usize| names.iter().find(|(_, field)| *field == at).map(|(name, _)| text(name)).transpose();
        let field = |(at, field): (usize, &mesh_event::Field)| Ok((text(&field.name)?, field.ty, other(at)?));
        let fields = schema.fields().iter().enumerate().map(field).collect::<Result<_, _>>()?;
        Ok(Output { fields, opcode: text("_opcode")?, flags: text("_flags")? })
    }
}

impl Rows {
    /// The same, with each field as a parameter of its own.
    #[must_use]
    pub fn expand(self) -> Rows {
        Rows { expanded: true, ..self }
    }

    pub(crate) fn expanded(&self) -> bool {
        self.expanded
    }

    /// The values of a table that was made of a row, one for each field.
    pub(crate) fn values(&self, table: &Table) -> mlua::Result<MultiValue> {
        self.used.iter().map(|(name, _)| table.raw_get::<Value>(name)).collect()
    }

    /// The fields of a row; `_opcode` and `_flags` can be read, but are no entries.
    pub(crate) fn table(&self, lua: &Lua, block: &Block, row: usize) -> mlua::Result<Table> {
        let table = filled(lua, &self.used, block, row)?;
        let (opcode, flags) = (block.opcodes[row], block.flags[row]);
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match kinds.get(&(opcode as u8, flags.0)) {
            Some(kind) => kind.clone(),
            None => {
                let words = lua.create_table()?;
                words.raw_set("_opcode", opcode_name(opcode))?;
                words.raw_set("_flags", flags.letters())?;
                let kind = lua.create_table()?;
                kind.raw_set("__index", words)?;
                kinds.insert((opcode as u8, flags.0), kind.clone());
                kind
            }
        };
        table.set_metatable(Some(kind))?;
        Ok(table)
    }

    pub(crate) fn whole(&self, lua: &Lua, block: &Block, row: usize) -> mlua::Result<Table> {
        filled(lua, &self.all, block, row)
    }
}

fn filled(lua: &Lua, fields: &[(LuaString, usize)], block: &Block, row: usize) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, fields.len())?;
    for (name, at) in fields {
        let column = &block.columns[*at];
        if column.is_null(row) {
            continue;
        }
        let value = match &column.data {
            ColumnData::Int32(values) => Value::Integer(i64::from(values[row])),
            ColumnData::Int64(values) | ColumnData::Date(values) | ColumnData::Stamp(values) => {
                Value::Integer(values[row])
            }
            ColumnData::Double(values) => Value::Number(values[row]),
            ColumnData::Money(values) => Value::Number(values[row] as f64 / MONEY_SCALE as f64),
            ColumnData::String(values) | ColumnData::Blob(values) => Value::String(lua.create_string(values.row(row))?),
            ColumnData::ArrayInt32(values) => Value::Table(lua.create_sequence_from(values[row].iter().copied())?),
            ColumnData::ArrayInt64(values) => Value::Table(lua.create_sequence_from(values[row].iter().copied())?),
            ColumnData::ArrayDouble(values) => Value::Table(lua.create_sequence_from(values[row].iter().copied())?),
        };
        table.raw_set(name, value)?;
    }
    Ok(table)
}

impl Output {
    /// Nil and false are no event, a table with text keys is one, any other table a list of them.
    pub(crate) fn events(&self, result: Value) -> Result<Vec<Made>, ScriptError> {
        let fail = |error: mlua::Error| ScriptError::of(&error);
        match result {
            Value::Nil | Value::Boolean(false) => Ok(Vec::new()),
            Value::Table(table) => {
                let first: Value = table.raw_get(1).map_err(fail)?;
                if first.is_nil() {
                    return if table.is_empty() { Ok(Vec::new()) } else { Ok(vec![self.event(&table).map_err(fail)?]) };
                }
                let mut made = Vec::new();
                for item in table.sequence_values::<Value>() {
                    match item.map_err(fail)? {
                        Value::Table(event) => made.push(self.event(&event).map_err(fail)?),
                        other => return Err(wrong(&other, "a list of tables")),
                    }
                }
                Ok(made)
            }
            other => Err(wrong(&other, "a table, a list of tables, or nil")),
        }
    }

    fn event(&self, table: &Table) -> mlua::Result<Made> {
        let text = |name: &LuaString| -> mlua::Result<Option<String>> {
            Ok(match table.raw_get::<Value>(name)? {
                Value::String(text) => Some(text.to_string_lossy()),
                _ => None,
            })
        };
        let mut misfits = Vec::new();
        let opcode = match text(&self.opcode)? {
            None => None,
            Some(word) => {
                let found = Opcode::ALL.into_iter().find(|opcode| {
                    *opcode != Opcode::UpdateBlock && opcode_name(*opcode).eq_ignore_ascii_case(word.trim())
                });
                if found.is_none() {
                    misfits
                        .push(format!("`_opcode` is `{word}`, expected insert, update, upsert, delete or safedelete"));
                }
                found
            }
        };
        let flags = text(&self.flags)?.and_then(|text| Flags::parse(text.as_bytes()));
        let mut values = Vec::with_capacity(self.fields.len());
        for (name, ty, other) in &self.fields {
            let value: Value = match other {
                Some(other) => table.raw_get(other)?,
                None => Value::Nil,
            };
            let value = if value.is_nil() { table.raw_get(name)? } else { value };
            if value.is_nil() {
                values.push(None);
                continue;
            }
            let made = field_value(&value, *ty);
            if made.is_none() {
                misfits.push(format!(
                    "field `{}` is {ty}, the script gives a {}",
                    name.to_string_lossy(),
                    shown(&value)
                ));
            }
            values.push(Some(made.unwrap_or(FieldValue::Null)));
        }
        Ok(Made { opcode, flags, values, misfits })
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("string `{}`", text.to_string_lossy().chars().take(40).collect::<String>()),
        Value::Integer(number) => format!("number {number}"),
        Value::Number(number) => format!("number {number}"),
        other => other.type_name().to_owned(),
    }
}

fn wrong(found: &Value, expected: &str) -> ScriptError {
    ScriptError::new("code", None, format!("the function returned a {}, expected {expected}", found.type_name()))
}

/// A Lua value as a value of a field; `None` where it does not fit.
fn field_value(value: &Value, ty: FieldType) -> Option<FieldValue> {
    Some(match ty {
        FieldType::Int32 => FieldValue::Int32(i32::try_from(integer(value)?).ok()?),
        FieldType::Int64 => FieldValue::Int64(integer(value)?),
        FieldType::Date => FieldValue::Date(integer(value)?),
        FieldType::Stamp => FieldValue::Stamp(integer(value)?),
        FieldType::Double => FieldValue::Double(real(value)?),
        FieldType::Money => {
            let scaled = (real(value)? * MONEY_SCALE as f64).round();
            FieldValue::Money(whole(scaled)?)
        }
        FieldType::String => FieldValue::String(match value {
            Value::String(text) => Arc::from(&*text.to_string_lossy()),
            Value::Integer(number) => Arc::from(number.to_string()),
            // As Lua writes it: a whole number with `.0`, fourteen digits.
            Value::Number(_) => Arc::from(value.to_string().ok()?),
            Value::Boolean(truth) => Arc::from(if *truth { "true" } else { "false" }),
            Value::Table(_) => Arc::from(crate::json::write(value).ok()?),
            _ => return None,
        }),
        FieldType::Blob => match value {
            Value::String(text) => FieldValue::Blob(text.as_bytes().to_vec().into()),
            _ => return None,
        },
        FieldType::ArrayInt32 => {
            let items = items(value)?;
            FieldValue::ArrayInt32(items.iter().map(|v| i32::try_from(integer(v)?).ok()).collect::<Option<_>>()?)
        }
        FieldType::ArrayInt64 => FieldValue::ArrayInt64(items(value)?.iter().map(integer).collect::<Option<_>>()?),
        FieldType::ArrayDouble => FieldValue::ArrayDouble(items(value)?.iter().map(real).collect::<Option<_>>()?),
    })
}

fn items(value: &Value) -> Option<Vec<Value>> {
    value.as_table()?.sequence_values().collect::<mlua::Result<_>>().ok()
}

fn whole(number: f64) -> Option<i64> {
    // The largest double below 2^63 is far from it, so that the comparison decides exactly.
    (number.is_finite() && number >= i64::MIN as f64 && number < i64::MAX as f64).then_some(number as i64)
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Number(number) => whole(number.trunc()),
        Value::Boolean(truth) => Some(i64::from(*truth)),
        Value::String(text) => {
            let text = text.to_string_lossy();
            text.trim().parse().ok().or_else(|| whole(text.trim().parse::<f64>().ok()?.trunc()))
        }
        _ => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => text.to_string_lossy().trim().parse().ok(),
        _ => None,
    }
}
