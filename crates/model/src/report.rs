//! Collects diagnostics. The wording of every kind that is used twice stands here, as a function that makes it.

use std::cell::RefCell;
use std::ops::Range;

use mesh_expr::suggest::nearest;
use roxmltree::Node;

use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::text::Text;

/// A diagnostic in the making.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub id: &'static str,
    pub severity: Severity,
    pub headline: String,
    pub span: Range<usize>,
    pub label: String,
    pub help: Option<String>,
    pub suggestion: Option<String>,
    pub known: Vec<String>,
}

impl Draft {
    pub fn error(id: &'static str, span: Range<usize>, headline: impl Into<String>) -> Draft {
        let headline = headline.into();
        Draft {
            id,
            severity: Severity::Error,
            headline,
            span,
            label: String::new(),
            help: None,
            suggestion: None,
            known: Vec::new(),
        }
    }

    pub fn warning(id: &'static str, span: Range<usize>, headline: impl Into<String>) -> Draft {
        Draft { severity: Severity::Warning, ..Draft::error(id, span, headline) }
    }

    pub fn note(id: &'static str, span: Range<usize>, headline: impl Into<String>) -> Draft {
        Draft { severity: Severity::Note, ..Draft::error(id, span, headline) }
    }

    pub fn label(mut self, label: impl Into<String>) -> Draft {
        self.label = label.into();
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Draft {
        self.help = Some(help.into());
        self
    }

    /// The known names, and the one nearest to what was found.
    pub fn known<'a>(mut self, found: &str, known: impl IntoIterator<Item = &'a str>) -> Draft {
        self.known = known.into_iter().map(str::to_owned).collect();
        self.suggestion = nearest(found, self.known.iter().map(String::as_str)).map(str::to_owned);
        self
    }
}

/// The diagnostics of a file as they are found.
pub(crate) struct Reporter<'a> {
    file: &'a str,
    xml: &'a str,
    found: RefCell<Vec<(usize, Diagnostic)>>,
}

/// Most diagnostics kept; a file with more is not a project.
const MAX_DIAGNOSTICS: usize = 500;

impl<'a> Reporter<'a> {
    pub fn new(file: &'a str, xml: &'a str) -> Reporter<'a> {
        Reporter { file, xml, found: RefCell::new(Vec::new()) }
    }

    /// Adds a diagnostic about a part of `node`.
    pub fn add(&self, node: Node<'_, '_>, draft: Draft) {
        self.add_at(path_of(node), draft);
    }

    /// Adds a diagnostic.
    pub fn add_at(&self, path: String, draft: Draft) {
        let mut found = self.found.borrow_mut();
        if found.len() >= MAX_DIAGNOSTICS {
            return;
        }
        let Draft { id, severity, headline, span, label, help, suggestion, known } = draft;
        let start = span.start.min(self.xml.len());
        // What two readers stumble over is one mistake.
        if found.iter().any(|(at, other)| *at == start && other.id == id && other.headline == headline) {
            return;
        }
        let line_start = self.xml[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.xml[start..].find('\n').map_or(self.xml.len(), |at| start + at);
        let marked = &self.xml[start..span.end.clamp(start, line_end)];
        let diagnostic = Diagnostic {
            id,
            severity,
            headline,
            file: self.file.to_owned(),
            line: self.line(start),
            column: self.xml[line_start..start].chars().count() as u32 + 1,
            path,
            snippet: self.xml[line_start..line_end].trim_end().to_owned(),
            width: (marked.trim_end().chars().count() as u32).max(1),
            label,
            help,
            suggestion,
            known,
        };
        found.push((start, diagnostic));
    }

    /// Line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> u32 {
        self.xml[..offset.min(self.xml.len())].bytes().filter(|byte| *byte == b'\n').count() as u32 + 1
    }

    /// True when an error was found.
    pub fn failed(&self) -> bool {
        self.found.borrow().iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// Everything found, in file order.
    pub fn finish(self) -> Diagnostics {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(offset, _)| *offset);
        Diagnostics(found.into_iter().map(|(_, diagnostic)| diagnostic).collect())
    }
}

/// Elements that only hold others; paths leave them out.
const CONTAINERS: [&str; 9] =
    ["engine", "projects", "contqueries", "windows", "edges", "connectors", "properties", "fields", "functions"];

/// `project/contquery[cq1]/window-filter[f]/expression`.
pub(crate) fn path_of(node: Node<'_, '_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for node in node.ancestors().filter(Node::is_element) {
        let name = node.tag_name().name();
        if !CONTAINERS.contains(&name) {
            parts.push(match node.attribute("name") {
                Some(given) => format!("{name}[{given}]"),
                None => name.to_owned(),
            });
        }
    }
    parts.reverse();
    parts.join("/")
}

/// Where the name of an element stands in its start tag.
pub(crate) fn tag_span(node: Node<'_, '_>) -> Range<usize> {
    let start = node.range().start + 1;
    start..start + node.tag_name().name().len()
}

pub(crate) fn missing_attribute(node: Node<'_, '_>, name: &str) -> Draft {
    let headline = format!("`{}` has no attribute `{name}`", node.tag_name().name());
    Draft::error("missing-attribute", tag_span(node), headline).help(format!("add {name}=\"...\""))
}

pub(crate) fn bad_value(of: &str, found: &Text, expected: &str) -> Draft {
    let headline = format!("{of} is `{}`, expected {expected}", found.as_str());
    Draft::error("bad-value", found.full_span(), headline)
}

pub(crate) fn not_supported(span: Range<usize>, what: &str, because: &str, way_out: &str) -> Draft {
    let headline = format!("not supported yet: {what}, because {because}");
    Draft::error("not-supported", span, headline).help(way_out)
}

pub(crate) fn unknown_field(of: &str, found: &Text, schema: &mesh_event::Schema) -> Draft {
    let headline = format!("{of} names field `{}`, which does not exist", found.as_str());
    Draft::error("unknown-field", found.full_span(), headline)
        .label("no such field")
        .known(found.as_str(), schema.fields().iter().map(|field| field.name.as_str()))
}

/// A name that stands twice where names must be unique.
pub(crate) fn duplicate(what: &str, name: &Text, first_line: u32) -> Draft {
    let headline = format!("{what} `{}` stands twice", name.as_str());
    Draft::error("duplicate-name", name.full_span(), headline)
        .label("second one")
        .help(format!("the first is in line {first_line}; give one of them another name"))
}
