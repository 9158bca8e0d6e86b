//! One window: what all kinds share, and which reader is for which kind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Schema;
use roxmltree::Node;

use crate::connectors;
use crate::kinds::OutputRule;
use crate::project::{Edge, Index, PubSub, Window, WindowKind};
use crate::query::RawWindow;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, not_supported, tag_span};
use crate::role::EdgeRole;
use crate::text::Text;
use crate::windows::{aggregate, compute, functional, join, shape, source, summary, transpose};

/// A query while its windows are read.
pub(crate) struct Place<'q, 'n, 'i> {
    pub windows: &'q [RawWindow<'n, 'i>],
    /// Edges between positions of `windows`.
    pub edges: Vec<Edge>,
    /// False when an edge names what is not there.
    pub complete: bool,
    /// Index of windows without their own.
    pub index: Index,
    pub pubsub: PubSub,
    pub reader: &'q Reader<'q>,
    /// Schemas found so far by position; `None` for a window whose schema is wrong, which was reported.
    pub schemas: RefCell<BTreeMap<usize, Option<Arc<Schema>>>>,
}

/// What the reader of a kind gets.
pub(crate) struct Reading<'a, 'n, 'i> {
    pub node: Node<'n, 'i>,
    pub name: &'a Text,
    pub schema: &'a Arc<Schema>,
    /// Schema of the window's input; sources and joins have none.
    pub input: Option<&'a Arc<Schema>>,
    pub place: &'a Place<'a, 'n, 'i>,
    /// Position of the window in the place.
    pub at: usize,
    pub reader: &'a Reader<'a>,
}

/// Attributes of every window.
const COMMON: [&str; 11] = [
    "name",
    "index",
    "pubsub",
    "pubsub-index",
    "output-insert-only",
    "collapse-updates",
    "pulse-interval",
    "exp-max-string",
    "id",
    "layout",
    "queue-height",
];

/// Kinds that are read: element, own attributes, own child elements.
const KINDS: [(&str, &[&str], &[&str]); 12] = [
    ("window-source", &["insert-only", "autogen-key"], &["schema", "schema-string", "retention", "splitter-expr"]),
    ("window-copy", &[], &["schema", "schema-string", "retention", "splitter-expr"]),
    (
        "window-filter",
        &["func", "init"],
        &["schema", "schema-string", "expression", "code", "use", "plugin", "expr-initialize", "splitter-expr"],
    ),
    (
        "window-compute",
        &[],
        &["schema", "schema-string", "output", "expr-initialize", "splitter-expr", "context-plugin"],
    ),
    (
        "window-functional",
        &["produces-only-inserts"],
        &["schema", "schema-string", "function-context", "event-loops", "generate", "opcode", "splitter-expr"],
    ),
    (
        "window-calculate",
        &["algorithm", "produces-only-inserts"],
        &["schema", "schema-string", "parameters", "input-map", "output-map", "mas-map", "splitter-expr"],
    ),
    ("window-union", &["strict"], &["schema", "schema-string", "splitter-expr"]),
    ("window-aggregate", &[], &["schema", "schema-string", "output", "expr-initialize", "splitter-expr"]),
    ("window-join", &[], &["schema", "schema-string", "join", "output", "expr-initialize", "splitter-expr"]),
    ("window-remove-state", &["remove", "add-log-fields"], &["schema", "schema-string", "splitter-expr"]),
    ("window-counter", &["count-interval", "clear-interval"], &["schema", "schema-string", "splitter-expr"]),
    (
        "window-transpose",
        &["mode", "tag-name", "tag-values", "tags-included", "group-by", "clear-timeout"],
        &["schema", "schema-string", "splitter-expr"],
    ),
];

