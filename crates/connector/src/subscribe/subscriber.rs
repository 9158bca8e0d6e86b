//! The subscribing thread: blocks from the topic, checked, as lines into the sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_adapter::{FsType, HeaderRow, SchemaLookupError, SubscriberOptions, Target, lookup};
use mesh_bus::{Bus, Polled, ReadError, Reader, ReaderOptions, Record, StartAt};
use mesh_event::csv::{CsvEncoder, CsvHeader, CsvOutOptions, DateFormat};
use mesh_event::{Block, Schema, decode_block};
use mesh_replication::adapter::SequenceCheck;
use mesh_service::telemetry::{Attribute, BlockSpan, block_span};

use crate::State;
use crate::documents::to_json;
use crate::subscribe::error::SubscribeError;
use crate::subscribe::progress::Progress;
use crate::subscribe::shape::shape;
use crate::subscribe::sink::{FileOptions, FileSink, Mark, Name, NextBlock, Sharing, Sink, StreamSink};

/// How long one poll waits while nothing is to be flushed.
const POLL: Duration = Duration::from_millis(50);
/// Records taken from one poll.
const POLL_RECORDS_MAX: usize = 1024;
/// What the client library may read ahead.
const READER_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// Waits between tries while the bus does not answer: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A block as it was read, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its offset.
    pub offset: u64,
    /// Its sequence.
    pub sequence: u64,
    /// Term of the engine that wrote it, from the header `term`.
    pub term: Option<u64>,
    /// When it was stamped, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Number of events.
    pub events: u64,
    /// Trace context, if it is traced.
    pub traceparent: Option<String>,
}

/// Called for each block when it is read.
pub type Observer = Box<dyn FnMut(&Seen) + Send>;

/// A subscriber from one output topic to one sink. Runs once, on a thread of its own.
pub struct Subscriber {
    options: SubscriberOptions,
    bus: Arc<dyn Bus>,
    progress: Arc<Progress>,
    observer: Option<Observer>,
    sharing: Sharing,
}

/// What a subscriber did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The topic.
    pub topic: String,
    /// Events written by this run.
    pub events: u64,
    /// Blocks written by this run.
    pub blocks: u64,
    /// Sequence of the last block in the sink.
    pub sequence: u64,
    /// Breaks of the sequence (with ongap=continue).
    pub breaches: u64,
}

impl Subscriber {
    /// A subscriber on this bus.
    pub fn new(options: SubscriberOptions, bus: Arc<dyn Bus>) -> Subscriber {
        let in_group = options.common.transport.failover.is_some();
        let sharing = if in_group { Sharing::OneOfAGroup } else { Sharing::Alone };
        Subscriber { options, bus, progress: Arc::default(), observer: None, sharing }
    }

    /// Its file is written by others too, one after the other: by members of its group, by the next active engine.
    #[must_use]
    pub fn one_of_a_group(mut self) -> Subscriber {
        self.sharing = Sharing::OneOfAGroup;
        self
    }

    /// One turn of a member of a group, which counts on where its last turn ended.
    #[must_use]
    pub fn counting(mut self, progress: Arc<Progress>) -> Subscriber {
        self.progress = progress;
        self
    }

    /// Has each block told to this function; it must be quick.
    #[must_use]
    pub fn observed(mut self, observer: Observer) -> Subscriber {
        self.observer = Some(observer);
        self
    }

    /// Its counters, live.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The topic that it reads.
    pub fn topic(&self) -> Result<String, SubscribeError> {
        Ok(Target::parse(&self.options.common.url)?.output_topic())
    }

    /// Writes until it is stopped, has `maxevents`, or finds something wrong. Blocks.
    pub fn run(self, stop: &AtomicBool) -> Result<Summary, SubscribeError> {
        let progress = self.progress();
        let result = self.subscribe(stop);
        progress.set_state(if result.is_ok() { State::Finished } else { State::Failed });
        result
    }

