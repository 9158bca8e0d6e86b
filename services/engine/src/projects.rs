//! Which projects run: what the coordinator desires, started and stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use mesh_bus::Bus;
use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use mesh_proto::coordinator::{Project as Desired, WatchProjectsRequest};
use mesh_proto::engine::ProjectStatus;
use mesh_service::grpc::Peers;
use mesh_service::{Latch, Scope};
use tokio::sync::watch;

use crate::candidate;
use crate::config::EngineConfig;
use crate::desired::{DesiredError, DesiredFile};
use crate::project::message::Control;
use crate::project::{ProjectOptions, RunningProject, lines};

/// Wait before the coordinators are asked again.
const RETRY: Duration = Duration::from_millis(500);

/// The projects of an engine.
#[derive(Clone)]
pub struct Projects {
    running: Arc<Mutex<BTreeMap<String, Entry>>>,
    changed: Arc<watch::Sender<u64>>,
    /// Held while a set is applied: one at a time.
    source: Arc<tokio::sync::Mutex<Source>>,
}

/// Where the set of projects that runs came from.
#[derive(Debug, Default)]
struct Source {
    coordinator: bool,
    /// Held until there is a set to run.
    ready: Option<Latch>,
    /// What the file on disk is known to hold.
    saved: Option<Vec<Desired>>,
}

struct Entry {
    version: u64,
    /// `None`: it cannot run; the status says why.
    project: Option<RunningProject>,
    failed: ProjectStatus,
}

/// What a project needs of its engine.
pub struct Host {
    /// Settings.
    pub config: EngineConfig,
    /// Name of the engine.
    pub name: String,
    /// `host:port` of its gRPC server, whose closing tells a crash.
    pub address: String,
    /// Number of this start of the process.
    pub incarnation: u64,
    /// Where the desired projects are kept; none: nowhere.
    pub desired: Option<DesiredFile>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Drain, readiness, metrics.
    pub scope: Scope,
}

impl Default for Projects {
    fn default() -> Self {
        Projects { running: Arc::default(), changed: Arc::new(watch::Sender::new(0)), source: Arc::default() }
    }
}

impl Projects {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reports of one project, or of all with an empty name, in order of name.
    pub fn reports(&self, name: &str) -> Vec<ProjectStatus> {
        let running = self.lock();
        let wanted = running.iter().filter(|(project, _)| name.is_empty() || *project == name);
        wanted
            .map(|(_, entry)| entry.project.as_ref().map_or_else(|| entry.failed.clone(), |p| p.reports.last()))
            .collect()
    }

