//! `cargo xtask stack ...`

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{BASE_PORT, Part, Stack, State, Stop};
use crate::shell::say;

/// Arguments of `cargo xtask stack`.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// First of 24 ports of a second stack; give it a folder of its own with ESP_MESH_STACK_DIR
    ///
    /// Without it: Kafka 19092-19094 (controllers 19192-19194), ZooKeeper 12181, etcd 12379 (peer 12380),
    /// Jaeger's query API 16686, its OTLP receiver 14317, its other listeners 14320-14328.
    #[arg(long, env = BASE_PORT, global = true, value_name = "PORT")]
    base_port: Option<u16>,
    #[command(subcommand)]
    command: StackCommand,
}

#[derive(Debug, Subcommand)]
enum StackCommand {
    /// Start what is not up, installing what is missing, and wait until all parts answer
    Up,
    /// End every process that `up` or `start` began, and remove its data and logs
    Down {
        /// Keep data and logs, and let the parts end gracefully
        #[arg(long)]
        keep_data: bool,
    },
    /// Print name, pid, address and state of each part
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Start one part and wait until it answers
    Start {
        /// kafka-1, kafka-2, kafka-3, zookeeper, etcd or jaeger
        part: Part,
    },
    /// End one part; its data stays
    Stop {
        /// kafka-1, kafka-2, kafka-3, zookeeper, etcd or jaeger
        part: Part,
        /// By SIGKILL, at once
        #[arg(long)]
        kill: bool,
    },
    /// Pause one part (SIGSTOP)
    Pause {
        /// kafka-1, kafka-2, kafka-3, zookeeper, etcd or jaeger
        part: Part,
    },
    /// Let a paused part go on (SIGCONT)
    Resume {
        /// kafka-1, kafka-2, kafka-3, zookeeper, etcd or jaeger
        part: Part,
    },
    /// Print the environment variables that tests and services read, as shell `export` lines
    Env,
}

/// Runs the command; false when `status` finds a part that is not up.
pub fn run(args: &StackArgs) -> Result<bool> {
    let stack = Stack::open(args.base_port)?;
    match &args.command {
        StackCommand::Up => {
            stack.up()?;
            print_status(&stack)?;
            return Ok(true);
        }
        StackCommand::Down { keep_data } => {
            let ended = stack.down(*keep_data)?;
            say(format_args!(
                "stack: {ended} processes ended{}",
                if *keep_data { ", data kept" } else { ", data removed" }
            ));
        }
        StackCommand::Status { json: true } => {
            let rows = stack.status()?;
            println!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(rows.iter().all(|row| row.state == State::Up));
        }
        StackCommand::Status { json: false } => return print_status(&stack),
        StackCommand::Start { part } => stack.start(*part)?,
        StackCommand::Stop { part, kill } => {
            let how = if *kill { Stop::Kill } else { Stop::Gracefully };
            let ran = stack.stop(*part, how)?;
            say(format_args!("{part}: {}", if ran { "ended" } else { "did not run" }));
        }
        StackCommand::Pause { part } => stack.pause(*part)?,
        StackCommand::Resume { part } => stack.resume(*part)?,
        StackCommand::Env => {
            for (name, value) in stack.environment() {
                println!("export {name}={value}");
            }
        }
    }
    Ok(true)
}

fn print_status(stack: &Stack) -> Result<bool> {
    let rows = stack.status()?;
    println!("{:<10} {:>8}  {:<16} {:<8} log", "name", "pid", "address", "state");
    for row in &rows {
        let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let state = format!("{:?}", row.state).to_lowercase();
        println!("{:<10} {pid:>8}  {:<16} {state:<8} {}", row.name, row.address, row.log.display());
    }
    Ok(rows.iter().all(|row| row.state == State::Up))
}
