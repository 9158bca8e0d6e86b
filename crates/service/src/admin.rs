//! The admin server: `/metrics`, `/healthz`, `/readyz`, over plain HTTP and open unless `admin_secured` is set. Then it
//! takes only TLS where the others do, and `/metrics` needs a token where they ask for one; whether it lives and is ready
//! is told without a token, as gRPC's health is.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::drain::Drain;
use crate::exit::Failure;
use crate::rest::{gated, serve_open};
use crate::scope::Scope;
use crate::security::Security;

/// Content type of OpenMetrics.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until `stop` starts. That is not the service's own drain: while it drains, `/readyz` must still say so.
pub async fn serve(listener: TcpListener, scope: Scope, stop: Drain) -> Result<(), Failure> {
    let security = scope.security.clone();
    let security = if security.admin_secured { security } else { security.without_certificates() };
    serve_open("admin", listener, router(scope, &security), security, stop).await
}

/// The routes.
fn router(scope: Scope, security: &Security) -> Router {
    gated(Router::new().route("/metrics", get(metrics)), security)
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
