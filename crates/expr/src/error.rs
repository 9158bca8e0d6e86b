//! What can go wrong: [`ExprError`] when a program is compiled, [`RowErrors`] when it runs.

use std::fmt;
use std::ops::Range;

/// Why a text is not a program. Lines and columns count from 1 within the text; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ExprError {
    /// Line of the first offending character.
    pub line: u32,
    /// Column of the first offending character.
    pub column: u32,
    /// Byte range of the offending text.
    pub span: Range<usize>,
    /// What was found and what was expected.
    pub message: String,
    /// The way out, when one is known.
    pub help: Option<String>,
}

impl ExprError {
    /// An error about `span` of `text`.
    pub(crate) fn at(text: &str, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> ExprError {
        let (line, column) = position(text, span.start);
        ExprError { line, column, span, message: message.into(), help }
    }
}

/// Line and column (both from 1, columns in characters) of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset.min(text.len())];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[start..].chars().count() + 1;
    (line as u32, column as u32)
}

/// Rows for which a program had no result because of a run-time error; their result is null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowErrors {
    /// Number of errors.
    pub count: u64,
    /// The first of them.
    pub first: Option<RowError>,
}

impl RowErrors {
    /// Adds the errors of a later block or program.
    pub fn add(&mut self, other: RowErrors) {
        self.count += other.count;
        if self.first.is_none() {
            self.first = other.first;
        }
    }
}

/// One run-time error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Row within the block.
    pub row: usize,
    /// Line within the program, from 1.
    pub line: u32,
    /// Column within the program, from 1.
    pub column: u32,
    /// What happened.
    pub message: &'static str,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {} (expression {}:{}); the result is null", self.row, self.message, self.line, self.column)
    }
}
