//! REST /SASESP in front of the mesh.

use mesh_gateway::{GatewayConfig, run};
use mesh_proto::coordinator::AnnounceRequest;
use mesh_service::run::bind;
use mesh_service::{Start, announce};
use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_service::main(|start: Start<GatewayConfig>| async move {
        let Start { config, name, listener, address, admin_address, scope } = start;
        let (rest, rest_port) = bind("rest_listen", &config.rest_listen).await?;
        let announced = AnnounceRequest {
            name,
            kind: "gateway".to_owned(),
            address,
            admin_address,
            rest_port: u32::from(rest_port),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        tokio::spawn(announce::run(
            config.base.coordinators.clone(),
            scope.security.caller.clone(),
            announced,
            scope.drain.clone(),
        ));
        run(config, rest, listener, scope).await
    })
}
