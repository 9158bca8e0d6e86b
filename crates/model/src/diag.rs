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

/// Most columns of a source line shown around the marked text.
const MAX_SNIPPET: usize = 120;
/// Most known names shown.
const MAX_KNOWN: usize = 20;

impl Diagnostic {
    /// What stands behind `= help:`: the way out, the nearest name, the known names.
    pub fn way_out(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(suggestion) = &self.suggestion {
            parts.push(format!("did you mean `{suggestion}`?"));
        }
        parts.extend(self.help.clone());
        let mut text = parts.join("; ").replace("?; ", "? ");
        if !self.known.is_empty() {
            let more = if self.known.len() > MAX_KNOWN { ", ..." } else { "" };
            let names = self.known[..self.known.len().min(MAX_KNOWN)].join(", ");
            let gap = match text.chars().last() {
                None => "",
                Some('?') => " ",
                Some(_) => "; ",
            };
            text = format!("{text}{gap}known: {names}{more}");
        }
        if text.is_empty() { None } else { Some(text) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { id, headline, file, line, column, path, .. } = self;
        writeln!(f, "{}[{id}]: {headline}", self.severity.name())?;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter}--> {file}:{line}:{column}")?;
        // Long lines are cut at the left so that the mark stays visible. Tabs take one column, as in `column`.
        let mark = *column as usize - 1;
        let long = self.snippet.chars().count() > MAX_SNIPPET;
        let skip = if long { mark.saturating_sub(MAX_SNIPPET / 2) } else { 0 };
        let clean: String = self.snippet.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        let shown: String = clean.chars().skip(skip).take(MAX_SNIPPET).collect();
        let marks = "^".repeat((self.width as usize).clamp(1, MAX_SNIPPET));
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", shown.trim_end())?;
        writeln!(f, "{gutter} | {}{}", " ".repeat(mark - skip), format!("{marks} {}", self.label).trim_end())?;
        if !path.is_empty() {
            writeln!(f, "{gutter} = in: {path}")?;
        }
        if let Some(help) = self.way_out() {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// Problems of one file in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Number of diagnostics of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// True when there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}")?;
        }
        let count = |severity, word: &str| match self.count(severity) {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        write!(f, "{}, {}", count(Severity::Error, "error"), count(Severity::Warning, "warning"))
    }
}

impl std::error::Error for Diagnostics {}
