//! Sends the messages of a notification window: reads them from its output topic, where they are committed, and sends each.
//!
//! ```text
//!  fence; look up the mark --> [mark: number n is in doubt] --> send n --> [mark: n is done, n + 1 in doubt] --> ...
//! ```
//!
//! The mark stands in a compacted topic and is written in transactions of an id that all engines share, so whoever was
//! fenced can mark nothing, and sends nothing after it. A message is sent when its mark is stored, never before: a kill
//! between the two leaves it in doubt, and the next sender sends it again, with the same id. So nothing is lost, and at most
//! one message for each kill goes out twice.
//!
//! `message`: what a row says; `deliver`: SMTP and HTTP.

mod deliver;
mod message;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_bus::{Bus, OutRecord, Polled, ReadError, Reader, ReaderOptions, StartAt, Writer, WriterOptions};
use mesh_event::codec::decode_block;
use mesh_model::Notification;
use mesh_proto::event::SourcePosition as Wire;
use prost::Message as _;

pub use deliver::{Delivery, Permitted, Smtp, SmtpTls, Unsent};
pub use message::Message;

use crate::State;
use crate::http::Http;
use crate::publish::last_of_key;
use crate::subscribe::Progress;

/// The compacted topic of the marks.
pub const MARKS_TOPIC: &str = "ESPAdapterMetasub";
/// How long one call of the bus may take.
const BUS_WAIT: Duration = Duration::from_secs(20);
/// How long the bus leaves a transaction of a silent sender open.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// What the client library may hold.
const BUFFER_BYTES_MAX: usize = 4 << 20;
/// One poll.
const POLL: Duration = Duration::from_millis(100);
/// Blocks of one poll.
const POLL_RECORDS_MAX: usize = 64;

/// Where a sender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mark {
    /// Block to read next.
    next_offset: u64,
    /// The last message that was sent, or never will be.
    done: i64,
    /// The message that is being sent; 0: none.
    doubt: i64,
}

/// Sends the messages of one window.
pub struct Notifier {
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    delivery: Delivery,
    progress: Arc<Progress>,
}

impl Notifier {
    /// For a window with this output topic.
    pub fn new(bus: Arc<dyn Bus>, topic: Arc<str>, delivery: Delivery) -> Notifier {
        Notifier { bus, topic, delivery, progress: Arc::default() }
    }

    /// What it has done; events are messages.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Sends until it is told to stop.
    ///
    /// # Errors
    /// What went wrong; the next run goes on with the same message.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), String> {
        let options = WriterOptions {
            client: format!("notifier-{}", self.topic),
            transactional_id: format!("{}.notify", self.topic),
            two_lanes: false,
            transaction_timeout: TRANSACTION_TIMEOUT,
            buffer_bytes_max: BUFFER_BYTES_MAX,
        };
        let mut writer = self.bus.writer(options, BUS_WAIT).map_err(|error| error.to_string())?;
        writer.fence(BUS_WAIT).map_err(|error| error.to_string())?;
        let mark = self.find()?;
        let mut work = Work { notifier: self, writer, http: Http::default(), mark, stored: mark, sent: 0, stop };
        self.progress.set_state(State::Running);
        let done = work.read();
        // What was done before a failure need not be done again.
        let stored = work.store();
        done.and(stored)
    }

    fn find(&self) -> Result<Mark, String> {
        let marks = Arc::from(MARKS_TOPIC);
        let found = last_of_key(self.bus.as_ref(), &marks, &self.key()).map_err(|error| {
            format!("{error}; expected the compacted topic `{MARKS_TOPIC}`, which a deployment makes (`adapter_meta`)")
        })?;
        let Some(record) = found else { return Ok(Mark::default()) };
        let wire = Wire::decode(record.payload).map_err(|error| format!("topic `{MARKS_TOPIC}`: {error}"))?;
        Ok(Mark { next_offset: wire.bytes, done: wire.events as i64, doubt: wire.lines as i64 })
    }

    fn key(&self) -> String {
        format!("notify.{}", self.topic)
    }
}

