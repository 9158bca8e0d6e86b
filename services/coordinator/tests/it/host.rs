//! A coordinator on a free port, and the services it talks to as the tests want them.

use mesh_bus::MemoryBus;
use mesh_coordination::{MemoryRegistry, Registry};
use mesh_coordinator::{CoordinatorConfig, run};
use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use mesh_proto::coordinator::{AnnounceRequest, DeployRequest};
use mesh_proto::election::election_server::{Election, ElectionServer};
use mesh_proto::election::{
    CandidateMessage, ElectionMessage, GroupStatus, MaintainRequest, MaintainResponse, Maintenance, MaintenanceAction,
    PromoteRequest, PromoteResponse, StatusRequest, StatusResponse,
};
use mesh_proto::engine::TakeoverStatus;
use mesh_proto::engine::engine_server::{Engine, EngineServer};
use mesh_service::grpc::Server;
use mesh_service::security::{Caller, Link};
use mesh_service::{Base, Failure, Kind, Refusal, Scope, Span};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// Longest wait of any test for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const PROJECT: &str = r#"<project name="orders" pubsub="auto" threads="1">
  <contqueries>
    <contquery name="cq">
      <windows>
        <window-source name="in">
          <schema><fields><field name="id" type="int64" key="true"/><field name="v" type="double"/></fields></schema>
        </window-source>
        <window-copy name="out"/>
      </windows>
      <edges><edge source="in" target="out"/></edges>
    </contquery>
  </contqueries>
</project>
"#;

pub struct Host {
    pub registry: MemoryRegistry,
    pub bus: MemoryBus,
    pub scope: Scope,
    pub client: CoordinatorClient<Link>,
    running: JoinHandle<Result<(), Failure>>,
}

impl Host {
    pub async fn start(elections: &[&str]) -> Host {
        Host::start_on(MemoryRegistry::new(), MemoryBus::new(), elections).await
    }

    pub async fn start_on(registry: MemoryRegistry, bus: MemoryBus, elections: &[&str]) -> Host {
        Host::start_with(Arc::new(registry.clone()), registry, bus, elections).await
    }

    /// `port` is what the coordinator sees of the registry.
    pub async fn start_with(
        port: Arc<dyn Registry>,
        registry: MemoryRegistry,
        bus: MemoryBus,
        elections: &[&str],
    ) -> Host {
        let config = CoordinatorConfig {
            base: Base { grace: Span::from_secs(2), ..Base::default() },
            elections: elections.iter().map(|&address| address.to_owned()).collect(),
            ..CoordinatorConfig::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scope = Scope::new();
        let work = run(config, port, Arc::new(bus.clone()), listener, scope.clone());
        let running = tokio::spawn(work);
        let client = CoordinatorClient::new(Caller::default().connect(&address).unwrap());
        Host { registry, bus, scope, client, running }
    }

    pub async fn deploy(&self, xml: &str) -> Result<mesh_proto::coordinator::DeployResponse, Refusal> {
        let message = DeployRequest { xml: xml.to_owned(), file: "orders.xml".to_owned(), ..DeployRequest::default() };
        let answer = self.client.clone().deploy(message).await;
        answer.map(Response::into_inner).map_err(|status| Refusal::from_status("coordinator", &status))
    }

    pub async fn announce(&self, name: &str, kind: &str, address: &str) {
        let message = AnnounceRequest {
            name: name.to_owned(),
            kind: kind.to_owned(),
            address: address.to_owned(),
            ..AnnounceRequest::default()
        };
        self.client.clone().announce(message).await.unwrap();
    }

    pub async fn stop(self) {
        self.scope.drain.start("end of test");
        within("the coordinator's end", self.running).await.unwrap().unwrap();
    }
}

/// Waits for something that must happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"))
}

