//! The admin server: `/metrics`, `/healthz`, `/readyz` over plain HTTP.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::drain::Drain;
use crate::exit::Failure;
use crate::scope::Scope;

/// Content type of OpenMetrics.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until `stop` starts. That is not the service's own drain: while it drains, `/readyz` must still say so.
pub async fn serve(listener: TcpListener, scope: Scope, stop: Drain) -> Result<(), Failure> {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    axum::serve(listener, router(scope))
        .with_graceful_shutdown(stop.started_owned())
        .await
        .map_err(|error| Failure::fault(format!("admin server on {address}: {error}")))
}

/// The routes.
pub fn router(scope: Scope) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(scope)
}

async fn metrics(State(scope): State<Scope>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], scope.metrics.text())
}

/// Alive: the runtime answers. Whether the service can work is `/readyz`.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(scope): State<Scope>) -> (StatusCode, String) {
    if scope.drain.is_started() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("draining: {}\n", scope.drain.reason()));
    }
    let waiting = scope.ready.waiting_for();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}\n", waiting.join(", ")))
    }
}
