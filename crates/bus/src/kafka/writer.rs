//! A writer: librdkafka's transactional producer, its hidden pauses avoided.
//!
//! - The producer polls on a thread of its own ([`ThreadedProducer`]), since rdkafka's own flush polls in slices of
//!   100 ms that nothing cuts short. Hence: all deliveries are awaited, then `in_flight_count() == 0`, then commit.
//! - A commit that has returned is not complete. [`Writer::settle`] asks the coordinator until it is; beginning
//!   earlier would cost 20 ms or more.
//! - The fence goes over the plain connection ([`Coordinator`]), since librdkafka waits 500 ms when it is refused.

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::Context;
use super::coordinator::{Completion, Coordinator};
use super::deliveries::{Deliveries, WriterContext, text_of};
use super::triage::{Verdict, fenced, judge};
use crate::{Fenced, OutRecord, WriteError, Writer};

/// Pause while the client's buffer is full, and between questions of [`Writer::settle`].
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not fenced in yet.
    Opened,
    /// No transaction.
    Ready,
    /// A transaction; whether a record was sent.
    Open { sent: bool },
    /// The transaction can only be aborted.
    MustAbort,
    /// Fenced by another writer.
    Fenced,
    /// The client is of no more use.
    Dead,
    /// The outcome of a commit is unknown.
    Unknown,
}

/// The plain connection, or why there is none.
pub(super) type Plain = Result<Arc<Mutex<Coordinator>>, String>;

pub(super) struct KafkaWriter {
    /// `None` only while dropping.
    producer: Option<ThreadedProducer<WriterContext>>,
    context: Arc<Context>,
    deliveries: Arc<Deliveries>,
    plain: Plain,
    transactional_id: String,
    /// For messages: `as `id` on kafka at ...`.
    place: String,
    phase: Phase,
    /// The last transaction may not be complete at the coordinator.
    pending: bool,
}

impl KafkaWriter {
    pub(super) fn open(
        config: &ClientConfig,
        plain: Plain,
        (client, transactional_id, bus): (&str, &str, &str),
        deadline: Duration,
    ) -> Result<Self, WriteError> {
        let until = Instant::now() + deadline;
        let place = format!("as `{transactional_id}` on {bus}");
        let attempted = format!("opening a writer {place}");
        let (context, deliveries) = (Arc::new(Context::new(client)), Arc::new(Deliveries::default()));
        let unavailable = |error: &KafkaError| WriteError::Unavailable {
            attempted: attempted.clone(),
            reason: format!("{}{}", text_of(error), context.last_error()),
        };
        let producer: ThreadedProducer<WriterContext> = config
            .create_with_context(WriterContext { context: Arc::clone(&context), deliveries: Arc::clone(&deliveries) })
            .map_err(|error| unavailable(&error))?;
        // All topics: the first record of a takeover must not wait for its topic's metadata.
        producer.client().fetch_metadata(None, deadline).map_err(|error| unavailable(&error))?;
        if let Ok(coordinator) = &plain {
            let mut coordinator = coordinator.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = coordinator.connect(until) {
                // Not the end: the fence tries again, and falls back to librdkafka alone.
                tracing::warn!(%error, place, "the plain connection for the fast fence did not open");
            }
        }
        Ok(Self {
            producer: Some(producer),
            context,
            deliveries,
            plain,
            transactional_id: transactional_id.to_owned(),
            place,
            phase: Phase::Opened,
            pending: false,
        })
    }

    fn producer(&self) -> &ThreadedProducer<WriterContext> {
        self.producer.as_ref().expect("taken only by drop")
    }

    fn attempted(&self, what: &str) -> String {
        format!("{what} {}", self.place)
    }

    fn unavailable(&self, what: &str, reason: impl Into<String>) -> WriteError {
        WriteError::Unavailable { attempted: self.attempted(what), reason: reason.into() }
    }

    fn fenced(&mut self, what: &str) -> WriteError {
        self.phase = Phase::Fenced;
        WriteError::Fenced { attempted: self.attempted(what), transactional_id: self.transactional_id.clone() }
    }

    fn must_abort(&mut self, what: &str, reason: String) -> WriteError {
        self.phase = Phase::MustAbort;
        WriteError::Aborted { attempted: self.attempted(what), reason }
    }

    fn dead(&mut self, what: &str, reason: String) -> WriteError {
        self.phase = Phase::Dead;
        let reason = format!("{reason}{}", self.context.last_error());
        self.unavailable(what, reason)
    }

    /// The answer to a call that this phase does not allow.
    fn wrong_phase(&mut self, what: &str) -> WriteError {
        match self.phase {
            Phase::Fenced => self.fenced(what),
            Phase::MustAbort => self.must_abort(what, "an earlier record of the transaction was refused".to_owned()),
            Phase::Opened => self.unavailable(what, "the writer was not fenced in"),
            Phase::Ready => self.unavailable(what, "no transaction is open, or the writer is fenced in already"),
            Phase::Open { .. } => self.unavailable(what, "a transaction is open"),
            Phase::Dead => self.unavailable(what, "the client failed for good: make a new writer"),
            Phase::Unknown => self.unavailable(what, "the outcome of the last commit is unknown: make a new writer"),
        }
    }