    fn subscribe(self, stop: &AtomicBool) -> Result<Summary, SubscribeError> {
        let target = Target::parse(&self.options.common.url)?;
        let topic: Arc<str> = target.output_topic().into();
        let announced = match lookup(self.bus.as_ref(), &target.wanted(), self.options.common.schema_wait, stop) {
            Err(SchemaLookupError::Stopped { .. }) => return Ok(self.progress.summary(&topic)),
            announced => announced?,
        };
        if target.flag("snapshot") {
            tracing::warn!(%topic, "snapshot=true has no effect: the topic holds every event since its start");
        }
        let options = &self.options;
        let sink = open_sink(options, &topic, self.sharing)?;
        let (start, check) = match sink.position() {
            Some(at) => (StartAt::Offset(at.next_offset), SequenceCheck::starting_at(&*topic, at.sequence + 1)),
            None if options.common.transport.start_newest => {
                tracing::warn!(%topic, "initialoffset=largest: events before now are not written");
                (StartAt::Newest, SequenceCheck::starting_anywhere(&*topic))
            }
            None => (StartAt::Oldest, SequenceCheck::starting_at(&*topic, 1)),
        };
        let encoder = encoder(options, sink.position().is_some())?;
        tracing::info!(%topic, sink = options.common.fsname, ?start, sequence = check.last(), "subscribing");
        self.progress.stands_at(check.last(), sink.position().map_or(0, |at| at.next_offset));
        self.progress.holds(sink.position().map_or(0, |at| at.events));
        self.progress.set_state(State::Running);
        let work = Work {
            collapse: options.collapse || target.flag("collapse"),
            drop_retention_deletes: options.drop_retention_deletes || target.flag("rmretdel"),
            schema: announced.schema,
            topic,
            sink,
            check,
            encoder,
            start,
            buffer: Vec::new(),
            buffered: None,
            spans: Vec::new(),
            taken: 0,
            trouble: None,
            stop,
            subscriber: self,
        };
        work.run()
    }
}

fn open_sink(options: &SubscriberOptions, topic: &str, sharing: Sharing) -> Result<Box<dyn Sink>, SubscribeError> {
    Ok(match Name::parse(&options.common.fsname) {
        Name::File(path) => {
            let (fresh, fsync, rotation) = (options.common.fresh, options.fsync, options.rotation);
            Box::new(FileSink::open(&path, FileOptions { topic, fresh, fsync, sharing, rotation })?)
        }
        Name::Connect(address) => Box::new(StreamSink::connect(&address)?),
        Name::Stdout => Box::new(StreamSink::stdout()),
    })
}

/// Makes a block's lines.
enum Encoder {
    Csv(CsvEncoder),
    Json(Option<DateFormat>),
}

impl Encoder {
    fn encode(&mut self, block: &Block, text: &mut Vec<u8>) {
        match self {
            Encoder::Csv(csv) => csv.encode(block, text),
            Encoder::Json(date_format) => to_json(block, date_format.as_ref(), text),
        }
    }
}

fn encoder(options: &SubscriberOptions, appending: bool) -> Result<Encoder, SubscribeError> {
    let setup = |reason: String| SubscribeError::Setup { name: options.common.fsname.clone(), reason };
    let date_format =
        options.dateformat.as_deref().map(DateFormat::new).transpose().map_err(|error| setup(error.to_string()))?;
    if options.common.fstype == FsType::Json {
        return Ok(Encoder::Json(date_format));
    }
    let header = match options.header {
        HeaderRow::None => CsvHeader::None,
        HeaderRow::Fields => CsvHeader::Names,
        HeaderRow::Full => CsvHeader::Full,
    };
    let csv = CsvOutOptions { date_format, header, ..CsvOutOptions::default() };
    let encoder = if appending { CsvEncoder::appending(csv) } else { CsvEncoder::new(csv) };
    encoder.map(Encoder::Csv).map_err(|error| setup(error.to_string()))
}