/// Kinds that exist but cannot run here: element, why, the way out.
const NOT_YET: [(&str, &str, &str); 21] = [
    ("window-pattern", "patterns come with a later version", "match the steps with filter windows"),
    ("window-lua", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-python", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-custom", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-train", "models come with a later version", "score outside and publish the result"),
    ("window-score", "models come with a later version", "score outside and publish the result"),
    ("window-model-reader", "models come with a later version", "score outside and publish the result"),
    ("window-model-supervisor", "models come with a later version", "score outside and publish the result"),
    ("window-geofence", "geofences come with a later version", "compute the distance in a compute window"),
    (
        "window-procedural",
        "plug-ins and DS2 programs are binary parts of the original engine",
        "write the step with EEL in a compute window",
    ),
    ("window-notification", "engines of a group would each send the message", "notify from a subscriber adapter"),
    ("window-statedb-writer", "an outside store is no part of the replicated state", "write from a subscriber adapter"),
    ("window-statedb-reader", "an outside store is no part of the replicated state", "publish the looked-up values"),
    ("window-object-tracker", "it comes with a later version", "track outside and publish the result"),
    ("window-text-category", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-text-context", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-text-sentiment", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-textcategory", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-textcontext", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-textsentiment", "SAS text analytics are not open", "analyse outside and publish the result"),
    ("window-texttopic", "SAS text analytics are not open", "analyse outside and publish the result"),
];

/// An element below `<windows>` that is no window at all.
pub(crate) fn unknown_kind(node: Node<'_, '_>) -> Draft {
    let found = node.tag_name().name();
    let known = KINDS.iter().map(|(name, ..)| *name);
    Draft::error("unknown-window-type", tag_span(node), format!("there is no window type `{found}`"))
        .label("no such window type")
        .known(found, known)
}

/// Reads a window; `None` after a report.
pub(crate) fn read(place: &Place<'_, '_, '_>, at: usize) -> Option<Window> {
    let RawWindow { name, node } = &place.windows[at];
    let (node, reader) = (*node, place.reader);
    let tag = node.tag_name().name();
    let Some((_, attributes, children)) = KINDS.iter().find(|(kind, ..)| *kind == tag) else {
        match NOT_YET.iter().find(|(kind, ..)| *kind == tag) {
            Some((kind, because, way_out)) => {
                reader.report.add(node, not_supported(tag_span(node), kind, because, way_out));
            }
            None => reader.report.add(node, unknown_kind(node)),
        }
        return None;
    };
    reader.check_attributes(node, &[&COMMON, attributes]);
    let output = output_rule(node, reader);
    check_children(node, children, reader);
    check_roles(place, at, name);

    let connectors = connectors::read(node, tag == "window-source", reader);
    let index = reader.attribute(node, "index").and_then(|text| crate::parse::index_of(&text, node, reader));
    let index = index.unwrap_or(place.index);
    let pubsub = reader.flag(node, "pubsub");
    let schema = place.schema_of(at);
    let input = if tag == "window-join" { None } else { place.input_of(at) };
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
    // Without the input's schema nothing can be checked; why it is missing was reported.
    reading.input?;
    match tag {
        "window-copy" => Some(WindowKind::Copy),
        "window-filter" => compute::filter(reading),
        "window-compute" => compute::compute(reading),
        "window-functional" => functional::kind(reading),
        "window-union" => Some(shape::union(reading)),
        "window-remove-state" => Some(shape::remove_state(reading)),
        "window-counter" => Some(shape::counter(reading)),
        "window-transpose" => transpose::kind(reading),
        "window-aggregate" => aggregate::kind(reading),
        _ => summary::kind(reading),
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
fn splitter(reading: &Reading<'_, '_, '_>) -> Option<mesh_expr::Program> {
    let Reading { node, reader, schema, .. } = *reading;
    let element = reader.child(node, "splitter-expr")?;
    crate::schemas::refuse_initializer(element, reader);
    let Some(expression) = reader.child(element, "expression") else {
        let draft = Draft::error("no-expression", tag_span(element), "`splitter-expr` has no expression")
            .help("add <expression>: it gives the number of the slot, from 0");
        reader.report.add(element, draft);
        return None;
    };
    compute::program(expression, &mesh_expr::Scope::new(schema), reader).map(|(program, _)| program)
}

fn check_children(node: Node<'_, '_>, known: &[&str], reader: &Reader<'_>) {
    for child in node.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let fine = known.contains(&tag)
            || matches!(tag, "connectors" | "splitter-plug" | "splitter-lua")
            || IGNORED.contains(&tag);
        if !fine {
            reader.unknown_element(child, known);
        }
    }
    for plug in node.children().filter(|child| matches!(child.tag_name().name(), "splitter-plug" | "splitter-lua")) {
        let because = "scripts and plug-ins come with a later version";
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
