//! Scripts of custom windows: what `_espconfig_` says, and their function `init`.

use std::collections::BTreeMap;

use mlua::{Table, Value};

use crate::{CustomConfig, Machine, ScriptError};

/// The table in which the script of a custom window describes itself.
const CONFIG: &str = "_espconfig_";
/// Functions that it may have.
const INIT: &str = "init";
const HEARTBEAT: &str = "heartbeat";

/// The `fields` of a part of the description.
fn fields(config: &Table, part: &str) -> mlua::Result<Vec<Table>> {
    let Some(part) = config.raw_get::<Option<Table>>(part)? else { return Ok(Vec::new()) };
    let Some(fields) = part.raw_get::<Option<Table>>("fields")? else { return Ok(Vec::new()) };
    fields.sequence_values().collect()
}

impl Machine {
    fn description(&self) -> mlua::Result<Option<Table>> {
        let found: Value = self.lua().globals().raw_get(CONFIG)?;
        Ok(found.as_table().cloned())
    }

    /// Calls `init`, where the script has one, with the settings of the window and the defaults of the script.
    pub(crate) fn begin_custom(&self, given: &BTreeMap<String, String>) -> Result<(), ScriptError> {
        let fail = |error: mlua::Error| ScriptError::of(&error);
        let settings = self.lua().create_table().map_err(fail)?;
        let described = self.description().map_err(fail)?;
        let described = described.map_or(Ok(Vec::new()), |config| fields(&config, "initialization")).map_err(fail)?;
        for field in described {
            let name: Value = field.raw_get("name").map_err(fail)?;
            if !name.is_nil() {
                settings.raw_set(name, field.raw_get::<Value>("default").map_err(fail)?).map_err(fail)?;
            }
        }
        for (name, value) in given {
            settings.raw_set(name.as_str(), value.as_str()).map_err(fail)?;
        }
        if self.has(INIT) { self.call_global(INIT, settings).map(drop) } else { Ok(()) }
    }

    /// What the script says of itself.
    pub(crate) fn custom_config(&self) -> Result<CustomConfig, ScriptError> {
        let read = || -> mlua::Result<CustomConfig> {
            let mut found = CustomConfig { heartbeat: self.has(HEARTBEAT), ..CustomConfig::default() };
            let Some(config) = self.description()? else { return Ok(found) };
            if let Some(settings) = config.raw_get::<Option<Table>>("settings")? {
                let on = |name: &str| settings.raw_get::<Value>(name).map(|value| value == Value::Boolean(true));
                (found.expand, found.process_blocks) = (on("expand_parms")?, on("process_blocks")?);
            }
            for field in fields(&config, "inputVariables")? {
                found.inputs.extend(field.raw_get::<Option<String>>("name")?);
            }
            Ok(found)
        };
        read().map_err(|error| ScriptError::of(&error))
    }
}
