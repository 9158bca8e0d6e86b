//! Schemas of windows: written as fields or as a string, copied from another window, or inherited from the input.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use roxmltree::Node;

use crate::grammar::kind_of;
use crate::notification::Notification;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, duplicate, missing_attribute, tag_span};
use crate::text::Text;
use crate::window::Place;
use crate::windows::{geofence, join, learn, shape, tracker, transpose};

impl Place<'_, '_, '_> {
    /// Schema of a window; `None` when it has none that is right, which was reported.
    pub fn schema_of(&self, at: usize) -> Option<Arc<Schema>> {
        if let Some(found) = self.schemas.borrow().get(&at) {
            return found.clone();
        }
        // Stands for "being looked for": a schema that is copied in a circle ends here.
        self.schemas.borrow_mut().insert(at, None);
        let found = self.find_schema(at);
        self.schemas.borrow_mut().insert(at, found.clone());
        found
    }

    /// Names and schemas of the windows whose edges lead to a window, in the order of the edges; `None` when one of them
    /// has no schema, which was reported.
    pub fn inputs_of(&self, at: usize) -> Option<Vec<(String, Arc<Schema>)>> {
        let into = self.edges.iter().filter(|edge| edge.target == at);
        into.map(|edge| Some((self.windows[edge.source].name.as_str().to_owned(), self.schema_of(edge.source)?)))
            .collect()
    }

    /// Schema of a window's input; all that bring data must agree.
    pub fn input_of(&self, at: usize) -> Option<Arc<Schema>> {
        let data = self.edges.iter().filter(|edge| edge.target == at && !learn::brings_models(self, edge));
        let mut sources = data.map(|edge| edge.source);
        let first = sources.next()?;
        let schema = self.schema_of(first)?;
        for other in sources {
            let other_schema = self.schema_of(other)?;
            if other_schema != schema {
                let window = &self.windows[at];
                let (a, b) = (self.windows[first].name.as_str(), self.windows[other].name.as_str());
                let headline =
                    format!("inputs `{a}` and `{b}` of window `{}` have different schemas", window.name.as_str());
                let help = format!("`{a}` has {schema}, `{b}` has {other_schema}");
                let draft = Draft::error("different-inputs", window.name.full_span(), headline).help(help);
                self.reader.report.add(window.node, draft);
                return None;
            }
        }
        Some(schema)
    }

    fn find_schema(&self, at: usize) -> Option<Arc<Schema>> {
        let (node, reader) = (self.windows[at].node, self.reader);
        if node.has_tag_name("window-train") {
            return Some(learn::model_schema());
        }
        if node.has_tag_name("window-notification") {
            return Some(Notification::schema());
        }
        let inherits = matches!(node.tag_name().name(), "window-copy" | "window-filter" | "window-union");
        let written: Vec<Node<'_, '_>> = node
            .children()
            .filter(|child| child.has_tag_name("schema") || child.has_tag_name("schema-string"))
            .collect();
        if let Some(second) = written.get(1) {
            let draft = Draft::error("two-schemas", tag_span(*second), "the window has two schemas")
                .help("keep either <schema> or <schema-string>");
            reader.report.add(*second, draft);
        }
        let Some(element) = written.first().copied() else {
            match node.tag_name().name() {
                _ if inherits => return self.input_of(at),
                "window-remove-state" => {
                    return self.input_of(at).and_then(|input| shape::with_number(node, &input, reader));
                }
                "window-counter" => return Some(shape::counted()),
                "window-transpose" => {
                    return self.input_of(at).and_then(|input| transpose::schema(node, &input, reader));
                }
                "window-object-tracker" => {
                    return self.input_of(at).and_then(|input| tracker::schema(node, &input, reader));
                }
                "window-join" => return join::schema(self, at),
                "window-geofence" => return geofence::schema(self, at),
                // The window itself is refused, with the reason.
                tag if kind_of(tag).is_none() => return None,
                _ => {}
            }
            let headline = format!("window `{}` has no schema", self.windows[at].name.as_str());
            let draft = Draft::error("no-schema", tag_span(node), headline)
                .help("add <schema-string>id*:int64,value:double</schema-string> (`*` marks the key)");
            reader.report.add(node, draft);
            return None;
        };
        let schema = match reader.attribute(element, "copy").filter(|text| !text.is_empty()) {
            Some(name) => self.copied(element, &name)?,
            None => written_schema(element, reader)?,
        };
        if schema.keys().is_empty() {
            let headline = format!("the schema of window `{}` has no key", self.windows[at].name.as_str());
            let draft = Draft::error("no-key", tag_span(element), headline)
                .help("mark at least one field as key: key=\"true\", or `*` behind its name in a schema string");
            reader.report.add(element, draft);
            return None;
        }
        if inherits
            && let Some(input) = self.input_of(at)
            && *input != *schema
        {
            let headline =
                format!("window `{}` passes its input on, but its schema is another", self.windows[at].name.as_str());
            let draft = Draft::error("schema-differs", tag_span(element), headline)
                .help(format!("leave the schema out; the input has {input}"));
            reader.report.add(element, draft);
            return None;
        }
        Some(schema)
    }

    /// The schema that a window writes, whether or not it is that of its events; `None` without one, and after a report.
    pub fn written_schema_of(&self, at: usize) -> Option<Arc<Schema>> {
        let names = ["schema", "schema-string"];
        let mut children = self.windows[at].node.children();
        let element = children.find(|child| names.contains(&child.tag_name().name()))?;
        match self.reader.attribute(element, "copy").filter(|text| !text.is_empty()) {
            Some(name) => self.copied(element, &name),
            None => written_schema(element, self.reader),
        }
    }

    fn copied(&self, element: Node<'_, '_>, name: &Text) -> Option<Arc<Schema>> {
        let reader = self.reader;
        let Some(from) = self.windows.iter().position(|window| window.name.as_str() == name.as_str()) else {
            let headline = format!("schema copy=\"{}\" names no window of this query", name.as_str());
            let draft = Draft::error("unknown-window", name.full_span(), headline)
                .known(name.as_str(), self.windows.iter().map(|window| window.name.as_str()));
            reader.report.add(element, draft);
            return None;
        };
        let schema = self.schema_of(from)?;
        if reader.flag(element, "copy-keys") == Some(false) {
            let fields: Vec<Field> =
                schema.fields().iter().map(|field| Field { key: false, ..field.clone() }).collect();
            return Schema::new(fields).ok().map(Arc::new);
        }
        Some(schema)
    }
}

