//! Pattern windows: events with conditions and variables, the logic that joins them, what goes out.

mod logic;
mod terms;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use mesh_expr::{Program, Scope, Type};
use roxmltree::Node;

use crate::pattern::{Pattern, PatternEvent, PatternField};
use crate::project::WindowKind;
use crate::reader::IGNORED;
use crate::report::{Draft, duplicate, not_supported, tag_span, unknown_field};
use crate::text::Text;
use crate::window::{Reading, texts_max};
use crate::windows::compute::{fits, program, report_expression};
use crate::windows::lua;
use terms::Term;

/// The windows before the pattern window, in the order of their edges.
struct Inputs {
    windows: Vec<(String, Arc<Schema>)>,
}

/// Reads a pattern window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, place, at, .. } = *reading;
    let mut windows: Vec<(String, Arc<Schema>)> = Vec::new();
    for edge in place.edges.iter().filter(|edge| edge.target == at) {
        let name = place.windows[edge.source].name.as_str().to_owned();
        windows.push((name, place.schema_of(edge.source)?));
    }
    let inputs = Inputs { windows };
    let key_fits = check_key(reading);
    let lists = node.children().filter(|child| child.has_tag_name("patterns"));
    let mut patterns = Vec::new();
    let mut complete = key_fits;
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !element.has_tag_name("pattern") {
            if !IGNORED.contains(&element.tag_name().name()) {
                reader.unknown_element(element, &["pattern"]);
            }
            continue;
        }
        reader.check_attributes(element, &[&["name", "index", "active"]]);
        match pattern(element, &inputs, reading) {
            Some(_) if reader.flag(element, "active") == Some(false) => {}
            Some(pattern) => patterns.push(pattern),
            None => complete = false,
        }
    }
    if patterns.is_empty() && complete {
        let headline = format!("pattern window `{}` has no pattern", reading.name.as_str());
        let draft = Draft::error("missing-element", tag_span(node), headline)
            .help("add <patterns><pattern><events>...</events><logic>fby(e1,e2)</logic>...</pattern></patterns>");
        reader.report.add(node, draft);
        return None;
    }
    complete.then_some(WindowKind::Pattern(patterns))
}

/// The window makes its own key.
fn check_key(reading: &Reading<'_, '_, '_>) -> bool {
    let Reading { node, reader, schema, .. } = *reading;
    let types: Vec<FieldType> = schema.keys().iter().map(|&key| schema.fields()[key].ty).collect();
    let fits = matches!(types.as_slice(), [FieldType::Int64 | FieldType::String]);
    if !fits {
        let headline =
            format!("pattern window `{}` needs one key field of type int64 or string", reading.name.as_str());
        let draft = Draft::error("autogen-key", reading.name.full_span(), headline)
            .help("make the key `id*:int64`: the window numbers what it finds");
        reader.report.add(node, draft);
    }
    fits
}

