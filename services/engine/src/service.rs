//! The process: gRPC and REST servers, announcement, projects, drain.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_bus::Bus;
use mesh_proto::coordinator::AnnounceRequest;
use mesh_proto::election::Role;
use mesh_proto::engine::engine_server::{Engine as EngineApi, EngineServer};
use mesh_proto::engine::{SkipRequest, SkipResponse, SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse};
use mesh_service::grpc::Server;
use mesh_service::rest::{ServerInfo, ServerProvider};
use mesh_service::{Failure, Kind, Refusal, Scope, administration, announce, rest};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::config::EngineConfig;
use crate::desired::DesiredFile;
use crate::project::{lines, message::Control};
use crate::projects::{Host, Projects};

/// A watcher hears from the engine at least this often.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// Answers that may wait for a slow watcher.
const WATCH_QUEUE: usize = 4;
/// A snapshot takes at most this long, else who asked is told to look at the status.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(600);
/// How long a driver may take to say whether a block can be skipped.
const SKIP_WITHIN: Duration = Duration::from_secs(5);

/// Where an engine listens.
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// `host:port` under which others reach it.
    pub address: String,
    /// `host:port` of the admin server.
    pub admin_address: String,
    /// REST.
    pub rest: TcpListener,
}

/// An engine as its servers see it.
#[derive(Clone)]
pub struct Engine {
    host: Arc<Host>,
    projects: Projects,
    rest_port: u16,
    began: Instant,
}

/// Runs an engine until the drain of its scope is over.
pub async fn run(
    config: EngineConfig,
    name: String,
    bus: Arc<dyn Bus>,
    listeners: Listeners,
    scope: Scope,
) -> Result<(), Failure> {
    let rest_port = listeners.rest.local_addr().map_err(|e| Failure::fault(format!("REST listener: {e}")))?.port();
    let drain = scope.drain.clone();
    let announcement = AnnounceRequest {
        name: name.clone(),
        kind: "engine".to_owned(),
        address: listeners.address.clone(),
        admin_address: listeners.admin_address,
        rest_port: u32::from(rest_port),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let coordinators = config.base.coordinators.clone();
    let server = Server::new(&config.base).secured(&scope.security).add(administration(&config, &name, &scope));
    let (rest_scope, caller) = (scope.clone(), scope.security.caller.clone());
    let incarnation = mesh_candidate::new_incarnation();
    let folder = Some(config.state_dir.as_str()).filter(|folder| !folder.is_empty());
    let desired = folder.map(|folder| DesiredFile::open(Path::new(folder), &name)).transpose();
    let desired = desired.map_err(|error| Failure::config(format!("setting `state_dir`: {error}")))?;
    let host = Arc::new(Host { config, name, address: listeners.address, incarnation, desired, bus, scope });
    let projects = Projects::default();
    let engine = Engine { host: host.clone(), projects: projects.clone(), rest_port, began: Instant::now() };

    let announcing = tokio::spawn(announce::run(coordinators, caller, announcement, drain.clone()));
    let router = rest::router(Arc::new(engine.clone()));
    let rest_server = tokio::spawn(rest::serve(listeners.rest, router, rest_scope));
    lines::http(rest_port);
    let grpc_server = tokio::spawn(server.add(EngineServer::new(engine)).serve(listeners.grpc, drain.clone()));
    // Until the drain is over the gRPC port stays open: a closed one means a crash to the election.
    projects.run(host).await;
    announcing.abort();
    rest_server.abort();
    match grpc_server.await {
        Ok(ended) => ended,
        Err(error) => Err(Failure::fault(format!("gRPC server: {error}"))),
    }
}

impl Engine {
    fn status(&self, project: &str) -> StatusResponse {
        StatusResponse {
            engine: self.host.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            url_host_port: self.host.config.url_host_port.clone(),
            projects: self.projects.reports(project),
            uptime_ms: self.began.elapsed().as_millis() as u64,
        }
    }
}

fn refused(what: &str, project: &str, reason: String) -> Status {
    Refusal::new(Kind::Conflict, format!("{what} of project `{project}`"))
        .found(reason)
        .way_out(format!("`espctl status {project}` and `espctl recover {project}` show what it does"))
        .into()
}

#[tonic::async_trait]
impl EngineApi for Engine {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.status(&request.get_ref().project)))
    }

    async fn snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<SnapshotResponse>, Status> {
        let project = request.into_inner().project;
        let asked = self.projects.ask(&project, |answer| Control::Snapshot { answer }, SNAPSHOT_WITHIN).await;
        let taken = asked.map_err(|reason| refused("snapshot", &project, reason))?;
        Ok(Response::new(SnapshotResponse {
            engine: self.host.name.clone(),
            commit_number: taken.number,
            name: taken.name,
            state_bytes: taken.state_bytes,
            stored_bytes: taken.stored_bytes,
            took_ms: taken.took.as_millis() as u64,
        }))
    }

    async fn skip(&self, request: Request<SkipRequest>) -> Result<Response<SkipResponse>, Status> {
        let SkipRequest { project, topic, position, .. } = request.into_inner();
        let control = |answer| Control::Skip { topic, position, answer };
        let asked = self.projects.ask(&project, control, SKIP_WITHIN).await;
        asked.map_err(|reason| refused("skip a block", &project, reason))?;
        Ok(Response::new(SkipResponse {}))
    }

    type WatchStream = ReceiverStream<Result<StatusResponse, Status>>;

    async fn watch(&self, request: Request<StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let project = request.into_inner().project;
        let (sender, receiver) = tokio::sync::mpsc::channel(WATCH_QUEUE);
        let engine = self.clone();
        let mut changes = engine.projects.changes();
        let drain = engine.host.scope.drain.clone();
        tokio::spawn(async move {
            while sender.send(Ok(engine.status(&project))).await.is_ok() && !drain.is_started() {
                let _ = tokio::time::timeout(WATCH_EVERY, changes.changed()).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl ServerProvider for Engine {
    fn server(
        &self,
        _engine: Option<String>,
    ) -> Pin<Box<dyn Future<Output = Result<ServerInfo, Refusal>> + Send + '_>> {
        Box::pin(async move {
            let config = &self.host.config;
            let reports = self.projects.reports("");
            let port = config.url_host_port.rsplit_once('_').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
            let mut properties = BTreeMap::from([
                ("loglevel".to_owned(), config.base.log.clone()),
                ("nocleanup".to_owned(), "false".to_owned()),
                ("kafka".to_owned(), config.kafka.clone()),
                ("numbufferedmsgs".to_owned(), config.numbufferedmsgs.to_string()),
            ]);
            for report in &reports {
                let role = Role::try_from(report.role).unwrap_or_default().as_str_name();
                let role = role.trim_start_matches("ROLE_").to_lowercase();
                properties.insert(format!("project.{}.role", report.project), role);
                properties.insert(format!("project.{}.term", report.project), report.term.to_string());
            }
            Ok(ServerInfo {
                engine: self.host.name.clone(),
                // With several projects: primary when it leads any of them; the properties tell each.
                primary: reports.iter().any(|report| report.role == i32::from(Role::Active)),
                pubsub_port: if config.pubsub_port == 0 { port } else { config.pubsub_port },
                http: format!("{}:{}", self.host.address.rsplit_once(':').map_or("", |(host, _)| host), self.rest_port),
                properties,
            })
        })
    }
}
