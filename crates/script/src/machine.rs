//! A script at work: calls with limits, between them a state that can be saved.

use std::collections::BTreeSet;

use mesh_event::Block;
use mlua::{Function, HookTriggers, Lua, MultiValue, Table, Value, VmState};

use crate::event::{Made, Output, Rows};
use crate::host::Host;
use crate::sandbox::{self, Known, Roots, keeps_nothing};
use crate::{Script, ScriptError, saved};

/// Most instructions of one call; about a tenth of a second. The same on every replica.
pub const INSTRUCTIONS_MAX: u64 = 10_000_000;
/// Most memory of one script in bytes.
pub const MEMORY_MAX: usize = 64 * 1024 * 1024;
/// Instructions between two looks at the limit.
const STEP: u32 = 1000;

/// What a function without parameters finds the event and the context in.
const DATA: &str = "data";
const CONTEXT: &str = "context";

/// A loaded script and what it remembers.
pub struct Machine {
    lua: Lua,
    roots: Roots,
    known: Known,
    /// `esp_parseJsonFrom` is in the text: it reads the event at hand.
    reads_event: bool,
    /// Functions of the window without parameters: they find the event in the global `data`.
    bare: BTreeSet<String>,
}

impl Machine {
    /// Loads a script. `seed`: of the project and the window, equal on every replica.
    pub fn new(script: &Script, seed: u64) -> Machine {
        Machine::load(script, seed).expect("the script was loaded when it was checked, and loading has no other input")
    }

    pub(crate) fn load(script: &Script, seed: u64) -> Result<Machine, ScriptError> {
        let (lua, roots) = sandbox::open(script, seed)?;
        let mut known = Known::default();
        let any = |_: &str, _: &Function| Ok(());
        known.add("_G", &lua.globals(), &any)?;
        let texts = script.text.modules.iter().map(|module| &module.text).chain([&script.text.code]);
        let reads_event = texts.into_iter().any(|text| text.contains("esp_parseJsonFrom"));
        let mut machine = Machine { lua, roots, known, reads_event, bare: BTreeSet::new() };
        for (name, text) in script.modules.iter() {
            let loader = machine.compiled(name, text)?;
            machine.roots.loaders.raw_set(name.as_str(), loader).map_err(|error| ScriptError::of(&error))?;
        }
        for (name, _) in script.modules.iter() {
            machine.call_global("require", name.as_str())?;
        }
        let code = machine.compiled("code", &script.code)?;
        machine.limited(|| code.call::<()>(()))?;
        if let Some(settings) = &script.text.settings {
            machine.begin_custom(settings)?;
        } else if let Some(init) = &script.text.init {
            let context = machine.roots.context.clone();
            machine.call_global(init, context)?;
        }
        // What was known before the script came is found again, under the same names, beside what it brought.
        let before = std::mem::take(&mut machine.known);
        let check = |path: &str, function: &Function| {
            if before.paths.contains_key(&(function.to_pointer() as usize)) {
                return Ok(());
            }
            keeps_nothing(path, function)
        };
        machine.known.add("_G", &machine.lua.globals(), &check)?;
        machine.known.add("modules", &machine.roots.loaded, &check)?;
        let own: Value = machine.lua.globals().raw_get(DATA).map_err(|error| ScriptError::of(&error))?;
        for name in &script.text.functions {
            let Ok(function) = machine.function(name) else {
                let message = format!("there is no function `{name}`, which the window calls");
                return Err(ScriptError::new("code", None, message));
            };
            let info = function.info();
            if info.num_params == 0 && !info.is_vararg && own.is_nil() {
                machine.bare.insert(name.clone());
            }
        }
        machine.save()?;
        Ok(machine)
    }

    fn compiled(&self, name: &str, text: &str) -> Result<Function, ScriptError> {
        let chunk = self.lua.load(text).set_name(format!("={name}"));
        chunk.into_function().map_err(|error| ScriptError::of(&error))
    }

