//! The thread that reads the commit log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mesh_bus::{Bus, EndOf, Polled, ReadError, Reader, ReaderOptions, StartAt};
use mesh_replication::engine::ASK_EVERY;
use mesh_replication::{CommitRecord, Term};

use crate::project::message::{FromLog, LogCommand, LogNews, StopFlag};

/// How long a poll waits; a command waits at most as long, so it is part of every takeover.
const POLL_WAIT: Duration = Duration::from_millis(2);
/// How long the bus may take to answer where the log ends.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// How long the bus may take to answer a question that is asked only to hear from it.
const CONTACT_DEADLINE: Duration = Duration::from_millis(500);
/// Wait after a failure.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// Records taken by one poll.
const POLL_RECORDS_MAX: usize = 256;
/// What the client library reads ahead of the log, in bytes: records are small.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// What the reader needs.
pub struct LogReader {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Name of the client.
    pub client: String,
    /// The commit log.
    pub topic: Arc<str>,
    /// From the driver.
    pub commands: Receiver<LogCommand>,
    /// To the driver.
    pub news: Sender<FromLog>,
    /// Set by the driver while it holds enough records.
    pub hold: Arc<AtomicBool>,
    /// Ends the thread.
    pub stop: StopFlag,
}

/// Where the reading is.
struct Place {
    generation: u64,
    next_offset: u64,
    /// The end was asked for and not told yet; the question outlives a failed reading.
    asked: Option<Term>,
}

impl Place {
    fn take(&mut self, command: LogCommand) {
        match command {
            LogCommand::Restart { generation } => *self = Place { generation, next_offset: 0, asked: None },
            LogCommand::AskEnd { term } => self.asked = Some(term),
        }
    }
}

impl LogReader {
    /// Reads until stopped, or until the driver is gone.
    pub fn run(self) {
        let mut place = Place { generation: 0, next_offset: 0, asked: None };
        while !self.stop.is_set() {
            let error = match self.open(place.next_offset) {
                Ok(mut reader) => match self.read(reader.as_mut(), &mut place) {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if !self.tell(place.generation, LogNews::Failed(error)) {
                return;
            }
            match self.commands.recv_timeout(RETRY_WAIT) {
                Ok(command) => place.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn open(&self, next_offset: u64) -> Result<Box<dyn Reader>, ReadError> {
        let start = if next_offset == 0 { StartAt::Oldest } else { StartAt::Offset(next_offset) };
        let client = self.client.clone();
        let options = ReaderOptions {
            client,
            buffer_bytes_max: BUFFER_BYTES_MAX,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        };
        self.bus.reader(options, &[(self.topic.clone(), start)])
    }

    /// `Ok` when the thread shall end.
    fn read(&self, reader: &mut dyn Reader, place: &mut Place) -> Result<(), ReadError> {
        let mut polled = Vec::new();
        let mut heard = Instant::now();
        loop {
            while let Ok(command) = self.commands.try_recv() {
                let restarted = matches!(command, LogCommand::Restart { .. });
                place.take(command);
                if restarted {
                    reader.seek(&self.topic, StartAt::Oldest)?;
                }
            }
            if let Some(term) = place.asked {
                let offset = reader.end(&self.topic, EndOf::Stable, END_DEADLINE)?;
                place.asked = None;
                if !self.tell(place.generation, LogNews::End { term, offset }) {
                    return Ok(());
                }
            }
            if self.stop.is_set() {
                return Ok(());
            }
            if heard.elapsed() >= ASK_EVERY {
                // Silence says nothing: there may be nothing to read. Without an answer the driver draws its conclusion.
                let answered = reader.end(&self.topic, EndOf::Stable, CONTACT_DEADLINE).is_ok();
                heard = Instant::now();
                if answered && !self.tell(place.generation, LogNews::Contact) {
                    return Ok(());
                }
            }
            if self.hold.load(Ordering::Acquire) {
                std::thread::park_timeout(POLL_WAIT);
                continue;
            }
            reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut polled)?;
            for item in polled.drain(..) {
                let what = match item {
                    Polled::Record(record) => {
                        heard = Instant::now();
                        place.next_offset = record.offset + 1;
                        let decoded = CommitRecord::decode(&record.payload)
                            .map_err(|error| format!("topic `{}` offset {}: {error}", self.topic, record.offset));
                        LogNews::Record { offset: record.offset, record: decoded }
                    }
                    Polled::End { next_offset, .. } => LogNews::Read { next_offset },
                };
                if !self.tell(place.generation, what) {
                    return Ok(());
                }
            }
        }
    }

    /// False when the driver is gone.
    fn tell(&self, generation: u64, what: LogNews) -> bool {
        self.news.send(FromLog { generation, what }).is_ok()
    }
}
