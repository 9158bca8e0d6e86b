//! Functional windows: fields by functions, the others copied from the input.

use std::collections::BTreeMap;

use mesh_event::{Field, FieldType};
use mesh_expr::{Function, FunctionCompiler, Scope};
use roxmltree::Node;

use crate::project::{FunctionalField, WindowKind};
use crate::report::{Draft, duplicate, not_supported, tag_span, unknown_field};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::compute::{key_source, report_expression, schema_span};

/// Reads a functional window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    refuse_extras(reading);
    let mut compiler = FunctionCompiler::new(Scope::new(input));
    let mut functions: BTreeMap<usize, FunctionalField> = BTreeMap::new();
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    let mut complete = true;
    for (name, element) in function_elements(reading) {
        let Some(index) = schema.index_of(name.as_str()) else {
            reader.report.add(element, unknown_field("`function`", &name, schema));
            complete = false;
            continue;
        };
        let line = reader.report.line(element.range().start);
        if let Some(first) = lines.insert(index, line) {
            reader.report.add(element, duplicate("the function of field", &name, first));
            complete = false;
            continue;
        }
        match function(reading, element, &schema.fields()[index], &mut compiler) {
            Some(field) => {
                functions.insert(index, field);
            }
            None => complete = false,
        }
    }
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        if let Some(function) = functions.remove(&index) {
            fields.push(function);
        } else if lines.contains_key(&index) {
            // Its function was reported.
        } else if field.key {
            match key_source(node, field, input, reader) {
                Some(source) => fields.push(FunctionalField::Copy(source)),
                None => complete = false,
            }
        } else {
            match copied(reading, field, complete) {
                Some(source) => fields.push(source.map_or(FunctionalField::Null, FunctionalField::Copy)),
                None => complete = false,
            }
        }
    }
    if complete { Some(WindowKind::Functional { fields }) } else { None }
}

/// The same-named input field of a field without a function or mapping; the outer `None` after a report.
/// Where something else is wrong (not `complete`), a field that nothing fills is its consequence.
pub(crate) fn copied(reading: &Reading<'_, '_, '_>, field: &Field, complete: bool) -> Option<Option<usize>> {
    let Reading { node, reader, .. } = *reading;
    let input = reading.input?;
    let Some(index) = input.index_of(&field.name) else {
        if !complete {
            return Some(None);
        }
        let headline = format!("nothing fills field `{}`, it will always be null", field.name);
        let draft = Draft::warning("empty-field", schema_span(node, &field.name, reader), headline)
            .help("compute it, or name it like the input field it copies")
            .known(&field.name, input.fields().iter().map(|field| field.name.as_str()));
        reader.report.add(node, draft);
        return Some(None);
    };
    let found = input.fields()[index].ty;
    if found != field.ty {
        let headline =
            format!("field `{}` has type {}, but is copied from a field of type {found}", field.name, field.ty);
        let draft = Draft::error("field-type", schema_span(node, &field.name, reader), headline)
            .help(format!("give it type {found}, or convert it in a compute window"));
        reader.report.add(node, draft);
        return None;
    }
    Some(Some(index))
}

fn function_elements<'n, 'i>(reading: &Reading<'_, 'n, 'i>) -> Vec<(Text, Node<'n, 'i>)> {
    let Reading { node, reader, .. } = *reading;
    let mut found = Vec::new();
    for context in node.children().filter(|child| child.has_tag_name("function-context")) {
        for child in context.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "functions" => {
                    for element in child.children().filter(Node::is_element) {
                        if !element.has_tag_name("function") {
                            reader.unknown_element(element, &["function"]);
                            continue;
                        }
                        reader.check_attributes(element, &[&["name", "code"]]);
                        if let Some(name) = reader.required(element, "name") {
                            found.push((name, element));
                        }
                    }
                }
                "properties" => {
                    if let Some(property) = child.children().find(Node::is_element) {
                        let because = "functions use fields and literals so far";
                        let way_out = "write the value into the function, or use a project property as @NAME@";
                        let draft =
                            not_supported(tag_span(property), "properties of a function context", because, way_out);
                        reader.report.add(property, draft);
                    }
                }
                _ => reader.unknown_element(child, &["functions", "properties"]),
            }
        }
    }
    found
}

fn function(
    reading: &Reading<'_, '_, '_>,
    element: Node<'_, '_>,
    field: &Field,
    compiler: &mut FunctionCompiler,
) -> Option<FunctionalField> {
    let reader = reading.reader;
    let text = reader.attribute(element, "code").unwrap_or_else(|| reader.text(element));
    match compiler.compile(&field.name, field.ty, text.as_str()) {
        Ok(Function::EventCounter) => {
            if field.ty != FieldType::Int64 {
                let headline = format!("eventCounter() counts in int64, field `{}` has type {}", field.name, field.ty);
                let draft = Draft::error("field-type", text.full_span(), headline).help("give the field type int64");
                reader.report.add(element, draft);
                return None;
            }
            Some(FunctionalField::EventCounter)
        }
        Ok(Function::Program(program)) if program.fits(field.ty) => Some(FunctionalField::Function(program)),
        Ok(Function::Program(program)) => {
            let found = program.result_type().map_or("a blob or an array", |ty| ty.name());
            let headline = format!("the function gives {found}, field `{}` has type {}", field.name, field.ty);
            let draft = Draft::error("field-type", text.full_span(), headline).help("change the type of the field");
            reader.report.add(element, draft);
            None
        }
        Err(error) => {
            report_expression(element, &text, &error, reader);
            None
        }
    }
}

/// Parts that make more or other events.
fn refuse_extras(reading: &Reading<'_, '_, '_>) {
    let Reading { node, reader, .. } = *reading;
    for child in node.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let always = tag == "generate" && matches!(reader.text(child).as_str(), "" | "1" | "true");
        if matches!(tag, "event-loops" | "generate" | "opcode") && !always {
            let because = "a functional window gives one event per event so far";
            let way_out = "publish one event per item, or drop events with a filter window";
            reader.report.add(child, not_supported(tag_span(child), &format!("`{tag}`"), because, way_out));
        }
    }
}