    fn judge(&self, error: &KafkaError) -> Verdict {
        judge(error, self.producer().client().fatal_error())
    }

    /// The failure of a record of the open transaction, if there is one.
    fn failed_delivery(&mut self, what: &str) -> Result<(), WriteError> {
        if let Some(failed) = self.deliveries.failure() {
            let fatal = self.producer().client().fatal_error().map(|(code, _)| code);
            if [fatal, failed.code].into_iter().flatten().any(fenced) {
                return Err(self.fenced(what));
            }
            return Err(self.must_abort(what, failed.text));
        }
        Ok(())
    }

    /// Makes `call` until it does not ask to be made again. `Err(None)`: the time is up; `Err(Some(..))`: refused.
    fn insist(
        &self,
        until: Instant,
        call: impl Fn(&ThreadedProducer<WriterContext>, Duration) -> Result<(), KafkaError>,
    ) -> Result<(), (Verdict, bool)> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // librdkafka counts milliseconds; 0 would not even try.
            match call(self.producer(), left.max(PAUSE)) {
                Ok(()) => return Ok(()),
                Err(error) => match self.judge(&error) {
                    Verdict::Retry(reason) if Instant::now() + PAUSE >= until => {
                        return Err((Verdict::Dead(reason), true));
                    }
                    Verdict::Retry(_) => std::thread::sleep(PAUSE),
                    verdict => return Err((verdict, false)),
                },
            }
        }
    }

    /// True while transactions can begin, after the one that may be open.
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Open { .. } | Phase::MustAbort)
    }

    /// Fences whoever has this id, without being able to write: aborts what is open and takes a few milliseconds.
    /// `Some(why)`: there is no fast fence.
    pub(super) fn shut(&mut self, deadline: Duration) -> Option<String> {
        self.fence_plainly(Instant::now() + deadline)
    }

    /// Asks the coordinator once about the last transaction, which makes it go on with it.
    pub(super) fn nudge(&mut self, deadline: Duration) {
        if self.pending
            && let Ok(coordinator) = &self.plain
        {
            let mut coordinator = coordinator.lock().unwrap_or_else(PoisonError::into_inner);
            self.pending = !matches!(coordinator.completion(Instant::now() + deadline), Ok(Completion::Complete));
        }
    }

    /// The fast fence. `Some(why)`: it did not work, librdkafka has to do it alone.
    fn fence_plainly(&mut self, until: Instant) -> Option<String> {
        let coordinator = match &self.plain {
            Ok(coordinator) => coordinator,
            Err(refused) => return Some(refused.clone()),
        };
        let mut coordinator = coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        coordinator.fence(until).err().map(|error| error.to_string())
    }

    fn convert(record: &OutRecord) -> Option<OwnedHeaders> {
        (!record.headers.is_empty()).then(|| {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            record.headers.iter().fold(headers, |headers, header| {
                headers.insert(KafkaHeader { key: header.key, value: Some(&header.value[..]) })
            })
        })
    }
}

impl Writer for KafkaWriter {
    fn fence(&mut self, deadline: Duration) -> Result<Fenced, WriteError> {
        const WHAT: &str = "fencing in";
        if self.phase != Phase::Opened {
            return Err(self.wrong_phase(WHAT));
        }
        let start = Instant::now();
        // Half of the time: librdkafka needs up to a second when it has to do it alone.
        let fallback = self.fence_plainly(start + deadline / 2);
        if let Some(reason) = &fallback {
            tracing::warn!(reason, place = self.place, "no fast fence: librdkafka alone, half a second slower");
        }
        match self.insist(start + deadline, |producer, left| producer.init_transactions(left)) {
            Ok(()) => {
                self.phase = Phase::Ready;
                Ok(Fenced { fallback })
            }
            Err((Verdict::Fenced, _)) => Err(self.fenced(WHAT)),
            // Timed out: the call may be made again.
            Err((Verdict::Dead(reason), true)) => {
                Err(self.unavailable(WHAT, format!("{reason}{}", self.context.last_error())))
            }
            Err((Verdict::Dead(reason) | Verdict::MustAbort(reason) | Verdict::Retry(reason), _)) => {
                Err(self.dead(WHAT, reason))
            }
        }
    }

    fn begin(&mut self, deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "beginning a transaction";
        if self.phase != Phase::Ready {
            return Err(self.wrong_phase(WHAT));
        }
        // If the coordinator cannot be asked, librdkafka waits by itself, only longer.
        self.settle(deadline)?;
        self.deliveries.reset();
        let begun = self.producer().begin_transaction();
        match begun.map_err(|error| self.judge(&error)) {
            Ok(()) => {
                self.phase = Phase::Open { sent: false };
                Ok(())
            }
            Err(Verdict::Fenced) => Err(self.fenced(WHAT)),
            Err(Verdict::Dead(reason) | Verdict::MustAbort(reason) | Verdict::Retry(reason)) => {
                Err(self.dead(WHAT, reason))
            }
        }
    }

