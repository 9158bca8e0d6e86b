//! Whether an engine reaches its bus.
//!
//! A leader without input commits nothing, so no failed commit tells it that it is cut off; nor does a reader that gets
//! nothing. So the reader of the log asks the bus for the log's end now and then, and who gets no answer for a while says
//! to the election that it is not fit to lead: a leader is replaced then, and a standby is not granted a term that it
//! could not use.

use std::time::Duration;

/// The bus is asked after this time without a sign of it.
pub const ASK_EVERY: Duration = Duration::from_millis(100);
/// Without a sign of the bus for this long an engine counts as cut off: three questions without an answer. Below a hang
/// (400 ms), since with what the election waits it is all of the time that the output stands still.
pub const CUT_OFF_AFTER: Duration = Duration::from_millis(300);

/// When the bus was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusContact {
    heard: Duration,
}

impl BusContact {
    /// The process has begun now (monotonic time).
    pub fn new(now: Duration) -> BusContact {
        BusContact { heard: now }
    }

    /// The bus has answered something: a record, an end, a fence, a commit.
    pub fn heard(&mut self, now: Duration) {
        self.heard = self.heard.max(now);
    }

    /// True when the bus has been silent for too long.
    pub fn is_lost(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) >= CUT_OFF_AFTER && !planted!(ContactNotWatched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_last_sign() {
        let at = Duration::from_millis;
        let mut contact = BusContact::new(at(100));
        assert!(!contact.is_lost(at(399)));
        assert!(contact.is_lost(at(400)));
        contact.heard(at(400));
        contact.heard(at(350)); // an answer that was looked at late
        assert!(!contact.is_lost(at(699)));
        assert!(contact.is_lost(at(700)));
    }
}
