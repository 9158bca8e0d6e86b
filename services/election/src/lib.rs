//! Decides who leads each group, and in which term.
//!
//! Several instances run; candidates hold a stream to any of them. What is decided, and why, is in
//! [`mesh_replication::election`]; this service carries it out: streams, nodes and records of ZooKeeper, probes.
//!
//! Code map: `config` the settings; `grpc` the API; `hub` the groups; `group` the task that owns one; `io` the calls
//! that its effects ask for; `convert` between the vocabularies; `meter` metrics and log lines.
//!
//! **Invariants.**
//! - S1: one task owns a group's state; nothing else reads or changes it, others see the view that it publishes.
//! - S2: that task never waits for a call: calls run beside it and come back as inputs.
//! - S3: a candidate that does not take its messages loses its stream, nothing else.

mod config;
mod convert;
mod group;
mod grpc;
mod hub;
mod io;
mod meter;

use std::sync::Arc;

use mesh_coordination::Elections;
use mesh_proto::election::election_server::ElectionServer;
use mesh_service::grpc::{MESSAGE_BYTES_MAX, Server};
use mesh_service::{Config as _, Failure, Scope, administration};
use tokio::net::TcpListener;

pub use config::{ElectionConfig, ZookeeperConfig};

/// Serves the election's gRPC API on the listener until the drain starts. `name` must be unique among the instances.
pub async fn run(
    config: ElectionConfig,
    name: String,
    elections: Arc<dyn Elections>,
    listener: TcpListener,
    scope: Scope,
) -> Result<(), Failure> {
    let administration = administration(&config, &name, &scope);
    let hub = hub::Hub::start(name, &config, elections, &scope);
    let service = ElectionServer::new(grpc::Api::new(Arc::clone(&hub)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let server = Server::new(config.base()).secured(&scope.security).add(service).add(administration);
    let served = server.serve(listener, scope.drain.clone()).await;
    hub.stopped().await;
    served
}
