//! What Jaeger's query API says about traces.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::fail::Fail;

/// How long a connect, and each wait for more of an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A trace: the spans of every service that took part.
#[derive(Debug, Clone, Deserialize)]
pub struct Trace {
    /// 32 hex digits.
    #[serde(rename = "traceID")]
    pub id: String,
    /// In no order.
    pub spans: Vec<Span>,
    /// Who made them.
    pub processes: BTreeMap<String, Process>,
}

/// A step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// 16 hex digits.
    #[serde(rename = "spanID")]
    pub id: String,
    /// What is done in it.
    #[serde(rename = "operationName")]
    pub name: String,
    /// The parent, and links to spans of other traces.
    #[serde(default)]
    pub references: Vec<Reference>,
    /// Begin, microseconds since the Unix epoch.
    #[serde(rename = "startTime")]
    pub start_us: u64,
    /// Microseconds.
    #[serde(rename = "duration")]
    pub duration_us: u64,
    /// What is known about it.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Key in the trace's processes.
    #[serde(rename = "processID")]
    pub process: String,
}

/// Another span.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// `CHILD_OF` or `FOLLOWS_FROM`.
    #[serde(rename = "refType")]
    pub kind: String,
    /// The other span's trace.
    #[serde(rename = "traceID")]
    pub trace: String,
    /// The other span.
    #[serde(rename = "spanID")]
    pub span: String,
}

/// An attribute.
#[derive(Debug, Clone, Deserialize)]
pub struct Tag {
    /// Name.
    pub key: String,
    /// Text, number or truth.
    pub value: serde_json::Value,
}

/// An instance of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// As in `esp-engine`.
    pub service_name: String,
    /// Attributes of the instance.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// What the API answers.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Vec<Trace>>,
}

impl Trace {
    /// The span's service and instance, as in `esp-engine engine-1`.
    pub fn maker(&self, span: &Span) -> String {
        let Some(process) = self.processes.get(&span.process) else { return "?".to_owned() };
        match process.tags.iter().find(|tag| tag.key == "service.instance.id").and_then(|tag| tag.value.as_str()) {
            Some(instance) => format!("{} {instance}", process.service_name),
            None => process.service_name.clone(),
        }
    }

    /// Whether every one of these services took part.
    pub fn passes(&self, services: &[String]) -> bool {
        let there = |name: &String| self.processes.values().any(|process| process.service_name == *name);
        services.iter().all(there)
    }

    /// When it begins, microseconds since the Unix epoch.
    pub fn start_us(&self) -> u64 {
        self.spans.iter().map(|span| span.start_us).min().unwrap_or_default()
    }
}

/// Asks Jaeger; `path` begins with `/api/`.
pub fn traces(jaeger: &str, path: &str) -> Result<Vec<Trace>, Fail> {
    let what = format!("ask Jaeger at {jaeger} for {path}");
    let unreachable = |error: std::io::Error| {
        Fail::fault(format!("{what}: {error}; name its query port with --jaeger HOST:PORT (usually 16686)"))
    };
    let answer = get(jaeger, path).map_err(unreachable)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => {}
        Some("404") => return Ok(Vec::new()),
        _ => return Err(Fail::fault(format!("{what}: expected status 200, found `{status}`: {}", body.trim()))),
    }
    let answer: Answer = serde_json::from_str(body).map_err(|error| {
        Fail::fault(format!("{what}: expected traces as JSON: {error}; is this Jaeger's query port?"))
    })?;
    Ok(answer.data.unwrap_or_default())
}

/// HTTP/1.0, so that the answer comes whole and unchunked.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    let socket = address.to_socket_addrs()?.next().ok_or_else(none)?;
    let mut stream = TcpStream::connect_timeout(&socket, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
