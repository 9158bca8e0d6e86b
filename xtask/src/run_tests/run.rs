//! Runs test binaries: output streamed and read on the way, under a time limit.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::build::TestBinary;
use super::report::{Outcome, Report, parse_failure, parse_result_line};
use crate::layers::graph::cargo;
use crate::shell::say;

/// Longest time that one test binary may take; the longest real one is the end-to-end suite.
const BINARY_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Lines between the reader of the pipe and us.
const LINES_QUEUED: usize = 1024;
const POLL: Duration = Duration::from_millis(100);
/// How long output may still come after the process has ended (from processes that it left behind).
const DRAIN: Duration = Duration::from_millis(500);

/// Runs one test binary as `cargo test` would.
pub fn binary(
    binary: &TestBinary,
    args: &[String],
    environment: &[(&'static str, impl AsRef<OsStr>)],
    report: &mut Report,
) -> Result<()> {
    say(format_args!("\n== {} :: {}", binary.package, binary.target));
    let mut command = Command::new(&binary.executable);
    command
        .current_dir(&binary.dir)
        .env("CARGO_MANIFEST_DIR", &binary.dir)
        .env("CARGO_PKG_NAME", &binary.package)
        .args(args);
    // Without a stack the contract tests must not find one by accident.
    for name in
        ["ESP_MESH_KAFKA", "ESP_MESH_ZOOKEEPER", "ESP_MESH_ETCD", "ESP_MESH_JAEGER", "ESP_MESH_OTLP", "ESP_MESH_BIN"]
    {
        command.env_remove(name);
    }
    for (name, value) in environment {
        command.env(name, value);
    }
    report.add(&binary.package, &binary.target, run(command, BINARY_LIMIT)?);
    Ok(())
}

/// Runs the examples in the documentation of these packages.
pub fn documentation(packages: &[&str], report: &mut Report) -> Result<()> {
    say("\n== documentation tests");
    let mut command = cargo();
    command.current_dir(crate::workspace::root()?).args(["test", "--doc", "--no-fail-fast"]);
    for package in packages {
        command.args(["-p", package]);
    }
    report.add("documentation", "examples", run(command, BINARY_LIMIT)?);
    Ok(())
}

fn run(mut command: Command, limit: Duration) -> Result<Outcome> {
    let begun = Instant::now();
    let (reader, writer) = std::io::pipe().context("creating a pipe")?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("sharing the pipe between stdout and stderr")?)
        .stderr(writer);
    // In a group of its own everything it left behind can be ended with it; at a terminal Ctrl-C must reach it instead.
    let own_group = !std::io::stdin().is_terminal();
    if own_group {
        command.process_group(0);
    }
    let program = command.get_program().to_owned();
    let child = command.spawn().with_context(|| format!("starting {}", Path::new(&program).display()))?;
    drop(command); // it holds the pipe's other end
    let (sender, lines) = sync_channel(LINES_QUEUED);
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut outcome = Outcome::default();
    outcome.success = follow(child, &lines, limit, own_group, &mut outcome)?;
    outcome.counts.time = begun.elapsed();
    Ok(outcome)
}

/// Prints and reads lines until the process has ended and its output has dried up.
fn follow(
    mut child: Child,
    lines: &Receiver<String>,
    limit: Duration,
    own_group: bool,
    outcome: &mut Outcome,
) -> Result<bool> {
    let begun = Instant::now();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                println!("{line}");
                if let Some(counts) = parse_result_line(&line) {
                    outcome.counts.passed += counts.passed;
                    outcome.counts.failed += counts.failed;
                    outcome.counts.ignored += counts.ignored;
                }
                outcome.failures.extend(parse_failure(&line).map(str::to_owned));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(child.wait().context("waiting for a test binary")?.success());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ended.is_none() {
            ended = child.try_wait().context("asking after a test binary")?.map(|status| (status, Instant::now()));
        }
        if let Some((status, at)) = ended
            && at.elapsed() > DRAIN
        {
            return Ok(status.success());
        }
        if ended.is_none() && begun.elapsed() > limit {
            say(format_args!("error: not finished after {} s; killing it", limit.as_secs()));
            end(&mut child, own_group)?;
            return Ok(false);
        }
    }
}

fn end(child: &mut Child, own_group: bool) -> Result<()> {
    if own_group {
        let group = format!("-{}", child.id());
        Command::new("sh")
            .args(["-c", "kill -s KILL -- \"$0\"", &group])
            .status()
            .context("starting sh to end a group of processes")?;
    } else {
        child.kill().context("ending a test binary")?;
    }
    child.wait().context("waiting for a test binary")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, limit).unwrap()
    }

    #[test]
    fn output_of_both_streams_is_counted() {
        let script = "echo 'test a::b ... FAILED' >&2; echo 'test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured'; exit 101";
        let outcome = shell(script, BINARY_LIMIT);
        assert!(!outcome.success);
        assert_eq!((outcome.counts.passed, outcome.counts.failed), (4, 1));
        assert_eq!(outcome.failures, ["a::b"]);
    }

    #[test]
    fn a_process_left_behind_does_not_hold_us_up() {
        let begun = Instant::now();
        assert!(shell("sleep 20 & echo started", BINARY_LIMIT).success);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_hanging_binary_is_killed_at_its_limit() {
        let begun = Instant::now();
        assert!(!shell("sleep 30", Duration::from_millis(200)).success);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
