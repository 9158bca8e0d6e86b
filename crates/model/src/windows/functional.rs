//! Functional windows: fields by functions, the others copied from the input; event loops.

use std::collections::BTreeMap;

use mesh_event::{Field, FieldType};
use mesh_expr::{ExprError, FunctionCompiler, LoopKind, LoopPart, PropertyKind};
use roxmltree::Node;

use crate::project::{EVENT_COUNTER_START, FunctionalField, FunctionalInput, WindowKind};
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, duplicate, tag_span, unknown_field};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::compute::{key_source, report_expression, schema_span};

/// Reads a functional window. Where its inputs differ, or it asks which one an event comes from, it is read once for
/// each: fields that an input lacks and another has are null there.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let inputs = reading.place.inputs_of(reading.at)?;
    let names = |at: usize| {
        let others = inputs.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
        let fields = others.flat_map(|(_, schema)| schema.fields().iter().map(|field| field.name.clone()));
        fields.collect::<Vec<String>>()
    };
    let (name, schema) = inputs.first()?;
    let first = read_input(&Reading { input: Some(schema), ..*reading }, name, names(0))?;
    let alike = inputs.iter().all(|(_, other)| other == schema);
    let mut found = vec![first];
    if !alike || inputs.len() > 1 && found[0].code.names_input() {
        for (at, (name, schema)) in inputs.iter().enumerate().skip(1) {
            found.push(read_input(&Reading { input: Some(schema), ..*reading }, name, names(at))?);
        }
    }
    Some(WindowKind::Functional(found))
}

/// What the window makes of the events of one input. `elsewhere`: fields of the other inputs.
fn read_input(reading: &Reading<'_, '_, '_>, name: &str, elsewhere: Vec<String>) -> Option<FunctionalInput> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    let mut compiler = FunctionCompiler::new(input, schema, EVENT_COUNTER_START);
    compiler.input_name(name);
    let filled_elsewhere = |field: &Field| input.index_of(&field.name).is_none() && elsewhere.contains(&field.name);
    let elsewhere_only: Vec<bool> = schema.fields().iter().map(filled_elsewhere).collect();
    compiler.elsewhere(elsewhere);
    if reader.flag(node, "produces-only-inserts") == Some(true) {
        compiler.only_inserts();
    }
    let mut complete = true;
    contexts(node).for_each(|context| complete &= properties(reading, context, &mut compiler));
    let functions: Vec<_> = contexts(node).flat_map(|context| function_elements(reading, context)).collect();
    // A counter that stands alone needs no code: numbers are given to a whole block at once.
    let extras = ["event-loops", "generate", "opcode"].map(|tag| reader.child(node, tag)).iter().any(Option::is_some);
    let counts = |name: &str, text: &Text| {
        let reference = format!("${name}");
        text.as_str() == "eventCounter()"
            && !extras
            && schema.index_of(name).is_some_and(|index| schema.fields()[index].ty == FieldType::Int64)
            && !functions.iter().any(|(_, text, _)| text.as_str().contains(&reference))
    };
    let mut counters = Vec::new();
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    for (name, text, element) in &functions {
        let Some(index) = known_field(reading, name, *element, &mut lines) else {
            complete = false;
            continue;
        };
        if counts(name.as_str(), text) {
            counters.push(index);
        } else if let Err(error) = compiler.function(name.as_str(), text.as_str()) {
            report_expression(*element, text, &error, reader);
            complete = false;
        }
    }
    complete &= extra(reading, "generate", |text| compiler.generate(text));
    complete &= extra(reading, "opcode", |text| compiler.opcode(text));
    for loops in node.children().filter(|child| child.has_tag_name("event-loops")) {
        for element in loops.children().filter(Node::is_element) {
            complete &= event_loop(reading, element, &mut lines, &mut compiler);
        }
    }
    let code = compiler.finish();
    let computed = code.computed();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        if counters.contains(&index) {
            fields.push(FunctionalField::EventCounter);
        } else if computed.contains(&index) {
            fields.push(FunctionalField::Computed);
        } else if lines.contains_key(&index) {
            // Its function was reported.
        } else if field.key {
            match key_source(node, field, input, reader) {
                Some(source) => fields.push(FunctionalField::Copy(source)),
                None => complete = false,
            }
        } else if elsewhere_only[index] {
            fields.push(FunctionalField::Null);
        } else {
            match copied(reading, field, complete) {
                Some(source) => fields.push(source.map_or(FunctionalField::Null, FunctionalField::Copy)),
                None => complete = false,
            }
        }
    }
    complete.then_some(FunctionalInput { fields, code })
}

