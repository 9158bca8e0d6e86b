//! `cargo xtask compose-test`: the mesh of docker-compose.yml as a user has it, built, broken and compared with one engine
//! that never failed.
//!
//! [`docker`] runs Docker; [`faults`] breaks things and waits for the output to go on; [`compare`] judges what came out;
//! [`session`] does what docs/OPERATIONS.md says.
//!
//! Invariants: only containers of the project [`PROJECT`] are touched; every wait has a limit; without Docker or the
//! images it says so and is skipped, unless `--require` is given.

pub mod compare;
mod docker;
mod faults;
pub mod session;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;

use self::compare::Verdict;
use self::docker::Compose;
use self::faults::Mesh;
use crate::shell::{say, seconds, timed};
use crate::workspace;

/// The Docker project of the test, so that a mesh of the user's own is left alone.
const PROJECT: &str = "esp-mesh-test";
/// How long everything may take to be healthy, on a machine that is busy.
const HEALTHY_LIMIT: Duration = Duration::from_secs(420);
/// How long the output may take to be complete after the last fault.
const COMPLETE_LIMIT: Duration = Duration::from_secs(300);
/// How long Jaeger may take to have a whole trace.
const TRACE_LIMIT: Duration = Duration::from_secs(60);
/// Anything doubled would come within this time of the last line.
const SETTLE: Duration = Duration::from_secs(3);
/// What the publishers are told beside the place, as in docker-compose.yml; a test compares the two.
const LINE: &str =
    "header=1,addcsvopcode=true,addcsvflags=normal,noautogenfield=true,naisnull=true,dateformat=%Y-%m-%dT%H:%M:%SZ,";
/// The services that a block passes.
const ON_THE_WAY: &str = "esp-publisher-adapter,esp-engine,esp-subscriber-adapter";

/// Arguments of `cargo xtask compose-test`.
#[derive(Debug, Args)]
pub struct ComposeArgs {
    /// Events a second
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(50..=20_000))]
    rate: u32,
    /// Use the images that are there
    #[arg(long)]
    no_build: bool,
    /// Fail, instead of skipping, where Docker or an image is missing
    #[arg(long)]
    require: bool,
    /// Leave the mesh running, to look around
    #[arg(long)]
    keep: bool,
}

/// Builds, starts, breaks, compares; true if nothing was lost, doubled or reordered.
pub fn run(args: &ComposeArgs) -> Result<bool> {
    let root = workspace::root()?;
    let compose = Compose::new(
        &root,
        PROJECT,
        &[
            ("WEATHER_RATE", args.rate.to_string()),
            ("WEATHER_REPEAT", "0".to_owned()),
            ("TRACE_RATIO", "0.1".to_owned()),
        ],
    );
    if let Err(why) = docker::usable() {
        ensure!(!args.require, "compose-test: {why:#}");
        say(format_args!("compose-test: skipped: {why:#}"));
        println!("RESULT {}", json!({"name": "compose", "skipped": format!("{why:#}")}));
        return Ok(true);
    }
    if !args.no_build {
        timed("images", || compose.run(&["build"]))?;
    }
    let ended = test(&compose);
    if let Err(error) = &ended {
        say(format_args!("compose-test: FAILED: {error:#}"));
        for line in compose.output(&["ps", "--all"]).unwrap_or_default().lines() {
            say(line);
        }
    }
    if args.keep {
        say(format_args!("the mesh stays up; end it with: docker compose --project-name {PROJECT} down --volumes"));
    } else {
        timed("down", || compose.run(&["--profile", "tools", "down", "--volumes", "--timeout", "15"]))?;
    }
    ended
}

