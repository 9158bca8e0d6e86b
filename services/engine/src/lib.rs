//! The engine: runs projects as deterministic replicas behind the bus.
//!
//! One engine runs any number of projects; each is active, standby or recovering by itself. Read [`project`] for what
//! happens inside one, and `mesh_replication::engine` for the protocol that it follows.
//!
//! Code map:
//! - [`config`]: what can be set, and the defaults; `clock`: the wall clock, which tests can set
//! - [`project`]: one project: its threads (driver, readers, writer) and what they say to each other
//! - [`candidate`]: the project's side of the election
//! - [`projects`]: which projects run: what the coordinator desires, started and stopped; [`desired`] is that on disk
//! - [`service`]: the process: gRPC, REST, announcement, drain
//!
//! **Invariant:** only the driver thread of a project touches its role and machine.
//! **Invariant:** everything that Kafka could block happens on threads of its own, never on async ones.

pub mod candidate;
mod clock;
pub mod config;
pub mod desired;
pub mod project;
pub mod projects;
pub mod service;

pub use config::EngineConfig;
pub use service::{Engine, run};