/// One run of a subscriber.
struct Work<'a> {
    subscriber: Subscriber,
    collapse: bool,
    drop_retention_deletes: bool,
    schema: Arc<Schema>,
    topic: Arc<str>,
    sink: Box<dyn Sink>,
    check: SequenceCheck,
    encoder: Encoder,
    /// Where the next reader starts.
    start: StartAt,
    /// Lines that are not in the sink yet.
    buffer: Vec<u8>,
    buffered: Option<Buffered>,
    /// From the read of a block to its flush.
    spans: Vec<BlockSpan>,
    /// Events taken by this run.
    taken: u64,
    trouble: Option<Trouble>,
    stop: &'a AtomicBool,
}

impl Progress {
    fn summary(&self, topic: &str) -> Summary {
        let counted = self.snapshot();
        Summary {
            topic: topic.to_owned(),
            events: counted.events,
            blocks: counted.blocks,
            sequence: counted.sequence,
            breaches: counted.breaches,
        }
    }
}

/// What the buffer holds.
struct Buffered {
    since: Instant,
    blocks: u64,
    events: u64,
    next_offset: u64,
    sequence: u64,
}

struct Trouble {
    since: Instant,
    pause: Duration,
}

impl Work<'_> {
    fn run(mut self) -> Result<Summary, SubscribeError> {
        let read = self.read();
        // what was good before a failure belongs into the sink
        self.flush()?;
        read?;
        let summary = self.subscriber.progress.summary(&self.topic);
        tracing::info!(topic = %self.topic, events = summary.events, sequence = summary.sequence, "stopped");
        Ok(summary)
    }

    fn read(&mut self) -> Result<(), SubscribeError> {
        let mut reader: Option<Box<dyn Reader>> = None;
        let mut polled = Vec::new();
        while !self.stop.load(Ordering::Relaxed) && !self.has_enough() {
            self.subscriber.progress.round();
            let result = self.poll(&mut reader, &mut polled);
            for item in polled.drain(..) {
                match item {
                    Polled::Record(record) => self.take(record)?,
                    Polled::End { next_offset, .. } => self.start = StartAt::Offset(next_offset),
                }
                if self.has_enough() {
                    break;
                }
                if self.buffer.len() >= self.subscriber.options.flush_bytes_max {
                    self.flush()?;
                }
            }
            match result {
                Ok(()) => self.trouble = None,
                Err(ReadError::Unavailable { attempted, reason }) => {
                    reader = None;
                    self.flush()?;
                    self.wait_for_bus(&format!("{attempted}: {reason}"))?;
                }
                Err(reason) => {
                    let name = self.subscriber.options.common.fsname.clone();
                    return Err(SubscribeError::Read { topic: self.topic.to_string(), name, reason });
                }
            }
            if self.flush_in().is_some_and(|left| left.is_zero()) {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn poll(&self, reader: &mut Option<Box<dyn Reader>>, polled: &mut Vec<Polled>) -> Result<(), ReadError> {
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let options = ReaderOptions {
                    client: format!("subscriber-{}", self.topic),
                    buffer_bytes_max: READER_BUFFER_BYTES,
                    committed_only: true,
                    end_within: ReaderOptions::PATIENT,
                };
                reader.insert(self.subscriber.bus.reader(options, &[(Arc::clone(&self.topic), self.start)])?)
            }
        };
        let wait = self.flush_in().map_or(POLL, |left| left.min(POLL));
        reader.poll(wait, POLL_RECORDS_MAX, polled)
    }

    fn has_enough(&self) -> bool {
        self.subscriber.options.events_max.is_some_and(|max| self.taken >= max)
    }

    /// Time until the buffer is to be flushed; `None`: it is empty.
    fn flush_in(&self) -> Option<Duration> {
        let since = self.buffered.as_ref()?.since;
        Some(self.subscriber.options.flush_after.saturating_sub(since.elapsed()))
    }

    /// Checks a block and puts its lines into the buffer.
    fn take(&mut self, record: Record) -> Result<(), SubscribeError> {
        let corrupt =
            |reason: String| SubscribeError::Corrupt { topic: self.topic.to_string(), offset: record.offset, reason };
        let text = |key: &str| {
            let header = record.headers.iter().find(|header| header.key == key)?;
            std::str::from_utf8(&header.value).ok().map(str::to_owned)
        };
        let (header, block) =
            decode_block(&record.payload, &self.schema).map_err(|error| corrupt(error.to_string()))?;
        if let Err(breach) = self.check.take(record.offset, header.sequence) {
            self.subscriber.progress.breach();
            if !self.subscriber.options.continue_on_gap {
                return Err(breach.into());
            }
            tracing::error!(%breach, "going on regardless (ongap=continue)");
        }
        let traceparent = text("traceparent");
        let events = block.len() as u64;
        if let Some(observer) = &mut self.subscriber.observer {
            observer(&Seen {
                offset: record.offset,
                sequence: header.sequence,
                term: text("term").and_then(|term| term.parse().ok()),
                timestamp_ms: record.timestamp_ms,
                events,
                traceparent: traceparent.clone(),
            });
        }
        let mut span = block_span("subscriber.write", traceparent.as_deref(), &[]);
        let block = shape(block, self.collapse, self.drop_retention_deletes);
        let waiting = self.buffer.len();
        self.encoder.encode(&block, &mut self.buffer);
        let next = NextBlock {
            sequence: header.sequence,
            timestamp_ms: record.timestamp_ms,
            bytes: (self.buffer.len() - waiting) as u64,
            waiting: waiting as u64,
        };
        if self.sink.is_due(&next) {
            self.buffer.truncate(waiting);
            self.flush()?;
            self.sink.begin_file(&next)?;
            self.encoder = encoder(&self.subscriber.options, false)?;
            self.encoder.encode(&block, &mut self.buffer);
        }
        if span.is_recording() {
            span.set(Attribute::text("sink", self.subscriber.options.common.fsname.clone()));
            span.set(Attribute::number("sequence", header.sequence));
            span.set(Attribute::number("events", events));
            self.spans.push(span);
        }
        self.taken += events;
        self.start = StartAt::Offset(record.offset + 1);
        let buffered = self.buffered.get_or_insert_with(|| Buffered {
            since: Instant::now(),
            blocks: 0,
            events: 0,
            next_offset: 0,
            sequence: 0,
        });
        buffered.blocks += 1;
        buffered.events += block.len() as u64;
        buffered.next_offset = record.offset + 1;
        buffered.sequence = self.check.last();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SubscribeError> {
        let Some(buffered) = self.buffered.take() else { return Ok(()) };
        let mark = Mark { next_offset: buffered.next_offset, sequence: buffered.sequence, events: buffered.events };
        self.sink.write(&self.buffer, mark)?;
        let bytes = self.buffer.len() as u64;
        self.buffer.clear();
        self.spans.clear();
        self.subscriber.progress.flushed(buffered.blocks, buffered.events, bytes);
        self.subscriber.progress.stands_at(mark.sequence, mark.next_offset);
        Ok(())
    }

    /// Pauses after a failure; an error when it has gone on for too long.
    fn wait_for_bus(&mut self, reason: &str) -> Result<(), SubscribeError> {
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::warn!(topic = %self.topic, reason, "the bus gives trouble, trying again");
            Trouble { since: Instant::now(), pause: BACKOFF.0 }
        });
        let waited = trouble.since.elapsed();
        if waited >= self.subscriber.options.common.bus_wait {
            return Err(SubscribeError::Unavailable { topic: self.topic.to_string(), waited, last: reason.to_owned() });
        }
        let until = Instant::now() + trouble.pause;
        trouble.pause = (trouble.pause * 2).min(BACKOFF.1);
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            self.subscriber.progress.round();
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}
