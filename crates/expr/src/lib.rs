//! The expression language of filters and computed fields: parsed and checked once, run column by column.
//!
//! Read [`Program`] first: text and [`Scope`] in, columns out.
//!
//! Code map:
//! - [`program`]: the public face
//! - [`types`], [`error`]: the language's types; compile errors with position and way out, run-time errors
//!
//! **Invariant:** no I/O, no clock, no random number, no thread; the same block gives the same column on every machine.
//! **Invariant:** a program never fails at run time: a row without a result is null and counted.

pub mod error;
pub mod program;
pub mod types;

pub use error::{ExprError, RowError, RowErrors};
pub use program::{Evaluated, Program, Scope};
pub use types::Type;