    fn function(&self, name: &str) -> Result<Function, ScriptError> {
        match self.lua.globals().raw_get(name) {
            Ok(Value::Function(function)) => Ok(function),
            _ => Err(ScriptError::new("code", None, format!("there is no function `{name}`"))),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.function(name).is_ok()
    }

    pub(crate) fn call_global(&self, name: &str, args: impl mlua::IntoLuaMulti) -> Result<Value, ScriptError> {
        let function = self.function(name)?;
        self.limited(|| function.call::<Value>(args))
    }

    /// Runs something of the script with the limit of instructions.
    fn limited<T>(&self, run: impl FnOnce() -> mlua::Result<T>) -> Result<T, ScriptError> {
        self.host().steps_left = INSTRUCTIONS_MAX / u64::from(STEP);
        let every = HookTriggers::new().every_nth_instruction(STEP);
        let hooked = self.lua.set_global_hook(every, |lua, at| {
            let mut host = lua.app_data_mut::<Host>().expect("a machine sets its host before anything runs");
            host.steps_left = host.steps_left.saturating_sub(1);
            if host.steps_left > 0 {
                return Ok(VmState::Continue);
            }
            drop(host);
            // A `pcall` of the script must not go on: every further instruction fails too.
            let part = at.source().short_src.map_or_else(|| "code".to_owned(), |part| part.into_owned());
            let line = at.current_line().unwrap_or(1);
            let stop = move || {
                let message = format!(
                    "{part}:{line}: the call takes more than {INSTRUCTIONS_MAX} instructions; is there a loop without an \
                     end?"
                );
                mlua::Error::RuntimeError(message)
            };
            let again = stop.clone();
            lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| Err(again()))?;
            Err(stop())
        });
        let result = hooked.and_then(|()| run());
        self.lua.remove_global_hook();
        result.map_err(|error| ScriptError::of(&error))
    }