/// Asks again and again until the answer is as wanted.
pub async fn until<T, F: Future<Output = T>>(what: &str, mut ask: impl FnMut() -> F, wanted: impl Fn(&T) -> bool) -> T {
    within(what, async {
        loop {
            let answer = ask().await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Serves on a free port for as long as the test runs.
async fn serve(server: Server, scope: Scope) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(server.serve(listener, scope.drain));
    address
}

/// An election that says what the test tells it to.
#[derive(Clone)]
pub struct PlayedElection {
    pub status: watch::Sender<StatusResponse>,
    pub scope: Scope,
}

impl PlayedElection {
    pub async fn start() -> (PlayedElection, String) {
        let status = StatusResponse { instance: "e1".into(), session: "connected".into(), groups: Vec::new() };
        let election = PlayedElection { status: watch::channel(status).0, scope: Scope::new() };
        let server = Server::new(&Base::default()).add(ElectionServer::new(election.clone()));
        let address = serve(server, election.scope.clone()).await;
        (election, address)
    }

    pub fn lead(&self, group: &str, leader: &str, term: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let group = GroupStatus {
            group: group.into(),
            term,
            leader: leader.into(),
            reason: "test".into(),
            since_us: i64::try_from(now.as_micros()).unwrap(),
            ..GroupStatus::default()
        };
        self.status.send_modify(|status| {
            let held = status.groups.first().and_then(|known| known.maintenance.clone());
            status.groups = vec![GroupStatus { maintenance: held, ..group }];
        });
    }
}

#[tonic::async_trait]
impl Election for PlayedElection {
    type AttendStream = ReceiverStream<Result<ElectionMessage, Status>>;
    async fn attend(&self, _: Request<Streaming<CandidateMessage>>) -> Result<Response<Self::AttendStream>, Status> {
        Err(Refusal::new(Kind::Unsupported, "attend").into())
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.status.borrow().clone()))
    }

    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<StatusResponse, Status>> + Send>>;
    async fn watch(&self, _: Request<StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let changes = WatchStream::new(self.status.subscribe()).map(Ok);
        let drain = self.scope.drain.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut changes = changes;
            loop {
                let next = tokio::select! {
                    () = drain.started() => return,
                    next = changes.next() => next,
                };
                let Some(next) = next else { return };
                if sender.send(next).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    /// Does what is asked at once; a leader that is drained is followed by `e2`.
    async fn maintain(&self, request: Request<MaintainRequest>) -> Result<Response<MaintainResponse>, Status> {
        let message = request.into_inner();
        let action = message.action();
        let mut held = Maintenance::default();
        self.status.send_modify(|status| {
            if !status.groups.iter().any(|group| group.group == message.group) {
                status.groups.push(GroupStatus { group: message.group.clone(), ..GroupStatus::default() });
            }
            let group = status.groups.iter_mut().find(|group| group.group == message.group).unwrap();
            let now = group.maintenance.get_or_insert_default();
            match action {
                MaintenanceAction::Pause => now.paused = message.order.clone(),
                MaintenanceAction::Resume => now.paused = None,
                MaintenanceAction::Drain => {
                    now.drained.insert(message.candidate.clone(), message.order.clone().unwrap_or_default());
                }
                MaintenanceAction::Undrain => {
                    now.drained.remove(&message.candidate);
                }
                MaintenanceAction::Unspecified => {}
            }
            held = now.clone();
            if held.paused.is_none() && held.drained.contains_key(&group.leader) {
                group.leader = "e2".into();
                group.term += 1;
            }
        });
        Ok(Response::new(MaintainResponse { maintenance: Some(held) }))
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Result<Response<PromoteResponse>, Status> {
        let message = request.into_inner();
        if message.candidate == "lagging" {
            return Err(Refusal::new(Kind::Conflict, format!("promote `lagging` in `{}`", message.group))
                .expected("a caught-up candidate")
                .found("3 commits behind")
                .into());
        }
        let term = self.status.borrow().groups.first().map_or(0, |group| group.term) + 1;
        self.lead(&message.group, &message.candidate, term);
        Ok(Response::new(PromoteResponse { term, leader: message.candidate }))
    }
}

/// An engine that says its name, and which takeover it did.
#[derive(Clone)]
pub struct PlayedEngine {
    name: &'static str,
    takeover: watch::Sender<Option<TakeoverStatus>>,
    scope: Scope,
}

impl PlayedEngine {
    pub fn new(name: &'static str) -> PlayedEngine {
        PlayedEngine { name, takeover: watch::channel(None).0, scope: Scope::new() }
    }

    pub async fn start(self) -> (PlayedEngine, String) {
        let server = Server::new(&Base::default()).add(EngineServer::new(self.clone()));
        let address = serve(server, self.scope.clone()).await;
        (self, address)
    }

    pub fn took_over(&self, takeover: TakeoverStatus) {
        self.takeover.send_replace(Some(takeover));
    }
}

#[tonic::async_trait]
impl Engine for PlayedEngine {
    async fn status(
        &self,
        _: Request<mesh_proto::engine::StatusRequest>,
    ) -> Result<Response<mesh_proto::engine::StatusResponse>, Status> {
        let takeovers: Vec<TakeoverStatus> = self.takeover.borrow().clone().into_iter().collect();
        let project = |name: &str, takeovers| mesh_proto::engine::ProjectStatus {
            project: name.into(),
            takeovers,
            ..Default::default()
        };
        let projects = vec![project("orders", takeovers), project("other", Vec::new())];
        Ok(Response::new(mesh_proto::engine::StatusResponse {
            engine: self.name.into(),
            projects,
            ..Default::default()
        }))
    }

    async fn snapshot(
        &self,
        _: Request<mesh_proto::engine::SnapshotRequest>,
    ) -> Result<Response<mesh_proto::engine::SnapshotResponse>, Status> {
        Err(Refusal::new(Kind::Unsupported, "not played").into())
    }
    async fn skip(
        &self,
        _: Request<mesh_proto::engine::SkipRequest>,
    ) -> Result<Response<mesh_proto::engine::SkipResponse>, Status> {
        Err(Refusal::new(Kind::Unsupported, "not played").into())
    }

    type WatchStream = ReceiverStream<Result<mesh_proto::engine::StatusResponse, Status>>;
    async fn watch(
        &self,
        _: Request<mesh_proto::engine::StatusRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Refusal::new(Kind::Unsupported, "watch").into())
    }
}
