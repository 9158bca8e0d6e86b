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
    /// The line of the first offending character.
    pub source_line: String,
    /// The way out, when one is known.
    pub help: Option<String>,
}

impl ExprError {
    /// An error about `span` of `text`.
    pub(crate) fn at(text: &str, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> ExprError {
        let (line, column) = position(text, span.start);
        let source_line = text.lines().nth(line as usize - 1).unwrap_or_default().to_owned();
        ExprError { line, column, span, message: message.into(), source_line, help }
    }

    /// The error as a compiler prints it: the line of the text, a caret below the place, the way out.
    pub fn pretty(&self) -> String {
        let (start, length) = self.shown();
        let line: String = self.source_line.chars().skip(start).take(MAX_SHOWN).collect();
        let at = (self.column as usize - 1).saturating_sub(start);
        let carets = "^".repeat(length.min(MAX_SHOWN.saturating_sub(at)).max(1));
        let margin = " ".repeat(self.line.to_string().len());
        // Tabs stay tabs, so that the caret stands where the reader sees the place.
        let indent: String = line.chars().take(at).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mut out = format!("{self}\n{} | {line}\n{margin} | {indent}{carets}", self.line);
        if let Some(help) = &self.help {
            out.push_str(&format!("\n{margin} = help: {help}"));
        }
        out
    }

    /// First character of the line that is shown, and how many are marked.
    fn shown(&self) -> (usize, usize) {
        let column = self.column as usize - 1;
        let start = column.saturating_sub(MAX_SHOWN / 2);
        let left = self.source_line.chars().count().saturating_sub(column);
        (start, self.span.len().min(left))
    }
}

/// Most characters of a line that are shown.
const MAX_SHOWN: usize = 120;

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
