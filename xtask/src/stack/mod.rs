//! The real stack on loopback: three Kafka brokers, ZooKeeper, etcd and Jaeger, as processes that outlive us.
//!
//! [`Stack`] is used by `cargo xtask stack`, by `cargo xtask test`, and by the end-to-end tests, which
//! kill, pause and restart single parts. Everything lies in one folder (`target/stack`):
//! `stack.json` (the ports), `pids/`, `data/`, `logs/`, `config/`.
//!
//! Invariants: only processes recorded in `pids/` are ever signalled, and only while pid and start time
//! match; `up` and `down` exclude each other by a file lock; a part counts as up only after it has
//! answered a question in its own protocol.

pub mod cli;
pub mod install;
mod launch;
mod part;
mod process;
mod ready;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use self::install::{Installer, with_file_lock};
use self::launch::Folders;
pub use self::part::{BROKERS, Part, Ports};
pub use self::process::{Life, Process, Signal};
use crate::shell::{say, seconds, tail};
use crate::workspace;

/// Environment variable that gives a second stack ports of its own.
pub const BASE_PORT: &str = "ESP_MESH_STACK_BASE_PORT";
/// How long a part may take to answer after its start.
pub const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long a part gets to end by itself after SIGTERM.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
const FREE_PORT_LIMIT: Duration = Duration::from_secs(5);

/// One stack: a folder and the ports of its parts.
pub struct Stack {
    folders: Folders,
    ports: Ports,
}

/// How a part is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs and answers.
    Up,
    /// It runs but does not answer (yet).
    Silent,
    /// It is stopped by a signal; resume it.
    Paused,
    /// It was started and has ended without being told to.
    Dead,
    /// It is not started.
    Stopped,
}

/// One row of the status table; also its JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartStatus {
    /// Name of the part.
    pub name: String,
    /// Its pid, while it is recorded as started.
    pub pid: Option<u32>,
    /// Where it serves its clients.
    pub address: String,
    /// How it is doing.
    pub state: State,
    /// Its log file.
    pub log: PathBuf,
}

/// How to stop a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM, then SIGKILL after [`STOP_GRACE`].
    Gracefully,
    /// SIGKILL at once.
    Kill,
}

