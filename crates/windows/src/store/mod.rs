//! Where windows keep rows: [`Queue`] when keys never repeat and rows leave oldest first, [`Rows`] for everything else;
//! [`Table`] is rows with the opcode algebra and retention.
//!
//! A row is held as a place in a chunk; a chunk is the columns of a whole run, shared with whoever else holds them. So
//! keeping a row copies nothing. The price is that a chunk lives as long as one of its rows, and that runs of few rows
//! make poor chunks; both stores therefore join small chunks ([`SMALL`], [`MERGE_COUNT`]), and the table rewrites a
//! chunk when most of its rows are gone.

mod by_time;
mod chunks;
mod expiry;
pub(crate) mod keys;
mod queue;
mod rows;
mod table;

pub(crate) use expiry::{Expiry, event_time_us};
pub(crate) use keys::any_null;
pub(crate) use queue::Queue;
pub(crate) use rows::{Notes, Rows};
pub(crate) use table::Table;

/// A chunk with fewer rows than `SMALL[level]` is of that level; chunks of one level are joined when there are
/// [`MERGE_COUNT`]. A row is so copied at most twice in its life, and a store has at most `2 * MERGE_COUNT` small chunks.
const SMALL: [usize; 2] = [32, 512];
/// How many small chunks are joined to one.
const MERGE_COUNT: usize = 32;

/// The level of a chunk of so many rows; `None`: large enough to stay.
fn level(rows: usize) -> Option<usize> {
    SMALL.iter().position(|&limit| rows < limit)
}