    pub(crate) fn host(&self) -> mlua::AppDataRefMut<'_, Host> {
        self.lua.app_data_mut::<Host>().expect("a machine sets its host before anything runs")
    }

    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// The clock that `os.time()` and its like read from now on: the last tick, in microseconds since the Unix epoch.
    pub fn set_clock(&mut self, clock_us: Option<i64>) {
        self.host().clock_us = clock_us;
    }

    /// What the script wrote for the log since the last call.
    pub fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.host().messages)
    }

    /// The events that a function makes of an event.
    pub fn event(
        &mut self,
        function: &str,
        (rows, block, row): (&Rows, &Block, usize),
        output: &Output,
    ) -> Result<Vec<Made>, ScriptError> {
        let result = self.asked(function, (rows, block, row))?;
        output.events(result)
    }

    /// The events that a function makes of the passing of time.
    pub fn beat(&mut self, function: &str, output: &Output) -> Result<Vec<Made>, ScriptError> {
        let context = self.roots.context.clone();
        let result = self.call_global(function, context)?;
        output.events(result)
    }

    /// The events that a function makes of nothing but its clock and what it remembers; `None`: it returned true, it will
    /// make no more.
    pub fn publish(&mut self, function: &str, output: &Output) -> Result<Option<Vec<Made>>, ScriptError> {
        match self.call_global(function, ())? {
            Value::Boolean(true) => Ok(None),
            result => output.events(result).map(Some),
        }
    }

    /// The name of the window that the next events come from: `context.input`.
    pub fn name_input(&mut self, name: &str) -> Result<(), ScriptError> {
        self.roots.context.raw_set("input", name).map_err(|error| ScriptError::of(&error))
    }

    /// What a function says of an event; nil and false are false, and so is 0.
    pub fn test(&mut self, function: &str, row: (&Rows, &Block, usize)) -> Result<bool, ScriptError> {
        Ok(is_true(&self.asked(function, row)?))
    }

    /// What a function says of an event for an instance of a pattern, whose context it gets. A table that it gives
    /// beside a true value goes into `context.data`; the event that it took is `context.events[name]` from then on.
    pub fn matches(
        &mut self,
        (function, name): (&str, &str),
        (rows, block, row): (&Rows, &Block, usize),
        instance: u64,
    ) -> Result<bool, ScriptError> {
        let fail = |error: mlua::Error| ScriptError::of(&error);
        let context = self.context_of(instance).map_err(fail)?;
        let data = self.data(rows, block, row)?;
        let call = self.function(function)?;
        let result: MultiValue = self.limited(|| call.call((data, context.clone())))?;
        let mut result = result.into_iter();
        if !result.next().is_some_and(|value| is_true(&value)) {
            return Ok(false);
        }
        if let Some(Value::Table(more)) = result.next() {
            let kept: Table = context.raw_get("data").map_err(fail)?;
            for pair in more.pairs::<Value, Value>() {
                let (key, value) = pair.map_err(fail)?;
                kept.raw_set(key, value).map_err(fail)?;
            }
        }
        let events: Table = context.raw_get("events").map_err(fail)?;
        events.raw_set(name, rows.whole(&self.lua, block, row).map_err(fail)?).map_err(fail)?;
        Ok(true)
    }

    /// What a function makes of an instance of a pattern that is complete.
    pub fn complete(&mut self, function: &str, instance: u64, output: &Output) -> Result<Vec<Made>, ScriptError> {
        let context = self.context_of(instance).map_err(|error| ScriptError::of(&error))?;
        let result = self.call_global(function, context)?;
        output.events(result)
    }

    /// The whole number that a function makes of an event, if it makes one.
    pub fn number(
        &mut self,
        function: &str,
        (rows, block, row): (&Rows, &Block, usize),
    ) -> Result<Option<i64>, ScriptError> {
        let result = self.asked(function, (rows, block, row))?;
        Ok(match result {
            Value::Integer(number) => Some(number),
            Value::Number(number) => Some(number as i64),
            Value::Boolean(truth) => Some(i64::from(truth)),
            Value::String(text) => text.to_string_lossy().trim().parse().ok(),
            _ => None,
        })
    }

    /// Calls a function with an event and the context of the window.
    fn asked(&mut self, function: &str, (rows, block, row): (&Rows, &Block, usize)) -> Result<Value, ScriptError> {
        let data = self.data(rows, block, row)?;
        if rows.expanded() {
            let mut values = rows.values(&data).map_err(|error| ScriptError::of(&error))?;
            values.push_back(Value::Table(self.roots.context.clone()));
            return self.call_global(function, values);
        }
        if !self.bare.contains(function) {
            let context = self.roots.context.clone();
            return self.call_global(function, (data, context));
        }
        // It is there during the call only: what a script keeps of it is its own.
        let fail = |error: mlua::Error| ScriptError::of(&error);
        let globals = self.lua.globals();
        globals.raw_set(DATA, data).map_err(fail)?;
        globals.raw_set(CONTEXT, &self.roots.context).map_err(fail)?;
        let result = self.call_global(function, ());
        globals.raw_set(DATA, Value::Nil).map_err(fail)?;
        globals.raw_set(CONTEXT, Value::Nil).map_err(fail)?;
        result
    }

    fn data(&self, rows: &Rows, block: &Block, row: usize) -> Result<Table, ScriptError> {
        let fail = |error: mlua::Error| ScriptError::of(&error);
        if self.reads_event {
            let whole = rows.whole(&self.lua, block, row).map_err(fail)?;
            self.roots.current.raw_set(1, whole).map_err(fail)?;
        }
        rows.table(&self.lua, block, row).map_err(fail)
    }

    fn context_of(&self, number: u64) -> mlua::Result<Table> {
        if let Some(table) = self.roots.contexts.raw_get::<Option<Table>>(number)? {
            return Ok(table);
        }
        let table = self.lua.create_table()?;
        table.raw_set("data", self.lua.create_table()?)?;
        table.raw_set("events", self.lua.create_table()?)?;
        self.roots.contexts.raw_set(number, &table)?;
        Ok(table)
    }

    /// Drops the context of an instance of a pattern that has ended.
    pub fn forget(&mut self, instance: u64) {
        // Setting nil in a table without a metatable allocates nothing: it cannot fail.
        let _ = self.roots.contexts.raw_set(instance, Value::Nil);
    }

    /// Everything that decides what the script does next; an error when it keeps what cannot be saved.
    pub fn save(&self) -> Result<Vec<u8>, ScriptError> {
        let host = self.host();
        let numbers = [host.seed, host.draws, host.guids];
        drop(host);
        saved::save(numbers, &self.saved_roots(), &self.known)
    }

    /// Takes what [`Machine::save`] gave; false when the bytes are not a state of this script.
    #[must_use]
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some(numbers) = saved::restore(bytes, &self.lua, &self.saved_roots(), &self.known) else { return false };
        let mut host = self.host();
        [host.seed, host.draws, host.guids] = numbers;
        true
    }

    fn saved_roots(&self) -> [(&'static str, Table); 5] {
        let Roots { properties, loaded, context, contexts, .. } = &self.roots;
        [
            ("_G", self.lua.globals()),
            ("modules", loaded.clone()),
            ("properties", properties.clone()),
            ("context", context.clone()),
            ("contexts", contexts.clone()),
        ]
    }
}

/// Nil and false are false, and so is 0.
fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false) | Value::Integer(0)) && *value != Value::Number(0.0)
}
