//! Every limit in time, in one place.

use std::time::Duration;

/// Longest time between two steps of a healthy instance; the driver ticks this often.
pub const TICK: Duration = Duration::from_millis(20);

/// How long things may take. All of it is safe at any value: a wrong one costs switches or seconds, never correctness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Silence after which a candidate counts as hung; adapts upwards for one whose signs of life come slowly.
    pub hang: Duration,
    /// Wait for more candidates before the first leader of a group is chosen.
    pub settle: Duration,
    /// Shortest time between a grant and a change that only a suspicion speaks for.
    pub minimum_term: Duration,
    /// A leader that cannot reach its bus for this long is replaced by a candidate that can. Short:
    /// such a leader commits nothing, so replacing it wrongly costs next to nothing.
    pub cut_off: Duration,
    /// A leader that has not taken over by then is replaced by another candidate.
    pub takeover: Duration,
    /// After the session is back, a leader without a node is waited for this long.
    pub return_grace: Duration,
    /// Longest wait for a handover.
    pub handover: Duration,
    /// First hold-off of a candidate that has failed as leader; doubles with each failure.
    pub hold_off_first: Duration,
    /// Longest hold-off.
    pub hold_off_most: Duration,
    /// Failures older than this are forgotten.
    pub hold_off_memory: Duration,
    /// When more time than this lies between two steps, this instance itself stood still.
    pub own_stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hang: Duration::from_millis(400),
            settle: Duration::from_millis(200),
            minimum_term: Duration::from_secs(1),
            cut_off: Duration::from_millis(300),
            takeover: Duration::from_secs(10),
            return_grace: Duration::from_secs(3),
            handover: Duration::from_secs(5),
            hold_off_first: Duration::from_millis(250),
            hold_off_most: Duration::from_secs(10),
            hold_off_memory: Duration::from_secs(30),
            own_stall: Duration::from_millis(200),
        }
    }
}

/// Pause between two probes of a candidate whose stream is broken while its port answers.
pub(super) const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// Pause before a failed write is tried again.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Pause before the record is written again after somebody else was faster; the watch tells sooner.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_millis(40);
/// Shortest time between two updates of a node that only say how far its candidate is.
pub(super) const UPDATE_PAUSE: Duration = Duration::from_millis(50);
/// A node of ours that belongs to no candidate of ours is removed after this time.
pub(super) const GHOST_AGE: Duration = Duration::from_secs(2);
/// After this instance stood still, signs of life that come within this time may be old: nothing is built on them.
pub(super) const DISTRUST: Duration = Duration::from_millis(50);