fn pattern(element: Node<'_, '_>, inputs: &Inputs, reading: &Reading<'_, '_, '_>) -> Option<Pattern> {
    let reader = reading.reader;
    let scripts = element.children().filter(|child| matches!(child.tag_name().name(), "python-events" | "plugin"));
    let mut scripted = false;
    for child in scripts {
        let what = format!("`{}`", child.tag_name().name());
        let because = "only Lua runs inside the engine";
        reader.report.add(
            child,
            not_supported(
                tag_span(child),
                &what,
                because,
                "write the conditions with EEL in <events>, or in Lua in <lua-events>",
            ),
        );
        scripted = true;
    }
    let known = ["events", "lua-events", "code", "logic", "output", "timefields"];
    for child in element.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let script = matches!(tag, "python-events" | "plugin");
        if !known.contains(&tag) && !script && !IGNORED.contains(&tag) {
            reader.unknown_element(child, &known);
        }
    }
    if scripted {
        return None;
    }
    let (mut events, variables, mut complete) = events(element, inputs, reading);
    let scripted = element.children().any(|child| child.has_tag_name("lua-events"));
    let output = reader.child(element, "code").filter(|_| scripted).and_then(|code| reader.attribute(code, "output"));
    let output = output.filter(|text| !text.is_empty()).map(|text| text.as_str().to_owned());
    let functions: Vec<String> =
        events.iter().filter_map(|event| event.function.clone()).chain(output.clone()).collect();
    let script = if functions.is_empty() { None } else { lua::script(element, functions.clone(), reader) };
    complete &= functions.is_empty() || script.is_some();
    let names: Vec<String> = events.iter().map(|event| event.name.clone()).collect();
    let logic = logic_of(element, &names, complete, reading);
    let index = index(element, inputs, reading);
    let times = times(element, inputs, reading);
    let fields = match &output {
        None => fields(element, &mut events, inputs, complete, reading),
        Some(_) => {
            let others = reading.schema.fields().iter().filter(|field| !field.key).count();
            Some((0..others).map(|at| PatternField::Kept { event: 0, at }).collect())
        }
    };
    complete &= index.is_some() && times.is_some();
    let name = reader.attribute(element, "name").map_or_else(String::new, |name| name.as_str().to_owned());
    let (logic, fields) = (logic?, fields?);
    complete.then(|| Pattern {
        name,
        events,
        variables,
        logic,
        index: index.unwrap_or_default(),
        times: times.unwrap_or_default(),
        fields,
        script,
        output,
    })
}

/// The events, the types of their variables, and whether all is right.
fn events(
    element: Node<'_, '_>,
    inputs: &Inputs,
    reading: &Reading<'_, '_, '_>,
) -> (Vec<PatternEvent>, Vec<FieldType>, bool) {
    let reader = reading.reader;
    let (mut found, mut complete): (Vec<(Text, usize, Node<'_, '_>)>, bool) = (Vec::new(), true);
    let lists = element.children().filter(|child| matches!(child.tag_name().name(), "events" | "lua-events"));
    for node in lists.flat_map(|list| list.children()).filter(|child| child.has_tag_name("event")) {
        let lua = node.parent_element().is_some_and(|list| list.has_tag_name("lua-events"));
        reader.check_attributes(node, &[if lua { &["name", "source", "func"][..] } else { &["name", "source"] }]);
        if lua && reader.required(node, "func").is_none() {
            complete = false;
        }
        // Behind one window it goes without saying where an event in Lua comes from.
        let only = inputs.windows.len() == 1 && lua && reader.attribute(node, "source").is_none();
        let (name, source) = (reader.required(node, "name"), if only { None } else { reader.required(node, "source") });
        let (Some(name), true) = (name, only || source.is_some()) else {
            complete = false;
            continue;
        };
        if let Some((_, _, first)) = found.iter().find(|(other, ..)| other.as_str() == name.as_str()) {
            reader.report.add(node, duplicate("event", &name, reader.report.line(first.range().start)));
            complete = false;
        }
        let position = |source: &Text| {
            inputs.windows.iter().position(|(window, _)| *window == source.as_str()).ok_or(source.clone())
        };
        match source.as_ref().map_or(Ok(0), position) {
            Ok(input) => found.push((name, input, node)),
            Err(source) => {
                let headline = format!("no edge leads from `{}` to this window", source.as_str());
                let draft = Draft::error("unknown-window", source.full_span(), headline)
                    .known(source.as_str(), inputs.windows.iter().map(|(window, _)| window.as_str()));
                reader.report.add(node, draft);
                complete = false;
            }
        }
    }
    // Variables get their types where they are bound, which may be in any event.
    let mut variables: BTreeMap<String, (usize, FieldType)> = BTreeMap::new();
    let mut split = Vec::new();
    for (_, input, node) in &found {
        let (text, schema) = (reader.text(*node), &inputs.windows[*input].1);
        let terms = if text.is_empty() { Vec::new() } else { terms::terms(text.as_str(), schema) };
        for term in &terms {
            let Term::Bind { variable, value } = term else { continue };
            if let Ok(program) = Program::compile(&text.as_str()[value.clone()], &Scope::new(schema)) {
                let ty = type_of(&text.as_str()[value.clone()], &program, schema);
                let next = variables.len();
                variables.entry(variable.clone()).or_insert((next, ty));
            }
        }
        split.push((text, terms));
    }
    let mut types = vec![FieldType::Int64; variables.len()];
    variables.values().for_each(|&(at, ty)| types[at] = ty);
    let mut events = Vec::new();
    for ((name, input, node), (text, terms)) in found.into_iter().zip(split) {
        match event(&name, input, node, (&text, &terms), &variables, inputs, reading) {
            Some(event) => events.push(event),
            None => complete = false,
        }
    }
    (events, types, complete)
}

