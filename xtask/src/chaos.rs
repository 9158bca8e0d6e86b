//! `cargo xtask chaos`: builds the mesh and `mesh-chaos` (in `tests`), and becomes it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::layers::graph::{Graph, cargo};
use crate::run_tests;
use crate::shell::timed;
use crate::stack::Stack;
use crate::workspace;

/// Arguments of `cargo xtask chaos`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct ChaosArgs {
    /// Kinds of faults to draw from, by their names and with commas between; a wrong name lists them. Empty: all
    #[arg(long, default_value = "")]
    pub faults: String,
    /// How many faults
    #[arg(long, default_value_t = 30)]
    pub runs: u64,
    /// What decides kinds, targets and times; 0: another one each time
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print each verdict as a line of JSON too; they are in the report's folder anyway
    #[arg(long)]
    pub json: bool,
    /// Leave the stack running even if this command started it
    #[arg(long)]
    pub keep: bool,
    /// Debug binaries: more assertions, and built sooner
    #[arg(long)]
    pub debug: bool,
    /// Folder for the reports; below it one per seed
    #[arg(long, default_value = "target/chaos")]
    pub report: String,
}

/// Builds, and becomes the program that does it: so signals reach the one that has to clean up.
pub fn run(args: &ChaosArgs) -> Result<bool> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    let binaries = timed("build", || if args.debug { build_debug(&graph) } else { run_tests::build_services(&graph) })?;
    let mut args = args.clone();
    if args.seed == 0 {
        args.seed = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock after 1970")?.as_secs();
    }
    let stack = Stack::open_for_tests()?;
    let error = Command::new(binaries.join("mesh-chaos"))
        .arg(serde_json::to_string(&args)?)
        .envs(stack.environment())
        .env("ESP_MESH_BIN", &binaries)
        .current_dir(&root)
        .exec();
    Err(error).context("starting mesh-chaos")
}

fn build_debug(graph: &Graph) -> Result<PathBuf> {
    let arguments = ["build", "--workspace", "--exclude", "xtask", "--bins"];
    let status = cargo().current_dir(workspace::root()?).args(arguments).status().context("starting cargo build")?;
    ensure!(status.success(), "cargo build --workspace --bins ended with {status}; its messages are above");
    Ok(graph.target_dir.join("debug"))
}
