//! Lua in windows: Lua windows, Lua filters, Lua splitters, the scripts of patterns.

use mesh_event::{Field, Schema};
use mesh_script::{Module, Script, ScriptError, ScriptText};
use roxmltree::Node;

use crate::project::WindowKind;
use crate::reader::Reader;
use crate::report::{Draft, bad_value, not_supported, tag_span, unknown_field};
use crate::script::{LuaInput, LuaWindow, ScriptCall, Splitter};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::compute::schema_span;

/// The function of a Lua window that does not name one.
const CREATE: &str = "create";
/// The function of a filter that does not name one.
const FILTER: &str = "filter";

/// Reads a Lua window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, place, at, .. } = *reading;
    let before = place.inputs_of(at)?;
    let name = |attribute: &str| reader.attribute(node, attribute).filter(|text| !text.is_empty());
    let function = name("events").map_or(CREATE.to_owned(), |text| text.as_str().to_owned());
    let heartbeat = name("heartbeat").map(|text| (text.as_str().to_owned(), place.heartbeat_us));
    check_modules(node, reader);
    let functions = std::iter::once(function.clone()).chain(heartbeat.as_ref().map(|(name, _)| name.clone()));
    let script = script(node, functions.collect(), reader);
    let schemas: Vec<&Schema> = before.iter().map(|(_, schema)| &**schema).collect();
    let used = used(node, &schemas, reader, &["expand"]);
    let expand = reader.child(node, "use").and_then(|element| reader.flag(element, "expand")).unwrap_or(false);
    let copies = copies(reading, &schemas);
    let process_blocks = reader.flag(node, "process-blocks").unwrap_or(false);
    debug_assert!(!schema.keys().is_empty(), "a schema without a key was reported");
    let fields = used?.into_iter().zip(copies?);
    let inputs = before.iter().zip(fields);
    let input = |((name, _), (used, copies)): (&(String, _), (_, _))| LuaInput {
        name: name.clone(),
        used,
        copies,
        variables: None,
    };
    let inputs = inputs.map(input).collect();
    let (script, outputs) = (script?, Vec::new());
    Some(WindowKind::Lua(Box::new(LuaWindow { script, function, inputs, heartbeat, process_blocks, expand, outputs })))
}

/// Reads the script of a filter.
pub(crate) fn filter(node: Node<'_, '_>, input: &Schema, reader: &Reader<'_>) -> Option<WindowKind> {
    let function = reader.attribute(node, "func").filter(|text| !text.is_empty());
    let function = function.map_or(FILTER.to_owned(), |text| text.as_str().to_owned());
    let script = script(node, vec![function.clone()], reader);
    let used = used(node, &[input], reader, &[]).and_then(|mut used| used.pop());
    Some(WindowKind::LuaFilter(Box::new(ScriptCall { script: script?, function, used: used? })))
}

/// Reads a `splitter-lua`.
pub(crate) fn splitter(element: Node<'_, '_>, output: &Schema, reader: &Reader<'_>) -> Option<Splitter> {
    reader.check_attributes(element, &[&["function", "name"]]);
    let function = reader.required(element, "function")?.as_str().to_owned();
    let script = script(element, vec![function.clone()], reader);
    let used = used(element, &[output], reader, &[]).and_then(|mut used| used.pop());
    Some(Splitter::Script(Box::new(ScriptCall { script: script?, function, used: used? })))
}

/// The script in the `code` below a node, with the `init` of the node; `None` after a report.
pub(crate) fn script(node: Node<'_, '_>, functions: Vec<String>, reader: &Reader<'_>) -> Option<Script> {
    let Some(element) = reader.child(node, "code") else {
        let draft = Draft::error("no-code", tag_span(node), format!("`{}` has no `code`", node.tag_name().name()))
            .help("add <code><![CDATA[ function ... end ]]></code>");
        reader.report.add(node, draft);
        return None;
    };
    reader.check_attributes(element, &[&["file", "snippet", "output"]]);
    if let Some(value) = reader.attribute(element, "snippet").filter(|value| !value.is_empty()) {
        let because = "snippets run beside the events, in no recorded order";
        let draft = not_supported(value.full_span(), "`code` with `snippet`", because, "put the text into <code>");
        reader.report.add(element, draft);
        return None;
    }
    let source = Source::of(element, reader)?;
    let init = reader.attribute(node, "init").filter(|text| !text.is_empty()).map(|text| text.as_str().to_owned());
    loaded(element, &source, ScriptText { init, functions, ..ScriptText::default() }, reader)
}

