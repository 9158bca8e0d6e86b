//! Counts what the broker has not acknowledged yet: no future per record, one wake-up when the last one is in.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::context::Context;

/// The first delivery that failed in a transaction.
#[derive(Debug, Clone)]
pub(super) struct FailedDelivery {
    pub(super) code: Option<RDKafkaErrorCode>,
    pub(super) text: String,
}

#[derive(Default)]
pub(super) struct Deliveries {
    outstanding: AtomicU64,
    has_failed: AtomicBool,
    failed: Mutex<Option<FailedDelivery>>,
    done: Condvar,
}

impl Deliveries {
    /// Before a record is handed over.
    pub(super) fn add(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// When the record was not taken after all, or is delivered.
    pub(super) fn remove(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            // With the lock, so that a waiter between its look and its wait does not miss it.
            drop(self.failed.lock().unwrap_or_else(PoisonError::into_inner));
            self.done.notify_all();
        }
    }

    /// Waits until nothing is outstanding; false when the time is up.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let mut guard = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        while self.outstanding.load(Ordering::Acquire) != 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = self.done.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The transaction's first failure.
    pub(super) fn failure(&self) -> Option<FailedDelivery> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets failures: a new transaction begins.
    pub(super) fn reset(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.has_failed.store(false, Ordering::Release);
    }

    fn fail(&self, error: &KafkaError, topic: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let purged =
            matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight));
        // Purged records are a consequence, never the cause.
        if failed.is_none() && !purged {
            *failed = Some(FailedDelivery {
                code: error.rdkafka_error_code(),
                text: format!("topic `{topic}`: {}", text_of(error)),
            });
            self.has_failed.store(true, Ordering::Release);
        }
    }
}

/// What the library says, without its name for the kind of call.
pub(super) fn text_of(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        error => error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string()),
    }
}

/// The producer's context.
pub(super) struct WriterContext {
    pub(super) context: Arc<Context>,
    pub(super) deliveries: Arc<Deliveries>,
}

impl ClientContext for WriterContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.context.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for WriterContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.deliveries.fail(error, message.topic());
        }
        self.deliveries.remove();
    }
}
