//! The vocabulary of the mesh: schemas, values, columnar event blocks, and their encodings.
//!
//! Read [`Schema`] and [`Block`] first; everything else converts to or from them.
//!
//! Code map:
//! - [`field_type`], [`value`], [`schema`]: what a field may hold, one value, a row's shape
//! - [`opcode`]: what an event does to the row with its key, and its flags
//! - [`column`], [`block`], [`select`]: events stored column by column; a block is the unit that travels; parts of it
//! - [`codec`]: blocks to bytes and back, the protobuf layout of the topics
//! - [`csv`]: blocks to lines of text and back; [`pretty`]: blocks as short texts, for tests
//! - [`topic`]: names of topics, `dfESP://` URLs
//!
//! **Invariant:** no I/O, no clock, no random number, no thread in this crate (`cargo xtask check-layers`).
//! **Invariant:** every column of a block has exactly as many rows as the block has events.

pub mod block;
pub mod codec;
pub mod column;
pub mod csv;
pub mod field_type;
pub mod opcode;
pub mod pretty;
pub mod schema;
pub mod select;
#[cfg(test)]
pub(crate) mod testing;
pub mod topic;
pub mod value;

pub use block::{Block, BlockKind, JoinedBlocks};
pub use codec::{
    BlockError, BlockHeader, Cause, SourceFile, SourcePosition, decode_block, decode_header, encode_block,
};
pub use column::{Bytes2D, Column, ColumnBuilder, ColumnData, NullMask};
pub use field_type::FieldType;
pub use opcode::{Flags, Opcode};
pub use schema::{Field, Schema, SchemaError};
pub use topic::{DfespUrl, TopicError, TopicKind, TopicName};
pub use value::{MONEY_SCALE, Value};
