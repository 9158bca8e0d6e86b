//! A compiled program and how it is run over a block.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, FieldType};

use crate::active::{Active, holds};
use crate::check::{self, Checked, Mode};
use crate::kernel::Context;
use crate::node::{Node, Step};
use crate::row::{RowRun, SMALL_BLOCK};
use crate::run::Run;
use crate::scalar::Scalar;
use crate::scope::{Library, Scope, TEXTS_MAX};
use crate::state::State;
use crate::store::WHOLE;
use crate::vector::Data;
use crate::{ExprError, RowErrors, Type, parser, store};

/// A checked, compiled expression program. Cheap to clone; what it remembers between events is in a [`State`].
#[derive(Debug, Clone)]
pub struct Program {
    text: Arc<str>,
    code: Arc<Checked>,
    library: Arc<Library>,
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
        let (code, _) = check::check(text, &stmts, scope, Mode::Program)?;
        let copied = match code.steps.as_slice() {
            [Step::Value(Node::Field(index)) | Step::Return(Node::Field(index))] => Some(*index),
            _ => code.copies,
        };
        let copies = copied.map(|index| (index, scope.fields[index].1));
        Ok(Program { text: text.into(), code: Arc::new(code), library: Arc::clone(&scope.library), copies })
    }

    /// The text that was compiled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The program, and the initializer and the functions that it shares, without white space and comments that mean
    /// nothing: equal texts do the same.
    pub fn canonical(&self) -> String {
        let mut texts = vec![canonical(&self.text)];
        texts.extend(self.library.texts.iter().map(|text| canonical(text)));
        texts.extend(self.code.texts_max.filter(|bytes| *bytes != TEXTS_MAX).map(|bytes| format!("texts {bytes}")));
        texts.join("\n")
    }

    /// True when the result depends on more than the event: on variables that are kept, the clock, random numbers.
    pub fn needs_state(&self) -> bool {
        !self.code.pure
    }

    /// True when the recorded clock can change the result.
    pub fn reads_clock(&self) -> bool {
        let shared = self.library.functions.iter().filter_map(|function| function.code.as_ref());
        self.code.clock || shared.chain(&self.library.initializer).any(|code| code.clock)
    }

    /// The fields that it may read, and those that the initializer and the functions that it shares may.
    pub fn fields(&self) -> impl Iterator<Item = usize> {
        let shared = self.library.functions.iter().filter_map(|function| function.code.as_ref());
        let all = shared.chain(&self.library.initializer).chain([&self.code]);
        all.flat_map(|code| code.fields.iter().copied())
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

    /// Runs over a whole block; the result is converted to `into`, null where that fails. The block's schema must be the
    /// one of the scope. For a program that needs a state ([`Program::needs_state`]) each block starts from nothing:
    /// windows use [`Program::eval_all`].
    pub fn eval(&self, block: &Block, into: FieldType) -> Evaluated {
        if let Some(index) = self.copied_field(into) {
            return Evaluated { column: block.columns[index].clone(), errors: RowErrors::default() };
        }
        let Some(result) = self.result_for(into) else {
            return Evaluated { column: Arc::new(nulls(into, block.len())), errors: RowErrors::default() };
        };
        if !self.code.pure || block.len() <= SMALL_BLOCK {
            let mut state = State::default();
            let mut run = RowRun::new(block, &self.library, &mut state);
            let column =
                store::store_rows(&mut run, block.len(), (result, into), |run, row| run.program(&self.code, row));
            return Evaluated { column: Arc::new(store::cut(column, self.code.texts_max)), errors: run.errors };
        }
        let mut run = Run::new(block, &self.code.locals, result);
        let value = run.program(&self.code.steps);
        let mut errors = std::mem::take(&mut run.errors);
        let mut context = Context { rows: block.len(), active: &Active::All, errors: &mut errors, site: WHOLE };
        let column = store::store(value, result, into, &mut context);
        Evaluated { column: Arc::new(store::cut(column, self.code.texts_max)), errors }
    }

    /// Runs the programs of a window over a whole block: for each event all of them in their order, so that they see
    /// what earlier ones did to shared variables.
    pub fn eval_all(programs: &[(&Program, FieldType)], block: &Block, state: &mut State) -> Vec<Evaluated> {
        let Some((stateful, _)) = programs.iter().find(|(program, _)| program.needs_state()) else {
            return programs.iter().map(|(program, into)| program.eval(block, *into)).collect();
        };
        let rows = block.len();
        let mut values: Vec<Vec<Scalar<'_>>> = programs.iter().map(|_| Vec::with_capacity(rows)).collect();
        let mut run = RowRun::new(block, &stateful.library, state);
        let mut errors: Vec<RowErrors> = programs.iter().map(|_| RowErrors::default()).collect();
        for row in 0..rows {
            for (((program, into), values), errors) in programs.iter().zip(&mut values).zip(&mut errors) {
                if program.copied_field(*into).is_none() {
                    values.push(run.program(&program.code, row));
                    errors.add(std::mem::take(&mut run.errors));
                }
            }
        }
        let made = programs.iter().zip(values).zip(errors).map(|(((program, into), values), mut errors)| {
            let column = match (program.copied_field(*into), program.result_for(*into)) {
                (Some(index), _) => Arc::clone(&block.columns[index]),
                (None, None) => Arc::new(nulls(*into, rows)),
                (None, Some(result)) => {
                    let each = |_: &mut RowRun<'_, '_>, row: usize| values[row].clone();
                    Arc::new(store::cut(
                        store::store_rows(&mut run, rows, (result, *into), each),
                        program.code.texts_max,
                    ))
                }
            };
            errors.add(std::mem::take(&mut run.errors));
            Evaluated { column, errors }
        });
        made.collect()
    }

    /// The type of the result, when a field of type `into` can hold it.
    fn result_for(&self, into: FieldType) -> Option<Type> {
        self.code.result.filter(|result| store::fits(*result, into))
    }

    /// Runs over a whole block as a condition: `keep` is cleared, then gets one entry per event; null is false. As for
    /// [`Program::eval`], windows whose program needs a state use [`Program::eval_filter_in`].
    pub fn eval_filter(&self, block: &Block, keep: &mut Vec<bool>) -> RowErrors {
        if !self.code.pure || block.len() <= SMALL_BLOCK {
            return self.eval_filter_in(block, keep, &mut State::default());
        }
        keep.clear();
        let Some(result) = self.code.result else {
            keep.resize(block.len(), false);
            return RowErrors::default();
        };
        let mut run = Run::new(block, &self.code.locals, result);
        let value = run.program(&self.code.steps);
        let mut errors = std::mem::take(&mut run.errors);
        let mut context = Context { rows: block.len(), active: &Active::All, errors: &mut errors, site: WHOLE };
        let value = match result {
            Type::Boolean => value,
            other => crate::convert::cast(value, other, Type::Boolean, &mut context),
        };
        match &value.data {
            Data::Boolean(values) if !value.constant => {
                keep.extend_from_slice(values.get());
                value.nulls.get().each(|row| keep[row] = false);
            }
            _ => keep.resize(block.len(), holds(&value, 0)),
        }
        errors
    }

    /// As [`Program::eval_filter`], with the window's memory.
    pub fn eval_filter_in(&self, block: &Block, keep: &mut Vec<bool>, state: &mut State) -> RowErrors {
        if self.code.pure && block.len() > SMALL_BLOCK {
            return self.eval_filter(block, keep);
        }
        keep.clear();
        let mut run = RowRun::new(block, &self.library, state);
        keep.extend((0..block.len()).map(|row| run.condition(&self.code, row)));
        run.errors
    }

    /// The condition in one row. Variables that it binds stay bound only if it holds: an event of a pattern either
    /// belongs to an instance or leaves it as it was.
    pub fn test(&self, block: &Block, row: usize, state: &mut State) -> (bool, RowErrors) {
        let before = self.needs_state().then(|| state.clone());
        let mut run = RowRun::new(block, &self.library, state);
        let held = run.condition(&self.code, row);
        let errors = std::mem::take(&mut run.errors);
        if let (Some(before), false) = (before, held) {
            *state = before;
        }
        (held, errors)
    }
}

/// A text without white space and comments.
fn canonical(text: &str) -> String {
    let Ok(tokens) = crate::lexer::tokens(text) else { return text.to_owned() };
    let words: Vec<&str> = tokens.iter().map(|token| &text[token.span.clone()]).collect();
    words.join(" ")
}

/// A column of nulls.
pub(crate) fn nulls(ty: FieldType, rows: usize) -> Column {
    let mut builder = ColumnBuilder::new(ty, rows);
    (0..rows).for_each(|_| builder.push_null());
    builder.finish()
}
