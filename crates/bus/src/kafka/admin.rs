//! Topics: list, create, delete. The client lives for one call; these are rare.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::context::Context;
use super::deliveries::text_of;
use crate::{AdminError, TopicInfo, TopicSpec};

/// Pause between looks whether a change has reached the brokers.
const PAUSE: Duration = Duration::from_millis(20);

/// Describing more topics than this in one request is not tried.
const TOPICS_MAX: usize = 10_000;

pub(super) struct Admin<'a> {
    pub(super) asker: &'a Asker,
    pub(super) config: &'a ClientConfig,
    pub(super) bus: &'a str,
}

impl Admin<'_> {
    pub(super) fn topics(&self, prefix: &str, deadline: Duration) -> Result<Vec<TopicInfo>, AdminError> {
        let until = Instant::now() + deadline;
        let attempted = format!("listing topics `{prefix}*` of {}", self.bus);
        let metadata = self.metadata(None, &attempted, until)?;
        let mut topics: BTreeMap<String, TopicInfo> = metadata
            .topics()
            .iter()
            .filter(|t| t.name().starts_with(prefix) && !t.name().starts_with("__"))
            .map(|t| {
                let partitions = t.partitions();
                let least = |count: fn(&rdkafka::metadata::MetadataPartition) -> usize| {
                    partitions.iter().map(count).min().unwrap_or(0) as u32
                };
                let info = TopicInfo {
                    name: t.name().to_owned(),
                    partitions: partitions.len() as u32,
                    replication_factor: least(|p| p.replicas().len()),
                    in_sync: least(|p| p.isr().len()),
                    settings: BTreeMap::new(),
                };
                (info.name.clone(), info)
            })
            .take(TOPICS_MAX)
            .collect();
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client(&attempted)?;
        let names: Vec<ResourceSpecifier<'_>> = topics.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = options(until);
        let described = wait(client.describe_configs(&names, &options), until, &attempted)?;
        let described = described.map_err(|error| self.unavailable(&attempted, &error))?;
        // A topic that was deleted meanwhile has an error here and simply no settings.
        for resource in described.into_iter().flatten() {
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
                continue;
            };
            if let Some(info) = topics.get_mut(name) {
                info.settings = resource
                    .entries
                    .iter()
                    .filter(|entry| entry.source == ConfigSource::DynamicTopic)
                    .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
                    .collect();
            }
        }
        Ok(topics.into_values().collect())
    }

    pub(super) fn create(&self, spec: &TopicSpec, deadline: Duration) -> Result<bool, AdminError> {
        let until = Instant::now() + deadline;
        let attempted = format!("creating topic `{}` on {}", spec.name, self.bus);
        let client = self.client(&attempted)?;
        let replication = TopicReplication::Fixed(spec.replication_factor as i32);
        let mut topic = NewTopic::new(&spec.name, 1, replication);
        for (key, value) in &spec.settings {
            topic = topic.set(key, value);
        }
        let options = options(until);
        let created = wait(client.create_topics([&topic], &options), until, &attempted)?
            .map_err(|error| self.unavailable(&attempted, &error))?;
        match created.into_iter().next() {
            Some(Ok(_)) => {
                // Until it has a leader, a reader or a writer would not find it.
                self.wait_for(&spec.name, &attempted, until, |partitions| partitions == 1)?;
                Ok(true)
            }
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let found = self.partitions(&spec.name, &attempted, until)?;
                if found > 1 {
                    return Err(AdminError::Partitions { topic: spec.name.clone(), found });
                }
                Ok(false)
            }
            Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => {
                let brokers = self.metadata(None, &attempted, until)?.brokers().len();
                let noun = if brokers == 1 { "broker" } else { "brokers" };
                let factor = spec.replication_factor;
                Err(refused(attempted, format!("replication factor {factor} but {brokers} {noun}")))
            }
            Some(Err((_, RDKafkaErrorCode::InvalidConfig))) => {
                Err(refused(attempted, format!("a setting is wrong: {:?}", spec.settings)))
            }
            Some(Err((_, code))) => Err(refused(attempted, code.to_string())),
            None => Err(refused(attempted, "the answer names no topic".to_owned())),
        }
    }

    pub(super) fn delete(&self, topic: &str, deadline: Duration) -> Result<bool, AdminError> {
        let until = Instant::now() + deadline;
        let attempted = format!("deleting topic `{topic}` of {}", self.bus);
        let client = self.client(&attempted)?;
        let (names, options) = ([topic], options(until));
        let deleted = wait(client.delete_topics(&names, &options), until, &attempted)?
            .map_err(|error| self.unavailable(&attempted, &error))?;
        match deleted.into_iter().next() {
            Some(Ok(_)) => {
                self.wait_for(topic, &attempted, until, |partitions| partitions == 0)?;
                Ok(true)
            }
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))) => Ok(false),
            Some(Err((_, code))) => Err(refused(attempted, code.to_string())),
            None => Err(refused(attempted, "the answer names no topic".to_owned())),
        }
    }

    pub(super) fn delete_records(&self, topic: &str, before: u64, deadline: Duration) -> Result<u64, AdminError> {
        let until = Instant::now() + deadline;
        let attempted = format!("deleting the records of topic `{topic}` below {before} on {}", self.bus);
        let client = self.client(&attempted)?;
        let mut offsets = TopicPartitionList::new();
        let offset = i64::try_from(before).map_or(Offset::Invalid, Offset::Offset);
        offsets.add_partition_offset(topic, 0, offset).map_err(|error| refused(attempted.clone(), text_of(&error)))?;
        let options = options(until);
        let deleted = wait(client.delete_records(&offsets, &options), until, &attempted)?
            .map_err(|error| self.unavailable(&attempted, &error))?;
        let answer = deleted.find_partition(topic, 0);
        match answer.as_ref().map(|partition| (partition.error(), partition.offset())) {
            Some((Ok(()), Offset::Offset(oldest))) => Ok(oldest.try_into().unwrap_or(0)),
            Some((Err(error), _)) => Err(refused(attempted, text_of(&error))),
            Some((Ok(()), offset)) => Err(refused(attempted, format!("the answer names no offset but {offset:?}"))),
            None => Err(refused(attempted, "the answer names no topic".to_owned())),
        }
    }

    fn client(&self, attempted: &str) -> Result<AdminClient<Context>, AdminError> {
        self.config
            .create_with_context(Context::new("esp-mesh-admin"))
            .map_err(|error| refused(attempted.to_owned(), text_of(&error)))
    }

    fn unavailable(&self, attempted: &str, error: &KafkaError) -> AdminError {
        // Serves the client's events, so that its last error is known.
        while self.asker.metadata().poll(Duration::ZERO).is_some() {}
        AdminError::Unavailable {
            attempted: attempted.to_owned(),
            reason: format!("{}{}", text_of(error), self.asker.metadata().context().last_error()),
        }
    }

    fn metadata(&self, topic: Option<&str>, attempted: &str, until: Instant) -> Result<Metadata, AdminError> {
        self.asker.metadata().fetch_metadata(topic, left(until)).map_err(|error| self.unavailable(attempted, &error))
    }

    /// Partitions that have a leader.
    fn partitions(&self, topic: &str, attempted: &str, until: Instant) -> Result<u32, AdminError> {
        let metadata = self.metadata(Some(topic), attempted, until)?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        Ok(found.map_or(0, |t| t.partitions().iter().filter(|p| p.leader() >= 0).count() as u32))
    }

    /// Waits until the brokers see the change; that they do not within the deadline is no failure of the change.
    fn wait_for(
        &self,
        topic: &str,
        attempted: &str,
        until: Instant,
        done: impl Fn(u32) -> bool,
    ) -> Result<(), AdminError> {
        while !done(self.partitions(topic, attempted, until)?) && Instant::now() + PAUSE < until {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn refused(attempted: String, reason: String) -> AdminError {
    AdminError::Refused { attempted, reason }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn options(until: Instant) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(left(until))).operation_timeout(Some(left(until)))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer of the admin client, which comes on a thread of its own.
pub(super) fn wait<T>(future: impl Future<Output = T>, until: Instant, attempted: &str) -> Result<T, AdminError> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut task = std::task::Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut task) {
            Poll::Ready(answer) => return Ok(answer),
            // librdkafka answers at its own timeout, which is ours; the margin is for its thread.
            Poll::Pending if Instant::now() >= until + Duration::from_millis(200) => {
                return Err(AdminError::Unavailable {
                    attempted: attempted.to_owned(),
                    reason: "no answer in time".to_owned(),
                });
            }
            Poll::Pending => std::thread::park_timeout(left(until) + Duration::from_millis(200)),
        }
    }
}
