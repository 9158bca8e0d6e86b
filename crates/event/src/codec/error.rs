//! Why a payload is not a block of the expected schema.

use crate::FieldType;

/// Why a payload is not a block of the expected schema; every message says what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The payload is longer than any block may be.
    #[error("block payload has {found} bytes, at most {limit} are read: publish smaller blocks (blocksize)")]
    TooLong {
        /// Length found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The payload ends inside a value.
    #[error("{what} is cut off at byte {offset}: expected {wanted}, found the end")]
    Truncated {
        /// The message that was read.
        what: &'static str,
        /// What should stand there.
        wanted: &'static str,
        /// Byte of the payload.
        offset: usize,
    },
    /// A length points beyond the end.
    #[error("{what} is cut off at byte {offset}: a field claims {found} bytes, only {left} are left")]
    Length {
        /// The message that was read.
        what: &'static str,
        /// Byte of the payload.
        offset: usize,
        /// Length claimed.
        found: u64,
        /// Bytes there.
        left: usize,
    },
    /// A tag is no protobuf tag of the wire types 0, 1, 2 and 5.
    #[error(
        "{what} has the tag {found:#x} before byte {offset}, expected a protobuf field of wire type 0, 1, 2 or 5: this is no event block"
    )]
    Tag {
        /// The message that was read.
        what: &'static str,
        /// Byte of the payload after the tag.
        offset: usize,
        /// The tag.
        found: u64,
    },
    /// A known field has another wire type.
    #[error("{what} field {number} has wire type {found}, expected {expected}")]
    WireType {
        /// The message that was read.
        what: &'static str,
        /// Field number.
        number: u32,
        /// Wire type found.
        found: u8,
        /// Wire type of the layout.
        expected: u8,
    },
    /// The layout's version is unknown.
    #[error("block has layout version {found}, this reader knows {expected}: upgrade the reader first")]
    Version {
        /// Version found.
        found: u64,
        /// Version known.
        expected: u32,
    },
    /// The block is of another schema.
    #[error(
        "block has schema fingerprint {found:016x}, expected {expected:016x} of `{schema}`: writer and reader use different models"
    )]
    Fingerprint {
        /// Fingerprint in the block.
        found: u64,
        /// Fingerprint of the reader's schema.
        expected: u64,
        /// The reader's schema.
        schema: String,
    },
    /// An enumeration has a number without meaning.
    #[error("block has {what} {found}, expected {expected}")]
    Number {
        /// Which field.
        what: &'static str,
        /// Number found.
        found: u64,
        /// Numbers with a meaning.
        expected: &'static str,
    },
    /// The block claims more events than it can hold.
    #[error("block claims {found} events in {payload} bytes, an event takes at least one byte")]
    EventCount {
        /// Events claimed.
        found: u64,
        /// Length of the payload.
        payload: usize,
    },
    /// The number of opcodes or flags does not fit.
    #[error("block of {events} events has {found} {what}, expected {expected} or {events}")]
    PerEvent {
        /// `opcodes` or `flags`.
        what: &'static str,
        /// Bytes found.
        found: usize,
        /// The short forms allowed.
        expected: &'static str,
        /// Number of events.
        events: usize,
    },
    /// An opcode is unknown.
    #[error("event {event} has opcode {found}, expected 1 to 6")]
    Opcode {
        /// Position in the block.
        event: usize,
        /// Byte found.
        found: u8,
    },
    /// A flag is unknown.
    #[error("event {event} has flags {found:#x}, expected bits of 0x3")]
    Flags {
        /// Position in the block.
        event: usize,
        /// Byte found.
        found: u8,
    },
    /// The number of columns is not that of the schema.
    #[error("block has {found} columns, the schema has {expected} fields")]
    ColumnCount {
        /// Columns found.
        found: usize,
        /// Fields of the schema.
        expected: usize,
    },
    /// A column holds values of another kind.
    #[error("column `{field}` holds {found}, expected {expected} for type {ty}")]
    ColumnType {
        /// Name of the field.
        field: String,
        /// Kind found.
        found: &'static str,
        /// Kind of the layout.
        expected: &'static str,
        /// Type in the schema.
        ty: FieldType,
    },
    /// A column has two sets of values.
    #[error("column `{field}` has two sets of values, expected one")]
    ColumnTwice {
        /// Name of the field.
        field: String,
    },
    /// A column has another number of rows than the block has events.
    #[error("column `{field}` has {found} rows, the block has {expected} events")]
    Rows {
        /// Name of the field.
        field: String,
        /// Rows found; when there are too many, the first that is too many.
        found: usize,
        /// Events of the block.
        expected: usize,
    },
    /// The packed doubles are not whole.
    #[error("column `{field}` has {found} bytes of doubles, expected a multiple of 8")]
    Doubles {
        /// Name of the field.
        field: String,
        /// Bytes found.
        found: usize,
    },
    /// The lengths of the rows do not add up to the values.
    #[error("column `{field}` has row lengths that sum to {found}, expected {expected} as in the data")]
    Lengths {
        /// Name of the field.
        field: String,
        /// Sum of the lengths.
        found: u64,
        /// Bytes or elements there.
        expected: usize,
    },
    /// A value does not fit int32.
    #[error("column `{field}` row {row} is {found}, expected an int32")]
    Int32 {
        /// Name of the field.
        field: String,
        /// Row, or element of an array column.
        row: usize,
        /// The value.
        found: i64,
    },
    /// Text is not UTF-8, or a row ends inside a character.
    #[error(
        "column `{field}` has text that is not UTF-8 at byte {offset} of its data (bytes belong into a blob field)"
    )]
    Utf8 {
        /// Name of the field.
        field: String,
        /// Byte of the column's data.
        offset: usize,
    },
    /// The null bitmap marks rows that do not exist.
    #[error("column `{field}` marks nulls beyond its {rows} rows")]
    Nulls {
        /// Name of the field.
        field: String,
        /// Rows of the block.
        rows: usize,
    },
}
