//! The replication protocol, sans I/O: what an engine, an election and an adapter do with what they hear.
//!
//! Nothing here waits, reads a clock or talks to anybody: inputs go in, effects come out, and the services carry the
//! effects out. So the code that runs in production is the code that the simulator and the model checker run.
//! Read [`engine::EngineRole`] first, beside docs/PROTOCOL.md.
//!
//! Code map:
//! - [`term`], [`record`]: the numbers of the protocol, and the commit log's record with its wire form
//! - [`engine`]: the role of an engine for one project: recovering, standby, taking over, active, quarantined
//! - [`lanes`]: which of its two transactional ids a writer uses next
//! - [`snapshot`]: which commit a saved state belongs to, and whether the topics still lead on from it
//! - [`election`]: who leads a group, and when somebody is suspected
//! - `mutant`: planted bugs, compiled in only for `cargo xtask sim --mutants`
//! - [`adapter`]: where publisher and subscriber adapters resume
//!
//! **Invariant:** no clock, no random number, no thread, no I/O (`cargo xtask check-layers`).
//! **Invariant:** every (state, input) pair is handled or refused on purpose; no wildcard arm hides one.

/// True when a bug is planted; without the feature `mutants` the constant `false`. The simulator plants bugs in its own
/// drivers with it too.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! planted {
    ($mutant:ident) => {
        $crate::mutant::is_planted($crate::mutant::Mutant::$mutant)
    };
}
/// True when a bug is planted: never, in what is shipped.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! planted {
    ($mutant:ident) => {
        $crate::never(stringify!($mutant))
    };
}

pub mod adapter;
pub mod election;
pub mod engine;
pub mod lanes;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod record;
pub mod snapshot;
pub mod term;

/// What is shipped has no planted bug. A constant for the compiler, and for lints a value that they know nothing of.
#[cfg(not(feature = "mutants"))]
#[doc(hidden)]
#[inline(always)]
pub const fn never(_bug: &str) -> bool {
    false
}

pub use engine::{Effect, Effects, EngineRole, Input, Limits, RoleView};
pub use record::{CommitKind, CommitRecord, Poison, RecordError, Step};
pub use snapshot::{OldestOffsets, SnapshotPoint, Unusable};
pub use term::{CommitNumber, EngineId, Term};
