//! `cargo xtask sim`: builds the simulator for speed and starts it. The planted bugs are compiled in only for `--mutants`.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace;

/// The argument that needs the planted bugs.
const MUTANTS: &str = "--mutants";

/// Arguments of `cargo xtask sim`: those of the simulator itself.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// What the simulator is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Simulates; true if every promise was kept (with `--mutants`: if every planted bug was found).
pub fn run(args: &SimArgs) -> Result<bool> {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--package", "mesh-sim"]);
    if args.arguments.iter().any(|argument| argument == MUTANTS) {
        command.args(["--features", "mutants"]);
    }
    let root = workspace::root()?;
    command.arg("--").args(&args.arguments).current_dir(root);
    Ok(command.status().context("starting cargo, to build and run the simulator")?.success())
}