impl Stack {
    /// The stack of this workspace. `base_port` (or `ESP_MESH_STACK_BASE_PORT`) matters only to a stack
    /// that is not up: one that is up keeps the ports it was started with.
    pub fn open(base_port: Option<u16>) -> Result<Self> {
        let folders = Folders::new(workspace::stack_dir()?);
        let wanted = match base_port {
            Some(base) => Some(Ports::from_base(base).with_context(|| {
                format!(
                    "base port {base} leaves no room for {} ports; choose a lower one",
                    part::PORTS_PER_STACK
                )
            })?),
            None => None,
        };
        let file = folders.dir().join("stack.json");
        let recorded: Option<Ports> = match fs::read(&file) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).with_context(|| {
                format!("reading {}; remove it if it is damaged", file.display())
            })?),
            Err(_) => None,
        };
        let mut stack = Stack {
            folders,
            ports: recorded
                .clone()
                .or_else(|| wanted.clone())
                .unwrap_or_default(),
        };
        if let (Some(recorded), Some(wanted)) = (recorded, wanted)
            && recorded != wanted
        {
            if stack.is_started()? {
                bail!(
                    "asked for ports from {}, but the stack in {} runs with its own from {}; end it with `cargo xtask stack down`, or set {} for a second one",
                    wanted.kafka[0],
                    stack.folders.dir().display(),
                    recorded.kafka[0],
                    workspace::STACK_DIR
                );
            }
            stack.ports = wanted;
        }
        Ok(stack)
    }

    /// The stack for a test run: as [`Stack::open`], but when nothing is started, no port was chosen and strangers
    /// hold the default ports (a stack of another clone, say), it takes free ones and says so.
    pub fn open_for_tests() -> Result<Self> {
        const FIRST_BASE: u16 = 21_000;
        const BASES: u16 = 100;
        let chosen = std::env::var(BASE_PORT).ok();
        let base_port = match &chosen {
            Some(text) => Some(
                text.parse()
                    .with_context(|| format!("{BASE_PORT}={text} is not a port"))?,
            ),
            None => None,
        };
        let mut stack = Stack::open(base_port)?;
        if chosen.is_some() || stack.is_started()? || stack.ports.are_free() {
            return Ok(stack);
        }
        let free = (0..BASES)
            .filter_map(|step| Ports::from_base(FIRST_BASE + step * part::PORTS_PER_STACK))
            .find(Ports::are_free);
        stack.ports = free.with_context(|| format!("looked for {} free ports in a row from {FIRST_BASE} on and found none; choose some with {BASE_PORT}", part::PORTS_PER_STACK))?;
        say(format_args!(
            "stack: another stack holds the usual ports; taking {} and up",
            stack.ports.kafka[0]
        ));
        Ok(stack)
    }

    /// The ports of the parts.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The folder of data, logs and pids.
    pub fn dir(&self) -> &Path {
        self.folders.dir()
    }

    /// The log file of a part.
    pub fn log(&self, part: Part) -> PathBuf {
        self.folders.log(part)
    }

    /// Starts every part that is not up, in parallel, and waits until all answer; returns the parts it started.
    pub fn up(&self) -> Result<Vec<Part>> {
        self.folders.create()?;
        with_file_lock(&self.folders.dir().join("lock"), || {
            let begun = Instant::now();
            let file = self.folders.dir().join("stack.json");
            fs::write(&file, serde_json::to_vec_pretty(&self.ports)?)
                .with_context(|| format!("writing {}", file.display()))?;
            let started: Vec<Result<Option<Part>>> = thread::scope(|scope| {
                let threads = Part::ALL.map(|part| scope.spawn(move || self.bring_up(part)));
                threads
                    .into_iter()
                    .map(|thread| {
                        thread
                            .join()
                            .unwrap_or_else(|_| Err(anyhow!("a thread of `stack up` panicked")))
                    })
                    .collect()
            });
            let mut problems = Vec::new();
            let mut parts = Vec::new();
            for (part, result) in Part::ALL.into_iter().zip(started) {
                match result {
                    Ok(started) => parts.extend(started),
                    Err(error) => problems.push(format!("{part}: {error:#}")),
                }
            }
            if !problems.is_empty() {
                bail!(
                    "{} of {} parts of the stack did not come up:\n{}",
                    problems.len(),
                    Part::ALL.len(),
                    problems.join("\n")
                );
            }
            self.wait("the Kafka cluster", READY_LIMIT, || {
                ready::cluster_is_complete(&self.ports)
            })?;
            say(format_args!("stack: up after {}", seconds(begun.elapsed())));
            Ok(parts)
        })
    }

    fn bring_up(&self, part: Part) -> Result<Option<Part>> {
        match self.state(part)?.1 {
            State::Up => return Ok(None),
            State::Paused => {
                self.resume(part)?;
                self.wait_ready(part, READY_LIMIT)?;
                return Ok(None);
            }
            State::Silent => {
                self.wait_ready(part, READY_LIMIT)?;
                return Ok(None);
            }
            State::Dead => say(format_args!(
                "{part}: had ended unasked; starting it again (its log: {})",
                self.log(part).display()
            )),
            State::Stopped => {}
        }
        self.start(part)?;
        Ok(Some(part))
    }

    /// Ends every part at once; its data goes too unless `keep_data`. Returns the number of processes ended.
    pub fn down(&self, keep_data: bool) -> Result<usize> {
        if !self.folders.dir().is_dir() {
            return Ok(0);
        }
        with_file_lock(&self.folders.dir().join("lock"), || {
            // Data that is thrown away need not be flushed.
            let how = if keep_data {
                Stop::Gracefully
            } else {
                Stop::Kill
            };
            let ended: Vec<Result<bool>> = thread::scope(|scope| {
                let threads = Part::ALL.map(|part| scope.spawn(move || self.stop(part, how)));
                threads
                    .into_iter()
                    .map(|thread| {
                        thread
                            .join()
                            .unwrap_or_else(|_| Err(anyhow!("a thread of `stack down` panicked")))
                    })
                    .collect()
            });
            let count = ended
                .into_iter()
                .collect::<Result<Vec<bool>>>()?
                .into_iter()
                .filter(|ended| *ended)
                .count();
            if !keep_data {
                for folder in ["data", "logs", "config", "pids"] {
                    let path = self.folders.dir().join(folder);
                    if path.exists() {
                        fs::remove_dir_all(&path)
                            .with_context(|| format!("removing {}", path.display()))?;
                    }
                }
                let file = self.folders.dir().join("stack.json");
                if file.exists() {
                    fs::remove_file(&file)
                        .with_context(|| format!("removing {}", file.display()))?;
                }
            }
            Ok(count)
        })
    }

    /// Starts one part and waits until it answers; an error if it runs already.
    pub fn start(&self, part: Part) -> Result<()> {
        if let (Some(process), State::Up | State::Silent | State::Paused) = self.state(part)? {
            bail!(
                "asked to start {part}, which runs already (pid {})",
                process.pid
            );
        }
        let command = launch::prepare(
            part,
            &self.ports,
            &self.folders,
            &Installer::new(workspace::cache_dir()?)?,
        )?;
        self.check_port_is_free(part)?;
        let begun = Instant::now();
        let process = Process::spawn(&command, &self.log(part))?;
        let file = self.folders.pid(part);
        fs::write(&file, serde_json::to_vec(&process)?)
            .with_context(|| format!("writing {}", file.display()))?;
        self.wait_ready(part, READY_LIMIT)?;
        say(format_args!(
            "{part}: answers on {} after {} (pid {})",
            self.ports.address(part),
            seconds(begun.elapsed()),
            process.pid
        ));
        Ok(())
    }

    /// Ends one part; false if it did not run.
    pub fn stop(&self, part: Part, how: Stop) -> Result<bool> {
        let Some(process) = self.process(part)? else {
            return Ok(false);
        };
        let ran = process.life() != Life::Gone;
        let grace = match how {
            Stop::Gracefully => STOP_GRACE,
            Stop::Kill => Duration::ZERO,
        };
        process
            .end(grace)
            .with_context(|| format!("ending {part}"))?;
        let file = self.folders.pid(part);
        fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        Ok(ran)
    }

    /// Pauses one part (SIGSTOP) and waits until the kernel says so.
    pub fn pause(&self, part: Part) -> Result<()> {
        self.switch(part, Signal::Stop, Life::Paused)
    }

    /// Lets a paused part go on (SIGCONT).
    pub fn resume(&self, part: Part) -> Result<()> {
        self.switch(part, Signal::Cont, Life::Running)
    }

    fn switch(&self, part: Part, signal: Signal, wanted: Life) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(5);
        let process = self
            .process(part)?
            .filter(|process| process.life() != Life::Gone);
        let process = process.with_context(|| format!("asked for a {signal:?} signal to {part}, which does not run; `cargo xtask stack start {part}`"))?;
        process.signal(signal)?;
        if !process.wait_until(wanted, LIMIT) {
            bail!(
                "{part} (pid {}) got a {signal:?} signal but was not {wanted:?} within {} s",
                process.pid,
                LIMIT.as_secs()
            );
        }
        Ok(())
    }

    /// Waits until a part answers; an error at once if its process ends.
    pub fn wait_ready(&self, part: Part, limit: Duration) -> Result<()> {
        self.wait(&part.to_string(), limit, || {
            let gone = self
                .process(part)?
                .is_none_or(|process| process.life() == Life::Gone);
            let answer = ready::probe(part, &self.ports);
            if gone {
                return Err(anyhow!(Ended));
            }
            answer
        })
        .with_context(|| {
            format!(
                "the end of {}:\n{}",
                self.log(part).display(),
                tail(&self.log(part))
            )
        })
    }

    fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            match probe() {
                Ok(()) => return Ok(()),
                Err(error) if error.is::<Ended>() => bail!("{what} ended while starting"),
                Err(error) if begun.elapsed() > limit => {
                    return Err(error.context(format!("waited {} for {what}", seconds(limit))));
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// The table that `status` prints.
    pub fn status(&self) -> Result<Vec<PartStatus>> {
        let row = |part: Part| -> Result<PartStatus> {
            let (process, state) = self.state(part)?;
            Ok(PartStatus {
                name: part.to_string(),
                pid: process.map(|process| process.pid),
                address: self.ports.address(part),
                state,
                log: self.log(part),
            })
        };
        thread::scope(|scope| {
            let threads = Part::ALL.map(|part| scope.spawn(move || row(part)));
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(anyhow!("a thread of `stack status` panicked")))
                })
                .collect()
        })
    }

    /// Whether every part is up.
    pub fn is_up(&self) -> Result<bool> {
        Ok(self.status()?.iter().all(|row| row.state == State::Up))
    }

    fn is_started(&self) -> Result<bool> {
        for part in Part::ALL {
            if self
                .process(part)?
                .is_some_and(|process| process.life() != Life::Gone)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The recorded process of a part, which may have ended since.
    pub fn process(&self, part: Part) -> Result<Option<Process>> {
        let file = self.folders.pid(part);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| {
                format!("reading {}; remove it if it is damaged", file.display())
            })?)),
            Err(_) => Ok(None),
        }
    }

    fn state(&self, part: Part) -> Result<(Option<Process>, State)> {
        let process = self.process(part)?;
        let state = match process.as_ref().map(Process::life) {
            None => State::Stopped,
            Some(Life::Gone) => State::Dead,
            Some(Life::Paused) => State::Paused,
            Some(Life::Running) if ready::probe(part, &self.ports).is_ok() => State::Up,
            Some(Life::Running) => State::Silent,
        };
        Ok((process, state))
    }

    /// A part that was just killed may hold its port for a moment; somebody else's process holds it for longer.
    fn check_port_is_free(&self, part: Part) -> Result<()> {
        let address = self.ports.address(part);
        let begun = Instant::now();
        while std::net::TcpStream::connect(&address).is_ok() {
            if begun.elapsed() > FREE_PORT_LIMIT {
                bail!(
                    "{part} needs {address}, but a process that this stack did not start answers there; end it, or use other ports with --base-port or {BASE_PORT}"
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// The process of a part has ended while we waited for its answer.
#[derive(Debug)]
struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the process has ended")
    }
}

impl std::error::Error for Ended {}
