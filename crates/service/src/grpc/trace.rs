//! Goes on with a caller's trace. Requests outside a trace make no span: status polls would bury the blocks.

use opentelemetry::trace::FutureExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::codegen::http::Request;
use tower::{Layer, Service};

use crate::telemetry::{Attribute, block_span};

/// Makes a span for a request that comes with a sampled `traceparent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceLayer;

/// Service made by [`TraceLayer`].
#[derive(Debug, Clone)]
pub(super) struct Trace<S> {
    inner: S,
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

impl<S, B> Service<Request<B>> for Trace<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        let path = || Attribute::text("rpc.method", request.uri().path());
        let span = parent.map(|parent| block_span("rpc", Some(parent), &[path()]));
        let context = span.and_then(|span| span.into_context());
        let answer = self.inner.call(request);
        match context {
            Some(context) => Box::pin(answer.with_context(context)),
            None => Box::pin(answer),
        }
    }
}
