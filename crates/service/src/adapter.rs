//! What the processes around the adapters share: their gRPC API, and the thread that reads or writes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_proto::adapter::adapter_server::{Adapter, AdapterServer};
use mesh_proto::adapter::{StatusRequest, StatusResponse};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{Drain, Failure};

/// A watcher hears from the adapter this often.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// Answers that may wait for a slow watcher.
const WATCH_QUEUE: usize = 4;

/// Where an adapter's process is reached.
#[derive(Debug)]
pub struct Place {
    /// Name of this instance.
    pub name: String,
    /// gRPC.
    pub listener: TcpListener,
    /// `host:port` of the gRPC server.
    pub address: String,
    /// `host:port` of the admin server.
    pub admin_address: String,
}

/// The gRPC API of an adapter, over a look at its status.
pub struct AdapterApi {
    status: Arc<dyn Fn() -> StatusResponse + Send + Sync>,
    drain: Drain,
}

impl AdapterApi {
    /// The server of the API; watching ends with the drain.
    pub fn server(status: impl Fn() -> StatusResponse + Send + Sync + 'static, drain: Drain) -> AdapterServer<Self> {
        AdapterServer::new(AdapterApi { status: Arc::new(status), drain })
    }
}

#[tonic::async_trait]
impl Adapter for AdapterApi {
    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new((self.status)()))
    }

    type WatchStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<StatusResponse, Status>> + Send>>;

    async fn watch(&self, _request: Request<StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(WATCH_QUEUE);
        let (status, drain) = (self.status.clone(), self.drain.clone());
        tokio::spawn(async move {
            while sender.send(Ok(status())).await.is_ok() {
                tokio::select! {
                    () = drain.started() => return,
                    () = tokio::time::sleep(WATCH_EVERY) => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Runs blocking work on a thread of its own; the flag it gets is set when the drain starts, and then it shall end.
pub async fn on_thread<T: Send + 'static>(
    name: &str,
    drain: Drain,
    work: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (done, mut ended) = oneshot::channel();
    let thread_stop = Arc::clone(&stop);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _ = done.send(work(&thread_stop));
        })
        .map_err(|error| Failure::fault(format!("starting the thread `{name}`: {error}")))?;
    let result = tokio::select! {
        result = &mut ended => result,
        () = drain.started() => {
            stop.store(true, Ordering::Relaxed);
            ended.await
        }
    };
    result.unwrap_or_else(|_| {
        Err(Failure::fault(format!("the thread `{name}` panicked, see the log; start again, it goes on where it was")))
    })
}
