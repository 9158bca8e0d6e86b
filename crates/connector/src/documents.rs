//! JSON and XML files as the lines of CSV that say the same, so that values and errors are those of CSV.
//!
//! JSON: any number of documents one after the other; an object is an event, arrays and the keys `events`, `entries` and
//! `event` are looked into. XML: every element `event`; its fields are its children (`<f>v</f>` or
//! `<value name="f">v</value>`). The opcode is the key, child or attribute `opcode` (`i`, `insert`, ...), the flags are
//! `flags`; without, an event is a normal insert. Names that are no fields are ignored.

use mesh_adapter::{FsType, PublisherOptions};
use mesh_event::csv::{CsvOptions, DateFormat};
use mesh_event::{Block, MONEY_SCALE, Schema, Value};
use serde_json::{Value as Json, json};

/// Deepest nesting of arrays and objects around an event.
const DEPTH_MAX: usize = 16;

/// What the lines are made for.
pub struct Shape<'a> {
    /// Its fields.
    pub schema: &'a Schema,
    /// The window makes its key: the lines have none.
    pub keyless: bool,
    /// The opcode of events that do not say theirs.
    pub opcode: &'static str,
}

impl<'a> Shape<'a> {
    /// The shape that these options ask for.
    pub fn of(schema: &'a Schema, options: &PublisherOptions) -> Shape<'a> {
        let csv = &options.csv;
        Shape { schema, keyless: csv.no_autogen_field, opcode: if csv.upsert { "p" } else { "i" } }
    }
}

/// How the lines are read that are made here: as they are made, whatever the options say of a file of lines.
pub fn csv_options(options: &PublisherOptions) -> CsvOptions {
    CsvOptions { header_lines: 0, delimiter: b',', add_opcode: false, add_flags: None, ..options.csv_options() }
}

/// The lines of a document in this format; one of CSV is its own.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn lines(text: Vec<u8>, format: FsType, shape: &Shape<'_>) -> Result<Vec<u8>, String> {
    match format {
        FsType::Csv => Ok(text),
        FsType::Json => of_json(&text, shape).map(String::into_bytes),
        FsType::Xml => {
            let text = std::str::from_utf8(&text).map_err(|error| error.to_string())?;
            of_xml(text, shape).map(String::into_bytes)
        }
    }
}

/// The lines of JSON documents.
fn of_json(text: &[u8], shape: &Shape<'_>) -> Result<String, String> {
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
fn of_xml(text: &str, shape: &Shape<'_>) -> Result<String, String> {
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

/// Adds the line of an event that has a value, or none, for each field of the schema.
pub(crate) fn made_line(
    shape: &Shape<'_>,
    opcode: Option<&str>,
    flags: Option<&str>,
    values: &[Option<Value>],
    lines: &mut Vec<u8>,
) {
    let mut text = String::new();
    let value = |name: &str| text_of(&json_value(values[shape.schema.index_of(name)?].as_ref()?));
    line(shape, opcode, flags, value, &mut text);
    lines.extend_from_slice(text.as_bytes());
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

/// Adds the events of a block as lines of JSON that [`lines`] reads again: `{"@opcode":"i","@flags":"n",` and the fields.
/// Times are in `date_format`, if there is one.
pub fn to_json(block: &Block, date_format: Option<&DateFormat>, text: &mut Vec<u8>) {
    for row in 0..block.len() {
        let (opcode, flags) = (block.opcodes[row].letters(), block.flags[row].letters());
        text.extend_from_slice(format!("{{\"@opcode\":\"{opcode}\",\"@flags\":\"{flags}\"").as_bytes());
        for (field, value) in block.schema.fields().iter().zip(block.row(row).iter()) {
            let value = formatted(value, date_format).unwrap_or_else(|| json_value(value));
            text.extend_from_slice(format!(",{}:{value}", Json::from(field.name.as_str())).as_bytes());
        }
        text.extend_from_slice(b"}\n");
    }
}

/// A time in this format; `None`: it is none, or there is none.
fn formatted(value: &Value, date_format: Option<&DateFormat>) -> Option<Json> {
    let micros = match value {
        Value::Date(seconds) => seconds.checked_mul(1_000_000)?,
        Value::Stamp(micros) => *micros,
        _ => return None,
    };
    let mut text = Vec::new();
    let printed = date_format?.print(micros, &mut text);
    printed.then(|| Json::String(String::from_utf8_lossy(&text).into_owned()))
}

/// Numbers as numbers, times as integers since the epoch, money as a decimal in a string, blobs as hex digits.
pub fn json_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int32(number) => json!(number),
        Value::Int64(number) | Value::Date(number) | Value::Stamp(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::String(text) => json!(text.as_ref()),
        Value::Money(units) => {
            let (sign, units, scale) =
                (if *units < 0 { "-" } else { "" }, units.unsigned_abs(), MONEY_SCALE.unsigned_abs());
            json!(format!("{sign}{}.{:04}", units / scale, units % scale))
        }
        Value::Blob(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Value::ArrayInt32(items) => json!(items.as_ref()),
        Value::ArrayInt64(items) => json!(items.as_ref()),
        Value::ArrayDouble(items) => json!(items.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_event::csv::CsvDecoder;
    use std::sync::Arc;

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
    fn events_written_as_json_are_read_again() {
        let schema = Arc::new(Schema::parse("id*:int64,flags:string,at:stamp,m:money").unwrap());
        let options = CsvOptions { date_format: Some("%Y-%m-%d %H:%M:%S".into()), ..CsvOptions::default() };
        let read = |lines: &[u8]| {
            let mut blocks = Vec::new();
            let mut decoder = CsvDecoder::new(schema.clone(), options.clone()).unwrap();
            decoder.decode(lines, true, 10, 10, |csv| blocks.push(csv.block)).unwrap();
            blocks
        };
        let written = read(b"i,n,1,\"a \"\"b\",2024-01-02 03:04:05,1.25\nd,n,2,,,\n");
        let (mut text, format) = (Vec::new(), DateFormat::new("%Y-%m-%d %H:%M:%S").unwrap());
        to_json(&written[0], Some(&format), &mut text);
        assert_eq!(
            std::str::from_utf8(&text).unwrap().lines().last(),
            Some(r#"{"@opcode":"D","@flags":"N","id":2,"flags":null,"at":null,"m":null}"#)
        );
        assert_eq!(read(of_json(&text, &shape(&schema)).unwrap().as_bytes()), written);
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
