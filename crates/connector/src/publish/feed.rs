//! The reading thread: bytes to blocks to records, paced, into the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesh_adapter::PublisherOptions;
use mesh_event::csv::{CsvBlock, CsvDecoder, CsvPosition};
use mesh_event::{BlockHeader, BlockKind, Schema, SourceFile, SourcePosition, encode_block};
use mesh_service::telemetry::{Attribute, BlockSpan, root_span};

use crate::publish::error::PublishError;
use crate::publish::progress::Progress;
use crate::publish::queue::Queue;
use crate::publish::source::{Chunk, Name, Source};

/// Bytes read from the source at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Blocks taken from the decoder at a time.
const BLOCKS_AT_A_TIME: u64 = 256;
/// Longest nap while waiting for the rate, so that a stop is heard soon.
const NAP_MAX: Duration = Duration::from_millis(20);
/// Errors of skipped lines that are logged one by one; of further ones only every thousandth.
const ERRORS_LOGGED_MAX: u64 = 20;

/// A block, ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub payload: Bytes,
    pub events: u64,
    pub end: SourcePosition,
    /// From the read to the commit, if this block is traced.
    pub span: Option<Box<BlockSpan>>,
}

/// What comes out of the reading thread.
#[derive(Debug)]
pub(crate) enum Fed {
    Block(Ready),
    Failed(PublishError),
}

/// What the reading thread needs.
pub(crate) struct Feed<'a> {
    pub options: &'a PublisherOptions,
    pub schema: Arc<Schema>,
    pub name: &'a Name,
    pub from: Option<SourcePosition>,
    pub trace_ratio: f64,
    pub progress: &'a Progress,
    pub queue: &'a Queue<Fed>,
    pub stop: &'a AtomicBool,
}

/// Why reading goes no further.
enum Halt {
    /// Stopped from outside, or the consumer has gone.
    Stopped,
    Failed(PublishError),
}

impl Feed<'_> {
    /// Reads until the source ends, the limit of events is reached, or it is stopped.
    pub fn run(self) {
        let queue = self.queue;
        if let Err(Halt::Failed(error)) = self.rounds() {
            queue.push(Fed::Failed(error), 0);
        }
        queue.end();
    }

    fn rounds(&self) -> Result<(), Halt> {
        let start = self.from.clone().unwrap_or_else(|| self.name.begin());
        let mut pace = Pace::new(self.options.rate);
        let mut from = start;
        loop {
            let events = self.round(&from, &mut pace)?;
            if from.round >= self.options.repeats || self.left(events) == Some(0) || !self.name.rewinds() {
                return Ok(());
            }
            from = SourcePosition { bytes: 0, lines: 0, events, round: from.round + 1, file: None, ..from };
        }
    }

    /// Events that may still be published.
    fn left(&self, events: u64) -> Option<u64> {
        self.options.events_max.map(|max| max.saturating_sub(events))
    }

    /// Reads the source once from a position to its end; returns the events published then.
    fn round(&self, from: &SourcePosition, pace: &mut Pace) -> Result<u64, Halt> {
        let source = self.name.open(from, &self.schema, self.options).map_err(Halt::Failed)?;
        // a socket starts anew, only its counting goes on
        let position = match self.name.rewinds() {
            true => CsvPosition { bytes: from.bytes, lines: from.lines, events: from.events },
            false => CsvPosition { events: from.events, ..CsvPosition::default() },
        };
        let decoder = self.decoder(source.as_ref(), position)?;
        let (number, published) = (from.round, from.events);
        let mut round = Round { feed: self, source, decoder, number, published, bad_told: 0, bad_counted: 0 };
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Halt::Stopped);
            }
            let chunk = self.read(round.source.as_mut(), &mut buffer)?;
            let done = match chunk {
                Chunk::Bytes(read) => round.decode(&buffer[..read], false, pace)?,
                Chunk::End => round.decode(&[], true, pace)?,
                Chunk::NextFile => round.next_file(pace)?,
                // what came is passed on, even if it is less than a block
                Chunk::Idle => round.flush(pace)?,
            };
            if done || chunk == Chunk::End {
                return Ok(round.published);
            }
        }
    }

    fn decoder(&self, source: &dyn Source, position: CsvPosition) -> Result<CsvDecoder, Halt> {
        let mut options = self.name.csv_options(self.options);
        if let Some(file) = source.file_at(0) {
            options.file = file.path;
        }
        CsvDecoder::resume(Arc::clone(&self.schema), options, position)
            .map_err(|reason| Halt::Failed(PublishError::Setup { name: self.options.common.fsname.clone(), reason }))
    }

    fn read(&self, source: &mut dyn Source, buffer: &mut [u8]) -> Result<Chunk, Halt> {
        loop {
            match source.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(reason) => {
                    let name = self.options.common.fsname.clone();
                    return Err(Halt::Failed(PublishError::Source { name, reason }));
                }
                Ok(chunk) => return Ok(chunk),
            }
        }
    }

    fn push(&self, csv: CsvBlock, file: Option<SourceFile>, round: u64, pace: &mut Pace) -> Result<(), Halt> {
        let CsvBlock { mut block, position } = csv;
        if self.options.transactional {
            block.kind = BlockKind::Transactional;
        }
        let events = block.len() as u64;
        if !pace.wait(events, self.stop) {
            return Err(Halt::Stopped);
        }
        let end = SourcePosition {
            source: self.options.common.fsname.clone(),
            bytes: position.bytes,
            lines: position.lines,
            events: position.events,
            round,
            file,
        };
        let mut span = root_span("publisher.read", self.trace_ratio, &[]);
        if span.is_recording() {
            span.set(Attribute::text("source", end.source.clone()));
            span.set(Attribute::number("line", end.lines));
            span.set(Attribute::number("events", events));
        }
        let span = span.is_recording().then(|| Box::new(span));
        let payload = encode_block(&block, &BlockHeader { source: Some(end.clone()), ..BlockHeader::default() });
        let bytes = payload.len();
        let pushed = self.queue.push(Fed::Block(Ready { payload, events, end, span }), bytes);
        self.progress.queued(self.queue.bytes());
        if pushed { Ok(()) } else { Err(Halt::Stopped) }
    }
}

