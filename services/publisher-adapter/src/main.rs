//! The publisher adapter on Kafka.

use std::process::ExitCode;
use std::sync::Arc;

use mesh_adapter::PublisherOptions;
use mesh_bus::kafka::settings::parse_settings;
use mesh_bus::{KafkaBus, KafkaOptions};
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_publisher_adapter::service::{Place, run};
use mesh_service::{Failure, Start};

fn main() -> ExitCode {
    mesh_service::main(|start: Start<PublisherConfig>| async move {
        let Start { config, name, listener, address, admin_address, scope } = start;
        let transport = PublisherOptions::from_line(&config.line).map_err(Failure::config)?.options.common.transport;
        let mut settings: std::collections::BTreeMap<String, String> = transport.globalconfig.into_iter().collect();
        let stronger = parse_settings(&config.kafka_settings)
            .map_err(|error| Failure::config(format!("setting `kafka_settings`: {error}")))?;
        settings.extend(stronger);
        let bootstrap = Some(config.kafka.clone()).filter(|kafka| !kafka.is_empty()).or(transport.hostport);
        let bootstrap = bootstrap.ok_or_else(|| {
            Failure::config("setting `kafka`: expected `host:port` of a broker, found none; give --kafka, or hostport in the transport file (transportconfigfile=...)")
        })?;
        let bus = KafkaBus::new(KafkaOptions { bootstrap, settings }).map_err(Failure::config)?;
        run(config, Arc::new(bus), Place { name, listener, address, admin_address }, scope).await
    })
}
