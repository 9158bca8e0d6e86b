//! The command-line tool of esp-mesh: looks at a mesh, changes it, and runs a whole one in this process.
//!
//! Start at [`main`]. Everything that concerns a running mesh goes through the coordinator's gRPC API, so no client of
//! Kafka, ZooKeeper or etcd is built in (`cargo xtask check-layers`).
//!
//! Code map:
//! - `access`: certificates and token; `cli`: the command line; one definition feeds parser, help and completions
//! - `commands`: one file per command; `status`: the mesh as people and as programs read it
//! - `local`: a whole mesh in this process; `demo`: one whose engines are killed, and the proof that nothing was lost
//! - `context`: which mesh is meant; `mesh`: calls to the coordinator; `jaeger`: questions to Jaeger; `fail`: how a command ends; `out`: printing, tables, times
//!
//! **Invariant:** data goes to stdout, everything else to stderr; a reader that went away ends the command quietly.
//! **Invariant:** exit code 0: done; 1: what was asked for is wrong; 2: our fault, or a part that does not answer.
//! **Invariant:** what `--json` prints has structs of its own: it changes only on purpose.

mod access;
mod cli;
mod commands;
mod context;
mod demo;
mod fail;
mod jaeger;
mod local;
mod mesh;
mod out;
mod status;

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

use cli::Cli;
use fail::Fail;

/// Runs one command line, program name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    out::set_colour(cli.colour());
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => end(&fail),
    }
}

/// Help and version are answers; everything else that clap says is the user's to mend.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let text = error.render();
        out::note(text.ansi().to_string().trim_end());
        return ExitCode::from(fail::INPUT);
    }
    // a reader that went away is not an error
    let _ = out::print(&error.render().ansi().to_string());
    ExitCode::SUCCESS
}

fn end(fail: &Fail) -> ExitCode {
    if let Some(text) = fail.text() {
        out::note(&format!("{}: {text}", out::styled(out::ERROR, "error")));
    }
    ExitCode::from(fail.exit_code())
}
