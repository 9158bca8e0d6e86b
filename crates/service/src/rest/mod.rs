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

use crate::exit::Failure;
use crate::scope::Scope;
use crate::security::Security;
use crate::security::gate::rest_gate;
use crate::security::listen::{RestListener, incoming};

/// Everything an engine serves at its own port.
pub fn router(provider: Arc<dyn ServerProvider>) -> Router {
    mount(resource(provider), Router::new())
}

/// Serves routes until the scope drains, over TLS and for holders of tokens if the settings say so.
pub async fn serve(listener: TcpListener, router: Router, scope: Scope) -> Result<(), Failure> {
    let failed = |error| Failure::fault(format!("REST server: {error}"));
    let address = listener.local_addr().map_err(failed)?;
    let Security { acceptor, gate, connections_max, .. } = scope.security;
    let router = match gate.is_closed() {
        true => router.layer(from_fn(move |request, next| rest_gate(gate.clone(), request, next))),
        false => router,
    };
    // whatever ends this call, dropping it included, ends the connections
    let connections = CancellationToken::new();
    let _cut = connections.clone().drop_guard();
    let accepted = incoming(listener, acceptor.map(|acceptor| acceptor.rest), connections_max, connections);
    axum::serve(RestListener::new(address, accepted), router)
        .with_graceful_shutdown(scope.drain.started_owned())
        .await
        .map_err(|error| Failure::fault(format!("REST server on {address}: {error}")))
}

#[cfg(test)]
mod tests;
