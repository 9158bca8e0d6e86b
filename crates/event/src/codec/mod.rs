//! Blocks to bytes and back: the protobuf layout of `proto/mesh/event/v1/event.proto`, hand-written.
//!
//! Any protobuf library reads and writes these bytes; the columns are coded by hand because they are the hot path:
//! doubles are copied whole, varints eight bytes at a time, many small blocks into shared columns.
//!
//! Code map: `wire` (tags and varints), `encode`, `decode` (envelope), `decode_column`, `error`.
//!
//! **Invariant:** what decoding allocates is at most proportional to the payload: every event has a byte in every
//! column, so no count in the payload is believed before its bytes are seen.

mod decode;
mod decode_column;
mod encode;
mod error;
#[cfg(test)]
mod tests;
mod wire;

pub use decode::{BlockDecoder, decode_block, decode_header};
pub use encode::{BlockEncoder, encode_block, encoded_len_max};
pub use error::BlockError;

/// Version of the layout that is written, and the only one that is read.
pub const LAYOUT_VERSION: u32 = 1;

/// Longest payload that is decoded: well above what a broker takes as a message.
pub const MAX_PAYLOAD_BYTES: usize = 256 << 20;

/// Rows from which on no further block is decoded into the same columns: enough to spread the cost of a column thin, few
/// enough that the columns stay in the processor's cache on their way through the windows.
pub const JOINED_ROWS: usize = 2048;

/// Bytes from which on no further block is decoded into the same columns. With the longest payload they are far from the
/// 4 GiB that the texts of a column may have.
const JOINED_BYTES: usize = 1 << 20;

/// What the message ID of a block counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cause {
    /// Nothing: an input block, whose ID is its own offset.
    #[default]
    None,
    /// The input block at this offset caused the block.
    Input,
    /// The clock tick at this time (microseconds since the Unix epoch) caused the block.
    Tick,
}

/// Position of a publisher adapter in its source, after a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SourcePosition {
    /// Name of the source: path of the file, or address of the socket.
    pub source: String,
    /// Bytes consumed.
    pub bytes: u64,
    /// Lines consumed.
    pub lines: u64,
    /// Events published.
    pub events: u64,
    /// How often the source was read from its start before (repeatcount).
    pub round: u64,
    /// The file in which the position is, if the source is several files or one that is rotated; bytes and lines are
    /// those of this file.
    pub file: Option<SourceFile>,
}

/// One file of a source that is several, so that it is known again under another name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SourceFile {
    /// Path that it had when it was read.
    pub path: String,
    /// Number of its inode; 0 if unknown.
    pub inode: u64,
    /// Digest of its first bytes; none of them behind the position.
    pub head: u64,
}

/// What travels with a block besides its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockHeader {
    /// On `.O` the input offset or tick that caused the block, see [`Cause`]; 0 on `.I`.
    pub message_id: u64,
    /// What the message ID counts.
    pub cause: Cause,
    /// Contiguous number within the output topic, from 1; 0 on `.I`.
    pub sequence: u64,
    /// Where a publisher adapter stands in its source after this block.
    pub source: Option<SourcePosition>,
    /// Which of the project's input topics the message ID belongs to.
    pub input_index: u32,
    /// Fingerprint of the schema; set by decoding, ignored by encoding (the block has its schema).
    pub schema_fingerprint: u64,
}

/// Field numbers of the message `Block`.
mod fields {
    pub(super) const VERSION: u32 = 1;
    pub(super) const MESSAGE_ID: u32 = 2;
    pub(super) const CAUSE: u32 = 3;
    pub(super) const SEQUENCE: u32 = 4;
    pub(super) const KIND: u32 = 5;
    pub(super) const FINGERPRINT: u32 = 6;
    pub(super) const SOURCE: u32 = 7;
    pub(super) const EVENT_COUNT: u32 = 8;
    pub(super) const OPCODES: u32 = 9;
    pub(super) const FLAGS: u32 = 10;
    pub(super) const COLUMNS: u32 = 11;
    pub(super) const INPUT_INDEX: u32 = 12;
}

/// Field numbers of the message `Column`.
mod columns {
    pub(super) const NULLS: u32 = 1;
    pub(super) const INTEGERS: u32 = 2;
    pub(super) const DOUBLES: u32 = 3;
    pub(super) const TEXTS: u32 = 4;
    pub(super) const DELTAS: u32 = 5;
    pub(super) const INTEGER_ARRAYS: u32 = 6;
    pub(super) const DOUBLE_ARRAYS: u32 = 7;
}
