//! The calls that change something: who asks and why is known and goes into the history, and a request that is made again
//! is answered as it was (`requests`).

use mesh_bus::TopicSpec;
use mesh_proto::admin::Change;
use mesh_proto::coordinator::{
    CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest, DeleteTopicResponse, DeployRequest, DeployResponse,
    DrainRequest, DrainResponse, HandedOver, PauseFailoverRequest, PauseFailoverResponse, PromoteRequest,
    PromoteResponse, RebalanceRequest, RebalanceResponse, ResumeFailoverRequest, ResumeFailoverResponse,
    RollbackRequest, RollbackResponse, SnapshotProjectRequest, UndeployRequest, UndeployResponse, UndrainRequest,
    UndrainResponse,
};
use mesh_proto::{election, engine};
use mesh_service::Refusal;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::author::{Asker, Author};
use crate::clock::now_us;
use crate::deploy::Deployer;
use crate::spread::Move;
use crate::store::{StoredEvent, StoredProject};
use crate::{refuse, requests, spread, topics};

impl Api {
    /// Does the work of a call, once per request id.
    pub(crate) async fn change<Q, A, F>(
        &self,
        call: &str,
        request: Request<Q>,
        change: impl Fn(&Q) -> Option<Change> + Send,
        work: impl FnOnce(Q, Author) -> F + Send,
    ) -> Result<Response<A>, Status>
    where
        Q: Message,
        A: Message + Default,
        F: Future<Output = Result<A, Refusal>> + Send,
    {
        let caller = Asker::of(&request);
        let message = request.into_inner();
        let author = Author::new(change(&message), caller)?;
        let (id, asked) = (author.request_id.clone(), message.encode_to_vec());
        let answer = requests::once(&self.store, call, &id, &asked, || work(message, author)).await?;
        Ok(Response::new(answer))
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

    pub(crate) async fn deploy_project(&self, message: DeployRequest, by: Author) -> Result<DeployResponse, Refusal> {
        self.deployer().deploy(message, by).await
    }

    pub(crate) async fn roll_back(&self, message: RollbackRequest, by: Author) -> Result<RollbackResponse, Refusal> {
        self.deployer().rollback(message, by).await
    }

    pub(crate) async fn undeploy_project(
        &self,
        message: UndeployRequest,
        by: Author,
    ) -> Result<UndeployResponse, Refusal> {
        let name = message.project;
        if !self.store.undeploy(&name).await? {
            return Err(Refusal::not_found(format!("undeploy project `{name}`"))
                .expected("a deployed project")
                .found("no such project")
                .way_out("`espctl project list` names them"));
        }
        self.note(&name, "undeploy", "topics and history stay".to_owned(), by);
        Ok(UndeployResponse {})
    }

    pub(crate) async fn promote_engine(&self, message: PromoteRequest, by: Author) -> Result<PromoteResponse, Refusal> {
        let by = by.or_why(&message.reason)?.or_why("asked for")?;
        let project = self.project(&message.project)?;
        let (group, reason) = (project.group(), by.why.clone());
        let asked = election::PromoteRequest { group, candidate: message.engine, reason };
        let done = self.mesh.elections.promote(asked, self.config.promote_timeout.0).await?;
        let detail = format!("{} on purpose: {}", done.leader, by.why);
        let event = StoredEvent::new(now_us(), &project.name, "promote", detail).by(by);
        self.history.note(StoredEvent { term: done.term, candidate: done.leader.clone(), ..event });
        Ok(PromoteResponse { term: done.term, engine: done.leader })
    }

    pub(crate) async fn drain_engine(&self, message: DrainRequest, by: Author) -> Result<DrainResponse, Refusal> {
        let (engine, by) = (message.engine, by.or_why("asked for")?);
        let done = self.mesh.drain_engine(&self.store, &engine, &by, self.config.promote_timeout.0).await?;
        self.note_of(&engine, "drain", format!("{engine} shall lead nothing"), by);
        Ok(done)
    }

    pub(crate) async fn undrain_engine(&self, message: UndrainRequest, by: Author) -> Result<UndrainResponse, Refusal> {
        let engine = message.engine;
        self.mesh.undrain_engine(&self.store, &engine, self.config.promote_timeout.0).await?;
        self.note_of(&engine, "undrain", format!("{engine} may lead again"), by);
        Ok(UndrainResponse {})
    }

    /// One handover after the other; the first that is refused ends it, and what was done stays done.
    pub(crate) async fn spread_leaders(
        &self,
        message: RebalanceRequest,
        by: Author,
    ) -> Result<RebalanceResponse, Refusal> {
        let by = by.or_why("rebalance")?;
        let projects = self.mesh.known.projects_now().unwrap_or_default();
        let merged = self.mesh.elections.merged().groups;
        let of = |project: &StoredProject| merged.iter().find(|group| group.group == project.group()).cloned();
        let groups = projects.values().filter_map(|project| Some((project.name.clone(), of(project)?))).collect();
        let mut moves = Vec::new();
        for Move { project, to, .. } in spread::plan(&groups) {
            let mut term = 0;
            if !message.dry_run {
                let asked =
                    PromoteRequest { project: project.clone(), engine: to.clone(), ..PromoteRequest::default() };
                term = self.promote_engine(asked, by.clone()).await?.term;
            }
            moves.push(HandedOver { project, engine: to, term });
        }
        Ok(RebalanceResponse { moves })
    }

    pub(crate) async fn pause(
        &self,
        message: PauseFailoverRequest,
        by: Author,
    ) -> Result<PauseFailoverResponse, Refusal> {
        let (project, by) = (self.project(&message.project)?, by.or_why("asked for")?);
        let paused = self.mesh.pause_failover(&project, true, &by, self.config.promote_timeout.0).await?;
        self.note(&project.name, "pause-failover", "nobody is elected, except by promote".to_owned(), by);
        Ok(PauseFailoverResponse { paused })
    }

    pub(crate) async fn resume(
        &self,
        message: ResumeFailoverRequest,
        by: Author,
    ) -> Result<ResumeFailoverResponse, Refusal> {
        let project = self.project(&message.project)?;
        self.mesh.pause_failover(&project, false, &by, self.config.promote_timeout.0).await?;
        self.note(&project.name, "resume-failover", "leaders are elected again".to_owned(), by);
        Ok(ResumeFailoverResponse {})
    }

    pub(crate) async fn take_snapshot(
        &self,
        message: SnapshotProjectRequest,
        by: Author,
    ) -> Result<engine::SnapshotResponse, Refusal> {
        self.project(&message.project)?;
        let taken = self.mesh.snapshot(&message.project, &message.engine).await?;
        self.note(&message.project, "snapshot", format!("commit {} by {}", taken.commit_number, taken.engine), by);
        Ok(taken)
    }

    pub(crate) async fn skip_block(
        &self,
        message: engine::SkipRequest,
        by: Author,
    ) -> Result<engine::SkipResponse, Refusal> {
        self.project(&message.project)?;
        let (project, detail) = (message.project.clone(), format!("block at offset {}", message.position));
        let skipped = self.mesh.skip(message).await?;
        self.note(&project, "skip", detail, by);
        Ok(skipped)
    }

    pub(crate) async fn make_topic(
        &self,
        message: CreateTopicRequest,
        by: Author,
    ) -> Result<CreateTopicResponse, Refusal> {
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
            self.note("", "create-topic", detail, by);
        }
        Ok(CreateTopicResponse { created })
    }

    pub(crate) async fn remove_topic(
        &self,
        message: DeleteTopicRequest,
        by: Author,
    ) -> Result<DeleteTopicResponse, Refusal> {
        let name = message.name;
        let deadline = self.config.bus_timeout.0;
        let what = format!("delete topic `{name}`");
        let topic = name.clone();
        let deleting = topics::blocking(&self.bus, &what, deadline, move |bus| {
            bus.delete_topic(&topic, deadline).map_err(refuse::admin)
        });
        if !deleting.await? {
            return Err(Refusal::not_found(what).found("no such topic").way_out("`espctl topics list` names them"));
        }
        self.note("", "delete-topic", format!("`{name}` and all that was in it"), by);
        Ok(DeleteTopicResponse {})
    }
}
