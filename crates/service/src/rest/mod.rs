//! The REST interface that ESP clients know, as far as engines and the gateway share it.
//!
//! One file per resource, each a [`Router`] without prefix; [`mount`] puts the same tree under the three prefixes that
//! clients use, with and without a trailing slash.
//!
//! **Invariant:** every answer is well-formed XML, errors included: clients parse before they look at the status.

mod engine;
mod mount;
mod server;
mod xml;

pub use engine::{engine_info, is_primary, role_name};
pub use mount::{PREFIXES, mount};
pub use server::{ENGINE_PARAMETER, INTERFACE_VERSION, ServerInfo, ServerProvider, esp_server_xml, resource};
pub use xml::{Element, answer, error, escape, refusal};

use axum::Router;
use axum::middleware::from_fn;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::drain::Drain;
use crate::exit::Failure;
use crate::scope::Scope;
use crate::security::gate::rest_gate;
use crate::security::limit::rest_limit;
use crate::security::listen::{RestListener, incoming};
use crate::security::tls::Protocol;
use crate::security::{Peer, Security};

/// Everything an engine serves at its own port.
pub fn router(provider: Arc<dyn ServerProvider>) -> Router {
    mount(resource(provider), Router::new())
}

/// Serves routes until the scope drains, over TLS and for holders of tokens if the settings say so.
pub async fn serve(listener: TcpListener, router: Router, scope: Scope) -> Result<(), Failure> {
    let router = gated(router, &scope.security);
    serve_open("REST", listener, router, scope.security, scope.drain).await
}

/// Asks for tokens, if the settings say so.
pub(crate) fn gated<S: Clone + Send + Sync + 'static>(router: Router<S>, security: &Security) -> Router<S> {
    let gate = security.gate.clone();
    match gate.is_closed() {
        true => router.layer(from_fn(move |request, next| rest_gate(gate.clone(), request, next))),
        false => router,
    }
}

/// Serves routes that ask for tokens themselves, where they do, until `stop` starts; `name` is for errors.
pub(crate) async fn serve_open(
    name: &str,
    listener: TcpListener,
    router: Router,
    security: Security,
    stop: Drain,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(|error| Failure::fault(format!("{name} server: {error}")))?;
    // HTTP/1 has one request in work per connection
    let limits = security.limits(1);
    let of_requests = limits.clone();
    let router = router.layer(from_fn(move |request, next| rest_limit(of_requests.clone(), request, next)));
    // whatever ends this call, dropping it included, ends the connections
    let connections = CancellationToken::new();
    let _cut = connections.clone().drop_guard();
    let accepted = incoming(listener, security.door(Protocol::Rest), limits, connections);
    axum::serve(RestListener::new(address, accepted), router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(stop.started_owned())
        .await
        .map_err(|error| Failure::fault(format!("{name} server on {address}: {error}")))
}

#[cfg(test)]
mod tests;
