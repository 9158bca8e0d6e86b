//! `espctl trace`: a trace as a tree, asked for at Jaeger.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use crate::cli::Trace as Arguments;
use crate::fail::Fail;
use crate::jaeger::{self, Span, Trace};
use crate::out;

/// Traces that are looked through for one that fits.
const TRACES_MAX: u32 = 200;

/// Attributes that are Jaeger's and the SDK's own, and tell nothing about the step.
const NOT_SHOWN: [&str; 6] =
    ["internal.span.format", "otel.scope.name", "otel.scope.version", "span.kind", "otel.status_code", "error"];

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    trace: String,
    start_us: u64,
    duration_us: u64,
    services: BTreeSet<String>,
    spans: Vec<Line>,
}

/// A span, where it stands in the tree.
#[derive(Debug, Serialize)]
struct Line {
    depth: usize,
    #[serde(skip)]
    branch: String,
    name: String,
    by: String,
    /// Behind the begin of the trace.
    start_us: u64,
    duration_us: u64,
    attributes: BTreeMap<String, String>,
    /// Spans of other traces that it points to, as `trace/span`.
    links: Vec<String>,
}

/// Finds a trace and prints it.
pub fn run(arguments: &Arguments) -> Result<(), Fail> {
    let shown = show(&find(arguments)?);
    if arguments.json {
        return Ok(out::json(&shown)?);
    }
    Ok(out::line(&text(&shown))?)
}

/// The trace that is asked for by its ID, or the fullest, then newest, that fits.
fn find(arguments: &Arguments) -> Result<Trace, Fail> {
    if let Some(id) = &arguments.id {
        if id.is_empty() || id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fail::input(format!(
                "trace `{id}`: expected at most 32 hex digits, as logs and links show them"
            )));
        }
        let found = jaeger::traces(&arguments.jaeger, &format!("/api/traces/{id}"))?;
        return found.into_iter().next().ok_or_else(|| {
            Fail::input(format!("trace `{id}`: Jaeger at {} has none with this ID (any more); without an ID the fullest of the last hour is shown", arguments.jaeger))
        });
    }
    let service = arguments.through.last().map_or(arguments.service.as_str(), String::as_str);
    let mut path = format!("/api/traces?service={}&limit={TRACES_MAX}&lookback=1h", escape(service));
    if let Some(operation) = &arguments.operation {
        path.push_str(&format!("&operation={}", escape(operation)));
    }
    let found = jaeger::traces(&arguments.jaeger, &path)?;
    let count = found.len();
    let fits = found.into_iter().filter(|trace| trace.passes(&arguments.through) && !trace.spans.is_empty());
    fits.max_by_key(|trace| (trace.spans.len(), trace.start_us())).ok_or_else(|| {
        let passing = if arguments.through.is_empty() { String::new() } else { format!(" that passes {}", arguments.through.join(", ")) };
        Fail::input(format!(
            "trace: expected one of service `{service}`{passing} in the last hour, found {count} of the service and none that fits; services need `otlp_endpoint`, and blocks are traced by `trace_ratio`"
        ))
    })
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// The spans in the order of the tree: children under their parent, the earlier first.
fn show(trace: &Trace) -> Shown {
    let start_us = trace.start_us();
    let end_us = trace.spans.iter().map(|span| span.start_us + span.duration_us).max().unwrap_or(start_us);
    let known: BTreeSet<&str> = trace.spans.iter().map(|span| span.id.as_str()).collect();
    let mut below: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in &trace.spans {
        let parent = span.references.iter().find(|other| other.kind == "CHILD_OF" && other.trace == trace.id);
        // a span whose parent has not come (yet) stands at the top
        let parent = parent.map(|other| other.span.as_str()).filter(|id| known.contains(id) && *id != span.id);
        below.entry(parent.unwrap_or_default()).or_default().push(span);
    }
    for spans in below.values_mut() {
        spans.sort_by(|a, b| (a.start_us, &a.id).cmp(&(b.start_us, &b.id)));
    }
    // Depth first with a stack of its own; each span is below one other, so none is seen twice.
    let mut lines = Vec::new();
    let mut stack: Vec<(&Span, usize, String, bool)> = Vec::new();
    let push = |stack: &mut Vec<_>, id: &str, depth: usize, before: &str| {
        let children = below.get(id).map_or(&[][..], Vec::as_slice);
        for (place, span) in children.iter().enumerate().rev() {
            stack.push((*span, depth, before.to_owned(), place + 1 == children.len()));
        }
    };
    push(&mut stack, "", 0, "");
    while let Some((span, depth, before, last)) = stack.pop() {
        let (branch, under) = match (depth, last) {
            (0, _) => (String::new(), String::new()),
            (_, true) => (format!("{before}└─ "), format!("{before}   ")),
            (_, false) => (format!("{before}├─ "), format!("{before}│  ")),
        };
        lines.push(line(trace, span, depth, branch, start_us));
        push(&mut stack, &span.id, depth + 1, &under);
    }
    let services = trace.processes.values().map(|process| process.service_name.clone()).collect();
    Shown { trace: trace.id.clone(), start_us, duration_us: end_us - start_us, services, spans: lines }
}

