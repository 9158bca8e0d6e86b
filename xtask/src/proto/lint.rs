//! The rules for `.proto` files: those of `buf`'s standard set that matter here, and that everything says what it is.

use super::descriptor::{Files, Item, What};

/// Shortest comment that can say something.
const COMMENT_CHARS_MIN: usize = 4;

/// What breaks a rule, a line each.
pub fn findings(files: &Files) -> Vec<String> {
    let mut found: Vec<String> =
        files.0.iter().flat_map(|file| place(file.name(), file.package(), file.syntax())).collect();
    for item in files.items() {
        let at = format!("{}: `{}`", item.file.name(), item.name);
        found.extend(name(&item).map(|expected| format!("{at}: expected {expected}, found `{}`", item.short)));
        // nobody sees the name of a group of fields in an answer
        let said = item.comment.chars().count() >= COMMENT_CHARS_MIN && item.comment.ends_with(['.', ':', ')']);
        if !said {
            found.push(format!(
                "{at}: expected a comment before it that ends with a full stop, found `{}`",
                item.comment
            ));
        }
        if let What::Enum(known) = &item.what {
            found.extend(zero(known.value.first().map(|value| (value.name(), value.number())), &item.short, &at));
        }
    }
    found
}

/// `mesh/<name>/v<N>/<file>.proto` holds package `mesh.<name>.v<N>`.
fn place(file: &str, package: &str, syntax: &str) -> Vec<String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    if folder.replace('/', ".") != package {
        found.push(format!("{file}: expected package `{}`, found `{package}`", folder.replace('/', ".")));
    }
    let version = package.rsplit('.').next().unwrap_or_default();
    if !version.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0)) {
        found.push(format!("{file}: expected a package that ends with its version, such as `.v1`, found `{package}`"));
    }
    if syntax != "proto3" {
        found.push(format!("{file}: expected syntax proto3, found `{syntax}`"));
    }
    found
}

/// How a name should look; `None`: it does.
fn name(item: &Item<'_>) -> Option<&'static str> {
    let pascal = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let snake = |name: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && !name.contains("__")
    };
    let (good, expected) = match &item.what {
        What::Service | What::Call { .. } | What::Message(_) | What::Enum(_) => {
            (pascal(&item.short), "a name in PascalCase")
        }
        What::Field(..) | What::OneOf => (snake(&item.short), "a name in lower_snake_case"),
        What::Value(_) => {
            let known = item.name.rsplit('.').nth(1).unwrap_or_default();
            (
                item.short.starts_with(&format!("{}_", upper_snake(known))),
                "a name that starts with its enum's, in UPPER_SNAKE_CASE",
            )
        }
    };
    (!good).then_some(expected)
}

/// Old readers see 0 where they were told something new, so 0 must mean nothing.
fn zero(first: Option<(&str, i32)>, known: &str, at: &str) -> Option<String> {
    let expected = format!("{}_UNSPECIFIED", upper_snake(known));
    match first {
        Some((name, 0)) if name == expected => None,
        found => Some(format!("{at}: expected `{expected} = 0` as its first value, found {found:?}")),
    }
}

fn upper_snake(pascal: &str) -> String {
    let mut text = String::new();
    for (at, c) in pascal.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::{
        DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    };

    #[test]
    fn every_broken_rule_is_told_with_place_and_expectation() {
        let text = |name: &str| Some(name.to_owned());
        let value = EnumValueDescriptorProto { name: text("RED"), number: Some(1), ..Default::default() };
        let file = FileDescriptorProto {
            name: text("mesh/paint/v1/paint.proto"),
            package: text("mesh.paint"),
            syntax: text("proto3"),
            message_type: vec![DescriptorProto {
                name: text("wall"),
                field: vec![FieldDescriptorProto { name: text("Height"), ..Default::default() }],
                ..Default::default()
            }],
            enum_type: vec![EnumDescriptorProto { name: text("WallColour"), value: vec![value], ..Default::default() }],
            ..Default::default()
        };
        let found = findings(&Files(vec![file])).join("\n");
        for part in [
            "expected package `mesh.paint.v1`, found `mesh.paint`",
            "ends with its version",
            "`mesh.paint.wall`: expected a name in PascalCase, found `wall`",
            "`mesh.paint.wall.Height`: expected a name in lower_snake_case",
            "`mesh.paint.WallColour.RED`: expected a name that starts with its enum's",
            "expected `WALL_COLOUR_UNSPECIFIED = 0` as its first value, found Some((\"RED\", 1))",
            "expected a comment before it",
        ] {
            assert!(found.contains(part), "{part} in\n{found}");
        }
    }
}
