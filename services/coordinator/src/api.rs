//! The gRPC API: messages in, messages out; the work is in the other files.

use mesh_bus::{Bus, TopicSpec};
use mesh_proto::coordinator::coordinator_server::Coordinator;
use mesh_proto::coordinator::{
    AnnounceRequest, AnnounceResponse, CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest,
    DeleteTopicResponse, DeployRequest, DeployResponse, DiagnoseRequest, DiagnoseResponse, DrainRequest, DrainResponse,
    HistoryRequest, HistoryResponse, ListProjectsRequest, ListProjectsResponse, ListTopicsRequest, ListTopicsResponse,
    ListVersionsRequest, ListVersionsResponse, MeshStatusRequest, MeshStatusResponse, PauseFailoverRequest,
    PauseFailoverResponse, ProjectSet, PromoteRequest, PromoteResponse, ResumeFailoverRequest, ResumeFailoverResponse,
    RollbackRequest, RollbackResponse, SnapshotProjectRequest, UndeployRequest, UndeployResponse, UndrainRequest,
    UndrainResponse, WatchProjectsRequest,
};
use mesh_proto::{election, engine};
use mesh_service::{Drain, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::author::Author;
use crate::clock::now_us;
use crate::config::CoordinatorConfig;
use crate::deploy::Deployer;
use crate::diagnose::Diagnosis;
use crate::history::History;
use crate::known::Projects;
use crate::mesh::Mesh;
use crate::store::{Store, StoredEvent, StoredProject};
use crate::{refuse, topics};

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
    fn project(&self, name: &str) -> Result<StoredProject, Refusal> {
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

    fn note(&self, project: &str, what: &str, detail: String, author: Author) {
        self.history.note(StoredEvent::new(now_us(), project, what, detail).by(author));
    }

    fn note_of(&self, candidate: &str, what: &str, detail: String, author: Author) {
        let event = StoredEvent::new(now_us(), "", what, detail).by(author);
        self.history.note(StoredEvent { candidate: candidate.to_owned(), ..event });
    }

    fn deployer(&self) -> Deployer<'_> {
        let Api { config, bus, store, history, mesh, .. } = self;
        Deployer { config, bus, store, history, mesh }
    }
}

fn set(projects: &Projects) -> Option<ProjectSet> {
    let projects = projects.as_ref()?;
    Some(ProjectSet { projects: projects.values().map(StoredProject::to_proto).collect() })
}

#[tonic::async_trait]
impl Coordinator for Api {
    async fn deploy(&self, request: Request<DeployRequest>) -> Result<Response<DeployResponse>, Status> {
        let caller = request.remote_addr();
        let mut message = request.into_inner();
        let author = Author::new(message.change.take(), caller)?;
        Ok(Response::new(self.deployer().deploy(message, author).await?))
    }

    async fn undeploy(&self, request: Request<UndeployRequest>) -> Result<Response<UndeployResponse>, Status> {
        let caller = request.remote_addr();
        let UndeployRequest { project: name, change } = request.into_inner();
        let author = Author::new(change, caller)?;
        if !self.store.undeploy(&name).await? {
            return Err(Refusal::not_found(format!("undeploy project `{name}`"))
                .expected("a deployed project")
                .found("no such project")
                .way_out("`espctl project list` names them")
                .into());
        }
        self.note(&name, "undeploy", "topics and history stay".to_owned(), author);
        Ok(Response::new(UndeployResponse {}))
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
        let caller = request.remote_addr();
        let mut message = request.into_inner();
        let author = Author::new(message.change.take(), caller)?;
        Ok(Response::new(self.deployer().rollback(message, author).await?))
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
        let caller = request.remote_addr();
        let message = request.into_inner();
        let author = Author::new(message.change, caller)?.or_why(&message.reason)?.or_why("asked for")?;
        let project = self.project(&message.project)?;
        let asked = election::PromoteRequest {
            group: project.group(),
            candidate: message.engine.clone(),
            reason: author.why.clone(),
        };
        let done = self.mesh.elections.promote(asked, self.config.promote_timeout.0).await?;
        let detail = format!("{} on purpose: {}", done.leader, author.why);
        let event = StoredEvent::new(now_us(), &project.name, "promote", detail).by(author);
        self.history.note(StoredEvent { term: done.term, candidate: done.leader.clone(), ..event });
        Ok(Response::new(PromoteResponse { term: done.term, engine: done.leader }))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let caller = request.remote_addr();
        let DrainRequest { engine, change } = request.into_inner();
        let author = Author::new(change, caller)?.or_why("asked for")?;
        let deadline = self.config.promote_timeout.0;
        let done = self.mesh.drain_engine(&self.store, &engine, &author, deadline).await?;
        self.note_of(&engine, "drain", format!("{engine} shall lead nothing"), author);
        Ok(Response::new(done))
    }

