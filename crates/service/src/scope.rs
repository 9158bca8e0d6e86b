//! What a service instance gets from whoever runs it.

use crate::drain::Drain;
use crate::metrics::Metrics;
use crate::ready::Ready;
use crate::security::Security;

/// Drain, readiness, metrics and security of one service instance. Cheap to clone. Several instances in one process have one each.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Says when to stop.
    pub drain: Drain,
    /// Who is not ready yet.
    pub ready: Ready,
    /// Its metrics.
    pub metrics: Metrics,
    /// What it asks of callers, and how it calls.
    pub security: Security,
}

impl Scope {
    /// A scope of its own, for tests and for the mesh in one process.
    pub fn new() -> Self {
        Scope::default()
    }

    /// A scope whose servers and clients do what the settings say.
    pub fn secured(security: Security) -> Self {
        Scope { security, ..Scope::default() }
    }
}
