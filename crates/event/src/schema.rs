//! The shape of a row: fields with name, type and key mark, and the text form `id*:int64,name:string`.

use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

use crate::FieldType;

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, unique within the schema, case-sensitive.
    pub name: String,
    /// Type of its values.
    pub ty: FieldType,
    /// True for a key field; key fields are never null.
    pub key: bool,
}

/// The fields of a window's rows, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<Field>,
    keys: Vec<usize>,
    fingerprint: u64,
}

/// Why a schema text or a list of fields is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A part is not `name:type` or `name*:type`.
    #[error("schema part {position} is `{found}`, expected `name:type` or `name*:type`")]
    Part {
        /// Position in the list, from 1.
        position: usize,
        /// What stands there.
        found: String,
    },
    /// A type name is unknown.
    #[error(
        "field `{field}` has type `{found}`, expected one of int32, int64, double, string, date, stamp, money, blob, array(i32), array(i64), array(dbl)"
    )]
    Type {
        /// Name of the field.
        field: String,
        /// What stands there.
        found: String,
    },
    /// Two fields share a name.
    #[error("field `{field}` stands twice in the schema, names must be unique")]
    Duplicate {
        /// Name of the field.
        field: String,
    },
    /// There is no field at all.
    #[error("the schema is empty, expected at least one field such as `id*:int64`")]
    Empty,
}

impl Schema {
    /// Makes a schema of its fields.
    pub fn new(fields: Vec<Field>) -> Result<Schema, SchemaError> {
        if fields.is_empty() {
            return Err(SchemaError::Empty);
        }
        for (i, field) in fields.iter().enumerate() {
            if fields[..i].iter().any(|other| other.name == field.name) {
                return Err(SchemaError::Duplicate { field: field.name.clone() });
            }
        }
        let keys = fields.iter().enumerate().filter(|(_, f)| f.key).map(|(i, _)| i).collect();
        let mut schema = Schema { fields, keys, fingerprint: 0 };
        schema.fingerprint = xxh3_64(schema.to_string().as_bytes());
        Ok(schema)
    }

    /// Reads the text form `id*:int64,name:string`; white space around names and types is ignored.
    pub fn parse(text: &str) -> Result<Schema, SchemaError> {
        let mut fields = Vec::new();
        let text = text.trim();
        if text.is_empty() {
            return Err(SchemaError::Empty);
        }
        for (i, part) in text.split(',').enumerate() {
            let bad = || SchemaError::Part { position: i + 1, found: part.trim().to_owned() };
            let (name, ty) = part.split_once(':').ok_or_else(bad)?;
            let name = name.trim();
            let (name, key) = match name.strip_suffix('*') {
                Some(name) => (name.trim(), true),
                None => (name, false),
            };
            if name.is_empty() {
                return Err(bad());
            }
            let ty = FieldType::parse(ty)
                .ok_or_else(|| SchemaError::Type { field: name.to_owned(), found: ty.trim().to_owned() })?;
            fields.push(Field { name: name.to_owned(), ty, key });
        }
        Schema::new(fields)
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Positions of the key fields, ascending.
    pub fn keys(&self) -> &[usize] {
        &self.keys
    }

    /// Position of the field of this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// A hash of the text form, the same on every machine; block and reader compare it.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.fields.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let star = if field.key { "*" } else { "" };
            write!(f, "{comma}{}{star}:{}", field.name, field.ty)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({self})")
    }
}
