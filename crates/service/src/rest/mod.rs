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
use std::sync::Arc;
use tokio::net::TcpListener;

use crate::drain::Drain;
use crate::exit::Failure;

/// Everything an engine serves at its own port.
pub fn router(provider: Arc<dyn ServerProvider>) -> Router {
    mount(resource(provider), Router::new())
}

/// Serves routes over plain HTTP until the drain starts.
pub async fn serve(listener: TcpListener, router: Router, drain: Drain) -> Result<(), Failure> {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    axum::serve(listener, router)
        .with_graceful_shutdown(drain.started_owned())
        .await
        .map_err(|error| Failure::fault(format!("REST server on {address}: {error}")))
}

#[cfg(test)]
mod tests;
