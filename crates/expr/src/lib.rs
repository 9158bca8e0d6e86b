//! The expression language of filters and computed fields: parsed and checked once, run column by column.
//!
//! Read [`Program`] first: text and [`Scope`] in, columns out.
//!
//! Code map:
//! - `lexer`, `ast`, `parser`: text to statements (a Pratt parser); `check`: names and types, to `node`s
//! - `run`: a program over a block, column by column; `kernel`, `call`, `convert`: the loops; `vector`: values of all
//!   rows; `active`: which rows a branch is for; `store`: the result as a column
//! - `row`: the same program row by row, for small blocks; `scalar`: one value
//! - `functions`: the function library, a file per family; `object`: regular expressions and arrays
//! - [`scope`]: names that programs share; [`state`]: what they remember between events, `saved`: the same as bytes
//! - [`functional`]: functional windows: their function language, event loops, XPath and JSON paths
//! - [`reference()`]: the tables of docs/models/EXPRESSIONS.md
//! - `date`: days since 1899-12-30; [`suggest`]: did you mean
//! - [`program`], [`types`], [`error`]: the public face
//!
//! Decisions where the original is not documented: integer `/` is real division; `and`, `or`, `not` are three-valued
//! and the right side raises no error where the left decides; division by zero, overflow and a text that is no number
//! make the row null and are counted; texts have no escapes; a number stored in a date or stamp field counts days.
//! Programs that count, loop or call user functions run row by row, the others column by column.
//!
//! **Invariant:** no I/O, no thread, no clock but the recorded one, no random number but the seeded ones of [`State`]: the
//! same blocks and ticks give the same columns on every machine.
//! **Invariant:** a program never fails at run time: a row without a result is null and counted.
//! **Invariant:** nothing is parsed, and no type is looked at, per row.

mod active;
mod ast;
mod call;
mod check;
mod convert;
mod date;
pub mod error;
pub mod functional;
mod functions;
mod kernel;
mod lexer;
mod node;
mod object;
mod parser;
pub mod program;
mod reference;
mod row;
mod run;
mod saved;
mod scalar;
pub mod scope;
pub mod state;
mod store;
pub mod suggest;
pub mod types;
mod vector;

pub use error::{ExprError, RowError, RowErrors};
pub use functional::{FunctionCompiler, FunctionalCode, FunctionalOutput, LoopKind, LoopPart, MadeEvent, PropertyKind};
pub use program::{Evaluated, Program};
pub use reference::reference;
pub use scope::{Scope, TEXTS_MAX};
pub use state::State;
pub use types::Type;
