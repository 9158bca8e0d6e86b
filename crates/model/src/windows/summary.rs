//! Calculate windows with the algorithm Summary: statistics over the last events.

use std::collections::BTreeMap;

use mesh_event::FieldType;
use roxmltree::Node;

use crate::project::{SummaryField, SummaryStat, WindowKind};
use crate::report::{Draft, bad_value, duplicate, tag_span, unknown_field};
use crate::schemas::missing_property;
use crate::text::Text;
use crate::window::Reading;
use crate::windows::compute::key_source;
use crate::windows::functional::copied;

/// Largest `windowLength`: the values are kept in memory.
const MAX_WINDOW_LENGTH: usize = 10_000_000;

/// Confidence intervals are of 95 % unless `alpha` says otherwise.
pub(crate) const DEFAULT_ALPHA: f64 = 0.05;

/// Reads a calculate window whose algorithm is Summary.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let (window_length, alpha) = parameters(reading);
    let input = input_field(reading);
    let (stats, mut complete) = output_map(reading);
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        if let Some(stat) = stats.get(&index) {
            fields.push(SummaryField::Stat(*stat));
        } else if field.key {
            match key_source(node, field, reading.input?, reader) {
                Some(source) => fields.push(SummaryField::Copy(source)),
                None => complete = false,
            }
        } else {
            match copied(reading, field, complete) {
                Some(source) => fields.push(source.map_or(SummaryField::Null, SummaryField::Copy)),
                None => complete = false,
            }
        }
    }
    let (window_length, alpha, input) = (window_length?, alpha?, input?);
    if complete { Some(WindowKind::Summary { window_length, input, alpha, fields }) } else { None }
}

/// The length of the window, and alpha.
fn parameters(reading: &Reading<'_, '_, '_>) -> (Option<usize>, Option<f64>) {
    let Reading { node, reader, .. } = *reading;
    let (mut length, mut alpha) = (Some(0), Some(DEFAULT_ALPHA));
    let lists = node.children().filter(|child| child.has_tag_name("parameters"));
    for (name, value, element) in lists.flat_map(|list| reader.property_list(list)) {
        match name.as_str() {
            "windowLength" => {
                length = value.as_str().parse().ok().filter(|length| *length <= MAX_WINDOW_LENGTH);
                if length.is_none() {
                    let expected = format!("a number of events from 0 (= since the start) to {MAX_WINDOW_LENGTH}");
                    reader.report.add(element, bad_value("`windowLength`", &value, &expected));
                }
            }
            "alpha" => {
                alpha = value.as_str().parse().ok().filter(|alpha| *alpha > 0.0 && *alpha < 1.0);
                if alpha.is_none() {
                    let expected = "a number between 0 and 1, for example 0.05 for intervals of 95 %";
                    reader.report.add(element, bad_value("`alpha`", &value, expected));
                }
            }
            // They shape an output that Summary does not have here.
            "sampleEntropyTolerance" | "sampleEntropyNormalize" | "sampleEntropyTemplateLength" => {}
            other => {
                let headline = format!("Summary has no parameter `{other}`, it is ignored");
                let draft = Draft::warning("unknown-parameter", name.full_span(), headline)
                    .known(other, ["windowLength", "alpha"]);
                reader.report.add(element, draft);
            }
        }
    }
    (length, alpha)
}

fn input_field(reading: &Reading<'_, '_, '_>) -> Option<usize> {
    let Reading { node, reader, .. } = *reading;
    let schema = reading.input?;
    let Some(map) = reader.child(node, "input-map") else {
        reader.report.add(node, missing_property(node, "input-map", "input", "field"));
        return None;
    };
    let mut found = None;
    for (name, value, element) in reader.property_list(map) {
        if name.as_str() != "input" {
            let headline = format!("Summary has no input `{}`, it is ignored", name.as_str());
            let draft = Draft::warning("unknown-role", name.full_span(), headline).known(name.as_str(), ["input"]);
            reader.report.add(element, draft);
            continue;
        }
        let Some(index) = schema.index_of(value.as_str()) else {
            reader.report.add(element, unknown_field("`input`", &value, schema));
            return None;
        };
        let ty = schema.fields()[index].ty;
        if !ty.is_numeric() {
            let headline = format!("Summary needs a number, field `{}` has type {ty}", value.as_str());
            let draft = Draft::error("field-type", value.full_span(), headline)
                .help("name a field of type int32, int64, double or money");
            reader.report.add(element, draft);
            return None;
        }
        found = Some(index);
    }
    if found.is_none() {
        reader.report.add(map, missing_property(map, "input-map", "input", "field"));
    }
    found
}

/// Statistics by output field, and whether all of the map is right.
fn output_map(reading: &Reading<'_, '_, '_>) -> (BTreeMap<usize, SummaryStat>, bool) {
    let Reading { node, reader, schema, .. } = *reading;
    let mut stats = BTreeMap::new();
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    let mut complete = true;
    let Some(map) = reader.child(node, "output-map") else {
        let draft = Draft::error("missing-element", tag_span(node), "the window maps no statistic to a field")
            .help("add <output-map><properties><property name=\"meanOut\">field</property></properties></output-map>");
        reader.report.add(node, draft);
        return (stats, false);
    };
    for (name, value, element) in reader.property_list(map) {
        let Some(stat) = stat_of(&name, element, reading) else {
            complete = false;
            continue;
        };
        let Some(index) = schema.index_of(value.as_str()) else {
            reader.report.add(element, unknown_field(&format!("`{}`", name.as_str()), &value, schema));
            complete = false;
            continue;
        };
        let field = &schema.fields()[index];
        if field.key || !matches!(field.ty, FieldType::Int32 | FieldType::Int64 | FieldType::Double | FieldType::Money)
        {
            let what = if field.key { "is a key".to_owned() } else { format!("has type {}", field.ty) };
            let headline = format!("a statistic cannot be put into field `{}`, which {what}", field.name);
            let draft = Draft::error("field-type", value.full_span(), headline)
                .help("use a non-key field of type double, int64, int32 or money");
            reader.report.add(element, draft);
            complete = false;
            continue;
        }
        let line = reader.report.line(element.range().start);
        if let Some(first) = lines.insert(index, line) {
            reader.report.add(element, duplicate("output field", &value, first));
            complete = false;
        }
        stats.insert(index, stat);
    }
    (stats, complete)
}

fn stat_of(name: &Text, element: Node<'_, '_>, reading: &Reading<'_, '_, '_>) -> Option<SummaryStat> {
    if let Some((_, stat)) = SummaryStat::ALL.into_iter().find(|(known, _)| *known == name.as_str()) {
        return Some(stat);
    }
    let headline = format!("Summary has no output `{}`", name.as_str());
    let draft = Draft::error("unknown-statistic", name.full_span(), headline)
        .known(name.as_str(), SummaryStat::ALL.map(|(known, _)| known));
    reading.reader.report.add(element, draft);
    None
}
