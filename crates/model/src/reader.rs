//! Reads attributes and texts of elements: decoded, substituted, trimmed; warns about what it does not know.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use roxmltree::Node;

use crate::report::{Draft, Reporter, bad_value, missing_attribute, tag_span};
use crate::text::Text;

/// The file and what is needed to read it.
pub(crate) struct Reader<'a> {
    pub xml: &'a str,
    pub report: Reporter<'a>,
    /// Properties of the project, then those of the deployment.
    pub project_properties: BTreeMap<String, String>,
    pub properties: &'a BTreeMap<String, String>,
    /// Modules of the project's scripts.
    pub modules: Vec<mesh_script::Module>,
    /// Files that travel in the project, by the names that it uses.
    pub files: BTreeMap<String, Text>,
    /// Unknown `@NAME@` that were reported.
    unknown: RefCell<BTreeSet<String>>,
}

/// Elements without meaning for the engine.
pub(crate) const IGNORED: [&str; 4] = ["description", "metadata", "meta", "layout"];

impl<'a> Reader<'a> {
    pub fn new(xml: &'a str, file: &'a str, properties: &'a BTreeMap<String, String>) -> Reader<'a> {
        let report = Reporter::new(file, xml);
        Reader {
            xml,
            report,
            project_properties: BTreeMap::new(),
            properties,
            modules: Vec::new(),
            files: BTreeMap::new(),
            unknown: RefCell::default(),
        }
    }

    fn substituted(&self, node: Node<'_, '_>, text: &Text) -> Text {
        self.replaced(node, text).trimmed()
    }

    /// A text with its `@NAME@` replaced.
    pub fn replaced(&self, node: Node<'_, '_>, text: &Text) -> Text {
        let lookup = |name: &str| self.project_properties.get(name).or_else(|| self.properties.get(name)).cloned();
        let mut unknown = |name: &str, span: Range<usize>| {
            if self.unknown.borrow_mut().insert(name.to_owned()) {
                let headline = format!("property `{name}` is not defined, `@{name}@` stays as it is");
                let known = self.project_properties.keys().chain(self.properties.keys()).map(String::as_str);
                let draft = Draft::warning("unknown-property", span, headline)
                    .help(format!("define it in <properties>, or pass it when the project is deployed ({name}=...)"))
                    .known(name, known);
                self.report.add(node, draft);
            }
        };
        text.substituted(&lookup, &mut unknown)
    }

    /// An attribute, when present.
    pub fn attribute(&self, node: Node<'_, '_>, name: &str) -> Option<Text> {
        let attribute = node.attribute_node(name)?;
        Some(self.substituted(node, &Text::of_attribute(self.xml, attribute.range_value())))
    }

    /// An attribute that must be there and hold something.
    pub fn required(&self, node: Node<'_, '_>, name: &str) -> Option<Text> {
        let value = self.attribute(node, name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.report.add(node, missing_attribute(node, name));
        }
        value
    }

    /// A true/false attribute.
    pub fn flag(&self, node: Node<'_, '_>, name: &str) -> Option<bool> {
        let value = self.attribute(node, name)?;
        let is = |words: [&str; 4]| words.iter().any(|word| value.as_str().eq_ignore_ascii_case(word));
        if is(["true", "yes", "on", "1"]) {
            Some(true)
        } else if is(["false", "no", "off", "0"]) || value.is_empty() {
            Some(false)
        } else {
            self.report.add(node, bad_value(&format!("`{name}`"), &value, "`true` or `false`"));
            None
        }
    }

    /// The text of an element.
    pub fn text(&self, node: Node<'_, '_>) -> Text {
        self.substituted(node, &self.plain(node))
    }

    /// The text of an element as it stands, `@NAME@` and all.
    pub fn plain(&self, node: Node<'_, '_>) -> Text {
        let whole = node.range();
        let source = &self.xml[whole.clone()];
        let content = match start_tag_end(source) {
            Some((end, false)) => whole.start + end..whole.end,
            _ => whole.end..whole.end,
        };
        Text::of_content(self.xml, content)
    }

    /// The first child of this name.
    pub fn child<'n, 'i>(&self, node: Node<'n, 'i>, name: &str) -> Option<Node<'n, 'i>> {
        node.children().find(|child| child.has_tag_name(name))
    }

    /// `properties/property` below `node`: names, values, elements.
    pub fn property_list<'n, 'i>(&self, node: Node<'n, 'i>) -> Vec<(Text, Text, Node<'n, 'i>)> {
        let mut list = Vec::new();
        for properties in node.children().filter(|child| child.has_tag_name("properties")) {
            for property in properties.children().filter(Node::is_element) {
                if property.has_tag_name("property") {
                    if let Some(name) = self.required(property, "name") {
                        list.push((name, self.text(property), property));
                    }
                } else if !IGNORED.contains(&property.tag_name().name()) {
                    self.unknown_element(property, &["property"]);
                }
            }
        }
        list
    }

    /// Warns about attributes that are not in `known`.
    pub fn check_attributes(&self, node: Node<'_, '_>, known: &[&[&str]]) {
        for attribute in node.attributes() {
            let name = attribute.name();
            if known.iter().any(|names| names.contains(&name)) {
                continue;
            }
            let headline = format!("`{}` has no attribute `{name}`, it is ignored", node.tag_name().name());
            let draft = Draft::warning("unknown-attribute", attribute.range_qname(), headline)
                .known(name, known.iter().flat_map(|names| names.iter().copied()));
            self.report.add(node, draft);
        }
    }

    /// Warns about an element that is not known here.
    pub fn unknown_element(&self, node: Node<'_, '_>, known: &[&str]) {
        let name = node.tag_name().name();
        let parent = node.parent_element().map_or("the file", |parent| parent.tag_name().name());
        let headline = format!("`{name}` is not an element of `{parent}`, it is ignored");
        let draft = Draft::warning("unknown-element", tag_span(node), headline).known(name, known.iter().copied());
        self.report.add(node, draft);
    }
}

/// Offset behind the start tag that `source` begins with, and whether it closes itself.
fn start_tag_end(source: &str) -> Option<(usize, bool)> {
    let mut quote = None;
    for (at, byte) in source.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return Some((at + 1, source[..at].ends_with('/'))),
            _ => {}
        }
    }
    None
}
