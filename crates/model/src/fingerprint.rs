//! The fingerprint of a project: a hash of a canonical text of everything that decides what it computes.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use crate::calculate::AlgorithmRun;
use crate::kinds::{Join, JoinField, OutputRule};
use crate::pattern::{Pattern, PatternField};
use crate::project::{FunctionalField, FunctionalInput, Project, Window, WindowKind};
use crate::script::{LuaInput, LuaWindow};
use crate::windows::summary::DEFAULT_ALPHA;

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
    if window.output != OutputRule::default() {
        line(text, format_args!("output {:?}", window.output));
    }
    if let Some(splitter) = &window.splitter {
        line(text, format_args!("splitter {}", splitter.canonical()));
    }
    match &window.kind {
        WindowKind::Source { insert_only, autogen_key } => {
            line(text, format_args!("insert-only {insert_only} autogen-key {autogen_key}"));
        }
        WindowKind::Copy => {}
        WindowKind::Filter { condition } => line(text, format_args!("condition {}", condition.canonical())),
        WindowKind::LuaFilter(call) => line(text, format_args!("script {}", call.canonical())),
        WindowKind::Lua(lua) => {
            let LuaWindow { script, function, inputs, heartbeat, process_blocks, expand, outputs } = &**lua;
            for LuaInput { name, used, copies, variables } in inputs {
                line(text, format_args!("input {name} {used:?} {copies:?}"));
                if let Some(variables) = variables {
                    line(text, format_args!("variables {variables:?}"));
                }
            }
            if *expand || !outputs.is_empty() {
                line(text, format_args!("expand {expand} outputs {outputs:?}"));
            }
            line(text, format_args!("script {function} {heartbeat:?} {process_blocks} {}", script.canonical()));
        }
        WindowKind::Compute { fields, keys } => {
            line(text, format_args!("keys {keys:?}"));
            for field in fields {
                line(text, format_args!("expression {}", field.canonical()));
            }
        }
        WindowKind::Functional(inputs) => {
            for FunctionalInput { fields, code } in inputs {
                line(text, format_args!("code {}", code.canonical()));
                for field in fields {
                    match field {
                        FunctionalField::Computed => line(text, format_args!("computed")),
                        FunctionalField::Copy(index) => line(text, format_args!("copy {index}")),
                        FunctionalField::EventCounter => line(text, format_args!("counter")),
                        FunctionalField::Null => line(text, format_args!("null")),
                    }
                }
            }
        }
        WindowKind::Summary { window_length, input, alpha, fields } => {
            line(text, format_args!("summary {window_length} {input} {fields:?}"));
            if *alpha != DEFAULT_ALPHA {
                line(text, format_args!("alpha {alpha:?}"));
            }
        }
        WindowKind::Calculate(calculate) => {
            line(text, format_args!("calculate {} {:?}", calculate.run.canonical(), calculate.fields));
        }
        WindowKind::Train(run) => line(text, format_args!("train {}", run.canonical())),
        WindowKind::Score(score) => {
            let runs: Vec<String> = score.runs.iter().map(AlgorithmRun::canonical).collect();
            line(text, format_args!("score {runs:?} {:?}", score.fields));
        }
        WindowKind::Union { strict } => line(text, format_args!("strict {strict}")),
        WindowKind::Aggregate(aggregate) => {
            line(text, format_args!("group by {:?} calls {:?}", aggregate.keys, aggregate.calls));
            for (program, ty) in &aggregate.arguments {
                line(text, format_args!("argument {ty} {}", program.canonical()));
            }
            for program in &aggregate.fields {
                line(text, format_args!("expression {}", program.canonical()));
            }
        }
        WindowKind::Join(join) => {
            let Join { kind, left, right, key, no_regenerates, fields, .. } = &**join;
            line(text, format_args!("join {kind:?} {left:?} {right:?} {key:?} {no_regenerates}"));
            for field in fields {
                match field {
                    JoinField::Program(program) => line(text, format_args!("expression {}", program.canonical())),
                    other => line(text, format_args!("field {other:?}")),
                }
            }
        }
        WindowKind::Pattern(patterns) => patterns.iter().for_each(|pattern| canonical_pattern(text, pattern)),
        WindowKind::Geofence(geofence) => line(text, format_args!("{geofence:?}")),
        WindowKind::RemoveState(rule) => line(text, format_args!("{rule:?}")),
        WindowKind::Counter(counter) => line(text, format_args!("{counter:?}")),
        WindowKind::Transpose(transpose) => line(text, format_args!("{transpose:?}")),
        WindowKind::Tracker(tracker) => line(text, format_args!("{tracker:?}")),
        WindowKind::Notification(notification) => {
            line(text, format_args!("{:?} {}", notification.channels, notification.code.canonical()));
        }
    }
}

fn canonical_pattern(text: &mut String, pattern: &Pattern) {
    let Pattern { name, events, variables, logic, index, times, fields, script, output } = pattern;
    line(text, format_args!("pattern {name} {variables:?} {logic:?} {index:?} {times:?}"));
    if let Some(script) = script {
        line(text, format_args!("script {}", script.canonical()));
    }
    if let Some(output) = output {
        line(text, format_args!("output {output}"));
    }
    for event in events {
        line(text, format_args!("event {} {} {:?} {:?}", event.name, event.input, event.keeps, event.function));
        for condition in event.condition.iter().chain(&event.tests) {
            line(text, format_args!("condition {}", condition.canonical()));
        }
        for (variable, program, ty) in &event.binds {
            line(text, format_args!("bind {variable} {ty} {}", program.canonical()));
        }
    }
    for field in fields {
        match field {
            PatternField::Kept { event, at } => line(text, format_args!("kept {event} {at}")),
            PatternField::Program { event, program } => {
                line(text, format_args!("expression {event} {}", program.canonical()));
            }
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{what}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
