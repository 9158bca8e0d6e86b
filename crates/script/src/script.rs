//! The scripts of a window: their text, checked by loading it once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hoist::hoisted;
use crate::tokens::tokens;
use crate::{Machine, ScriptError};

/// A text that other scripts ask for with `require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What a window says of its script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptText {
    /// The text of `code`.
    pub code: String,
    /// Modules of the project, in file order.
    pub modules: Vec<Module>,
    /// Function that is called once, when everything is loaded.
    pub init: Option<String>,
    /// Functions that the window calls; all must be there.
    pub functions: Vec<String>,
    /// Properties of the project, for `esp_getProperty`.
    pub properties: BTreeMap<String, String>,
    /// Of a custom window: what it says to the function `init`, which is called when it is there. The script may have
    /// defaults for more in `_espconfig_`.
    pub settings: Option<BTreeMap<String, String>>,
}

/// What the script of a custom window says of itself: its table `_espconfig_`, and which functions it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomConfig {
    /// It has a function `heartbeat`.
    pub heartbeat: bool,
    /// Values are handed over one by one and not as a table.
    pub expand: bool,
    /// Both halves of an update block are handed over.
    pub process_blocks: bool,
    /// Names of the values that it gets, in order; empty where it does not say.
    pub inputs: Vec<String>,
}

/// A script that can be loaded.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) text: Arc<ScriptText>,
    /// Module name and text, then the code, with the locals of the outermost block as globals.
    pub(crate) modules: Arc<[(String, String)]>,
    pub(crate) code: Arc<str>,
    reads_clock: bool,
    draws: bool,
    custom: CustomConfig,
}

/// Functions of the original that reach out of the engine, or change other windows in no recorded order.
const OUTSIDE: [(&str, &str); 10] = [
    ("esp_inject", "events that come from a script beside its result have no place in the commit log"),
    ("esp_injectCsv", "events that come from a script beside its result have no place in the commit log"),
    ("esp_publishAsync", "events that come from a script beside its result have no place in the commit log"),
    ("esp_subscribe", "when the other window's events reach the script is not in the commit log"),
    ("esp_unsubscribe", "when the other window's events reach the script is not in the commit log"),
    ("esp_addPropertyListener", "when another script's property reaches this one is not in the commit log"),
    ("esp_sendHttp", "every engine of the group would send it, and the answers would differ"),
    ("esp_query", "what another project holds is not in the commit log"),
    ("loadfile", "scripts cannot read files: engines of a group have different disks"),
    ("dofile", "scripts cannot read files: engines of a group have different disks"),
];

impl Script {
    /// Checks a script by loading it.
    pub fn new(text: ScriptText) -> Result<Script, ScriptError> {
        let mut modules = Vec::new();
        let parts = text.modules.iter().map(|module| (module.name.as_str(), module.text.as_str()));
        for (name, part) in parts.clone().chain([("code", text.code.as_str())]) {
            refuse_outside(name, part)?;
        }
        for (name, part) in parts {
            modules.push((name.to_owned(), hoisted(name, part)?));
        }
        let code = hoisted("code", &text.code)?;
        let mentions = |names: &[&str]| {
            let texts = text.modules.iter().map(|module| module.text.as_str()).chain([text.code.as_str()]);
            texts.flat_map(tokens).any(|token| !token.quoted && names.contains(&token.text))
        };
        let mut script = Script {
            custom: CustomConfig::default(),
            reads_clock: mentions(&["os", "esp_getSystemMicro"]),
            draws: mentions(&["random", "esp_getGuids"]),
            modules: modules.into(),
            code: code.into(),
            text: Arc::new(text),
        };
        let machine = Machine::load(&script, 0)?;
        if script.text.settings.is_some() {
            script.custom = machine.custom_config()?;
        }
        Ok(script)
    }

    /// What the script of a custom window says of itself.
    pub fn custom(&self) -> &CustomConfig {
        &self.custom
    }

    /// What decides what the script does: equal texts do the same.
    pub fn canonical(&self) -> String {
        let ScriptText { code, modules, init, functions, properties, settings } = &*self.text;
        let settings = settings.as_ref().map(|settings| format!(" {settings:?}")).unwrap_or_default();
        format!("{init:?} {functions:?} {modules:?} {code:?} {properties:?}{settings}")
    }

    /// True when the script may look at the clock.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// True when the script may draw random numbers or make GUIDs.
    pub fn draws(&self) -> bool {
        self.draws
    }
}

fn refuse_outside(part: &str, text: &str) -> Result<(), ScriptError> {
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        if token.quoted {
            continue;
        }
        let before = at.checked_sub(1).map_or("", |at| tokens[at].text);
        let library = matches!(tokens.get(at + 1), Some(next) if next.text == ".") && before != ".";
        let because = match token.text {
            "io" if library => Some("scripts cannot read or write files: engines of a group have different disks"),
            "debug" if library && tokens.get(at + 2).is_none_or(|name| name.text != "getinfo") => {
                Some("it shows what differs between replicas")
            }
            name => OUTSIDE.iter().find(|(outside, _)| *outside == name && before != ".").map(|(_, because)| *because),
        };
        if let Some(because) = because {
            let message = format!(
                "`{}` is not there: {because}; publish the data into a source window, or do the step in an adapter",
                token.text
            );
            return Err(ScriptError::new(part, Some(token.line), message));
        }
    }
    Ok(())
}
