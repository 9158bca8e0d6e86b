//! What an error of librdkafka's transactions obliges to.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::deliveries::text_of;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another producer of the id exists. The client is dead.
    Fenced,
    /// Abort, then begin again.
    MustAbort(String),
    /// Make the same call again.
    Retry(String),
    /// The client is of no more use.
    Dead(String),
}

/// `fatal`: what `fatal_error` of the client says, which outlives the first answer.
pub(super) fn judge(error: &KafkaError, fatal: Option<(RDKafkaErrorCode, String)>) -> Verdict {
    let text = text_of(error);
    if let Some((code, reason)) = fatal {
        return if fenced(code) { Verdict::Fenced } else { Verdict::Dead(reason) };
    }
    match error {
        KafkaError::Transaction(error) if fenced(error.code()) => Verdict::Fenced,
        KafkaError::Transaction(error) if error.is_fatal() => Verdict::Dead(text),
        KafkaError::Transaction(error) if error.txn_requires_abort() => Verdict::MustAbort(text),
        KafkaError::Transaction(error) if error.is_retriable() => Verdict::Retry(text),
        // commit_transaction flushes first; what is not out yet may be at the next attempt.
        KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => Verdict::Retry(text),
        // None of the three: librdkafka's documentation says to treat it as fatal.
        _ => Verdict::Dead(text),
    }
}

/// The codes that mean "a newer producer of this transactional id exists".
pub(super) fn fenced(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}
