//! The gRPC API: messages in, messages out; the work is in the other files, that of changes in `changes`.

use mesh_bus::Bus;
use mesh_proto::coordinator::coordinator_server::Coordinator;
use mesh_proto::coordinator::{
    AnnounceRequest, AnnounceResponse, CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest,
    DeleteTopicResponse, DeployRequest, DeployResponse, DiagnoseRequest, DiagnoseResponse, DrainRequest, DrainResponse,
    HistoryRequest, HistoryResponse, ListProjectsRequest, ListProjectsResponse, ListTopicsRequest, ListTopicsResponse,
    ListVersionsRequest, ListVersionsResponse, MeshStatusRequest, MeshStatusResponse, PauseFailoverRequest,
    PauseFailoverResponse, ProjectSet, PromoteRequest, PromoteResponse, RebalanceRequest, RebalanceResponse,
    ResumeFailoverRequest, ResumeFailoverResponse, RollbackRequest, RollbackResponse, SnapshotProjectRequest,
    UndeployRequest, UndeployResponse, UndrainRequest, UndrainResponse, WatchProjectsRequest,
};
use mesh_proto::engine;
use mesh_service::{Drain, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::config::CoordinatorConfig;
use crate::diagnose::Diagnosis;
use crate::history::History;
use crate::known::Projects;
use crate::mesh::Mesh;
use crate::store::{Store, StoredEvent, StoredProject};
use crate::topics;

/// How often a watched status is sent when nothing changes.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// A watched status is sent no more often than this, however often something changes.
const STATUS_EVERY_MIN: Duration = Duration::from_millis(50);

/// Messages of a stream that wait for a slow reader; then the stream waits, and the reader skips states.
const STREAM_MAX: usize = 1;

/// Entries of history when the caller names no number.
const HISTORY_DEFAULT: usize = 100;

/// Handles requests.
pub(crate) struct Api {
    pub(crate) config: CoordinatorConfig,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Store,
    pub(crate) history: Arc<History>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) drain: Drain,
}

impl Api {
    /// A running project as known now.
    pub(crate) fn project(&self, name: &str) -> Result<StoredProject, Refusal> {
        let Some(projects) = self.mesh.known.projects_now() else { return Err(self.unknown_yet("projects")) };
        projects.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = projects.keys().map(String::as_str).collect();
            Refusal::not_found(format!("project `{name}`"))
                .expected(if names.is_empty() {
                    "a deployed project".to_owned()
                } else {
                    format!("one of {}", names.join(", "))
                })
                .found("no such project")
                .way_out("deploy it first: `espctl project deploy FILE`")
        })
    }

    fn unknown_yet(&self, what: &str) -> Refusal {
        let reason = self.mesh.known.registry_error.borrow().clone();
        Refusal::unavailable(format!("read {what}"))
            .found(reason.unwrap_or_else(|| "the registry has not answered since this coordinator started".to_owned()))
            .way_out("try again when etcd is back")
    }
}

fn set(projects: &Projects) -> Option<ProjectSet> {
    let projects = projects.as_ref()?;
    Some(ProjectSet { projects: projects.values().map(StoredProject::to_proto).collect() })
}

#[tonic::async_trait]
impl Coordinator for Api {
    async fn deploy(&self, request: Request<DeployRequest>) -> Result<Response<DeployResponse>, Status> {
        self.change(
            "deploy",
            request,
            |message| message.change.clone(),
            |message, author| self.deploy_project(message, author),
        )
        .await
    }

    async fn undeploy(&self, request: Request<UndeployRequest>) -> Result<Response<UndeployResponse>, Status> {
        self.change(
            "undeploy",
            request,
            |message| message.change.clone(),
            |message, author| self.undeploy_project(message, author),
        )
        .await
    }

    async fn list_projects(&self, _: Request<ListProjectsRequest>) -> Result<Response<ListProjectsResponse>, Status> {
        let set = set(&self.mesh.known.projects_now()).ok_or_else(|| self.unknown_yet("projects"))?;
        Ok(Response::new(ListProjectsResponse { projects: set.projects }))
    }

