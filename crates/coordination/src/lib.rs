//! Ports for election and desired state, and their implementations: ZooKeeper, etcd, memory.
//!
//! Two ports, and nothing else leaves this crate: [`Elections`] (candidates and the leader record of each group) and
//! [`Registry`] (desired state: projects, groups, engines). Both are level-triggered: a watch hands out the *whole*
//! present state whenever it changed, so that a missed notification, a reconnect or a slow reader loses nothing.
//!
//! Code map: `elections` and `registry` are the ports; `latest` the watch that both use; `tls` certificates of their clients; `error` what can go wrong,
//! sorted by what the caller has to do next; `memory` (always), `zookeeper`, `etcd` (features) the implementations;
//! `tests/` the contract that all of them pass.
//!
//! **Invariants.**
//! - C1: the leader record changes only by compare-and-set on its version; of several writers one wins.
//! - C2: candidates vanish with the session that made them, never before, unless removed by name.
//! - C3: no call waits longer than its time limit; a change whose outcome is not known is [`Error::Unknown`].
//! - C4: no type of a client crate in a signature; this crate is the only user of those crates.

mod elections;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod latest;
mod memory;
mod registry;
mod tls;
#[cfg(feature = "zookeeper")]
mod zookeeper;

pub use elections::{
    Candidate, CandidateData, Elections, GroupState, LeaderRecord, Led, MAX_DATA_BYTES, Order, Session, SessionState,
    Version, Znode, check_group,
};
pub use error::Error;
#[cfg(feature = "etcd")]
pub use etcd::{EtcdOptions, EtcdRegistry};
pub use latest::Latest;
pub use memory::{MemoryElections, MemoryRegistry};
pub use registry::{Entry, Expected, Listing, MAX_VALUE_BYTES, Registry, check_key};
pub use tls::TlsPem;
#[cfg(feature = "zookeeper")]
pub use zookeeper::{ZookeeperElections, ZookeeperOptions};
