//! The REST interface that ESP clients know, as far as engines and the gateway share it.
//!
//! One file per resource; [`mount`] puts the same tree under the three prefixes that clients use.
//! Every answer is well-formed XML, errors included (clients parse before they look at the status).

pub mod server;
pub mod xml;

pub use server::{ServerInfo, ServerProvider, router};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, map_request};
use axum::response::Response;

/// Where clients look for the tree: esppy; esp-connect and Grafana; Grafana dashboards.
pub const PREFIXES: [&str; 3] = ["/SASESP", "/eventStreamProcessing/v1", "/eventStreamProcessing/v2"];

/// Serves a router until `drain` starts.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    drain: crate::Drain,
) -> Result<(), crate::Failure> {
    let served = axum::serve(listener, router).with_graceful_shutdown(drain.started_owned());
    served.await.map_err(|error| crate::Failure::fault(format!("REST server: {error}")))
}

/// Puts the resources under every prefix, with the prefix itself answering any client that asks whether we are there (HEAD).
pub fn mount(resources: Router) -> Router {
    let tree = resources.fallback(not_found);
    let mut all = Router::new();
    for prefix in PREFIXES {
        all = all
            .route(prefix, axum::routing::get(here))
            .route(&format!("{prefix}/"), axum::routing::get(here))
            .nest(prefix, tree.clone());
    }
    all.fallback(not_found).layer(axum::middleware::from_fn(wrong_method))
}

async fn here() -> Response {
    xml::answer(
        StatusCode::OK,
        xml::Element::new("response").attribute("code", "0").child(xml::Element::new("message").text("ok")),
    )
}

async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    xml::error(
        StatusCode::NOT_FOUND,
        &format!("`{path}` is not a resource of this server"),
        &[format!("resources: GET /SASESP/server, GET /SASESP/server?config=true; prefixes: {}", PREFIXES.join(", "))],
    )
}

/// axum answers a wrong method without a body, which clients cannot parse.
async fn wrong_method(request: Request, next: Next) -> Response {
    let said = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allowed = response.headers().get("allow").and_then(|value| value.to_str().ok()).unwrap_or("GET").to_owned();
    xml::error(StatusCode::METHOD_NOT_ALLOWED, &format!("{said} is not supported"), &[format!("allowed: {allowed}")])
}

/// Kept for routers whose paths are registered without a trailing slash: takes one away before routing.
pub fn without_trailing_slash(router: Router) -> Router {
    use tower::Layer;
    let trim = map_request(|mut request: Request| async move {
        let uri = request.uri();
        let path = uri.path();
        if path.len() > 1 && path.ends_with('/') {
            let trimmed = path.trim_end_matches('/');
            let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
            let text = match uri.query() {
                Some(query) => format!("{trimmed}?{query}"),
                None => trimmed.to_owned(),
            };
            if let Ok(uri) = text.parse() {
                *request.uri_mut() = uri;
            }
        }
        request
    });
    // layers of a router run after routing, so the router is wrapped as a service in another one
    Router::new().fallback_service(trim.layer(router))
}
