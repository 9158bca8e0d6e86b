//! Window operators and the executor that runs a project: a pure function of the blocks and ticks applied to it.
//!
//! Read [`Executor`] first: blocks and ticks in, output blocks and digests out.
//!
//! Code map:
//! - [`executor`]: the public face; joins blocks into runs, carries runs through the windows, cuts outputs by cause
//! - `plan`: which operator does a window's work, given what is known of its input; `node`: a window at work;
//!   `live`: which columns anybody reads; `outlet`, `slots`: what becomes of its output before it leaves, and along which edges it goes
//! - `run`: the columnar unit of work, and how windows that answer one for many build it
//! - `ops`: one operator a file; `store`: rows held, by key or in order of arrival
//! - `bad`: events that cannot be applied, counted and told
//! - `cut`: output blocks that are too long for a bus, cut
//! - `digest`: the running hash of every window's output; `columns`: column moves
//!
//! - `snapshot`: [`Executor::save`] and [`Executor::restore`]; `state`: how values become bytes
//!
//! State lives in the nodes alone, and between two calls nothing is under way. Each piece has an owner, which saves it:
//! a source's next key; a store's rows in order with their times, and its retention's period; a functional window's
//! next number; a summary's values; every digest's lanes; the clock. Chunks and hash tables are how rows are held, not
//! state: a restore lays them out anew, and the bytes do not show them.
//!
//! **Invariant:** no I/O, no clock, no random number, no thread, no order of a hash map in any output.
//! **Invariant:** how blocks are spread over calls changes neither outputs nor digests (`tests/grouping.rs`).
//! **Invariant:** what a window holds is bounded by its retention (or its keys): dead rows are given back.

mod bad;
mod columns;
mod cut;
mod digest;
pub mod executor;
mod live;
mod node;
mod ops;
mod outlet;
mod plan;
mod run;
mod slots;
mod snapshot;
mod state;
mod store;

pub use bad::BadEvent;
pub use cut::OUTPUT_BYTES_MAX;
pub use executor::{Endpoint, Executor, OutputBlock, OutputPart, OutputRun, WindowStats};
pub use state::RestoreError;