/// The type of a value that is kept: that of the field, or of the expression.
fn type_of(text: &str, program: &Program, schema: &Schema) -> FieldType {
    let field = schema.index_of(text.trim()).map(|at| schema.fields()[at].ty);
    field.unwrap_or(match program.result_type() {
        Some(Type::Integer | Type::Boolean) => FieldType::Int64,
        Some(Type::Real) => FieldType::Double,
        Some(Type::Date) => FieldType::Stamp,
        Some(Type::String) | None => FieldType::String,
    })
}

fn event(
    name: &Text,
    input: usize,
    node: Node<'_, '_>,
    (text, terms): (&Text, &[Term]),
    variables: &BTreeMap<String, (usize, FieldType)>,
    inputs: &Inputs,
    reading: &Reading<'_, '_, '_>,
) -> Option<PatternEvent> {
    let reader = reading.reader;
    let schema = &inputs.windows[input].1;
    let function = reader.attribute(node, "func");
    let compile = |range: &std::ops::Range<usize>, scope: &Scope| {
        let part = text.part(range.clone());
        Program::compile(part.as_str(), scope).map_err(|error| report_expression(node, &part, &error, reader)).ok()
    };
    let plain: Vec<&str> = terms
        .iter()
        .filter_map(|term| match term {
            Term::Plain(range) => Some(&text.as_str()[range.clone()]),
            _ => None,
        })
        .collect();
    let fields = Scope::new(schema).with_texts_max(texts_max(node, reader));
    let mut complete = true;
    for term in terms {
        // Each alone, so that a mistake is found where it stands.
        if let Term::Plain(range) = term {
            complete &= compile(range, &fields).is_some();
        }
    }
    let joined = plain.iter().map(|term| format!("({term})")).collect::<Vec<_>>().join(" and ");
    let condition = match plain.as_slice() {
        [] => None,
        // A program of several statements is no term of a conjunction.
        [one] => Program::compile(one, &fields).ok(),
        _ => Program::compile(&joined, &fields).ok(),
    };
    complete &= plain.is_empty() == condition.is_none();
    let mut named: Vec<(&String, &(usize, FieldType))> = variables.iter().collect();
    named.sort_by_key(|(_, (at, _))| *at);
    let all = schema.fields().iter().map(|field| Field { key: false, ..field.clone() });
    let all = all.chain(named.iter().map(|(name, (_, ty))| Field { name: (*name).clone(), ty: *ty, key: false }));
    let scope = Arc::new(Schema::new(all.collect()).ok()?);
    let (mut binds, mut tests) = (Vec::new(), Vec::new());
    for term in terms {
        match term {
            Term::Plain(_) => {}
            Term::Bind { variable, value } => match compile(value, &fields) {
                Some(program) => {
                    let ty = type_of(&text.as_str()[value.clone()], &program, schema);
                    binds.push((variables.get(variable)?.0, program, ty));
                }
                None => complete = false,
            },
            Term::Test(range) => match compile(range, &Scope::new(&scope)) {
                Some(program) => tests.push(program),
                None => complete = false,
            },
        }
    }
    let kept = Arc::clone(schema);
    complete.then(|| PatternEvent {
        name: name.as_str().to_owned(),
        input,
        condition,
        binds,
        tests,
        scope,
        function: function.map(|function| function.as_str().to_owned()),
        keeps: Vec::new(),
        kept,
    })
}

