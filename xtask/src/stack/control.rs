//! Single parts: start, stop, pause, resume, and how they are doing.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use super::install::Installer;
use super::process::{Life, Process, Signal};
use super::{BASE_PORT, Part, Stack, launch, ready};
use crate::shell::{say, seconds, tail};
use crate::workspace;

/// How long a part may take to answer after its start: 5 to 10 s alone, a minute beside a compiler on two cores.
pub const READY_LIMIT: Duration = Duration::from_secs(300);
/// How long a part gets to end by itself after SIGTERM.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
const FREE_PORT_LIMIT: Duration = Duration::from_secs(5);

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
    /// Starts one part and waits until it answers; an error if it runs already.
    pub fn start(&self, part: Part) -> Result<()> {
        if let (Some(process), State::Up | State::Silent | State::Paused) = self.state(part)? {
            bail!("asked to start {part}, which runs already (pid {})", process.pid);
        }
        self.record_ports()?;
        let command = launch::prepare(part, &self.ports, &self.folders, &Installer::new(workspace::cache_dir()?)?)?;
        self.check_port_is_free(part)?;
        let begun = Instant::now();
        let process = Process::spawn(&command, &self.log(part))?;
        let file = self.folders.pid(part);
        fs::write(&file, serde_json::to_vec(&process)?).with_context(|| format!("writing {}", file.display()))?;
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
        process.end(grace).with_context(|| format!("ending {part}"))?;
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
        let process = self.process(part)?.filter(|process| process.life() != Life::Gone);
        let process = process.with_context(|| {
            format!("asked for a {signal:?} signal to {part}, which does not run; `cargo xtask stack start {part}`")
        })?;
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
            let gone = self.process(part)?.is_none_or(|process| process.life() == Life::Gone);
            let answer = ready::probe(part, &self.ports);
            if gone {
                return Err(anyhow!(Ended));
            }
            answer
        })
        .with_context(|| format!("the end of {}:\n{}", self.log(part).display(), tail(&self.log(part))))
    }

    pub(super) fn wait(&self, what: &str, limit: Duration, mut probe: impl FnMut() -> Result<()>) -> Result<()> {
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
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread of `stack status` panicked"))))
                .collect()
        })
    }

    /// Whether every part is up.
    pub fn is_up(&self) -> Result<bool> {
        Ok(self.status()?.iter().all(|row| row.state == State::Up))
    }

    /// Whether any part that this stack started is still there.
    pub fn is_started(&self) -> Result<bool> {
        for part in Part::ALL {
            if self.process(part)?.is_some_and(|process| process.life() != Life::Gone) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The recorded process of a part, which may have ended since.
    pub fn process(&self, part: Part) -> Result<Option<Process>> {
        let file = self.folders.pid(part);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("reading {}; remove it if it is damaged", file.display()))?,
            )),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn state(&self, part: Part) -> Result<(Option<Process>, State)> {
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
