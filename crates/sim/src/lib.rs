//! Seeded simulator of the shipped protocol code: a whole mesh in one thread, in virtual time, with every fault that we
//! could think of, and with a check after every step. The same seed gives the same history, byte for byte.
//!
//! What runs here is `mesh-replication` itself: `EngineRole`, the election's `Group`, `PublisherRole`, `KeptOutputs`, the
//! commit record's wire form. What is simulated is what lies around it: Kafka, ZooKeeper, streams, processes, clocks,
//! and the services' drivers, which carry effects out in the same order as the real ones.
//!
//! Read [`plan::Plan`] (what a seed means), then [`run::run`], then `world`.
//!
//! Code map:
//! - [`plan`], [`fault`]: what a seed draws; [`random`]: from what
//! - `world`: the event loop, and one file for each kind of process; [`kafka`]: the brokers; [`net`]: the network
//! - [`project`]: what the engines compute; [`check`]: what must hold; [`coverage`]: what was reached
//! - `mutants`: planted bugs are hunted (feature `mutants`)
//! - [`model`]: a small configuration, every order of events
//! - [`run`]: seeds, threads, shorter failures
//!
//! **Invariant:** no clock, no hash-map order, no thread inside a run: a seed is its history (`tests/determinism.rs`).
//! **Invariant:** a check shares nothing with the protocol but the project's function and the record's wire form.

pub(crate) use mesh_replication::planted;

pub mod check;
pub mod coverage;
pub mod fault;
pub mod kafka;
pub mod model;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod net;
pub mod plan;
pub mod project;
pub mod random;
pub mod run;
mod world;

pub use world::World;
