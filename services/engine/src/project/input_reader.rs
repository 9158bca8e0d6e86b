//! The thread that reads and decodes the input topics, ahead of the commit log, into bounded buffers.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mesh_bus::{Bus, EndOf, Polled, ReadError, Reader, ReaderOptions, Record, StartAt};
use mesh_event::Schema;
use mesh_event::codec::BlockDecoder;

use crate::project::message::{FromInputs, InputCommand, InputGauge, InputNews, ReadyBlocks, ReadyRecord, StopFlag};

/// How long a poll waits; a resumed topic waits at most as long.
const POLL_WAIT: Duration = Duration::from_millis(5);
/// Wait after a failure.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// How long the bus may take to say where the topics begin.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// Records taken by one poll.
const POLL_RECORDS_MAX: usize = 512;
/// What a block counts for at least in the limit of bytes read ahead.
const BLOCK_BYTES_MIN: usize = 256;

/// One input topic.
pub struct InputTopic {
    /// The topic.
    pub topic: Arc<str>,
    /// Rows on it.
    pub schema: Arc<Schema>,
    /// What waits of it.
    pub gauge: Arc<InputGauge>,
}

/// What the reader needs.
pub struct InputReader {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Name of the client.
    pub client: String,
    /// The input topics.
    pub topics: Vec<InputTopic>,
    /// Blocks read ahead of each topic at most (`numbufferedmsgs`).
    pub blocks_max: usize,
    /// Bytes read ahead of each topic at most.
    pub bytes_max: usize,
    /// From the driver.
    pub commands: Receiver<InputCommand>,
    /// To the driver.
    pub news: Sender<FromInputs>,
    /// Ends the thread.
    pub stop: StopFlag,
}

/// Blocks of one topic on their way to the driver.
struct Decoding {
    decoder: BlockDecoder,
    /// The record of each block in the decoder.
    records: Vec<ReadyRecord>,
}

impl Decoding {
    fn new(schema: &Arc<Schema>) -> Decoding {
        Decoding { decoder: BlockDecoder::new(schema.clone()), records: Vec::new() }
    }
}

impl InputReader {
    /// Reads until stopped, or until the driver is gone.
    pub fn run(self) {
        let mut command = None;
        while !self.stop.is_set() {
            let Some(next) = command.take().or_else(|| self.commands.recv_timeout(POLL_WAIT).ok()) else { continue };
            let InputCommand::Start { generation, positions } = next else { continue };
            let mut starts = positions;
            // A reading that fails for a while goes on where it stopped, in the same generation.
            let mut started = false;
            loop {
                let result = self.start(&mut starts).and_then(|mut reader| {
                    let positions = starts.clone().unwrap_or_default();
                    if !started && !self.tell(generation, InputNews::Started { positions }) {
                        return Ok(None);
                    }
                    started = true;
                    self.read(reader.as_mut(), generation, starts.as_mut())
                });
                match result {
                    Ok(next) => {
                        command = next;
                        break;
                    }
                    Err(error) => {
                        let gone = matches!(error, ReadError::Gone { .. });
                        if !self.tell(generation, InputNews::Failed(error)) || gone {
                            break;
                        }
                        if let Ok(next) = self.commands.recv_timeout(RETRY_WAIT) {
                            command = Some(next);
                            break;
                        }
                        if self.stop.is_set() {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Opens a reader at these offsets, which are filled in when they are not known yet.
    fn start(&self, starts: &mut Option<Vec<u64>>) -> Result<Box<dyn Reader>, ReadError> {
        if starts.is_none() {
            let oldest = self.topics.iter().map(|input| self.bus.end(&input.topic, EndOf::Oldest, END_DEADLINE));
            *starts = Some(oldest.collect::<Result<_, _>>()?);
        }
        let starts = starts.as_ref().expect("filled in above");
        let from = self.topics.iter().zip(starts).map(|(input, &at)| (input.topic.clone(), StartAt::Offset(at)));
        let client = self.client.clone();
        // One topic has the connection to itself; of several, a busy one must not hold back one that was paused.
        let end_within = if self.topics.len() == 1 { ReaderOptions::PATIENT } else { ReaderOptions::SOON };
        let options = ReaderOptions { client, buffer_bytes_max: self.bytes_max, committed_only: true, end_within };
        self.bus.reader(options, &from.collect::<Vec<_>>())
    }

    /// Reads until a command comes (`Some`), or until the end (`None`).
    fn read(
        &self,
        reader: &mut dyn Reader,
        generation: u64,
        mut next: Option<&mut Vec<u64>>,
    ) -> Result<Option<InputCommand>, ReadError> {
        let mut polled = Vec::new();
        let mut paused = vec![false; self.topics.len()];
        let mut decoding: Vec<Decoding> = self.topics.iter().map(|input| Decoding::new(&input.schema)).collect();
        loop {
            if let Ok(command) = self.commands.try_recv() {
                return Ok(Some(command));
            }
            if self.stop.is_set() {
                return Ok(None);
            }
            for (input, paused) in self.topics.iter().zip(&mut paused) {
                let (blocks, bytes) = input.gauge.waiting();
                let full = blocks >= self.blocks_max || bytes >= self.bytes_max;
                let low = blocks <= self.blocks_max / 2 && bytes <= self.bytes_max / 2;
                if full && !*paused {
                    reader.pause(&input.topic)?;
                    *paused = true;
                } else if low && *paused {
                    reader.resume(&input.topic)?;
                    *paused = false;
                }
            }
            reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut polled)?;
            for item in polled.drain(..) {
                let Polled::Record(record) = item else { continue };
                let Some(input) = self.topics.iter().position(|input| input.topic == record.topic) else { continue };
                if let Some(next) = next.as_deref_mut() {
                    next[input] = record.offset + 1;
                }
                self.decode(generation, &self.topics[input], record, &mut decoding[input]);
                if decoding[input].decoder.is_full() && !self.hand_on(generation, input, &mut decoding[input]) {
                    return Ok(None);
                }
            }
            for (input, decoding) in decoding.iter_mut().enumerate() {
                if !decoding.decoder.is_empty() && !self.hand_on(generation, input, decoding) {
                    return Ok(None);
                }
            }
        }
    }

    /// Gives the driver what was decoded; false when the driver is gone.
    fn hand_on(&self, generation: u64, input: usize, decoding: &mut Decoding) -> bool {
        let records = std::mem::take(&mut decoding.records);
        let blocks = ReadyBlocks { joined: decoding.decoder.finish(), records };
        self.tell(generation, InputNews::Blocks { input: input as u32, blocks })
    }

    fn decode(&self, generation: u64, input: &InputTopic, record: Record, into: &mut Decoding) {
        let Record { offset, payload, headers, .. } = record;
        if let Err(error) = into.decoder.push(&payload) {
            let error = format!(
                "topic `{}` offset {offset}: {error}; the block is skipped on every engine and stays in the topic",
                input.topic
            );
            self.tell(generation, InputNews::BadBlock { error });
            into.decoder.push_empty();
        }
        let traceparent = headers.into_iter().find(|header| header.key == "traceparent").map(|header| header.value);
        let bytes = payload.len().max(BLOCK_BYTES_MIN);
        input.gauge.add(bytes);
        into.records.push(ReadyRecord { offset, traceparent, bytes });
    }

    /// False when the driver is gone.
    fn tell(&self, generation: u64, what: InputNews) -> bool {
        self.news.send(FromInputs { generation, what }).is_ok()
    }
}
