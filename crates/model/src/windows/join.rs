//! Join windows: conditions, what identifies an output row, and where its fields come from.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use mesh_expr::{Program, Scope};
use roxmltree::Node;

use crate::kinds::{Join, JoinField, JoinKey, JoinKind};
use crate::parse::index_of;
use crate::project::{Index, WindowKind};
use crate::reader::IGNORED;
use crate::report::{Draft, bad_value, duplicate, not_supported, tag_span, unknown_field};
use crate::role::EdgeRole;
use crate::text::Text;
use crate::window::{Place, Reading, texts_max};
use crate::windows::compute::{fits, report_expression};
use crate::windows::initialize::{initialize, initialize_text};

const KINDS: [(&str, JoinKind); 4] = [
    ("inner", JoinKind::Inner),
    ("leftouter", JoinKind::LeftOuter),
    ("rightouter", JoinKind::RightOuter),
    ("fullouter", JoinKind::FullOuter),
];

/// What the two inputs and the conditions say.
struct Shape {
    left: Arc<Schema>,
    right: Arc<Schema>,
    kind: JoinKind,
    on_left: Vec<usize>,
    on_right: Vec<usize>,
    key: JoinKey,
    /// The fields of the schema that is not written: keys, then outputs.
    fields: Vec<(Field, Origin)>,
}

/// Where a field comes from, before programs are compiled.
#[derive(Clone)]
enum Origin {
    Field(JoinField),
    Expression(Text),
}

/// The schema of a join window that does not write one.
pub(crate) fn schema(place: &Place<'_, '_, '_>, at: usize) -> Option<Arc<Schema>> {
    let shape = shape(place, at)?;
    let fields = shape.fields.into_iter().map(|(field, _)| field).collect();
    crate::windows::shape::made(place.windows[at].node, fields, place.reader)
}

/// Reads a join window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, place, at, .. } = *reading;
    let shape = shape(place, at)?;
    let join = reader.child(node, "join").expect("a join without the element has no shape");
    let own = |name: &str| reader.attribute(join, name).and_then(|text| index_of(&text, join, reader));
    let (left_index, right_index) = (own("left-index"), own("right-index"));
    let passing = match shape.kind {
        JoinKind::RightOuter => right_index == Some(Index::None),
        _ if shape.key == JoinKey::Right => right_index == Some(Index::None),
        _ => left_index == Some(Index::None),
    };
    let no_regenerates = passing || reader.flag(join, "no-regenerates").unwrap_or(false);
    reader.flag(join, "use-secondary-index");

    // Programs run over the fields of both sides that they name.
    let names = names_of_both(&shape);
    let texts = shape.fields.iter().filter_map(|(_, origin)| match origin {
        Origin::Expression(text) => Some(text.as_str()),
        Origin::Field(_) => None,
    });
    let texts: Vec<&str> = texts.collect();
    let shared = initialize_text(node, reader);
    let mut used: Vec<Named> = names
        .iter()
        .filter(|(name, ..)| texts.iter().chain([&&*shared]).any(|text| text.contains(name.as_str())))
        .cloned()
        .collect();
    if used.is_empty() {
        used.extend(names.into_iter().take(1));
    }
    let field = |(name, _, ty): &Named| Field { name: name.clone(), ty: *ty, key: false };
    let scope = Arc::new(Schema::new(used.iter().map(field).collect()).ok()?);
    let mut compile = Scope::new(&scope).with_texts_max(texts_max(node, reader));
    if !initialize(node, &mut compile, reader) {
        return None;
    }
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let found = shape.fields.iter().find(|(made, _)| made.name == field.name);
        let Some((made, origin)) = found else {
            let headline = format!("nothing of the join goes into field `{}`", field.name);
            let span = crate::windows::compute::schema_span(node, &field.name, reader);
            let draft = Draft::error("unknown-field", span, headline)
                .help("add a <field-selection> or <field-expr> of this name to <output>");
            reader.report.add(node, draft);
            return None;
        };
        fields.push(match origin {
            Origin::Field(_) if made.ty != field.ty => {
                let headline = format!("field `{}` has type {}, but {} in the input", field.name, field.ty, made.ty);
                let span = crate::windows::compute::schema_span(node, &field.name, reader);
                reader.report.add(node, Draft::error("field-type", span, headline).help("fields of a join are copied"));
                return None;
            }
            Origin::Field(origin) => origin.clone(),
            Origin::Expression(text) => JoinField::Program(program(node, text, field, &compile, reading)?),
        });
    }
    let Shape { kind, on_left, on_right, key, .. } = shape;
    let scope = (!texts.is_empty()).then_some(scope);
    let uses = if scope.is_some() { used.into_iter().map(|(_, origin, _)| origin).collect() } else { Vec::new() };
    let join = Join { kind, left: on_left, right: on_right, key, no_regenerates, fields, uses, scope };
    Some(WindowKind::Join(Box::new(join)))
}

