//! Filter and compute windows: EEL programs over the input's fields.

use mesh_event::{Field, Schema};
use mesh_expr::{ExprError, Program, Scope};
use roxmltree::Node;

use crate::project::WindowKind;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, not_supported, tag_span};
use crate::text::Text;
use crate::window::{Reading, texts_max};
use crate::windows::initialize::initialize;
use crate::windows::lua;

/// Scripts and plug-ins in the place of expressions.
const CODE: [&str; 4] = ["code", "plugin", "field-plug", "context-plugin"];

/// A problem of an expression at its place in the file.
pub(crate) fn report_expression(node: Node<'_, '_>, text: &Text, error: &ExprError, reader: &Reader<'_>) {
    let mut draft = Draft::error("expression", text.span(error.span.clone()), error.message.clone());
    draft.help = error.help.clone();
    reader.report.add(node, draft);
}

/// True when the program's value can be the field's; false after a report.
pub(crate) fn fits(node: Node<'_, '_>, program: &Program, text: &Text, field: &Field, reader: &Reader<'_>) -> bool {
    if program.fits(field.ty) {
        return true;
    }
    let found = program.result_type().map_or("a blob or an array", |ty| ty.name());
    let headline = format!("the expression gives {found}, field `{}` has type {}", field.name, field.ty);
    let draft = Draft::error("field-type", text.full_span(), headline).help("change the type of the field, or convert");
    reader.report.add(node, draft);
    false
}

/// A program in the text of `node`; `None` after a report.
pub(crate) fn program(node: Node<'_, '_>, scope: &Scope, reader: &Reader<'_>) -> Option<(Program, Text)> {
    let text = reader.text(node);
    if text.is_empty() {
        let headline = format!("`{}` is empty, expected an expression", node.tag_name().name());
        reader.report.add(node, Draft::error("no-expression", tag_span(node), headline));
        return None;
    }
    match Program::compile(text.as_str(), scope) {
        Ok(program) => Some((program, text)),
        Err(error) => {
            report_expression(node, &text, &error, reader);
            None
        }
    }
}

fn refuse_code(node: Node<'_, '_>, reader: &Reader<'_>) -> bool {
    let mut refused = false;
    for child in node.children().filter(|child| CODE.contains(&child.tag_name().name())) {
        let what = format!("`{}`", child.tag_name().name());
        let because = "plug-ins are binary, and scripts belong into a Lua window";
        reader
            .report
            .add(child, not_supported(tag_span(child), &what, because, "write the step as an expression (EEL)"));
        refused = true;
    }
    refused
}

/// Reads a filter window.
pub(crate) fn filter(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, .. } = *reading;
    let input = reading.input?;
    let mut scope = Scope::new(input);
    let initialized = initialize(node, &mut scope, reader);
    if reader.child(node, "code").is_some() {
        return lua::filter(node, input, reader);
    }
    let refused = refuse_code(node, reader);
    let Some(element) = reader.child(node, "expression") else {
        if !refused {
            let headline = format!("filter window `{}` has no expression", reading.name.as_str());
            let draft = Draft::error("no-expression", tag_span(node), headline)
                .help("add <expression>value &gt; 5</expression>");
            reader.report.add(node, draft);
        }
        return None;
    };
    let (condition, _) = program(element, &scope, reader)?;
    initialized.then_some(WindowKind::Filter { condition })
}

