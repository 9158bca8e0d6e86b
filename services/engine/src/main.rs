//! The engine on Kafka.

use std::process::ExitCode;
use std::sync::Arc;

use mesh_bus::{KafkaBus, KafkaOptions, parse_settings};
use mesh_engine::service::Listeners;
use mesh_engine::{EngineConfig, run};
use mesh_service::{Failure, Start};

/// Blocks are made by the threads that read and freed by the threads that apply and write: the system's allocator
/// spends a third of the engine's time on that, this one little (docs/BENCHMARKS.md, blocks of 1).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mesh_service::main(|start: Start<EngineConfig>| async move {
        let (rest, _) = mesh_service::run::bind("rest_listen", &start.config.rest_listen).await?;
        let settings = parse_settings(&start.config.kafka_settings)
            .map_err(|error| Failure::config(format!("setting `kafka_settings`: {error}")))?;
        let options = KafkaOptions { bootstrap: start.config.kafka.clone(), settings };
        let bus = KafkaBus::new(options).map_err(|error| Failure::config(error.to_string()))?;
        let Start { config, name, listener, address, admin_address, scope } = start;
        let listeners = Listeners { grpc: listener, address, admin_address, rest };
        run(config, name, Arc::new(bus), listeners, scope).await
    })
}