    fn send(&mut self, record: OutRecord, deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "sending";
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(self.wrong_phase(WHAT));
        }
        self.failed_delivery(WHAT)?;
        let mut out = BaseRecord::<[u8], [u8]>::to(&record.topic).partition(0).payload(&record.payload[..]);
        out.key = record.key.as_deref();
        out.headers = Self::convert(&record);
        let mut until = None;
        loop {
            self.deliveries.add();
            let refused = match self.producer().send(out) {
                Ok(()) => {
                    self.phase = Phase::Open { sent: true };
                    return Ok(());
                }
                Err((error, back)) => {
                    self.deliveries.remove();
                    out = back;
                    error
                }
            };
            if refused.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                self.failed_delivery(WHAT)?;
                return Err(match self.judge(&refused) {
                    Verdict::Fenced => self.fenced(WHAT),
                    // Refused by this client before it went anywhere, e.g. too long: the transaction cannot be whole.
                    Verdict::Dead(reason) | Verdict::MustAbort(reason) | Verdict::Retry(reason) => {
                        self.must_abort(WHAT, format!("topic `{}`: {reason}", record.topic))
                    }
                });
            }
            if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + deadline) {
                let last = self.context.last_error();
                return Err(self.unavailable(WHAT, format!("the client's buffer stayed full for {deadline:?}{last}")));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "committing";
        let Phase::Open { sent } = self.phase else {
            return Err(self.wrong_phase(WHAT));
        };
        let start = Instant::now();
        let until = start + deadline;
        if !self.deliveries.wait(until) {
            // The end of the transaction was never asked for, so this outcome is known.
            return Err(self.dead(WHAT, format!("records were not acknowledged within {deadline:?}")));
        }
        self.failed_delivery(WHAT)?;
        // A delivery is counted here a moment before librdkafka counts it, and then its flush would wait 100 ms.
        while self.producer().in_flight_count() > 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        match self.insist(until, |producer, left| producer.commit_transaction(left)) {
            Ok(()) => {
                self.phase = Phase::Ready;
                self.pending = sent;
                Ok(())
            }
            Err((Verdict::Fenced, _)) => Err(self.fenced(WHAT)),
            Err((Verdict::MustAbort(reason), _)) => Err(self.must_abort(WHAT, reason)),
            Err((Verdict::Dead(reason) | Verdict::Retry(reason), _)) => {
                self.phase = Phase::Unknown;
                Err(WriteError::Unknown {
                    attempted: self.attempted(WHAT),
                    waited: start.elapsed(),
                    reason: format!("{reason}{}", self.context.last_error()),
                })
            }
        }
    }

    fn abort(&mut self, deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "aborting";
        if !matches!(self.phase, Phase::Open { .. } | Phase::MustAbort) {
            return Err(self.wrong_phase(WHAT));
        }
        match self.insist(Instant::now() + deadline, |producer, left| producer.abort_transaction(left)) {
            Ok(()) => {
                self.phase = Phase::Ready;
                self.pending = true;
                Ok(())
            }
            Err((Verdict::Fenced, _)) => Err(self.fenced(WHAT)),
            Err((Verdict::Dead(reason) | Verdict::MustAbort(reason) | Verdict::Retry(reason), _)) => {
                Err(self.dead(WHAT, reason))
            }
        }
    }

    fn settle(&mut self, deadline: Duration) -> Result<bool, WriteError> {
        if matches!(self.phase, Phase::Opened | Phase::Fenced | Phase::Dead | Phase::Unknown) {
            return Err(self.wrong_phase("settling"));
        }
        let Ok(coordinator) = &self.plain else {
            // Nobody to ask: librdkafka waits by itself when the next transaction begins.
            return Ok(true);
        };
        let until = Instant::now() + deadline;
        while self.pending {
            let mut coordinator = coordinator.lock().unwrap_or_else(PoisonError::into_inner);
            match coordinator.completion(until) {
                Ok(Completion::Complete) => self.pending = false,
                Ok(Completion::Pending) if Instant::now() + PAUSE >= until => return Ok(false),
                Ok(Completion::Pending) => {
                    drop(coordinator);
                    std::thread::sleep(PAUSE);
                }
                Err(error) => {
                    tracing::debug!(%error, place = self.place, "could not ask whether the transaction is complete");
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        // Destroying a producer joins its threads, up to 600 ms: not on the thread that has to go on. A transaction
        // that is open stays open at the broker until the next fence, or its timeout.
        let producer = self.producer.take();
        let closer = std::thread::Builder::new().name("bus-closer".to_owned());
        if let Err(error) = closer.spawn(move || drop(producer)) {
            tracing::warn!(%error, "a producer had to be closed in place");
        }
    }
}
