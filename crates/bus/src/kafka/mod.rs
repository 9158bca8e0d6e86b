//! The bus on Kafka: rdkafka, and a plain connection for what librdkafka does too slowly.
//!
//! - [`settings`]: every setting of the clients with its reason
//! - `reader`, `writer` (with `deliveries`, `triage`): the port's two halves; `laned`: a writer with two transactional ids
//! - `coordinator` (with `wire`, `transport`, `keeper`): the fast fence, and whether a transaction is complete
//! - `asker`, `admin`: ends of topics; topics themselves

mod admin;
mod asker;
mod context;
mod coordinator;
mod deliveries;
mod keeper;
mod laned;
mod reader;
pub mod settings;
#[cfg(test)]
mod tests;
mod transport;
mod triage;
mod wire;
mod writer;

use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::admin::Admin;
use self::asker::Asker;
use self::context::Context;
use self::coordinator::Coordinator;
use self::deliveries::text_of;
use self::keeper::Keeper;
use self::laned::LanedWriter;
use self::reader::KafkaReader;
use self::transport::Transport;
use self::writer::KafkaWriter;
use crate::{
    AdminError, Bus, EndOf, ReadError, Reader, ReaderOptions, StartAt, TopicInfo, TopicSpec, WriteError, Writer,
    WriterOptions,
};

/// Where Kafka is, and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Addresses to begin with, `host:port` separated by commas.
    pub bootstrap: String,
    /// Further settings of the client library ([`crate::parse_settings`]).
    pub settings: BTreeMap<String, String>,
}

/// A bus on a Kafka cluster (3.6 or newer, which verifies every transactional write). Clones share it.
#[derive(Clone)]
pub struct KafkaBus {
    inner: Arc<Inner>,
}

struct Inner {
    options: KafkaOptions,
    name: String,
    asker: Arc<Asker>,
    keeper: Keeper,
    readers: AtomicU64,
}

impl KafkaBus {
    /// Checks the settings and creates the clients; waits for no broker.
    pub fn new(options: KafkaOptions) -> Result<Self, AdminError> {
        let name = format!("kafka at {}", options.bootstrap);
        let refused =
            |reason: String| AdminError::Refused { attempted: format!("setting up the clients of {name}"), reason };
        let config = |committed| settings::asking(&options.bootstrap, &options.settings, committed);
        let asker = Asker::open(&config(false), &config(true), &name).map_err(|error| refused(explain(&error)))?;
        let keeper = Keeper::start().map_err(|error| refused(format!("starting a thread: {error}")))?;
        let (asker, readers) = (Arc::new(asker), AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { options, name, asker, keeper, readers }) })
    }

    /// Opens a writer; `transport`: how it reaches brokers without librdkafka, or why it cannot.
    fn open_writer(
        &self,
        options: WriterOptions,
        deadline: Duration,
        transport: Result<Transport, String>,
    ) -> Result<Box<dyn Writer>, WriteError> {
        if options.two_lanes {
            let second = LanedWriter::second_of(&options);
            let first = WriterOptions { two_lanes: false, ..options };
            let (first, second) = std::thread::scope(|scope| {
                let other = transport.clone();
                let second = scope.spawn(|| self.open_lane(second, deadline, other));
                let first = self.open_lane(first, deadline, transport);
                (first, second.join().expect("opening a lane does not panic"))
            });
            return Ok(Box::new(LanedWriter::new(first?, second?)));
        }
        Ok(Box::new(self.open_lane(options, deadline, transport)?))
    }

    fn open_lane(
        &self,
        options: WriterOptions,
        deadline: Duration,
        transport: Result<Transport, String>,
    ) -> Result<KafkaWriter, WriteError> {
        let KafkaOptions { bootstrap, settings: extra } = &self.inner.options;
        let config = settings::writer(bootstrap, extra, &options);
        let plain = transport.map(|transport| {
            let timeout = settings::transaction_timeout(&options);
            let names = (options.client.as_str(), options.transactional_id.as_str());
            Arc::new(Mutex::new(Coordinator::new(bootstrap, transport, names, timeout)))
        });
        let names = (options.client.as_str(), options.transactional_id.as_str(), self.inner.name.as_str());
        let writer = KafkaWriter::open(&config, plain.clone(), names, deadline)?;
        if let Ok(coordinator) = &plain {
            self.inner.keeper.add(coordinator);
        }
        Ok(writer)
    }

    fn admin<T>(&self, call: impl FnOnce(Admin<'_>) -> T) -> T {
        let options = &self.inner.options;
        let config = settings::asking(&options.bootstrap, &options.settings, false);
        call(Admin { asker: &self.inner.asker, config: &config, bus: &self.inner.name })
    }
}

/// Names the setting when one is wrong.
fn explain(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, text, key, value) => format!("setting `{key}={value}`: {text}"),
        error => text_of(error),
    }
}

impl Bus for KafkaBus {
    fn name(&self) -> String {
        self.inner.name.clone()
    }

    fn reader(&self, options: ReaderOptions, topics: &[(Arc<str>, StartAt)]) -> Result<Box<dyn Reader>, ReadError> {
        let KafkaOptions { bootstrap, settings: extra } = &self.inner.options;
        let number = self.inner.readers.fetch_add(1, Ordering::Relaxed);
        let group = format!("esp-mesh-{}-{}-{number}", options.client, std::process::id());
        let config = settings::reader(bootstrap, extra, &options, &group, topics.len());
        let consumer = config.create_with_context(Context::new(&options.client)).map_err(|error: KafkaError| {
            ReadError::Unavailable {
                attempted: format!("opening a reader on {}", self.inner.name),
                reason: explain(&error),
            }
        })?;
        let asker = Arc::clone(&self.inner.asker);
        let name = self.inner.name.clone();
        let reader = KafkaReader::open(consumer, asker, options.committed_only, topics, name)?;
        Ok(Box::new(reader))
    }

    fn writer(&self, options: WriterOptions, deadline: Duration) -> Result<Box<dyn Writer>, WriteError> {
        let transport = Transport::of(&self.inner.options.settings);
        self.open_writer(options, deadline, transport)
    }

    fn end(&self, topic: &str, end: EndOf, deadline: Duration) -> Result<u64, ReadError> {
        self.inner.asker.end(topic, end, deadline)
    }

    fn topics(&self, prefix: &str, deadline: Duration) -> Result<Vec<TopicInfo>, AdminError> {
        self.admin(|admin| admin.topics(prefix, deadline))
    }

    fn create_topic(&self, spec: &TopicSpec, deadline: Duration) -> Result<bool, AdminError> {
        self.admin(|admin| admin.create(spec, deadline))
    }

    fn delete_topic(&self, topic: &str, deadline: Duration) -> Result<bool, AdminError> {
        self.admin(|admin| admin.delete(topic, deadline))
    }

    fn delete_records(&self, topic: &str, before: u64, deadline: Duration) -> Result<u64, AdminError> {
        self.admin(|admin| admin.delete_records(topic, before, deadline))
    }
}
