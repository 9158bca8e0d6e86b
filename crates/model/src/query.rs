//! A continuous query: its windows and edges, in topological order.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;

use crate::project::{Edge, Index, PubSub, Query, Window};
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, duplicate, tag_span};
use crate::role::EdgeRole;
use crate::text::Text;
use crate::window::{self, Place};

/// An element below `<windows>`.
pub(crate) struct RawWindow<'n, 'i> {
    pub name: Text,
    pub node: Node<'n, 'i>,
}

/// An edge between positions of [`RawWindow`]s.
struct RawEdge<'n, 'i> {
    edge: Edge,
    node: Node<'n, 'i>,
    source: Text,
    target: Text,
}

/// Edges with names that are no windows, and that resemble none: what they might have led to.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Windows that an edge leads to whose source is not known.
    targets: BTreeSet<usize>,
    /// An edge has an unknown source.
    source: bool,
    /// Windows that an edge starts at whose target is not known.
    sources: BTreeSet<usize>,
    /// An edge has an unknown target: it may have meant any window.
    target: bool,
}

impl Lost {
    /// True when a lost edge may be the one that a window lacks; then only the edge is reported.
    pub fn may_feed(&self, window: usize) -> bool {
        self.target || self.targets.contains(&window)
    }
}

/// Reads a query; `None` when nothing useful can be said about it.
pub(crate) fn read(
    node: Node<'_, '_>,
    (index, pubsub, heartbeat_us): (Option<Index>, PubSub, i64),
    reader: &Reader<'_>,
) -> Option<Query> {
    let template = node.has_tag_name("template");
    if template {
        reader.check_attributes(node, &[&["tag", "input-windows", "output-windows", "id", "layout"]]);
    } else {
        reader.check_attributes(
            node,
            &[&["name", "trace", "include-singletons", "index", "timing-threshold", "id", "layout"]],
        );
    }
    let name = if template { reader.required(node, "tag") } else { reader.required(node, "name") };
    if let Some(name) = &name {
        crate::parse::check_topic_name("query name", name, node, reader);
    }
    let own_index = reader.attribute(node, "index").and_then(|text| crate::parse::index_of(&text, node, reader));
    for child in node.children().filter(Node::is_element) {
        let tag = child.tag_name().name();
        let of_template = template && matches!(tag, "required-parameter-map" | "mas-modules");
        if !matches!(tag, "windows" | "edges") && !of_template && !IGNORED.contains(&tag) {
            reader.unknown_element(child, &["windows", "edges", "description", "metadata"]);
        }
    }
    let windows = raw_windows(node, reader);
    let (mut edges, lost) = raw_edges(node, &windows, reader);
    check_ends(&windows, &edges, &lost, node, reader);
    // Reported; they must not make a cycle too.
    edges.retain(|edge| !windows[edge.edge.target].node.has_tag_name("window-source"));
    let order = topological(&windows, &mut edges, reader);
    check_slots(&windows, &edges, reader);

    let place = Place {
        windows: &windows,
        edges: edges.iter().map(|edge| edge.edge).collect(),
        lost,
        index: own_index.or(index).unwrap_or(Index::Ordered),
        pubsub,
        heartbeat_us,
        reader,
        schemas: Default::default(),
    };
    let read: Vec<Option<Window>> = order.iter().map(|&at| window::read(&place, at)).collect();
    let mut position = vec![0; windows.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let edges =
        place.edges.iter().map(|edge| Edge { source: position[edge.source], target: position[edge.target], ..*edge });
    let edges = edges.collect();
    // A window that could not be read has been reported; the project is refused anyway.
    Some(Query { name: name?.as_str().to_owned(), windows: read.into_iter().flatten().collect(), edges })
}

/// The name of a query; a template goes by its tag.
pub(crate) fn name_of(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<Text> {
    reader.attribute(node, if node.has_tag_name("template") { "tag" } else { "name" })
}

fn raw_windows<'n, 'i>(node: Node<'n, 'i>, reader: &Reader<'_>) -> Vec<RawWindow<'n, 'i>> {
    let mut windows: Vec<RawWindow<'n, 'i>> = Vec::new();
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    let lists = node.children().filter(|child| child.has_tag_name("windows"));
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        let tag = element.tag_name().name();
        if IGNORED.contains(&tag) {
            continue;
        }
        let Some(name) = reader.required(element, "name") else { continue };
        crate::parse::check_topic_name("window name", &name, element, reader);
        let line = reader.report.line(element.range().start);
        if let Some(first) = lines.get(name.as_str()) {
            reader.report.add(element, duplicate("window", &name, *first));
            continue;
        }
        lines.insert(name.as_str().to_owned(), line);
        windows.push(RawWindow { name, node: element });
    }
    if windows.is_empty() {
        let draft = Draft::error("no-window", tag_span(node), "the continuous query has no window")
            .help("add <windows><window-source name=\"...\">...</window-source></windows>");
        reader.report.add(node, draft);
    }
    windows
}

/// The edges, and what is lost of them.
fn raw_edges<'n, 'i>(
    node: Node<'n, 'i>,
    windows: &[RawWindow<'_, '_>],
    reader: &Reader<'_>,
) -> (Vec<RawEdge<'n, 'i>>, Lost) {
    let guessed = Cell::new(false);
    let mut lost = Lost::default();
    let mut edges: Vec<RawEdge<'n, 'i>> = Vec::new();
    let query = node.attribute("name").unwrap_or_default();
    // A window without a name was reported; the edges that mean it are no second mistake.
    let lists = node.children().filter(|child| child.has_tag_name("windows"));
    let elements = lists.flat_map(|list| list.children()).filter(Node::is_element);
    let nameless = elements
        .filter(|element| element.tag_name().name().starts_with("window"))
        .any(|element| element.attribute("name").is_none_or(|name| name.trim().is_empty()));
    let lists = node.children().filter(|child| child.has_tag_name("edges"));
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !element.has_tag_name("edge") {
            if !IGNORED.contains(&element.tag_name().name()) {
                reader.unknown_element(element, &["edge"]);
            }
            continue;
        }
        reader.check_attributes(element, &[&["source", "target", "role", "slot"]]);
        let role = edge_role(element, reader);
        let slot = edge_slot(element, reader);
        let ends = |attribute: &str| -> (Vec<(Text, usize)>, bool) {
            let names = reader.required(element, attribute).map(|text| text.words());
            let missing = names.is_none();
            let names = names.unwrap_or_default();
            let count = names.len();
            let known = |name: Text| {
                let found = windows.iter().position(|window| window.name.as_str() == name.as_str());
                if found.is_none() && !nameless {
                    guessed.set(true);
                    let draft = unknown_window(attribute, &name, query, windows, reader);
                    // What was probably meant is good enough to find the mistakes of the windows behind it.
                    let meant = draft.suggestion.clone();
                    reader.report.add(element, draft);
                    let meant = windows.iter().position(|window| Some(window.name.as_str()) == meant.as_deref());
                    return meant.map(|meant| (name, meant));
                }
                found.map(|found| (name, found))
            };
            let found: Vec<_> = names.into_iter().filter_map(known).collect();
            let all = !missing && found.len() == count;
            (found, all)
        };
        let ((sources, all_sources), (targets, all_targets)) = (ends("source"), ends("target"));
        if !all_targets {
            lost.target = true;
            lost.sources.extend(sources.iter().map(|(_, source)| *source));
        }
        if !all_sources {
            lost.source = true;
            lost.targets.extend(targets.iter().map(|(_, target)| *target));
        }
        for (source_name, source) in &sources {
            for (target_name, target) in &targets {
                let edge = Edge { source: *source, target: *target, role, slot };
                let twice = edges.iter().any(|other| other.edge == edge);
                if twice && !guessed.get() {
                    let headline =
                        format!("the edge from `{}` to `{}` stands twice", source_name.as_str(), target_name.as_str());
                    let draft = Draft::error("duplicate-edge", target_name.full_span(), headline)
                        .help("remove one: every event would come twice");
                    reader.report.add(element, draft);
                } else if !twice {
                    let (source, target) = (source_name.clone(), target_name.clone());
                    edges.push(RawEdge { edge, node: element, source, target });
                }
            }
        }
    }
    (edges, lost)
}

