//! Source windows, and the retention of source and copy windows.

use mesh_event::FieldType;
use roxmltree::Node;

use crate::project::{Index, Retention, RetentionKind, WindowKind};
use crate::report::{Draft, bad_value, tag_span, unknown_field};
use crate::text::Text;
use crate::window::Reading;

/// Reads what is special about a source window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> WindowKind {
    let Reading { node, reader, schema, .. } = reading;
    let insert_only = reader.flag(*node, "insert-only").unwrap_or(false);
    let autogen_key = reader.flag(*node, "autogen-key").unwrap_or(false);
    if autogen_key && let Some(attribute) = node.attribute_node("autogen-key") {
        let keys: Vec<String> = schema
            .keys()
            .iter()
            .map(|key| &schema.fields()[*key])
            .map(|field| format!("{}:{}", field.name, field.ty))
            .collect();
        let fits = matches!(
            schema.keys(),
            [key] if matches!(schema.fields()[*key].ty, FieldType::Int64 | FieldType::String)
        );
        if !fits {
            let headline =
                format!("autogen-key needs one key field of type int64 or string, found {}", keys.join(", "));
            let draft = Draft::error("autogen-key", attribute.range_qname(), headline)
                .help("make the key `id*:int64`, or let the publisher send the key");
            reader.report.add(*node, draft);
        }
        if !insert_only {
            let draft = Draft::error("autogen-key", attribute.range_qname(), "autogen-key needs insert-only=\"true\"")
                .help("add insert-only=\"true\": an event with a new key can only be an insert");
            reader.report.add(*node, draft);
        }
    }
    WindowKind::Source { insert_only, autogen_key }
}

const KINDS: [&str; 5] =
    ["bytime_sliding", "bytime_jumping", "bycount_sliding", "bycount_jumping", "bytime_jumping_lookback"];

/// Reads the retention of a window, if it has one.
pub(crate) fn retention(reading: &Reading<'_, '_, '_>, index: Index) -> Option<Retention> {
    let Reading { node, reader, .. } = reading;
    let mut elements = node.children().filter(|child| child.has_tag_name("retention"));
    let element = elements.next()?;
    if let Some(second) = elements.next() {
        let draft = Draft::error("two-retentions", tag_span(second), "the window has two retentions")
            .help("chain two copy windows, each with one retention");
        reader.report.add(second, draft);
    }
    reader.check_attributes(element, &[&["type", "field", "unit"]]);
    if index == Index::None {
        let draft =
            Draft::error("retention-index", tag_span(element), "retention needs rows, but the index is pi_EMPTY")
                .help("use index=\"pi_HASH\" or index=\"pi_RBTREE\"");
        reader.report.add(element, draft);
    }
    let kind = retention_kind(reading, element);
    let field = retention_field(reading, element);
    let kind = kind?;
    let counts = matches!(kind, RetentionKind::ByCountSliding { .. } | RetentionKind::ByCountJumping { .. });
    if counts && let Some(attribute) = element.attribute_node("field") {
        let draft =
            Draft::warning("unused-field", attribute.range_qname(), "`field` means nothing for a retention by count")
                .help("remove it");
        reader.report.add(element, draft);
        return Some(Retention { kind, field: None });
    }
    Some(Retention { kind, field: field? })
}

/// The outer `None`: wrong, and reported.
fn retention_field(reading: &Reading<'_, '_, '_>, element: Node<'_, '_>) -> Option<Option<usize>> {
    let Reading { reader, schema, .. } = reading;
    let Some(name) = reader.attribute(element, "field").filter(|text| !text.is_empty()) else { return Some(None) };
    let Some(index) = schema.index_of(name.as_str()) else {
        reader.report.add(element, unknown_field("`retention`", &name, schema));
        return None;
    };
    let ty = schema.fields()[index].ty;
    if !matches!(ty, FieldType::Date | FieldType::Stamp) {
        let headline = format!("retention field `{}` has type {ty}, expected date or stamp", name.as_str());
        let draft = Draft::error("field-type", name.full_span(), headline)
            .help("name a date or stamp field, or leave `field` out to use the clock");
        reader.report.add(element, draft);
        return None;
    }
    Some(Some(index))
}

fn retention_kind(reading: &Reading<'_, '_, '_>, element: Node<'_, '_>) -> Option<RetentionKind> {
    let reader = reading.reader;
    let ty = reader.required(element, "type");
    let text = reader.text(element);
    let ty = ty?;
    let chosen = KINDS.iter().position(|kind| ty.as_str().eq_ignore_ascii_case(kind));
    match chosen {
        Some(at @ (0 | 1)) => {
            let unit = reader.attribute(element, "unit");
            let us = duration(text.as_str(), unit.as_ref()).or_else(|| {
                let expected = "a time such as `30 minutes` (milliseconds, seconds, minutes, hours, days)";
                reader.report.add(element, bad_value("the retention", &text, expected));
                None
            })?;
            Some(if at == 0 { RetentionKind::ByTimeSliding { us } } else { RetentionKind::ByTimeJumping { us } })
        }
        Some(at @ (2 | 3)) => {
            let n = text.as_str().parse::<u64>().ok().filter(|n| *n > 0).or_else(|| {
                reader.report.add(element, bad_value("the retention", &text, "a number of rows from 1"));
                None
            })?;
            Some(if at == 2 { RetentionKind::ByCountSliding { n } } else { RetentionKind::ByCountJumping { n } })
        }
        Some(_) => {
            // The unit is the period; what is kept at each jump is the span.
            let unit = reader.attribute(element, "unit");
            let unit_of_text = text.as_str().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let one = format!("1{unit_of_text}");
            match (duration(text.as_str(), unit.as_ref()), duration(&one, unit.as_ref())) {
                (Some(span_us), Some(us)) => Some(RetentionKind::ByTimeLookback { us, span_us }),
                _ => {
                    let expected = "a span such as `2 hours`: every hour the rows leave that are two hours old";
                    reader.report.add(element, bad_value("the retention", &text, expected));
                    None
                }
            }
        }
        None => {
            let draft = bad_value("`type`", &ty, "a retention type").known(ty.as_str(), KINDS);
            reader.report.add(element, draft);
            None
        }
    }
}

/// Microseconds of `30 minutes`, `2s`, or a bare number of seconds.
pub(crate) fn duration(text: &str, unit: Option<&Text>) -> Option<i64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let mut word = text[split..].trim().to_ascii_lowercase();
    if word.is_empty() {
        word = unit.map(|unit| unit.as_str().to_ascii_lowercase()).unwrap_or_default();
    }
    let us = match word.as_str() {
        "microsecond" | "microseconds" | "us" => 1.0,
        "millisecond" | "milliseconds" | "msec" | "ms" => 1e3,
        "" | "second" | "seconds" | "sec" | "secs" | "s" => 1e6,
        "minute" | "minutes" | "min" | "mins" | "m" => 60e6,
        "hour" | "hours" | "h" => 3_600e6,
        "day" | "days" | "d" => 86_400e6,
        _ => return None,
    };
    let us = (number * us).round();
    (1.0..9e18).contains(&us).then_some(us as i64)
}
