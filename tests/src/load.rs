//! Blocks published straight to an input topic: at a rate, or as a backlog.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use mesh_bus::{Bus, Header, OutRecord};
use mesh_event::Schema;
use mesh_event::codec::{BlockHeader, encode_block};
use mesh_event::csv::{CsvDecoder, CsvOptions};

use crate::mesh::{Mesh, root};

const DEADLINE: Duration = Duration::from_secs(30);

/// The weather observations as CSV text, with their title line.
pub fn weather_csv() -> Result<Vec<u8>> {
    let path = root().join("examples/weather/weather.csv.gz");
    let file = std::fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text)?;
    Ok(text)
}

/// The weather observations as encoded blocks of this many events.
pub fn weather_payloads(schema: &Arc<Schema>, events: usize) -> Result<Vec<Bytes>> {
    let options = CsvOptions {
        header_lines: 1,
        add_opcode: true,
        add_flags: Some(mesh_event::Flags::NORMAL),
        no_autogen_field: true,
        na_is_null: true,
        date_format: Some("%Y-%m-%dT%H:%M:%SZ".to_owned()),
        file: "weather.csv".to_owned(),
        ..CsvOptions::default()
    };
    let mut decoder = CsvDecoder::new(schema.clone(), options)?;
    let text = weather_csv()?;
    let mut payloads = Vec::new();
    let mut at = 0;
    loop {
        let progress =
            decoder.decode(&text[at..], true, events, usize::MAX, &mut |block: mesh_event::csv::CsvBlock| {
                payloads.push(encode_block(&block.block, &BlockHeader::default()));
            })?;
        at += progress.consumed;
        if !progress.more {
            return Ok(payloads);
        }
    }
}

/// Which blocks of a load belong to a trace, as a publisher adapter with this share would decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traced {
    /// None.
    Nothing,
    /// One in so many.
    OneIn(usize),
}

impl Traced {
    /// The headers of a block: a trace and a span of its own.
    fn headers(self, block: usize) -> Vec<Header> {
        match self {
            Traced::OneIn(n) if block.is_multiple_of(n) => {
                let id = block as u64 + 1;
                let value = format!("00-{id:032x}-{id:016x}-01").into();
                vec![Header { key: "traceparent", value }]
            }
            Traced::OneIn(_) | Traced::Nothing => Vec::new(),
        }
    }
}

/// Publishes payloads as fast as it can, `per_transaction` at a time.
pub fn publish_all(
    bus: &dyn Bus,
    topic: &str,
    payloads: impl Iterator<Item = Bytes>,
    per_transaction: usize,
) -> Result<u64> {
    publish_traced(bus, topic, payloads, per_transaction, Traced::Nothing)
}

/// The same, some of them traced.
pub fn publish_traced(
    bus: &dyn Bus,
    topic: &str,
    payloads: impl Iterator<Item = Bytes>,
    per_transaction: usize,
    traced: Traced,
) -> Result<u64> {
    let topic: Arc<str> = Arc::from(topic);
    let mut writer = bus.writer(Mesh::writer_options(&format!("{topic}.load")), DEADLINE)?;
    writer.fence(DEADLINE)?;
    let mut payloads = payloads.peekable();
    let mut count = 0;
    while payloads.peek().is_some() {
        writer.begin(DEADLINE)?;
        for payload in payloads.by_ref().take(per_transaction) {
            let headers = traced.headers(count);
            writer.send(OutRecord { topic: topic.clone(), key: None, headers, payload }, DEADLINE)?;
            count += 1;
        }
        writer.commit(DEADLINE)?;
    }
    Ok(count as u64)
}

/// A load that goes on until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<Vec<Instant>>>>,
}

impl Load {
    /// Publishes blocks at a rate, round and round; each transaction takes what is due.
    pub fn start(bus: Arc<dyn Bus>, topic: &str, payloads: Vec<Bytes>, blocks_per_s: f64) -> Load {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, topic) = (stop.clone(), sent.clone(), Arc::<str>::from(topic));
        let thread = std::thread::spawn(move || {
            let mut writer = bus.writer(Mesh::writer_options(&format!("{topic}.load")), DEADLINE)?;
            writer.fence(DEADLINE)?;
            let began = Instant::now();
            let mut committed = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                let due = (began.elapsed().as_secs_f64() * blocks_per_s) as usize;
                if due == committed.len() {
                    std::thread::park_timeout(Duration::from_secs_f64((1.0 / blocks_per_s).min(0.01)));
                    continue;
                }
                let batch = committed.len()..due;
                // A broker that goes away aborts a transaction now and then: the same blocks are sent again.
                loop {
                    writer.begin(DEADLINE)?;
                    let result = batch.clone().try_for_each(|i| {
                        let payload = payloads[i % payloads.len()].clone();
                        let record = OutRecord { topic: topic.clone(), key: None, headers: Vec::new(), payload };
                        writer.send(record, DEADLINE)
                    });
                    match result.and_then(|()| writer.commit(DEADLINE)) {
                        Ok(()) => break,
                        Err(mesh_bus::WriteError::Aborted { .. }) => writer.abort(DEADLINE)?,
                        Err(error) => return Err(error.into()),
                    }
                }
                let now = Instant::now();
                committed.extend(batch.map(|_| now));
                counted.store(committed.len() as u64, Ordering::Release);
            }
            Ok(committed)
        });
        Load { stop, sent, thread: Some(thread) }
    }

    /// Blocks committed so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Stops; returns when each block was committed.
    pub fn stop(mut self) -> Result<Vec<Instant>> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().expect("stopped once");
        thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
