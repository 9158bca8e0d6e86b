//! One process of the mesh.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait_for;

/// A process; dropped, it is killed.
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts a program; stdout and stderr go to `<folder>/<name>.log`, appended over restarts.
    pub fn start(folder: &Path, name: &str, program: &Path, arguments: Vec<String>) -> Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let mut process = Process { name: name.to_owned(), program: program.to_owned(), arguments, log, child: None };
        process.restart()?;
        Ok(process)
    }

    /// Starts it again, with the same arguments.
    pub fn restart(&mut self) -> Result<()> {
        anyhow::ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it again as another program, with the same arguments.
    pub fn restart_as(&mut self, program: &Path) -> Result<()> {
        program.clone_into(&mut self.program);
        self.restart()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until the log holds a text.
    pub fn wait_log(&self, text: &str, limit: Duration) -> Result<()> {
        wait_for(&format!("`{text}` in the log of {}", self.name), limit, || self.log().contains(text).then_some(()))
    }

    /// Sends a signal, e.g. `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status()?;
        anyhow::ensure!(sent.success(), "kill -{signal} of {}", self.name);
        Ok(())
    }

    /// Kills it without warning and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// How it ended, if it ended by itself since the last question; then it may be started again.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten();
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// Waits until it ends by itself.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let Some(child) = self.child.as_mut() else { bail!("{name} does not run") };
        let status = wait_for(&format!("{name} to end"), limit, || child.try_wait().ok().flatten())?;
        self.child = None;
        Ok(status)
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait_end(limit)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Processor time used so far, in seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?)).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(ticks as f64 / TICKS_PER_SECOND)
    }
}

/// USER_HZ, on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that the whole machine used since it started, in seconds: everything but idle and waiting.
pub fn machine_cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut ticks =
        stat.lines().next()?.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or_default());
    // user, nice, system; idle and iowait; irq, softirq
    let busy = ticks.by_ref().take(3).sum::<u64>() + ticks.skip(2).take(2).sum::<u64>();
    Some(busy as f64 / TICKS_PER_SECOND)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
