//! Announcing goes to whichever coordinator answers, and goes on when that one is gone.

use mesh_proto::coordinator::coordinator_server::{Coordinator, CoordinatorServer};
use mesh_proto::coordinator::*;
use mesh_service::grpc::Server;
use mesh_service::{Drain, Kind, Refusal, announce};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::play::{options, within};

struct Played(mpsc::Sender<String>);

fn no<T>() -> Result<Response<T>, Status> {
    Err(Refusal::new(Kind::Unsupported, "not played").into())
}

#[tonic::async_trait]
impl Coordinator for Played {
    type WatchProjectsStream = ReceiverStream<Result<ProjectSet, Status>>;
    type WatchStatusStream = ReceiverStream<Result<MeshStatusResponse, Status>>;

    async fn announce(&self, request: Request<AnnounceRequest>) -> Result<Response<AnnounceResponse>, Status> {
        // a full queue means that the test has seen enough
        let _ = self.0.try_send(request.into_inner().name);
        Ok(Response::new(AnnounceResponse {}))
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
    async fn watch_status(&self, _: Request<MeshStatusRequest>) -> Result<Response<Self::WatchStatusStream>, Status> {
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
}

async fn coordinator() -> (String, mpsc::Receiver<String>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, names) = mpsc::channel(1);
    let server = Server::new(options()).add(CoordinatorServer::new(Played(sender)));
    let serving = tokio::spawn(async move { server.serve(listener, Drain::new()).await.unwrap() });
    (address, names, serving)
}

#[tokio::test]
async fn the_next_coordinator_hears_of_it_when_the_first_is_gone() {
    let (one, mut at_one, serving_one) = coordinator().await;
    let (two, mut at_two, _serving_two) = coordinator().await;
    let drain = Drain::new();
    let message = AnnounceRequest { name: "e1".into(), kind: "engine".into(), ..AnnounceRequest::default() };
    let coordinators = vec!["127.0.0.1:1".to_owned(), one, two];
    let running =
        tokio::spawn(announce::run(coordinators, mesh_service::security::Caller::default(), message, drain.clone()));
    assert_eq!(within("the first", at_one.recv()).await.unwrap(), "e1");
    serving_one.abort();
    assert_eq!(within("the second", at_two.recv()).await.unwrap(), "e1");
    drain.start("end of test");
    within("its end", running).await.unwrap();
}
