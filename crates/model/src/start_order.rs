//! In which order connectors start: groups, each after those before it.

use roxmltree::Node;

use crate::project::Query;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, duplicate};
use crate::text::Text;

/// Groups of connectors, and which must be ready before which. Connectors in no group start at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartOrder {
    /// The groups in file order.
    pub groups: Vec<ConnectorGroup>,
    /// Positions of groups: the second starts when every connector of the first has come to its state.
    pub edges: Vec<(usize, usize)>,
}

/// Connectors that start together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorGroup {
    /// Its name.
    pub name: String,
    /// Its connectors.
    pub entries: Vec<ConnectorEntry>,
}

/// A connector of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorEntry {
    /// Name of its query.
    pub query: String,
    /// Name of its window.
    pub window: String,
    /// Its name.
    pub connector: String,
    /// What it must come to before the next group starts.
    pub state: ConnectorState,
}

/// A state of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectorState {
    /// It has begun.
    Started,
    /// It works.
    Running,
    /// It has sent everything.
    Finished,
    /// It was stopped.
    Stopped,
}

const STATES: [(&str, ConnectorState); 4] = [
    ("started", ConnectorState::Started),
    ("running", ConnectorState::Running),
    ("finished", ConnectorState::Finished),
    ("stopped", ConnectorState::Stopped),
];

/// Reads `project-connectors`, when the queries are known.
pub(crate) fn read(root: Node<'_, '_>, queries: &[Query], reader: &Reader<'_>) -> StartOrder {
    let mut order = StartOrder::default();
    let elements: Vec<_> = root.children().filter(|child| child.has_tag_name("project-connectors")).collect();
    let lists = |name: &'static str| {
        elements.iter().flat_map(move |list| list.children().filter(move |c| c.has_tag_name(name)))
    };
    let mut lines: Vec<u32> = Vec::new();
    for node in lists("connector-groups").flat_map(|list| list.children()).filter(Node::is_element) {
        if !node.has_tag_name("connector-group") {
            if !IGNORED.contains(&node.tag_name().name()) {
                reader.unknown_element(node, &["connector-group"]);
            }
            continue;
        }
        reader.check_attributes(node, &[&["name"]]);
        let Some(name) = reader.required(node, "name") else { continue };
        if let Some(at) = order.groups.iter().position(|group| group.name == name.as_str()) {
            reader.report.add(node, duplicate("connector group", &name, lines[at]));
            continue;
        }
        lines.push(reader.report.line(node.range().start));
        let entries = node.children().filter(|child| child.has_tag_name("connector-entry"));
        let entries = entries.filter_map(|child| entry(child, queries, reader)).collect();
        order.groups.push(ConnectorGroup { name: name.as_str().to_owned(), entries });
    }
    for node in lists("edges").flat_map(|list| list.children()).filter(|child| child.has_tag_name("edge")) {
        reader.check_attributes(node, &[&["source", "target"]]);
        let groups = |attribute: &str| -> Vec<usize> {
            let names = reader.required(node, attribute).map(|text| text.words()).unwrap_or_default();
            names.iter().filter_map(|name| group(attribute, name, node, &order.groups, reader)).collect()
        };
        let (sources, targets) = (groups("source"), groups("target"));
        let pairs = sources.iter().flat_map(|source| targets.iter().map(|target| (*source, *target)));
        let pairs: Vec<(usize, usize)> = pairs.collect();
        order.edges.extend(pairs);
    }
    order
}

fn group(
    attribute: &str,
    name: &Text,
    node: Node<'_, '_>,
    groups: &[ConnectorGroup],
    reader: &Reader<'_>,
) -> Option<usize> {
    let found = groups.iter().position(|group| group.name == name.as_str());
    if found.is_none() {
        let headline = format!("edge {attribute} `{}` is not a connector group", name.as_str());
        let draft = Draft::error("unknown-group", name.full_span(), headline)
            .known(name.as_str(), groups.iter().map(|group| group.name.as_str()));
        reader.report.add(node, draft);
    }
    found
}

fn entry(node: Node<'_, '_>, queries: &[Query], reader: &Reader<'_>) -> Option<ConnectorEntry> {
    reader.check_attributes(node, &[&["connector", "state"]]);
    let (connector, state) = (reader.required(node, "connector"), reader.required(node, "state"));
    let state = state.and_then(|text| {
        let found = STATES.iter().find(|(name, _)| text.as_str().eq_ignore_ascii_case(name));
        if found.is_none() {
            let draft = bad_value("`state`", &text, "a state").known(text.as_str(), STATES.map(|(name, _)| name));
            reader.report.add(node, draft);
        }
        found.map(|(_, state)| *state)
    });
    let connector = connector?;
    let parts: Vec<&str> = connector.as_str().split('/').collect();
    let [query, window, name] = parts.as_slice() else {
        reader.report.add(node, bad_value("`connector`", &connector, "`query/window/connector`"));
        return None;
    };
    let known = queries.iter().flat_map(|query| query.windows.iter().map(move |window| (query, window)));
    let known: Vec<String> = known
        .flat_map(|(query, window)| {
            window.connectors.iter().map(move |c| format!("{}/{}/{}", query.name, window.name, c.name))
        })
        .collect();
    if !known.iter().any(|known| known == connector.as_str()) {
        let headline = format!("there is no connector `{}`", connector.as_str());
        // The window may be one that was not read: a warning, so that its own mistake stands alone.
        let draft = Draft::warning("unknown-connector", connector.full_span(), headline)
            .known(connector.as_str(), known.iter().map(String::as_str));
        reader.report.add(node, draft);
    }
    let (query, window, connector) = ((*query).to_owned(), (*window).to_owned(), (*name).to_owned());
    Some(ConnectorEntry { query, window, connector, state: state? })
}
