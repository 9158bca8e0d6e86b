//! Where a window calls a script.

use mesh_expr::Program;
use mesh_script::Script;

/// A function of a script, and the fields it gets.
#[derive(Debug, Clone)]
pub struct ScriptCall {
    /// The script.
    pub script: Script,
    /// The function.
    pub function: String,
    /// Positions of the input fields that it gets; `None` = all.
    pub used: Option<Vec<usize>>,
}

/// Names that a custom window's script has for fields, and the fields.
pub type Variables = Vec<(String, usize)>;

/// A window whose events a script makes.
#[derive(Debug, Clone)]
pub struct LuaWindow {
    /// The script.
    pub script: Script,
    /// Called for each event.
    pub function: String,
    /// One for each edge that leads to the window, in their order.
    pub inputs: Vec<LuaInput>,
    /// Function that is called when so many microseconds have passed.
    pub heartbeat: Option<(String, i64)>,
    /// The old half of an update block is handed over too, as a delete.
    pub process_blocks: bool,
    /// The function gets the fields as parameters of their own, and the context behind them.
    pub expand: bool,
    /// Of a custom window: names that fields of the schema also go by in the script.
    pub outputs: Variables,
}

/// One of the windows before a Lua window.
#[derive(Debug, Clone)]
pub struct LuaInput {
    /// Its name: what the script finds as `context.input`.
    pub name: String,
    /// Positions of its fields that the script gets; `None` = all.
    pub used: Option<Vec<usize>>,
    /// For each field of the Lua window's schema the field that it takes where the script says nothing.
    pub copies: Vec<Option<usize>>,
    /// Of a custom window: the names of what the script gets, and the fields.
    pub variables: Option<Variables>,
}

/// What gives an event the number of its slot.
#[derive(Debug, Clone)]
pub enum Splitter {
    /// An expression over the window's output.
    Program(Program),
    /// A function that gets the window's output.
    Script(Box<ScriptCall>),
}

impl ScriptCall {
    /// Equal texts do the same.
    pub(crate) fn canonical(&self) -> String {
        format!("{} {:?} {}", self.function, self.used, self.script.canonical())
    }
}

impl Splitter {
    /// Equal texts do the same.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Splitter::Program(program) => program.canonical(),
            Splitter::Script(call) => call.canonical(),
        }
    }

    /// True when the recorded clock can change the slots.
    pub fn reads_clock(&self) -> bool {
        match self {
            Splitter::Program(program) => program.reads_clock(),
            Splitter::Script(call) => call.script.reads_clock(),
        }
    }
}
