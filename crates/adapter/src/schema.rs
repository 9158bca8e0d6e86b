//! The announcement of a window on the metadata topic (`.M`): without its schema no adapter can read or write a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_bus::{Bus, Polled, ReadError, Reader, ReaderOptions, Record, StartAt};
use mesh_event::{Schema, SchemaError};
use mesh_proto::replication::SchemaAnnouncement;
use prost::Message;

/// Version of the announcement that this code reads.
pub const ANNOUNCEMENT_VERSION: u32 = 1;
/// How long one poll of the metadata topic waits.
const POLL: Duration = Duration::from_millis(100);
/// Records taken from one poll.
const POLL_RECORDS_MAX: usize = 256;
/// What the reader of the metadata topic may read ahead.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The window whose announcement is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Metadata topic, `<host>_<port>.M`.
    pub topic: String,
    /// Project.
    pub project: String,
    /// Continuous query.
    pub query: String,
    /// Window.
    pub window: String,
}

/// A window as its engine announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Shape of its rows.
    pub schema: Arc<Schema>,
    /// True when it takes events.
    pub input: bool,
    /// True when the window makes its key.
    pub autogen_key: bool,
}

/// Why there is no schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaLookupError {
    /// Nobody announced the window in time.
    #[error(
        "looking for window `{window}` on topic `{topic}`: not announced within {waited:?} ({found}); \
         deploy the project to an engine of this mesh, check the url, or raise schemawait"
    )]
    NotAnnounced {
        /// Metadata topic.
        topic: String,
        /// `project/query/window`.
        window: String,
        /// How long was waited.
        waited: Duration,
        /// What was there instead.
        found: String,
    },
    /// The announcement has another layout.
    #[error(
        "reading the announcement of `{key}` on topic `{topic}` at offset {offset}: version {found}, expected \
         {ANNOUNCEMENT_VERSION}; run engines and adapters of the same release"
    )]
    Version {
        /// Metadata topic.
        topic: String,
        /// Offset of the record.
        offset: u64,
        /// Window.
        key: String,
        /// Version found.
        found: u32,
    },
    /// The record is not an announcement.
    #[error(
        "reading the announcement of `{key}` on topic `{topic}` at offset {offset}: {reason}, expected a \
         SchemaAnnouncement; deploy the project again so that it is announced anew"
    )]
    Malformed {
        /// Metadata topic.
        topic: String,
        /// Offset of the record.
        offset: u64,
        /// Window.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The bus could not be read all that time.
    #[error(
        "looking for a window on topic `{topic}`: no answer within {waited:?}: {reason}; \
         check the brokers' address (hostport) and that they run, or raise schemawait"
    )]
    Bus {
        /// Metadata topic.
        topic: String,
        /// How long was waited.
        waited: Duration,
        /// What the bus said last.
        reason: ReadError,
    },
    /// The adapter was told to stop.
    #[error("looking for a window on topic `{topic}`: stopped before it was announced")]
    Stopped {
        /// Metadata topic.
        topic: String,
    },
}

/// Reads the metadata topic until the window is announced, at most for `wait`.
pub fn lookup(
    bus: &dyn Bus,
    wanted: &Wanted,
    wait: Duration,
    stop: &AtomicBool,
) -> Result<Announced, SchemaLookupError> {
    let started = Instant::now();
    let mut search = Search { wanted, key: wanted.key(), found: None, others: 0, at_end: false };
    let mut reader: Option<Box<dyn Reader>> = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(SchemaLookupError::Stopped { topic: wanted.topic.clone() });
        }
        let failed = search.poll(bus, &mut reader).err();
        if failed.is_some() {
            reader = None;
            search.at_end = false;
            std::thread::sleep(POLL.min(wait.saturating_sub(started.elapsed())));
        }
        if search.at_end
            && let Some(found) = search.found.take()
        {
            return found;
        }
        if started.elapsed() >= wait {
            return Err(search.not_announced(started.elapsed(), failed));
        }
    }
}

impl Wanted {
    fn key(&self) -> String {
        format!("{}/{}/{}", self.project, self.query, self.window)
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    key: String,
    found: Option<Result<Announced, SchemaLookupError>>,
    others: usize,
    at_end: bool,
}

impl Search<'_> {
    fn poll(&mut self, bus: &dyn Bus, reader: &mut Option<Box<dyn Reader>>) -> Result<(), ReadError> {
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let options = ReaderOptions {
                    client: format!("adapter-schema-{}", self.wanted.window),
                    buffer_bytes_max: BUFFER_BYTES_MAX,
                    committed_only: true,
                    end_within: ReaderOptions::SOON,
                };
                self.found = None;
                self.others = 0;
                reader.insert(bus.reader(options, &[(Arc::from(self.wanted.topic.as_str()), StartAt::Oldest)])?)
            }
        };
        let mut polled = Vec::new();
        reader.poll(POLL, POLL_RECORDS_MAX, &mut polled)?;
        for item in polled {
            match item {
                Polled::Record(record) => self.record(&record),
                Polled::End { .. } => self.at_end = true,
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) {
        if record.key.as_deref() != Some(self.key.as_bytes()) {
            self.others += 1;
            return;
        }
        self.found = Some(self.announced(record));
    }

    fn announced(&self, record: &Record) -> Result<Announced, SchemaLookupError> {
        let malformed = |reason: String| SchemaLookupError::Malformed {
            topic: self.wanted.topic.clone(),
            offset: record.offset,
            key: self.key.clone(),
            reason,
        };
        let announcement =
            SchemaAnnouncement::decode(record.payload.clone()).map_err(|error| malformed(error.to_string()))?;
        if announcement.version != ANNOUNCEMENT_VERSION {
            return Err(SchemaLookupError::Version {
                topic: self.wanted.topic.clone(),
                offset: record.offset,
                key: self.key.clone(),
                found: announcement.version,
            });
        }
        let schema = Schema::parse(&announcement.schema).map_err(|error: SchemaError| malformed(error.to_string()))?;
        if schema.fingerprint() != announcement.schema_fingerprint {
            return Err(malformed(format!(
                "the fingerprint {:016x} is not that of its schema, {:016x}",
                announcement.schema_fingerprint,
                schema.fingerprint()
            )));
        }
        Ok(Announced { schema: Arc::new(schema), input: announcement.input, autogen_key: announcement.autogen_key })
    }

    fn not_announced(self, waited: Duration, last_error: Option<ReadError>) -> SchemaLookupError {
        let found = match (last_error, self.others) {
            (Some(reason @ ReadError::Unavailable { .. }), _) => {
                return SchemaLookupError::Bus { topic: self.wanted.topic.clone(), waited, reason };
            }
            (Some(error), _) => error.to_string(),
            (None, 0) => "the topic announces no window".to_owned(),
            (None, others) => format!("the topic announces {others} other windows"),
        };
        SchemaLookupError::NotAnnounced { topic: self.wanted.topic.clone(), window: self.key, waited, found }
    }
}
