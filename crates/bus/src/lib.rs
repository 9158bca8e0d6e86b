//! The bus: topics with transactions, fencing and isolation, as a port, and its implementations.
//!
//! Read [`Bus`], [`Reader`] and [`Writer`] first. All three block: use them on threads of their own, never on async ones.
//!
//! Code map:
//! - [`port`]: the traits, records, options
//! - `settings`: what the user may set of the Kafka client
//! - [`error`]: what a caller must do next, decided where the error is born
//! - [`memory`]: the same semantics inside one process; `kafka` (feature `kafka`): rdkafka and the fast fence
//! - `contract` (feature `contract`, or own tests): the tests that every implementation passes
//!
//! **Invariant:** rdkafka and kafka-protocol are used nowhere else (`cargo xtask check-layers`).
//! **Invariant:** one partition per topic; order exists only inside a partition.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod port;
mod settings;

pub use error::{AdminError, ReadError, WriteError};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBus, KafkaOptions};
pub use memory::MemoryBus;
pub use port::{
    Bus, EndOf, Fenced, Header, OutRecord, Polled, Reader, ReaderOptions, Record, StartAt, TopicInfo, TopicSpec,
    Writer, WriterOptions,
};
pub use settings::parse_settings;
