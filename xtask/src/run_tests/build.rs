//! Compiles what the tests need: the services in release, the test binaries with debug assertions.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::layers::graph::{Graph, cargo};
use crate::shell::{say, show};

/// One compiled test binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestBinary {
    /// Its package.
    pub package: String,
    /// Name of the target: the library, a binary, or a file below `tests/`.
    pub target: String,
    /// The file to run.
    pub executable: PathBuf,
    /// The package's folder, in which it runs.
    pub dir: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Folder of programs that are to be used as they are.
const PROGRAMS: &str = "ESP_MESH_BIN";

/// The folder of every service and tool: the one that `ESP_MESH_BIN` names, else built in release.
pub fn services(graph: &Graph) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(PROGRAMS).map(PathBuf::from) {
        let given = std::path::absolute(&given).with_context(|| format!("{PROGRAMS}={}", given.display()))?;
        if !given.join("esp-engine").is_file() {
            bail!("{PROGRAMS}={}: there is no `esp-engine` in it; unset it to have everything built", given.display());
        }
        say(format_args!("programs of {PROGRAMS}={}", given.display()));
        return Ok(given);
    }
    let status = cargo()
        .current_dir(crate::workspace::root()?)
        .args(["build", "--release", "--workspace", "--exclude", "xtask", "--bins"])
        .stdin(Stdio::null())
        .status()
        .context("starting cargo build")?;
    if !status.success() {
        bail!(
            "cargo build --release --workspace --bins (into {}) ended with {status}; its messages are above",
            graph.target_dir.display()
        );
    }
    Ok(graph.target_dir.join("release"))
}

/// Builds the test binaries of these packages in one go, so that all share one set of features.
pub fn tests(graph: &Graph, packages: &[String]) -> Result<Vec<TestBinary>> {
    let mut command = cargo();
    command.current_dir(crate::workspace::root()?).args([
        "test",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    if packages.len() == graph.crates.len() {
        command.arg("--workspace");
    } else {
        command.args(packages.iter().flat_map(|package| ["-p", package]));
    }
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("starting cargo test --no-run")?;
    if !output.status.success() {
        bail!("`{}` ended with {}; its messages are above", show(&command), output.status);
    }
    binaries(&String::from_utf8_lossy(&output.stdout), graph)
}

fn binaries(messages: &str, graph: &Graph) -> Result<Vec<TestBinary>> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("reading a message of cargo: {line}"))?;
        let (Some(id), Some(target), Some(executable), Some(Profile { test: true })) =
            (message.package_id, message.target, message.executable, message.profile)
        else {
            continue;
        };
        if message.reason != "compiler-artifact" {
            continue;
        }
        let krate = graph
            .crates
            .iter()
            .find(|krate| krate.id == id)
            .with_context(|| format!("cargo built a test of {id}, which is not in the workspace"))?;
        let kind = target.kind.first().map_or("", String::as_str);
        let target = if kind == "bin" { format!("{} (bin)", target.name) } else { target.name };
        found.push(TestBinary { package: krate.name.clone(), target, executable, dir: krate.dir.clone() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::graph::Crate;

    #[test]
    fn test_binaries_are_taken_from_cargos_messages() {
        let krate = Crate {
            name: "mesh-bus".into(),
            id: "path+file:///w/bus#mesh-bus@0.1.0".into(),
            dir: "/w/bus".into(),
            dependencies: Vec::new(),
            has_library: true,
        };
        let graph = Graph { crates: vec![krate], target_dir: PathBuf::new() };
        let artifact = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/bus#mesh-bus@0.1.0","target":{{"name":"contract","kind":["test"]}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let messages = [
            artifact(false, "null"),
            artifact(true, r#""/t/contract-1""#),
            r#"{"reason":"build-finished","success":true}"#.into(),
        ]
        .join("\n");
        let found = binaries(&messages, &graph).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].package.as_str(), found[0].target.as_str()), ("mesh-bus", "contract"));
        assert_eq!(found[0].executable, PathBuf::from("/t/contract-1"));
    }
}
