//! W3C trace context as text: what travels in Kafka headers and gRPC metadata.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// A parent on the other side of a wire.
#[derive(Debug, Clone)]
pub struct Remote {
    pub(super) context: SpanContext,
}

/// Length of a `traceparent`: version, trace id, span id, flags.
const TRACEPARENT_LEN: usize = 55;

/// True when a `traceparent` says that the way is traced. Looks at one byte, for the hot path.
pub fn is_sampled(traceparent: &str) -> bool {
    let bytes = traceparent.as_bytes();
    bytes.len() >= TRACEPARENT_LEN
        && bytes[53..TRACEPARENT_LEN].iter().all(u8::is_ascii_hexdigit)
        && (bytes[54] as char).to_digit(16).is_some_and(|flags| flags & 1 == 1)
}

/// Reads `traceparent` and `tracestate`; `None` when it is malformed (a foreign header is never an error).
pub fn extract(traceparent: &str, tracestate: Option<&str>) -> Option<Remote> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok().filter(|id| *id != TraceId::INVALID)?;
    let span = SpanId::from_hex(span).ok().filter(|id| *id != SpanId::INVALID)?;
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let state = tracestate.and_then(|text| text.parse::<TraceState>().ok()).unwrap_or_default();
    Some(Remote { context: SpanContext::new(trace, span, flags, true, state) })
}

/// The context of the span that is current on this thread or task, as `(traceparent, tracestate)`; `None` when nothing is traced.
pub fn inject() -> Option<(String, String)> {
    let context = Context::current();
    let span = context.span();
    let span_context = span.span_context();
    span_context.is_valid().then(|| (traceparent(span_context), span_context.trace_state().header()))
}

impl Remote {
    /// A context of OpenTelemetry whose current span is this remote one.
    pub(crate) fn to_context(&self) -> Context {
        Context::new().with_remote_span_context(self.context.clone())
    }
}

pub(super) fn traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_survives_as_text() {
        let remote = extract(TRACED, Some("a=1")).unwrap();
        assert_eq!(traceparent(&remote.context), TRACED);
        assert_eq!(remote.context.trace_state().header(), "a=1");
        assert!(is_sampled(TRACED));
        assert!(!is_sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
    }

    #[test]
    fn hostile_headers_are_ignored() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
            "00-äf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(extract(text, None).is_none(), "{text}");
        }
    }
}
