//! `expr-initialize`: the initializer and the user functions that the programs of a window share.

use mesh_expr::Scope;
use roxmltree::Node;

use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, tag_span};
use crate::windows::compute::report_expression;

/// Adds what the `expr-initialize` below `node` declares to the scope of its programs; false after a report.
pub(crate) fn initialize(node: Node<'_, '_>, scope: &mut Scope, reader: &Reader<'_>) -> bool {
    let Some(element) = reader.child(node, "expr-initialize") else { return true };
    let mut complete = true;
    let mut functions = Vec::new();
    for child in element.children().filter(Node::is_element) {
        match child.tag_name().name() {
            "initializer" => reader.check_attributes(child, &[&["type"]]),
            "udfs" => functions.extend(child.children().filter(|child| child.has_tag_name("udf"))),
            name if IGNORED.contains(&name) => {}
            _ => reader.unknown_element(child, &["initializer", "udfs"]),
        }
    }
    // All names first: functions and the initializer may call each other.
    let mut declared = Vec::new();
    for function in functions {
        reader.check_attributes(function, &[&["name", "type"]]);
        let Some(name) = reader.required(function, "name") else {
            complete = false;
            continue;
        };
        let ty = reader.attribute(function, "type");
        match scope.declare_function(name.as_str(), ty.as_ref().map_or("string", |ty| ty.as_str())) {
            Ok(()) => declared.push((name, function)),
            Err(error) => {
                let span = function.attribute_node("type").map_or(tag_span(function), |ty| ty.range_value());
                let mut draft = Draft::error("expression", span, error.message.clone());
                draft.help = error.help;
                reader.report.add(function, draft);
                complete = false;
            }
        }
    }
    if let Some(initializer) = reader.child(element, "initializer") {
        let text = reader.text(initializer);
        if !text.is_empty()
            && let Err(error) = scope.initialize(text.as_str())
        {
            report_expression(initializer, &text, &error, reader);
            complete = false;
        }
    }
    for (name, function) in declared {
        let text = reader.text(function);
        if let Err(error) = scope.define_function(name.as_str(), text.as_str()) {
            report_expression(function, &text, &error, reader);
            complete = false;
        }
    }
    complete
}

/// All that stands in the `expr-initialize` below `node`: where the names of fields are looked for.
pub(crate) fn initialize_text(node: Node<'_, '_>, reader: &Reader<'_>) -> String {
    let element = reader.child(node, "expr-initialize");
    let texts = element.into_iter().flat_map(|element| element.descendants()).filter(Node::is_text);
    texts.filter_map(|text| text.text()).collect::<Vec<_>>().join(" ")
}
