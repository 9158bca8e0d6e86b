//! One file per command. Each takes its arguments and says how it ended.

mod completions;
mod decode;
mod dev;
mod doctor;
mod files;
mod history;
mod maintenance;
mod process;
mod project;
mod promote;
mod recover;
mod run;
mod skip;
mod snapshot;
mod status;
mod topics;
mod trace;
mod versions;

use std::future::Future;
use std::time::Duration;

use crate::cli::{Cli, Command, Events, Project};
use crate::context;
use crate::demo;
use crate::fail::Fail;
use crate::mesh::Mesh;

/// Runs the command.
pub fn run(cli: Cli) -> Result<(), Fail> {
    let chosen = context::choose(&cli.coordinator, cli.who.as_deref(), cli.context.as_deref())?;
    let mut mesh = Mesh::new(&chosen.coordinators, &cli.access.caller()?, chosen.who);
    match cli.command {
        Command::Status(arguments) => online(status::run(arguments, &mut mesh)),
        Command::Promote(arguments) => online(promote::run(arguments, &mut mesh)),
        Command::Drain { engine, reason, json } => online(maintenance::drain(&mut mesh, engine, reason, json)),
        Command::Undrain { engine, reason } => online(maintenance::undrain(&mut mesh, engine, reason)),
        Command::Rebalance { dry_run, reason, json } => {
            online(maintenance::rebalance(&mut mesh, dry_run, reason, json))
        }
        Command::Failover(what) => online(maintenance::failover(&mut mesh, what)),
        Command::Doctor { json } => online(doctor::run(&mut mesh, json)),
        Command::Config { member, changed, json } => online(process::config(&mut mesh, &member, changed, json)),
        Command::LogLevel { member, levels, reason } => online(process::log_level(&mut mesh, &member, levels, reason)),
        Command::Snapshot(arguments) => online(snapshot::run(arguments, &mut mesh)),
        Command::Skip(arguments) => online(skip::run(arguments, &mut mesh)),
        Command::Recover(arguments) => online(recover::run(arguments, &mut mesh)),
        Command::Topics(what) => online(topics::run(what, &mut mesh)),
        Command::Project(Project::Check { file, json }) => project::check(&file, json),
        Command::Project(Project::Run(arguments)) => run::run(&arguments),
        Command::Project(what) => online(project::run(what, &mut mesh)),
        Command::History(arguments) => online(history::run(arguments, &mut mesh)),
        Command::Events(Events::Decode(arguments)) => decode::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Demo(arguments) => in_one_process(demo::run(arguments)),
        Command::Dev(arguments) => in_one_process(dev::run(arguments)),
        Command::Contexts => context::list(),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// Runs what talks to the mesh.
fn online(work: impl Future<Output = Result<(), Fail>>) -> Result<(), Fail> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::fault(format!("start of the I/O thread: {error}")))?;
    runtime.block_on(work)
}

/// How long what still runs may take at the end.
const END: Duration = Duration::from_secs(1);

/// Runs what starts services in this process.
fn in_one_process(work: impl Future<Output = Result<(), Fail>>) -> Result<(), Fail> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::fault(format!("start of the services' threads: {error}")))?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(END);
    ended
}
