//! docs/API.md: every call and every field, in the words of the `.proto` files.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::descriptor::{Files, Item, What, field_type};
use super::examples::{EXAMPLES, SERVICE, command};

const HEAD: &str = "# API

Written by `cargo xtask proto-check --write` from the comments of the `.proto` files in `proto/mesh`; CI compares. Every server
of the mesh speaks gRPC with health checks and reflection, so [grpcurl](https://github.com/fullstorydev/grpcurl) needs no files:

```
grpcurl -plaintext 127.0.0.1:50100 list
grpcurl -plaintext 127.0.0.1:50100 describe mesh.coordinator.v1.Coordinator
```

People and programs call the **coordinator**, any instance of it: they hold the same state and change it by
compare-and-set. `espctl` is a client of the same calls. The examples are run as they stand here by a test.

- **Deadlines.** A caller names one (`grpcurl -max-time 5`); without, the setting `request_timeout` holds.
- **Made again.** A call that changes something takes a `change.request_id`, made anew by the caller for every request. When
  the answer was lost the same request with the same id is answered as before, by any instance, and nothing is done twice;
  without an id, deploying the same content, draining or pausing what is drained or paused changes nothing either.
- **Errors.** The code says whose fault it is; the details (`google.rpc.ErrorInfo`, domain `esp-mesh`) have the parts `what`
  was attempted, what was `expected`, what was `found`, and the `way_out`.

| code | means |
|---|---|
| `InvalidArgument` | the request is wrong and will be wrong again |
| `NotFound` | there is no such thing; `expected` names those that there are |
| `FailedPrecondition` | the thing is not in a state that allows this now |
| `Unavailable` | a part of the mesh does not answer; nothing was changed that the text does not name |
| `DeadlineExceeded` | the time is up; the outcome may be unknown |
| `ResourceExhausted` | a named limit is reached |
| `Unimplemented` | not offered here |
| `Internal` | our fault |
";

/// Services in the order in which they matter to readers; others follow.
const FIRST: [&str; 3] = [SERVICE, "mesh.election.v1.Election", "mesh.engine.v1.Engine"];

/// The document.
pub fn text(files: &Files) -> String {
    let items = files.items();
    let mut text = HEAD.to_owned();
    let mut services: Vec<&Item<'_>> = items.iter().filter(|item| matches!(item.what, What::Service)).collect();
    services.sort_by_key(|item| FIRST.iter().position(|first| *first == item.name).unwrap_or(FIRST.len()));
    for service in &services {
        write_service(&mut text, service, &items);
    }
    text.push_str(
        "\n## Messages\n\nThose of the calls above; what stands on topics is in [PROTOCOL.md](PROTOCOL.md).\n",
    );
    let reached = reached(&items);
    for item in items.iter().filter(|item| reached.contains(&item.name)) {
        match &item.what {
            What::Message(_) => write_message(&mut text, item, &items),
            What::Enum(_) => write_enum(&mut text, item, &items),
            _ => {}
        }
    }
    text
}

fn write_service(text: &mut String, service: &Item<'_>, items: &[Item<'_>]) {
    let _ = write!(text, "\n## {}\n\n`{}`. {}\n", service.short, service.name, service.comment);
    for call in members(service, items) {
        let What::Call { request, answer, streams_in, streams_out } = &call.what else { continue };
        let stream = |yes: &bool| if *yes { "a stream of " } else { "" };
        let _ = write!(text, "\n### {} {}\n\n{}\n\n", service.short, call.short, call.comment);
        let _ = writeln!(
            text,
            "Takes {}{}, answers {}{}.",
            stream(streams_in),
            link(request),
            stream(streams_out),
            link(answer)
        );
        if service.name == SERVICE
            && let Some(example) = EXAMPLES.iter().find(|example| example.call == call.short)
        {
            let note = if example.note.is_empty() { String::new() } else { format!("\n{}\n", example.note) };
            let _ = write!(text, "\n```\n{}\n```\n{note}", command(example, *streams_out));
        }
    }
}

