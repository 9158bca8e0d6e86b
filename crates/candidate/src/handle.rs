//! What the owner of a candidate holds.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::event::{CandidateEvent, Progress};
use crate::options::{CandidateOptions, OptionsError};
use crate::session;

/// Events that the owner has not taken yet, at most. When it is full the stream waits, and with it the signs of life:
/// an owner that takes no events is as good as hung.
const EVENTS_MAX: usize = 64;

/// Holds a candidate in its group. Clones hold the same one; when the last is dropped the stream breaks at once, as it
/// does in a crash. No method blocks, so that an executor thread may call any of them.
#[derive(Debug, Clone)]
pub struct CandidateHandle {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the owner says to the task.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Reports of the executor, counted; only the latest is kept.
    pub reports: watch::Sender<Report>,
    /// Bumped at each new wish.
    pub wished: watch::Sender<u64>,
    wishes: Mutex<Wishes>,
}

/// The latest report of the executor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many there were.
    pub count: u64,
    pub progress: Progress,
}

/// What the owner wants the election to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub step_down: Option<StepDown>,
    pub leave: bool,
}

/// A leader steps down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepDown {
    pub term: u64,
    pub successor: String,
    pub parked: bool,
    pub reason: String,
}

impl Shared {
    pub fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().expect("no code panics while it holds this lock")
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes());
        self.wished.send_modify(|count| *count += 1);
    }
}

impl CandidateHandle {
    /// Takes part in a group, from a tokio runtime. The events come in order; the first is [`CandidateEvent::Attached`].
    pub fn start(options: CandidateOptions) -> Result<(Self, mpsc::Receiver<CandidateEvent>), OptionsError> {
        let instances = options.check()?;
        let shared = Arc::new(Shared {
            reports: watch::Sender::new(Report::default()),
            wished: watch::Sender::new(0),
            wishes: Mutex::default(),
        });
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(session::keep(options, instances, Arc::clone(&shared), events)).abort_handle();
        Ok((Self { held: Arc::new(Held { shared, task }) }, receiver))
    }

    /// The executor has got on (or has nothing to do and says so), at least every 50 ms. Nothing else is a sign of life.
    pub fn progress(&self, progress: Progress) {
        self.held.shared.reports.send_modify(|report| {
            report.count += 1;
            report.progress = progress;
        });
    }

    /// The owner does not lead in `term` any more; `successor` may follow at once (empty: anyone).
    pub fn stepped_down(&self, term: u64, successor: impl Into<String>, reason: impl Into<String>) {
        self.give_back(StepDown { term, successor: successor.into(), parked: false, reason: reason.into() });
    }

    /// The owner parked what it leads and does not lead in `term` any more; it is not held off for that.
    pub fn parked(&self, term: u64, reason: impl Into<String>) {
        self.give_back(StepDown { term, successor: String::new(), parked: true, reason: reason.into() });
    }

    fn give_back(&self, step_down: StepDown) {
        self.held.shared.wish(|wishes| wishes.step_down = Some(step_down));
    }

    /// Leaves the group on purpose; the events end once the election knows, or after half a second.
    pub fn leave(&self) {
        self.held.shared.wish(|wishes| wishes.leave = true);
    }
}