/// The text of a script and where it stands.
pub(crate) struct Source {
    text: Text,
    /// It is a file of this name, which travels in the project, named there.
    file: Option<(String, Text)>,
}

impl Source {
    /// What stands in an element, or in the file that its attribute `file` names; `None` after a report.
    fn of(element: Node<'_, '_>, reader: &Reader<'_>) -> Option<Source> {
        let named = reader.attribute(element, "file").filter(|value| !value.is_empty());
        match (named, element.attribute("file")) {
            (Some(shown), Some(name)) => Source::of_file(element, name, shown, reader),
            _ => Some(Source { text: reader.text(element), file: None }),
        }
    }

    /// What a file holds; `None` after a report.
    pub(crate) fn of_file(element: Node<'_, '_>, name: &str, shown: Text, reader: &Reader<'_>) -> Option<Source> {
        let text = reader.replaced(element, reader.file(element, name, &shown)?);
        Some(Source { text, file: Some((name.trim().to_owned(), shown)) })
    }
}

/// A script with the modules and properties of the project; `None` after a report.
pub(crate) fn loaded(element: Node<'_, '_>, source: &Source, text: ScriptText, reader: &Reader<'_>) -> Option<Script> {
    if is_python(source.text.as_str()) {
        let because = "it is Python, and only Lua scripts run in the engine";
        let draft =
            not_supported(tag_span(element), "`code`", because, "write the function in Lua, or the step with EEL");
        reader.report.add(element, draft);
        return None;
    }
    let text = ScriptText {
        code: source.text.as_str().to_owned(),
        modules: reader.modules.clone(),
        properties: reader
            .properties
            .iter()
            .chain(&reader.project_properties)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        ..text
    };
    match Script::new(text) {
        Ok(script) => Some(script),
        Err(error) => {
            report(element, source, &error, reader);
            None
        }
    }
}

fn is_python(code: &str) -> bool {
    let starts = |line: &str| ["def ", "import ", "from ", "class "].iter().any(|word| line.starts_with(word));
    code.lines().any(starts) && !code.contains("end")
}

/// A problem of a script at its line.
fn report(element: Node<'_, '_>, source: &Source, error: &ScriptError, reader: &Reader<'_>) {
    if let Some((file, shown)) = &source.file {
        let line = error.line.filter(|_| error.part == "code").map(|line| format!(", line {line}")).unwrap_or_default();
        let headline = format!("`{file}`{line}: {}", error.message);
        reader.report.add(element, Draft::error("script", shown.full_span(), headline));
        return;
    }
    let code = &source.text;
    let line = error.line.filter(|_| error.part == "code").and_then(|line| {
        let before: usize = code.as_str().split_inclusive('\n').take(line as usize - 1).map(str::len).sum();
        let text = code.as_str().get(before..)?.lines().next()?;
        let start = before + text.len() - text.trim_start().len();
        (start < code.as_str().len()).then(|| code.span(start..before + text.len()))
    });
    let (span, headline) = match line {
        Some(span) => (span, error.message.clone()),
        None => (tag_span(element), error.to_string()),
    };
    reader.report.add(element, Draft::error("script", span, headline));
}

/// Modules that a window says it needs.
fn check_modules(node: Node<'_, '_>, reader: &Reader<'_>) {
    for name in reader.attribute(node, "require").map(|text| text.list()).unwrap_or_default() {
        if !reader.modules.iter().any(|module| module.name == name.as_str()) {
            let headline = format!("`require` names module `{}`, which the project does not have", name.as_str());
            let draft = Draft::error("unknown-module", name.full_span(), headline)
                .help("add <lua-modules><lua-module name=\"...\"><code>...</code></lua-module></lua-modules> to the project")
                .known(name.as_str(), reader.modules.iter().map(|module| module.name.as_str()));
            reader.report.add(node, draft);
        }
    }
}

