//! The fingerprint of a project: a hash of a canonical text of everything that decides what it computes.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use crate::project::{FunctionalField, Project, Window, WindowKind};

/// Hash of the canonical text.
pub(crate) fn of(project: &Project) -> u64 {
    xxh3_64(canonical(project).as_bytes())
}

/// One line per fact, in model order. What connectors do outside the engine (hosts, buffers) is left out; which windows
/// have topics is in.
fn canonical(project: &Project) -> String {
    let mut text = format!("project {} heartbeat {}\n", project.name, project.heartbeat_us);
    for query in &project.queries {
        line(&mut text, format_args!("query {}", query.name));
        for window in &query.windows {
            canonical_window(&mut text, window);
        }
        for edge in &query.edges {
            line(&mut text, format_args!("edge {} {} {:?} {:?}", edge.source, edge.target, edge.role, edge.slot));
        }
    }
    for (what, endpoints) in [("in", project.inputs()), ("out", project.outputs())] {
        for endpoint in endpoints {
            line(&mut text, format_args!("{what} {}/{}", endpoint.query, endpoint.window));
        }
    }
    text
}

fn canonical_window(text: &mut String, window: &Window) {
    let kind = window.kind.element();
    line(text, format_args!("{kind} {} index {:?} schema {}", window.name, window.index, window.schema));
    line(text, format_args!("retention {:?}", window.retention));
    match &window.kind {
        WindowKind::Source { insert_only, autogen_key } => {
            line(text, format_args!("insert-only {insert_only} autogen-key {autogen_key}"));
        }
        WindowKind::Copy => {}
        WindowKind::Filter { condition } => line(text, format_args!("condition {}", condition.canonical())),
        WindowKind::Compute { fields, keys } => {
            line(text, format_args!("keys {keys:?}"));
            for field in fields {
                line(text, format_args!("expression {}", field.canonical()));
            }
        }
        WindowKind::Functional { fields } => {
            for field in fields {
                match field {
                    FunctionalField::Function(program) => line(text, format_args!("function {}", program.canonical())),
                    FunctionalField::Copy(index) => line(text, format_args!("copy {index}")),
                    FunctionalField::EventCounter => line(text, format_args!("counter")),
                    FunctionalField::Null => line(text, format_args!("null")),
                }
            }
        }
        WindowKind::Summary { window_length, input, fields } => {
            line(text, format_args!("summary {window_length} {input} {fields:?}"));
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{what}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
