//! One window: what all kinds share, and which reader is for which kind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Schema;
use roxmltree::Node;

use crate::connectors;
use crate::grammar::{COMMON, KINDS, Known, MISSING, PARTS, kind_of};
use crate::kinds::OutputRule;
use crate::project::{Edge, Index, PubSub, Window, WindowKind};
use crate::query::{Lost, RawWindow};
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, not_supported, tag_span};
use crate::role::EdgeRole;
use crate::script::Splitter;
use crate::text::Text;
use crate::windows::initialize::initialize;
use crate::windows::{
    aggregate, calculate, compute, custom, functional, geofence, join, learn, lua, notification, pattern, shape,
    source, tracker, transpose,
};

/// A query while its windows are read.
pub(crate) struct Place<'q, 'n, 'i> {
    pub windows: &'q [RawWindow<'n, 'i>],
    /// Edges between positions of `windows`.
    pub edges: Vec<Edge>,
    /// Edges that name what is not there.
    pub lost: Lost,
    /// Index of windows without their own.
    pub index: Index,
    pub pubsub: PubSub,
    /// Time between clock ticks.
    pub heartbeat_us: i64,
    pub reader: &'q Reader<'q>,
    /// Schemas found so far by position; `None` for a window whose schema is wrong, which was reported.
    pub schemas: RefCell<BTreeMap<usize, Option<Arc<Schema>>>>,
}

/// What the reader of a kind gets.
pub(crate) struct Reading<'a, 'n, 'i> {
    pub node: Node<'n, 'i>,
    pub name: &'a Text,
    pub schema: &'a Arc<Schema>,
    /// Schema of the window's input; sources and windows that tell their inputs apart have none.
    pub input: Option<&'a Arc<Schema>>,
    pub place: &'a Place<'a, 'n, 'i>,
    /// Position of the window in the place.
    pub at: usize,
    pub reader: &'a Reader<'a>,
}

/// An element below `<windows>` that is no window at all.
pub(crate) fn unknown_kind(node: Node<'_, '_>) -> Draft {
    let found = node.tag_name().name();
    let known = KINDS.iter().map(|kind| kind.element);
    Draft::error("unknown-window-type", tag_span(node), format!("there is no window type `{found}`"))
        .label("no such window type")
        .known(found, known)
}

/// Reads a window; `None` after a report.
pub(crate) fn read(place: &Place<'_, '_, '_>, at: usize) -> Option<Window> {
    let RawWindow { name, node } = &place.windows[at];
    let (node, reader) = (*node, place.reader);
    let tag = node.tag_name().name();
    let Some(kind) = kind_of(tag) else {
        match MISSING.iter().find(|kind| kind.element == tag) {
            Some(kind) => {
                reader.report.add(node, not_supported(tag_span(node), kind.element, kind.because, kind.way_out));
            }
            None => reader.report.add(node, unknown_kind(node)),
        }
        return None;
    };
    let names = |known: &[Known]| known.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    reader.check_attributes(node, &[&names(&COMMON), &names(kind.attributes)]);
    if let Some(text) = reader.attribute(node, "exp-max-string").filter(|text| !text.is_empty())
        && text.as_str().parse::<u32>().is_err()
    {
        reader.report.add(node, bad_value("`exp-max-string`", &text, "a number of bytes, 0 for any number"));
    }
    let output = output_rule(node, reader);
    let mut parts = names(&PARTS);
    parts.extend(names(kind.parts));
    check_children(node, &parts, reader);
    check_roles(place, at, name);

    let connectors = connectors::read(node, tag == "window-source", reader);
    let index = reader.attribute(node, "index").and_then(|text| crate::parse::index_of(&text, node, reader));
    let index = index.unwrap_or(place.index);
    let pubsub = reader.flag(node, "pubsub");
    let schema = place.schema_of(at);
    const TELL_APART: [&str; 6] =
        ["window-join", "window-pattern", "window-geofence", "window-functional", "window-lua", "window-custom"];
    let input = if TELL_APART.contains(&tag) { None } else { place.input_of(at) };
    let schema = schema?;
    let reading = Reading { node, name, schema: &schema, input: input.as_ref(), place, at, reader };
    let splitter = splitter(&reading);
    let kind = if tag == "window-source" { Some(source::kind(&reading)) } else { derived_kind(tag, &reading) };
    let retention = source::retention(&reading, index);
    Some(Window {
        name: name.as_str().to_owned(),
        index,
        pubsub: match place.pubsub {
            PubSub::Auto => true,
            PubSub::Manual => pubsub.unwrap_or(false),
            PubSub::None => false,
        },
        kind: kind?,
        retention,
        output,
        splitter,
        connectors,
        line: reader.report.line(node.range().start),
        schema,
    })
}

