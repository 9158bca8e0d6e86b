//! Docker and its compose plugin as this machine has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{say, show, which};

/// Public images that docker-compose.yml and the Dockerfile name.
const IMAGES: [&str; 6] = [
    "apache/kafka:4.1.1",
    "zookeeper:3.9",
    "quay.io/coreos/etcd:v3.6.16",
    "jaegertracing/all-in-one:1.62.0",
    "rust:1.95-slim-bookworm",
    "debian:bookworm-slim",
];
/// How long one image may take to be pulled.
const PULL_SECONDS: &str = "300";
/// How often the health of everything is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Whether Docker, its compose plugin and every image are there or can be had; else why not.
pub fn usable() -> Result<()> {
    ensure!(which("docker", &[]).is_some(), "there is no `docker` on PATH");
    output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
        .context("no Docker engine answers")?;
    output(Command::new("docker").args(["compose", "version", "--short"]))
        .context("the docker client has no compose plugin")?;
    for image in IMAGES {
        let there = output(Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", image])).is_ok();
        if !there {
            say(format_args!("pulling {image}"));
            output(Command::new("timeout").args([PULL_SECONDS, "docker", "pull", "--quiet", image]))
                .with_context(|| format!("the image {image} is neither here nor to be had"))?;
        }
    }
    Ok(())
}

/// The output of a command that succeeds; else an error that quotes what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let ended = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        bail!("{} ended with {}: {}", show(command), ended.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// One compose project.
pub struct Compose {
    root: PathBuf,
    project: &'static str,
    environment: Vec<(&'static str, String)>,
}

impl Compose {
    /// The project of docker-compose.yml in `root` under a name of its own.
    pub fn new(root: &Path, project: &'static str, environment: &[(&'static str, String)]) -> Self {
        Compose { root: root.to_owned(), project, environment: environment.to_vec() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .current_dir(&self.root)
            .args(["compose", "--ansi", "never", "--progress", "plain", "--project-name", self.project])
            .args(arguments)
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Runs `docker compose ...` to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<()> {
        self.output(arguments).map(|_| ())
    }

    /// The output of `docker compose ...`.
    pub fn output(&self, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(arguments))
    }

    /// The output of espctl in a container of its own.
    pub fn espctl(&self, arguments: &[&str]) -> Result<String> {
        self.output(&[&["--profile", "tools", "run", "--rm", "--no-deps", "-T", "espctl"], arguments].concat())
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    /// The services that `up` starts.
    pub fn services(&self) -> Result<Vec<String>> {
        Ok(self.output(&["config", "--services"])?.lines().map(str::to_owned).collect())
    }

    /// Waits until so many services are healthy, or have done what they were for, and none is otherwise.
    pub fn wait_healthy(&self, wanted: usize, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let states = self.states()?;
            let late: Vec<&State> = states.iter().filter(|state| !state.is_good()).collect();
            if states.len() >= wanted && late.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > limit {
                let late: Vec<String> = late.iter().map(|state| format!("{} {}", state.service, state.text)).collect();
                bail!(
                    "waited {limit:?} for {wanted} services to be healthy; {} are there; not yet: {}",
                    states.len(),
                    late.join(", ")
                );
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Waits until one service is healthy.
    pub fn wait_service(&self, service: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let state = self.states()?.into_iter().find(|state| state.service == service);
            if state.as_ref().is_some_and(State::is_good) {
                return Ok(());
            }
            ensure!(begun.elapsed() < limit, "waited {limit:?} for {service} to be healthy");
            std::thread::sleep(EVERY);
        }
    }

    fn states(&self) -> Result<Vec<State>> {
        let text = self.output(&["ps", "--all", "--format", "{{.Service}}\t{{.State}}\t{{.Health}}\t{{.ExitCode}}"])?;
        Ok(text.lines().filter_map(State::read).collect())
    }
}

/// How a container is.
#[derive(Debug, PartialEq, Eq)]
struct State {
    service: String,
    text: String,
    good: bool,
}

impl State {
    fn read(line: &str) -> Option<State> {
        let mut parts = line.split('\t');
        let (service, state, health, code) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // a publisher whose source has ended, or the deployment, has ended well
        let good = health == "healthy" && state == "running" || state == "exited" && code == "0";
        Some(State { service: service.to_owned(), text: format!("{state} {health} {code}"), good })
    }

    fn is_good(&self) -> bool {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_or_done_is_good() {
        let good = |line| State::read(line).unwrap().is_good();
        assert!(good("engine-1\trunning\thealthy\t0"));
        assert!(good("deploy\texited\t\t0"));
        assert!(!good("deploy\texited\t\t1"));
        assert!(!good("engine-1\trunning\tstarting\t0"));
        assert!(!good("engine-1\tpaused\thealthy\t0"));
        assert_eq!(State::read("nothing"), None);
    }
}
