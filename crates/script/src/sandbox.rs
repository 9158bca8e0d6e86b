//! A Lua state with what scripts may use, and nothing else.

use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use crate::host::{self, Host};
use crate::machine::MEMORY_MAX;
use crate::saved::key_text;
use crate::{Script, ScriptError};

/// Tables that are not globals but state.
pub(crate) struct Roots {
    pub properties: Table,
    pub loaded: Table,
    pub loaders: Table,
    /// The event at hand, for `esp_parseJsonFrom`.
    pub current: Table,
    /// Handed to every call of the window.
    pub context: Table,
    /// Of each open instance of a pattern.
    pub contexts: Table,
}

/// A state in which the prelude has run.
pub(crate) fn open(script: &Script, seed: u64) -> Result<(Lua, Roots), ScriptError> {
    let fail = |error: mlua::Error| ScriptError::of(&error);
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::new()).map_err(fail)?;
    lua.set_memory_limit(MEMORY_MAX).map_err(fail)?;
    lua.set_app_data(Host {
        clock_us: None,
        seed,
        draws: 0,
        guids: 0,
        messages: Vec::new(),
        properties: script.text.properties.clone(),
        steps_left: 0,
    });
    let functions = host::functions(&lua).map_err(fail)?;
    let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude");
    let made: Table = prelude.call(functions).map_err(fail)?;
    let table = |name: &str| made.raw_get::<Table>(name).map_err(fail);
    let roots = Roots {
        properties: table("properties")?,
        loaded: table("loaded")?,
        loaders: table("loaders")?,
        current: table("current")?,
        context: lua.create_table().map_err(fail)?,
        contexts: lua.create_table().map_err(fail)?,
    };
    Ok((lua, roots))
}

/// Functions and tables that can be reached, by where they were found first. Every load of a script gives the same.
#[derive(Default)]
pub(crate) struct Known {
    pub functions: BTreeMap<String, Function>,
    pub tables: BTreeMap<String, Table>,
    /// Where what lies at an address was found; what lies there is held above, so no address is used twice.
    pub paths: BTreeMap<usize, String>,
}

impl Known {
    /// Walks from a table on; each new function must pass `check`.
    pub(crate) fn add(
        &mut self,
        path: &str,
        table: &Table,
        check: &dyn Fn(&str, &Function) -> Result<(), ScriptError>,
    ) -> Result<(), ScriptError> {
        let mut waiting = vec![(path.to_owned(), Value::Table(table.clone()))];
        while let Some((path, value)) = waiting.pop() {
            let address = value.to_pointer() as usize;
            if address == 0 || self.paths.contains_key(&address) {
                continue;
            }
            match value {
                Value::Function(function) => {
                    check(&path, &function)?;
                    self.functions.insert(path.clone(), function);
                }
                Value::Table(table) => {
                    let mut entries = Vec::new();
                    for pair in table.pairs::<Value, Value>() {
                        let (key, value) = pair.map_err(|error| ScriptError::of(&error))?;
                        entries.push((format!("{path}.{}", key_text(&key)), value));
                    }
                    entries.extend(table.metatable().map(|meta| (format!("{path}.(metatable)"), Value::Table(meta))));
                    entries.sort_by(|(one, _), (other, _)| other.cmp(one));
                    waiting.extend(entries);
                    self.tables.insert(path.clone(), table);
                }
                _ => continue,
            }
            self.paths.insert(address, path);
        }
        Ok(())
    }
}

/// Refuses a function that remembers variables of a function or block around it: they are in no snapshot.
pub(crate) fn keeps_nothing(path: &str, function: &Function) -> Result<(), ScriptError> {
    let info = function.info();
    // A function that uses globals has one captured variable: the table of the globals. The names of captured variables
    // are the last thing in its compiled form, each behind its length.
    let captures = match info.num_upvalues {
        0 => false,
        1 => info.what == "C" || !function.dump(false).ends_with(b"\x85_ENV"),
        _ => true,
    };
    if !captures {
        return Ok(());
    }
    let name = path.strip_prefix("_G.").unwrap_or(path);
    let message = format!(
        "function `{name}` keeps a local variable of the function or block around it, which no snapshot can hold; keep \
         it in a global, or in a local of the outermost block"
    );
    let part = info.short_src.filter(|_| info.what != "C").unwrap_or_else(|| "code".to_owned());
    Err(ScriptError::new(&part, info.line_defined.map(|line| line as u32), message))
}
