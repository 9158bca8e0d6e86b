//! `mesh-bench`: the measurements behind `cargo xtask bench`, on the real stack.
//!
//! Every figure is printed for people and as one `RESULT {json}` line.

mod latency;
mod memory;
mod recovery;
mod switchover;
mod takeover;
mod telemetry;
mod throughput;

use std::process::ExitCode;

use mesh_tests::mesh::example;
use mesh_tests::{Mesh, MeshOptions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| arguments.get(i).and_then(|text| text.parse().ok());
    let (Some(what), Some(runs), Some(minutes), Some(events)) = (arguments.first(), number(1), number(2), number(3))
    else {
        eprintln!(
            "usage: mesh-bench takeover|switchover|recovery|latency|throughput|memory|telemetry RUNS MINUTES EVENTS (by `cargo xtask bench`)"
        );
        return ExitCode::from(64);
    };
    let result = match what.as_str() {
        "takeover" => takeover::run(runs),
        "switchover" => switchover::run(runs),
        "recovery" => recovery::run(events),
        "latency" => latency::run(),
        "throughput" => throughput::run(events),
        "telemetry" => telemetry::run(runs as u32, events),
        "memory" => memory::run(minutes),
        other => Err(anyhow::anyhow!(
            "`{other}` is no measurement; known: takeover, switchover, recovery, latency, throughput, memory, telemetry"
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {what}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A mesh for measuring: two engines, two election instances. `trace_ratio` 0: nothing is traced.
fn mesh(name: &'static str, project: &str, trace_ratio: f64) -> anyhow::Result<Mesh> {
    let xml = example(project)?;
    Mesh::start(MeshOptions { name, xml, engines: 2, elections: 2, trace_ratio, engine_settings: Vec::new() })
}
