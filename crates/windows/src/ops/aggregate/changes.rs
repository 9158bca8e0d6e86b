//! What the rows of a run do to groups, worked out once; every function then goes through it by itself, so that each has
//! one tight loop over what it keeps.

use std::sync::Arc;

use mesh_event::{Column, Flags};

/// A row joins a group or leaves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    /// Row of the input.
    pub row: u32,
    /// Place of the group.
    pub group: u32,
    pub adds: bool,
}

/// An event that a group puts out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Moves that come before it, from the first of the run on.
    pub moves: u32,
    /// Row of the input that has the group's key.
    pub row: u32,
    /// Place of the group.
    pub group: u32,
    pub flags: Flags,
    /// Number of the event's opcode: insert 1, update 2, delete 3.
    pub opcode: u8,
    /// The group has no row left, and is no more.
    pub gone: bool,
}

/// The run at hand.
pub(crate) struct Changes<'a> {
    /// Columns of the input.
    pub columns: &'a [Arc<Column>],
    /// What the functions are applied to.
    pub arguments: Vec<Arc<Column>>,
    pub moves: Vec<Move>,
    pub outputs: Vec<Output>,
}
