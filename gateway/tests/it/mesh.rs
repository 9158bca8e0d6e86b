//! What clients see of the mesh, with and without its coordinator.

use mesh_gateway::{GatewayConfig, run};
use mesh_proto::coordinator::coordinator_server::{Coordinator, CoordinatorServer};
use mesh_proto::coordinator::*;
use mesh_proto::election::{GroupStatus, Role};
use mesh_proto::engine;
use mesh_service::grpc::Server;
use mesh_service::{Base, Kind, Refusal, Scope, Span};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

const LIMIT: Duration = Duration::from_secs(20);

/// Only the watched status is there.
struct Played {
    status: watch::Receiver<MeshStatusResponse>,
    scope: Scope,
}

fn no<T>() -> Result<Response<T>, Status> {
    Err(Refusal::new(Kind::Unsupported, "not played").into())
}

#[tonic::async_trait]
impl Coordinator for Played {
    type WatchProjectsStream = ReceiverStream<Result<ProjectSet, Status>>;
    type WatchStatusStream = ReceiverStream<Result<MeshStatusResponse, Status>>;

    async fn watch_status(&self, _: Request<MeshStatusRequest>) -> Result<Response<Self::WatchStatusStream>, Status> {
        let mut status = self.status.clone();
        status.mark_changed();
        let drain = self.scope.drain.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let now = status.borrow_and_update().clone();
                if sender.send(Ok(now)).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = drain.started() => return,
                    changed = status.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn deploy(&self, _: Request<DeployRequest>) -> Result<Response<DeployResponse>, Status> {
        no()
    }
    async fn undeploy(&self, _: Request<UndeployRequest>) -> Result<Response<UndeployResponse>, Status> {
        no()
    }
    async fn list_projects(&self, _: Request<ListProjectsRequest>) -> Result<Response<ListProjectsResponse>, Status> {
        no()
    }
    async fn list_versions(&self, _: Request<ListVersionsRequest>) -> Result<Response<ListVersionsResponse>, Status> {
        no()
    }
    async fn rollback(&self, _: Request<RollbackRequest>) -> Result<Response<RollbackResponse>, Status> {
        no()
    }
    async fn watch_projects(
        &self,
        _: Request<WatchProjectsRequest>,
    ) -> Result<Response<Self::WatchProjectsStream>, Status> {
        no()
    }
    async fn status(&self, _: Request<MeshStatusRequest>) -> Result<Response<MeshStatusResponse>, Status> {
        no()
    }
    async fn promote(&self, _: Request<PromoteRequest>) -> Result<Response<PromoteResponse>, Status> {
        no()
    }
    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        no()
    }
    async fn rebalance(&self, _: Request<RebalanceRequest>) -> Result<Response<RebalanceResponse>, Status> {
        no()
    }
    async fn undrain(&self, _: Request<UndrainRequest>) -> Result<Response<UndrainResponse>, Status> {
        no()
    }
    async fn pause_failover(
        &self,
        _: Request<PauseFailoverRequest>,
    ) -> Result<Response<PauseFailoverResponse>, Status> {
        no()
    }
    async fn resume_failover(
        &self,
        _: Request<ResumeFailoverRequest>,
    ) -> Result<Response<ResumeFailoverResponse>, Status> {
        no()
    }
    async fn snapshot(
        &self,
        _: Request<SnapshotProjectRequest>,
    ) -> Result<Response<mesh_proto::engine::SnapshotResponse>, Status> {
        no()
    }
    async fn skip(
        &self,
        _: Request<mesh_proto::engine::SkipRequest>,
    ) -> Result<Response<mesh_proto::engine::SkipResponse>, Status> {
        no()
    }
    async fn diagnose(&self, _: Request<DiagnoseRequest>) -> Result<Response<DiagnoseResponse>, Status> {
        no()
    }
    async fn history(&self, _: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        no()
    }
    async fn list_topics(&self, _: Request<ListTopicsRequest>) -> Result<Response<ListTopicsResponse>, Status> {
        no()
    }
    async fn create_topic(&self, _: Request<CreateTopicRequest>) -> Result<Response<CreateTopicResponse>, Status> {
        no()
    }
    async fn delete_topic(&self, _: Request<DeleteTopicRequest>) -> Result<Response<DeleteTopicResponse>, Status> {
        no()
    }
    async fn announce(&self, _: Request<AnnounceRequest>) -> Result<Response<AnnounceResponse>, Status> {
        no()
    }
}

