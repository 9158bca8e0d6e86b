//! The real mesh, process by process, as tests and benchmarks drive it: started, killed, frozen, and checked.
//!
//! Code map:
//! - [`env`]: where the stack and the programs are
//! - [`process`]: one process of the mesh, its log, signals
//! - [`mesh`]: a whole mesh with topics of its own
//! - [`client`]: gRPC and REST calls
//! - [`load`]: blocks published straight to `.I`, at a rate or as a backlog
//! - [`plain`]: a load at a rate by a plain producer, as a stranger publishes
//! - [`foreign`]: what others do on the same cluster
//! - [`watch`]: a reader of `.O` that nobody restarts: gaps between terms, sequences
//! - [`verify`]: the output against one engine that never failed, when all is over
//! - [`judge`]: the same all the time, also when the log is trimmed; [`text`]: line by line
//! - [`figures`]: percentiles and `RESULT` lines
//!
//! **Invariant:** nothing here is a stand-in: every process is the program that users run.

pub mod client;
pub mod env;
pub mod figures;
pub mod foreign;
pub mod judge;
pub mod load;
pub mod mesh;
pub mod plain;
pub mod process;
pub mod text;
pub mod verify;
pub mod watch;

pub use mesh::{Mesh, MeshOptions};
pub use process::Process;

use std::time::{Duration, Instant};

/// Waits until `done` gives a value, at most `limit`; the error says what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(value) = done() {
            return Ok(value);
        }
        anyhow::ensure!(began.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
