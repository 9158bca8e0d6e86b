//! From the root of a file to its project: attributes, properties, queries.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use crate::project::{Index, Project, PubSub, Query};
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, not_supported, tag_span};
use crate::start_order::ConnectorEntry;
use crate::{Checked, Diagnostics, fingerprint, preflight, query, start_order};

/// Most elements and texts of a file.
const MAX_NODES: u32 = 1_000_000;
/// Largest file in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;
/// Seconds between ticks when a project does not say.
const DEFAULT_HEARTBEAT_US: i64 = 1_000_000;

/// Reads and checks project XML. `file` is the name to show; `properties` are the deployment's (`@NAME@`); the
/// project's own `<properties>` go before them. Roots: `<project>`, `<engine>` with one project, `<contquery>`,
/// `<template>`.
pub fn parse_project(xml: &str, file: &str, properties: &BTreeMap<String, String>) -> Result<Checked, Diagnostics> {
    let mut reader = Reader::new(xml, file, properties);
    if xml.len() > MAX_FILE_BYTES {
        let headline = format!("the file has {} bytes, at most {MAX_FILE_BYTES} are read", xml.len());
        reader.report.add_at(String::new(), Draft::error("too-large", 0..0, headline).help("split the project"));
        return Err(reader.report.finish());
    }
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(xml, options) {
        Ok(document) => document,
        Err(error) => {
            reader.report.add_at(String::new(), malformed(xml, &error));
            return Err(reader.report.finish());
        }
    };
    let project = find_project(&document, &reader).and_then(|root| read_project(root, &mut reader));
    match project {
        Some(mut project) if !reader.report.failed() => {
            project.fingerprint = fingerprint::of(&project);
            preflight::notes(&project, document.root_element(), &reader);
            Ok(Checked { project, warnings: reader.report.finish() })
        }
        _ => Err(reader.report.finish()),
    }
}

fn malformed(xml: &str, error: &roxmltree::Error) -> Draft {
    let position = error.pos();
    let line_start = xml.split_inclusive('\n').take(position.row as usize - 1).map(str::len).sum::<usize>();
    let column = position.col as usize - 1;
    let offset = xml[line_start..].char_indices().nth(column).map_or(xml.len(), |(at, _)| line_start + at);
    // The message ends with the position, which the diagnostic shows in its own way.
    let text = error.to_string();
    let message = text.split(" at ").next().unwrap_or(&text);
    let help = match error {
        roxmltree::Error::DtdDetected => "remove the <!DOCTYPE ...>: projects do not need one",
        _ => "every <element> needs its </element>, `&` is written `&amp;` and `<` is written `&lt;` outside CDATA",
    };
    Draft::error("malformed-xml", offset..offset + 1, format!("this is not well-formed XML: {message}")).help(help)
}

fn find_project<'a, 'i>(document: &'a Document<'i>, reader: &Reader<'_>) -> Option<Node<'a, 'i>> {
    let root = document.root_element();
    match root.tag_name().name() {
        "project" | "contquery" | "template" => Some(root),
        "engine" => {
            reader.check_attributes(root, &[&["port", "name"]]);
            for child in root.children().filter(Node::is_element) {
                match child.tag_name().name() {
                    "projects" | "http-servers" => {}
                    "esp-routers" => {
                        let way_out = "route with adapters: subscribe the one project, publish to the other";
                        let because = "projects are joined by topics here";
                        reader.report.add(child, not_supported(tag_span(child), "`esp-routers`", because, way_out));
                    }
                    name if IGNORED.contains(&name) => {}
                    _ => reader.unknown_element(child, &["projects", "http-servers", "description"]),
                }
            }
            let projects = root.children().filter(|child| child.has_tag_name("projects"));
            let mut found: Vec<Node<'_, '_>> = projects
                .flat_map(|projects| projects.children())
                .filter(|child| child.has_tag_name("project"))
                .collect();
            for second in found.drain(1.min(found.len())..) {
                let way_out = "put every project into a file of its own";
                let because = "a deployment is one project";
                let what = "several projects in one file";
                reader.report.add(second, not_supported(tag_span(second), what, because, way_out));
            }
            let first = found.pop();
            if first.is_none() {
                let draft = Draft::error("no-project", tag_span(root), "`engine` holds no project")
                    .help("add <projects><project name=\"...\">...</project></projects>");
                reader.report.add(root, draft);
            }
            first
        }
        other => {
            let headline =
                format!("the root element is `{other}`, expected `project`, `engine`, `contquery` or `template`");
            let draft = Draft::error("unknown-root", tag_span(root), headline)
                .known(other, ["project", "engine", "contquery", "template"]);
            reader.report.add(root, draft);
            None
        }
    }
}

