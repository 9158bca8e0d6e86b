//! `cargo xtask first-minutes`: the commands of "The first ten minutes" in docs/OPERATIONS.md, taken from its text and run
//! one after the other, recorded with what they print. The text is tried this way, and the record is what a reader sees.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::json;

use super::docker::{self, Compose};
use super::faults::Mesh;
use super::{HEALTHY_LIMIT, PROJECT, TRACE_LIMIT, tenths};
use crate::shell::{say, seconds};
use crate::workspace;

/// Where the text is.
const SECTION: &str = "## The first ten minutes\n";
/// What a reader takes to look at an answer.
const READING: Duration = Duration::from_secs(2);
/// `docker compose exec` and `run` want a terminal unless they are told that there is none.
const SHELL: &str = r#"
docker() {
    if [ "$1 $2" = "compose exec" ]; then shift 2; command docker compose exec -T "$@"; else command docker "$@"; fi
}
espctl() { command docker compose run --rm --no-deps -T espctl "$@"; }
"#;

/// Arguments of `cargo xtask first-minutes`.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// Use the images that are there
    #[arg(long)]
    no_build: bool,
    /// Fail, instead of skipping, where Docker or an image is missing
    #[arg(long)]
    require: bool,
    /// Where the record goes
    #[arg(long, default_value = "docs/logs/first-ten-minutes.txt")]
    record: PathBuf,
}

/// Runs the commands; true if every one did what it should.
pub fn run(args: &SessionArgs) -> Result<bool> {
    let root = workspace::root()?;
    let text = fs::read_to_string(root.join("docs/OPERATIONS.md")).context("reading docs/OPERATIONS.md")?;
    let commands = commands(&text)?;
    if let Err(why) = docker::usable() {
        ensure!(!args.require, "first-minutes: {why:#}");
        say(format_args!("first-minutes: skipped: {why:#}"));
        return Ok(true);
    }
    let compose = Compose::new(&root, PROJECT, &[]);
    compose.run(&["--profile", "tools", "down", "--volumes", "--timeout", "1"])?;
    let mut session = Session { compose: &compose, args, stands_for: BTreeMap::new(), record: String::new() };
    let begun = Instant::now();
    let ended = commands.iter().try_for_each(|command| session.step(command));
    let took = begun.elapsed();
    let record = session.record;
    compose.run(&["--profile", "tools", "down", "--volumes", "--timeout", "15"])?;
    ended?;
    let head =
        format!("# cargo xtask first-minutes: {} commands of docs/OPERATIONS.md, {}\n", commands.len(), seconds(took));
    let path = root.join(&args.record);
    fs::write(&path, head + &record).with_context(|| format!("writing {}", path.display()))?;
    println!("RESULT {}", json!({"name": "first-minutes", "commands": commands.len(), "seconds": tenths(took)}));
    Ok(true)
}

/// The lines of the code blocks of the section, up to its first subsection.
fn commands(text: &str) -> Result<Vec<String>> {
    let (_, section) =
        text.split_once(SECTION).with_context(|| format!("docs/OPERATIONS.md has no `{}`", SECTION.trim()))?;
    let section = section.split("\n#").next().unwrap_or_default();
    let blocks = section.split("```").skip(1).step_by(2);
    let commands: Vec<String> =
        blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    ensure!(!commands.is_empty(), "`{}` of docs/OPERATIONS.md has no commands", SECTION.trim());
    Ok(commands)
}

struct Session<'a> {
    compose: &'a Compose,
    args: &'a SessionArgs,
    /// The text breaks an engine by a name, "yours may be another": the one that really led.
    stands_for: BTreeMap<String, &'static str>,
    record: String,
}

impl Session<'_> {
    fn step(&mut self, command: &str) -> Result<()> {
        let command = self.as_it_is_here(command)?;
        let begun = Instant::now();
        let said = loop {
            match self.execute(&command) {
                Ok(said) => break said,
                // a collector takes seconds until it has a trace
                Err(_) if command.starts_with("espctl trace") && begun.elapsed() < TRACE_LIMIT => {
                    std::thread::sleep(READING)
                }
                Err(error) => return Err(error),
            }
        };
        let _ = write!(self.record, "\n$ {command}\n{said}");
        say(format_args!("$ {command}\n{}", said.trim_end()));
        if command.starts_with("docker compose up") {
            self.compose.wait_healthy(self.compose.services()?.len(), HEALTHY_LIMIT)?;
        }
        std::thread::sleep(READING);
        Ok(())
    }

    /// The command for this mesh: the engine that leads in the place of the one in the text, and images as they are.
    fn as_it_is_here(&mut self, command: &str) -> Result<String> {
        if self.args.no_build && command.starts_with("docker compose up") {
            return Ok(command.replace("--build", "--no-build"));
        }
        let words: Vec<&str> = command.split(' ').collect();
        let ["docker", "compose", verb, engine] = words[..] else { return Ok(command.to_owned()) };
        if !engine.starts_with("engine-") {
            return Ok(command.to_owned());
        }
        if matches!(verb, "kill" | "pause") {
            let active = Mesh::of(self.compose)?.active(None)?;
            self.stands_for.insert(engine.to_owned(), active);
        }
        let here = self.stands_for.get(engine).copied().unwrap_or(engine);
        Ok(format!("docker compose {verb} {here}"))
    }

    fn execute(&self, command: &str) -> Result<String> {
        let output = Command::new("bash")
            .arg("-c")
            .arg(format!("{SHELL}\nexec 2>&1\n{command}"))
            .env("COMPOSE_PROJECT_NAME", PROJECT)
            .env("COMPOSE_PROGRESS", "quiet")
            .current_dir(workspace::root()?)
            .stdin(Stdio::null())
            .output()
            .context("starting bash")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("`{command}` of docs/OPERATIONS.md ended with {}:\n{said}", output.status);
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_what_a_reader_does() {
        let text = fs::read_to_string(workspace::root().unwrap().join("docs/OPERATIONS.md")).unwrap();
        let commands = commands(&text).unwrap();
        assert!(commands[0].starts_with("docker compose up"), "{commands:?}");
        for word in ["kill", "pause", "promote", "trace"] {
            assert!(commands.iter().any(|command| command.contains(word)), "{word} in {commands:?}");
        }
    }
}