/// A field of a side as programs name it.
type Named = (String, JoinField, FieldType);

fn names_of_both(shape: &Shape) -> Vec<Named> {
    let left = shape.left.fields().iter().enumerate();
    let left = left.map(|(at, field)| (format!("l_{}", field.name), JoinField::Left(at), field.ty));
    let right = shape.right.fields().iter().enumerate();
    left.chain(right.map(|(at, field)| (format!("r_{}", field.name), JoinField::Right(at), field.ty))).collect()
}

fn program(
    node: Node<'_, '_>,
    text: &Text,
    field: &Field,
    scope: &Scope,
    reading: &Reading<'_, '_, '_>,
) -> Option<Program> {
    match Program::compile(text.as_str(), scope) {
        Ok(program) => fits(node, &program, text, field, reading.reader).then_some(program),
        Err(error) => {
            report_expression(node, text, &error, reading.reader);
            None
        }
    }
}

fn shape(place: &Place<'_, '_, '_>, at: usize) -> Option<Shape> {
    let (node, reader) = (place.windows[at].node, place.reader);
    let name = &place.windows[at].name;
    let [left, right] = sides(place, at)?;
    let (left, right) = (place.schema_of(left), place.schema_of(right));
    let Some(join) = reader.child(node, "join") else {
        let headline = format!("join window `{}` has no `join`", name.as_str());
        let draft = Draft::error("missing-element", tag_span(node), headline)
            .help("add <join type=\"leftouter\"><conditions><fields left=\"a\" right=\"b\"/></conditions></join>");
        reader.report.add(node, draft);
        return None;
    };
    reader.check_attributes(join, &[&["type", "no-regenerates", "left-index", "right-index", "use-secondary-index"]]);
    for child in join.children().filter(Node::is_element) {
        if !child.has_tag_name("conditions") && !IGNORED.contains(&child.tag_name().name()) {
            reader.unknown_element(child, &["conditions"]);
        }
    }
    let kind = reader.required(join, "type").and_then(|text| {
        let found = KINDS.iter().find(|(name, _)| text.as_str().eq_ignore_ascii_case(name));
        if found.is_none() {
            let draft = bad_value("`type`", &text, "a join type").known(text.as_str(), KINDS.map(|(name, _)| name));
            reader.report.add(join, draft);
        }
        found.map(|(_, kind)| *kind)
    });
    let (left, right) = (left?, right?);
    let (on_left, on_right) = conditions(join, &left, &right, place)?;
    let kind = kind?;
    let covers = |keys: &[usize], on: &[usize]| keys.iter().all(|key| on.contains(key));
    let (left_full, right_full) = (covers(left.keys(), &on_left), covers(right.keys(), &on_right));
    let exact = on_left.len() == left.keys().len() && on_right.len() == right.keys().len();
    let key = match kind {
        JoinKind::FullOuter if left_full && right_full && exact => JoinKey::Matched,
        JoinKind::FullOuter => {
            let because = "its rows would have no key: the condition is not the whole key of both sides";
            let way_out = "join on the key fields of both sides, or use leftouter and rightouter";
            reader.report.add(join, not_supported(tag_span(join), "this full outer join", because, way_out));
            return None;
        }
        JoinKind::Inner | JoinKind::LeftOuter if right_full => JoinKey::Left,
        JoinKind::Inner | JoinKind::RightOuter if left_full => JoinKey::Right,
        _ => JoinKey::Both,
    };
    let mut shape = Shape { left, right, kind, on_left, on_right, key, fields: Vec::new() };
    shape.fields = keys(&shape);
    outputs(node, &mut shape, place)?;
    Some(shape)
}

/// Positions of the windows on the left and on the right.
fn sides(place: &Place<'_, '_, '_>, at: usize) -> Option<[usize; 2]> {
    let (node, reader, name) = (place.windows[at].node, place.reader, &place.windows[at].name);
    let edges: Vec<_> = place.edges.iter().filter(|edge| edge.target == at).collect();
    if let [one, other] = edges.as_slice() {
        let (left, right) = match (one.role, other.role) {
            (EdgeRole::Right, EdgeRole::Left | EdgeRole::Data) | (EdgeRole::Data, EdgeRole::Left) => (other, one),
            (EdgeRole::Left, EdgeRole::Left) | (EdgeRole::Right, EdgeRole::Right) => {
                let headline = format!("both edges to join window `{}` have one role", name.as_str());
                let draft = Draft::error("edge-role", name.full_span(), headline)
                    .help("give one edge role=\"left\" and the other role=\"right\"");
                reader.report.add(node, draft);
                return None;
            }
            _ => (one, other),
        };
        return Some([left.source, right.source]);
    }
    // Without an edge, or behind one that is wrong, the missing edge was reported.
    if edges.len() > 2 || edges.len() == 1 && !place.lost.may_feed(at) {
        let found = if edges.len() == 1 { "one edge".to_owned() } else { format!("{} edges", edges.len()) };
        let headline = format!("{found} to join window `{}`, expected two", name.as_str());
        let draft = Draft::error("join-inputs", name.full_span(), headline)
            .help("one edge leads to the left side, one to the right; bring several streams together with a union");
        reader.report.add(node, draft);
    }
    None
}

