//! A compiled program and how it is run over a block.

use std::sync::Arc;

use mesh_event::{Block, Column, FieldType, Schema};

use crate::{ExprError, RowErrors, Type};

/// The names that a program may use.
#[derive(Debug, Clone)]
pub struct Scope {
    pub(crate) fields: Vec<(String, FieldType)>,
}

impl Scope {
    /// The fields of a window's input, `ESP_OPCODE` and `ESP_FLAGS`.
    pub fn new(input: &Schema) -> Scope {
        Scope { fields: input.fields().iter().map(|field| (field.name.clone(), field.ty)).collect() }
    }
}

/// A checked, compiled expression program. Cheap to clone; it keeps no state between blocks.
#[derive(Debug, Clone)]
pub struct Program {
    text: Arc<str>,
    result: Option<Type>,
}

/// What a program computed for a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// One value per event.
    pub column: Arc<Column>,
    /// Run-time errors; the rows concerned are null.
    pub errors: RowErrors,
}

impl Program {
    /// Compiles a program in the expression language (EEL).
    pub fn compile(text: &str, scope: &Scope) -> Result<Program, ExprError> {
        let _ = &scope.fields;
        Err(ExprError::at(text, 0..0, "the compiler is not in this commit", None))
    }

    /// The text that was compiled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of the result; `None` when it is always null or a copy of a blob or an array.
    pub fn result_type(&self) -> Option<Type> {
        self.result
    }

    /// Runs over a whole block; the result is converted to `into`, null where that fails.
    /// The block's schema must be the one of the scope.
    pub fn eval(&self, block: &Block, into: FieldType) -> Evaluated {
        let mut builder = mesh_event::ColumnBuilder::new(into, block.len());
        (0..block.len()).for_each(|_| builder.push_null());
        Evaluated { column: Arc::new(builder.finish()), errors: RowErrors::default() }
    }

    /// Runs over a whole block as a condition: `keep` is cleared, then gets one entry per event; null is false.
    pub fn eval_filter(&self, block: &Block, keep: &mut Vec<bool>) -> RowErrors {
        keep.clear();
        keep.resize(block.len(), false);
        RowErrors::default()
    }
}
