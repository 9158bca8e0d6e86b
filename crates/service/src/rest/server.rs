//! Resource `server`: who this server is, and whether it is the primary one.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use super::xml;
use crate::status::Refusal;

/// Version of the interface that we speak; clients need a dot in it.
pub const INTERFACE_VERSION: &str = "6.2";

/// Parameter that selects one engine of the mesh.
pub const ENGINE_PARAMETER: &str = "engine";

/// What `GET server` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerInfo {
    /// Name of the engine (of the mesh, at the gateway).
    pub engine: String,
    /// True on the active.
    pub primary: bool,
    /// Port of publish and subscribe.
    pub pubsub_port: u16,
    /// Address of the REST server; empty: left out.
    pub http: String,
    /// With `config=true`.
    pub properties: BTreeMap<String, String>,
}

/// Answers who the server is. `engine`: one engine of the mesh by name (an engine ignores it).
pub trait ServerProvider: Send + Sync + 'static {
    /// Looks it up.
    fn server(&self, engine: Option<String>) -> Pin<Box<dyn Future<Output = Result<ServerInfo, Refusal>> + Send + '_>>;
}

/// The resource, without prefix.
pub fn resource(provider: Arc<dyn ServerProvider>) -> Router {
    Router::new().route("/server", get(get_server)).with_state(provider)
}

/// One element, attributes in the order of the original.
pub fn esp_server_xml(info: &ServerInfo, config: bool) -> xml::Element {
    let mut element = xml::Element::new("esp-server")
        .attribute("version", INTERFACE_VERSION)
        .attribute("engine", &info.engine)
        .attribute("analytics-license", true)
        .attribute("primary-server", info.primary)
        .attribute("pubsub", info.pubsub_port);
    if !info.http.is_empty() {
        element = element.attribute("http", &info.http);
    }
    if config {
        let property =
            |(name, value): (&String, &String)| xml::Element::new("property").attribute("name", name).text(value);
        element = element.children(info.properties.iter().map(property));
    }
    element
}

async fn get_server(
    State(provider): State<Arc<dyn ServerProvider>>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Response {
    let config = parameters.get("config").is_some_and(|value| value == "true");
    let engine = parameters.get(ENGINE_PARAMETER).filter(|name| !name.is_empty()).cloned();
    match provider.server(engine).await {
        Ok(info) => xml::answer(StatusCode::OK, esp_server_xml(&info, config)),
        Err(refusal) => xml::refusal(&refusal),
    }
}
