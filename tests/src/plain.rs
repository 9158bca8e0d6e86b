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
    /// Blocks per second now, times 1000.
    millirate: Arc<AtomicU64>,
    acks: Arc<Acks>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl PlainLoad {
    /// Starts at once; each block is sent when it is due.
    pub fn start(bootstrap: &str, topic: &str, payloads: Vec<Bytes>, blocks_per_s: f64) -> Result<PlainLoad> {
        PlainLoad::start_with(bootstrap, topic, move |i| payloads[i % payloads.len()].clone(), blocks_per_s, DEADLINE)
    }

    /// The same with the `i`-th block from a function, and another limit for how long a record may take.
    pub fn start_with(
        bootstrap: &str,
        topic: &str,
        payload: impl Fn(usize) -> Bytes + Send + 'static,
        blocks_per_s: f64,
        deadline: Duration,
    ) -> Result<PlainLoad> {
        let (stop, acks) = (Arc::new(AtomicBool::new(false)), Arc::new(Acks::default()));
        let producer: ThreadedProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "plain-load")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", deadline.as_millis().to_string())
            .create_with_context(Context(acks.clone()))
            .with_context(|| format!("a producer at {bootstrap}"))?;
        let millirate = Arc::new(AtomicU64::new((blocks_per_s * 1000.0) as u64));
        let (stopped, shared, topic, rate) = (stop.clone(), acks.clone(), topic.to_owned(), millirate.clone());
        let thread = std::thread::spawn(move || {
            let mut looked = Instant::now();
            let (mut sent, mut wanted) = (0, 0.0);
            while !stopped.load(Ordering::Acquire) {
                let now = Instant::now();
                wanted += now.duration_since(looked).as_secs_f64() * rate.load(Ordering::Acquire) as f64 / 1000.0;
                looked = now;
                let due = wanted as usize;
                for index in sent..due {
                    shared.times.lock().unwrap_or_else(PoisonError::into_inner).push(None);
                    let payload = payload(index);
                    let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&topic, Box::new(index))
                        .partition(0)
                        .payload(&payload[..]);
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
            producer.flush(deadline).context("awaiting the last acknowledgements")
        });
        Ok(PlainLoad { stop, millirate, acks, thread: Some(thread) })
    }

    /// Goes on at another rate.
    pub fn set_rate(&self, blocks_per_s: f64) {
        self.millirate.store((blocks_per_s * 1000.0) as u64, Ordering::Release);
    }

    /// Longest time without any acknowledgement since an instant, in milliseconds: what Kafka itself costs.
    pub fn longest_silence_ms(&self, since: Instant) -> f64 {
        let times = self.acks.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late: Vec<Instant> = times.iter().rev().flatten().copied().take_while(|&at| at >= since).collect();
        late.extend([since, Instant::now()]);
        late.sort();
        late.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64() * 1000.0).fold(0.0, f64::max)
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
