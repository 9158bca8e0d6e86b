//! `esp-election`: the election service on ZooKeeper.

use std::process::ExitCode;
use std::sync::Arc;

use mesh_coordination::{TlsPem, ZookeeperElections, ZookeeperOptions};
use mesh_election::ElectionConfig;
use mesh_service::security::ClientPem;
use mesh_service::{Failure, Start};

fn main() -> ExitCode {
    mesh_service::main(|start: Start<ElectionConfig>| async move {
        let pem = ClientPem::require("zookeeper.tls", &start.config.zookeeper.tls)?;
        let options = ZookeeperOptions {
            hosts: start.config.zookeeper.hosts.clone(),
            session_timeout: start.config.zookeeper.session_timeout.0,
            call_timeout: start.config.zookeeper.call_timeout.0,
            tls: pem.map(|ClientPem { ca, identity }| TlsPem { ca, identity }),
        };
        let elections = ZookeeperElections::start(options)
            .map_err(|error| Failure::config(format!("setting `zookeeper.hosts`: {error}")))?;
        mesh_election::run(start.config, start.name, Arc::new(elections), start.listener, start.scope).await
    })
}
