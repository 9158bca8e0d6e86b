//! Notification windows: fields by functions, and templates that become functions too.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use mesh_expr::FunctionCompiler;
use roxmltree::Node;

use crate::notification::{Channel, MailServer, Notification};
use crate::project::{EVENT_COUNTER_START, WindowKind};
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, tag_span};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::compute::report_expression;
use crate::windows::functional::{contexts, function_elements, properties};
use crate::windows::source::duration;

/// Kinds of channels, and the tags of their parts.
const KINDS: [(&str, &str, &str); 4] = [
    ("email", "email-info", "email-contents"),
    ("sms", "sms-info", "sms-contents"),
    ("mms", "mms-info", "mms-contents"),
    ("webhook", "webhook-info", "webhook-contents"),
];
/// Parts of messages.
const CONTENTS: [(&str, &str); 3] = [("text-content", "text"), ("html-content", "html"), ("image-content", "image")];
/// Where mail servers listen.
const SMTP_PORT: u16 = 25;
/// Names of columns that no field can have.
const MADE: char = '\u{1}';

/// A function that fills a column for a channel.
struct Made<'n, 'i> {
    element: Node<'n, 'i>,
    /// The text in the file.
    text: Text,
    /// As a function.
    function: String,
}

/// The columns of a window, while its channels are read.
struct Columns<'n, 'i> {
    /// Fields of the window's own schema.
    own: Arc<Schema>,
    input: Arc<Schema>,
    made: Vec<Made<'n, 'i>>,
}

impl<'n, 'i> Columns<'n, 'i> {
    fn add(&mut self, element: Node<'n, 'i>, text: Text, function: String) -> usize {
        self.made.push(Made { element, text, function });
        self.own.fields().len() + self.made.len() - 1
    }

    /// A template as a function: texts and `$field`s, one behind the other.
    fn template(&self, text: &str, unresolved: &str) -> String {
        let known = |name: &str| self.own.index_of(name).or(self.input.index_of(name)).is_some();
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "\\'"));
        let mut parts: Vec<String> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = &rest[..length];
            if name.is_empty() {
                literal.push('$');
                continue;
            }
            rest = &rest[length..];
            if known(name) {
                parts.push(quoted(&std::mem::take(&mut literal)));
                parts.push(format!("${name}"));
            } else {
                literal.push_str(unresolved);
            }
        }
        literal.push_str(rest);
        parts.push(quoted(&literal));
        format!("concat({})", parts.join(","))
    }
}

/// Reads a notification window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, place, at, .. } = *reading;
    let input = reading.input?;
    let own = place.written_schema_of(at).unwrap_or_else(|| Arc::clone(input));
    let smtp = reader.child(node, "smtp").and_then(|element| mail_server(element, reader));
    let mut columns = Columns { own: Arc::clone(&own), input: Arc::clone(input), made: Vec::new() };
    let lists = node.children().filter(|child| child.has_tag_name("delivery-channels"));
    let (mut channels, mut complete) = (Vec::new(), true);
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        match channel(element, &mut columns, reader) {
            Some(channel) => channels.push(channel),
            None => complete = IGNORED.contains(&element.tag_name().name()) && complete,
        }
    }
    if channels.is_empty() && complete {
        let headline = format!("notification window `{}` has no channel", reading.name.as_str());
        let draft = Draft::error("missing-element", tag_span(node), headline)
            .help("add <delivery-channels><email>...</email></delivery-channels>");
        reader.report.add(node, draft);
        return None;
    }
    let all = own.fields().iter().map(|field| Field { key: false, ..field.clone() });
    let names = (0..columns.made.len()).map(|at| format!("{MADE}{at}"));
    let all = all.chain(names.map(|name| Field { name, ty: FieldType::String, key: false }));
    let all = Schema::new(all.collect()).ok()?;
    let mut compiler = FunctionCompiler::new(input, &all, EVENT_COUNTER_START);
    contexts(node).for_each(|context| complete &= properties(reading, context, &mut compiler));
    for (name, text, element) in contexts(node).flat_map(|context| function_elements(reading, context)) {
        if own.index_of(name.as_str()).is_none() {
            reader.report.add(element, crate::report::unknown_field("`function`", &name, &own));
            complete = false;
        } else if let Err(error) = compiler.function(name.as_str(), text.as_str()) {
            report_expression(element, &text, &error, reader);
            complete = false;
        }
    }
    for (at, made) in columns.made.iter().enumerate() {
        if let Err(error) = compiler.function(&format!("{MADE}{at}"), &made.function) {
            report_expression(made.element, &made.text, &error, reader);
            complete = false;
        }
    }
    complete.then(|| WindowKind::Notification(Box::new(Notification { code: compiler.finish(), channels, smtp })))
}

