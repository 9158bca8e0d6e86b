//! The publisher adapter on Kafka.

use std::process::ExitCode;
use std::sync::Arc;

use mesh_adapter::PublisherOptions;
use mesh_bus::{KafkaBus, KafkaOptions, parse_settings};
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_publisher_adapter::service::run;
use mesh_service::adapter::Place;
use mesh_service::{Failure, Start};

fn main() -> ExitCode {
    mesh_service::main(|start: Start<PublisherConfig>| async move {
        let Start { config, name, listener, address, admin_address, scope } = start;
        let transport = PublisherOptions::from_line(&config.line).map_err(Failure::config)?.options.common.transport;
        let stronger = parse_settings(&config.kafka_settings)
            .map_err(|error| Failure::config(format!("setting `kafka_settings`: {error}")))?;
        let (bootstrap, settings) = transport.cluster(&config.kafka, stronger).map_err(Failure::config)?;
        let bus = KafkaBus::new(KafkaOptions { bootstrap, settings }).map_err(Failure::config)?;
        run(config, Arc::new(bus), Place { name, listener, address, admin_address }, scope).await
    })
}
