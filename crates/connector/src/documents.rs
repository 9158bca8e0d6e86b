//! JSON and XML files as the lines of CSV that say the same, so that values and errors are those of CSV.
//!
//! JSON: any number of documents one after the other; an object is an event, arrays and the keys `events`, `entries` and
//! `event` are looked into. XML: every element `event`; its fields are its children (`<f>v</f>` or
//! `<value name="f">v</value>`). The opcode is the key, child or attribute `opcode` (`i`, `insert`, ...), the flags are
//! `flags`; without, an event is a normal insert. Names that are no fields are ignored.

use mesh_event::Schema;
use serde_json::Value as Json;

/// Deepest nesting of arrays and objects around an event.
const DEPTH_MAX: usize = 16;

/// What the lines are made for.
pub struct Shape<'a> {
    /// Fields of the events.
    pub schema: &'a Schema,
    /// The window makes its key: the lines have none.
    pub keyless: bool,
    /// The opcode of events that do not say theirs.
    pub opcode: &'static str,
}

/// The lines of JSON documents.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn of_json(text: &[u8], shape: &Shape<'_>) -> Result<String, String> {
    let mut lines = String::new();
    for document in serde_json::Deserializer::from_slice(text).into_iter::<Json>() {
        events(&document.map_err(|error| error.to_string())?, shape, 0, &mut lines)?;
    }
    Ok(lines)
}

fn events(json: &Json, shape: &Shape<'_>, depth: usize, lines: &mut String) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("events lie deeper than {DEPTH_MAX} arrays and objects"));
    }
    match json {
        Json::Array(items) => items.iter().try_for_each(|item| events(item, shape, depth + 1, lines)),
        Json::Object(object) => {
            let inner = ["events", "entries", "event"].iter().find(|name| {
                object.get(**name).is_some_and(|inner| inner.is_array() || inner.is_object())
                    && shape.schema.index_of(name).is_none()
            });
            let said = |name: &str| {
                let attributes = object.get("attributes").and_then(Json::as_object);
                let marked = format!("@{name}");
                let found = object.get(&marked).or_else(|| attributes?.get(name)).or_else(|| object.get(name));
                found.and_then(Json::as_str)
            };
            match inner.and_then(|name| object.get(*name)) {
                // `{"opcode": "insert", "event": {...}}` says the opcode outside.
                Some(Json::Object(event)) if said("opcode").is_some() => {
                    line(shape, said("opcode"), said("flags"), |field| event.get(field).and_then(text_of), lines);
                    Ok(())
                }
                Some(inner) => events(inner, shape, depth + 1, lines),
                None => {
                    line(shape, said("opcode"), said("flags"), |field| object.get(field).and_then(text_of), lines);
                    Ok(())
                }
            }
        }
        other => Err(format!("expected an event as an object, found {other}")),
    }
}

/// The text of a JSON value; `None` for null.
fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(yes) => Some(u8::from(*yes).to_string()),
        Json::Array(items) => Some(format!("[{}]", items.iter().filter_map(text_of).collect::<Vec<_>>().join(";"))),
        other => Some(other.to_string()),
    }
}

/// The lines of an XML document.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn of_xml(text: &str, shape: &Shape<'_>) -> Result<String, String> {
    let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
    let mut lines = String::new();
    for event in document.descendants().filter(|node| node.has_tag_name("event")) {
        let child = |name: &str| {
            let found = event.children().find(|child| {
                child.has_tag_name(name) || child.has_tag_name("value") && child.attribute("name") == Some(name)
            });
            found.map(|child| child.text().unwrap_or_default().to_owned())
        };
        let said = |name: &str| event.attribute(name).map(str::to_owned).or_else(|| child(name));
        line(shape, said("opcode").as_deref(), said("flags").as_deref(), child, &mut lines);
    }
    Ok(lines)
}

/// Adds the line of an event.
fn line(
    shape: &Shape<'_>,
    opcode: Option<&str>,
    flags: Option<&str>,
    value: impl Fn(&str) -> Option<String>,
    lines: &mut String,
) {
    let is_field = |name: &str| shape.schema.index_of(name).is_some();
    let opcode = opcode.filter(|_| !is_field("opcode")).map_or(shape.opcode, short);
    let flags = flags.filter(|flags| !flags.is_empty() && !is_field("flags")).unwrap_or("n");
    lines.push_str(opcode);
    lines.push(',');
    lines.push_str(flags);
    for field in shape.schema.fields().iter().filter(|field| !(shape.keyless && field.key)) {
        lines.push(',');
        let Some(text) = value(&field.name) else { continue };
        lines.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                lines.push('\\');
            }
            lines.push(c);
        }
        lines.push('"');
    }
    lines.push('\n');
}

/// The letters of an opcode; what is no opcode stays, for the error to name it.
fn short(opcode: &str) -> &str {
    let known = [("insert", "i"), ("update", "u"), ("upsert", "p"), ("delete", "d"), ("safedelete", "sd")];
    known.iter().find(|(name, _)| opcode.eq_ignore_ascii_case(name)).map_or(opcode, |(_, letters)| letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(schema: &Schema) -> Shape<'_> {
        Shape { schema, keyless: false, opcode: "i" }
    }

    #[test]
    fn every_form_of_json_gives_the_same_lines() {
        let schema = Schema::parse("id*:int64,name:string,list:array(i32)").unwrap();
        let expected = "i,n,\"1\",\"a \\\"b\\\"\",\"[1;2]\"\nd,n,\"2\",,\n";
        for text in [
            r#"[{"opcode":"i","id":1,"name":"a \"b\"","list":[1,2]},{"opcode":"delete","id":2,"name":null}]"#,
            r#"[[{"id":1,"name":"a \"b\"","list":[1,2]}],[{"opcode":"d","id":"2"}]]"#,
            r#"{"id":1,"name":"a \"b\"","list":[1,2]} {"@opcode":"d","id":2}"#,
            r#"{"events":[{"event":{"id":1,"name":"a \"b\"","list":[1,2]}},{"event":{"attributes":{"opcode":"delete"},"id":2}}]}"#,
            r#"{"opcode":"insert","event":{"id":1,"name":"a \"b\"","list":[1,2]}} {"opcode":"delete","event":{"id":2}}"#,
        ] {
            assert_eq!(of_json(text.as_bytes(), &shape(&schema)).unwrap(), expected, "{text}");
        }
        assert!(of_json(b"[1]", &shape(&schema)).unwrap_err().contains("found 1"));
    }

    #[test]
    fn every_form_of_xml_gives_the_same_lines() {
        let schema = Schema::parse("id*:int64,name:string").unwrap();
        for text in [
            "<events><event opcode='insert'><id>1</id><name>a &lt; b</name></event><event opcode='d'><id>2</id></event></events>",
            "<x><event><value name='id'>1</value><value name='name'>a &lt; b</value></event><event><opcode>d</opcode>\
             <id>2</id></event></x>",
        ] {
            assert_eq!(of_xml(text, &shape(&schema)).unwrap(), "i,n,\"1\",\"a < b\"\nd,n,\"2\",\n");
        }
        assert!(of_xml("<events>", &shape(&schema)).is_err());
    }
}
