//! Whether somebody who was built with what was released can still talk to what is there now.
//!
//! Both are written down as facts, a line each; a fact that is missing or reads differently breaks somebody. Names count
//! as well as numbers: grpcurl and JSON go by them.

use std::collections::BTreeMap;

use super::descriptor::{Files, What, field_type};

/// What is broken, a line each.
pub fn findings(released: &Files, present: &Files) -> Vec<String> {
    let (before, now) = (facts(released), facts(present));
    let mut found = Vec::new();
    for (fact, was) in &before {
        match now.get(fact) {
            Some(is) if is == was => {}
            Some(is) => {
                found.push(format!("{fact} was `{was}` when it was released, and is `{is}` now: give it a new number"))
            }
            None if is_reserved(fact, present) => {}
            None => found.push(format!("{fact} (`{was}`) was released, and is gone: keep it, or reserve its number")),
        }
    }
    found
}

fn facts(files: &Files) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for item in files.items() {
        let inside = item.name.rsplit_once('.').map_or("", |(inside, _)| inside);
        let (fact, text) = match &item.what {
            What::Service => (format!("service {}", item.name), String::new()),
            What::Call { request, answer, streams_in, streams_out } => {
                let stream = |yes: &bool| if *yes { "stream " } else { "" };
                let text = format!("{}{request} -> {}{answer}", stream(streams_in), stream(streams_out));
                (format!("call {}", item.name), text)
            }
            What::Message(_) => (format!("message {}", item.name), String::new()),
            What::Field(field, message) => {
                let one_of = field.oneof_index.filter(|_| !field.proto3_optional());
                let one_of = one_of.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
                let one_of = one_of.map_or(String::new(), |one_of| format!(" in {}", one_of.name()));
                let text = format!("{} {}{one_of}", field_type(field, message), item.short);
                (format!("field {inside} {}", field.number()), text)
            }
            What::Enum(_) => (format!("enum {}", item.name), String::new()),
            What::Value(number) => (format!("value {inside} {number}"), item.short.clone()),
            What::OneOf => continue, // part of its fields
        };
        facts.insert(fact, text);
    }
    facts
}

/// A field may go when nobody can take its number.
fn is_reserved(fact: &str, present: &Files) -> bool {
    let mut words = fact.split(' ');
    let (Some("field"), Some(message), Some(number)) = (words.next(), words.next(), words.next()) else { return false };
    let Ok(number) = number.parse::<i32>() else { return false };
    present.items().iter().any(|item| match &item.what {
        What::Message(found) if item.name == message => {
            found.reserved_range.iter().any(|range| (range.start()..range.end()).contains(&number))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::descriptor_proto::ReservedRange;
    use prost_types::field_descriptor_proto::Type;
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

    fn files(fields: &[(&str, i32, Type)], reserved: &[(i32, i32)]) -> Files {
        let field = |(name, number, kind): &(&str, i32, Type)| FieldDescriptorProto {
            name: Some((*name).to_owned()),
            number: Some(*number),
            r#type: Some((*kind).into()),
            ..Default::default()
        };
        let range = |&(start, end): &(i32, i32)| ReservedRange { start: Some(start), end: Some(end) };
        let message = DescriptorProto {
            name: Some("Wall".into()),
            field: fields.iter().map(field).collect(),
            reserved_range: reserved.iter().map(range).collect(),
            ..Default::default()
        };
        let package = Some("mesh.paint.v1".to_owned());
        Files(vec![FileDescriptorProto { package, message_type: vec![message], ..Default::default() }])
    }

    #[test]
    fn what_is_added_breaks_nobody_and_what_is_changed_or_gone_does() {
        let released = files(&[("height", 1, Type::Uint32), ("colour", 2, Type::String)], &[]);
        let added = files(&[("height", 1, Type::Uint32), ("colour", 2, Type::String), ("width", 3, Type::Uint32)], &[]);
        assert_eq!(findings(&released, &added), Vec::<String>::new());
        let changed = files(&[("height", 1, Type::Int32), ("paint", 2, Type::String)], &[]);
        let found = findings(&released, &changed).join("\n");
        assert!(found.contains("field mesh.paint.v1.Wall 1 was `uint32 height`"), "{found}");
        assert!(found.contains("was `string colour` when it was released, and is `string paint` now"), "{found}");
        let gone = files(&[("height", 1, Type::Uint32)], &[]);
        assert!(findings(&released, &gone)[0].contains("is gone: keep it, or reserve its number"));
        assert_eq!(findings(&released, &files(&[("height", 1, Type::Uint32)], &[(2, 3)])), Vec::<String>::new());
        let empty = Files(vec![FileDescriptorProto::default()]);
        assert!(findings(&released, &empty)[2].starts_with("message mesh.paint.v1.Wall"), "the message itself");
    }
}
