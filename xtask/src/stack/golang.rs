//! A Go compiler that is new enough: the machine's own, or one fetched as a Go module.
//!
//! Go's toolchains are published as modules (`golang.org/toolchain`), so that any older Go, Debian's
//! included, can fetch one, with its checksum verified, from wherever it fetches modules.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{show, timed, which};

/// The oldest Go that builds etcd 3.6.16.
const AT_LEAST: (u32, u32) = (1, 26);
/// What is fetched where there is only an older one.
const TOOLCHAIN: &str = "go1.26.8";
const FOLDERS: &[&str] = &["/usr/local/go/bin", "/usr/lib/go/bin", "/usr/bin"];

/// A usable Go compiler.
pub struct Go {
    program: PathBuf,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "Dir")]
    dir: Option<PathBuf>,
    #[serde(rename = "Error")]
    error: Option<String>,
}

impl Go {
    /// The machine's own, if it is new enough.
    pub fn installed() -> Option<Go> {
        let on_path = which("go", &[]);
        let elsewhere =
            FOLDERS.iter().filter_map(|folder| Some(PathBuf::from(folder).join("go")).filter(|go| go.is_file()));
        on_path
            .into_iter()
            .chain(elsewhere)
            .find(|go| version_of(go).is_some_and(|version| version >= AT_LEAST))
            .map(|program| Go { program })
    }

    /// Fetches a toolchain with whatever Go there is into its module cache.
    pub fn fetched_by_an_older_one() -> Result<Go> {
        let older = which("go", FOLDERS).context("looked for any Go, to fetch a newer one with it, and found none")?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let module = format!("golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{architecture}");
        let dir = timed(&format!("{TOOLCHAIN}: fetched as a Go module"), || download(&older, &module))?;
        // Modules carry no permission bits.
        for folder in ["bin", &format!("pkg/tool/linux_{architecture}")] {
            make_executable(&dir.join(folder))?;
        }
        let program = dir.join("bin/go");
        match version_of(&program) {
            Some(version) if version >= AT_LEAST => Ok(Go { program }),
            found => bail!(
                "fetched {module}, but {} says it is version {found:?}, not {AT_LEAST:?} or newer",
                program.display()
            ),
        }
    }

    /// A go command that runs in `dir`.
    pub fn command(&self, dir: &Path) -> Command {
        let mut command = plain(&self.program, dir);
        command.env("GOTOOLCHAIN", "local").env_remove("GOROOT");
        command
    }
}

fn plain(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env("GO111MODULE", "on").env("CGO_ENABLED", "0");
    command
}

fn download(go: &Path, module: &str) -> Result<PathBuf> {
    let mut command = plain(go, &std::env::temp_dir());
    command.args(["mod", "download", "-json", module]);
    let output = command.output().with_context(|| format!("starting {}", go.display()))?;
    let answer: Module = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`{}` said: {}", show(&command), String::from_utf8_lossy(&output.stderr)))?;
    match answer {
        Module { dir: Some(dir), error: None } => Ok(dir),
        Module { error, .. } => bail!("`{}` said: {}", show(&command), error.unwrap_or_else(|| "no folder".to_owned())),
    }
}

fn make_executable(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let path = entry.with_context(|| format!("listing {}", dir.display()))?.path();
        let mode = fs::metadata(&path).with_context(|| format!("looking at {}", path.display()))?.permissions().mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o111))
            .with_context(|| format!("making {} executable", path.display()))?;
    }
    Ok(())
}

fn version_of(go: &Path) -> Option<(u32, u32)> {
    // `go version` would ask for the toolchain that a go.mod nearby names.
    let output = Command::new(go)
        .arg("version")
        .current_dir("/")
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOROOT")
        .output()
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Major and minor of `go version go1.26.8 linux/amd64`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(parse_version("go version go1.27rc1 linux/amd64"), Some((1, 27)));
        assert_eq!(parse_version("zsh: command not found"), None);
    }
}