    async fn list_versions(
        &self,
        request: Request<ListVersionsRequest>,
    ) -> Result<Response<ListVersionsResponse>, Status> {
        let name = request.into_inner().project;
        let versions = self.store.versions(&name).await?;
        if versions.kept.is_empty() {
            return Err(Refusal::not_found(format!("versions of project `{name}`"))
                .expected("a project that was deployed")
                .found("no such project")
                .way_out("`espctl project list` names them")
                .into());
        }
        let newest_first = versions.kept.iter().rev();
        let versions = newest_first.map(|version| version.to_version(versions.current.as_ref())).collect();
        Ok(Response::new(ListVersionsResponse { versions }))
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Result<Response<RollbackResponse>, Status> {
        self.change(
            "rollback",
            request,
            |message| message.change.clone(),
            |message, author| self.roll_back(message, author),
        )
        .await
    }

    type WatchProjectsStream = ReceiverStream<Result<ProjectSet, Status>>;

    async fn watch_projects(
        &self,
        request: Request<WatchProjectsRequest>,
    ) -> Result<Response<Self::WatchProjectsStream>, Status> {
        let engine = request.into_inner().engine;
        let mut projects = self.mesh.known.projects.clone();
        projects.mark_changed();
        let drain = self.drain.clone();
        let (sender, receiver) = mpsc::channel(STREAM_MAX);
        tokio::spawn(async move {
            tracing::debug!(engine, "watches projects");
            loop {
                tokio::select! {
                    () = drain.started() => return,
                    () = sender.closed() => return,
                    changed = projects.changed() => if changed.is_err() { return },
                }
                // nothing is sent before the projects are known: an empty set would stop all of them
                let Some(set) = set(&projects.borrow_and_update().clone()) else { continue };
                if sender.send(Ok(set)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn status(&self, request: Request<MeshStatusRequest>) -> Result<Response<MeshStatusResponse>, Status> {
        Ok(Response::new(self.mesh.status(&request.into_inner().project).await))
    }

    type WatchStatusStream = ReceiverStream<Result<MeshStatusResponse, Status>>;

    async fn watch_status(
        &self,
        request: Request<MeshStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let project = request.into_inner().project;
        let mesh = self.mesh.clone();
        let drain = self.drain.clone();
        let mut groups = mesh.elections.changed();
        let mut members = mesh.members.changed();
        let (sender, receiver) = mpsc::channel(STREAM_MAX);
        tokio::spawn(async move {
            loop {
                let status = mesh.status(&project).await;
                if sender.send(Ok(status)).await.is_err() {
                    return;
                }
                tokio::time::sleep(STATUS_EVERY_MIN).await;
                tokio::select! {
                    () = drain.started() => return,
                    () = sender.closed() => return,
                    Ok(()) = groups.changed() => {}
                    Ok(()) = members.changed() => {}
                    () = tokio::time::sleep(STATUS_EVERY) => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Result<Response<PromoteResponse>, Status> {
        self.change(
            "promote",
            request,
            |message| message.change.clone(),
            |message, author| self.promote_engine(message, author),
        )
        .await
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        self.change(
            "drain",
            request,
            |message| message.change.clone(),
            |message, author| self.drain_engine(message, author),
        )
        .await
    }

    async fn rebalance(&self, request: Request<RebalanceRequest>) -> Result<Response<RebalanceResponse>, Status> {
        self.change(
            "rebalance",
            request,
            |message| message.change.clone(),
            |message, author| self.spread_leaders(message, author),
        )
        .await
    }

    async fn undrain(&self, request: Request<UndrainRequest>) -> Result<Response<UndrainResponse>, Status> {
        self.change(
            "undrain",
            request,
            |message| message.change.clone(),
            |message, author| self.undrain_engine(message, author),
        )
        .await
    }

    async fn pause_failover(
        &self,
        request: Request<PauseFailoverRequest>,
    ) -> Result<Response<PauseFailoverResponse>, Status> {
        self.change(
            "pause_failover",
            request,
            |message| message.change.clone(),
            |message, author| self.pause(message, author),
        )
        .await
    }

    async fn resume_failover(
        &self,
        request: Request<ResumeFailoverRequest>,
    ) -> Result<Response<ResumeFailoverResponse>, Status> {
        self.change(
            "resume_failover",
            request,
            |message| message.change.clone(),
            |message, author| self.resume(message, author),
        )
        .await
    }

    async fn snapshot(
        &self,
        request: Request<SnapshotProjectRequest>,
    ) -> Result<Response<engine::SnapshotResponse>, Status> {
        self.change(
            "snapshot",
            request,
            |message| message.change.clone(),
            |message, author| self.take_snapshot(message, author),
        )
        .await
    }

    async fn skip(&self, request: Request<engine::SkipRequest>) -> Result<Response<engine::SkipResponse>, Status> {
        self.change(
            "skip",
            request,
            |message| message.change.clone(),
            |message, author| self.skip_block(message, author),
        )
        .await
    }

    async fn diagnose(&self, _: Request<DiagnoseRequest>) -> Result<Response<DiagnoseResponse>, Status> {
        let Api { config, bus, store, mesh, .. } = self;
        Ok(Response::new(Diagnosis { config, bus, store, mesh }.findings().await))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        let message = request.into_inner();
        let limit = if message.limit == 0 { HISTORY_DEFAULT } else { message.limit as usize };
        let events = self.mesh.known.history.borrow().clone();
        let wanted = events.iter().rev().filter(|event| message.project.is_empty() || event.project == message.project);
        Ok(Response::new(HistoryResponse { entries: wanted.take(limit).map(StoredEvent::to_proto).collect() }))
    }

    async fn list_topics(&self, request: Request<ListTopicsRequest>) -> Result<Response<ListTopicsResponse>, Status> {
        let prefix = request.into_inner().prefix;
        let deadline = self.config.bus_timeout.0;
        let listing =
            topics::blocking(&self.bus, "list topics", deadline, move |bus| topics::list(bus, &prefix, deadline));
        Ok(Response::new(ListTopicsResponse { topics: listing.await? }))
    }

    async fn create_topic(
        &self,
        request: Request<CreateTopicRequest>,
    ) -> Result<Response<CreateTopicResponse>, Status> {
        self.change(
            "create_topic",
            request,
            |message| message.change.clone(),
            |message, author| self.make_topic(message, author),
        )
        .await
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Result<Response<DeleteTopicResponse>, Status> {
        self.change(
            "delete_topic",
            request,
            |message| message.change.clone(),
            |message, author| self.remove_topic(message, author),
        )
        .await
    }

    async fn announce(&self, request: Request<AnnounceRequest>) -> Result<Response<AnnounceResponse>, Status> {
        self.mesh.members.announce(request.into_inner(), &self.store)?;
        Ok(Response::new(AnnounceResponse {}))
    }
}
