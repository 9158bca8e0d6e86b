//! Runs the program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a run gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A command line of the program, with nothing of the caller's environment that it listens to.
pub fn espctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_espctl"));
    command
        .args(arguments)
        .env_remove("ESP_COORDINATOR")
        .env("ESP_WHO", "tester")
        .env_remove("ESP_CONTEXT")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE");
    command
}

pub fn run(arguments: &[&str]) -> Ran {
    ran(espctl(arguments).stdin(Stdio::null()).output().unwrap())
}

/// In a folder.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    ran(espctl(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap())
}

pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = espctl(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    ran(child.wait_with_output().unwrap())
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file in a folder that is gone after the test.
pub fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

pub const ORDERS: &str = r#"<project name="orders" pubsub="auto" threads="1">
  <contqueries>
    <contquery name="cq">
      <windows>
        <window-source name="in">
          <schema><fields><field name="id" type="int64" key="true"/><field name="v" type="double"/></fields></schema>
        </window-source>
        <window-copy name="out"/>
      </windows>
      <edges><edge source="in" target="out"/></edges>
    </contquery>
  </contqueries>
</project>
"#;
