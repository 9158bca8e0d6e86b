//! Signs of life of one candidate, and when their absence means something.

use std::time::Duration;

/// The limit adapts upwards to this many times the usual interval.
const INTERVALS: u32 = 4;
/// It never adapts beyond this many times the configured limit.
const LIMIT_GROWTH_MOST: u32 = 4;
/// Weight of the past in the moving average, in eighths.
const PAST_EIGHTHS: u32 = 7;

/// When a candidate last showed life, and how often it usually does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pulse {
    /// Start of the silence that counts against it.
    last: Duration,
    /// The last true sign of life.
    beat: Duration,
    usual: Duration,
}

impl Pulse {
    pub fn new(now: Duration) -> Self {
        Self { last: now, beat: now, usual: Duration::ZERO }
    }

    /// A sign of life.
    pub fn beat(&mut self, now: Duration) {
        let interval = now.saturating_sub(self.last);
        self.usual = (self.usual * PAST_EIGHTHS + interval) / (PAST_EIGHTHS + 1);
        self.last = now;
        self.beat = now;
    }

    /// What was missed until now is nobody's fault. It is no sign of life either.
    pub fn forgive(&mut self, now: Duration) {
        self.last = now;
    }

    /// Silence until now.
    pub fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// Silence that means a hang: the configured limit, or more for one whose signs of life come slowly.
    pub fn limit(&self, configured: Duration) -> Duration {
        (self.usual * INTERVALS).clamp(configured, configured * LIMIT_GROWTH_MOST)
    }

    /// True when it has shown life lately, so that something can be built on it.
    pub fn is_alive(&self, now: Duration, configured: Duration) -> bool {
        now.saturating_sub(self.beat) < self.limit(configured)
    }

    /// True when its silence means a hang.
    pub fn is_silent(&self, now: Duration, configured: Duration) -> bool {
        self.silence(now) >= self.limit(configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_fast_pulse_has_the_configured_limit() {
        let mut pulse = Pulse::new(at(0));
        for beat in 1..100 {
            pulse.beat(at(beat * 20));
        }
        assert_eq!(pulse.limit(LIMIT), LIMIT);
        assert!(!pulse.is_silent(at(1980 + 399), LIMIT));
        assert!(pulse.is_silent(at(1980 + 400), LIMIT));
        pulse.forgive(at(5000));
        assert!(!pulse.is_silent(at(5399), LIMIT));
        assert!(!pulse.is_alive(at(5000), LIMIT), "forgiven, but nobody knows whether it lives");
        pulse.beat(at(5100));
        assert!(pulse.is_alive(at(5499), LIMIT));
    }

    #[test]
    fn a_slow_pulse_has_a_longer_limit_up_to_a_bound() {
        let mut pulse = Pulse::new(at(0));
        for beat in 1..100 {
            pulse.beat(at(beat * 200));
        }
        assert!(pulse.limit(LIMIT) > at(750) && pulse.limit(LIMIT) <= at(800), "{:?}", pulse.limit(LIMIT));
        for beat in 20..120 {
            pulse.beat(at(beat * 2000));
        }
        assert_eq!(pulse.limit(LIMIT), LIMIT * 4);
    }
}
