//! REST /SASESP and websockets in front of the mesh.
//!
//! Start at [`run`]. The gateway knows nothing by itself: it watches the mesh's status at a coordinator and answers from
//! the last one, as long as that is young enough to be true.
//!
//! Code map:
//! - [`config`] has the settings
//! - `mesh`: the watched status
//! - `rest`: the resources, one file each (what engines share is in `mesh_service::rest`)
//! - `page`: the page at `/`
//!
//! **Invariant:** speaks only gRPC to the mesh; no bus, no registry (`cargo xtask check-layers`).

pub mod config;

mod mesh;
mod page;
mod rest;

pub use config::GatewayConfig;

use mesh_service::grpc::{Peers, Server};
use mesh_service::{Failure, Scope, administration};
use tokio::net::TcpListener;

use mesh::Mesh;

/// Runs a gateway until the scope drains. `rest`: for clients of the REST interface; `grpc`: for health, reflection and administration.
pub async fn run(config: GatewayConfig, rest: TcpListener, grpc: TcpListener, scope: Scope) -> Result<(), Failure> {
    let http = rest.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let latch = scope.ready.latch("coordinator");
    let coordinators = config.base.coordinators.clone();
    let mesh =
        Mesh::start(Peers::new(coordinators, &scope.security.caller), config.stale_after.0, scope.drain.clone(), latch);
    let routes = mesh_service::rest::mount(rest::routes(&config, &mesh, http.clone()), page::routes(mesh));
    tracing::info!(address = http, "starting HTTP server");
    let serving_rest = mesh_service::rest::serve(rest, routes, scope.clone());
    let administration = administration(&config, &config.base.name, &scope);
    let server = Server::new(&config.base).secured(&scope.security).add(administration);
    let serving_grpc = server.serve(grpc, scope.drain.clone());
    tokio::try_join!(serving_rest, serving_grpc).map(|_| ())
}