fn write_message(text: &mut String, message: &Item<'_>, items: &[Item<'_>]) {
    heading(text, message);
    let fields: Vec<&Item<'_>> = members(message, items).collect();
    if fields.is_empty() {
        return;
    }
    text.push_str("\n| field | no. | type | meaning |\n|---|---|---|---|\n");
    for field in fields {
        let What::Field(of, inside) = &field.what else { continue };
        let one_of = of.oneof_index.filter(|_| !of.proto3_optional()).map_or("", |_| " (one of several)");
        let _ = writeln!(
            text,
            "| `{}` | {} | {}{one_of} | {} |",
            field.short,
            of.number(),
            typed(&field_type(of, inside)),
            field.comment.replace('|', "\\|")
        );
    }
}

fn write_enum(text: &mut String, known: &Item<'_>, items: &[Item<'_>]) {
    heading(text, known);
    text.push_str("\n| value | no. | meaning |\n|---|---|---|\n");
    for value in members(known, items) {
        if let What::Value(number) = value.what {
            let _ = writeln!(text, "| `{}` | {number} | {} |", value.short, value.comment);
        }
    }
}

fn heading(text: &mut String, item: &Item<'_>) {
    let _ = write!(text, "\n### {}\n\n{}\n", title(&item.name), item.comment);
}

/// `coordinator.DeployRequest`: names are unique with their package only.
fn title(name: &str) -> String {
    let mut parts = name.trim_start_matches("mesh.").split('.').filter(|part| !part.starts_with('v') || part.len() > 2);
    format!("{}.{}", parts.next().unwrap_or_default(), parts.collect::<Vec<_>>().join("."))
}

fn link(name: &str) -> String {
    let title = title(name);
    format!("[`{title}`](#{})", title.to_lowercase().replace('.', ""))
}

/// A type with a link when it is ours.
fn typed(text: &str) -> String {
    match text.find("mesh.") {
        None => text.to_owned(),
        Some(at) => {
            let end = text[at..].find('>').map_or(text.len(), |end| at + end);
            format!("{}{}{}", text[..at].replace('<', "\\<"), link(&text[at..end]), &text[end..])
        }
    }
}

fn members<'a, 'b>(of: &'b Item<'a>, items: &'b [Item<'a>]) -> impl Iterator<Item = &'b Item<'a>> {
    let inside = format!("{}.", of.name);
    items.iter().filter(move |item| {
        let direct = item.name.strip_prefix(&inside).is_some_and(|rest| !rest.contains('.'));
        direct && !matches!(item.what, What::Message(_) | What::Enum(_) | What::OneOf)
    })
}

/// Messages and enums that some call takes or answers, directly or inside of others.
fn reached(items: &[Item<'_>]) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<String> = Vec::new();
    for item in items {
        if let What::Call { request, answer, .. } = &item.what {
            next.extend([request.clone(), answer.clone()]);
        }
    }
    while let Some(name) = next.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        let Some(item) = items.iter().find(|item| item.name == name) else { continue };
        if let What::Message(message) = &item.what {
            let entries = message.nested_type.iter().flat_map(|entry| &entry.field);
            let types = message.field.iter().chain(entries).map(|field| field.type_name().trim_start_matches('.'));
            next.extend(types.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_links_and_titles_are_short() {
        assert_eq!(title("mesh.coordinator.v1.DeployRequest"), "coordinator.DeployRequest");
        assert_eq!(link("mesh.engine.v1.Status"), "[`engine.Status`](#enginestatus)");
        assert_eq!(typed("repeated mesh.engine.v1.Status"), "repeated [`engine.Status`](#enginestatus)");
        assert_eq!(typed("map<string, mesh.engine.v1.Status>"), "map\\<string, [`engine.Status`](#enginestatus)>");
        assert_eq!(typed("map<string, string>"), "map<string, string>");
    }
}
