//! The state of a script as bytes: every table that can be reached, once, with its entries by key.

use std::collections::BTreeMap;

use mlua::{Lua, Table, Value};

use crate::ScriptError;
use crate::sandbox::Known;

/// Order of keys: booleans, whole numbers, other numbers, texts.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Key {
    Truth(bool),
    Integer(i64),
    Number(u64),
    Text(Vec<u8>),
}

const NIL: u8 = 0;
const TRUTH: u8 = 1;
const INTEGER: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const TABLE: u8 = 5;
const FUNCTION: u8 = 6;

/// A key as part of a path.
pub(crate) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.to_string_lossy(),
        Value::Integer(number) => format!("[{number}]"),
        Value::Number(number) => format!("[{number:?}]"),
        Value::Boolean(truth) => format!("[{truth}]"),
        other => format!("[{}]", other.type_name()),
    }
}

struct Saver<'k> {
    known: &'k Known,
    /// Number of each table by its address; the tables are held in `tables`.
    numbers: BTreeMap<usize, u32>,
    tables: Vec<(String, Table)>,
    out: Vec<u8>,
}

pub(crate) fn save(numbers: [u64; 3], roots: &[(&str, Table)], known: &Known) -> Result<Vec<u8>, ScriptError> {
    let mut saver = Saver { known, numbers: BTreeMap::new(), tables: Vec::new(), out: Vec::new() };
    numbers.iter().for_each(|number| saver.out.extend(number.to_le_bytes()));
    for (name, root) in roots {
        saver.number((*name).to_owned(), root);
    }
    let mut next = 0;
    while let Some((path, table)) = saver.tables.get(next).cloned() {
        saver.table(&path, &table)?;
        next += 1;
    }
    Ok(saver.out)
}

impl Saver<'_> {
    fn number(&mut self, path: String, table: &Table) -> u32 {
        let next = self.tables.len() as u32;
        let number = *self.numbers.entry(table.to_pointer() as usize).or_insert(next);
        if number == next {
            self.tables.push((path, table.clone()));
        }
        number
    }

    fn text(&mut self, bytes: &[u8]) {
        self.out.extend((bytes.len() as u32).to_le_bytes());
        self.out.extend(bytes);
    }

    fn table(&mut self, path: &str, table: &Table) -> Result<(), ScriptError> {
        let own = self.known.paths.get(&(table.to_pointer() as usize)).cloned().unwrap_or_default();
        self.text(own.as_bytes());
        match table.metatable() {
            Some(meta) => self.value(&format!("{path}.(metatable)"), &Value::Table(meta))?,
            None => self.out.push(NIL),
        }
        let mut entries = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|error| ScriptError::of(&error))?;
            let order = match &key {
                Value::Boolean(truth) => Key::Truth(*truth),
                Value::Integer(number) => Key::Integer(*number),
                Value::Number(number) => Key::Number(number.to_bits()),
                Value::String(text) => Key::Text(text.as_bytes().to_vec()),
                other => return Err(refused(path, &format!("a {} as a key", other.type_name()))),
            };
            entries.push((order, key, value));
        }
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        self.out.extend((entries.len() as u32).to_le_bytes());
        for (_, key, value) in entries {
            let path = format!("{path}.{}", key_text(&key));
            self.value(&path, &key)?;
            self.value(&path, &value)?;
        }
        Ok(())
    }

    fn value(&mut self, path: &str, value: &Value) -> Result<(), ScriptError> {
        match value {
            Value::Nil => self.out.push(NIL),
            Value::Boolean(truth) => self.out.extend([TRUTH, u8::from(*truth)]),
            Value::Integer(number) => {
                self.out.push(INTEGER);
                self.out.extend(number.to_le_bytes());
            }
            Value::Number(number) => {
                self.out.push(NUMBER);
                self.out.extend(number.to_bits().to_le_bytes());
            }
            Value::String(text) => {
                self.out.push(TEXT);
                self.text(&text.as_bytes());
            }
            Value::Table(table) => {
                let number = self.number(path.to_owned(), table);
                self.out.push(TABLE);
                self.out.extend(number.to_le_bytes());
            }
            Value::Function(function) => {
                let Some(found) = self.known.paths.get(&(function.to_pointer() as usize)).cloned() else {
                    return Err(refused(path, "a function that was made while events came"));
                };
                self.out.push(FUNCTION);
                self.text(found.as_bytes());
            }
            Value::Thread(_) => return Err(refused(path, "a coroutine")),
            other => return Err(refused(path, &format!("a {}", other.type_name()))),
        }
        Ok(())
    }
}

