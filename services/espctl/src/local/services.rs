//! Everything around the engines: two election instances, a coordinator, a gateway, adapters.

use mesh_bus::{Bus, MemoryBus};
use mesh_coordination::{MemoryElections, MemoryRegistry};
use mesh_coordinator::CoordinatorConfig;
use mesh_election::ElectionConfig;
use mesh_engine::EngineConfig;
use mesh_gateway::GatewayConfig;
use mesh_proto::coordinator::DeployRequest;
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_service::security::Caller;
use mesh_service::{Base, Failure, Scope, Span};
use mesh_subscriber_adapter::config::SubscriberConfig;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::engine::EngineProcess;
use super::listen;
use crate::fail::Fail;
use crate::mesh::{CHANGE, Client, Mesh};

/// Election instances: one may be lost.
const ELECTIONS: usize = 2;
/// How long the parts may take to end.
const GRACE: Span = Span::from_secs(2);

/// A mesh in this process, without engines at first.
pub struct Local {
    /// The bus.
    pub bus: MemoryBus,
    /// `host:port` of the coordinator.
    pub coordinator: String,
    /// `host:port` of the gateway's REST server; empty without one.
    pub gateway: String,
    elections: Vec<String>,
    scope: Scope,
}

/// An adapter that runs.
pub struct Adapter {
    /// `host:port` of its gRPC server.
    pub address: String,
    /// Says when to stop.
    pub scope: Scope,
    /// Ends when it ends.
    pub running: JoinHandle<Result<(), Failure>>,
}

impl Local {
    /// Starts elections and coordinator, to be called on a tokio runtime.
    pub async fn start(gateway: bool) -> Result<Local, Fail> {
        let mut local = Local {
            bus: MemoryBus::new(),
            coordinator: String::new(),
            gateway: String::new(),
            elections: Vec::new(),
            scope: Scope::new(),
        };
        let session = MemoryElections::new();
        for number in 1..=ELECTIONS {
            let (listener, address) = listen()?;
            let (name, elections) = (format!("election-{number}"), Arc::new(session.open_session()));
            let config = ElectionConfig { base: local.base(), ..ElectionConfig::default() };
            let (listener, scope) = (ours(listener)?, local.scope.clone());
            local.elections.push(address);
            local.run(name.clone(), mesh_election::run(config, name, elections, listener, scope));
        }
        let (listener, address) = listen()?;
        let config = CoordinatorConfig {
            base: local.base(),
            elections: local.elections.clone(),
            ..CoordinatorConfig::default()
        };
        let (registry, bus) = (Arc::new(MemoryRegistry::new()), Arc::new(local.bus.clone()));
        local.coordinator = address;
        let coordinator = mesh_coordinator::run(config, registry, bus, ours(listener)?, local.scope.clone());
        local.run("coordinator".to_owned(), coordinator);
        if gateway {
            let ((rest, address), (grpc, _)) = (listen()?, listen()?);
            let config = GatewayConfig { base: local.base(), ..GatewayConfig::default() };
            local.gateway = address;
            let gateway = mesh_gateway::run(config, ours(rest)?, ours(grpc)?, local.scope.clone());
            local.run("gateway".to_owned(), gateway);
        }
        Ok(local)
    }

    /// A part that ends early takes nothing else down, but is told.
    fn run(&self, name: String, work: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        tokio::spawn(async move {
            if let Err(failure) = work.await {
                crate::out::warning(&format!("{name} ended: {failure}"));
            }
        });
    }

    fn base(&self) -> Base {
        let coordinators = if self.coordinator.is_empty() { Vec::new() } else { vec![self.coordinator.clone()] };
        Base { coordinators, grace: GRACE, trace_ratio: 0.0, ..Base::default() }
    }

    /// Starts an engine.
    pub fn engine(&self, name: &str) -> Result<EngineProcess, Fail> {
        self.engine_with(name, |_| {})
    }

    /// Starts an engine with further settings.
    pub fn engine_with(&self, name: &str, set: impl FnOnce(&mut EngineConfig)) -> Result<EngineProcess, Fail> {
        let mut config =
            EngineConfig { base: self.base(), elections: self.elections.clone(), ..EngineConfig::default() };
        set(&mut config);
        EngineProcess::start(name, config, Arc::new(self.bus.clone()))
    }

    /// The mesh as the commands call it.
    pub fn mesh(&self) -> Mesh {
        Mesh::new(std::slice::from_ref(&self.coordinator), &Caller::default(), "espctl")
    }

    /// Deploys a project.
    pub async fn deploy(&self, xml: &str, file: &str) -> Result<mesh_proto::coordinator::DeployResponse, Fail> {
        let message = DeployRequest { xml: xml.to_owned(), file: file.to_owned(), ..DeployRequest::default() };
        let call = |mut client: Client, request| async move { client.deploy(request).await };
        self.mesh().call(&format!("deploy `{file}`"), CHANGE, message, call).await
    }

    /// Starts a publisher adapter with this `-C` line.
    pub fn publisher(&self, line: String) -> Result<Adapter, Fail> {
        let (listener, address) = listen()?;
        let config = PublisherConfig { base: self.base(), line, ..PublisherConfig::default() };
        let place = mesh_service::adapter::Place {
            name: "publisher-1".to_owned(),
            listener: ours(listener)?,
            address: address.clone(),
            admin_address: String::new(),
        };
        let scope = Scope::new();
        let bus = Arc::new(self.bus.clone());
        let running = tokio::spawn(mesh_publisher_adapter::service::run(config, bus, place, scope.clone()));
        Ok(Adapter { address, scope, running })
    }

    /// Starts a subscriber adapter with this `-C` line on its own view of the bus.
    pub fn subscriber(&self, line: String, bus: Arc<dyn Bus>) -> Result<Adapter, Fail> {
        let (listener, address) = listen()?;
        let config = SubscriberConfig { base: self.base(), line, ..SubscriberConfig::default() };
        let place = mesh_service::adapter::Place {
            name: "subscriber-1".to_owned(),
            listener: ours(listener)?,
            address: address.clone(),
            admin_address: String::new(),
        };
        let scope = Scope::new();
        let running = tokio::spawn(mesh_subscriber_adapter::service::run(config, bus, place, scope.clone()));
        Ok(Adapter { address, scope, running })
    }

    /// Tells every part to end.
    pub fn stop(&self) {
        self.scope.drain.start("end");
    }
}

fn ours(listener: std::net::TcpListener) -> Result<TcpListener, Fail> {
    TcpListener::from_std(listener).map_err(|error| Fail::fault(format!("use of a listener: {error}")))
}
