//! A compiled program and how it is run over a block.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, FieldType, Schema};

use crate::active::{Active, holds};
use crate::check::{self, Checked};
use crate::kernel::Context;
use crate::node::{Node, Site, Step};
use crate::row::{RowRun, SMALL_BLOCK};
use crate::run::Run;
use crate::{ExprError, RowErrors, Type, parser, scalar, store};

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
    code: Arc<Checked>,
    /// The field whose value the whole program is, and its type.
    copies: Option<(usize, FieldType)>,
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
        let stmts = parser::program(text)?;
        Ok(Program::of(text, check::check(text, &stmts, scope)?, scope))
    }

    pub(crate) fn of(text: &str, code: Checked, scope: &Scope) -> Program {
        let copied = match code.steps.as_slice() {
            [Step::Value(Node::Field(index)) | Step::Return(Node::Field(index))] => Some(*index),
            _ => code.copies,
        };
        let copies = copied.map(|index| (index, scope.fields[index].1));
        Program { text: text.into(), code: Arc::new(code), copies }
    }

    /// The text that was compiled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The program without white space and comments that mean nothing: equal texts do the same.
    pub fn canonical(&self) -> String {
        let Ok(tokens) = crate::lexer::tokens(self.text()) else { return self.text().to_owned() };
        let words: Vec<&str> = tokens.iter().map(|token| &self.text()[token.span.clone()]).collect();
        words.join(" ")
    }

    /// The type of the result; `None` when it is always null or a copy of a blob or an array.
    pub fn result_type(&self) -> Option<Type> {
        self.code.result
    }

    /// True when the result can be stored in a field of this type (row by row it may still not fit and become null).
    pub fn fits(&self, into: FieldType) -> bool {
        match (self.copies, self.code.result) {
            (Some((_, ty)), _) if ty == into => true,
            (_, Some(result)) => store::fits(result, into),
            (copies, None) => copies.is_none(),
        }
    }

    /// The input field that a result of type `into` is, unchanged, when the program is no more than its name.
    pub fn copied_field(&self, into: FieldType) -> Option<usize> {
        self.copies.filter(|(_, ty)| *ty == into).map(|(index, _)| index)
    }

    /// Runs over a whole block; the result is converted to `into`, null where that fails.
    /// The block's schema must be the one of the scope.
    pub fn eval(&self, block: &Block, into: FieldType) -> Evaluated {
        if let Some(index) = self.copied_field(into) {
            return Evaluated { column: block.columns[index].clone(), errors: RowErrors::default() };
        }
        let Some(result) = self.code.result.filter(|result| store::fits(*result, into)) else {
            let mut builder = ColumnBuilder::new(into, block.len());
            (0..block.len()).for_each(|_| builder.push_null());
            return Evaluated { column: Arc::new(builder.finish()), errors: RowErrors::default() };
        };
        if block.len() <= SMALL_BLOCK {
            let mut run = RowRun::new(block, self.code.locals.len());
            let column =
                store::store_rows(&mut run, block.len(), (result, into), |run, row| run.program(&self.code.steps, row));
            return Evaluated { column: Arc::new(column), errors: run.errors };
        }
        let mut run = Run::new(block, &self.code.locals, result);
        let value = run.program(&self.code.steps);
        let mut errors = std::mem::take(&mut run.errors);
        let site = Site { line: 1, column: 1 };
        let mut context = Context { rows: block.len(), active: &Active::All, errors: &mut errors, site };
        let column = store::store(value, result, into, &mut context);
        Evaluated { column: Arc::new(column), errors }
    }

    /// Runs over a whole block as a condition: `keep` is cleared, then gets one entry per event; null is false.
    pub fn eval_filter(&self, block: &Block, keep: &mut Vec<bool>) -> RowErrors {
        keep.clear();
        let Some(result) = self.code.result else {
            keep.resize(block.len(), false);
            return RowErrors::default();
        };
        if block.len() <= SMALL_BLOCK {
            let mut run = RowRun::new(block, self.code.locals.len());
            keep.extend((0..block.len()).map(|row| {
                let value = run.program(&self.code.steps, row);
                let value = scalar::cast(value, result, Type::Boolean);
                run.settle(value, Site { line: 1, column: 1 }).holds()
            }));
            return run.errors;
        }
        let mut run = Run::new(block, &self.code.locals, result);
        let value = run.program(&self.code.steps);
        let mut errors = std::mem::take(&mut run.errors);
        let site = Site { line: 1, column: 1 };
        let mut context = Context { rows: block.len(), active: &Active::All, errors: &mut errors, site };
        let value = match result {
            Type::Boolean => value,
            other => crate::convert::cast(value, other, Type::Boolean, &mut context),
        };
        keep.extend((0..block.len()).map(|row| holds(&value, row)));
        errors
    }
}
