//! Holds the desired state: projects, engines, adapters, topics, history. Wires in etcd and Kafka.

use mesh_bus::{Bus, KafkaBus, KafkaOptions, parse_settings};
use mesh_coordination::{EtcdOptions, EtcdRegistry, TlsPem};
use mesh_coordinator::{CoordinatorConfig, run};
use mesh_proto::coordinator::AnnounceRequest;
use mesh_service::security::ClientPem;
use mesh_service::{Failure, Start, announce};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    mesh_service::main(|start: Start<CoordinatorConfig>| async move {
        let Start { config, name, listener, address, admin_address, scope } = start;
        let pem = ClientPem::require("etcd.tls", &config.etcd.tls)?;
        let etcd = EtcdOptions {
            endpoints: config.etcd.endpoints.clone(),
            prefix: config.etcd.prefix.clone(),
            call_timeout: config.etcd.timeout.0,
            tls: pem.map(|ClientPem { ca, identity }| TlsPem { ca, identity }),
        };
        let registry = EtcdRegistry::start(etcd).await.map_err(Failure::config)?;
        let settings = parse_settings(&config.kafka.settings)
            .map_err(|error| Failure::config(format!("setting `kafka.settings`: {error}")))?;
        let options = KafkaOptions { bootstrap: config.kafka.brokers.clone(), settings };
        let bus: Arc<dyn Bus> = Arc::new(KafkaBus::new(options).map_err(Failure::config)?);
        // the other instances show it in their status
        let announced = AnnounceRequest {
            name,
            kind: "coordinator".to_owned(),
            address: address.clone(),
            admin_address,
            rest_port: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let everybody = [vec![address], config.base.coordinators.clone()].concat();
        tokio::spawn(announce::run(everybody, scope.security.caller.clone(), announced, scope.drain.clone()));
        run(config, Arc::new(registry), bus, listener, scope).await
    })
}
