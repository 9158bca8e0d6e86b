//! The connectors of a project that are sources and sinks of their own: files, sockets, timers.
//!
//! ```text
//!  file --> publisher --> .I --> engine --> .O --> subscriber --> file
//!           (active only)                         (active only)
//! ```
//!
//! They are the adapters' own publishers and subscribers, run in the engine that leads, and by nobody else. So events
//! enter through an input topic with the position of their source in each block, and their order is recorded like that
//! of all others: whoever leads next fences the publisher before and goes on behind the last position.
//!
//! `host`: the thread that starts and stops them; `spec`: what a project's connectors ask for; `order`: groups;
//! [`permit`]: what they may touch; [`mail`]: who sends the messages of notification windows, and where to.

mod host;
pub mod mail;
mod order;
pub mod permit;
mod spec;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_proto::engine::ConnectorStatus;

pub(super) use host::Host;
pub use permit::Permit;
pub(super) use spec::{senders, specs};

/// What driver and connectors tell each other.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The engine leads the project.
    leads: AtomicBool,
    /// Next offset of each input behind the last commit.
    committed: Vec<AtomicU64>,
    statuses: Mutex<Vec<ConnectorStatus>>,
}

impl Shared {
    /// For a project with so many inputs.
    pub(super) fn new(inputs: usize) -> Shared {
        let committed = (0..inputs).map(|_| AtomicU64::new(0)).collect();
        Shared(Arc::new(Inner { committed, ..Inner::default() }))
    }

    /// The engine leads, or leads no more.
    pub(super) fn lead(&self, leads: bool) {
        self.0.leads.store(leads, Ordering::Release);
    }

    fn leads(&self) -> bool {
        self.0.leads.load(Ordering::Acquire)
    }

    /// A commit is in the log; the inputs are applied to these offsets, whoever leads next.
    pub(super) fn committed(&self, positions: &[u64]) {
        for (known, position) in self.0.committed.iter().zip(positions) {
            known.store(*position, Ordering::Release);
        }
    }

    /// True when the block at this offset is applied by a commit.
    fn is_applied(&self, input: usize, offset: u64) -> bool {
        self.0.committed[input].load(Ordering::Acquire) > offset
    }

    /// How the connectors are.
    pub(super) fn statuses(&self) -> Vec<ConnectorStatus> {
        self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, statuses: Vec<ConnectorStatus>) {
        *self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner) = statuses;
    }
}
