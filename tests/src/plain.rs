//! A load as a stranger publishes it: Kafka's idempotent producer, no transactions, nothing of ours.
//!
//! The measurements use it, so that they time the engine's transactions beside nobody else's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

/// How long a record may take to be acknowledged.
const DEADLINE: Duration = Duration::from_secs(30);

/// When each record was acknowledged, in the order of sending.
#[derive(Default)]
struct Acks {
    times: Mutex<Vec<Option<Instant>>>,
    count: AtomicU64,
    failed: Mutex<Option<String>>,
}

struct Context(Arc<Acks>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        match result {
            Ok(_) => {
                let mut times = self.0.times.lock().unwrap_or_else(PoisonError::into_inner);
                times[*index] = Some(Instant::now());
                self.0.count.fetch_add(1, Ordering::AcqRel);
            }
            Err((error, _)) => {
                self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
            }
        }
    }
}

/// Publishes blocks at a rate, round and round, until it is stopped.
pub struct PlainLoad {
    stop: Arc<AtomicBool>,
    acks: Arc<Acks>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl PlainLoad {
    /// Starts at once; each block is sent when it is due.
    pub fn start(bootstrap: &str, topic: &str, payloads: Vec<Bytes>, blocks_per_s: f64) -> Result<PlainLoad> {
        let (stop, acks) = (Arc::new(AtomicBool::new(false)), Arc::new(Acks::default()));
        let producer: ThreadedProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "plain-load")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", DEADLINE.as_millis().to_string())
            .create_with_context(Context(acks.clone()))
            .with_context(|| format!("a producer at {bootstrap}"))?;
        let (stopped, shared, topic) = (stop.clone(), acks.clone(), topic.to_owned());
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut sent = 0;
            while !stopped.load(Ordering::Acquire) {
                let due = (began.elapsed().as_secs_f64() * blocks_per_s) as usize;
                for index in sent..due {
                    shared.times.lock().unwrap_or_else(PoisonError::into_inner).push(None);
                    let payload = &payloads[index % payloads.len()][..];
                    let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&topic, Box::new(index))
                        .partition(0)
                        .payload(payload);
                    while let Err((error, back)) = producer.send(record) {
                        let full = error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::QueueFull);
                        if !full || stopped.load(Ordering::Acquire) {
                            return Err(error.into());
                        }
                        record = back;
                        std::thread::park_timeout(Duration::from_millis(1));
                    }
                }
                sent = due.max(sent);
                std::thread::park_timeout(Duration::from_micros(500));
            }
            producer.flush(DEADLINE).context("awaiting the last acknowledgements")
        });
        Ok(PlainLoad { stop, acks, thread: Some(thread) })
    }

    /// Blocks acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acks.count.load(Ordering::Acquire)
    }

    /// Stops; returns when each block was acknowledged.
    pub fn stop(mut self) -> Result<Vec<Instant>> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().expect("stopped once");
        thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        if let Some(error) = self.acks.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bail!("a block of the load was not taken: {error}");
        }
        let times = self.acks.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.iter().copied().collect::<Option<Vec<_>>>().context("every block is acknowledged after a flush")
    }
}

impl Drop for PlainLoad {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