/// The mail server that a project names; a password in it is not used, and that is said.
fn mail_server(element: Node<'_, '_>, reader: &Reader<'_>) -> Option<MailServer> {
    reader.check_attributes(element, &[&["host", "user", "password", "port"]]);
    if let Some(attribute) = element.attribute_node("password").filter(|attribute| !attribute.value().is_empty()) {
        let headline = "the password of the mail server is not taken from the project";
        let draft = Draft::warning("password", attribute.range_qname(), headline)
            .help("everybody who sees the project sees it; put it into a file, and name that in the engines' `smtp_password_file`");
        reader.report.add(element, draft);
    }
    let given = |name: &str| reader.attribute(element, name).filter(|text| !text.is_empty());
    let host = given("host")?;
    let port = match given("port") {
        None => SMTP_PORT,
        Some(text) => match text.as_str().parse() {
            Ok(port) => port,
            Err(_) => {
                reader.report.add(element, bad_value("`port`", &text, "a number from 1 to 65535"));
                return None;
            }
        },
    };
    Some(MailServer { host: host.as_str().to_owned(), port, user: given("user").map(|user| user.as_str().to_owned()) })
}

/// Reads a channel; `None` after a report, and for what is no channel.
fn channel<'n, 'i>(element: Node<'n, 'i>, columns: &mut Columns<'n, 'i>, reader: &Reader<'_>) -> Option<Channel> {
    let tag = element.tag_name().name();
    let Some((kind, info, contents)) = KINDS.iter().find(|(kind, ..)| *kind == tag) else {
        if !IGNORED.contains(&tag) {
            reader.unknown_element(element, &KINDS.map(|(kind, ..)| kind));
        }
        return None;
    };
    // The Python client writes its attributes with underscores.
    let intervals = ["throttle-interval", "throttle_interval"];
    let unresolved = ["unresolved-text", "unresolved_text"];
    reader.check_attributes(element, &[&["name", "test"], &intervals, &unresolved]);
    let attribute = |names: [&str; 2]| {
        names.iter().find_map(|name| reader.attribute(element, name)).filter(|text| !text.is_empty())
    };
    let throttle = attribute(intervals);
    let throttle_us = throttle.as_ref().map(|text| duration(text.as_str(), None));
    if let (Some(text), Some(None)) = (&throttle, throttle_us) {
        reader.report.add(element, bad_value("`throttle-interval`", text, "a time such as `1 hour`"));
        return None;
    }
    let unresolved = attribute(unresolved).map_or_else(String::new, |text| text.as_str().to_owned());
    let deliver = match reader.child(element, "deliver") {
        Some(node) => (node, reader.text(node)),
        None => (element, reader.text(element)),
    };
    let condition = if deliver.0 == element { "1".to_owned() } else { deliver.1.as_str().to_owned() };
    let deliver = columns.add(deliver.0, deliver.1, condition);
    let Some(info) = reader.child(element, info) else {
        let draft = Draft::error("missing-element", tag_span(element), format!("the channel has no `{info}`"))
            .help("it says who sends what to whom");
        reader.report.add(element, draft);
        return None;
    };
    let mut part = |name: &str| {
        let node = reader.child(info, name)?;
        let text = reader.text(node);
        let function = columns.template(text.as_str(), &unresolved);
        Some(columns.add(node, text, function))
    };
    let (sender, subject, from, to) = (part("sender"), part("subject"), part("from"), part("to"));
    let recipients = match *kind {
        "email" => part("recipients"),
        "webhook" => part("url"),
        // A phone has an address at its provider's gateway.
        _ => match (reader.child(info, "phone"), reader.child(info, "gateway")) {
            (Some(phone), Some(gateway)) => {
                let address = format!("{}@{}", reader.text(phone).as_str(), reader.text(gateway).as_str());
                let function = columns.template(&address, &unresolved);
                Some(columns.add(phone, reader.text(phone), function))
            }
            _ => None,
        },
    };
    let Some(recipients) = recipients else {
        let wanted = match *kind {
            "email" => "recipients",
            "webhook" => "url",
            _ => "phone and gateway",
        };
        let headline = format!("the channel does not say where to: `{}` has no {wanted}", info.tag_name().name());
        reader.report.add(info, Draft::error("missing-element", tag_span(info), headline));
        return None;
    };
    let lists = element.children().filter(|child| child.has_tag_name(*contents));
    let mut found = Vec::new();
    for node in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        let tag = node.tag_name().name();
        let Some((_, content)) = CONTENTS.iter().find(|(known, _)| *known == tag) else {
            if !IGNORED.contains(&tag) {
                reader.unknown_element(node, &CONTENTS.map(|(known, _)| known));
            }
            continue;
        };
        reader.check_attributes(node, &[&["name"]]);
        let text = reader.text(node);
        let function = columns.template(text.as_str(), &unresolved);
        let name = reader.attribute(node, "name").map_or_else(String::new, |name| name.as_str().to_owned());
        found.push((*content, name, columns.add(node, text, function)));
    }
    let name = reader.attribute(element, "name").map_or_else(String::new, |name| name.as_str().to_owned());
    Some(Channel {
        name,
        kind,
        test: reader.flag(element, "test").unwrap_or(false),
        throttle_us: throttle_us.flatten(),
        deliver,
        sender,
        recipients,
        subject,
        from,
        to,
        contents: found,
    })
}
