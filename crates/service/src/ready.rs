//! Readiness as a latch: each part of a service takes one and drops it when it is ready; `/readyz` names who still holds one.

use std::sync::{Arc, Mutex, MutexGuard};

/// The latches of a service. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    held: Arc<Mutex<Vec<Held>>>,
}

#[derive(Debug)]
struct Held {
    part: String,
    number: u64,
}

/// Held by a part that is not ready yet; dropping it says that it is.
#[derive(Debug)]
pub struct Latch {
    ready: Ready,
    number: u64,
}

impl Ready {
    /// Without latches: ready.
    pub fn new() -> Self {
        Ready::default()
    }

    /// Takes a latch for a part, e.g. `kafka` or `project weather`.
    pub fn latch(&self, part: impl Into<String>) -> Latch {
        let mut held = self.lock();
        let number = held.last().map_or(0, |last| last.number + 1);
        held.push(Held { part: part.into(), number });
        Latch { ready: self.clone(), number }
    }

    /// Who is not ready yet, in the order in which the latches were taken.
    pub fn waiting_for(&self) -> Vec<String> {
        self.lock().iter().map(|held| held.part.clone()).collect()
    }

    /// True when nobody holds a latch.
    pub fn is_ready(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        // a panic cannot leave the list half changed
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Latch {
    /// The part is ready.
    pub fn release(self) {}
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.ready.lock().retain(|held| held.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_latch_is_gone() {
        let ready = Ready::new();
        let kafka = ready.latch("kafka");
        let project = ready.latch("project weather");
        assert_eq!(ready.waiting_for(), ["kafka", "project weather"]);
        kafka.release();
        assert_eq!(ready.waiting_for(), ["project weather"]);
        let again = ready.latch("kafka");
        drop(project);
        assert_eq!(ready.waiting_for(), ["kafka"]);
        drop(again);
        assert!(ready.is_ready());
    }
}
