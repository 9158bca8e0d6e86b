//! Custom windows: a Lua window whose script is a file that travels in the project, with names of its own for fields.

use mesh_event::Schema;
use mesh_script::ScriptText;
use roxmltree::Node;

use crate::project::WindowKind;
use crate::reader::Reader;
use crate::report::{Draft, bad_value, not_supported, tag_span, unknown_field};
use crate::script::{LuaInput, LuaWindow, Variables};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::lua::{Source, loaded};

/// The function that makes events.
const CREATE: &str = "create";
/// The function that the clock calls.
const HEARTBEAT: &str = "heartbeat";

/// Reads a custom window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, place, at, .. } = *reading;
    let before = place.inputs_of(at)?;
    let Some(plugin) = reader.child(node, "plugin") else {
        let draft = Draft::error("missing-element", tag_span(node), "the window has no `plugin`")
            .help("add <plugin code=\"file.lua\">, which names its script");
        reader.report.add(node, draft);
        return None;
    };
    reader.check_attributes(plugin, &[&["code", "name", "function"]]);
    for child in plugin.children().filter(Node::is_element) {
        if !["input-map", "output-map", "initialization"].contains(&child.tag_name().name()) {
            reader.unknown_element(child, &["input-map", "output-map", "initialization"]);
        }
    }
    let shown = reader.required(plugin, "code")?;
    if shown.as_str().ends_with(".py") {
        let because = "it is Python, and only Lua scripts run in the engine";
        reader.report.add(plugin, not_supported(shown.full_span(), "`code`", because, "write the window in Lua"));
        return None;
    }
    let source = Source::of_file(plugin, plugin.attribute("code").unwrap_or_default(), shown, reader)?;
    let settings = properties(plugin, "initialization", reader);
    let settings = settings.iter().map(|(name, value, _)| (name.as_str().to_owned(), value.as_str().to_owned()));
    let text =
        ScriptText { functions: vec![CREATE.to_owned()], settings: Some(settings.collect()), ..ScriptText::default() };
    let script = loaded(plugin, &source, text, reader)?;
    let schemas: Vec<&Schema> = before.iter().map(|(_, schema)| &**schema).collect();
    let variables = variables(plugin, &schemas, &script.custom().inputs, reader)?;
    let outputs = outputs(plugin, schema, reader)?;
    let heartbeat = script.custom().heartbeat.then(|| (HEARTBEAT.to_owned(), place.heartbeat_us));
    let inputs = before.iter().zip(variables).map(|((name, input), variables)| LuaInput {
        name: name.clone(),
        used: None,
        copies: keys(schema, input),
        variables,
    });
    let (process_blocks, expand) = (script.custom().process_blocks, script.custom().expand);
    let inputs = inputs.collect();
    let function = CREATE.to_owned();
    Some(WindowKind::Lua(Box::new(LuaWindow { script, function, inputs, heartbeat, process_blocks, expand, outputs })))
}

/// Where keys come from that the script does not set: fields of the same name and type.
fn keys(schema: &Schema, input: &Schema) -> Vec<Option<usize>> {
    let same = |field: &mesh_event::Field| input.fields().iter().position(|f| f.name == field.name && f.ty == field.ty);
    schema.fields().iter().map(|field| same(field).filter(|_| field.key)).collect()
}

/// The properties of a part of the plug-in that hold something.
fn properties<'n, 'i>(plugin: Node<'n, 'i>, part: &str, reader: &Reader<'_>) -> Vec<(Text, Text, Node<'n, 'i>)> {
    let mut list = reader.child(plugin, part).map(|part| reader.property_list(part)).unwrap_or_default();
    if part != "initialization" {
        list.retain(|(_, value, _)| !value.is_empty());
    }
    list
}

/// For each input the names in the script and the fields that they are, in the order of the script; the inner `None`: all
/// fields by their own names. The outer one after a report.
fn variables(
    plugin: Node<'_, '_>,
    inputs: &[&Schema],
    order: &[String],
    reader: &Reader<'_>,
) -> Option<Vec<Option<Variables>>> {
    let mut map = properties(plugin, "input-map", reader);
    if map.is_empty() {
        return Some(vec![None; inputs.len()]);
    }
    map.sort_by_key(|(name, ..)| order.iter().position(|known| known == name.as_str()).unwrap_or(order.len()));
    let mut complete = true;
    for (_, field, element) in &map {
        if inputs.iter().all(|input| input.index_of(field.as_str()).is_none()) {
            reader.report.add(*element, unknown_field("`input-map`", field, inputs.first()?));
            complete = false;
        }
    }
    let of = |input: &&Schema| {
        let field = |(name, field, _): &(Text, Text, _)| {
            input.index_of(field.as_str()).map(|at| (name.as_str().to_owned(), at))
        };
        Some(map.iter().filter_map(field).collect())
    };
    complete.then(|| inputs.iter().map(of).collect())
}

/// Names in the script and the fields of the window that they become; `None` after a report.
fn outputs(plugin: Node<'_, '_>, schema: &Schema, reader: &Reader<'_>) -> Option<Variables> {
    let mut found = Variables::new();
    for (name, field, element) in properties(plugin, "output-map", reader) {
        let Some(at) = schema.index_of(field.as_str()) else {
            reader.report.add(element, unknown_field("`output-map`", &field, schema));
            return None;
        };
        if found.iter().any(|(_, other)| *other == at) {
            reader.report.add(element, bad_value("`output-map`", &field, "a field that nothing else is mapped to"));
            return None;
        }
        found.push((name.as_str().to_owned(), at));
    }
    Some(found)
}
