//! Spans per block, for plain threads and tasks alike.

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use std::hash::{BuildHasher, RandomState};
use std::sync::RwLock;
use std::time::SystemTime;

use super::context::{extract, is_sampled, traceparent};

/// The tracer of this process; `None` while traces are off.
static TRACER: RwLock<Option<SdkTracer>> = RwLock::new(None);

/// A fact about a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute(KeyValue);

/// The span of one block in one place; ends when dropped. Without a trace it is empty and costs nothing.
#[derive(Debug, Default)]
pub struct BlockSpan {
    span: Option<Span>,
    /// What to hand on when this place makes no span of its own.
    parent: Option<Box<str>>,
}

impl Attribute {
    /// A text.
    pub fn text(key: &'static str, value: impl Into<String>) -> Self {
        Attribute(KeyValue::new(key, value.into()))
    }

    /// A whole number.
    pub fn number(key: &'static str, value: u64) -> Self {
        Attribute(KeyValue::new(key, Value::I64(i64::try_from(value).unwrap_or(i64::MAX))))
    }
}

pub(super) fn enable(provider: &SdkTracerProvider) {
    let mut tracer = TRACER.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    *tracer = Some(provider.tracer("esp-mesh"));
}

fn tracer() -> Option<SdkTracer> {
    TRACER.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Starts a span where a block enters the mesh. `ratio` (0 to 1) of the calls are traced; the others get an empty span.
pub fn root_span(name: &'static str, ratio: f64, attributes: &[Attribute]) -> BlockSpan {
    if ratio <= 0.0 || !chosen(ratio) {
        return BlockSpan::default();
    }
    let span = tracer().map(|tracer| build(&tracer, name, &Context::new(), SpanKind::Producer, None, attributes));
    BlockSpan { span, parent: None }
}

/// Starts the trace of something that happens rarely and is always worth one, as a takeover; it began at `began`.
pub fn event_span(name: &'static str, began: SystemTime, attributes: &[Attribute]) -> BlockSpan {
    let build = |tracer| build(&tracer, name, &Context::new(), SpanKind::Internal, Some(began), attributes);
    BlockSpan { span: tracer().map(build), parent: None }
}

/// Starts a span below the `traceparent` that came with a block. Not traced there: empty here, and handed on as it is.
pub fn block_span(name: &'static str, parent: Option<&str>, attributes: &[Attribute]) -> BlockSpan {
    span_at(name, parent, None, attributes)
}

/// The same with the time at which the work began (a commit that covers many blocks began before it was known which).
pub fn span_at(
    name: &'static str,
    parent: Option<&str>,
    began: Option<SystemTime>,
    attributes: &[Attribute],
) -> BlockSpan {
    let Some(text) = parent.filter(|text| is_sampled(text)) else {
        return BlockSpan::default();
    };
    let span = tracer()
        .zip(extract(text, None))
        .map(|(tracer, remote)| build(&tracer, name, &remote.to_context(), SpanKind::Internal, began, attributes));
    let parent = span.is_none().then(|| text.into());
    BlockSpan { span, parent }
}

fn build(
    tracer: &SdkTracer,
    name: &'static str,
    parent: &Context,
    kind: SpanKind,
    began: Option<SystemTime>,
    attributes: &[Attribute],
) -> Span {
    let mut builder = SpanBuilder::from_name(name).with_kind(kind);
    if let Some(began) = began {
        builder = builder.with_start_time(began);
    }
    builder = builder.with_attributes(attributes.iter().map(|attribute| attribute.0.clone()));
    tracer.build_with_context(builder, parent)
}

/// True in `ratio` of the calls. The keys of std's hash maps are random enough for sampling, and need no crate.
fn chosen(ratio: f64) -> bool {
    let random = RandomState::new().hash_one(0u8) >> 11;
    (random as f64) < ratio * (1u64 << 53) as f64
}

impl BlockSpan {
    /// What the next place needs to go on with the trace (header `traceparent`); `None`: not traced.
    pub fn traceparent(&self) -> Option<String> {
        match (&self.span, &self.parent) {
            (Some(span), _) => Some(traceparent(span.span_context())),
            (None, parent) => parent.as_deref().map(str::to_owned),
        }
    }

    /// True when this place records.
    pub fn is_recording(&self) -> bool {
        self.span.is_some()
    }

    /// The trace's id in hex, for logs and for asking Jaeger.
    pub fn trace_id(&self) -> Option<String> {
        self.span.as_ref().map(|span| span.span_context().trace_id().to_string())
    }

    /// Adds a fact that was not known at the start.
    pub fn set(&mut self, attribute: Attribute) {
        if let Some(span) = &mut self.span {
            span.set_attribute(attribute.0);
        }
    }

    /// Says that another trace is a cause of this one too (one output block of many input blocks).
    pub fn link(&mut self, other: &str) {
        if let Some((span, remote)) = self.span.as_mut().zip(extract(other, None)) {
            span.add_link(remote.context, Vec::new());
        }
    }

    /// Marks the work as failed.
    pub fn fail(&mut self, reason: impl Into<String>) {
        if let Some(span) = &mut self.span {
            span.set_status(opentelemetry::trace::Status::error(reason.into()));
        }
    }

    /// Ends it now.
    pub fn end(mut self) {
        if let Some(span) = &mut self.span {
            span.end();
        }
    }

    /// Ends it at a time that was measured.
    pub fn end_at(mut self, ended: SystemTime) {
        if let Some(span) = &mut self.span {
            span.end_with_timestamp(ended);
        }
    }

    /// A context in which this span is current, for the calls that a task makes.
    pub(crate) fn into_context(self) -> Option<Context> {
        self.span.map(|span| Context::new().with_span(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_kept() {
        let hits = (0..10_000).filter(|_| chosen(0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert!(chosen(1.0));
    }

    #[test]
    fn without_a_trace_a_span_is_empty() {
        let span = block_span("engine.apply", Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), &[]);
        assert!(!span.is_recording());
        assert_eq!(span.traceparent(), None);
        assert_eq!(root_span("publisher.read", 0.0, &[]).traceparent(), None);
    }
}
