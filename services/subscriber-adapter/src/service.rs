//! The process around a subscriber: status over gRPC, metrics, announcement, drain.

use std::sync::Arc;

use mesh_adapter::SubscriberOptions;
use mesh_bus::Bus;
use mesh_connector::subscribe::{Progress, SubscribeError, Subscriber};
use mesh_connector::{State, group};
use mesh_proto::adapter::StatusResponse;
use mesh_service::adapter::{Around, Look, Meter, Place, on_thread, total};
use mesh_service::{Failure, Scope, administration};

use crate::config::SubscriberConfig;
use crate::group::SubscriberMember;

/// Writes until the drain starts.
pub async fn run(config: SubscriberConfig, bus: Arc<dyn Bus>, place: Place, scope: Scope) -> Result<(), Failure> {
    let checked = SubscriberOptions::from_line(&config.line).map_err(Failure::config)?;
    for warning in &checked.warnings {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    let subscriber = Subscriber::new(checked.options.clone(), Arc::clone(&bus));
    let (topic, progress) = (subscriber.topic().map_err(failure)?, subscriber.progress());
    let failover = checked.options.common.transport.failover.as_ref();
    let caller = &scope.security.caller;
    let member = failover.map(|failover| group::candidate("subscribers", failover, &place, &config.elections, caller));
    let around = Around {
        kind: "subscriber",
        administration: administration(&config, &place.name, &scope),
        place,
        base: &config.base,
        scope: &scope,
        look: look(checked.options.common.fsname.clone(), topic.clone(), progress.clone()),
        meter: meter(&topic, progress.clone(), &scope),
    };
    let drain = scope.drain.clone();
    let work = async {
        match member {
            Some(candidate) => {
                group::run(SubscriberMember::new(checked.options, bus, progress), candidate, drain).await
            }
            None => {
                let write = move |stop: &_| subscriber.run(stop).map_err(failure);
                on_thread("subscriber", drain, write).await.map(|_| ())
            }
        }
    };
    around.run(work).await
}

pub(crate) fn failure(error: SubscribeError) -> Failure {
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
            sequence: seen.sequence,
            ..StatusResponse::default()
        }
    })
}

fn meter(topic: &str, progress: Arc<Progress>, scope: &Scope) -> Meter {
    let (metrics, labels) = (&scope.metrics, [("topic", topic)]);
    let counter = |name, help| metrics.counter(name, help, &labels);
    let events = counter("esp_subscriber_events", "Events written to the sink");
    let blocks = counter("esp_subscriber_blocks", "Blocks written to the sink");
    let bytes = counter("esp_subscriber_bytes", "Bytes written to the sink");
    let breaches = counter("esp_subscriber_breaches", "Blocks lost, doubled or reordered in the output topic");
    let flushes = counter("esp_subscriber_flushes", "Writes to the sink");
    let sequence = metrics.gauge("esp_subscriber_sequence", "Sequence of the last block in the sink", &labels);
    let next_offset = metrics.gauge("esp_subscriber_next_offset", "Offset to read next", &labels);
    Box::new(move || {
        let seen = progress.snapshot();
        total(&events, seen.events);
        total(&blocks, seen.blocks);
        total(&bytes, seen.bytes);
        total(&breaches, seen.breaches);
        total(&flushes, seen.flushes);
        sequence.set(seen.sequence as i64);
        next_offset.set(seen.next_offset as i64);
        seen.state != State::Starting
    })
}
