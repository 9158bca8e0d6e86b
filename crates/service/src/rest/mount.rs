//! Where the resources hang, and what is answered where there is none.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use axum::routing::get;
use tower::Layer;

use super::xml::{self, Element};

/// Where clients look for the tree: esppy; esp-connect and Grafana; Grafana dashboards.
pub const PREFIXES: [&str; 3] = ["/SASESP", "/eventStreamProcessing/v1", "/eventStreamProcessing/v2"];

/// Puts the resources under every prefix, beside routes that have none (pages). The prefix itself answers clients that
/// ask whether anybody is there (`HEAD /SASESP/`).
pub fn mount(resources: Router, beside: Router) -> Router {
    let tree = resources.route("/", get(here)).fallback(not_found);
    let mut all = beside;
    for prefix in PREFIXES {
        all = all.nest(prefix, tree.clone());
    }
    let all = all.fallback(not_found).layer(from_fn(wrong_method));
    // layers of a router run after routing; this one must run before, so it stands around the whole router
    Router::new().fallback_service(map_request(trim_slash).layer(all))
}

async fn here() -> Response {
    let message = Element::new("message").text("ok");
    xml::answer(StatusCode::OK, Element::new("response").attribute("code", "0").child(message))
}

/// The path as the client wrote it; routers below a prefix see only the rest of it.
#[derive(Debug, Clone)]
struct Asked(String);

fn asked(request: &Request) -> String {
    let path = request.extensions().get::<Asked>().map_or(request.uri().path(), |asked| &asked.0);
    format!("{} {path}", request.method())
}

async fn not_found(request: Request) -> Response {
    xml::error(
        StatusCode::NOT_FOUND,
        &format!("{}: no such resource", asked(&request)),
        &[
            "resources: server, server?config=true".to_owned(),
            format!("under one of: {}", PREFIXES.map(|prefix| format!("{prefix}/")).join(", ")),
        ],
    )
}

/// axum answers a wrong method without a body, which clients cannot parse.
async fn wrong_method(request: Request, next: Next) -> Response {
    let asked = asked(&request);
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allowed = response.headers().get("allow").and_then(|value| value.to_str().ok()).unwrap_or("GET,HEAD");
    let detail = format!("allowed: {allowed}");
    xml::error(StatusCode::METHOD_NOT_ALLOWED, &format!("{asked}: this resource does not take the method"), &[detail])
}

async fn trim_slash(mut request: Request) -> Request {
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(Asked(path));
    let uri = request.uri();
    let trimmed = uri.path().trim_end_matches('/');
    if trimmed.len() == uri.path().len() || trimmed.is_empty() {
        return request;
    }
    let text = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    // a URI without its trailing slashes is a URI; else it goes on as it came
    if let Ok(uri) = text.parse() {
        *request.uri_mut() = uri;
    }
    request
}
