//! docs/models/ALGORITHMS.md.

use std::fmt::Write;

use super::{Algorithm, CALCULATE, Domain, InputType, LEARN, OutputType};
use crate::windows::calculate::REFUSED;

/// docs/models/ALGORITHMS.md: what every algorithm takes and gives.
pub fn algorithms_document() -> String {
    let mut text = String::from(
        "# Algorithms\n\nWhat the algorithms of calculate, train and score windows take and give. Written from \
         `crates/model/src/algorithms`; a test compares (`UPDATE_EXPECT=1 cargo test -p mesh-model` rewrites). Names in a \
         project are checked against this: an unknown parameter, role or result is an error. `name[1-20]` and \
         `a,b,c` name several fields. Results that are not mapped are not put out; other fields are copied from \
         same-named input fields.\n\nInserts and upserts are looked at. Where each event gives one, updates and deletes \
         pass with the last results; where an event gives any number, they put nothing out. An event without a value \
         where one is needed is not looked at (Summary and FitStat count it).\n\nSummary is described in WINDOWS.md.\n",
    );
    let sections = [("In calculate windows", CALCULATE), ("In train and score windows", LEARN)];
    for (title, algorithms) in sections {
        write!(text, "\n## {title}\n").expect("a string takes all that is written");
        algorithms.iter().for_each(|algorithm| section(&mut text, algorithm));
    }
    text.push_str("\n## Refused\n\n| algorithm | because | way out |\n|---|---|---|\n");
    for (name, because, way_out) in REFUSED {
        writeln!(text, "| {name} | {because} | {way_out} |").expect("a string takes all that is written");
    }
    text
}

fn section(text: &mut String, algorithm: &Algorithm) {
    let mut line = |what: std::fmt::Arguments<'_>| {
        writeln!(text, "{what}").expect("a string takes all that is written");
    };
    line(format_args!("\n### {}\n\n{}\n", algorithm.name, algorithm.about));
    let several = |many: bool| if many { " (several)" } else { "" };
    let inputs: Vec<String> = algorithm
        .inputs
        .iter()
        .map(|input| {
            let ty = match input.ty {
                InputType::Number => "number",
                InputType::Text => "text",
                InputType::Any => "any type",
            };
            let optional = if input.required { "" } else { ", optional" };
            format!("`{}`: {ty}{optional}{}", input.name, several(input.many))
        })
        .collect();
    line(format_args!("- Input map: {}", inputs.join("; ")));
    let outputs: Vec<String> = algorithm
        .outputs
        .iter()
        .map(|output| {
            let ty = match output.ty {
                OutputType::Number => "number".to_owned(),
                OutputType::Text => "text".to_owned(),
                OutputType::List => "list".to_owned(),
                OutputType::Same(input) => format!("as `{}`", algorithm.inputs[input].name),
            };
            format!("`{}`: {ty}{}", output.name, if output.key { ", can be a key" } else { "" })
        })
        .collect();
    line(format_args!("- Output map: {}", outputs.join("; ")));
    let number = if algorithm.one_for_one { "one" } else { "any number" };
    line(format_args!("- Events out for one: {number}"));
    if algorithm.parameters.is_empty() {
        return;
    }
    line(format_args!("\n| parameter | values | default | meaning |\n|---|---|---|---|"));
    for parameter in algorithm.parameters {
        let (values, default) = match &parameter.domain {
            Domain::Count { min, max, default } => (format!("{min} to {max}"), default.to_string()),
            Domain::Real { min, max, default } => (format!("{min} to {max}"), default.to_string()),
            Domain::Flag { default } => ("0 or 1".to_owned(), u8::from(*default).to_string()),
            Domain::Choice { names, default } => (names.join(", "), (*default).to_owned()),
            Domain::Text { default } => ("text".to_owned(), (*default).to_owned()),
            Domain::Vectors => ("name of a file".to_owned(), "must be given".to_owned()),
            Domain::Shares { default } => {
                let default: Vec<String> = default.iter().map(f64::to_string).collect();
                ("numbers from 0 to 1".to_owned(), default.join(","))
            }
        };
        line(format_args!("| `{}` | {values} | {default} | {} |", parameter.name, parameter.about));
    }
}