/// One reading of the source.
struct Round<'a, 'b> {
    feed: &'a Feed<'b>,
    source: Box<dyn Source>,
    decoder: CsvDecoder,
    number: u64,
    /// Events passed on, of this and earlier rounds.
    published: u64,
    bad_told: u64,
    bad_counted: u64,
}

impl Round<'_, '_> {
    /// Passes bytes through; true when the limit of events is reached.
    fn decode(&mut self, mut bytes: &[u8], last: bool, pace: &mut Pace) -> Result<bool, Halt> {
        let block_events = self.feed.options.block_events as u64;
        loop {
            let (size, count) = match self.feed.left(self.published) {
                Some(0) => return Ok(true),
                Some(left) if left < block_events => (left, 1),
                Some(left) => (block_events, (left / block_events).min(BLOCKS_AT_A_TIME)),
                None => (block_events, BLOCKS_AT_A_TIME),
            };
            let mut blocks = Vec::new();
            let decoded = self.decoder.decode(bytes, last, size as usize, count as usize, |block| blocks.push(block));
            if decoded.is_err() {
                blocks.extend(self.decoder.flush());
            }
            for block in blocks {
                self.push(block, pace)?;
            }
            self.tell_errors();
            let progress = decoded.map_err(|error| Halt::Failed(PublishError::Csv(error)))?;
            bytes = &bytes[progress.consumed..];
            if !progress.more {
                return Ok(self.feed.left(self.published) == Some(0));
            }
        }
    }

    /// Passes on a block that is not full.
    fn flush(&mut self, pace: &mut Pace) -> Result<bool, Halt> {
        if let Some(block) = self.decoder.flush() {
            self.push(block, pace)?;
        }
        Ok(self.feed.left(self.published) == Some(0))
    }

    /// Ends a file of several and begins the next; true when the limit of events is reached.
    fn next_file(&mut self, pace: &mut Pace) -> Result<bool, Halt> {
        if self.decode(&[], true, pace)? {
            return Ok(true);
        }
        self.source.next_file();
        let position = CsvPosition { events: self.published, ..CsvPosition::default() };
        self.decoder = self.feed.decoder(self.source.as_ref(), position)?;
        self.bad_counted = 0;
        Ok(false)
    }

    fn push(&mut self, block: CsvBlock, pace: &mut Pace) -> Result<(), Halt> {
        self.published += block.block.len() as u64;
        let file = self.source.file_at(block.position.bytes);
        self.feed.push(block, file, self.number, pace)
    }

    fn tell_errors(&mut self) {
        for error in self.decoder.take_errors() {
            self.bad_told += 1;
            if self.bad_told <= ERRORS_LOGGED_MAX || self.bad_told.is_multiple_of(1000) {
                tracing::warn!(bad = self.bad_told, %error, "line skipped (ignorecsvparseerrors)");
            }
        }
        let now = self.decoder.bad_lines();
        self.feed.progress.bad(now.saturating_sub(self.bad_counted));
        self.bad_counted = now;
    }
}

/// Keeps a rate of events per second by naps.
struct Pace {
    rate: Option<u64>,
    began: Instant,
    events: u64,
}

impl Pace {
    fn new(rate: Option<u64>) -> Pace {
        Pace { rate, began: Instant::now(), events: 0 }
    }

    /// Waits until these events are due; false when it was stopped meanwhile.
    fn wait(&mut self, events: u64, stop: &AtomicBool) -> bool {
        let Some(rate) = self.rate else { return true };
        let due = Duration::from_secs_f64(self.events as f64 / rate as f64);
        self.events += events;
        loop {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            match due.checked_sub(self.began.elapsed()) {
                Some(early) if !early.is_zero() => std::thread::sleep(early.min(NAP_MAX)),
                _ => return true,
            }
        }
    }
}