fn test(compose: &Compose) -> Result<bool> {
    let begun = Instant::now();
    // what an interrupted run has left would be compared too
    compose.run(&["--profile", "tools", "down", "--volumes", "--timeout", "1"])?;
    let up = Instant::now();
    let services = compose.services()?;
    // The publishers last: on a busy machine the source would end before everything else is there to be broken.
    let others = services.iter().map(String::as_str).filter(|service| !service.starts_with("publisher-"));
    let start = ["up", "--detach", "--no-build", "--quiet-pull"];
    let others: Vec<&str> = start.into_iter().chain(others).collect();
    compose.run(&others)?;
    compose.wait_healthy(others.len() - start.len(), HEALTHY_LIMIT)?;
    compose.run(&start)?;
    compose.wait_healthy(services.len(), HEALTHY_LIMIT)?;
    let services = services.len();
    let healthy = up.elapsed();
    say(format_args!("{services} services healthy after {}", seconds(healthy)));

    let mesh = Mesh::of(compose)?;
    mesh.wait_flow("the first output")?;
    let kills = faults::all(&mesh)?;

    say("waiting for the rest of the observations");
    let expected = expected(compose)?;
    let lines = expected.lines().count();
    mesh.wait_lines(lines, COMPLETE_LIMIT)?;
    std::thread::sleep(SETTLE);
    let verdict = Verdict::of(&expected, &mesh.report()?);
    say(format_args!("{lines} lines expected: {verdict}"));

    for command in [&["status"][..], &["history", "weather"]] {
        say(format_args!("$ espctl {}", command.join(" ")));
        say(compose.espctl(command)?.trim_end());
    }
    let spans = trace(compose)?;
    let result = json!({
        "name": "compose", "services": services, "healthy_s": tenths(healthy), "kills": kills,
        "events": lines, "lost": verdict.lost, "doubled": verdict.doubled, "reordered": verdict.reordered,
        "foreign": verdict.foreign, "trace_spans": spans, "seconds": tenths(begun.elapsed()),
    });
    println!("RESULT {result}");
    Ok(verdict.is_good())
}

/// What one engine puts out that never failed, computed in one process by the same image's espctl.
fn expected(compose: &Compose) -> Result<String> {
    let line = format!("{LINE}blocksize=16");
    let file = ["dev", "/examples/weather/project.xml", "--input", "/examples/weather/weather.csv.gz", "-C", &line];
    compose.espctl(&file)
}

/// Asks Jaeger for one block's way through all services, shows it, and counts its spans.
fn trace(compose: &Compose) -> Result<usize> {
    let command = ["trace", "--jaeger", "jaeger:16686", "--through", ON_THE_WAY];
    let begun = Instant::now();
    let tree = loop {
        match compose.espctl(&command) {
            Ok(tree) => break tree,
            Err(error) if begun.elapsed() > TRACE_LIMIT => return Err(error.context("a trace over all services")),
            Err(_) => std::thread::sleep(Duration::from_secs(2)),
        }
    };
    say(format_args!("$ espctl {}", command.join(" ")));
    say(tree.trim_end());
    let found = compose.espctl(&[&command[..], &["--json"]].concat())?;
    let found: serde_json::Value = serde_json::from_str(&found).context("reading the trace as JSON")?;
    Ok(found["spans"].as_array().context("a trace has spans")?.len())
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// Runs `docker` with a limit by its own client; the output as text.
fn docker(arguments: &[&str]) -> Result<String> {
    docker::output(Command::new("docker").args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_reads_the_file_as_the_publishers_do() {
        let file = std::fs::read_to_string(workspace::root().unwrap().join("docker-compose.yml")).unwrap();
        let one_line = file.replace("\\\n", "").split_whitespace().collect::<String>();
        assert!(one_line.contains(LINE), "{LINE}");
        assert!(one_line.contains("blocksize=${WEATHER_BLOCK:-16}"));
    }

    /// The alias picks the adapter by the direction, however it is written, and passes everything on.
    #[test]
    fn the_old_name_of_the_adapter_starts_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("dfesp_fs_adapter");
        std::fs::copy(workspace::root().unwrap().join("deploy/dfesp_fs_adapter"), &script).unwrap();
        for name in ["esp-publisher-adapter", "esp-subscriber-adapter"] {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho {name} \"$#\"\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        }
        let run = |arguments: &[&str]| Command::new("sh").arg(&script).args(arguments).output().unwrap();
        let said = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).unwrap();
        assert_eq!(said(&["-C", "url=dfESP://h:1/p/q/w, type = pub,fsname=a b.csv"]), "esp-publisher-adapter 2\n");
        assert_eq!(said(&["-C", "type=\"sub\",fsname=type=pub"]), "esp-subscriber-adapter 2\n");
        assert_eq!(said(&["-k", "sub", "-f", "out.csv"]), "esp-subscriber-adapter 4\n");
        assert_eq!(said(&["-f", "in.csv", "-k", "pub"]), "esp-publisher-adapter 4\n");
        let refused = run(&["-f", "in.csv"]);
        assert_eq!(refused.status.code(), Some(64));
        assert!(String::from_utf8(refused.stderr).unwrap().contains("expected `-C type=pub"), "names the way out");
    }
}
