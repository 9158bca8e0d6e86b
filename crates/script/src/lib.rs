//! Lua scripts of windows: sandboxed, limited, deterministic, with a state that can be saved.
//!
//! Read [`Script`] (a checked text) and [`Machine`] (a script at work) first. Lua 5.4 by `mlua`, which is named nowhere
//! else.
//!
//! Code map:
//! - [`script`]: the text of a window, checked by loading it once; `tokens`, `hoist`: its tokens, and how locals of the
//!   outermost block become globals, so that they are state
//! - [`machine`]: calls with limits; `event`: rows to tables and back; `sandbox`, `prelude.lua`: what a script may use
//! - `host`: the recorded clock, the seeded random numbers, the lines for the log; `json`: the lenient reader
//! - `saved`: the state as bytes; [`error`]: what went wrong, with the line
//!
//! Decisions: `pairs` and `next` go by key (booleans, numbers, texts), `table.sort` is stable, tables and functions print
//! without their address: what a hash table or an address would decide is decided by nothing. The locals of the
//! outermost block are globals. A function that keeps a variable of a function or block around it is refused when the
//! script is loaded: nobody could save that variable.
//!
//! **Invariant:** no file, no process, no clock but the recorded one, no random number but the seeded ones.
//! **Invariant:** a call ends: after [`INSTRUCTIONS_MAX`] instructions or [`MEMORY_MAX`] bytes with an error.
//! **Invariant:** a restored machine answers as the saved one would (`tests/state.rs`).

mod custom;
pub mod error;
mod event;
mod hoist;
mod host;
mod json;
pub mod machine;
mod sandbox;
mod saved;
pub mod script;
mod tokens;

pub use error::ScriptError;
pub use event::{Made, Output, Rows};
pub use machine::{INSTRUCTIONS_MAX, MEMORY_MAX, Machine};
pub use script::{CustomConfig, Module, Script, ScriptText};