/// One run.
struct Work<'a> {
    notifier: &'a Notifier,
    writer: Box<dyn Writer>,
    http: Http,
    mark: Mark,
    stored: Mark,
    /// Messages sent since the mark was stored last.
    sent: u64,
    stop: &'a AtomicBool,
}

impl Work<'_> {
    fn read(&mut self) -> Result<(), String> {
        let mut reader = self.reader(StartAt::Offset(self.mark.next_offset))?;
        let mut polled = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match reader.poll(POLL, POLL_RECORDS_MAX, &mut polled) {
                Ok(()) => {}
                Err(error @ ReadError::Gone { .. }) => {
                    let topic = &self.notifier.topic;
                    tracing::error!(%topic, %error, "messages are lost unsent: the topic no longer holds them");
                    reader = self.reader(StartAt::Oldest)?;
                }
                Err(error) => return Err(error.to_string()),
            }
            for item in polled.drain(..) {
                if let Polled::Record(record) = item {
                    let offset = record.offset;
                    self.block(&record)?;
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    self.mark.next_offset = offset + 1;
                }
            }
            // at once: what was sent and is not marked would be sent again
            self.store()?;
        }
        Ok(())
    }

    fn reader(&self, from: StartAt) -> Result<Box<dyn Reader>, String> {
        let options = ReaderOptions {
            client: format!("notifier-{}", self.notifier.topic),
            buffer_bytes_max: BUFFER_BYTES_MAX,
            committed_only: true,
            end_within: ReaderOptions::PATIENT,
        };
        let topics = [(Arc::clone(&self.notifier.topic), from)];
        self.notifier.bus.reader(options, &topics).map_err(|error| error.to_string())
    }

    fn block(&mut self, record: &mesh_bus::Record) -> Result<(), String> {
        let (topic, progress) = (&self.notifier.topic, &self.notifier.progress);
        let block = match decode_block(&record.payload, &Notification::schema()) {
            Ok((header, block)) => {
                progress.stands_at(header.sequence, record.offset + 1);
                block
            }
            Err(error) => return Err(format!("topic `{topic}`, offset {}: {error}", record.offset)),
        };
        progress.round();
        for message in (0..block.len()).filter_map(|row| Message::of(&block, row)) {
            if message.number <= self.mark.done {
                continue;
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if !message.test {
                self.send(&message)?;
            }
            self.mark = Mark { done: message.number, doubt: 0, ..self.mark };
        }
        Ok(())
    }

    fn send(&mut self, message: &Message) -> Result<(), String> {
        let Notifier { topic, progress, delivery, .. } = self.notifier;
        if self.mark.doubt == message.number {
            tracing::warn!(%topic, message = message.number, "it may have been sent already, and is sent (again)");
        }
        self.mark.doubt = message.number;
        self.store()?;
        // the same for whoever sends it
        let id = format!("{topic}-{}", message.number);
        match delivery.send(&self.http, &id, message) {
            Ok(()) => self.sent += 1,
            Err(Unsent::Refused(why)) => {
                tracing::error!(%topic, message = message.number, why, "the message is refused for good, and left out");
                progress.breach();
            }
            Err(Unsent::Unavailable(why)) => return Err(why),
        }
        Ok(())
    }

    /// Stores the mark; fails when another sender has taken over.
    fn store(&mut self) -> Result<(), String> {
        if self.mark == self.stored {
            return Ok(());
        }
        let Mark { next_offset, done, doubt } = self.mark;
        let source = self.notifier.topic.to_string();
        let wire = Wire { source, bytes: next_offset, lines: doubt as u64, events: done as u64, ..Wire::default() };
        let record = OutRecord {
            topic: Arc::from(MARKS_TOPIC),
            key: Some(self.notifier.key().into()),
            headers: Vec::new(),
            payload: wire.encode_to_vec().into(),
        };
        let writer = &mut self.writer;
        let stored =
            writer.begin(BUS_WAIT).and_then(|()| writer.send(record, BUS_WAIT)).and_then(|()| writer.commit(BUS_WAIT));
        stored.map_err(|error| error.to_string())?;
        self.stored = self.mark;
        let sent = std::mem::take(&mut self.sent);
        self.notifier.progress.flushed(sent, sent, 0);
        Ok(())
    }
}
