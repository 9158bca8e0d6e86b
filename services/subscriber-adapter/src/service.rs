//! The process around a subscriber: status over gRPC, metrics, announcement, drain.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use mesh_adapter::SubscriberOptions;
use mesh_bus::Bus;
use mesh_proto::adapter::StatusResponse;
use mesh_proto::coordinator::AnnounceRequest;
use mesh_service::adapter::{AdapterApi, Place, on_thread};
use mesh_service::grpc::Server;
use mesh_service::{Drain, Failure, Scope, administration, announce};

use crate::config::SubscriberConfig;
use crate::group::SubscriberMember;
use mesh_connector::State;
use mesh_connector::group;
use mesh_connector::subscribe::Progress;
use mesh_connector::subscribe::SubscribeError;
use mesh_connector::subscribe::{Subscriber, Summary};

/// Metrics are brought up to date this often.
const EVERY: Duration = Duration::from_millis(500);

/// Writes until the drain starts.
pub async fn run(config: SubscriberConfig, bus: Arc<dyn Bus>, place: Place, scope: Scope) -> Result<(), Failure> {
    let checked = SubscriberOptions::from_line(&config.line).map_err(Failure::config)?;
    for warning in &checked.warnings {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    let subscriber = Subscriber::new(checked.options.clone(), Arc::clone(&bus));
    let view = View {
        name: place.name.clone(),
        source: checked.options.common.fsname.clone(),
        topic: subscriber.topic().map_err(failure)?,
        progress: subscriber.progress(),
        error: Arc::default(),
    };
    let caller = scope.security.caller.clone();
    let failover = checked.options.common.transport.failover.as_ref();
    let member = failover.map(|failover| group::candidate("subscribers", failover, &place, &config.elections, &caller));
    // the servers go on until the subscriber has ended, whoever ends it
    let servers = Drain::new();
    let administration = administration(&config, &place.name, &scope);
    let announcement = AnnounceRequest {
        name: place.name,
        kind: "subscriber".to_owned(),
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
        Some(candidate) => {
            let member = SubscriberMember::new(checked.options, bus, view.progress.clone());
            group::run(member, candidate, scope.drain.clone()).await
        }
        None => work(subscriber, scope.drain.clone()).await.map(|_| ()),
    };
    if let Err(error) = &ended {
        *view.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error.to_string();
    }
    servers.start("subscriber ended");
    let _ = tokio::join!(announcing, metering, serving);
    ended
}

pub(crate) fn failure(error: SubscribeError) -> Failure {
    Failure::of(error.kind(), error)
}

/// Runs the subscriber on a thread of its own.
async fn work(subscriber: Subscriber, drain: Drain) -> Result<Summary, Failure> {
    on_thread("subscriber", drain, move |stop| subscriber.run(stop).map_err(failure)).await
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
            kind: "subscriber".to_owned(),
            state: seen.state.as_str().to_owned(),
            source: self.source.clone(),
            topic: self.topic.clone(),
            events: seen.events,
            blocks: seen.blocks,
            source_bytes: 0,
            sequence: seen.sequence,
            bad_events: 0,
            error: self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
        }
    }
}

/// Brings the metrics up to date, and says when the adapter is ready.
async fn meter(view: View, scope: Scope, drain: Drain) {
    let metrics = &scope.metrics;
    let labels = [("topic", view.topic.as_str())];
    let counter = |name, help| metrics.counter(name, help, &labels);
    let events = counter("esp_subscriber_events", "Events written to the sink");
    let blocks = counter("esp_subscriber_blocks", "Blocks written to the sink");
    let bytes = counter("esp_subscriber_bytes", "Bytes written to the sink");
    let breaches = counter("esp_subscriber_breaches", "Blocks lost, doubled or reordered in the output topic");
    let flushes = counter("esp_subscriber_flushes", "Writes to the sink");
    let sequence = metrics.gauge("esp_subscriber_sequence", "Sequence of the last block in the sink", &labels);
    let next_offset = metrics.gauge("esp_subscriber_next_offset", "Offset to read next", &labels);
    let mut latch = Some(scope.ready.latch("schema and position"));
    loop {
        let seen = view.progress.snapshot();
        let total = |counter: &mesh_service::metrics::Counter, now: u64| {
            counter.inc_by(now.saturating_sub(counter.get()));
        };
        total(&events, seen.events);
        total(&blocks, seen.blocks);
        total(&bytes, seen.bytes);
        total(&breaches, seen.breaches);
        total(&flushes, seen.flushes);
        sequence.set(seen.sequence as i64);
        next_offset.set(seen.next_offset as i64);
        if seen.state != State::Starting {
            latch.take();
        }
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
