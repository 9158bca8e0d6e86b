//! Running other programs: with a log file and a line of progress, and installing what is missing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Lines of a log that an error message quotes.
const LOG_TAIL_LINES: usize = 20;

/// One line of progress on stderr.
pub fn say(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Runs `work`, then prints `what` with the time it took.
pub fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let result = work();
    let seconds = begun.elapsed().as_secs_f64();
    match &result {
        Ok(_) => say(format_args!("{what}: {seconds:.1} s")),
        Err(_) => say(format_args!("{what}: FAILED after {seconds:.1} s")),
    }
    result
}

/// Seconds with one decimal, for progress lines.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Full path of a program on `PATH` or in one of the `more` folders.
pub fn which(program: &str, more: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(more.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Runs a command to its end with stdin closed and all output in `log`; on failure the error quotes the log's end.
pub fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    let file = File::create(log).with_context(|| format!("creating the log {}", log.display()))?;
    let errors = file.try_clone().context("sharing the log between stdout and stderr")?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} ended with {status}; the end of {}:\n{}", show(command), log.display(), tail(log));
    }
    Ok(())
}

/// The last lines of a log file, for error messages.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    lines[from..].iter().map(|line| format!("    {line}\n")).collect()
}

/// The command as one would type it.
pub fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Installs the Debian packages of the list that are missing; says which.
pub fn apt_install(packages: &[&str], log_dir: &Path) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if which("apt-get", &[]).is_none() {
        bail!("missing packages: {names}; this machine has no apt-get, so install their equivalents by hand");
    }
    let log = log_dir.join("apt.log");
    timed(&format!("apt-get install {names}"), || {
        let install = |log: &Path| {
            run_logged(
                privileged("apt-get").args(["install", "-y", "-q", "--no-install-recommends"]).args(&missing),
                log,
            )
        };
        // The lists may be old or absent: update only if a first try fails, since an update takes longer than most installs.
        install(&log).or_else(|_| {
            run_logged(privileged("apt-get").args(["update", "-q"]), &log)?;
            install(&log)
        })
    })
}

fn privileged(program: &str) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let mut command = if is_root || which("sudo", &[]).is_none() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}
