//! Transpose windows: columns `tag_value` to rows, or rows to such columns.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use roxmltree::Node;

use crate::kinds::Transpose;
use crate::project::WindowKind;
use crate::reader::Reader;
use crate::report::{Draft, bad_value, unknown_field};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::shape::made;
use crate::windows::source::duration;

/// The key that numbers the tags of a long transpose.
const NUMBER: &str = "tagNum";

/// The attributes of a transpose window.
struct Attributes {
    wide: bool,
    tag_name: Option<Text>,
    values: Vec<Text>,
    tags: Vec<Text>,
    group: Vec<Text>,
    clear_us: Option<i64>,
}

fn attributes(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<Attributes> {
    let mode = reader.required(node, "mode");
    let list = |name: &str| -> Vec<Text> { reader.attribute(node, name).map(|text| text.list()).unwrap_or_default() };
    let required =
        |name: &str| Some(list(name)).filter(|list| !list.is_empty() || reader.required(node, name).is_some());
    let (values, tags) = (required("tag-values"), required("tags-included"));
    let tag_name = reader.attribute(node, "tag-name").filter(|text| !text.is_empty());
    let clear = reader.attribute(node, "clear-timeout").filter(|text| !text.is_empty() && text.as_str() != "never");
    let clear_us = clear.and_then(|text| {
        let us = duration(text.as_str(), None);
        if us.is_none() {
            reader.report.add(node, bad_value("`clear-timeout`", &text, "`never`, or a time such as `10 seconds`"));
        }
        us
    });
    let mode = mode?;
    let wide = match mode.as_str() {
        "wide" => true,
        "long" => false,
        _ => {
            reader
                .report
                .add(node, bad_value("`mode`", &mode, "`wide` or `long`").known(mode.as_str(), ["wide", "long"]));
            return None;
        }
    };
    if wide && tag_name.is_none() {
        reader.required(node, "tag-name");
        return None;
    }
    Some(Attributes { wide, tag_name, values: values?, tags: tags?, group: list("group-by"), clear_us })
}

/// Name of the column of a tag's value.
fn column(tag: &Text, value: &Text) -> String {
    format!("{}_{}", tag.as_str(), value.as_str())
}

/// The schema of a transpose window that does not write one.
pub(crate) fn schema(node: Node<'_, '_>, input: &Schema, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    let Attributes { wide, tag_name, values, tags, .. } = attributes(node, reader)?;
    let field = |name: &str, ty, key| Field { name: name.to_owned(), ty, key };
    let mut fields: Vec<Field> = input.keys().iter().map(|&key| input.fields()[key].clone()).collect();
    let is = |field: &Field, name: &Text| field.name == name.as_str();
    if wide {
        let dropped = |field: &Field| {
            field.key
                || tag_name.as_ref().is_some_and(|tag| is(field, tag))
                || values.iter().any(|value| is(field, value))
        };
        fields.extend(input.fields().iter().filter(|field| !dropped(field)).cloned());
        for tag in &tags {
            for value in &values {
                let Some(at) = input.index_of(value.as_str()) else {
                    reader.report.add(node, unknown_field("`tag-values`", value, input));
                    return None;
                };
                fields.push(field(&column(tag, value), input.fields()[at].ty, false));
            }
        }
    } else {
        fields.push(field(NUMBER, FieldType::Int64, true));
        fields.extend(tag_name.as_ref().map(|tag| field(tag.as_str(), FieldType::String, false)));
        for value in &values {
            let first = tags.iter().find_map(|tag| input.index_of(&column(tag, value)));
            let Some(at) = first else {
                reader.report.add(node, no_column(&tags[0], value, input));
                return None;
            };
            fields.push(field(value.as_str(), input.fields()[at].ty, false));
        }
        let tagged = |field: &Field| tags.iter().any(|tag| values.iter().any(|value| column(tag, value) == field.name));
        fields.extend(input.fields().iter().filter(|field| !field.key && !tagged(field)).cloned());
    }
    made(node, fields, reader)
}

fn no_column(tag: &Text, value: &Text, input: &Schema) -> Draft {
    let name = column(tag, value);
    let headline = format!("the input has no field `{name}` for tag `{}`", tag.as_str());
    Draft::error("unknown-field", tag.full_span(), headline)
        .known(&name, input.fields().iter().map(|field| field.name.as_str()))
}

/// Reads a transpose window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, .. } = *reading;
    let attributes = attributes(node, reader)?;
    let made = if attributes.wide { wide(reading, attributes) } else { long(reading, attributes) };
    made.map(|transpose| WindowKind::Transpose(Box::new(transpose)))
}

