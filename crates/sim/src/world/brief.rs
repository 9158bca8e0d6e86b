//! How the history tells what a role heard and what it wants done.

use mesh_replication::{Effect, Input};

/// An input in one line.
pub(crate) fn brief(input: &Input) -> String {
    match input {
        Input::LogRecord { offset, record } => format!(
            "LogRecord {offset}: term {} commit {} {:?} by {} {:?}",
            record.term, record.number, record.kind, record.engine, record.steps
        ),
        Input::Applied { events, state } => format!("Applied {events} events, positions {:?}", state.positions),
        other => format!("{other:?}"),
    }
}

/// An effect in one line.
pub(crate) fn brief_effect(effect: &Effect) -> String {
    match effect {
        Effect::Commit { record } => {
            format!("Commit: term {} commit {} {:?} {:?}", record.term, record.number, record.kind, record.steps)
        }
        other => format!("{other:?}"),
    }
}
