//! The types a field may have, and their names in project files and schemas.

use std::fmt;

/// The type of a field. `rstring` of older projects is read as [`FieldType::String`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldType {
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 double.
    Double,
    /// UTF-8 text.
    String,
    /// Seconds since the Unix epoch.
    Date,
    /// Microseconds since the Unix epoch.
    Stamp,
    /// Fixed decimal with four digits after the point.
    Money,
    /// Bytes.
    Blob,
    /// Array of 32-bit integers.
    ArrayInt32,
    /// Array of 64-bit integers.
    ArrayInt64,
    /// Array of doubles.
    ArrayDouble,
}

impl FieldType {
    /// Every type, in the order of the wire format's numbers.
    pub const ALL: [FieldType; 11] = [
        FieldType::Int32,
        FieldType::Int64,
        FieldType::Double,
        FieldType::String,
        FieldType::Date,
        FieldType::Stamp,
        FieldType::Money,
        FieldType::Blob,
        FieldType::ArrayInt32,
        FieldType::ArrayInt64,
        FieldType::ArrayDouble,
    ];

    /// The name used in schemas and project files.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Int32 => "int32",
            FieldType::Int64 => "int64",
            FieldType::Double => "double",
            FieldType::String => "string",
            FieldType::Date => "date",
            FieldType::Stamp => "stamp",
            FieldType::Money => "money",
            FieldType::Blob => "blob",
            FieldType::ArrayInt32 => "array(i32)",
            FieldType::ArrayInt64 => "array(i64)",
            FieldType::ArrayDouble => "array(dbl)",
        }
    }

    /// Reads a type name as project files write it (case-free; `rstring` is `string`, `timestamp` is `stamp`).
    pub fn parse(text: &str) -> Option<FieldType> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "rstring" | "utf8str" => Some(FieldType::String),
            "timestamp" => Some(FieldType::Stamp),
            "datetime" => Some(FieldType::Date),
            other => FieldType::ALL.into_iter().find(|ty| ty.name() == other),
        }
    }

    /// True for the types that hold a number which expressions and statistics can use.
    pub fn is_numeric(self) -> bool {
        matches!(self, FieldType::Int32 | FieldType::Int64 | FieldType::Double | FieldType::Money)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
