//! Development tasks: `cargo xtask help`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::stack;

/// Development tasks of esp-mesh
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three Kafka brokers, ZooKeeper, etcd and Jaeger, real, on loopback
    Stack(stack::cli::StackArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Stack(args) => stack::cli::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
