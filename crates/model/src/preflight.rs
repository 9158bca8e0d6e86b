//! Notes about a correct project: what surprises in a group of engines, or grows without limit.

use roxmltree::Node;

use crate::connector::Direction;
use crate::project::{FunctionalField, FunctionalInput, Index, Project, Window, WindowKind};
use crate::reader::Reader;
use crate::report::{Draft, tag_span};

/// Adds the notes of a project; `root` is the root element of its file.
pub(crate) fn notes(project: &Project, root: Node<'_, '_>, reader: &Reader<'_>) {
    for query in &project.queries {
        for window in &query.windows {
            let element = root.descendants().find(|node| {
                node.tag_name().name() == window.kind.element() && reader.report.line(node.range().start) == window.line
            });
            if let Some(element) = element {
                window_notes(window, element, reader);
            }
        }
    }
    let inputs = project.inputs();
    if inputs.len() > 1 {
        let names: Vec<&str> = inputs.iter().map(|endpoint| endpoint.window).collect();
        let headline = format!("the project reads {} topics ({})", inputs.len(), names.join(", "));
        let draft = Draft::note("several-inputs", tag_span(root), headline).help(
            "the active engine decides how they interleave and records it; the order between topics is not repeatable",
        );
        reader.report.add(root, draft);
    }
}

fn window_notes(window: &Window, element: Node<'_, '_>, reader: &Reader<'_>) {
    if window.retention.is_some_and(|retention| retention.uses_clock())
        && let Some(retention) = reader.child(element, "retention")
    {
        let draft = Draft::note("clock-retention", tag_span(retention), "rows leave by the clock of the active engine")
            .help("ticks are in the commit log, so standbys agree; name an event-time `field` for results that a re-run repeats");
        reader.report.add(retention, draft);
    }
    let is_source = matches!(window.kind, WindowKind::Source { .. });
    if is_source && window.index != Index::None && window.retention.is_none() {
        let headline = format!("source window `{}` keeps every row forever", window.name);
        let draft = Draft::note("unbounded-state", tag_span(element), headline)
            .help("give it a retention, or index=\"pi_EMPTY\" when only inserts come");
        reader.report.add(element, draft);
    }
    let counts = |input: &FunctionalInput| input.fields.iter().any(|f| matches!(f, FunctionalField::EventCounter));
    if let WindowKind::Functional(inputs) = &window.kind
        && inputs.iter().any(counts)
    {
        let draft =
            Draft::note("event-counter", tag_span(element), "eventCounter() counts from the start of the input")
                .help("a new engine needs the whole input topic or a snapshot; check the topic's retention");
        reader.report.add(element, draft);
    }
    for connector in window.connectors.iter().filter(|connector| connector.active && connector.class == "kafka") {
        let note = match connector.direction {
            Direction::Publish if !connector.is_on("useoffsetmsgid") => Some((
                "message-ids",
                "useoffsetmsgid is off; message ids are the offsets of the input topic anyway",
                "set useoffsetmsgid to true to say so",
            )),
            Direction::Subscribe if connector.is_on("snapshot") => Some((
                "snapshot",
                "snapshot=true is ignored: the output topic holds changes only",
                "set snapshot to false",
            )),
            _ => None,
        };
        let node = element
            .descendants()
            .find(|node| node.has_tag_name("connector") && reader.report.line(node.range().start) == connector.line);
        if let (Some((id, headline, help)), Some(node)) = (note, node) {
            reader.report.add(node, Draft::note(id, tag_span(node), headline).help(help));
        }
    }
}
