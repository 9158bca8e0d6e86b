//! A reader of an output topic that nobody restarts: what any read_committed consumer of the user sees.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use mesh_bus::{Bus, Polled, ReaderOptions, StartAt};
use mesh_event::codec::decode_header;

/// A record as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Kafka offset.
    pub offset: u64,
    /// Term of its writer.
    pub term: u64,
    /// Sequence in the topic.
    pub sequence: u64,
    /// Offset of the input block that caused it.
    pub message_id: u64,
    /// Kafka's timestamp, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// When the reader had it.
    pub at: Instant,
    /// Content; dropped when the watch keeps only the places.
    pub payload: Bytes,
}

/// The silence around a change of term.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// New term.
    pub term: u64,
    /// By Kafka's timestamps, last record of the old term to first of the new one, milliseconds.
    pub kafka_ms: i64,
    /// By the reader's clock, milliseconds.
    pub wall_ms: f64,
}

/// Reads until dropped.
pub struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Watch {
    /// Starts to read a topic from its beginning. With `keep` false, payloads are dropped.
    pub fn start(bus: Arc<dyn Bus>, topic: &str, keep: bool) -> Watch {
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, stopped, topic) = (seen.clone(), stop.clone(), Arc::<str>::from(topic));
        let thread = std::thread::spawn(move || {
            let options = ReaderOptions {
                client: "watch".into(),
                buffer_bytes_max: 32 << 20,
                committed_only: true,
                end_within: ReaderOptions::PATIENT,
            };
            let mut reader = bus.reader(options, &[(topic, StartAt::Oldest)])?;
            let mut polled = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                // A broker that goes away is not the end: the reader finds the next one by itself.
                if let Err(error) = reader.poll(Duration::from_millis(20), 4096, &mut polled) {
                    eprintln!("watch: {error}");
                }
                let at = Instant::now();
                let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                for item in polled.drain(..) {
                    let Polled::Record(record) = item else { continue };
                    let header = decode_header(&record.payload)?;
                    let term = record.headers.iter().find(|header| header.key == "term");
                    let term = term.and_then(|header| std::str::from_utf8(&header.value).ok()?.parse().ok());
                    into.push(Seen {
                        offset: record.offset,
                        term: term.ok_or_else(|| anyhow!("offset {} has no term", record.offset))?,
                        sequence: header.sequence,
                        message_id: header.message_id,
                        timestamp_ms: record.timestamp_ms,
                        at,
                        payload: if keep { record.payload } else { Bytes::new() },
                    });
                }
            }
            Ok(())
        });
        Watch { seen, stop, thread: Some(thread) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records were seen.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The last record seen.
    pub fn last(&self) -> Option<Seen> {
        self.lock().last().cloned()
    }

    /// The first record of a term, once it is there.
    pub fn first_of(&self, term: u64) -> Option<Seen> {
        self.lock().iter().rev().take_while(|seen| seen.term >= term).filter(|seen| seen.term == term).last().cloned()
    }

    /// Records so far.
    pub fn records(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// Records from a place on.
    pub fn records_from(&self, place: usize) -> Vec<Seen> {
        self.lock().get(place..).unwrap_or_default().to_vec()
    }

    /// Drops the payloads of the records before a place; the places stay.
    pub fn forget_payloads(&self, before: usize) {
        // What lies further back was dropped by an earlier call.
        self.lock().iter_mut().take(before).rev().take_while(|seen| !seen.payload.is_empty()).for_each(|seen| {
            seen.payload = Bytes::new();
        });
    }

    /// The gap of every change of term.
    pub fn gaps(&self) -> Vec<Gap> {
        let seen = self.lock();
        let pairs = seen.windows(2).filter(|pair| pair[0].term != pair[1].term);
        pairs
            .map(|pair| Gap {
                term: pair[1].term,
                kafka_ms: pair[1].timestamp_ms - pair[0].timestamp_ms,
                wall_ms: pair[1].at.duration_since(pair[0].at).as_secs_f64() * 1000.0,
            })
            .collect()
    }

    /// Longest silence that ended after an instant, milliseconds.
    pub fn longest_silence_since_ms(&self, since: Instant) -> f64 {
        let seen = self.lock();
        let late = seen.partition_point(|record| record.at < since).saturating_sub(1);
        let pairs = seen[late..].windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64() * 1000.0);
        pairs.fold(0.0, f64::max)
    }

    /// Longest silence between two records, milliseconds.
    pub fn longest_silence_ms(&self) -> f64 {
        let seen = self.lock();
        let pairs = seen.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64() * 1000.0);
        pairs.fold(0.0, f64::max)
    }

    /// Lost, doubled and reordered records by their sequences.
    pub fn faults(&self) -> Faults {
        let seen = self.lock();
        let mut faults = Faults::default();
        let mut next = 1;
        for record in seen.iter() {
            if record.sequence == next {
                next += 1;
            } else if record.sequence > next {
                faults.lost += record.sequence - next;
                next = record.sequence + 1;
            } else if seen.iter().filter(|other| other.sequence == record.sequence).count() > 1 {
                faults.doubled += 1;
            } else {
                faults.reordered += 1;
                faults.lost = faults.lost.saturating_sub(1);
            }
        }
        faults
    }
}

/// What went wrong with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Blocks that never came.
    pub lost: u64,
    /// Blocks that came twice.
    pub doubled: u64,
    /// Blocks that came late.
    pub reordered: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && let Ok(Err(error)) = thread.join()
        {
            eprintln!("watch: {error:#}");
        }
    }
}
