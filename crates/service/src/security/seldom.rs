//! What strangers can cause any number of times is not told every time: they cannot fill the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One line in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Says whether something may be told again.
#[derive(Debug)]
pub(super) struct Seldom {
    since: Instant,
    next_ms: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Seldom { since: Instant::now(), next_ms: AtomicU64::new(0) }
    }
}

impl Seldom {
    /// True at most once in a second.
    pub(super) fn due(&self) -> bool {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = now.saturating_add(TELL_EVERY.as_millis() as u64);
        let told = self.next_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| (now >= due).then_some(next));
        told.is_ok()
    }
}
