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
    /// False until the driver knows where to begin: at a snapshot's commit, or at the start.
    begun: bool,
    /// The end was asked for and not told yet; the question outlives a failed reading.
    asked: Option<Term>,
}

impl Place {
    fn take(&mut self, command: LogCommand) {
        match command {
            LogCommand::Stop { generation } => *self = Place { generation, next_offset: 0, begun: false, asked: None },
            LogCommand::Start { from } => (self.next_offset, self.begun) = (from, true),
            LogCommand::AskEnd { term } => self.asked = Some(term),
        }
    }
}

/// How a reading ended.
enum Ended {
    /// The driver will say where to begin anew.
    Stopped,
    /// The thread shall end.
    Done,
}

impl LogReader {
    /// Reads until stopped, or until the driver is gone.
    pub fn run(self) {
        let mut place = Place { generation: 0, next_offset: 0, begun: false, asked: None };
        while !self.stop.is_set() {
            if !place.begun {
                match self.commands.recv_timeout(RETRY_WAIT) {
                    Ok(command) => place.take(command),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                continue;
            }
            let error = match self.open(place.next_offset) {
                Ok(mut reader) => match self.read(reader.as_mut(), &mut place) {
                    Ok(Ended::Stopped) => continue,
                    Ok(Ended::Done) => return,
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
        // From 0 too: were it the oldest there is, a log trimmed since the driver looked would begin in its middle.
        let start = StartAt::Offset(next_offset);
        let client = self.client.clone();
        let options = ReaderOptions {
            client,
            buffer_bytes_max: BUFFER_BYTES_MAX,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        };
        self.bus.reader(options, &[(self.topic.clone(), start)])
    }

    /// Reads until told to stop.
    fn read(&self, reader: &mut dyn Reader, place: &mut Place) -> Result<Ended, ReadError> {
        let mut polled = Vec::new();
        let mut heard = Instant::now();
        loop {
            while let Ok(command) = self.commands.try_recv() {
                place.take(command);
                if !place.begun {
                    return Ok(Ended::Stopped);
                }
            }
            if let Some(term) = place.asked {
                let offset = reader.end(&self.topic, EndOf::Stable, END_DEADLINE)?;
                place.asked = None;
                if !self.tell(place.generation, LogNews::End { term, offset }) {
                    return Ok(Ended::Done);
                }
            }
            if self.stop.is_set() {
                return Ok(Ended::Done);
            }
            if heard.elapsed() >= ASK_EVERY {
                // Silence says nothing: there may be nothing to read. Without an answer the driver draws its conclusion.
                let answered = reader.end(&self.topic, EndOf::Stable, CONTACT_DEADLINE).is_ok();
                heard = Instant::now();
                if answered && !self.tell(place.generation, LogNews::Contact) {
                    return Ok(Ended::Done);
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
                    return Ok(Ended::Done);
                }
            }
        }
    }

    /// False when the driver is gone.
    fn tell(&self, generation: u64, what: LogNews) -> bool {
        self.news.send(FromLog { generation, what }).is_ok()
    }
}
