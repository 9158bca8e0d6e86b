//! The types of the expression language and how field types map to them.

use std::fmt;

use mesh_event::FieldType;

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// 64-bit integer.
    Integer,
    /// IEEE 754 double.
    Real,
    /// UTF-8 text.
    String,
    /// True or false.
    Boolean,
    /// A point in time: days since 1899-12-30 as a real number, no time zone (UTC).
    Date,
}

impl Type {
    /// The word that declares a variable of this type.
    pub fn name(self) -> &'static str {
        match self {
            Type::Integer => "integer",
            Type::Real => "real",
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::Date => "date",
        }
    }

    /// Reads the name of a type, case-free; names of field types mean what such a field is inside an expression.
    pub fn parse(text: &str) -> Option<Type> {
        let all = [Type::Integer, Type::Real, Type::String, Type::Boolean, Type::Date];
        let own = all.into_iter().find(|ty| ty.name().eq_ignore_ascii_case(text.trim()));
        own.or_else(|| Type::of_field(FieldType::parse(text)?))
    }

    /// The type that a field of `ty` has inside an expression; `None` for blobs and arrays, which can only be copied.
    pub fn of_field(ty: FieldType) -> Option<Type> {
        match ty {
            FieldType::Int32 | FieldType::Int64 => Some(Type::Integer),
            FieldType::Double | FieldType::Money => Some(Type::Real),
            FieldType::String => Some(Type::String),
            FieldType::Date | FieldType::Stamp => Some(Type::Date),
            FieldType::Blob | FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::ArrayDouble => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
