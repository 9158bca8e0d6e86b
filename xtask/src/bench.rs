//! `cargo xtask bench`: the figures of docs/BENCHMARKS.md, most of them measured on the real stack, with release binaries.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::layers::graph::Graph;
use crate::run_tests;
use crate::shell::{say, timed};
use crate::stack::Stack;
use crate::workspace;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    /// Takeovers, switchovers: how many per kind of fault
    #[arg(long, default_value_t = 20)]
    runs: u32,
    /// Memory: minutes of load
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Throughput: events of the backlog in blocks of 512 (a tenth of it in blocks of 1); recovery: rows of the state
    #[arg(long, default_value_t = 4_000_000)]
    events: u32,
    /// Windows: folder with flights.csv and planes.csv, packed or not; by default the three days of the examples
    #[arg(long, default_value = "examples/data")]
    data: PathBuf,
    /// Windows: only cases whose name holds this
    #[arg(long, default_value = "")]
    case: String,
    /// Leave the stack running even if this command started it
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The gap in the output when the active is killed or frozen
    Takeover,
    /// The gap in the output when the leadership is handed over on purpose
    Switchover,
    /// A large state hot again: from the start of an engine to a standby that lacks nothing
    Recovery,
    /// From a committed input block to its visible output, beside a bare Kafka transaction
    Latency,
    /// Events per second from Kafka to Kafka on a backlog
    Throughput,
    /// What traces at the default share cost in throughput: the same backlog with and without, `--runs` times in turns
    Telemetry,
    /// Resident memory of every service under load
    Memory,
    /// Nine queries beside hand-written loops, every window kind, rows kept
    Windows,
    /// CSV decoding beside the csv crate reading the same file
    Csv,
    /// All of them
    All,
}

/// Measures; true if everything could be measured and nothing was lost, doubled or reordered.
pub fn run(args: &BenchArgs) -> Result<bool> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    let mut good = true;
    if matches!(args.what, What::Csv | What::All) {
        let arguments = ["run", "--release", "--quiet", "--package", "mesh-event", "--example", "csv_bench"];
        good &= Command::new("cargo").args(arguments).current_dir(&root).status()?.success();
    }
    if matches!(args.what, What::Windows | What::All) {
        let arguments =
            ["run", "--release", "--quiet", "--package", "mesh-windows", "--example", "windows_bench", "--"];
        let mut command = Command::new("cargo");
        command.args(arguments).arg(&args.data).arg(&args.case).current_dir(&root);
        good &= command.status()?.success();
    }
    if matches!(args.what, What::Csv | What::Windows) {
        return Ok(good);
    }
    let stack = Stack::open_for_tests()?;
    let ours = !stack.is_started()?;
    timed("stack up", || stack.up())?;
    let binaries = timed("release build", || run_tests::build_services(&graph))?;
    let what = match args.what {
        What::Takeover => vec!["takeover"],
        What::Switchover => vec!["switchover"],
        What::Recovery => vec!["recovery"],
        What::Latency => vec!["latency"],
        What::Throughput => vec!["throughput"],
        What::Telemetry => vec!["telemetry"],
        What::Memory => vec!["memory"],
        What::Csv | What::Windows => vec![],
        What::All => vec!["takeover", "switchover", "recovery", "latency", "throughput", "telemetry", "memory"],
    };
    for what in what {
        let numbers = [args.runs, args.minutes, args.events].map(|number| number.to_string());
        let status = Command::new(binaries.join("mesh-bench"))
            .arg(what)
            .args(numbers)
            .envs(stack.environment())
            .env("ESP_MESH_BIN", &binaries)
            .current_dir(&root)
            .status();
        let status = status?;
        ensure!(status.code().is_some(), "mesh-bench {what} was killed");
        good &= status.success();
    }
    if ours && !args.keep {
        timed("stack down", || stack.down(false))?;
    } else {
        say(format_args!("the stack stays up ({})", stack.dir().display()));
    }
    Ok(good)
}
