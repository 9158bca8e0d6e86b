//! The one table from what went wrong to gRPC status, HTTP status and exit code, with the parts of a clear error.

use std::collections::HashMap;
use std::fmt;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of our errors in gRPC error details.
const DOMAIN: &str = "esp-mesh";

/// Longest part of a refusal that travels in status details, in bytes (they are HTTP headers); the message has more.
const DETAIL_BYTES_MAX: usize = 1024;

/// Longest message of a status, in bytes. It travels percent-encoded in a header, and headers of an answer together
/// must stay below what clients take ([`crate::grpc`] takes more, see `HEADERS_BYTES_MAX` there).
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// What went wrong, as a decision for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request (or setting) is wrong and will be wrong again.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// The thing is not in a state that allows this now.
    Conflict,
    /// The caller did not say who it is, or is not known.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// A part of the mesh does not answer; try again later.
    Unavailable,
    /// The time allowed is up; the outcome may be unknown.
    Deadline,
    /// A named limit is reached.
    Exhausted,
    /// Not offered here.
    Unsupported,
    /// Our fault.
    Fault,
}

impl Kind {
    /// gRPC code.
    pub fn code(self) -> Code {
        self.row().0
    }

    /// HTTP status.
    pub fn http(self) -> u16 {
        self.row().1
    }

    /// Exit code of a process that ends because of it (sysexits.h).
    pub fn exit(self) -> u8 {
        self.row().2
    }

    /// Name in error details.
    pub fn name(self) -> &'static str {
        self.row().3
    }

    /// The table.
    fn row(self) -> (Code, u16, u8, &'static str) {
        match self {
            Kind::Invalid => (Code::InvalidArgument, 400, 64, "INVALID"),
            Kind::NotFound => (Code::NotFound, 404, 66, "NOT_FOUND"),
            Kind::Conflict => (Code::FailedPrecondition, 409, 65, "CONFLICT"),
            Kind::Unauthenticated => (Code::Unauthenticated, 401, 77, "UNAUTHENTICATED"),
            Kind::Denied => (Code::PermissionDenied, 403, 77, "DENIED"),
            Kind::Unavailable => (Code::Unavailable, 503, 75, "UNAVAILABLE"),
            Kind::Deadline => (Code::DeadlineExceeded, 504, 75, "DEADLINE"),
            Kind::Exhausted => (Code::ResourceExhausted, 429, 75, "EXHAUSTED"),
            Kind::Unsupported => (Code::Unimplemented, 501, 69, "UNSUPPORTED"),
            Kind::Fault => (Code::Internal, 500, 70, "FAULT"),
        }
    }

    /// Reads a gRPC status back. tonic reports its own timeouts as `Cancelled`.
    pub fn of(status: &Status) -> Kind {
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
            Code::NotFound => Kind::NotFound,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Kind::Conflict,
            Code::Unauthenticated => Kind::Unauthenticated,
            Code::PermissionDenied => Kind::Denied,
            Code::Unavailable => Kind::Unavailable,
            Code::DeadlineExceeded => Kind::Deadline,
            Code::Cancelled if status.message().contains("Timeout expired") => Kind::Deadline,
            Code::Cancelled => Kind::Unavailable,
            Code::ResourceExhausted => Kind::Exhausted,
            Code::Unimplemented => Kind::Unsupported,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Kind::Fault,
        }
    }
}

/// A clear error: what was attempted, what was expected, what was found, and the way out. Empty parts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error.
    pub kind: Kind,
    /// What was attempted, with the name of the thing.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What the reader can do about it.
    pub way_out: String,
}

