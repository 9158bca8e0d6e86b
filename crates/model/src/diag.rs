//! What is wrong with a project file, where, and how to mend it.

use std::fmt;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing before the project runs.
    Note,
    /// Probably a mistake; the project runs without the part.
    Warning,
    /// The project is refused.
    Error,
}

impl Severity {
    /// The word before the diagnostic's id.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One problem of a project file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name of the kind of problem, such as `unknown-window`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub headline: String,
    /// The file.
    pub file: String,
    /// Line of the first offending character, from 1.
    pub line: u32,
    /// Column of the first offending character in characters, from 1.
    pub column: u32,
    /// Place in the model, such as `project/contquery[cq1]/window-filter[f]`.
    pub path: String,
    /// The whole source line.
    pub snippet: String,
    /// Number of characters marked below the snippet, at least 1.
    pub width: u32,
    /// What is said about the marked text; may be empty.
    pub label: String,
    /// The way out.
    pub help: Option<String>,
    /// The known name that is nearest to what was found.
    pub suggestion: Option<String>,
    /// The names that would have been understood.
    pub known: Vec<String>,
}

/// Problems of one file in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{}[{}]: {}", diagnostic.severity.name(), diagnostic.id, diagnostic.headline)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