/// Attributes of a project that change nothing here.
const PASSIVE_ATTRIBUTES: [&str; 11] = [
    "threads",
    "use-tagged-token",
    "luaroot",
    "compress-open-patterns",
    "score-input-field",
    "score-output-field",
    "score-input-window",
    "score-output-window",
    "retention-tracking",
    "disk-store-path",
    "restore",
];

fn read_project(root: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Project> {
    let template = root.has_tag_name("template");
    let bare_query = root.has_tag_name("contquery") || template;
    if template {
        reader.project_properties = required_parameters(root, reader);
    } else if !bare_query {
        reader.project_properties = project_properties(root, reader);
        reader.check_attributes(
            root,
            &[
                &["name", "pubsub", "heartbeat-interval", "index", "port", "id", "layout", "version"],
                &PASSIVE_ATTRIBUTES,
            ],
        );
    }
    reader.files = crate::files::held(root, reader);
    reader.modules = crate::windows::lua::modules(root, reader);
    let name = if template { reader.required(root, "tag") } else { reader.required(root, "name") };
    if let Some(name) = &name {
        check_topic_name("project name", name, root, reader);
    }
    let heartbeat_us = heartbeat(root, reader);
    let pubsub = pubsub(root, reader);
    let index = reader.attribute(root, "index").and_then(|index| index_of(&index, root, reader));
    let queries = if bare_query { vec![root] } else { query_elements(root, reader) };
    let mut read = Vec::new();
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for element in queries {
        let query: Option<Query> = query::read(element, (index, pubsub, heartbeat_us), reader);
        if let (Some(query), Some(given)) = (query, query::name_of(element, reader)) {
            if let Some(first) = lines.insert(query.name.clone(), reader.report.line(element.range().start)) {
                reader.report.add(element, crate::report::duplicate("continuous query", &given, first));
            }
            read.push(query);
        }
    }
    let properties = reader.project_properties.clone();
    let start_order = start_order::read(root, &read, reader);
    if start_order.groups.iter().flat_map(|group| &group.entries).any(|entry| !is_own(&read, entry)) {
        let list = reader.child(root, "project-connectors").unwrap_or(root);
        let headline =
            "engines start kafka connectors at once: the order of groups is for connectors that they run themselves";
        let draft = Draft::warning("start-order", tag_span(list), headline)
            .help("publish what must come first, wait until it is through, then start the next publisher adapter");
        reader.report.add(list, draft);
    }
    let name = name?.as_str().to_owned();
    Some(Project { name, fingerprint: 0, heartbeat_us, pubsub, properties, queries: read, start_order })
}

/// True when engines run the connector of a group themselves, or nobody starts it.
fn is_own(queries: &[Query], entry: &ConnectorEntry) -> bool {
    let windows = queries.iter().filter(|query| query.name == entry.query).flat_map(|query| &query.windows);
    let mut connectors = windows.filter(|window| window.name == entry.window).flat_map(|window| &window.connectors);
    connectors.all(|c| c.name != entry.connector || c.own || !c.active)
}

fn project_properties(root: Node<'_, '_>, reader: &Reader<'_>) -> BTreeMap<String, String> {
    // Values are read with the deployment's properties only, so that their order in the file does not matter:
    // a value that names another project property is resolved where it is used.
    let elements = root.children().filter(|child| child.has_tag_name("properties")).flat_map(|list| list.children());
    let mut found = BTreeMap::new();
    for property in elements.filter(|child| child.has_tag_name("property")) {
        if let Some(name) = property.attribute("name") {
            found.insert(name.to_owned(), property.text().unwrap_or_default().trim().to_owned());
        } else {
            reader.report.add(property, crate::report::missing_attribute(property, "name"));
        }
    }
    found
}

/// The parameters of a template, with their defaults.
fn required_parameters(root: Node<'_, '_>, reader: &Reader<'_>) -> BTreeMap<String, String> {
    let maps = root.children().filter(|child| child.has_tag_name("required-parameter-map"));
    maps.flat_map(|map| project_properties(map, reader)).collect()
}

fn heartbeat(root: Node<'_, '_>, reader: &Reader<'_>) -> i64 {
    let Some(text) = reader.attribute(root, "heartbeat-interval") else { return DEFAULT_HEARTBEAT_US };
    match text.as_str().parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => (seconds * 1e6).round() as i64,
        _ => {
            let expected = "a number of seconds from 0.001 to 86400";
            reader.report.add(root, bad_value("`heartbeat-interval`", &text, expected));
            DEFAULT_HEARTBEAT_US
        }
    }
}

