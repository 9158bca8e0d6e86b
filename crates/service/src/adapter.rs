//! What the processes around the adapters share: servers, announcement and metrics around the work, their gRPC API, and the
//! thread that reads or writes.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_proto::adapter::adapter_server::{Adapter, AdapterServer};
use mesh_proto::adapter::{StatusRequest, StatusResponse};
use mesh_proto::admin::admin_server::AdminServer;
use mesh_proto::coordinator::AnnounceRequest;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::administration::Administration;
use crate::config::Base;
use crate::grpc::Server;
use crate::metrics::Counter;
use crate::{Drain, Failure, Scope, announce};

/// A watcher hears from the adapter this often.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// Metrics are brought up to date this often.
const METER_EVERY: Duration = Duration::from_millis(500);
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

/// A look at an adapter's status; name, kind and the error with which it ended are filled in here.
pub type Look = Box<dyn Fn() -> StatusResponse + Send + Sync>;
/// Brings an adapter's metrics up to date; true when it has found schema and position, or waits for its turn.
pub type Meter = Box<dyn FnMut() -> bool + Send>;

/// The process around an adapter's work.
pub struct Around<'a> {
    /// `publisher` or `subscriber`.
    pub kind: &'static str,
    /// Where it is reached.
    pub place: Place,
    /// Its settings.
    pub base: &'a Base,
    /// What it says of itself.
    pub administration: AdminServer<Administration>,
    /// What it is part of.
    pub scope: &'a Scope,
    /// Its status.
    pub look: Look,
    /// Its metrics.
    pub meter: Meter,
}

impl Around<'_> {
    /// Serves, announces and meters until the work has ended, and hands on how it did.
    pub async fn run(self, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        let Around { kind, place, base, administration, scope, look, meter } = self;
        // the servers go on until the work has ended, whoever ends it
        let (servers, error) = (Drain::new(), Arc::new(Mutex::new(String::new())));
        let announcement = AnnounceRequest {
            name: place.name.clone(),
            kind: kind.to_owned(),
            address: place.address,
            admin_address: place.admin_address,
            rest_port: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let caller = scope.security.caller.clone();
        let announcing = tokio::spawn(announce::run(base.coordinators.clone(), caller, announcement, servers.clone()));
        let metering = tokio::spawn(keep_metered(meter, scope.clone(), servers.clone()));
        let status = {
            let (name, error) = (place.name, error.clone());
            move || StatusResponse {
                name: name.clone(),
                kind: kind.to_owned(),
                error: error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                ..look()
            }
        };
        let api = AdapterServer::new(AdapterApi { status: Arc::new(status), drain: servers.clone() });
        let server = Server::new(base).secured(&scope.security).add(administration).add(api);
        let serving = tokio::spawn(server.serve(place.listener, servers.clone()));
        let ended = work.await;
        if let Err(failure) = &ended {
            *error.lock().unwrap_or_else(PoisonError::into_inner) = failure.to_string();
        }
        servers.start("its work ended");
        let _ = tokio::join!(announcing, metering, serving);
        ended
    }
}

async fn keep_metered(mut meter: Meter, scope: Scope, drain: Drain) {
    let mut latch = Some(scope.ready.latch("schema and position"));
    loop {
        if meter() {
            latch.take();
        }
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(METER_EVERY) => {}
        }
    }
}

/// Brings a counter to a total that something else counts.
pub fn total(counter: &Counter, now: u64) {
    counter.inc_by(now.saturating_sub(counter.get()));
}

/// The gRPC API of an adapter, over a look at its status.
struct AdapterApi {
    status: Arc<dyn Fn() -> StatusResponse + Send + Sync>,
    drain: Drain,
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
