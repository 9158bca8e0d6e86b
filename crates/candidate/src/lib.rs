//! The side of the election that a candidate holds: one stream to any of the election instances.
//!
//! Engines and adapters take part in a group with [`CandidateHandle::start`]. It attaches to one of several election
//! instances and re-attaches to another within milliseconds when the stream breaks or falls silent; it passes on what
//! the election says as [`CandidateEvent`]s, and what the executor does as signs of life.
//!
//! Code map: `options` and `event` are the vocabulary; `handle` what the owner holds; `session` the task that keeps
//! attaching; `stream` one attachment; `wire` the conversions.
//!
//! **Invariants.**
//! - A1: a sign of life is sent only when the executor has reported progress since the last one; none is invented.
//! - A2: terms that are granted to the owner only rise; a grant that is repeated is passed on once.
//! - A3: a step-down is said again at every attachment until a higher term is heard of.
//! - A4: when the last handle or the receiver of events is dropped, the stream breaks at once, as in a crash.

mod event;
mod handle;
mod options;
mod session;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

pub use event::{CandidateEvent, Progress, Role};
pub use handle::CandidateHandle;
pub use options::{CandidateOptions, Credentials, CredentialsSource, OptionsError, new_incarnation};
