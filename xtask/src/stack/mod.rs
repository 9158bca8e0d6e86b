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
mod control;
mod golang;
pub mod install;
mod launch;
mod part;
mod process;
mod ready;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

pub use self::control::{PartStatus, READY_LIMIT, STOP_GRACE, State, Stop};
use self::install::with_file_lock;
use self::launch::Folders;
pub use self::part::{BROKERS, Part, Ports};
pub use self::process::{Life, Process, Signal};
use crate::shell::{say, seconds};
use crate::workspace;

/// Environment variable that gives a second stack ports of its own.
pub const BASE_PORT: &str = "ESP_MESH_STACK_BASE_PORT";

/// One stack: a folder and the ports of its parts.
pub struct Stack {
    folders: Folders,
    ports: Ports,
}

impl Stack {
    /// The stack of this workspace. `base_port` (or `ESP_MESH_STACK_BASE_PORT`) matters only to a stack
    /// that is not up: one that is up keeps the ports it was started with.
    pub fn open(base_port: Option<u16>) -> Result<Self> {
        let folders = Folders::new(workspace::stack_dir()?);
        let wanted = match base_port {
            Some(base) => Some(Ports::from_base(base).with_context(|| {
                format!("base port {base} leaves no room for {} ports; choose a lower one", part::PORTS_PER_STACK)
            })?),
            None => None,
        };
        let file = folders.dir().join("stack.json");
        let recorded: Option<Ports> = match fs::read(&file) {
            Ok(bytes) => Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("reading {}; remove it if it is damaged", file.display()))?,
            ),
            Err(_) => None,
        };
        let mut stack = Stack { folders, ports: recorded.clone().or_else(|| wanted.clone()).unwrap_or_default() };
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
            Some(text) => Some(text.parse().with_context(|| format!("{BASE_PORT}={text} is not a port"))?),
            None => None,
        };
        let mut stack = Stack::open(base_port)?;
        if chosen.is_some() || stack.is_started()? || stack.ports.are_free() {
            return Ok(stack);
        }
        let free = (0..BASES)
            .filter_map(|step| Ports::from_base(FIRST_BASE + step * part::PORTS_PER_STACK))
            .find(Ports::are_free);
        stack.ports = free.with_context(|| {
            format!(
                "looked for {} free ports in a row from {FIRST_BASE} on and found none; choose some with {BASE_PORT}",
                part::PORTS_PER_STACK
            )
        })?;
        say(format_args!("stack: another stack holds the usual ports; taking {} and up", stack.ports.kafka[0]));
        Ok(stack)
    }

    /// The ports of the parts.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What tests and services need to know, as environment variables.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = self.ports.environment();
        all.push(("ESP_MESH_TLS", tls::folder(self.dir()).display().to_string()));
        all
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
            self.record_ports()?;
            // before the parts start side by side: each of them would make them
            tls::Certificates::of(self.dir())?;
            let started: Vec<Result<Option<Part>>> = thread::scope(|scope| {
                let threads = Part::ALL.map(|part| scope.spawn(move || self.bring_up(part)));
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread of `stack up` panicked"))))
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
            self.wait("the Kafka cluster", READY_LIMIT, || ready::cluster_is_complete(&self.ports))?;
            say(format_args!("stack: up after {}", seconds(begun.elapsed())));
            Ok(parts)
        })
    }

    /// Remembers the ports, so that later commands need not be told them again.
    fn record_ports(&self) -> Result<()> {
        self.folders.create()?;
        let file = self.folders.dir().join("stack.json");
        fs::write(&file, serde_json::to_vec_pretty(&self.ports)?).with_context(|| format!("writing {}", file.display()))
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
            let how = if keep_data { Stop::Gracefully } else { Stop::Kill };
            let ended: Vec<Result<bool>> = thread::scope(|scope| {
                let threads = Part::ALL.map(|part| scope.spawn(move || self.stop(part, how)));
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread of `stack down` panicked"))))
                    .collect()
            });
            let count = ended.into_iter().collect::<Result<Vec<bool>>>()?.into_iter().filter(|ended| *ended).count();
            if !keep_data {
                for folder in ["data", "logs", "config", "pids", tls::FOLDER] {
                    let path = self.folders.dir().join(folder);
                    if path.exists() {
                        fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
                    }
                }
                let file = self.folders.dir().join("stack.json");
                if file.exists() {
                    fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
                }
            }
            Ok(count)
        })
    }
}