pub(crate) fn contexts<'n, 'i>(node: Node<'n, 'i>) -> impl Iterator<Item = Node<'n, 'i>> {
    node.children().filter(|child| child.has_tag_name("function-context"))
}

/// Position of the field that a function is for; `None` after a report.
fn known_field(
    reading: &Reading<'_, '_, '_>,
    name: &Text,
    element: Node<'_, '_>,
    lines: &mut BTreeMap<usize, u32>,
) -> Option<usize> {
    let Reading { reader, schema, .. } = *reading;
    let Some(index) = schema.index_of(name.as_str()) else {
        reader.report.add(element, unknown_field("`function`", name, schema));
        return None;
    };
    let line = reader.report.line(element.range().start);
    if let Some(first) = lines.insert(index, line) {
        reader.report.add(element, duplicate("the function of field", name, first));
        return None;
    }
    Some(index)
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

/// Field, text and element of the functions of a context.
pub(crate) fn function_elements<'n, 'i>(
    reading: &Reading<'_, 'n, 'i>,
    context: Node<'n, 'i>,
) -> Vec<(Text, Text, Node<'n, 'i>)> {
    let reader = reading.reader;
    let mut found = Vec::new();
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
                        let text = reader.attribute(element, "code").unwrap_or_else(|| reader.text(element));
                        found.push((name, text, element));
                    }
                }
            }
            "properties" => {}
            name if IGNORED.contains(&name) => {}
            _ => reader.unknown_element(child, &["functions", "properties"]),
        }
    }
    found
}

/// Kinds of properties of a function context.
const PROPERTIES: [(&str, PropertyKind); 7] = [
    ("property-string", PropertyKind::String),
    ("property", PropertyKind::String),
    ("property-list", PropertyKind::List),
    ("property-set", PropertyKind::Set),
    ("property-map", PropertyKind::Map),
    ("property-xml", PropertyKind::Xml),
    ("property-json", PropertyKind::Json),
];

pub(crate) fn properties(
    reading: &Reading<'_, '_, '_>,
    context: Node<'_, '_>,
    compiler: &mut FunctionCompiler,
) -> bool {
    let reader = reading.reader;
    let mut complete = true;
    for list in context.children().filter(|child| child.has_tag_name("properties")) {
        for element in list.children().filter(Node::is_element) {
            let tag = element.tag_name().name();
            let Some((_, kind)) = PROPERTIES.iter().find(|(known, _)| *known == tag) else {
                if !IGNORED.contains(&tag) {
                    reader.unknown_element(element, &PROPERTIES.map(|(name, _)| name));
                }
                continue;
            };
            reader.check_attributes(element, &[&["name", "delimiter", "outer", "inner"]]);
            let Some(name) = reader.required(element, "name") else {
                complete = false;
                continue;
            };
            let value = |name: &str| reader.attribute(element, name).map(|text| text.as_str().to_owned());
            let outer = value("outer").or_else(|| value("delimiter")).unwrap_or_default();
            let inner = value("inner").unwrap_or_default();
            let text = reader.text(element);
            if let Err(error) = compiler.property(name.as_str(), *kind, text.as_str(), (&outer, &inner)) {
                report_expression(element, &text, &error, reader);
                complete = false;
            }
        }
    }
    complete
}