    async fn undrain(&self, request: Request<UndrainRequest>) -> Result<Response<UndrainResponse>, Status> {
        let caller = request.remote_addr();
        let UndrainRequest { engine, change } = request.into_inner();
        let author = Author::new(change, caller)?;
        self.mesh.undrain_engine(&self.store, &engine, self.config.promote_timeout.0).await?;
        self.note_of(&engine, "undrain", format!("{engine} may lead again"), author);
        Ok(Response::new(UndrainResponse {}))
    }

    async fn pause_failover(
        &self,
        request: Request<PauseFailoverRequest>,
    ) -> Result<Response<PauseFailoverResponse>, Status> {
        let caller = request.remote_addr();
        let PauseFailoverRequest { project, change } = request.into_inner();
        let author = Author::new(change, caller)?.or_why("asked for")?;
        let project = self.project(&project)?;
        let paused = self.mesh.pause_failover(&project, true, &author, self.config.promote_timeout.0).await?;
        self.note(&project.name, "pause-failover", "nobody is elected, except by promote".to_owned(), author);
        Ok(Response::new(PauseFailoverResponse { paused }))
    }

    async fn resume_failover(
        &self,
        request: Request<ResumeFailoverRequest>,
    ) -> Result<Response<ResumeFailoverResponse>, Status> {
        let caller = request.remote_addr();
        let ResumeFailoverRequest { project, change } = request.into_inner();
        let author = Author::new(change, caller)?;
        let project = self.project(&project)?;
        self.mesh.pause_failover(&project, false, &author, self.config.promote_timeout.0).await?;
        self.note(&project.name, "resume-failover", "leaders are elected again".to_owned(), author);
        Ok(Response::new(ResumeFailoverResponse {}))
    }

    async fn snapshot(
        &self,
        request: Request<SnapshotProjectRequest>,
    ) -> Result<Response<engine::SnapshotResponse>, Status> {
        let caller = request.remote_addr();
        let message = request.into_inner();
        let author = Author::new(message.change, caller)?;
        self.project(&message.project)?;
        let taken = self.mesh.snapshot(&message.project, &message.engine).await?;
        let (engine, number) = (&taken.get_ref().engine, taken.get_ref().commit_number);
        self.note(&message.project, "snapshot", format!("commit {number} by {engine}"), author);
        Ok(taken)
    }

    async fn skip(&self, request: Request<engine::SkipRequest>) -> Result<Response<engine::SkipResponse>, Status> {
        let caller = request.remote_addr();
        let message = request.into_inner();
        let author = Author::new(message.change.clone(), caller)?;
        self.project(&message.project)?;
        let (project, detail) = (message.project.clone(), format!("block at offset {}", message.position));
        let skipped = self.mesh.skip(message).await?;
        self.note(&project, "skip", detail, author);
        Ok(skipped)
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
        let caller = request.remote_addr();
        let message = request.into_inner();
        let author = Author::new(message.change, caller)?;
        let defaults = &self.config.topics;
        let copies =
            if message.replication_factor == 0 { defaults.replication_factor } else { message.replication_factor };
        let mut settings = message.settings;
        // a topic that the caller wants with fewer copies could otherwise never be written
        let in_sync = defaults.min_insync_replicas.min(copies);
        settings.entry("min.insync.replicas".to_owned()).or_insert_with(|| in_sync.to_string());
        let spec = TopicSpec { name: message.name, replication_factor: copies, settings };
        let deadline = self.config.bus_timeout.0;
        let what = format!("create topic `{}`", spec.name);
        let detail = format!("`{}` with {copies} copies", spec.name);
        let creating = topics::blocking(&self.bus, &what, deadline, move |bus| {
            bus.create_topic(&spec, deadline).map_err(refuse::admin)
        });
        let created = creating.await?;
        if created {
            self.note("", "create-topic", detail, author);
        }
        Ok(Response::new(CreateTopicResponse { created }))
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Result<Response<DeleteTopicResponse>, Status> {
        let caller = request.remote_addr();
        let DeleteTopicRequest { name, change } = request.into_inner();
        let author = Author::new(change, caller)?;
        let deadline = self.config.bus_timeout.0;
        let what = format!("delete topic `{name}`");
        let topic = name.clone();
        let deleting = topics::blocking(&self.bus, &what, deadline, move |bus| {
            bus.delete_topic(&topic, deadline).map_err(refuse::admin)
        });
        if !deleting.await? {
            return Err(Refusal::not_found(what)
                .found("no such topic")
                .way_out("`espctl topics list` names them")
                .into());
        }
        self.note("", "delete-topic", format!("`{name}` and all that was in it"), author);
        Ok(Response::new(DeleteTopicResponse {}))
    }

    async fn announce(&self, request: Request<AnnounceRequest>) -> Result<Response<AnnounceResponse>, Status> {
        self.mesh.members.announce(request.into_inner(), &self.store)?;
        Ok(Response::new(AnnounceResponse {}))
    }
}
