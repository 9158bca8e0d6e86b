//! Development tasks of esp-mesh, as a library: `cargo xtask` is a thin main around it, and the
//! end-to-end tests use [`stack`] to kill, pause and restart real brokers.
//!
//! Code map, one module per command: [`stack`] the real Kafka, ZooKeeper, etcd and Jaeger on loopback;
//! [`run_tests`] all tests; [`bench`] all figures; [`compose`] the mesh in containers, broken and compared; [`chaos`] faults
//! of every kind on the real mesh; [`upgrade`] an older commit's programs replaced under load; [`sim`] the simulator;
//! [`layers`] which crate may use which; [`deny`] what dependencies may be; [`metrics`] docs/METRICS.md;
//! [`tidy`] what no lint looks at; [`codegen`] Rust from `.proto` files; [`proto`] their rules, what was released, and
//! docs/API.md. Shared: [`workspace`] where things are; [`shell`] other programs
//! and packages.
//!
//! Invariants: nothing is signalled that we did not start ([`stack::Process`]); every wait has a limit;
//! data goes to stdout, progress to stderr.

pub mod bench;
pub mod chaos;
pub mod codegen;
pub mod compose;
pub mod deny;
pub mod layers;
pub mod metrics;
pub mod proto;
pub mod run_tests;
pub mod shell;
pub mod sim;
pub mod stack;
pub mod tidy;
pub mod upgrade;
pub mod workspace;