impl Refusal {
    /// A refusal that says what was attempted; add the other parts.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Refusal { kind, what: what.into(), expected: String::new(), found: String::new(), way_out: String::new() }
    }

    /// The request is wrong.
    pub fn invalid(what: impl Into<String>) -> Self {
        Refusal::new(Kind::Invalid, what)
    }

    /// There is no such thing.
    pub fn not_found(what: impl Into<String>) -> Self {
        Refusal::new(Kind::NotFound, what)
    }

    /// A part of the mesh does not answer.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Refusal::new(Kind::Unavailable, what)
    }

    /// Says what was expected.
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = text.into();
        self
    }

    /// Says what was found.
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = text.into();
        self
    }

    /// Says what the reader can do.
    pub fn way_out(mut self, text: impl Into<String>) -> Self {
        self.way_out = text.into();
        self
    }

    /// Reads a status back. Works for foreign statuses too: `target` says who answered.
    pub fn from_status(target: &str, status: &Status) -> Self {
        let kind = Kind::of(status);
        let details = status.get_error_details();
        match details.error_info() {
            Some(info) if info.domain == DOMAIN => {
                let part = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
                let what = part("what");
                // a part that was too long for the details is whole in the message
                if what.is_empty() {
                    Refusal::new(kind, status.message())
                } else {
                    Refusal { kind, what, expected: part("expected"), found: part("found"), way_out: part("way_out") }
                }
            }
            _ => Refusal::new(kind, format!("call to {target}")).found(format!(
                "{:?}: {}",
                status.code(),
                source_chain(status)
            )),
        }
    }
}

/// Message of a status with its causes ("transport error" alone tells nobody anything).
fn source_chain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Cuts at a character boundary.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ... ({} bytes more)", &text[..end], text.len() - end)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match (self.expected.is_empty(), self.found.is_empty()) {
            (false, false) => write!(f, ": expected {}, found {}", self.expected, self.found)?,
            (false, true) => write!(f, ": expected {}", self.expected)?,
            (true, false) => write!(f, ": {}", self.found)?,
            (true, true) => {}
        }
        if !self.way_out.is_empty() {
            write!(f, "; {}", self.way_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Status {
        let message = cut(&refusal.to_string(), MESSAGE_BYTES_MAX);
        let parts = [
            ("what", &refusal.what),
            ("expected", &refusal.expected),
            ("found", &refusal.found),
            ("way_out", &refusal.way_out),
        ];
        let fits = parts.iter().all(|(_, text)| text.len() <= DETAIL_BYTES_MAX);
        let metadata: HashMap<String, String> = parts
            .into_iter()
            .filter(|(_, text)| fits && !text.is_empty())
            .map(|(key, text)| (key.to_owned(), text.clone()))
            .collect();
        let details = ErrorDetails::with_error_info(refusal.kind.name(), DOMAIN, metadata);
        Status::with_error_details(refusal.kind.code(), message, details)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::from(&refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_wire_whole() {
        let refusal = Refusal::invalid("create topic `a.O`")
            .expected("1 partition")
            .found("2 partitions")
            .way_out("delete it, or name another one");
        let status = Status::from(&refusal);
        assert_eq!(
            status.message(),
            "create topic `a.O`: expected 1 partition, found 2 partitions; delete it, or name another one"
        );
        assert_eq!(Refusal::from_status("coordinator", &status), refusal);
    }

    #[test]
    fn a_long_refusal_keeps_its_text_in_the_message() {
        let rendering = "error: `x`\n".repeat(300);
        let status = Status::from(Refusal::invalid("deploy project `p`").found(rendering.clone()));
        let back = Refusal::from_status("coordinator", &status);
        assert_eq!(back.kind, Kind::Invalid);
        assert!(back.to_string().contains(&rendering), "{back}");
    }

    #[test]
    fn every_kind_is_told_from_its_code() {
        for kind in [
            Kind::Invalid,
            Kind::NotFound,
            Kind::Conflict,
            Kind::Unauthenticated,
            Kind::Denied,
            Kind::Unavailable,
            Kind::Deadline,
            Kind::Exhausted,
            Kind::Unsupported,
            Kind::Fault,
        ] {
            assert_eq!(Kind::of(&Status::new(kind.code(), "x")), kind);
        }
        assert_eq!(Kind::of(&Status::new(Code::Cancelled, "Timeout expired")), Kind::Deadline);
    }

    #[test]
    fn foreign_statuses_name_who_answered() {
        let refusal = Refusal::from_status("election at 127.0.0.1:1", &Status::new(Code::Unknown, "odd"));
        assert_eq!(refusal.to_string(), "call to election at 127.0.0.1:1: Unknown: odd");
    }
}
