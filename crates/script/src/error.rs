//! What went wrong in a script, and in which line of it.

use std::fmt;

/// A problem of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScriptError {
    /// The part: `code`, or the name of a module.
    pub part: String,
    /// Line in the part, from 1, when it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} line {line}: {}", self.part, self.message),
            None => write!(f, "{}: {}", self.part, self.message),
        }
    }
}

impl ScriptError {
    pub(crate) fn new(part: &str, line: Option<u32>, message: impl Into<String>) -> ScriptError {
        ScriptError { part: part.to_owned(), line, message: message.into() }
    }

    /// What Lua says: `part:line: message`, where chunks are named after their parts.
    pub(crate) fn of(error: &mlua::Error) -> ScriptError {
        let text = innermost(error);
        let text = text.split("\nstack traceback:").next().unwrap_or_default().trim();
        let mut pieces = text.splitn(3, ':');
        if let (Some(part), Some(line), Some(message)) = (pieces.next(), pieces.next(), pieces.next())
            && let Ok(line) = line.parse()
        {
            return ScriptError::new(part, Some(line), message.trim());
        }
        ScriptError::new("code", None, text)
    }
}

fn innermost(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::RuntimeError(message) | mlua::Error::MemoryError(message) => message.clone(),
        mlua::Error::CallbackError { cause, traceback } => {
            // The place of the call is the second line of the trace: the first one is the function of the host.
            let inner = innermost(cause);
            let place = traceback.lines().map(str::trim).find(|line| {
                let mut pieces = line.split(':');
                pieces.next().is_some_and(|part| !part.starts_with("[C]") && !part.starts_with("prelude"))
                    && pieces.next().is_some_and(|line| line.parse::<u32>().is_ok())
            });
            match place {
                Some(place) if !starts_with_place(&inner) => {
                    let mut pieces = place.split(':');
                    let (part, line) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
                    format!("{part}:{line}: {inner}")
                }
                _ => inner,
            }
        }
        other => other.to_string(),
    }
}

fn starts_with_place(text: &str) -> bool {
    text.split(':').nth(1).is_some_and(|line| line.parse::<u32>().is_ok())
}
