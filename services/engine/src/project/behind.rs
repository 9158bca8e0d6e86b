//! How far behind the commit log a project is, in time: since when the oldest commit that is not applied has been known.

use std::collections::VecDeque;
use std::time::Duration;

/// Moments remembered. When there are more, the oldest stay: they say how far behind it is.
const HEARD_MAX: usize = 1024;

/// What was known when.
#[derive(Debug, Default)]
pub struct Behind {
    /// A moment, and the newest commit that was known then; both rise.
    heard: VecDeque<(Duration, u64)>,
}

impl Behind {
    /// For how long the oldest commit that is not applied has been known; zero when all are applied. To be asked at every
    /// report, since it is as exact as that is often.
    pub fn look(&mut self, now: Duration, applied: u64, lag: u64) -> Duration {
        let newest = applied + lag;
        let is_news = self.heard.back().is_none_or(|&(_, known)| newest > known);
        if is_news && self.heard.len() < HEARD_MAX {
            self.heard.push_back((now, newest));
        }
        while self.heard.front().is_some_and(|&(_, known)| known <= applied) {
            self.heard.pop_front();
        }
        self.heard.front().map_or(Duration::ZERO, |&(since, _)| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_is_the_age_of_the_oldest_commit_that_is_not_applied() {
        let mut behind = Behind::default();
        assert_eq!(behind.look(ms(0), 5, 0), ms(0), "level");
        assert_eq!(behind.look(ms(100), 5, 3), ms(0), "8 is known from now on");
        assert_eq!(behind.look(ms(200), 5, 6), ms(100), "11 too");
        assert_eq!(behind.look(ms(300), 7, 4), ms(200), "8 is still missing");
        assert_eq!(behind.look(ms(400), 8, 3), ms(200), "what is missing was known at 200");
        assert_eq!(behind.look(ms(500), 11, 0), ms(0));
    }

    #[test]
    fn steady_load_is_not_taken_for_a_growing_lag() {
        let mut behind = Behind::default();
        for at in 0..10_000 {
            assert!(behind.look(ms(at * 100), at, 1) <= ms(100));
        }
    }

    #[test]
    fn a_long_lag_is_bounded_in_memory_and_still_told() {
        let mut behind = Behind::default();
        for at in 0..5_000 {
            behind.look(ms(at * 100), 0, at + 1);
        }
        assert_eq!(behind.heard.len(), HEARD_MAX);
        assert_eq!(behind.look(ms(500_000), 0, 6_000), ms(500_000));
        assert_eq!(behind.look(ms(500_100), 6_000, 0), ms(0));
    }
}
