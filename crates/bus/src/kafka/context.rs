//! What librdkafka tells us beside its answers: log lines (few of them kept), the last error, the ends it reaches.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most this many log lines of one client ...
const LINES_MAX: u32 = 5;
/// ... in this time; a broker that is down must not flood the log.
const LINES_WINDOW: Duration = Duration::from_secs(30);

struct Window {
    opened: Instant,
    lines: u32,
    suppressed: u64,
}

/// Receives what a client says. Shared by all kinds of clients.
pub(super) struct Context {
    client: String,
    window: Mutex<Window>,
    last_error: Mutex<String>,
    /// Offset in the last "reached end of partition", -1 when there was none.
    end: AtomicI64,
}

impl Context {
    pub(super) fn new(client: &str) -> Self {
        Self {
            client: client.to_owned(),
            window: Mutex::new(Window { opened: Instant::now(), lines: 0, suppressed: 0 }),
            last_error: Mutex::default(),
            end: AtomicI64::new(-1),
        }
    }

    /// The last thing that went wrong, e.g. a refused connection, as ` (...)` to be appended, or nothing.
    pub(super) fn last_error(&self) -> String {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() { String::new() } else { format!(" ({last})") }
    }

    /// Offset at which librdkafka last reached an end. rdkafka's PartitionEOF leaves it out, but calls
    /// `ClientContext::error` with the text right before returning it, on the same thread.
    pub(super) fn take_end(&self) -> Option<u64> {
        u64::try_from(self.end.swap(-1, Ordering::Relaxed)).ok()
    }

    /// True when the line may be written; also tells how many were not, once per window.
    fn admit(&self) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.opened.elapsed() >= LINES_WINDOW {
            if window.suppressed > 0 {
                tracing::info!(client = %self.client, suppressed = window.suppressed, "more log lines of librdkafka left out");
            }
            *window = Window { opened: Instant::now(), lines: 0, suppressed: 0 };
        }
        window.lines += 1;
        let admitted = window.lines <= LINES_MAX;
        window.suppressed += u64::from(!admitted);
        admitted
    }
}

/// The offset in `Fetch from broker 1 reached end of partition at offset 123 (HighwaterMark 125)`.
fn end_offset(reason: &str) -> Option<i64> {
    let (_, rest) = reason.split_once("reached end of partition at offset ")?;
    rest.split(' ').next()?.parse().ok()
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if matches!(level, RDKafkaLogLevel::Debug) {
            // Only there when the user has set `debug`, which is meant to be much.
            tracing::debug!(client = %self.client, facility, "{line}");
        } else if self.admit() {
            match level {
                RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                    tracing::info!(client = %self.client, facility, "{line}");
                }
                _ => tracing::warn!(client = %self.client, facility, "{line}"),
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            self.end.store(end_offset(reason).unwrap_or(-1), Ordering::Relaxed);
            return;
        }
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone_into(&mut last);
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_the_text_of_the_bundled_librdkafka() {
        let text = "Fetch from broker 1 reached end of partition at offset 123 (HighwaterMark 125)";
        assert_eq!(end_offset(text), Some(123));
        assert_eq!(end_offset("Broker: No more messages"), None);
    }

    #[test]
    fn a_broker_that_is_down_does_not_flood_the_log() {
        let context = Context::new("test");
        let admitted = (0..1000).filter(|_| context.admit()).count();
        assert_eq!(admitted, LINES_MAX as usize);
    }
}
