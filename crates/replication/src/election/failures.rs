//! Candidates that have failed as leaders, and for how long others are preferred.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Timing;

/// Most candidates whose failures are remembered; the oldest failure is forgotten first.
const REMEMBERED_MOST: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure {
    count: u32,
    last: Duration,
    until: Duration,
    strict: bool,
}

/// Failures by candidate.
#[derive(Debug, Default)]
pub(super) struct Failures {
    of: BTreeMap<String, Failure>,
}

/// Whether a candidate may lead again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Like any other.
    Good,
    /// Only if nobody else can.
    HeldOff,
    /// Not before its hold-off is over: it gave the term back itself, and would do so again at once.
    Barred,
}

impl Failures {
    /// Notes that a candidate failed as leader; `strict` when it gave its term back by itself.
    pub fn note(&mut self, candidate: &str, strict: bool, now: Duration, timing: &Timing) {
        self.of.retain(|_, failure| now.saturating_sub(failure.last) < timing.hold_off_memory);
        if self.of.len() >= REMEMBERED_MOST
            && let Some(oldest) = self.of.iter().min_by_key(|(_, failure)| failure.last).map(|(name, _)| name.clone())
        {
            self.of.remove(&oldest);
        }
        let count = self.of.get(candidate).map_or(0, |failure| failure.count) + 1;
        let doublings = (count - 1).min(16);
        let hold_off = (timing.hold_off_first * 2u32.pow(doublings)).min(timing.hold_off_most);
        self.of.insert(candidate.to_owned(), Failure { count, last: now, until: now + hold_off, strict });
    }

    /// In words, while a candidate is held off.
    pub fn told(&self, candidate: &str, now: Duration) -> Option<String> {
        let failure = self.of.get(candidate).filter(|failure| now < failure.until)?;
        let (count, left) = (failure.count, (failure.until - now).as_millis());
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        Some(format!("held off for another {left} ms: it has failed as leader {times}"))
    }

    pub fn standing(&self, candidate: &str, now: Duration) -> Standing {
        match self.of.get(candidate) {
            Some(failure) if now < failure.until && failure.strict => Standing::Barred,
            Some(failure) if now < failure.until => Standing::HeldOff,
            _ => Standing::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn hold_off_doubles_up_to_a_bound_and_is_forgotten() {
        let timing = Timing::default();
        let mut failures = Failures::default();
        assert_eq!(failures.standing("a", at(0)), Standing::Good);
        failures.note("a", false, at(0), &timing);
        assert_eq!(failures.standing("a", at(249)), Standing::HeldOff);
        assert_eq!(failures.standing("a", at(250)), Standing::Good);
        assert_eq!(failures.told("a", at(250)), None);
        failures.note("a", true, at(1000), &timing);
        let told = failures.told("a", at(1100)).unwrap();
        assert_eq!(told, "held off for another 400 ms: it has failed as leader 2 times");
        assert_eq!(failures.standing("a", at(1499)), Standing::Barred);
        for _ in 0..40 {
            failures.note("a", false, at(2000), &timing);
        }
        assert_eq!(failures.standing("a", at(11_999)), Standing::HeldOff);
        assert_eq!(failures.standing("a", at(12_000)), Standing::Good);
        failures.note("a", false, at(40_000), &timing);
        assert_eq!(failures.standing("a", at(40_250)), Standing::Good, "the old ones are forgotten");
        assert_eq!(failures.standing("b", at(0)), Standing::Good);
    }
}