/// A function in an element of its own; false after a report.
fn extra(reading: &Reading<'_, '_, '_>, tag: &str, compile: impl FnOnce(&str) -> Result<(), ExprError>) -> bool {
    let Some(element) = reading.reader.child(reading.node, tag) else { return true };
    let text = reading.reader.text(element);
    if text.is_empty() {
        return true;
    }
    match compile(text.as_str()) {
        Ok(()) => true,
        Err(error) => {
            report_expression(element, &text, &error, reading.reader);
            false
        }
    }
}

/// Kinds of event loops: element, the element of its document, the element of what selects.
const LOOPS: [(&str, LoopKind, &str, &str); 3] = [
    ("event-loop-xml", LoopKind::Xml, "use-xml", "xpath"),
    ("event-loop-json", LoopKind::Json, "use-json", "json"),
    ("event-loop-regex", LoopKind::Regex, "use-text", "regex"),
];

/// Reads an event loop; false after a report.
fn event_loop(
    reading: &Reading<'_, '_, '_>,
    element: Node<'_, '_>,
    lines: &mut BTreeMap<usize, u32>,
    compiler: &mut FunctionCompiler,
) -> bool {
    let reader = reading.reader;
    let tag = element.tag_name().name();
    let Some((_, kind, source_tag, select_tag)) = LOOPS.iter().find(|(known, ..)| *known == tag) else {
        reader.unknown_element(element, &LOOPS.map(|(name, ..)| name));
        return true;
    };
    reader.check_attributes(element, &[&["name", "data"]]);
    let part = |tag: &str| {
        let found = reader.child(element, tag);
        if found.is_none() {
            let headline = format!("`{}` has no `{tag}`", element.tag_name().name());
            reader.report.add(element, Draft::error("event-loop", tag_span(element), headline));
        }
        found
    };
    let data = reader.attribute(element, "data");
    let data = data.as_ref().map(Text::as_str);
    let parts = (part(source_tag), part(select_tag));
    let mut complete = begin_loop(reader, *kind, data, parts, compiler);
    for context in contexts(element) {
        complete &= properties(reading, context, compiler);
        let mut own = BTreeMap::new();
        for (name, text, function) in function_elements(reading, context) {
            if known_field(reading, &name, function, &mut own).is_none() {
                complete = false;
            } else if let Err(error) = compiler.function(name.as_str(), text.as_str()) {
                report_expression(function, &text, &error, reader);
                complete = false;
            }
        }
        lines.extend(own);
    }
    compiler.end_loop();
    complete
}

/// Begins a loop; false after a report, and then it is a loop over nothing.
fn begin_loop(
    reader: &Reader<'_>,
    kind: LoopKind,
    data: Option<&str>,
    parts: (Option<Node<'_, '_>>, Option<Node<'_, '_>>),
    compiler: &mut FunctionCompiler,
) -> bool {
    let (Some(source_element), Some(select_element)) = parts else {
        compiler.begin_any_loop(data);
        return false;
    };
    let (source, select) = (reader.text(source_element), reader.text(select_element));
    let (mut group, mut complete) = (0, true);
    if let Some(text) = reader.attribute(select_element, "group") {
        match text.as_str().parse() {
            Ok(number) => group = number,
            Err(_) => {
                reader.report.add(select_element, bad_value("`group`", &text, "the number of a group, from 0"));
                complete = false;
            }
        }
    }
    // The second time without the source, so that what selects is checked too.
    for source_text in [source.as_str(), "''"] {
        let Err((part, error)) = compiler.begin_loop(kind, data, (source_text, select.as_str(), group)) else {
            return complete;
        };
        complete = false;
        if matches!(part, LoopPart::Select) {
            report_expression(select_element, &select, &error, reader);
            break;
        }
        report_expression(source_element, &source, &error, reader);
    }
    compiler.begin_any_loop(data);
    false
}
