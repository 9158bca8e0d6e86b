//! Development tasks: `cargo xtask help`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, chaos, codegen, compose, deny, layers, metrics, proto, run_tests, sim, stack, tidy, upgrade};

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
    /// Every test: unit, contract, end to end on the real stack (brought up if it is not)
    Test(run_tests::TestArgs),
    /// Measure takeover, latency, throughput and memory on the real stack; windows and csv without it
    Bench(bench::BenchArgs),
    /// Faults of every kind on the real mesh, each process in its own network; a verdict on each
    Chaos(chaos::ChaosArgs),
    /// The mesh of docker-compose.yml: built, started, broken, compared with one engine that never failed
    ComposeTest(compose::ComposeArgs),
    /// What docs/OPERATIONS.md says of the first ten minutes, done and recorded
    FirstMinutes(compose::session::SessionArgs),
    /// A rolling upgrade from an older commit's programs to this tree's, under load
    UpgradeTest(upgrade::UpgradeArgs),
    /// Simulate the protocol's shipped code under faults: seeds, --mutants, --model (`cargo xtask sim --help`)
    #[command(disable_help_flag = true)]
    Sim(sim::SimArgs),
    /// Check the directions between crates and who may use which dependency
    CheckLayers,
    /// Check licences, versions and sources of dependencies (deny.toml)
    Deny,
    /// Check that every file is documented, short and finished
    Tidy,
    /// Write docs/METRICS.md from the code, or check it
    Metrics(metrics::MetricsArgs),
    /// Check the .proto files: rules, what was released, docs/API.md
    ProtoCheck(proto::ProtoArgs),
    /// Generate Rust code from the .proto files (needs feature `codegen`)
    Codegen(codegen::CodegenArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Stack(args) => stack::cli::run(&args),
        Command::Test(args) => run_tests::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::ComposeTest(args) => compose::run(&args),
        Command::FirstMinutes(args) => compose::session::run(&args),
        Command::UpgradeTest(args) => upgrade::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::CheckLayers => layers::run(),
        Command::Deny => deny::run(),
        Command::Tidy => tidy::run(),
        Command::Metrics(args) => metrics::run(&args),
        Command::ProtoCheck(args) => proto::run(&args),
        Command::Codegen(args) => codegen::run(&args),
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
