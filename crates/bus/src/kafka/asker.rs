//! Asks for the ends of topics, over two clients that stay open: one that sees the high watermark, one that sees the
//! last stable offset (librdkafka asks at its own isolation level).

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::{Duration, Instant};

use super::context::Context;
use super::deliveries::text_of;
use crate::{EndOf, ReadError};

/// A topic that was created a moment ago may be unknown to the broker that is asked: it is asked again this long.
const NEWS_MAX: Duration = Duration::from_millis(500);

const PAUSE: Duration = Duration::from_millis(20);
/// How long the broker that leads a topic may take to answer before somebody else is asked whether it still leads it. The
/// client keeps who leads what for a minute, and goes on asking a broker that is gone.
const LEADER_WAIT: Duration = Duration::from_millis(200);
/// The longest such wait: it doubles, so that a slow broker is given its time.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(2);

pub(super) struct Asker {
    newest: BaseConsumer<Context>,
    stable: BaseConsumer<Context>,
    bus: String,
}

impl Asker {
    pub(super) fn open(newest: &ClientConfig, stable: &ClientConfig, bus: &str) -> Result<Self, KafkaError> {
        Ok(Self {
            newest: newest.create_with_context(Context::new("esp-mesh-ask"))?,
            stable: stable.create_with_context(Context::new("esp-mesh-ask"))?,
            bus: bus.to_owned(),
        })
    }

    /// Oldest offset, and the end that the isolation level lets one see.
    pub(super) fn ends(&self, topic: &str, committed: bool, deadline: Duration) -> Result<(u64, u64), ReadError> {
        let until = Instant::now() + deadline;
        let client = if committed { &self.stable } else { &self.newest };
        let mut patience = LEADER_WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let error = match client.fetch_watermarks(topic, 0, left.min(patience)) {
                Ok((low, high)) => return Ok((low.try_into().unwrap_or(0), high.try_into().unwrap_or(0))),
                Err(error) => error,
            };
            // Serves the client's events, so that its last error is known and its queue stays empty.
            while client.poll(Duration::ZERO).is_some() {}
            if missing(&error) {
                self.must_exist(topic, until)?;
            } else if Instant::now() + PAUSE < until {
                let left = until.saturating_duration_since(Instant::now());
                let _ = client.fetch_metadata(Some(topic), left.min(patience)); // the next question goes to whom it names
                patience = (patience * 2).min(LEADER_WAIT_MAX);
            }
            if Instant::now() + PAUSE >= until || !retriable(&error) {
                return Err(ReadError::Unavailable {
                    attempted: format!("asking {} for the end of topic `{topic}`", self.bus),
                    reason: format!("{} within {deadline:?}{}", text_of(&error), client.context().last_error()),
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn end(&self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        let (low, high) = self.ends(topic, end == EndOf::Stable, deadline)?;
        Ok(if end == EndOf::Oldest { low } else { high })
    }

    /// `NoTopic` when the brokers agree that there is none.
    fn must_exist(&self, topic: &str, until: Instant) -> Result<(), ReadError> {
        let news = until.min(Instant::now() + NEWS_MAX);
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let Ok(metadata) = self.newest.fetch_metadata(Some(topic), left) else {
                // Nobody answers; the caller's own question will say so.
                return Ok(());
            };
            if metadata.topics().iter().any(|t| t.error().is_none() && !t.partitions().is_empty()) {
                return Ok(());
            }
            if Instant::now() >= news {
                return Err(ReadError::NoTopic { topic: topic.to_owned() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The client for metadata.
    pub(super) fn metadata(&self) -> &BaseConsumer<Context> {
        &self.newest
    }
}

fn missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

fn retriable(error: &KafkaError) -> bool {
    missing(error)
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::NotLeaderForPartition
                    | RDKafkaErrorCode::WaitingForCoordinator
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::Fail
            )
        )
}
