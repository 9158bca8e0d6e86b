//! A publisher: options and bus in, a summary out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_adapter::{PublisherOptions, SchemaLookupError, Target, lookup};
use mesh_bus::{AdminError, Bus};
use mesh_event::SourcePosition;

use crate::State;
use crate::publish::error::PublishError;
use crate::publish::progress::Progress;
use crate::publish::session::Session;
use crate::publish::source::Name;

/// How long asking for a topic's shape may take.
const TOPIC_WAIT: Duration = Duration::from_secs(15);
/// Pause before it is asked again.
const TOPIC_PAUSE: Duration = Duration::from_millis(200);
/// Name of the adapters' meta topic when the transport file gives none.
const META_TOPIC: &str = "ESPAdapterMetapub";

/// A publisher of one source to one input topic. Runs once, on a thread of its own.
pub struct Publisher {
    pub(crate) options: PublisherOptions,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trace_ratio: f64,
    connector: Option<Connector>,
}

/// A source that is a connector of the project itself, one of several that may publish to the window.
struct Connector {
    name: String,
    source: Name,
}

/// What a publisher did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The topic.
    pub topic: String,
    /// Events committed by this run.
    pub events: u64,
    /// Blocks committed by this run.
    pub blocks: u64,
    /// Lines that could not be read and were skipped.
    pub bad_events: u64,
    /// Position behind the last committed block.
    pub position: Option<SourcePosition>,
    /// True when the source has ended; false when it was stopped before.
    pub finished: bool,
}

impl Publisher {
    /// A publisher on this bus. `trace_ratio` (0 to 1) of the blocks get a trace.
    pub fn new(options: PublisherOptions, bus: Arc<dyn Bus>, trace_ratio: f64) -> Publisher {
        Publisher { options, bus, progress: Arc::default(), trace_ratio, connector: None }
    }

    /// Makes it the connector `name` of its window: it reads `source` whatever the option `fsname` says, which only
    /// names it in positions; others may publish to the same topic, and none of them fences another out.
    #[must_use]
    pub fn connector(mut self, name: String, source: Name) -> Publisher {
        self.connector = Some(Connector { name, source });
        self
    }

    /// Who is fenced out when it begins, and fences it out: its like on the same topic.
    pub(crate) fn transactional_id(&self, topic: &str) -> String {
        match &self.connector {
            None => format!("{topic}.pub"),
            Some(connector) => format!("{topic}.pub.{}", connector.name),
        }
    }

    /// Its key in the meta topic. A connector that is given another source begins that one anew.
    pub(crate) fn meta_key(&self, topic: &str) -> String {
        match &self.connector {
            None => topic.to_owned(),
            Some(_) => format!("{topic}#{}", self.options.common.fsname),
        }
    }

    /// The source whose blocks alone tell its position; `None`: every block of the topic is its own.
    pub(crate) fn shared_source(&self) -> Option<&str> {
        self.connector.as_ref().map(|_| self.options.common.fsname.as_str())
    }

    /// Its counters, live.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The topic that it publishes to.
    pub fn topic(&self) -> Result<String, PublishError> {
        Ok(Target::parse(&self.options.common.url)?.input_topic())
    }

    /// Publishes until the source ends or it is stopped. Blocks.
    pub fn run(&self, stop: &AtomicBool) -> Result<Summary, PublishError> {
        let result = self.publish(stop);
        let state = match &result {
            Ok(_) => State::Finished,
            Err(_) => State::Failed,
        };
        self.progress.set_state(state);
        result
    }

    fn publish(&self, stop: &AtomicBool) -> Result<Summary, PublishError> {
        let target = Target::parse(&self.options.common.url)?;
        let topic: Arc<str> = target.input_topic().into();
        let announced = match lookup(self.bus.as_ref(), &target.wanted(), self.options.common.schema_wait, stop) {
            Err(SchemaLookupError::Stopped { .. }) => return Ok(self.summary(&topic, None, false)),
            announced => announced?,
        };
        if !announced.input {
            return Err(PublishError::NotInput { window: target.path() });
        }
        let meta = self.check_topics(&topic, stop)?;
        let name = match &self.connector {
            Some(connector) => connector.source.clone(),
            None => {
                let common = &self.options.common;
                Name::parse(&common.fsname, self.options.growing, common.fstype)
            }
        };
        tracing::info!(%topic, source = self.options.common.fsname, schema = %announced.schema, "publishing");
        Session::new(self, name, announced.schema, topic, meta, stop).run()
    }

    pub(crate) fn summary(&self, topic: &str, position: Option<SourcePosition>, finished: bool) -> Summary {
        let counted = self.progress.snapshot();
        Summary {
            topic: topic.to_owned(),
            events: counted.events,
            blocks: counted.blocks,
            bad_events: counted.bad_events,
            position,
            finished,
        }
    }

    /// The partitions of a topic, if it is there. A bus that does not answer is asked again, as later while publishing.
    fn partitions(&self, name: &str, stop: &AtomicBool) -> Result<Option<u32>, PublishError> {
        let begun = Instant::now();
        loop {
            let (attempted, reason) = match self.bus.topics(name, TOPIC_WAIT) {
                Err(AdminError::Unavailable { attempted, reason }) => (attempted, reason),
                answer => return Ok(answer?.into_iter().find(|info| info.name == name).map(|info| info.partitions)),
            };
            let (topic, last, waited) = (name.to_owned(), format!("{attempted}: {reason}"), begun.elapsed());
            if stop.load(Ordering::Relaxed) {
                return Err(PublishError::Drained { topic, last });
            }
            if waited >= self.options.common.bus_wait {
                return Err(PublishError::Unavailable { topic, waited, last });
            }
            tracing::warn!(topic, last, "the bus gives trouble, trying again");
            std::thread::sleep(TOPIC_PAUSE);
        }
    }

    /// The input topic must have one partition; the meta topic is optional.
    fn check_topics(&self, topic: &str, stop: &AtomicBool) -> Result<Option<Arc<str>>, PublishError> {
        match self.partitions(topic, stop)? {
            Some(1) => {}
            Some(found) => return Err(AdminError::Partitions { topic: topic.to_owned(), found }.into()),
            None => {
                let reason = mesh_bus::ReadError::NoTopic { topic: topic.to_owned() };
                return Err(PublishError::Locate { topic: topic.to_owned(), reason });
            }
        }
        let meta = self.options.common.transport.metatopic.as_deref().unwrap_or(META_TOPIC);
        match self.partitions(meta, stop)? {
            Some(1) => Ok(Some(meta.into())),
            found => {
                tracing::warn!(
                    metatopic = meta,
                    partitions = found,
                    "the meta topic is not there with one partition: an emptied input topic would lose the position; \
                     create it (compacted) to keep it"
                );
                Ok(None)
            }
        }
    }
}