/// The fields of each side that must be equal.
fn conditions(
    join: Node<'_, '_>,
    left: &Schema,
    right: &Schema,
    place: &Place<'_, '_, '_>,
) -> Option<(Vec<usize>, Vec<usize>)> {
    let reader = place.reader;
    let (mut on_left, mut on_right, mut complete) = (Vec::new(), Vec::new(), true);
    let lists = join.children().filter(|child| child.has_tag_name("conditions"));
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !element.has_tag_name("fields") {
            if !IGNORED.contains(&element.tag_name().name()) {
                reader.unknown_element(element, &["fields"]);
            }
            continue;
        }
        reader.check_attributes(element, &[&["left", "right"]]);
        let find = |side: &str, schema: &Schema| {
            let name = reader.required(element, side)?;
            let found = schema.index_of(name.as_str());
            if found.is_none() {
                reader.report.add(element, unknown_field(&format!("`{side}`"), &name, schema));
            }
            found.map(|found| (found, name))
        };
        let (Some((l, name)), Some((r, _))) = (find("left", left), find("right", right)) else {
            complete = false;
            continue;
        };
        let (left_type, right_type) = (left.fields()[l].ty, right.fields()[r].ty);
        if left_type != right_type {
            let headline = format!(
                "left field `{}` has type {left_type}, right field `{}` has type {right_type}",
                left.fields()[l].name,
                right.fields()[r].name
            );
            let draft = Draft::error("field-type", name.full_span(), headline)
                .help("give both one type, for example with a compute window before the join");
            reader.report.add(element, draft);
            complete = false;
        }
        on_left.push(l);
        on_right.push(r);
    }
    if on_left.is_empty() && complete {
        let draft = Draft::error("missing-element", tag_span(join), "the join has no condition")
            .help("add <conditions><fields left=\"a\" right=\"b\"/></conditions>");
        reader.report.add(join, draft);
        return None;
    }
    complete.then_some((on_left, on_right))
}

/// The key fields of a schema that is not written.
fn keys(shape: &Shape) -> Vec<(Field, Origin)> {
    let Shape { left, right, .. } = shape;
    let of_left = left.keys().iter().map(|&at| (left.fields()[at].clone(), JoinField::Left(at)));
    let of_right = right.keys().iter().map(|&at| (right.fields()[at].clone(), JoinField::Right(at)));
    let mut keys: Vec<(Field, JoinField)> = match shape.key {
        JoinKey::Left => of_left.collect(),
        JoinKey::Right => of_right.collect(),
        JoinKey::Matched => {
            let matched = |at: usize| {
                let other = shape.on_left.iter().position(|&on| on == at).map(|on| shape.on_right[on]);
                JoinField::Either(at, other.expect("the condition is the whole key"))
            };
            left.keys().iter().map(|&at| (left.fields()[at].clone(), matched(at))).collect()
        }
        JoinKey::Both => of_left.chain(of_right).collect(),
    };
    // Keys of both sides with one name get the prefixes of their sides.
    let names: Vec<String> = keys.iter().map(|(field, _)| field.name.clone()).collect();
    for (field, origin) in &mut keys {
        if names.iter().filter(|name| **name == field.name).count() > 1 {
            let prefix = if matches!(origin, JoinField::Right(_)) { "r_" } else { "l_" };
            field.name = format!("{prefix}{}", field.name);
        }
    }
    keys.into_iter().map(|(field, origin)| (field, Origin::Field(origin))).collect()
}