fn refused(path: &str, what: &str) -> ScriptError {
    let name = path.strip_prefix("_G.").unwrap_or(path);
    let message = format!(
        "`{name}` holds {what}, which no snapshot can hold; keep numbers, texts, tables of them, and functions that the \
         script defines when it is loaded"
    );
    ScriptError::new("code", None, message)
}

struct Loader<'a> {
    lua: &'a Lua,
    known: &'a Known,
    bytes: &'a [u8],
    tables: Vec<Table>,
}

/// Fills the roots; the numbers in front. `None`: the bytes are not a state of this script.
pub(crate) fn restore(bytes: &[u8], lua: &Lua, roots: &[(&str, Table)], known: &Known) -> Option<[u64; 3]> {
    let mut tables: Vec<Table> = roots.iter().map(|(_, root)| root.clone()).collect();
    // Tables that the script made when it was loaded stay the same tables; which they are is said where they are read.
    let scan = &mut Loader { lua, known, bytes, tables: Vec::new() };
    let numbers = [scan.long()?, scan.long()?, scan.long()?];
    let mut paths = Vec::new();
    while !scan.bytes.is_empty() {
        paths.push(scan.skip_table()?);
    }
    if paths.len() < roots.len() {
        return None;
    }
    for path in &paths[roots.len()..] {
        let table = match path.as_str() {
            "" => lua.create_table().ok()?,
            path => known.tables.get(path)?.clone(),
        };
        tables.push(table);
    }
    let mut loader = Loader { lua, known, bytes: &bytes[24..], tables };
    for at in 0..paths.len() {
        loader.fill(at)?;
    }
    Some(numbers)
}

impl Loader<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (now, later) = self.bytes.split_at_checked(length)?;
        self.bytes = later;
        Some(now)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn short(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let length = self.short()? as usize;
        Some(self.take(length)?.to_vec())
    }

    fn path(&mut self) -> Option<String> {
        String::from_utf8(self.text()?).ok()
    }

    fn skip_table(&mut self) -> Option<String> {
        let path = self.path()?;
        self.skip()?;
        let entries = self.short()?;
        for _ in 0..entries {
            self.skip()?;
            self.skip()?;
        }
        Some(path)
    }

    fn skip(&mut self) -> Option<()> {
        let length = match self.byte()? {
            NIL => 0,
            TRUTH => 1,
            INTEGER | NUMBER => 8,
            TABLE => 4,
            TEXT | FUNCTION => self.short()? as usize,
            _ => return None,
        };
        self.take(length).map(|_| ())
    }

    fn fill(&mut self, at: usize) -> Option<()> {
        let table = self.tables.get(at)?.clone();
        self.path()?;
        let meta = self.value()?;
        // Before the entries: a metatable could catch them.
        table.set_metatable(None).ok()?;
        table.clear().ok()?;
        for _ in 0..self.short()? {
            let (key, value) = (self.value()?, self.value()?);
            table.raw_set(key, value).ok()?;
        }
        match meta {
            Value::Nil => {}
            Value::Table(meta) => table.set_metatable(Some(meta)).ok()?,
            _ => return None,
        }
        Some(())
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            NIL => Value::Nil,
            TRUTH => Value::Boolean(self.byte()? != 0),
            INTEGER => Value::Integer(self.long()? as i64),
            NUMBER => Value::Number(f64::from_bits(self.long()?)),
            TEXT => {
                let text = self.text()?;
                Value::String(self.lua.create_string(text).ok()?)
            }
            TABLE => {
                let number = self.short()? as usize;
                Value::Table(self.tables.get(number)?.clone())
            }
            FUNCTION => {
                let path = self.path()?;
                Value::Function(self.known.functions.get(&path)?.clone())
            }
            _ => return None,
        })
    }
}
