//! What a pattern window looks for.

use std::sync::Arc;

use mesh_event::{FieldType, Schema};
use mesh_expr::Program;
use mesh_script::Script;

/// One pattern of a pattern window.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Its name.
    pub name: String,
    /// The events it is made of.
    pub events: Vec<PatternEvent>,
    /// Variables that events bind, with the types of their values.
    pub variables: Vec<FieldType>,
    /// How the events follow one another.
    pub logic: PatternLogic,
    /// For each input the fields whose values tell instances apart; empty when all events meet.
    pub index: Vec<Vec<usize>>,
    /// For each input the field with the time; `None` = the clock of the last tick.
    pub times: Vec<Option<usize>>,
    /// One for each non-key field of the window's schema, in schema order.
    pub fields: Vec<PatternField>,
    /// The script with the functions of its events.
    pub script: Option<Script>,
    /// The function of the script that makes what goes out. It gets the table of the instance; the fields are then the
    /// values that it gives, as if the first event had kept them.
    pub output: Option<String>,
}

/// An event of a pattern.
#[derive(Debug, Clone)]
pub struct PatternEvent {
    /// Its name in the logic.
    pub name: String,
    /// The input it comes from: the position of its edge among those of the window.
    pub input: usize,
    /// What of its condition needs no variable; `None`: every event of the input.
    pub condition: Option<Program>,
    /// Variables that are bound or compared: position, program, type of its value.
    pub binds: Vec<(usize, Program, FieldType)>,
    /// The rest of its condition, over [`PatternEvent::scope`].
    pub tests: Vec<Program>,
    /// What the tests run over: the input's fields, then every variable.
    pub scope: Arc<Schema>,
    /// The function of the pattern's script that decides, in the place of a condition. It gets the event and a table
    /// that belongs to the instance.
    pub function: Option<String>,
    /// Fields of the event that are kept until the pattern is complete.
    pub keeps: Vec<usize>,
    /// Their shape: what field programs run over.
    pub kept: Arc<Schema>,
}

/// Where a field of a pattern window comes from.
#[derive(Debug, Clone)]
pub enum PatternField {
    /// A kept field of an event.
    Kept {
        /// Position of the event.
        event: usize,
        /// Position in [`PatternEvent::keeps`].
        at: usize,
    },
    /// A program over the kept fields of an event.
    Program {
        /// Position of the event.
        event: usize,
        /// The program.
        program: Program,
    },
}

/// How events follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternLogic {
    /// This event, some time.
    Event(usize),
    /// One after the other, each so soon after the one before.
    Fby {
        /// Most microseconds between two.
        span_us: Option<i64>,
        /// What follows one another.
        parts: Vec<PatternLogic>,
    },
    /// All, in any order.
    And(Vec<PatternLogic>),
    /// One of them.
    Or(Vec<PatternLogic>),
    /// It does not happen until the time is over.
    NotOccur(Box<PatternLogic>),
    /// The next event is not it.
    Not(Box<PatternLogic>),
    /// So many next events are it.
    Is {
        /// How many.
        times: u32,
        /// What they are.
        part: Box<PatternLogic>,
    },
}
