//! gRPC and REST calls, blocking: tests are plain threads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use mesh_proto::coordinator::{DeployRequest, DeployResponse, PromoteRequest, PromoteResponse};
use mesh_proto::engine::engine_client::EngineClient;
use mesh_proto::engine::{ProjectStatus, SnapshotRequest, SnapshotResponse, StatusRequest};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

const CONNECT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(15);
const SNAPSHOT: Duration = Duration::from_secs(120);

/// Calls of the mesh's APIs.
pub struct Client {
    runtime: Runtime,
}

impl Client {
    /// A client with a runtime of its own.
    pub fn new() -> Result<Client> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Client { runtime })
    }

    async fn channel(address: &str) -> Result<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(CONNECT).timeout(CALL);
        endpoint.connect().await.with_context(|| format!("connecting to {address}"))
    }

    /// Deploys a project.
    pub fn deploy(&self, coordinator: &str, xml: &str, name: &str, url_host_port: &str) -> Result<DeployResponse> {
        let request = DeployRequest {
            xml: xml.to_owned(),
            name: name.to_owned(),
            url_host_port: url_host_port.to_owned(),
            file: "project.xml".to_owned(),
            change: None,
        };
        self.runtime.block_on(async {
            let mut client = CoordinatorClient::new(Self::channel(coordinator).await?);
            Ok(client.deploy(request).await?.into_inner())
        })
    }

    /// Hands the leadership over.
    pub fn promote(&self, coordinator: &str, project: &str, engine: &str) -> Result<PromoteResponse> {
        let request = PromoteRequest {
            project: project.to_owned(),
            engine: engine.to_owned(),
            reason: "test".to_owned(),
            ..PromoteRequest::default()
        };
        self.runtime.block_on(async {
            let mut client = CoordinatorClient::new(Self::channel(coordinator).await?);
            Ok(client.promote(request).await?.into_inner())
        })
    }

    /// Makes a snapshot on an engine; answers when it is published.
    pub fn snapshot(&self, engine: &str, project: &str) -> Result<SnapshotResponse> {
        let request = SnapshotRequest { project: project.to_owned() };
        self.runtime.block_on(async {
            // A large state takes longer than other calls.
            let endpoint =
                Endpoint::from_shared(format!("http://{engine}"))?.connect_timeout(CONNECT).timeout(SNAPSHOT);
            let channel = endpoint.connect().await.with_context(|| format!("connecting to {engine}"))?;
            Ok(EngineClient::new(channel).snapshot(request).await?.into_inner())
        })
    }

    /// Any call of a coordinator.
    pub fn coordinator<A>(
        &self,
        address: &str,
        call: impl AsyncFnOnce(CoordinatorClient<Channel>) -> Result<tonic::Response<A>, tonic::Status>,
    ) -> Result<A> {
        self.runtime.block_on(async {
            let client = CoordinatorClient::new(Self::channel(address).await?);
            Ok(call(client).await?.into_inner())
        })
    }

    /// The whole mesh.
    pub fn mesh_status(&self, coordinator: &str) -> Result<mesh_proto::coordinator::MeshStatusResponse> {
        self.runtime.block_on(async {
            let mut client = CoordinatorClient::new(Self::channel(coordinator).await?);
            Ok(client.status(mesh_proto::coordinator::MeshStatusRequest::default()).await?.into_inner())
        })
    }

    /// What an engine says of its one project.
    pub fn project(&self, engine: &str) -> Result<ProjectStatus> {
        self.runtime.block_on(async {
            let mut client = EngineClient::new(Self::channel(engine).await?);
            let status = client.status(StatusRequest::default()).await?.into_inner();
            status.projects.into_iter().next().context("the engine runs no project yet")
        })
    }
}

/// Body of a plain `GET`, whatever its status.
pub fn http_get(address: &str, path: &str) -> Result<String> {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(CALL))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n").with_context(|| format!("GET {path}: no HTTP answer: {answer}"))?;
    Ok(body.to_owned())
}
