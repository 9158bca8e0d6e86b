//! REST resources of the mesh, one file each; [`routes`] is their list.

mod server;

use axum::Router;
use std::sync::Arc;

use crate::config::GatewayConfig;
use crate::mesh::Mesh;

/// The resources, without prefix.
pub(crate) fn routes(config: &GatewayConfig, mesh: &Mesh, http: String) -> Router {
    let server = server::MeshServer::new(config, mesh.clone(), http);
    mesh_service::rest::resource(Arc::new(server))
}
