//! The task that keeps a candidate attached: one stream after the other, to any instance that answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::event::CandidateEvent;
use crate::handle::{Report, Shared};
use crate::options::{CandidateOptions, Instance};
use crate::stream::{self, Ended};

/// Pause after no instance could be reached: short, since a leader that does not re-attach in time is replaced.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_MOST: Duration = Duration::from_millis(200);

/// What outlives a stream.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Highest term heard of.
    pub known_term: u64,
    /// Highest term that was granted to the owner and passed on.
    pub granted_term: u64,
    /// The report that was sent last; its count is 0 before the first.
    pub sent: Report,
}

/// Attaches, again and again, until the owner leaves or lets go.
pub(crate) async fn keep(
    options: CandidateOptions,
    instances: Vec<Instance>,
    shared: Arc<Shared>,
    events: mpsc::Sender<CandidateEvent>,
) {
    let mut memory = Memory::default();
    let mut backoff = BACKOFF_FIRST;
    let mut failed_in_a_row = 0;
    let mut next = 0;
    loop {
        let instance = &instances[next];
        let ended = stream::attend(&options, instance, &shared, &mut memory, &events).await;
        let (attached, reason) = match ended {
            Ended::Left | Ended::OwnerGone => return,
            Ended::Refused(reason) => (false, reason),
            Ended::Broken(reason) => (true, reason),
        };
        if attached {
            tracing::warn!(
                group = options.group,
                candidate = options.candidate,
                instance = instance.name,
                reason,
                "the stream to the election is broken, attaching anew"
            );
            if events.send(CandidateEvent::Detached).await.is_err() {
                return;
            }
            (backoff, failed_in_a_row) = (BACKOFF_FIRST, 0);
        } else {
            failed_in_a_row += 1;
            tracing::debug!(group = options.group, instance = instance.name, reason, "cannot attach");
        }
        if shared.wishes().leave {
            return;
        }
        next = (next + 1) % instances.len();
        // the others are tried at once; the pause comes when all have failed
        if failed_in_a_row >= instances.len() {
            if failed_in_a_row == instances.len() {
                tracing::warn!(
                    group = options.group,
                    candidate = options.candidate,
                    reason,
                    "no election instance can be reached, trying again"
                );
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }
}