    /// Asks a project's driver, and waits for its answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        project: &str,
        question: impl FnOnce(Sender<Result<T, String>>) -> Control,
        within: Duration,
    ) -> Result<T, String> {
        let control = {
            let running = self.lock();
            let entry = running.get(project).ok_or_else(|| "it does not run on this engine".to_owned())?;
            entry.project.as_ref().ok_or_else(|| entry.failed.error.clone())?.control.clone()
        };
        let (answer_to, answer) = bounded(1);
        control.try_send(question(answer_to)).map_err(|_| "its driver is busy".to_owned())?;
        let waited = tokio::task::spawn_blocking(move || answer.recv_timeout(within)).await;
        match waited {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(format!("no answer within {within:?}; look at its status")),
        }
    }

    /// Tells when a project starts, stops or changes its role.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Follows the coordinator's wishes until the drain; then stops every project politely.
    pub async fn run(self, host: Arc<Host>) {
        self.source.lock().await.ready = Some(host.scope.ready.latch("projects: the coordinator's list"));
        let restoring = tokio::spawn(self.clone().restore(host.clone()));
        let mut peers = Peers::new(host.config.base.coordinators.clone(), &host.scope.security.caller);
        let drain = host.scope.drain.clone();
        let mut told = false;
        while !drain.is_started() {
            let ended = tokio::select! {
                () = drain.started() => break,
                ended = self.follow(&host, &mut peers) => ended,
            };
            peers.failed();
            if !told {
                tracing::warn!(reason = ended, "the coordinator's list of projects ended; running what runs");
                told = true;
            }
            tokio::select! {
                () = drain.started() => break,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        restoring.abort();
        // whoever applies a set now would start what is stopped here
        let _source = self.source.lock().await;
        let all = std::mem::take(&mut *self.lock());
        stop_all(all.into_values().filter_map(|entry| entry.project).collect()).await;
    }

    /// Reads one stream of wishes; returns why it ended.
    async fn follow(&self, host: &Arc<Host>, peers: &mut Peers) -> String {
        let channel = match peers.link() {
            Ok(channel) => channel,
            Err(refusal) => return refusal.to_string(),
        };
        let request = WatchProjectsRequest { engine: host.name.clone() };
        let mut stream = match CoordinatorClient::new(channel).watch_projects(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return status.to_string(),
        };
        loop {
            match stream.message().await {
                Ok(Some(set)) => {
                    let mut source = self.source.lock().await;
                    source.coordinator = true;
                    save(host, &mut source, &set.projects).await;
                    self.apply(host, &mut source, set.projects).await;
                }
                Ok(None) => return "the stream was closed".to_owned(),
                Err(status) => return status.to_string(),
            }
        }
    }

    /// Runs what is on disk when no coordinator has said anything in time.
    async fn restore(self, host: Arc<Host>) {
        let Some(file) = host.desired.clone() else { return };
        tokio::time::sleep(host.config.coordinator_wait.0).await;
        let mut source = self.source.lock().await;
        if source.coordinator || host.scope.drain.is_started() {
            return;
        }
        let path = file.path().display().to_string();
        match blocking(move || file.load()).await {
            Ok(Some(projects)) => {
                let count = projects.len();
                tracing::warn!(path, count, "no coordinator answers: running what it said last");
                source.saved = Some(projects.clone());
                self.apply(&host, &mut source, projects).await;
            }
            Ok(None) => tracing::warn!(path, "no coordinator answers, and none ever said what to run: waiting for one"),
            Err(error) => tracing::error!(error, "no coordinator answers, and its last word cannot be used"),
        }
    }

    async fn apply(&self, host: &Arc<Host>, source: &mut Source, desired: Vec<Desired>) {
        let gone: Vec<RunningProject> = {
            let mut running = self.lock();
            let keep = |name: &String, entry: &Entry| {
                desired.iter().any(|project| project.name == *name && project.version == entry.version)
            };
            let names: Vec<String> =
                running.iter().filter(|(name, entry)| !keep(name, entry)).map(|(name, _)| name.clone()).collect();
            names.iter().filter_map(|name| running.remove(name)).filter_map(|entry| entry.project).collect()
        };
        stop_all(gone).await;
        let fresh: Vec<Desired> =
            desired.into_iter().filter(|project| !self.lock().contains_key(&project.name)).collect();
        if !fresh.is_empty() {
            lines::starting(self.lock().len() + fresh.len());
        }
        for project in fresh {
            self.start(host, project);
        }
        if let Some(latch) = source.ready.take() {
            latch.release();
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn start(&self, host: &Arc<Host>, desired: Desired) {
        let name = desired.name.clone();
        tracing::info!(project = name, version = desired.version, "starting project");
        let started = begin(host, &desired);
        if let Ok(running) = &started {
            // A change of role is a change of the engine's status.
            let (mut roles, changed) = (running.reports.role_changes(), self.changed.clone());
            tokio::spawn(async move {
                while roles.changed().await.is_ok() {
                    changed.send_modify(|count| *count += 1);
                }
            });
        }
        let mut failed = ProjectStatus { project: name.clone(), ..ProjectStatus::default() };
        let project = started.map_err(|error| {
            tracing::error!(project = name, error, "the project cannot run here");
            failed.error = error;
            failed.role = mesh_proto::election::Role::Quarantined.into();
        });
        self.lock().insert(name, Entry { version: desired.version, project: project.ok(), failed });
    }
}

/// Checks a project and starts its threads; the error is for the status.
fn begin(host: &Arc<Host>, desired: &Desired) -> Result<RunningProject, String> {
    let file = format!("{} (version {})", desired.name, desired.version);
    let checked = mesh_model::parse_project(&desired.xml, &file, &BTreeMap::new()).map_err(|d| d.to_string())?;
    let mut project = checked.project;
    project.name.clone_from(&desired.name);
    let config = &host.config;
    let url_host_port = if desired.url_host_port.is_empty() {
        project.url_host_port().unwrap_or(&config.url_host_port).to_owned()
    } else {
        desired.url_host_port.clone()
    };
    let options = ProjectOptions {
        engine: host.name.clone(),
        url_host_port: url_host_port.clone(),
        version: desired.version,
        blocks_max: config.numbufferedmsgs,
        bytes_max: usize::try_from(config.buffer_bytes.0).unwrap_or(usize::MAX),
        commit_blocks_max: config.commit_blocks_max,
        commit_events_max: config.commit_events_max,
        commit_deadline: config.commit_deadline.0,
        transaction_timeout: config.transaction_timeout.0,
        caught_up_commits: config.caught_up_commits,
        snapshots: config.snapshots().map_err(|error| error.to_string())?,
        permit: config.permit(),
        mail: config.mail(),
        bad_events: config.bad_events(),
        trace_ratio: config.base.trace_ratio,
    };
    let group = format!("{url_host_port}.{}", project.name);
    let link = |control| candidate::attend(host, group, control);
    RunningProject::start(Arc::new(project), options, host.bus.clone(), &host.scope.metrics, link)
        .map_err(|error| error.to_string())
}

/// Keeps a set on disk, if that is wished for and it is another one. The engine goes on if it cannot.
async fn save(host: &Host, source: &mut Source, projects: &[Desired]) {
    let Some(file) = host.desired.clone() else { return };
    if source.saved.as_deref() == Some(projects) {
        return;
    }
    let set = projects.to_vec();
    match blocking(move || file.save(&set)).await {
        Ok(()) => source.saved = Some(projects.to_vec()),
        Err(error) => tracing::error!(error, "what to run is not kept: a restart would need a coordinator"),
    }
}

/// Runs a call of the file system on a thread for such calls.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, DesiredError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn stop_all(projects: Vec<RunningProject>) {
    let stops = projects.into_iter().map(|project| tokio::task::spawn_blocking(|| project.stop()));
    for stop in stops.collect::<Vec<_>>() {
        if let Err(error) = stop.await {
            tracing::error!(%error, "stop of a project");
        }
    }
}
