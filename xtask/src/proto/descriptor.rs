//! The descriptor set: what stands in the `.proto` files, with their comments.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

// numbers of fields of descriptor.proto, of which the paths of comments are made
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const FIELDS: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;
const ONEOFS: i32 = 8;

/// The files of our packages.
pub struct Files(pub Vec<FileDescriptorProto>);

/// Something that has a name and a comment.
pub struct Item<'a> {
    /// File that it stands in.
    pub file: &'a FileDescriptorProto,
    /// Full name, as in `mesh.engine.v1.Engine.Status`; a field is behind its message.
    pub name: String,
    /// Name without what is before it.
    pub short: String,
    /// The comment before it.
    pub comment: String,
    /// What it is.
    pub what: What<'a>,
}

/// What an item is.
pub enum What<'a> {
    /// A service.
    Service,
    /// A call, with its messages' full names.
    Call {
        /// Request.
        request: String,
        /// Answer.
        answer: String,
        /// A stream of requests.
        streams_in: bool,
        /// A stream of answers.
        streams_out: bool,
    },
    /// A message.
    Message(&'a DescriptorProto),
    /// A field.
    Field(&'a FieldDescriptorProto, &'a DescriptorProto),
    /// Fields of which one is set.
    OneOf,
    /// An enum.
    Enum(&'a EnumDescriptorProto),
    /// A value of an enum.
    Value(i32),
}

struct Walk<'a> {
    file: &'a FileDescriptorProto,
    comments: BTreeMap<Vec<i32>, String>,
    items: Vec<Item<'a>>,
}

impl Files {
    /// Reads a descriptor set, and keeps what is ours.
    pub fn read(file: &Path) -> Result<Files> {
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let set = FileDescriptorSet::decode(bytes.as_slice())
            .with_context(|| format!("{} is no descriptor set", file.display()))?;
        let files: Vec<_> = set.file.into_iter().filter(|file| file.package().starts_with("mesh.")).collect();
        ensure!(!files.is_empty(), "{}: expected packages `mesh.*`, found none", file.display());
        Ok(Files(files))
    }

    /// The same as bytes, without comments.
    pub fn without_comments(&self) -> Vec<u8> {
        let bare = |file: &FileDescriptorProto| FileDescriptorProto { source_code_info: None, ..file.clone() };
        FileDescriptorSet { file: self.0.iter().map(bare).collect() }.encode_to_vec()
    }

    /// Everything, in the order of the files.
    pub fn items(&self) -> Vec<Item<'_>> {
        self.0.iter().flat_map(Walk::over).collect()
    }
}

impl<'a> Walk<'a> {
    fn over(file: &'a FileDescriptorProto) -> Vec<Item<'a>> {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations
            .filter_map(|location| Some((location.path.clone(), location.leading_comments.as_deref()?)))
            .map(|(path, comment)| (path, tidy(comment)));
        let mut walk = Walk { file, comments: comments.collect(), items: Vec::new() };
        let package = file.package();
        for (index, service) in (0..).zip(&file.service) {
            let name = format!("{package}.{}", service.name());
            walk.item(&[SERVICES, index], &name, What::Service);
            for (call, method) in (0..).zip(&service.method) {
                let what = What::Call {
                    request: method.input_type().trim_start_matches('.').to_owned(),
                    answer: method.output_type().trim_start_matches('.').to_owned(),
                    streams_in: method.client_streaming(),
                    streams_out: method.server_streaming(),
                };
                walk.item(&[SERVICES, index, FIELDS, call], &format!("{name}.{}", method.name()), what);
            }
        }
        for (index, message) in (0..).zip(&file.message_type) {
            walk.message(&[MESSAGES, index], package, message);
        }
        for (index, known) in (0..).zip(&file.enum_type) {
            walk.known_values(&[ENUMS, index], package, known);
        }
        walk.items
    }

    fn item(&mut self, path: &[i32], name: &str, what: What<'a>) {
        let comment = self.comments.get(path).cloned().unwrap_or_default();
        let short = name.rsplit('.').next().unwrap_or(name).to_owned();
        self.items.push(Item { file: self.file, name: name.to_owned(), short, comment, what });
    }

    fn message(&mut self, path: &[i32], inside: &str, message: &'a DescriptorProto) {
        if message.options.as_ref().is_some_and(|options| options.map_entry()) {
            return; // a map's entry is written by nobody
        }
        let name = format!("{inside}.{}", message.name());
        self.item(path, &name, What::Message(message));
        for (index, field) in (0..).zip(&message.field) {
            let what = What::Field(field, message);
            self.item(&[path, &[FIELDS, index]].concat(), &format!("{name}.{}", field.name()), what);
        }
        for (index, one_of) in (0..).zip(&message.oneof_decl) {
            // an optional field has one of its own, which nobody writes
            if message.field.iter().any(|field| field.oneof_index == Some(index) && field.proto3_optional()) {
                continue;
            }
            self.item(&[path, &[ONEOFS, index]].concat(), &format!("{name}.{}", one_of.name()), What::OneOf);
        }
        for (index, nested) in (0..).zip(&message.nested_type) {
            self.message(&[path, &[NESTED, index]].concat(), &name, nested);
        }
        for (index, nested) in (0..).zip(&message.enum_type) {
            self.known_values(&[path, &[NESTED_ENUMS, index]].concat(), &name, nested);
        }
    }

    fn known_values(&mut self, path: &[i32], inside: &str, known: &'a EnumDescriptorProto) {
        let name = format!("{inside}.{}", known.name());
        self.item(path, &name, What::Enum(known));
        for (index, value) in (0..).zip(&known.value) {
            let what = What::Value(value.number());
            self.item(&[path, &[FIELDS, index]].concat(), &format!("{name}.{}", value.name()), what);
        }
    }
}

fn tidy(comment: &str) -> String {
    comment.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The type of a field as a `.proto` file writes it, with full names.
pub fn field_type(field: &FieldDescriptorProto, of: &DescriptorProto) -> String {
    let named = field.type_name().trim_start_matches('.');
    let entry = of.nested_type.iter().find(|nested| {
        nested.options.as_ref().is_some_and(|options| options.map_entry()) && named.ends_with(nested.name())
    });
    if let Some([key, value]) = entry.map(|entry| entry.field.as_slice()) {
        return format!("map<{}, {}>", scalar(key), scalar(value));
    }
    match field.label() {
        Label::Repeated => format!("repeated {}", scalar(field)),
        _ if field.proto3_optional() => format!("optional {}", scalar(field)),
        _ => scalar(field),
    }
}

fn scalar(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum | Type::Group => field.type_name().trim_start_matches('.').to_owned(),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}