fn line(trace: &Trace, span: &Span, depth: usize, branch: String, start_us: u64) -> Line {
    let own = span.tags.iter().filter(|tag| !NOT_SHOWN.contains(&tag.key.as_str()));
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let elsewhere = span.references.iter().filter(|other| other.trace != trace.id);
    Line {
        depth,
        branch,
        name: span.name.clone(),
        by: trace.maker(span),
        start_us: span.start_us - start_us,
        duration_us: span.duration_us,
        attributes: own.map(|tag| (tag.key.clone(), text(&tag.value))).collect(),
        links: elsewhere.map(|other| format!("{}/{}", other.trace, other.span)).collect(),
    }
}

/// The tree for people.
fn text(shown: &Shown) -> String {
    let ms = |us: u64| format!("{:.1}", us as f64 / 1e3);
    let mut lines = vec![format!(
        "trace {}, {}, {} ms, {}, {}",
        shown.trace,
        out::time(i64::try_from(shown.start_us).unwrap_or(i64::MAX)),
        ms(shown.duration_us),
        out::count(shown.spans.len(), "span"),
        out::count(shown.services.len(), "service"),
    )];
    let width = |of: fn(&Line) -> usize| shown.spans.iter().map(of).max().unwrap_or(0);
    let (name, by) = (width(|span| span.branch.chars().count() + span.name.len()), width(|span| span.by.len()));
    for span in &shown.spans {
        let step = format!("{}{}", span.branch, span.name);
        let attributes: Vec<String> = span.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let (start, duration) = (ms(span.start_us), ms(span.duration_us));
        let text = format!("{step:name$}  {:by$}  {start:>8} +{duration:>7} ms  {}", span.by, attributes.join(" "));
        lines.push(text.trim_end().to_owned());
        lines.extend(span.links.iter().map(|link| format!("{:name$}  link to {link}", "")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const ANSWER: &str = r#"{"traceID":"aa","spans":[
        {"spanID":"3","operationName":"subscriber.write","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"2"}],"startTime":1009000,"duration":500,"processID":"p3"},
        {"spanID":"2","operationName":"engine.apply","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"1"},{"refType":"FOLLOWS_FROM","traceID":"bb","spanID":"9"}],"startTime":1002000,"duration":1500,"processID":"p2","tags":[{"key":"term","value":3},{"key":"span.kind","value":"internal"}]},
        {"spanID":"1","operationName":"publisher.read","startTime":1000000,"duration":1000,"processID":"p1"},
        {"spanID":"4","operationName":"engine.commit","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"1"}],"startTime":1004000,"duration":5000,"processID":"p2"},
        {"spanID":"5","operationName":"late.child","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"77"}],"startTime":1011000,"duration":1,"processID":"p9"}],
        "processes":{"p1":{"serviceName":"esp-publisher-adapter","tags":[{"key":"service.instance.id","value":"publisher-1"}]},"p2":{"serviceName":"esp-engine"},"p3":{"serviceName":"esp-subscriber-adapter"}}}"#;

    #[test]
    fn a_trace_is_a_tree_in_the_order_of_time() {
        let trace: Trace = serde_json::from_str(ANSWER).unwrap();
        expect![[r#"
            trace aa, 1970-01-01T00:00:01.000Z, 11.0 ms, 5 spans, 3 services
            publisher.read          esp-publisher-adapter publisher-1       0.0 +    1.0 ms
            ├─ engine.apply         esp-engine                              2.0 +    1.5 ms  term=3
                                    link to bb/9
            │  └─ subscriber.write  esp-subscriber-adapter                  9.0 +    0.5 ms
            └─ engine.commit        esp-engine                              4.0 +    5.0 ms
            late.child              ?                                      11.0 +    0.0 ms"#]]
        .assert_eq(&text(&show(&trace)));
        assert!(trace.passes(&["esp-engine".to_owned()]));
        assert!(!trace.passes(&["esp-gateway".to_owned()]));
    }

    #[test]
    fn what_is_asked_for_is_escaped() {
        assert_eq!(escape("esp-engine a/b&c"), "esp-engine%20a%2Fb%26c");
    }
}