fn unknown_window(
    attribute: &str,
    name: &Text,
    query: &str,
    windows: &[RawWindow<'_, '_>],
    reader: &Reader<'_>,
) -> Draft {
    let headline = format!("edge {attribute} `{}` is not a window of query `{query}`", name.as_str());
    let mut draft = Draft::error("unknown-window", name.full_span(), headline)
        .label("no such window")
        .known(name.as_str(), windows.iter().map(|window| window.name.as_str()));
    if let Some(near) = &draft.suggestion
        && let Some(window) = windows.iter().find(|window| window.name.as_str() == near)
    {
        draft.help = Some(format!("it is in line {}", reader.report.line(window.node.range().start)));
    }
    draft
}

fn edge_role(element: Node<'_, '_>, reader: &Reader<'_>) -> EdgeRole {
    let Some(text) = reader.attribute(element, "role").filter(|text| !text.is_empty()) else { return EdgeRole::Data };
    match EdgeRole::ALL.into_iter().find(|(name, _)| text.as_str().eq_ignore_ascii_case(name)) {
        Some((_, role)) => role,
        None => {
            let draft =
                bad_value("`role`", &text, "an edge role").known(text.as_str(), EdgeRole::ALL.map(|(name, _)| name));
            reader.report.add(element, draft);
            EdgeRole::Data
        }
    }
}

