//! Keeps the writers' plain connections open and near: one thread per bus asks over each every few seconds, so that
//! the broker does not close it and a coordinator that moved is found before a takeover needs it.

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::coordinator::Coordinator;

const EVERY: Duration = Duration::from_secs(3);

/// A fence that comes meanwhile waits this long at most.
const ASK_MAX: Duration = Duration::from_millis(100);

type Shared = Mutex<Vec<Weak<Mutex<Coordinator>>>>;

/// The thread; it ends when this is dropped.
pub(super) struct Keeper {
    coordinators: Arc<Shared>,
    /// Never sent to: its end tells the thread to end.
    _stop: Sender<()>,
}

impl Keeper {
    pub(super) fn start() -> std::io::Result<Self> {
        let (stop, stopped) = bounded::<()>(1);
        let coordinators = Arc::new(Shared::default());
        let theirs = Arc::clone(&coordinators);
        std::thread::Builder::new().name("bus-keeper".to_owned()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                ask_all(&theirs);
            }
        })?;
        Ok(Self { coordinators, _stop: stop })
    }

    pub(super) fn add(&self, coordinator: &Arc<Mutex<Coordinator>>) {
        let mut coordinators = self.coordinators.lock().unwrap_or_else(PoisonError::into_inner);
        coordinators.retain(|known| known.strong_count() > 0);
        coordinators.push(Arc::downgrade(coordinator));
    }
}

fn ask_all(coordinators: &Shared) {
    let known: Vec<_> = {
        let mut coordinators = coordinators.lock().unwrap_or_else(PoisonError::into_inner);
        coordinators.retain(|known| known.strong_count() > 0);
        coordinators.iter().filter_map(Weak::upgrade).collect()
    };
    for coordinator in known {
        // Locked means in use, so it is neither idle nor is its coordinator unknown.
        if let Ok(mut coordinator) = coordinator.try_lock() {
            // A failure here has closed the connection; the next round, or the fence itself, opens it again.
            if let Err(error) = coordinator.completion(Instant::now() + ASK_MAX) {
                tracing::debug!(%error, "coordinator not reached; trying again");
            }
        }
    }
}
