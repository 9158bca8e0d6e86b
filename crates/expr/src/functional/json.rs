//! Paths into JSON documents: `$.list[0].name`, `list.*.name`; a name applied to an array means its items.

use serde_json::Value;

use crate::scalar::{Outcome, Scalar};

/// Longest path in parts.
const MAX_PARTS: usize = 100;
/// Most values that a path may look at.
const MAX_VALUES: usize = 1_000_000;

const NO_DOCUMENT: &str = "the text is no JSON document";
const NO_PATH: &str = "the path is no JSON path";
const TOO_MUCH: &str = "the JSON path finds more than 1000000 values";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(String),
    Index(usize),
    All,
    /// `..`: here and everywhere below.
    Below,
}

/// Whether a text is a path that can be run here.
pub(super) fn check(path: &str) -> Result<(), String> {
    parse(path).map(|_| ())
}

fn parse(path: &str) -> Result<Vec<Part>, String> {
    let mut rest = path.trim();
    rest = rest.strip_prefix('$').unwrap_or(rest);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if parts.len() == MAX_PARTS {
            return Err(format!("the JSON path has more than {MAX_PARTS} parts"));
        }
        if let Some(after) = rest.strip_prefix("..") {
            parts.push(Part::Below);
            rest = after;
        } else if let Some(after) = rest.strip_prefix(['.', '/']) {
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').ok_or_else(|| format!("`]` is missing in the JSON path `{path}`"))?;
            let inside = after[..end].trim();
            let quoted = inside.trim_matches(['\'', '"']);
            parts.push(match inside.parse() {
                _ if inside == "*" => Part::All,
                Ok(index) => Part::Index(index),
                Err(_) if quoted.len() < inside.len() => Part::Name(quoted.to_owned()),
                Err(_) => return Err(format!("`[{inside}]` in the JSON path `{path}` is neither an index nor a name")),
            });
            rest = &after[end + 1..];
        } else {
            let end = rest.find(['.', '/', '[']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            parts.push(if name == "*" { Part::All } else { Part::Name(name.to_owned()) });
            rest = &rest[end..];
        }
    }
    Ok(parts)
}

/// The values that a path finds, in the order of the document.
fn find<'v>(document: &'v Value, parts: &[Part]) -> Result<Vec<&'v Value>, &'static str> {
    let mut values = vec![document];
    for part in parts {
        let mut next = Vec::new();
        for value in values {
            apply(value, part, &mut next);
            if next.len() > MAX_VALUES {
                return Err(TOO_MUCH);
            }
        }
        values = next;
    }
    Ok(values)
}

fn apply<'v>(value: &'v Value, part: &Part, out: &mut Vec<&'v Value>) {
    match (part, value) {
        (Part::Name(name), Value::Object(object)) => out.extend(object.get(name)),
        (Part::Name(_), Value::Array(items)) => items.iter().for_each(|item| apply(item, part, out)),
        (Part::Index(index), Value::Array(items)) => out.extend(items.get(*index)),
        (Part::All, Value::Array(items)) => out.extend(items),
        (Part::All, Value::Object(object)) => out.extend(object.values()),
        (Part::Below, _) => below(value, out),
        _ => {}
    }
}

fn below<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
    // serde_json reads no deeper than 128 levels.
    match value {
        Value::Object(object) => {
            out.push(value);
            object.values().for_each(|value| below(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| below(item, out)),
        _ => {}
    }
}

fn read(document: &str) -> Result<Value, &'static str> {
    serde_json::from_str(document.trim_start_matches('\u{feff}')).map_err(|_| NO_DOCUMENT)
}

/// The first value that a path finds; objects and arrays as their text.
pub(super) fn value(document: &str, path: &str) -> Outcome<'static> {
    let parts = parse(path).map_err(|_| NO_PATH)?;
    let document = read(document)?;
    Ok(match find(&document, &parts)?.first() {
        None | Some(Value::Null) => Scalar::Null,
        Some(Value::Bool(value)) => Scalar::Boolean(*value),
        Some(Value::String(text)) => Scalar::text(text.clone()),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Scalar::Integer(value),
            (None, Some(value)) => Scalar::Real(value),
            (None, None) => Scalar::text(number.to_string()),
        },
        Some(other) => Scalar::text(other.to_string()),
    })
}

/// The items that a path finds, as documents; an array gives its items.
pub(super) fn items(document: &str, path: &str) -> Result<Vec<String>, &'static str> {
    let parts = parse(path).map_err(|_| NO_PATH)?;
    let document = read(document)?;
    let found = find(&document, &parts)?;
    let mut items = Vec::new();
    for value in found {
        match value {
            Value::Array(inside) => items.extend(inside.iter().map(Value::to_string)),
            other => items.push(other.to_string()),
        }
    }
    Ok(items)
}

/// A value as JSON.
pub(super) fn of(value: &Scalar<'_>) -> Value {
    match value {
        Scalar::Null => Value::Null,
        Scalar::Integer(value) => Value::from(*value),
        Scalar::Real(value) => Value::from(*value),
        Scalar::Boolean(value) => Value::from(*value),
        Scalar::Text(text) => Value::from(text.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let document = r#"{"a":{"b":[{"c":1},{"c":2.5},{"d":"x"}]},"e f":true,"n":null}"#;
        let table = [
            ("a.b[1].c", Scalar::Real(2.5)),
            ("$.a.b[0].c", Scalar::Integer(1)),
            ("a.b.d", Scalar::text("x")),
            ("a/b/c", Scalar::Integer(1)),
            ("['e f']", Scalar::Boolean(true)),
            ("e f", Scalar::Boolean(true)),
            ("$..d", Scalar::text("x")),
            ("a.b[*].c", Scalar::Integer(1)),
            ("n", Scalar::Null),
            ("a.x", Scalar::Null),
            ("a.b[2]", Scalar::text("{\"d\":\"x\"}")),
        ];
        for (path, expected) in table {
            assert_eq!(value(document, path), Ok(expected), "{path}");
        }
        assert_eq!(items(document, "a.b"), Ok(vec!["{\"c\":1}".into(), "{\"c\":2.5}".into(), "{\"d\":\"x\"}".into()]));
        assert_eq!(value("{", "a"), Err(NO_DOCUMENT));
        assert!(check("a[").is_err());
    }
}
