//! The command-line tool of esp-mesh.

use std::process::ExitCode;

fn main() -> ExitCode {
    espctl::main(std::env::args_os())
}
