//! `espctl completions`: the script that a shell completes this command line with.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::fail::Fail;
use crate::out;

/// Prints the script.
pub fn run(shell: Shell) -> Result<(), Fail> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "espctl", &mut script);
    Ok(out::bytes(&script)?)
}