fn logic_of(
    element: Node<'_, '_>,
    names: &[String],
    complete: bool,
    reading: &Reading<'_, '_, '_>,
) -> Option<crate::pattern::PatternLogic> {
    let reader = reading.reader;
    let Some(node) = reader.child(element, "logic") else {
        let draft = Draft::error("missing-element", tag_span(element), "the pattern has no `logic`")
            .help("add <logic>fby(e1,e2)</logic>");
        reader.report.add(element, draft);
        return None;
    };
    let text = reader.text(node);
    match logic::parse(text.as_str(), names) {
        Ok(logic) => Some(logic),
        // An event that was reported is missing here: no second mistake.
        Err(error) if error.unknown && !complete => None,
        Err(error) => {
            let found = text.as_str()[error.span.clone()].to_owned();
            let mut draft = Draft::error("pattern-logic", text.span(error.span), error.message);
            if error.unknown {
                draft = draft.known(&found, names.iter().map(String::as_str));
            }
            reader.report.add(node, draft);
            None
        }
    }
}

fn index(element: Node<'_, '_>, inputs: &Inputs, reading: &Reading<'_, '_, '_>) -> Option<Vec<Vec<usize>>> {
    let reader = reading.reader;
    let names = reader.attribute(element, "index").map(|text| text.list()).unwrap_or_default();
    let mut index = Vec::new();
    for (_, schema) in &inputs.windows {
        let mut fields = Vec::new();
        for name in &names {
            match schema.index_of(name.as_str()) {
                Some(at) => fields.push(at),
                None => {
                    reader.report.add(element, unknown_field("`index`", name, schema));
                    return None;
                }
            }
        }
        index.push(fields);
    }
    Some(index)
}

fn times(element: Node<'_, '_>, inputs: &Inputs, reading: &Reading<'_, '_, '_>) -> Option<Vec<Option<usize>>> {
    let reader = reading.reader;
    let mut times = vec![None; inputs.windows.len()];
    let mut complete = true;
    let lists = element.children().filter(|child| child.has_tag_name("timefields"));
    for node in lists.flat_map(|list| list.children()).filter(|child| child.has_tag_name("timefield")) {
        reader.check_attributes(node, &[&["field", "source"]]);
        let (field, source) = (reader.required(node, "field"), reader.required(node, "source"));
        let (Some(field), Some(source)) = (field, source) else {
            complete = false;
            continue;
        };
        let Some(input) = inputs.windows.iter().position(|(window, _)| *window == source.as_str()) else {
            let headline = format!("no edge leads from `{}` to this window", source.as_str());
            let draft = Draft::error("unknown-window", source.full_span(), headline)
                .known(source.as_str(), inputs.windows.iter().map(|(window, _)| window.as_str()));
            reader.report.add(node, draft);
            complete = false;
            continue;
        };
        let schema = &inputs.windows[input].1;
        match schema.index_of(field.as_str()) {
            Some(at) if matches!(schema.fields()[at].ty, FieldType::Date | FieldType::Stamp) => times[input] = Some(at),
            Some(at) => {
                let headline = format!("time field `{}` has type {}", field.as_str(), schema.fields()[at].ty);
                let draft = Draft::error("field-type", field.full_span(), headline).help("name a date or stamp field");
                reader.report.add(node, draft);
                complete = false;
            }
            None => {
                reader.report.add(node, unknown_field("`timefield`", &field, schema));
                complete = false;
            }
        }
    }
    let some = times.iter().filter(|time| time.is_some()).count();
    if complete && some > 0 && some < times.len() {
        let draft = Draft::error("time-fields", tag_span(element), "some inputs have a time field and some have none")
            .help("add a <timefield> for every source: times of two kinds cannot be compared");
        reader.report.add(element, draft);
        complete = false;
    }
    complete.then_some(times)
}

