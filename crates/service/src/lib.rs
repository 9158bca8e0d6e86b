//! What every service shares: configuration, telemetry, gRPC and admin servers, drain.
//!
//! A program is `fn main() -> ExitCode { mesh_service::main(|start: Start<MyConfig>| async move { .. }) }`; read [`run`]
//! for the life of a process, [`Config`] for settings, [`Scope`] for what the work of a service gets.
//! A service's library takes its settings, listener and scope as arguments, so that several run in one process.
//!
//! Code map:
//! - [`config`], [`units`]: settings from defaults, file, environment, flags; [`cli`](config::cli) reads a command line
//! - [`run`], [`scope`], [`drain`], [`ready`], [`exit`]: start, signals, readiness, end
//! - [`status`]: the one table from what went wrong to gRPC, HTTP and exit codes; [`Refusal`]
//! - [`grpc`], [`admin`], [`metrics`], [`announce`]: servers and clients; [`probe`] asks the admin server of another process
//! - [`security`]: certificates, tokens and roles, accepted connections; how other parts are called
//! - [`administration`]: what every part says of itself over gRPC; [`telemetry`]: logs and traces
//! - [`adapter`]: what the processes around both adapters share
//! - [`rest`]: `/SASESP/server` and XML answers, for engines and the gateway
//!
//! **Invariant:** OpenTelemetry is used nowhere else (`cargo xtask check-layers`).
//! **Invariant:** every listener is injected or bound before the work starts; nothing here picks a port by itself.

pub mod adapter;
pub mod admin;
pub mod administration;
pub mod announce;
pub mod config;
pub mod drain;
pub mod exit;
pub mod grpc;
pub mod metrics;
pub mod probe;
pub mod ready;
pub mod rest;
pub mod run;
pub mod scope;
pub mod security;
pub mod status;
pub mod telemetry;
pub mod units;

pub use administration::administration;
pub use config::{Base, Config, Problems};
pub use drain::Drain;
pub use exit::Failure;
pub use metrics::Metrics;
pub use ready::{Latch, Ready};
pub use run::{Start, main};
pub use scope::Scope;
pub use security::Security;
pub use status::{Kind, Refusal};
pub use units::{Secret, Size, Span};
