//! The event, documents, lists and maps.

use super::super::{json, xpath};
use super::{Call, Code, Entry, MANY, Property, entry, integer, list, map, text};
use crate::scalar::{Outcome, Scalar};

const fn data(
    name: &'static str,
    usage: &'static str,
    count: (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    entry("data", (name, usage), count, code)
}

const OR_TEXT: &str = "of a property, or of a text with its delimiters";

pub(super) const FUNCTIONS: &[Entry] = &[
    data("event", "event()", (0, 0), nothing).code(Code::Event).note("the input event as a JSON object"),
    data("eventCounter", "eventCounter()", (0, 0), |call, _| {
        Ok(Scalar::Integer(call.counter_start + call.state.events))
    })
    .note("running number of the window's events, from 1"),
    data("eventNumber", "eventNumber()", (0, 0), |call, _| Ok(Scalar::Integer(call.number)))
        .note("number among the events that one input event gives, from 0"),
    data("eventTimestamp", "eventTimestamp()", (0, 0), |call, _| {
        Ok(call.state.clock_us.map_or(Scalar::Null, Scalar::Integer))
    })
    .note("microseconds of the recorded clock"),
    data("guid", "guid()", (0, 0), |call, _| {
        let (high, low) = (call.state.draw(), call.state.draw());
        Ok(Scalar::text(format!(
            "{:08x}-{:04x}-5{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )))
    })
    .note("from the window's own sequence, equal on every replica"),
    data("input", "input()", (0, 0), nothing).code(Code::Input).note("name of the input window"),
    data("inputs", "inputs()", (0, 0), nothing).code(Code::Input).note("as input: an event comes from one window"),
    data("opcode", "opcode()", (0, 0), |call, _| {
        Ok(Scalar::text(match call.opcode {
            mesh_event::Opcode::Insert => "insert",
            mesh_event::Opcode::Update => "update",
            mesh_event::Opcode::UpdateBlock => "updateblock",
            mesh_event::Opcode::Upsert => "upsert",
            mesh_event::Opcode::Delete => "delete",
            mesh_event::Opcode::SafeDelete => "safedelete",
        }))
    }),
    data("xpath", "xpath(document, path [, delimiter])", (2, 3), |_, args| {
        xpath::value(&text(&args[0]), &text(&args[1]), args.get(2).map(text).as_deref())
    })
    .note("the first node's text, or all of them with a delimiter; XPath 1.0 without namespace axes"),
    data("json", "json(document, path)", (2, 2), |_, args| json::value(&text(&args[0]), &text(&args[1])))
        .note("names, [index], *; a name applied to an array means its first item that has it"),
    data("listItem", "listItem(#list, index) or listItem(text, delimiter, index)", (2, 3), nothing)
        .code(Code::Property(list_item))
        .note("the index counts from 0"),
    data("listSize", "listSize(#list) or listSize(text, delimiter)", (1, 2), nothing)
        .code(Code::Property(|property, args| Ok(Scalar::Integer(items(property, args).len() as i64)))),
    data("setContains", "setContains(#set, value) or setContains(text, delimiter, value)", (2, 3), nothing).code(
        Code::Property(|property, args| {
            let wanted = args.last().map(text).unwrap_or_default();
            Ok(Scalar::Boolean(items(property, args).iter().any(|item| *item == *wanted)))
        }),
    ),
    data("mapValue", "mapValue(#map, name) or mapValue(text, outer, inner, name)", (2, 4), nothing)
        .code(Code::Property(|property, args| {
            let wanted = args.last().map(text).unwrap_or_default();
            let entries = entries(property, args);
            let entry = entries.into_iter().find(|(name, _)| *name == *wanted);
            Ok(entry.map_or(Scalar::Null, |(_, value)| Scalar::text(value)))
        }))
        .note(OR_TEXT),
    data("mapValues", "mapValues(#map, name, ...)", (2, MANY), nothing)
        .code(Code::Property(|property, args| {
            let entries = entries(property, &args[..1]);
            let value = |wanted: &Scalar<'_>| {
                let wanted = text(wanted);
                entries.iter().find(|(name, _)| *name == *wanted).map(|(_, value)| value.as_str())
            };
            Ok(Scalar::text(args[1..].iter().filter_map(value).collect::<Vec<_>>().join(",")))
        }))
        .note("the values, joined by commas"),
    data("lookup", "lookup(#map, name [, otherwise])", (2, 3), nothing)
        .code(Code::Property(|property, args| {
            let wanted = text(&args[1]);
            let entries = entries(property, &args[..1]);
            let entry = entries.into_iter().find(|(name, _)| *name == *wanted);
            let otherwise = || args.get(2).map_or(Scalar::Null, |value| value.clone().into_owned());
            Ok(entry.map_or_else(otherwise, |(_, value)| Scalar::text(value)))
        }))
        .note("the map's value, or the third argument"),
];

/// Functions with code of their own are not called this way.
fn nothing(_: &mut Call<'_>, _: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(Scalar::Null)
}

fn items(property: Option<&Property>, args: &[Scalar<'_>]) -> Vec<String> {
    match property {
        Some(property) if !property.values.is_empty() => property.values.clone(),
        Some(property) if property.text.is_empty() => Vec::new(),
        Some(property) => list(&property.text, ","),
        None if args[0].is_null() => Vec::new(),
        None => list(
            &text(&args[0]),
            &if args.len() > 2 || args.len() == 2 && args[1].kind() == Some(crate::Type::String) {
                text(&args[1]).into_owned()
            } else {
                ",".to_owned()
            },
        ),
    }
}

fn list_item(property: Option<&Property>, args: &[Scalar<'_>]) -> Outcome<'static> {
    let Some(at) = args.last().filter(|at| !at.is_null()) else { return Ok(Scalar::Null) };
    let at = usize::try_from(integer(at)?).unwrap_or(usize::MAX);
    Ok(items(property, args).into_iter().nth(at).map_or(Scalar::Null, Scalar::text))
}

fn entries(property: Option<&Property>, args: &[Scalar<'_>]) -> Vec<(String, String)> {
    match (property, args) {
        (Some(property), _) if !property.entries.is_empty() => property.entries.clone(),
        (Some(property), _) => map(&property.text, ",", "="),
        (None, [whole, outer, inner, ..]) => map(&text(whole), &text(outer), &text(inner)),
        (None, [whole, ..]) => map(&text(whole), ",", "="),
        (None, []) => Vec::new(),
    }
}