/// What goes out, in schema order; notes what each event must keep.
fn fields(
    element: Node<'_, '_>,
    events: &mut [PatternEvent],
    inputs: &Inputs,
    all_events: bool,
    reading: &Reading<'_, '_, '_>,
) -> Option<Vec<PatternField>> {
    let Reading { reader, schema, .. } = *reading;
    let wanted: Vec<&Field> = schema.fields().iter().filter(|field| !field.key).collect();
    let output = reader.child(element, "output");
    let known = ["field-selection", "field-expr"];
    let children = output.into_iter().flat_map(|output| output.children()).filter(Node::is_element);
    let (mut nodes, mut complete) = (Vec::new(), true);
    for child in children {
        match child.tag_name().name() {
            tag if known.contains(&tag) => nodes.push(child),
            tag if IGNORED.contains(&tag) => {}
            _ => reader.unknown_element(child, &known),
        }
    }
    if nodes.len() != wanted.len() {
        let names: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let headline = format!("`output` has {} fields, the schema has {} non-key fields", nodes.len(), wanted.len());
        let draft = Draft::error("expression-count", tag_span(output.unwrap_or(element)), headline)
            .help(format!("one for each, in this order: {}", names.join(", ")));
        reader.report.add(output.unwrap_or(element), draft);
        return None;
    }
    let mut fields = Vec::new();
    for (node, field) in nodes.into_iter().zip(wanted) {
        reader.check_attributes(node, &[&["name", "node", "type"]]);
        let Some(name) = reader.required(node, "node") else {
            complete = false;
            continue;
        };
        let Some(at) = events.iter().position(|event| event.name == name.as_str()) else {
            if all_events {
                let headline = format!("`node` names event `{}`, which does not exist", name.as_str());
                let known: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
                reader
                    .report
                    .add(node, Draft::error("unknown-event", name.full_span(), headline).known(name.as_str(), known));
            }
            complete = false;
            continue;
        };
        let input = &inputs.windows[events[at].input].1;
        let made = if node.has_tag_name("field-selection") {
            selection(node, field, input, reading).map(|source| PatternField::Kept { event: at, at: source })
        } else {
            program(node, &Scope::new(input).with_texts_max(texts_max(node, reader)), reader)
                .filter(|(program, text)| fits(node, program, text, field, reading.reader))
                .map(|(program, _)| PatternField::Program { event: at, program })
        };
        match made {
            Some(made) => fields.push(made),
            None => complete = false,
        }
    }
    // An event that programs look at keeps all its fields; one that is only selected from, what is selected.
    for (at, event) in events.iter_mut().enumerate() {
        let looked_at = fields.iter().any(|field| matches!(field, PatternField::Program { event, .. } if *event == at));
        let selected = |source: &usize| {
            fields
                .iter()
                .any(|field| matches!(field, PatternField::Kept { event, at: kept } if *event == at && kept == source))
        };
        event.keeps = (0..event.kept.fields().len()).filter(|source| looked_at || selected(source)).collect();
    }
    for field in &mut fields {
        if let PatternField::Kept { event, at } = field {
            *at = events[*event].keeps.iter().position(|kept| kept == at)?;
        }
    }
    complete.then_some(fields)
}

fn selection(node: Node<'_, '_>, field: &Field, input: &Schema, reading: &Reading<'_, '_, '_>) -> Option<usize> {
    let reader = reading.reader;
    let name = reader.required(node, "name")?;
    let Some(at) = input.index_of(name.as_str()) else {
        reader.report.add(node, unknown_field("`field-selection`", &name, input));
        return None;
    };
    let found = input.fields()[at].ty;
    if found != field.ty {
        let headline = format!(
            "field `{}` of the event has type {found}, field `{}` has type {}",
            name.as_str(),
            field.name,
            field.ty
        );
        let draft =
            Draft::error("field-type", name.full_span(), headline).help("give the field of the schema that type");
        reader.report.add(node, draft);
        return None;
    }
    Some(at)
}
