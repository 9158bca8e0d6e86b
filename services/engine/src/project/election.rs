//! What a project's driver says to the election.

use mesh_proto::election::Progress;
use mesh_replication::{EngineId, Term};

/// The candidate's side of the election. Calls never block.
pub trait ElectionLink: Send {
    /// A sign of life from the driver's own progress.
    fn progress(&self, progress: Progress);
    /// The engine leads no longer.
    fn stepped_down(&self, term: Term, successor: Option<&EngineId>, reason: &str);
    /// The engine parked the project and leads no longer in `term`: no failure that it is held off for.
    fn parked(&self, term: Term, reason: &str);
    /// The engine leaves the group.
    fn leave(&self);
}
