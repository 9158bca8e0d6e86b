//! What is wrong with a line, or with the settings.

use super::DateFormatError;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}:{line}:{column}: field `{field}`: expected {expected}, found {found} (correct the line, or set ignorecsvparseerrors=true to skip such lines)"
)]
pub struct CsvError {
    /// Name of the source.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Byte within the line, from 1.
    pub column: u64,
    /// Name of the field; `opcode` and `flags` for those.
    pub field: String,
    /// What should stand there.
    pub expected: String,
    /// What stands there, in backquotes and cut to a readable length, or `the end of the line`.
    pub found: String,
}

/// Settings that do not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvSetupError {
    /// The delimiter cannot be told from the other characters of a line.
    #[error(
        "csvfielddelimiter is `{found}`, expected an ASCII character other than a quote, backslash, line break, letter, digit, point or sign"
    )]
    Delimiter {
        /// The character, escaped.
        found: String,
    },
    /// The date format cannot be used.
    #[error(transparent)]
    DateFormat(#[from] DateFormatError),
    /// There is no single key field to leave out.
    #[error(
        "noautogenfield needs a schema with one key field of type int64 or string and another field, found `{schema}`"
    )]
    AutogenKey {
        /// The schema.
        schema: String,
    },
}

/// The longest text an error quotes.
const QUOTED_CHARS: usize = 40;

/// Text as an error shows it.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['\r', '\n']);
    let mut shown = String::new();
    for letter in text.chars().take(QUOTED_CHARS) {
        if letter.is_control() { shown.extend(letter.escape_debug()) } else { shown.push(letter) }
    }
    if text.chars().nth(QUOTED_CHARS).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}
