//! One operating-system process that outlives us, recognised again by pid and start time.
//!
//! Linux only: it reads `/proc`. A pid alone is not enough, since pids are reused; the start time that
//! the kernel records makes the pair unique, so that nothing we did not start is ever signalled.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(20);

/// A process that we started, as remembered in its pid file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, as the kernel records it.
    pub start_ticks: u64,
}

/// What the kernel says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs (or waits for something).
    Running,
    /// It is stopped by a signal.
    Paused,
    /// It has ended, or the pid belongs to another process now.
    Gone,
}

/// The signals that the stack uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ask to end.
    Term,
    /// End at once.
    Kill,
    /// Pause.
    Stop,
    /// Go on.
    Cont,
}

impl Process {
    /// Starts a program in a session of its own, without stdin, its output appended to `log`.
    pub fn spawn(command: &Command, log: &Path) -> Result<Process> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the log {}", log.display()))?;
        let errors = output.try_clone().context("sharing the log between stdout and stderr")?;
        let mut session = Command::new("setsid");
        session.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            session.current_dir(dir);
        }
        let mut child = session
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .context("starting setsid (Debian package util-linux)")?;
        let pid = child.id();
        let start_ticks = read_stat(pid)
            .map(|(_, ticks)| ticks)
            .with_context(|| format!("reading /proc/{pid}/stat of the process just started"))?;
        // As long as this process lives it is the parent: take the exit code, so that no zombie is left behind.
        thread::spawn(move || child.wait());
        Ok(Process { pid, start_ticks })
    }

    /// What the kernel says about it now.
    pub fn life(&self) -> Life {
        match read_stat(self.pid) {
            Some((state, ticks)) if ticks == self.start_ticks => match state {
                'Z' | 'X' => Life::Gone,
                'T' | 't' => Life::Paused,
                _ => Life::Running,
            },
            _ => Life::Gone,
        }
    }

    /// Sends a signal, unless the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.life() == Life::Gone {
            return Ok(());
        }
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        };
        // The shell's own kill: neither unsafe code nor the procps package is needed.
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.pid.to_string()])
            .stderr(Stdio::null())
            .status()
            .context("starting sh to send a signal")?;
        if !status.success() && self.life() != Life::Gone {
            bail!("sending SIG{name} to pid {} was refused; does it belong to another user?", self.pid);
        }
        Ok(())
    }

    /// Waits until `wanted` holds; false when `limit` has passed before.
    pub fn wait_until(&self, wanted: Life, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.life() != wanted {
            if begun.elapsed() > limit {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Ends it: by SIGTERM and, when that took longer than `grace`, by SIGKILL. A grace of zero kills at once.
    pub fn end(&self, grace: Duration) -> Result<()> {
        const KILL_LIMIT: Duration = Duration::from_secs(10);
        if !grace.is_zero() {
            self.signal(Signal::Term)?;
            // A paused process sees SIGTERM only when it goes on.
            self.signal(Signal::Cont)?;
            if self.wait_until(Life::Gone, grace) {
                return Ok(());
            }
        }
        self.signal(Signal::Kill)?;
        if !self.wait_until(Life::Gone, KILL_LIMIT) {
            bail!(
                "pid {} is still there {} s after SIGKILL; it hangs in the kernel (a dead disk or network file system?)",
                self.pid,
                KILL_LIMIT.as_secs()
            );
        }
        Ok(())
    }
}

/// State letter and start time of a process.
fn read_stat(pid: u32) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name, in parentheses, may itself hold blanks and parentheses: what counts is after the last one.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    const START_TIME_AFTER_NAME: usize = 19;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some((fields.first()?.chars().next()?, fields.get(START_TIME_AFTER_NAME)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn sleeper(dir: &Path) -> Process {
        let mut command = Command::new("sleep");
        command.arg("600");
        Process::spawn(&command, &dir.join("log")).unwrap()
    }

    #[test]
    fn stat_is_read_behind_the_last_parenthesis() {
        let text = "42 (a) b (c)) T 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0";
        assert_eq!(parse_stat(text), Some(('T', 987654)));
        assert_eq!(parse_stat("42 (cut"), None);
    }

    #[test]
    fn a_process_is_paused_resumed_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        assert_eq!(process.life(), Life::Running);
        process.signal(Signal::Stop).unwrap();
        assert!(process.wait_until(Life::Paused, LIMIT));
        process.signal(Signal::Cont).unwrap();
        assert!(process.wait_until(Life::Running, LIMIT));
        process.signal(Signal::Stop).unwrap();
        process.end(LIMIT).unwrap();
        assert_eq!(process.life(), Life::Gone);
    }

    #[test]
    fn a_reused_pid_is_not_ours_and_is_not_signalled() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        let stranger = Process { pid: process.pid, start_ticks: process.start_ticks + 1 };
        assert_eq!(stranger.life(), Life::Gone);
        stranger.end(Duration::ZERO).unwrap();
        assert_eq!(process.life(), Life::Running);
        process.end(Duration::ZERO).unwrap();
    }
}
