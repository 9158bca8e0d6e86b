//! A service to test the servers with.

use mesh_proto::engine::engine_client::EngineClient;
use mesh_proto::engine::engine_server::{Engine, EngineServer};
use mesh_proto::engine::{StatusRequest, StatusResponse};
use mesh_service::grpc::{Server, ServerOptions};
use mesh_service::security::{Caller, Link};
use mesh_service::{Drain, Failure, Security, telemetry};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Longest wait of any test for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"))
}

/// Answers at once, or never when asked for project `hang`; its watch never ends by itself.
#[derive(Clone, Default)]
pub struct Played {
    pub called: Arc<Notify>,
}

#[tonic::async_trait]
impl Engine for Played {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.called.notify_one();
        if request.get_ref().project == "hang" {
            std::future::pending::<()>().await;
        }
        // what a call from here would carry on
        let carried = telemetry::inject().map_or(String::new(), |(traceparent, _)| traceparent);
        Ok(Response::new(StatusResponse { engine: carried, ..StatusResponse::default() }))
    }

    async fn snapshot(
        &self,
        _: Request<mesh_proto::engine::SnapshotRequest>,
    ) -> Result<Response<mesh_proto::engine::SnapshotResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
    async fn skip(
        &self,
        _: Request<mesh_proto::engine::SkipRequest>,
    ) -> Result<Response<mesh_proto::engine::SkipResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type WatchStream = ReceiverStream<Result<StatusResponse, Status>>;
    async fn watch(&self, _: Request<StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Ok(StatusResponse::default())).await;
            sender.closed().await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

pub struct Running {
    pub played: Played,
    pub address: String,
    pub link: Link,
    pub client: EngineClient<Link>,
    pub drain: Drain,
    pub served: JoinHandle<Result<(), Failure>>,
}

pub async fn start(options: ServerOptions) -> Running {
    start_secured(options, &Security::default(), &Caller::default()).await
}

/// A server that asks for what `security` says, and a client that shows what `caller` says.
pub async fn start_secured(options: ServerOptions, security: &Security, caller: &Caller) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let played = Played::default();
    let drain = Drain::new();
    let server = Server::new(options).secured(security).add(EngineServer::new(played.clone()));
    let served = tokio::spawn(server.serve(listener, drain.clone()));
    let link = caller.connect(&address).unwrap();
    let client = EngineClient::new(link.clone());
    Running { played, address, link, client, drain, served }
}

pub fn options() -> ServerOptions {
    ServerOptions { requests_max: 8, request_timeout: Duration::from_secs(10), drain_max: Duration::from_secs(5) }
}