fn written_schema(element: Node<'_, '_>, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    reader.check_attributes(element, &[&["copy", "copy-keys", "name"]]);
    if element.has_tag_name("schema-string") {
        return string_schema(element, &reader.text(element), reader);
    }
    let nested = reader.child(element, "schema-string");
    if let Some(nested) = nested {
        return string_schema(nested, &reader.text(nested), reader);
    }
    let mut fields: Vec<(Field, u32)> = Vec::new();
    let mut complete = true;
    let lists = element.children().filter(|child| child.has_tag_name("fields"));
    for node in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !node.has_tag_name("field") {
            if !IGNORED.contains(&node.tag_name().name()) {
                reader.unknown_element(node, &["field"]);
            }
            continue;
        }
        let Some(field) = written_field(node, reader) else {
            complete = false;
            continue;
        };
        let line = reader.report.line(node.range().start);
        if let Some((_, first)) = fields.iter().find(|(other, _)| other.name == field.name) {
            if let Some(name) = reader.attribute(node, "name") {
                reader.report.add(node, duplicate("field", &name, *first));
            }
            complete = false;
            continue;
        }
        fields.push((field, line));
    }
    if fields.is_empty() && complete {
        let draft = Draft::error("no-field", tag_span(element), "the schema has no field")
            .help("add <fields><field name=\"id\" type=\"int64\" key=\"true\"/>...</fields>");
        reader.report.add(element, draft);
    }
    if !complete {
        return None;
    }
    Schema::new(fields.into_iter().map(|(field, _)| field).collect()).ok().map(Arc::new)
}

fn written_field(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<Field> {
    reader.check_attributes(node, &[&["name", "type", "key"]]);
    let name = reader.required(node, "name");
    let ty = reader.required(node, "type").and_then(|text| {
        let ty = FieldType::parse(text.as_str());
        if ty.is_none() {
            let known = FieldType::ALL.map(FieldType::name);
            let draft = bad_value("`type`", &text, "a field type").known(text.as_str(), known);
            reader.report.add(node, draft);
        }
        ty
    });
    let key = reader.flag(node, "key").unwrap_or(false);
    Some(Field { name: name?.as_str().to_owned(), ty: ty?, key })
}

fn string_schema(node: Node<'_, '_>, text: &Text, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    let mut fields: Vec<Field> = Vec::new();
    let mut complete = true;
    let mut at = 0;
    for part in text.as_str().split(',') {
        let range = at..at + part.len();
        at = range.end + 1;
        let part = text.part(range).trimmed();
        match string_field(&part) {
            Ok(field) if fields.iter().any(|other| other.name == field.name) => {
                reader.report.add(node, duplicate("field", &part, reader.report.line(node.range().start)));
                complete = false;
            }
            Ok(field) => fields.push(field),
            Err(draft) => {
                reader.report.add(node, *draft);
                complete = false;
            }
        }
    }
    if complete { Schema::new(fields).ok().map(Arc::new) } else { None }
}

/// `name:type` or `name*:type`.
fn string_field(part: &Text) -> Result<Field, Box<Draft>> {
    let text = part.as_str();
    let Some((name, ty)) = text.split_once(':') else {
        let draft = bad_value("a part of the schema", part, "`name:type` or `name*:type`");
        return Err(Box::new(draft));
    };
    let (name, key) = match name.trim().strip_suffix('*') {
        Some(name) => (name.trim(), true),
        None => (name.trim(), false),
    };
    if name.is_empty() {
        return Err(Box::new(bad_value("a part of the schema", part, "`name:type` or `name*:type`")));
    }
    match FieldType::parse(ty) {
        Some(ty) => Ok(Field { name: name.to_owned(), ty, key }),
        None => {
            let start = text.len() - ty.trim_start().len();
            let found = part.part(start..text.len());
            let known = FieldType::ALL.map(FieldType::name);
            let draft =
                bad_value(&format!("the type of field `{name}`"), &found, "a field type").known(found.as_str(), known);
            Err(Box::new(draft))
        }
    }
}

/// A property that an element must have.
pub(crate) fn missing_property(node: Node<'_, '_>, element: &str, name: &str, example: &str) -> Draft {
    let headline = format!("`{element}` has no property `{name}`");
    Draft { headline, id: "missing-property", ..missing_attribute(node, name) }
        .help(format!("add <property name=\"{name}\">{example}</property>"))
}