fn edge_slot(element: Node<'_, '_>, reader: &Reader<'_>) -> Option<u32> {
    let text = reader.attribute(element, "slot").filter(|text| !text.is_empty())?;
    match text.as_str().parse::<i64>() {
        Ok(-1) => None,
        Ok(slot) if (0..=i64::from(u32::MAX)).contains(&slot) => u32::try_from(slot).ok(),
        _ => {
            reader.report.add(element, bad_value("`slot`", &text, "a number from 0, or -1 for all"));
            None
        }
    }
}

/// Windows that no event reaches, sources that are fed, windows without any edge.
fn check_ends(
    windows: &[RawWindow<'_, '_>],
    edges: &[RawEdge<'_, '_>],
    lost: &Lost,
    query: Node<'_, '_>,
    reader: &Reader<'_>,
) {
    for (at, window) in windows.iter().enumerate() {
        let source = window.node.has_tag_name("window-source");
        let fed = edges.iter().find(|edge| edge.edge.target == at);
        match fed {
            Some(edge) if source => {
                let headline = format!("`{}` is a source window, an edge cannot lead to it", window.name.as_str());
                let draft = Draft::error("edge-to-source", edge.target.full_span(), headline)
                    .help("use a copy window to pass events on");
                reader.report.add(edge.node, draft);
            }
            None if !source && !lost.may_feed(at) => {
                let headline = format!("no edge leads to window `{}`", window.name.as_str());
                let draft = Draft::error("no-input", window.name.full_span(), headline)
                    .help(format!("add <edge source=\"...\" target=\"{}\"/> to <edges>", window.name.as_str()));
                reader.report.add(window.node, draft);
            }
            _ => {}
        }
        let used = lost.sources.contains(&at) || edges.iter().any(|edge| edge.edge.source == at);
        if source && !used && !lost.source && windows.len() > 1 {
            let headline = format!("no edge starts at source window `{}`", window.name.as_str());
            let draft = Draft::warning("no-output", window.name.full_span(), headline)
                .help("its events go nowhere but to its own subscribers");
            reader.report.add(window.node, draft);
        }
    }
    let sources = windows.iter().any(|window| window.node.has_tag_name("window-source"));
    if !sources && !windows.is_empty() {
        let draft = Draft::error("no-source", tag_span(query), "the continuous query has no source window")
            .help("add <window-source name=\"...\">: events enter through source windows only");
        reader.report.add(query, draft);
    }
}

/// Edges that ask for a slot of a window that has no splitter.
fn check_slots(windows: &[RawWindow<'_, '_>], edges: &[RawEdge<'_, '_>], reader: &Reader<'_>) {
    for edge in edges.iter().filter(|edge| edge.edge.slot.is_some()) {
        let source = &windows[edge.edge.source];
        if !source.node.children().any(|child| child.tag_name().name().starts_with("splitter-")) {
            let headline =
                format!("window `{}` has no splitter, every event goes along this edge", source.name.as_str());
            let draft = Draft::warning("unused-slot", edge.source.full_span(), headline)
                .help("remove `slot`, or add a <splitter-expr> to the window");
            reader.report.add(edge.node, draft);
        }
    }
}

/// Positions of windows so that every edge leads forward, otherwise in file order. An edge that closes a cycle is
/// reported and left out, so that the windows in the cycle are checked too.
fn topological(windows: &[RawWindow<'_, '_>], edges: &mut Vec<RawEdge<'_, '_>>, reader: &Reader<'_>) -> Vec<usize> {
    let mut order = Vec::with_capacity(windows.len());
    let mut done = vec![false; windows.len()];
    while order.len() < windows.len() {
        let ready =
            |at: &usize| !done[*at] && edges.iter().all(|edge| edge.edge.target != *at || done[edge.edge.source]);
        let Some(next) = (0..windows.len()).find(ready) else {
            let closing = report_cycle(windows, edges, &done, reader);
            edges.remove(closing);
            continue;
        };
        done[next] = true;
        order.push(next);
    }
    order
}

/// Walks back from a window that is not ready until a window comes again; the position of the edge that closes the
/// cycle.
fn report_cycle(windows: &[RawWindow<'_, '_>], edges: &[RawEdge<'_, '_>], done: &[bool], reader: &Reader<'_>) -> usize {
    let into = |at: usize| edges.iter().position(|edge| edge.edge.target == at && !done[edge.edge.source]);
    let mut walk: Vec<usize> = (0..windows.len()).find(|at| !done[*at]).into_iter().collect();
    loop {
        let last = walk.last().expect("a window is not done");
        let closing = into(*last).expect("a window that is not ready has an input that is not done");
        let edge = &edges[closing];
        let source = edge.edge.source;
        if let Some(start) = walk.iter().position(|at| *at == source) {
            let mut names: Vec<&str> = walk[start..].iter().rev().map(|at| windows[*at].name.as_str()).collect();
            names.push(names[0]);
            let headline = format!("the edges form a cycle: {}", names.join(" -> "));
            let draft = Draft::error("cycle", edge.source.full_span(), headline)
                .help("remove one of these edges; events must flow one way");
            reader.report.add(edge.node, draft);
            return closing;
        }
        walk.push(source);
    }
}