fn pubsub(root: Node<'_, '_>, reader: &Reader<'_>) -> PubSub {
    // Without the attribute nothing can be published in the original; windows with connectors work anyway.
    let Some(text) = reader.attribute(root, "pubsub") else { return PubSub::None };
    match text.as_str() {
        "auto" | "true" => PubSub::Auto,
        "manual" => PubSub::Manual,
        "none" | "false" => PubSub::None,
        _ => {
            reader.report.add(root, bad_value("`pubsub`", &text, "`auto`, `manual` or `none`"));
            PubSub::None
        }
    }
}

const INDEXES: [&str; 8] =
    ["pi_RBTREE", "pi_HASH", "pi_EMPTY", "pi_LN_HASH", "pi_CL_HASH", "pi_FW_HASH", "pi_HLEVELDB", "pi_LEVELDB"];

/// The index that a name stands for.
pub(crate) fn index_of(text: &crate::text::Text, node: Node<'_, '_>, reader: &Reader<'_>) -> Option<Index> {
    match INDEXES.iter().position(|index| text.as_str().eq_ignore_ascii_case(index)) {
        Some(0) => Some(Index::Ordered),
        Some(2) => Some(Index::None),
        Some(6 | 7) => {
            let headline = format!("`{}` is kept in memory, as pi_HASH is", text.as_str());
            let draft = Draft::warning("index-in-memory", text.full_span(), headline)
                .help("give the window a retention when it would not fit");
            reader.report.add(node, draft);
            Some(Index::Hash)
        }
        Some(_) => Some(Index::Hash),
        None => {
            let draft = bad_value("`index`", text, "an index type").known(text.as_str(), INDEXES);
            reader.report.add(node, draft);
            None
        }
    }
}

/// Names end up in topic names `host_port.project.query.window.X`.
pub(crate) fn check_topic_name(what: &str, name: &crate::text::Text, node: Node<'_, '_>, reader: &Reader<'_>) {
    let bad = name.as_str().char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || "_-".contains(*c)));
    if let Some((at, c)) = bad {
        let headline = format!("{what} `{}` holds `{c}`, expected letters, digits, `_` and `-`", name.as_str());
        let draft = Draft::error("bad-name", name.span(at..at + c.len_utf8()), headline)
            .help("names become parts of Kafka topic names, which the dot separates");
        reader.report.add(node, draft);
    }
}

fn query_elements<'n, 'i>(root: Node<'n, 'i>, reader: &Reader<'_>) -> Vec<Node<'n, 'i>> {
    let mut queries = Vec::new();
    let modules = "the engine runs expressions and the Lua code of windows and modules only";
    for child in root.children().filter(Node::is_element) {
        let name = child.tag_name().name();
        let filled = child.children().any(|child| child.is_element());
        match name {
            "contqueries" => {
                for query in child.children().filter(Node::is_element) {
                    if query.has_tag_name("contquery") {
                        queries.push(query);
                    } else if !IGNORED.contains(&query.tag_name().name()) {
                        reader.unknown_element(query, &["contquery"]);
                    }
                }
            }
            "properties" | "project-connectors" | "lua-modules" | crate::files::FILES => {}
            "mas-modules" | "python-modules" | "lua-snippets" | "python-snippets" | "mcp" | "ds-initialize" => {
                if filled {
                    let what = format!("`{name}`");
                    let draft = not_supported(
                        tag_span(child),
                        &what,
                        modules,
                        "express the step with EEL in a compute window, or in a Lua window",
                    );
                    reader.report.add(child, draft);
                }
            }
            _ if IGNORED.contains(&name) => {}
            _ => {
                let known = ["contqueries", "properties", "project-connectors", "description", "metadata"];
                reader.unknown_element(child, &known);
            }
        }
    }
    if queries.is_empty() {
        let draft = Draft::error("no-query", tag_span(root), "the project has no continuous query")
            .help("add <contqueries><contquery name=\"...\">...</contquery></contqueries>");
        reader.report.add(root, draft);
    }
    queries
}
