//! `mesh-chaos`: faults of every kind on the real mesh, one after the other, and a verdict on each. `cargo xtask chaos`
//! builds and starts it.
//!
//! Code map:
//! - [`fault`]: the kinds, drawn by a seed; [`strike`]: how each is done
//! - [`net`]: a network namespace per process; [`clock`]: clocks that can be set; [`rig`]: the mesh, its load, what has to be undone
//! - [`roles`]: who said what of itself; what is compared all the time stands in `mesh_tests::judge`
//! - [`run`]: well, strike, heal, well again, verdict; [`report`], [`page`]: what is written in the end
//!
//! **Invariant:** what was struck is healed, and every namespace, rule and process is gone, however the run ends; after a
//! SIGKILL the next run removes what is left.

mod clock;
mod fault;
mod net;
mod page;
mod report;
mod rig;
mod roles;
mod run;
mod strike;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use xtask::chaos::ChaosArgs;
use xtask::stack::Stack;

use crate::net::Net;
use crate::rig::Rig;
use crate::run::Stopped;

fn main() -> ExitCode {
    let Some(args) = std::env::args().nth(1).and_then(|text| serde_json::from_str::<ChaosArgs>(&text).ok()) else {
        eprintln!("mesh-chaos is started by `cargo xtask chaos`, which tells it what to do");
        return ExitCode::from(64);
    };
    match chaos(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chaos(args: &ChaosArgs) -> Result<bool> {
    fault::parse(&args.faults)?;
    let stopped = listen_for_signals()?;
    let stack = Stack::open_for_tests()?;
    let ours = !stack.is_started()?;
    stack.up()?;
    let result = on_stack(args, &stopped);
    if ours && !args.keep {
        stack.down(false)?;
    } else {
        stack.up().context("bringing up again what of the stack is down")?;
    }
    result
}

fn on_stack(args: &ChaosArgs, stopped: &Stopped) -> Result<bool> {
    let stack = Stack::open_for_tests()?;
    let net = match Net::new(stack.ports()) {
        Ok(net) => Some(net),
        Err(error) => {
            eprintln!(
                "no network namespaces here ({error:#}): only faults of processes are done, nobody is cut off; \
                 they need root, iproute2 and iptables"
            );
            None
        }
    };
    let folder = PathBuf::from(&args.report).join(format!("seed-{}", args.seed));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    eprintln!("chaos: seed {}, {} faults, report in {}", args.seed, args.runs, folder.display());
    let rig = Rig::start(stack, net).context("starting the mesh")?;
    let story = run::run(args, rig, &folder, stopped)?;
    let markdown = folder.join("report.md");
    std::fs::write(&markdown, story.markdown())?;
    std::fs::write(folder.join("report.html"), page::html(&story))?;
    eprintln!("chaos: {} and report.html", markdown.display());
    println!("{}", story.markdown());
    mesh_tests::figures::result(&story.result());
    Ok(story.is_good())
}

/// The first SIGINT or SIGTERM ends the run, which heals and removes everything; a second one ends it at once.
fn listen_for_signals() -> Result<Stopped> {
    let stopped = Arc::new(AtomicBool::new(false));
    let tell = stopped.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if tell.swap(true, Ordering::AcqRel) {
                    let _ = net::remove_all(false);
                    std::process::exit(130);
                }
                eprintln!("chaos: ending; once more ends it at once");
            }
        });
    });
    Ok(stopped)
}
