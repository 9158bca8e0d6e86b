//! Small XML answers.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write;

/// An element to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Without attributes and content.
    pub fn new(name: &'static str) -> Self {
        Element { name, attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Sets the text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds a child.
    pub fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children.
    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }

    /// As text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out.push('\n');
        out
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", escape(value));
        }
        if self.text.is_empty() && self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        let _ = write!(out, ">{}", escape(&self.text));
        for child in &self.children {
            child.write(out);
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// Escapes what XML needs escaped; characters that XML cannot hold become the replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// An answer.
pub fn answer(status: StatusCode, element: Element) -> Response {
    (status, [(header::CONTENT_TYPE, "application/xml; charset=utf-8")], element.render()).into_response()
}

/// An error answer. Clients need at least one non-empty detail.
pub fn error(status: StatusCode, message: &str, details: &[String]) -> Response {
    let details: Vec<&str> = details.iter().map(String::as_str).filter(|detail| !detail.is_empty()).collect();
    let details = if details.is_empty() { vec![message] } else { details };
    let details =
        Element::new("details").children(details.into_iter().map(|detail| Element::new("detail").text(detail)));
    answer(status, Element::new("response").child(Element::new("message").text(message)).child(details))
}

/// An error answer from a refusal.
pub fn refusal(refusal: &crate::status::Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.kind.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut details = Vec::new();
    for (label, text) in [("expected", &refusal.expected), ("found", &refusal.found), ("way out", &refusal.way_out)] {
        if !text.is_empty() {
            details.push(format!("{label}: {text}"));
        }
    }
    error(status, &refusal.what, &details)
}
