//! The process around a publisher: status over gRPC, metrics, announcement, drain.

use std::sync::Arc;

use mesh_adapter::PublisherOptions;
use mesh_bus::Bus;
use mesh_connector::publish::{Progress, PublishError, Publisher};
use mesh_connector::{State, group};
use mesh_proto::adapter::StatusResponse;
use mesh_service::adapter::{Around, Look, Meter, Place, on_thread, total};
use mesh_service::{Failure, Scope, administration};

use crate::config::PublisherConfig;
use crate::group::PublisherMember;

/// Publishes until the source ends or the drain starts.
pub async fn run(config: PublisherConfig, bus: Arc<dyn Bus>, place: Place, scope: Scope) -> Result<(), Failure> {
    let checked = PublisherOptions::from_line(&config.line).map_err(Failure::config)?;
    for warning in &checked.warnings {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    let publisher = Publisher::new(checked.options.clone(), bus, config.base.trace_ratio);
    let (topic, progress) = (publisher.topic().map_err(failure)?, publisher.progress());
    let failover = checked.options.common.transport.failover.as_ref();
    let caller = &scope.security.caller;
    let member = failover.map(|failover| group::candidate("adapters", failover, &place, &config.elections, caller));
    let around = Around {
        kind: "publisher",
        administration: administration(&config, &place.name, &scope),
        place,
        base: &config.base,
        scope: &scope,
        look: look(checked.options.common.fsname, topic.clone(), progress.clone()),
        meter: meter(&topic, progress, &scope),
    };
    let drain = scope.drain.clone();
    let work = async {
        match member {
            Some(candidate) => group::run(PublisherMember::new(publisher), candidate, drain).await,
            None => {
                let publish = move |stop: &_| publisher.run(stop).map_err(failure);
                on_thread("publisher-write", drain, publish).await.map(|_| ())
            }
        }
    };
    around.run(work).await
}

pub(crate) fn failure(error: PublishError) -> Failure {
    Failure::of(error.kind(), error)
}

fn look(source: String, topic: String, progress: Arc<Progress>) -> Look {
    Box::new(move || {
        let seen = progress.snapshot();
        StatusResponse {
            state: seen.state.as_str().to_owned(),
            source: source.clone(),
            topic: topic.clone(),
            events: seen.events,
            blocks: seen.blocks,
            source_bytes: seen.source_bytes,
            bad_events: seen.bad_events,
            ..StatusResponse::default()
        }
    })
}

fn meter(topic: &str, progress: Arc<Progress>, scope: &Scope) -> Meter {
    let (metrics, labels) = (&scope.metrics, [("topic", topic)]);
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
    Box::new(move || {
        let seen = progress.snapshot();
        total(&events, seen.events);
        total(&blocks, seen.blocks);
        total(&bytes, seen.bytes);
        total(&bad, seen.bad_events);
        total(&transactions, seen.transactions);
        total(&doubts, seen.doubts);
        commit_seconds.inc_by((seen.commit_time.as_secs_f64() - commit_seconds.get()).max(0.0));
        source_bytes.set(seen.source_bytes as i64);
        queued.set(seen.queued_bytes as i64);
        seen.state != State::Starting
    })
}
