//! Logs and traces. The only user of OpenTelemetry.
//!
//! Traces follow blocks, not functions: a span is made per block where a block enters the mesh ([`root_span`]) or where
//! its `traceparent` says that its way is traced ([`block_span`]). Spans are built on the OpenTelemetry API itself and
//! not from `tracing` spans, so that a block that is not traced costs one look at a flag, and no library's spans leak in.

mod context;
mod logs;
mod span;

pub(crate) use logs::set as set_log;

pub use context::{Remote, extract, inject, is_sampled};
pub use span::{Attribute, BlockSpan, block_span, event_span, root_span, span_at};

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use std::time::Duration;

use crate::config::Base;

/// Spans that wait for the exporter; more are dropped (and counted by the exporter), memory stays bounded.
const SPANS_QUEUED_MAX: usize = 8192;

/// How often spans are sent.
const EXPORT_DELAY: Duration = Duration::from_millis(500);

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps logs and traces going; [`Guard::shutdown`] sends what is left.
#[derive(Debug, Default)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

/// Starts logs and traces for this process, once. Call inside a tokio runtime: the exporter needs one.
pub fn init(service: &str, instance: &str, base: &Base) -> Result<Guard, String> {
    logs::init(&base.log, base.log_format)?;
    init_traces(service, instance, &base.otlp_endpoint)
}

/// Starts traces only; an empty endpoint means none.
pub fn init_traces(service: &str, instance: &str, endpoint: &str) -> Result<Guard, String> {
    if endpoint.is_empty() {
        return Ok(Guard::default());
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| format!("setting `otlp_endpoint`: traces to {endpoint}: {error}"))?;
    let config =
        BatchConfigBuilder::default().with_max_queue_size(SPANS_QUEUED_MAX).with_scheduled_delay(EXPORT_DELAY).build();
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(config).build())
        // the decision is made before a span is built: at the root by ratio, below it by the parent's flag
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_resource(resource)
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    span::enable(&provider);
    Ok(Guard { provider: Some(provider) })
}

impl Guard {
    /// Sends the spans that are left, for at most this long. Blocks.
    pub fn shutdown(self, limit: Duration) {
        if let Some(provider) = self.provider {
            // shutdown flushes first; an error here means lost spans, which end nobody's work
            if let Err(error) = provider.shutdown_with_timeout(limit) {
                tracing::warn!(%error, "spans were lost at shutdown");
            }
        }
    }
}
