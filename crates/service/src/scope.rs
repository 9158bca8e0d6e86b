//! What a service instance gets from whoever runs it.

use crate::drain::Drain;
use crate::metrics::Metrics;
use crate::ready::Ready;

/// Drain, readiness and metrics of one service instance. Cheap to clone. Several instances in one process have one each.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Says when to stop.
    pub drain: Drain,
    /// Who is not ready yet.
    pub ready: Ready,
    /// Its metrics.
    pub metrics: Metrics,
}

impl Scope {
    /// A scope of its own, for tests and for the mesh in one process.
    pub fn new() -> Self {
        Scope::default()
    }
}