fn member(name: &str, role: Option<Role>) -> Member {
    let project =
        |role: Role| engine::ProjectStatus { project: "weather".into(), role: role.into(), ..Default::default() };
    Member {
        announced: Some(AnnounceRequest {
            name: name.into(),
            kind: "engine".into(),
            address: "127.0.0.1:7001".into(),
            rest_port: 61001,
            ..Default::default()
        }),
        engine: role.map(|role| engine::StatusResponse {
            engine: name.into(),
            url_host_port: "esp_31999".into(),
            projects: vec![project(role)],
            ..Default::default()
        }),
        seen_ms_ago: 1,
        ..Member::default()
    }
}

fn mesh(roles: [Option<Role>; 2]) -> MeshStatusResponse {
    MeshStatusResponse {
        members: vec![member("e1", roles[0]), member("e2", roles[1])],
        groups: vec![GroupStatus {
            group: "esp_31999.weather".into(),
            leader: "e<1>".into(),
            term: 4,
            ..Default::default()
        }],
        unavailable: vec![Unavailable { part: "etcd".into(), reason: "refused".into() }],
        alarms: Vec::new(),
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    };
    tokio::time::timeout(LIMIT, exchange).await.expect("an answer in time")
}

/// Asks until the answer is as wanted.
async fn until(what: &str, address: &str, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
    let ask = async {
        loop {
            let (status, body) = get(address, path).await;
            if wanted(status, &body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, ask).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"))
}

#[tokio::test]
async fn the_mesh_is_told_as_one_server_and_engine_by_engine() {
    let (told, status) = watch::channel(mesh([Some(Role::Active), Some(Role::Standby)]));
    let coordinator = Scope::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let coordinators = vec![listener.local_addr().unwrap().to_string()];
    let played = Played { status, scope: coordinator.clone() };
    let server =
        Server::new(&Base { grace: Span::from_secs(1), ..Base::default() }).add(CoordinatorServer::new(played));
    let serving = tokio::spawn(server.serve(listener, coordinator.drain.clone()));

    let scope = Scope::new();
    let base = Base { coordinators, ..Base::default() };
    let config = GatewayConfig { base, stale_after: Span::from_millis(300), ..GatewayConfig::default() };
    let rest = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = rest.local_addr().unwrap().to_string();
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = tokio::spawn(run(config, rest, grpc, scope.clone()));

    let body = until("the first status", &address, "/SASESP/server", |status, _| status == 200).await;
    assert!(scope.ready.is_ready());
    let expected = format!(
        "<esp-server version=\"6.2\" engine=\"esp-mesh\" analytics-license=\"true\" primary-server=\"true\" \
         pubsub=\"31999\" http=\"{address}\"/>\n"
    );
    assert_eq!(body, expected);
    let (_, config) = get(&address, "/eventStreamProcessing/v1/server/?config=true").await;
    for property in [
        "<property name=\"engines\">e1|e2</property>",
        "<property name=\"group.esp_31999.weather.leader\">e&lt;1&gt;</property>",
        "<property name=\"unavailable.etcd\">refused</property>",
    ] {
        assert!(config.contains(property), "{property} in {config}");
    }

    let (_, one) = get(&address, "/SASESP/server?engine=e1").await;
    assert!(
        one.contains("engine=\"e1\"") && one.contains("primary-server=\"true\"") && one.contains("127.0.0.1:61001"),
        "{one}"
    );
    let (_, two) = get(&address, "/SASESP/server?engine=e2").await;
    assert!(two.contains("primary-server=\"false\""), "{two}");
    let (status, unknown) = get(&address, "/SASESP/server?engine=e9").await;
    assert_eq!(status, 404);
    assert!(unknown.contains("one of e1, e2"), "{unknown}");

    // takeover
    told.send_replace(mesh([None, Some(Role::Active)]));
    until("e2 leads", &address, "/SASESP/server?engine=e2", |_, body| body.contains("primary-server=\"true\"")).await;
    assert_eq!(get(&address, "/SASESP/server?engine=e1").await.0, 503);
    let (_, page) = get(&address, "/").await;
    assert!(page.contains("<td>e1</td><td colspan=\"7\">does not answer</td>"), "{page}");
    assert!(page.contains("esp_31999.weather: e&lt;1&gt; leads in term 4"), "{page}");

    // the coordinator goes: nothing old is told as if it were new
    coordinator.drain.start("gone");
    let gone = until("the mesh counts as not reached", &address, "/SASESP/server", |status, _| status == 503).await;
    assert!(gone.contains("<details><detail>") && gone.contains("see that a coordinator is up"), "{gone}");
    serving.await.unwrap().unwrap();

    scope.drain.start("end of test");
    tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
}