/// The modules of a project.
pub(crate) fn modules(root: Node<'_, '_>, reader: &Reader<'_>) -> Vec<Module> {
    let lists = root.children().filter(|child| child.has_tag_name("lua-modules"));
    let mut found: Vec<Module> = Vec::new();
    for element in lists.flat_map(|list| list.children()).filter(|child| child.has_tag_name("lua-module")) {
        reader.check_attributes(element, &[&["name"]]);
        if let (Some(name), Some(code)) = (reader.required(element, "name"), reader.child(element, "code")) {
            reader.check_attributes(code, &[&["file"]]);
            if let Some(source) = Source::of(code, reader) {
                found.push(Module { name: name.as_str().to_owned(), text: source.text.as_str().to_owned() });
            }
        }
    }
    found
}

/// The fields in `use`, for each input: `None` for all. The outer `None` after a report.
fn used(
    node: Node<'_, '_>,
    inputs: &[&Schema],
    reader: &Reader<'_>,
    attributes: &[&str],
) -> Option<Vec<Option<Vec<usize>>>> {
    let Some(element) = reader.child(node, "use") else { return Some(vec![None; inputs.len()]) };
    reader.check_attributes(element, &[attributes]);
    let names = reader.text(element).list();
    let known = known_fields(element, &names, inputs, reader)?;
    Some(known.into_iter().map(|fields| (!names.is_empty()).then_some(fields)).collect())
}

/// Positions of named fields in each input; every name must be one of some input.
fn known_fields(
    element: Node<'_, '_>,
    names: &[Text],
    inputs: &[&Schema],
    reader: &Reader<'_>,
) -> Option<Vec<Vec<usize>>> {
    let mut complete = true;
    for name in names.iter().filter(|name| inputs.iter().all(|input| input.index_of(name.as_str()).is_none())) {
        let input = inputs.first()?;
        reader.report.add(element, unknown_field(&format!("`{}`", element.tag_name().name()), name, input));
        complete = false;
    }
    let of = |input: &&Schema| names.iter().filter_map(|name| input.index_of(name.as_str())).collect();
    complete.then(|| inputs.iter().map(of).collect())
}

/// For each input, and each field of the window, the input field it is copied from.
fn copies(reading: &Reading<'_, '_, '_>, inputs: &[&Schema]) -> Option<Vec<Vec<Option<usize>>>> {
    let Reading { node, reader, schema, .. } = *reading;
    let Some(element) = reader.child(node, "copy") else {
        return Some(vec![vec![None; schema.fields().len()]; inputs.len()]);
    };
    reader.check_attributes(element, &[&["exclude"]]);
    let names = reader.text(element).list();
    let listed = known_fields(element, &names, inputs, reader)?;
    let exclude = match reader.attribute(element, "exclude").filter(|text| !text.is_empty()) {
        None => false,
        Some(text) => match text.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                reader.report.add(element, bad_value("`exclude`", &text, "`true` or `false`"));
                return None;
            }
        },
    };
    let copied = |(input, listed): (&&Schema, &Vec<usize>)| -> Option<Vec<Option<usize>>> {
        let source = |field: &Field| {
            let at = input.index_of(&field.name).filter(|at| names.is_empty() || listed.contains(at) != exclude);
            let Some(at) = at else { return Some(None) };
            let found = input.fields()[at].ty;
            if found != field.ty {
                let headline =
                    format!("field `{}` has type {}, but is copied from a field of type {found}", field.name, field.ty);
                let draft = Draft::error("field-type", schema_span(node, &field.name, reader), headline)
                    .help("give both the same type, or leave the field out of `copy`");
                reader.report.add(node, draft);
                return None;
            }
            Some(Some(at))
        };
        schema.fields().iter().map(source).collect()
    };
    inputs.iter().zip(&listed).map(copied).collect()
}