fn derived_kind(tag: &str, reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    if tag == "window-join" {
        return join::kind(reading);
    }
    if tag == "window-pattern" {
        return pattern::kind(reading);
    }
    if tag == "window-geofence" {
        return geofence::kind(reading);
    }
    if tag == "window-functional" {
        return functional::kind(reading);
    }
    if tag == "window-lua" {
        return lua::kind(reading);
    }
    if tag == "window-custom" {
        return custom::kind(reading);
    }
    // Without the input's schema nothing can be checked; why it is missing was reported.
    reading.input?;
    match tag {
        "window-copy" => Some(WindowKind::Copy),
        "window-filter" => compute::filter(reading),
        "window-compute" => compute::compute(reading),
        "window-union" => Some(shape::union(reading)),
        "window-remove-state" => Some(shape::remove_state(reading)),
        "window-counter" => Some(shape::counter(reading)),
        "window-transpose" => transpose::kind(reading),
        "window-object-tracker" => tracker::kind(reading),
        "window-notification" => notification::kind(reading),
        "window-aggregate" => aggregate::kind(reading),
        "window-train" => learn::train(reading),
        "window-score" => learn::score(reading),
        _ => calculate::kind(reading),
    }
}

/// Most bytes of a text that an expression gives, by `exp-max-string` of the window around an element; 0: any number.
pub(crate) fn texts_max(node: Node<'_, '_>, reader: &Reader<'_>) -> usize {
    let window = node.ancestors().find(|up| up.tag_name().name().starts_with("window-"));
    let given = window.and_then(|window| reader.attribute(window, "exp-max-string")).filter(|text| !text.is_empty());
    match given.map(|text| text.as_str().parse()) {
        Some(Ok(0)) => usize::MAX,
        Some(Ok(bytes)) => bytes,
        _ => mesh_expr::TEXTS_MAX,
    }
}

/// What the window does to its output before it leaves.
fn output_rule(node: Node<'_, '_>, reader: &Reader<'_>) -> OutputRule {
    let pulse = reader.attribute(node, "pulse-interval").filter(|text| !text.is_empty());
    let pulse_us = pulse.and_then(|text| {
        let us = source::duration(text.as_str(), None);
        if us.is_none() {
            reader.report.add(node, bad_value("`pulse-interval`", &text, "a time such as `1 second`"));
        }
        us
    });
    OutputRule {
        insert_only: reader.flag(node, "output-insert-only").unwrap_or(false),
        collapse_updates: reader.flag(node, "collapse-updates").unwrap_or(false),
        pulse_us,
    }
}

/// The splitter of a window: a program over its output.
fn splitter(reading: &Reading<'_, '_, '_>) -> Option<Splitter> {
    let Reading { node, reader, schema, .. } = *reading;
    if let Some(element) = reader.child(node, "splitter-lua") {
        return lua::splitter(element, schema, reader);
    }
    let element = reader.child(node, "splitter-expr")?;
    let mut scope = mesh_expr::Scope::new(schema);
    let initialized = initialize(element, &mut scope, reader);
    let Some(expression) = reader.child(element, "expression") else {
        let draft = Draft::error("no-expression", tag_span(element), "`splitter-expr` has no expression")
            .help("add <expression>: it gives the number of the slot, from 0");
        reader.report.add(element, draft);
        return None;
    };
    let (program, _) = compute::program(expression, &scope, reader)?;
    initialized.then_some(Splitter::Program(program))
}

fn check_children(node: Node<'_, '_>, known: &[&str], reader: &Reader<'_>) {
    for child in node.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let fine = known.contains(&tag) || IGNORED.contains(&tag);
        if !fine {
            reader.unknown_element(child, known);
        }
    }
    for plug in node.children().filter(|child| child.has_tag_name("splitter-plug")) {
        let because = "plug-ins are binary parts of the original engine";
        let what = format!("`{}`", plug.tag_name().name());
        let draft = not_supported(tag_span(plug), &what, because, "give the slot with a <splitter-expr>");
        reader.report.add(plug, draft);
    }
}

/// Roles that a window has no use for.
fn check_roles(place: &Place<'_, '_, '_>, at: usize, name: &Text) {
    let node = place.windows[at].node;
    let known: &[EdgeRole] = match node.tag_name().name() {
        "window-join" => &[EdgeRole::Data, EdgeRole::Left, EdgeRole::Right],
        "window-geofence" => &[EdgeRole::Data, EdgeRole::Position, EdgeRole::Geometry],
        "window-score" => &[EdgeRole::Data, EdgeRole::Model],
        _ => &[EdgeRole::Data],
    };
    let other = place.edges.iter().find(|edge| edge.target == at && !known.contains(&edge.role));
    if other.is_some() {
        let headline = format!("window `{}` takes data edges only", name.as_str());
        let draft =
            Draft::error("edge-role", name.full_span(), headline).help("remove `role` from the edge that leads to it");
        place.reader.report.add(node, draft);
    }
}