/// An output field that is not there, or of another type.
fn wrong(reading: &Reading<'_, '_, '_>, name: &str, ty: FieldType) -> Option<usize> {
    let Reading { node, reader, schema, .. } = *reading;
    match schema.index_of(name) {
        Some(at) if schema.fields()[at].ty == ty => Some(at),
        found => {
            let found = found.map_or("is not in it".to_owned(), |at| format!("has type {}", schema.fields()[at].ty));
            let headline = format!("the schema needs a field `{name}` of type {ty}, which {found}");
            let draft = Draft::error("unknown-field", reading.name.full_span(), headline)
                .help("leave the schema out: it follows from the input and the tags");
            reader.report.add(node, draft);
            None
        }
    }
}

/// Same-named input fields of equal type.
fn copies(reading: &Reading<'_, '_, '_>, input: &Schema) -> Vec<Option<usize>> {
    let same = |field: &Field| input.index_of(&field.name).filter(|&at| input.fields()[at].ty == field.ty);
    reading.schema.fields().iter().map(same).collect()
}

fn long(reading: &Reading<'_, '_, '_>, attributes: Attributes) -> Option<Transpose> {
    let input = reading.input?;
    let Attributes { tag_name, values, tags, .. } = attributes;
    let mut complete = true;
    let mut of_tags = Vec::new();
    for tag in &tags {
        let mut columns = Vec::new();
        for value in &values {
            let at = input.index_of(&column(tag, value));
            if at.is_none() {
                reading.reader.report.add(reading.node, no_column(tag, value, input));
                complete = false;
            }
            columns.push(at);
        }
        of_tags.push((tag.as_str().to_owned(), columns));
    }
    let number = wrong(reading, NUMBER, FieldType::Int64);
    let tag = tag_name.map(|tag| wrong(reading, tag.as_str(), FieldType::String));
    let mut places = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let columns: Vec<usize> = of_tags.iter().filter_map(|(_, columns)| columns[at]).collect();
        let Some(&first) = columns.first() else { continue };
        for &other in &columns[1..] {
            if input.fields()[other].ty != input.fields()[first].ty {
                let headline = format!("the columns of value `{}` have different types", value.as_str());
                let draft = Draft::error("field-type", value.full_span(), headline)
                    .help("give them one type with a compute window before this one");
                reading.reader.report.add(reading.node, draft);
                complete = false;
            }
        }
        places.push(wrong(reading, value.as_str(), input.fields()[first].ty));
    }
    let values: Option<Vec<usize>> = places.into_iter().collect();
    let (number, values) = (number?, values?);
    let tag = match tag {
        Some(tag) => Some(tag?),
        None => None,
    };
    let mut copies = copies(reading, input);
    for at in values.iter().copied().chain([number]).chain(tag) {
        copies[at] = None;
    }
    complete.then_some(Transpose::Long { copies, number, tag, values, tags: of_tags })
}

fn wide(reading: &Reading<'_, '_, '_>, attributes: Attributes) -> Option<Transpose> {
    let Reading { node, reader, .. } = *reading;
    let input = reading.input?;
    let Attributes { tag_name, values, tags, group, clear_us, .. } = attributes;
    let find = |of: &str, name: &Text| {
        let at = input.index_of(name.as_str());
        if at.is_none() {
            reader.report.add(node, unknown_field(of, name, input));
        }
        at
    };
    let tag_name = tag_name?;
    let tag = find("`tag-name`", &tag_name).filter(|&at| {
        let ty = input.fields()[at].ty;
        if ty != FieldType::String {
            let headline = format!("`tag-name` names field `{}` of type {ty}, expected string", tag_name.as_str());
            reader.report.add(node, Draft::error("field-type", tag_name.full_span(), headline));
        }
        ty == FieldType::String
    });
    let groups: Vec<Option<usize>> = group.iter().map(|name| find("`group-by`", name)).collect();
    let sources: Vec<Option<usize>> = values.iter().map(|value| find("`tag-values`", value)).collect();
    let (groups, sources): (Option<Vec<usize>>, Option<Vec<usize>>) =
        (groups.into_iter().collect(), sources.into_iter().collect());
    let (tag, groups, sources) = (tag?, groups?, sources?);
    let mut columns = Vec::new();
    for of_tag in &tags {
        let pairs = values.iter().zip(&sources);
        let places: Option<Vec<(usize, usize)>> = pairs
            .map(|(value, &source)| Some((wrong(reading, &column(of_tag, value), input.fields()[source].ty)?, source)))
            .collect();
        columns.push(places?);
    }
    let mut copies = copies(reading, input);
    for &(at, _) in columns.iter().flatten() {
        copies[at] = None;
    }
    let tags = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    Some(Transpose::Wide { group: groups, tag, tags, columns, copies, clear_us })
}