/// Reads a compute window: one `field-expr` per non-key field, in schema order.
pub(crate) fn compute(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    let mut scope = Scope::new(input).with_texts_max(texts_max(node, reader));
    let initialized = initialize(node, &mut scope, reader);
    let keys = keys(reading, input);
    let Some(output) = reader.child(node, "output") else {
        if !refuse_code(node, reader) {
            let headline = format!("compute window `{}` has no output", reading.name.as_str());
            let draft = Draft::error("no-output-element", tag_span(node), headline)
                .help("add <output><field-expr>...</field-expr></output>, one field-expr per non-key field");
            reader.report.add(node, draft);
        }
        return None;
    };
    if refuse_code(output, reader) {
        return None;
    }
    let wanted: Vec<&Field> = schema.fields().iter().filter(|field| !field.key).collect();
    let mut programs = Vec::new();
    let mut complete = initialized;
    let mut count = 0;
    for element in output.children().filter(Node::is_element) {
        if !element.has_tag_name("field-expr") {
            if !IGNORED.contains(&element.tag_name().name()) {
                reader.unknown_element(element, &["field-expr"]);
            }
            continue;
        }
        reader.check_attributes(element, &[&["name", "type"]]);
        let field = wanted.get(count).copied();
        count += 1;
        match field.and_then(|field| field_program(element, field, &scope, reader)) {
            Some(program) => programs.push(program),
            None => complete = false,
        }
    }
    if count != wanted.len() {
        let names: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let counted = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
        let (found, expected) = (counted(count, "expression"), counted(wanted.len(), "non-key field"));
        let headline = format!("`output` has {found}, the schema has {expected}");
        let draft = Draft::error("expression-count", tag_span(output), headline)
            .help(format!("one field-expr per non-key field, in this order: {}", names.join(", ")));
        reader.report.add(output, draft);
        return None;
    }
    if complete { Some(WindowKind::Compute { fields: programs, keys: keys? }) } else { None }
}

fn field_program(element: Node<'_, '_>, field: &Field, scope: &Scope, reader: &Reader<'_>) -> Option<Program> {
    if let Some(name) = reader.attribute(element, "name").filter(|name| !name.is_empty() && name.as_str() != field.name)
    {
        let headline = format!("this expression is for field `{}`, but is named `{}`", field.name, name.as_str());
        let draft = Draft::error("expression-order", name.full_span(), headline)
            .help("expressions stand in schema order, one per non-key field");
        reader.report.add(element, draft);
    }
    let (program, text) = program(element, scope, reader)?;
    fits(element, &program, &text, field, reader).then_some(program)
}

/// The input field behind every key field; `None` after a report.
fn keys(reading: &Reading<'_, '_, '_>, input: &Schema) -> Option<Vec<usize>> {
    let Reading { node, reader, schema, .. } = *reading;
    let mut keys = Vec::new();
    for field in schema.keys().iter().map(|key| &schema.fields()[*key]) {
        keys.push(key_source(node, field, input, reader));
    }
    keys.into_iter().collect()
}

/// Position of the input field of a key field's name and type.
pub(crate) fn key_source(node: Node<'_, '_>, field: &Field, input: &Schema, reader: &Reader<'_>) -> Option<usize> {
    let Some(index) = input.index_of(&field.name) else {
        let headline = format!("key field `{}` does not exist in the input", field.name);
        let draft = Draft::error("unknown-key", schema_span(node, &field.name, reader), headline)
            .known(&field.name, input.fields().iter().map(|field| field.name.as_str()));
        reader.report.add(node, draft);
        return None;
    };
    let found = input.fields()[index].ty;
    if found != field.ty {
        let headline = format!("key field `{}` has type {}, but {found} in the input", field.name, field.ty);
        let draft = Draft::error("field-type", schema_span(node, &field.name, reader), headline)
            .help(format!("give it type {found}: keys are copied"));
        reader.report.add(node, draft);
        return None;
    }
    Some(index)
}

/// Where a field stands in the window's schema; the window's tag when it is inherited.
pub(crate) fn schema_span(node: Node<'_, '_>, field: &str, reader: &Reader<'_>) -> std::ops::Range<usize> {
    let element = node.descendants().find(|node| node.has_tag_name("field") && node.attribute("name") == Some(field));
    if let Some(attribute) = element.and_then(|element| element.attribute_node("name")) {
        return attribute.range_value();
    }
    if let Some(element) = node.descendants().find(|node| node.has_tag_name("schema-string")) {
        let text = reader.text(element);
        let mut at = 0;
        for part in text.as_str().split(',') {
            let name = part.split([':', '*']).next().unwrap_or_default();
            if name.trim() == field {
                let start = at + name.len() - name.trim_start().len();
                return text.span(start..start + field.len());
            }
            at += part.len() + 1;
        }
    }
    tag_span(node)
}
