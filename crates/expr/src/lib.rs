//! The expression language of filters and computed fields: parsed and checked once, run column by column.
//!
//! Read [`Program`] first: text and [`Scope`] in, columns out.
//!
//! Code map:
//! - `lexer`, `ast`, `parser`: text to statements (a Pratt parser); `check`: names and types, to `node`s
//! - `run`: a program over a block, column by column; `kernel`, `call`, `convert`: the loops; `vector`: values of all
//!   rows; `active`: which rows a branch is for; `store`: the result as a column
//! - `row`: the same program row by row, for small blocks; `scalar`: one value
//! - `functions`: the function library, a file per family
//! - [`functional`]: the function language of functional windows, read into the same trees
//! - `date`: days since 1899-12-30; [`suggest`]: did you mean
//! - [`program`], [`types`], [`error`]: the public face
//!
//! Decisions where the original is not documented: integer `/` is real division; `and`, `or`, `not` are three-valued
//! and the right side raises no error where the left decides; division by zero, overflow and a text that is no number
//! make the row null and are counted; texts have no escapes; a number stored in a date or stamp field counts days.
//!
//! **Invariant:** no I/O, no clock, no random number, no thread; the same block gives the same column on every machine.
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
mod parser;
pub mod program;
mod row;
mod run;
mod scalar;
mod store;
pub mod suggest;
pub mod types;
mod vector;

pub use error::{ExprError, RowError, RowErrors};
pub use functional::{Function, FunctionCompiler};
pub use program::{Evaluated, Program, Scope};
pub use types::Type;
