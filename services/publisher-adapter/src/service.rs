//! The process around a publisher: status over gRPC, metrics, announcement, drain.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use mesh_adapter::PublisherOptions;
use mesh_bus::Bus;
use mesh_proto::adapter::StatusResponse;
use mesh_proto::coordinator::AnnounceRequest;
use mesh_service::adapter::{AdapterApi, Place, on_thread};
use mesh_service::grpc::Server;
use mesh_service::{Drain, Failure, Scope, administration, announce};

use crate::config::PublisherConfig;
use crate::group::PublisherMember;
use mesh_connector::State;
use mesh_connector::group;
use mesh_connector::publish::Progress;
use mesh_connector::publish::PublishError;
use mesh_connector::publish::{Publisher, Summary};

/// Metrics are brought up to date this often.
const EVERY: Duration = Duration::from_millis(500);

/// Publishes until the source ends or the drain starts.
pub async fn run(config: PublisherConfig, bus: Arc<dyn Bus>, place: Place, scope: Scope) -> Result<(), Failure> {
    let checked = PublisherOptions::from_line(&config.line).map_err(Failure::config)?;
    for warning in &checked.warnings {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    let publisher = Publisher::new(checked.options.clone(), bus, config.base.trace_ratio);
    let view = View {
        name: place.name.clone(),
        source: checked.options.common.fsname.clone(),
        topic: publisher.topic().map_err(failure)?,
        progress: publisher.progress(),
        error: Arc::default(),
    };
    let caller = scope.security.caller.clone();
    let failover = checked.options.common.transport.failover.as_ref();
    let member = failover.map(|failover| group::candidate("adapters", failover, &place, &config.elections, &caller));
    // the servers go on until the publisher has ended, whoever ends it
    let servers = Drain::new();
    let administration = administration(&config, &place.name, &scope);
    let announcement = AnnounceRequest {
        name: place.name,
        kind: "publisher".to_owned(),
        address: place.address,
        admin_address: place.admin_address,
        rest_port: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let announcing =
        tokio::spawn(announce::run(config.base.coordinators.clone(), caller, announcement, servers.clone()));
    let metering = tokio::spawn(meter(view.clone(), scope.clone(), servers.clone()));
    let serving = tokio::spawn(
        Server::new(&config.base)
            .secured(&scope.security)
            .add(administration)
            .add(AdapterApi::server(
                {
                    let view = view.clone();
                    move || view.status()
                },
                servers.clone(),
            ))
            .serve(place.listener, servers.clone()),
    );
    let ended = match member {
        Some(candidate) => group::run(PublisherMember::new(publisher), candidate, scope.drain.clone()).await,
        None => work(publisher, scope.drain.clone()).await.map(|_| ()),
    };
    if let Err(error) = &ended {
        *view.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error.to_string();
    }
    servers.start("publisher ended");
    let _ = tokio::join!(announcing, metering, serving);
    ended
}

pub(crate) fn failure(error: PublishError) -> Failure {
    Failure::of(error.kind(), error)
}

/// Runs the publisher on a thread of its own.
async fn work(publisher: Publisher, drain: Drain) -> Result<Summary, Failure> {
    on_thread("publisher-write", drain, move |stop| publisher.run(stop).map_err(failure)).await
}

/// What status and metrics are made of.
#[derive(Clone)]
struct View {
    name: String,
    source: String,
    topic: String,
    progress: Arc<Progress>,
    error: Arc<Mutex<String>>,
}

impl View {
    fn status(&self) -> StatusResponse {
        let seen = self.progress.snapshot();
        StatusResponse {
            name: self.name.clone(),
            kind: "publisher".to_owned(),
            state: seen.state.as_str().to_owned(),
            source: self.source.clone(),
            topic: self.topic.clone(),
            events: seen.events,
            blocks: seen.blocks,
            source_bytes: seen.source_bytes,
            sequence: 0,
            bad_events: seen.bad_events,
            error: self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
        }
    }
}

/// Brings the metrics up to date, and says when the adapter is ready.
async fn meter(view: View, scope: Scope, drain: Drain) {
    let metrics = &scope.metrics;
    let labels = [("topic", view.topic.as_str())];
    let counter = |name, help| metrics.counter(name, help, &labels);
    let events = counter("esp_publisher_events", "Events committed to the input topic");
    let blocks = counter("esp_publisher_blocks", "Blocks committed to the input topic");
    let bytes = counter("esp_publisher_bytes", "Bytes of blocks committed to the input topic");
    let bad = counter("esp_publisher_bad_events", "Lines that could not be read and were skipped");
    let transactions = counter("esp_publisher_transactions", "Transactions committed");
    let doubts = counter("esp_publisher_doubts", "Transactions whose outcome had to be looked up");
    let commit_seconds =
        metrics.counter_f64("esp_publisher_commit_seconds", "Time of all transactions together", &labels);
    let source_bytes = metrics.gauge("esp_publisher_source_bytes", "Bytes of the source published", &labels);
    let queued = metrics.gauge("esp_publisher_queued_bytes", "Bytes read ahead", &labels);
    let mut latch = Some(scope.ready.latch("schema and position"));
    loop {
        let seen = view.progress.snapshot();
        let total = |counter: &mesh_service::metrics::Counter, now: u64| {
            counter.inc_by(now.saturating_sub(counter.get()));
        };
        total(&events, seen.events);
        total(&blocks, seen.blocks);
        total(&bytes, seen.bytes);
        total(&bad, seen.bad_events);
        total(&transactions, seen.transactions);
        total(&doubts, seen.doubts);
        commit_seconds.inc_by((seen.commit_time.as_secs_f64() - commit_seconds.get()).max(0.0));
        source_bytes.set(seen.source_bytes as i64);
        queued.set(seen.queued_bytes as i64);
        if seen.state != State::Starting {
            latch.take();
        }
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
