//! Windows whose output follows from a few attributes: union, remove-state, counter.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use roxmltree::Node;

use crate::kinds::{Counter, RemoveState};
use crate::project::WindowKind;
use crate::reader::Reader;
use crate::report::{Draft, bad_value};
use crate::window::Reading;
use crate::windows::source::duration;

/// Reads a union window.
pub(crate) fn union(reading: &Reading<'_, '_, '_>) -> WindowKind {
    WindowKind::Union { strict: reading.reader.flag(reading.node, "strict").unwrap_or(true) }
}

/// Words of `remove`.
const REMOVE: [&str; 5] = ["updates", "deletes", "retentionUpdates", "retentionDeletes", "updateBlockDeletes"];

/// Reads a remove-state window.
pub(crate) fn remove_state(reading: &Reading<'_, '_, '_>) -> WindowKind {
    let Reading { node, reader, .. } = *reading;
    let mut rule = RemoveState { add_log_fields: logs(node, reader), ..RemoveState::default() };
    for word in reader.attribute(node, "remove").map(|text| text.words()).unwrap_or_default() {
        match REMOVE.iter().position(|known| known.eq_ignore_ascii_case(word.as_str())) {
            Some(0) => rule.updates = true,
            Some(1) => rule.deletes = true,
            Some(2) => rule.retention_updates = true,
            Some(3) => rule.retention_deletes = true,
            Some(_) => rule.update_block_deletes = true,
            None => {
                let draft = bad_value("a word of `remove`", &word, "a kind of event").known(word.as_str(), REMOVE);
                reader.report.add(node, draft);
            }
        }
    }
    WindowKind::RemoveState(rule)
}

fn logs(node: Node<'_, '_>, reader: &Reader<'_>) -> bool {
    reader.flag(node, "add-log-fields").unwrap_or(false)
}

/// The input's fields behind a number as key, and the log fields.
pub(crate) fn with_number(node: Node<'_, '_>, input: &Schema, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    let field = |name: &str, ty, key| Field { name: name.to_owned(), ty, key };
    let mut fields = vec![field("eventNumber", FieldType::Int64, true)];
    fields.extend(input.fields().iter().map(|field| Field { key: false, ..field.clone() }));
    if logs(node, reader) {
        fields.push(field("originalOC", FieldType::String, false));
        fields.push(field("originalFL", FieldType::String, false));
    }
    made(node, fields, reader)
}

/// A schema of fields that the engine adds to the input's.
pub(crate) fn made(node: Node<'_, '_>, fields: Vec<Field>, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    match Schema::new(fields) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(error) => {
            let headline = format!("the window adds fields to its input's, and then {error}");
            let draft = Draft::error("duplicate-name", crate::report::tag_span(node), headline)
                .help("rename the field with a compute window before this one");
            reader.report.add(node, draft);
            None
        }
    }
}

/// The schema of every counter window.
pub(crate) fn counted() -> Arc<Schema> {
    let text = "input*:string,totalCount:int64,totalSeconds:double,totalRate:double,intervalCount:int64,\
                intervalSeconds:double,intervalRate:double";
    Arc::new(Schema::parse(text).expect("the text is a schema"))
}

/// Reads a counter window.
pub(crate) fn counter(reading: &Reading<'_, '_, '_>) -> WindowKind {
    let Reading { node, reader, schema, .. } = *reading;
    let interval = |name: &str| {
        let text = reader.attribute(node, name).filter(|text| !text.is_empty())?;
        let us = duration(text.as_str(), None);
        if us.is_none() {
            reader.report.add(node, bad_value(&format!("`{name}`"), &text, "a time such as `2 seconds`"));
        }
        us
    };
    if **schema != *counted() {
        let headline = format!("counter window `{}` has a schema of its own", reading.name.as_str());
        let draft = Draft::error("schema-differs", reading.name.full_span(), headline)
            .help(format!("leave the schema out; the window puts out {}", counted()));
        reader.report.add(node, draft);
    }
    WindowKind::Counter(Counter { count_us: interval("count-interval"), clear_us: interval("clear-interval") })
}