/// Adds the fields of `output`.
fn outputs(node: Node<'_, '_>, shape: &mut Shape, place: &Place<'_, '_, '_>) -> Option<()> {
    let reader = place.reader;
    let Some(output) = reader.child(node, "output") else { return Some(()) };
    let keys = shape.fields.len();
    let mut complete = true;
    for element in output.children().filter(Node::is_element) {
        match element.tag_name().name() {
            "field-selection" => match selection(element, shape, place) {
                Some(made) => add(made, element, keys, shape, place),
                None => complete = false,
            },
            "field-expr" | "left-expr" | "right-expr" => match expression(element, place) {
                Some(made) => add(made, element, keys, shape, place),
                None => complete = false,
            },
            tag @ ("left-select" | "right-select") => {
                for made in selected(element, tag == "left-select", shape, place) {
                    match made {
                        Some(made) => add(made, element, keys, shape, place),
                        None => complete = false,
                    }
                }
            }
            "field-plug" => {
                let because = "plug-ins are binary parts of the original engine";
                let way_out = "write it as <field-expr> with the prefixes l_ and r_";
                reader.report.add(element, not_supported(tag_span(element), "`field-plug`", because, way_out));
                complete = false;
            }
            name if IGNORED.contains(&name) => {}
            _ => reader.unknown_element(element, &["field-selection", "field-expr", "left-select", "right-select"]),
        }
    }
    complete.then_some(())
}

/// A key that is selected under its own name is the key; any other name must be new.
fn add(
    (field, origin, name): (Field, Origin, Text),
    element: Node<'_, '_>,
    keys: usize,
    shape: &mut Shape,
    place: &Place<'_, '_, '_>,
) {
    match shape.fields.iter().position(|(other, _)| other.name == field.name) {
        Some(at) if at < keys => {}
        Some(_) => {
            let line = place.reader.report.line(element.range().start);
            place.reader.report.add(element, duplicate("output field", &name, line));
        }
        None => shape.fields.push((field, origin)),
    }
}

type Made = (Field, Origin, Text);

fn selection(element: Node<'_, '_>, shape: &Shape, place: &Place<'_, '_, '_>) -> Option<Made> {
    let reader = place.reader;
    reader.check_attributes(element, &[&["name", "source"]]);
    let source = reader.required(element, "source");
    let name = reader.attribute(element, "name").filter(|name| !name.is_empty());
    let source = source?;
    let found = match (source.as_str().strip_prefix("l_"), source.as_str().strip_prefix("r_")) {
        (Some(name), _) => shape.left.index_of(name).map(|at| (&shape.left, at, JoinField::Left(at))),
        (_, Some(name)) => shape.right.index_of(name).map(|at| (&shape.right, at, JoinField::Right(at))),
        (None, None) => None,
    };
    let Some((schema, at, origin)) = found else {
        let headline = format!("`source` names field `{}`, which does not exist", source.as_str());
        let left = shape.left.fields().iter().map(|field| format!("l_{}", field.name));
        let known: Vec<String> =
            left.chain(shape.right.fields().iter().map(|field| format!("r_{}", field.name))).collect();
        let draft = Draft::error("unknown-field", source.full_span(), headline)
            .label("no such field")
            .known(source.as_str(), known.iter().map(String::as_str));
        reader.report.add(element, draft);
        return None;
    };
    let given = schema.fields()[at].name.clone();
    let field = Field {
        name: name.as_ref().map_or(given, |name| name.as_str().to_owned()),
        ty: schema.fields()[at].ty,
        key: false,
    };
    Some((field, Origin::Field(origin), name.unwrap_or(source)))
}

fn expression(element: Node<'_, '_>, place: &Place<'_, '_, '_>) -> Option<Made> {
    let reader = place.reader;
    reader.check_attributes(element, &[&["name", "type"]]);
    let name = reader.required(element, "name");
    let ty = reader.required(element, "type").and_then(|text| {
        let ty = FieldType::parse(text.as_str());
        if ty.is_none() {
            let known = FieldType::ALL.map(FieldType::name);
            reader.report.add(element, bad_value("`type`", &text, "a field type").known(text.as_str(), known));
        }
        ty
    });
    let text = reader.text(element);
    let (name, ty) = (name?, ty?);
    Some((Field { name: name.as_str().to_owned(), ty, key: false }, Origin::Expression(text), name))
}

/// The fields of a `left-select` or `right-select`: names, or `*` for all.
fn selected(element: Node<'_, '_>, left: bool, shape: &Shape, place: &Place<'_, '_, '_>) -> Vec<Option<Made>> {
    let reader = place.reader;
    let schema = if left { &shape.left } else { &shape.right };
    let made = |at: usize, name: &Text| {
        let origin = if left { JoinField::Left(at) } else { JoinField::Right(at) };
        Some((Field { key: false, ..schema.fields()[at].clone() }, Origin::Field(origin), name.clone()))
    };
    let text = reader.text(element);
    let mut fields = Vec::new();
    for word in text.list() {
        if word.as_str() == "*" {
            fields.extend((0..schema.fields().len()).map(|at| made(at, &word)));
            continue;
        }
        let found = schema.index_of(word.as_str());
        if found.is_none() {
            reader.report.add(element, unknown_field(&format!("`{}`", element.tag_name().name()), &word, schema));
        }
        fields.push(found.and_then(|at| made(at, &word)));
    }
    fields
}
