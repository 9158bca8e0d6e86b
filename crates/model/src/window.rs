//! One window: what all kinds share, and which reader is for which kind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Schema;
use roxmltree::Node;

use crate::connectors;
use crate::project::{Edge, EdgeRole, Index, PubSub, Window, WindowKind};
use crate::query::RawWindow;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, not_supported, tag_span};
use crate::text::Text;
use crate::windows::{compute, functional, source, summary};

/// A query while its windows are read.
pub(crate) struct Place<'q, 'n, 'i> {
    pub windows: &'q [RawWindow<'n, 'i>],
    /// Edges between positions of `windows`.
    pub edges: Vec<Edge>,
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
    /// Schema of the window's input; sources have none.
    pub input: Option<&'a Arc<Schema>>,
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
const KINDS: [(&str, &[&str], &[&str]); 6] = [
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
        &["schema", "schema-string", "parameters", "input-map", "output-map", "mas-map"],
    ),
];

/// Kinds that exist but cannot run here: element, why, the way out.
const NOT_YET: [(&str, &str, &str); 27] = [
    (
        "window-aggregate",
        "grouped state comes with a later version",
        "use window-calculate with algorithm=\"Summary\" for statistics over the last events",
    ),
    ("window-join", "joins come with a later version", "join outside and publish the joined events"),
    ("window-union", "unions come with a later version", "publish both streams into one source window"),
    ("window-pattern", "patterns come with a later version", "match the steps with filter windows"),
    ("window-lua", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-python", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-custom", "scripts come with a later version", "write the step with EEL in a compute or filter window"),
    ("window-train", "models come with a later version", "score outside and publish the result"),
    ("window-score", "models come with a later version", "score outside and publish the result"),
    ("window-model-reader", "models come with a later version", "score outside and publish the result"),
    ("window-model-supervisor", "models come with a later version", "score outside and publish the result"),
    ("window-geofence", "geofences come with a later version", "compute the distance in a compute window"),
    ("window-counter", "counters come with a later version", "use eventCounter() in a functional window"),
    ("window-remove-state", "it comes with a later version", "filter with ESP_OPCODE == \"I\""),
    ("window-transpose", "it comes with a later version", "publish the events in the wanted shape"),
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
    refuse_attributes(node, reader);
    check_children(node, children, reader);
    check_roles(place, at, name);

    let connectors = connectors::read(node, tag == "window-source", reader);
    let index = reader.attribute(node, "index").and_then(|text| crate::parse::index_of(&text, node, reader));
    let index = index.unwrap_or(place.index);
    let pubsub = reader.flag(node, "pubsub");
    let schema = place.schema_of(at);
    let input = place.input_of(at);
    let schema = schema?;
    let reading = Reading { node, name, schema: &schema, input: input.as_ref(), reader };
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
        connectors,
        line: reader.report.line(node.range().start),
        schema,
    })
}

fn derived_kind(tag: &str, reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    // Without the input's schema nothing can be checked; why it is missing was reported.
    reading.input?;
    match tag {
        "window-copy" => Some(WindowKind::Copy),
        "window-filter" => compute::filter(reading),
        "window-compute" => compute::compute(reading),
        "window-functional" => functional::kind(reading),
        _ => summary::kind(reading),
    }
}

/// Attributes that would change what the window sends.
fn refuse_attributes(node: Node<'_, '_>, reader: &Reader<'_>) {
    for name in ["output-insert-only", "collapse-updates"] {
        if reader.flag(node, name) == Some(true)
            && let Some(attribute) = node.attribute_node(name)
        {
            let because = "windows send what their rule says";
            let way_out = "remove the attribute, or set `collapse` on the subscribe connector";
            let what = format!("{name}=\"true\"");
            reader.report.add(node, not_supported(attribute.range_qname(), &what, because, way_out));
        }
    }
    if let Some(attribute) = node.attribute_node("pulse-interval") {
        let because = "output is committed as soon as it exists";
        let draft = not_supported(attribute.range_qname(), "`pulse-interval`", because, "remove the attribute");
        reader.report.add(node, draft);
    }
}

fn check_children(node: Node<'_, '_>, known: &[&str], reader: &Reader<'_>) {
    for child in node.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let fine = known.contains(&tag) || tag == "connectors" || IGNORED.contains(&tag);
        if !fine {
            reader.unknown_element(child, known);
        } else if tag.starts_with("splitter-") {
            let because = "windows have no splitter yet";
            let way_out = "filter after the window: one filter window per slot";
            reader.report.add(child, not_supported(tag_span(child), &format!("`{tag}`"), because, way_out));
        }
    }
}

/// The kinds that are read take data only.
fn check_roles(place: &Place<'_, '_, '_>, at: usize, name: &Text) {
    let other = place.edges.iter().find(|edge| edge.target == at && edge.role != EdgeRole::Data);
    if other.is_some() {
        let node = place.windows[at].node;
        let headline = format!("window `{}` takes data edges only", name.as_str());
        let draft =
            Draft::error("edge-role", name.full_span(), headline).help("remove `role` from the edge that leads to it");
        place.reader.report.add(node, draft);
    }
}
