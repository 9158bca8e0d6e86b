//! The workspace's crates and what their manifests depend on, as `cargo metadata` tells.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The crates of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// In the order of `cargo metadata`.
    pub crates: Vec<Crate>,
    /// Where cargo puts what it builds.
    pub target_dir: PathBuf,
}

/// One crate of the workspace.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Cargo's id of the package, as its build messages use it.
    pub id: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Names of the packages it needs to be built and run (dev-dependencies are left out), sorted.
    pub dependencies: Vec<String>,
    /// Whether it has a library, and so documentation tests.
    pub has_library: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    id: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Graph> {
        let output = cargo()
            .current_dir(root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("starting cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata ended with {}; its message is above", output.status);
        }
        Graph::parse(&output.stdout)
    }

    fn parse(json: &[u8]) -> Result<Graph> {
        let metadata: Metadata = serde_json::from_slice(json).context("reading the output of cargo metadata")?;
        let crates = metadata
            .packages
            .into_iter()
            .map(|package| {
                let has_library = package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"));
                let needed =
                    package.dependencies.into_iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
                let mut dependencies: Vec<String> = needed.map(|dependency| dependency.name).collect();
                dependencies.sort();
                dependencies.dedup();
                let dir = package.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default();
                Crate { name: package.name, id: package.id, dir, dependencies, has_library }
            })
            .collect();
        Ok(Graph { crates, target_dir: metadata.target_directory })
    }
}

/// The cargo that runs us, or the one on `PATH`.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_and_build_dependencies_count_and_dev_ones_do_not() {
        let json = br#"{"target_directory": "/t", "packages": [{"name": "a", "id": "path+file:///w/a#0.1.0", "manifest_path": "/w/a/Cargo.toml", "targets": [{"kind": ["bin"]}],
            "dependencies": [{"name": "z", "kind": null}, {"name": "b", "kind": "build"}, {"name": "t", "kind": "dev"}, {"name": "z", "kind": null}]}]}"#;
        let graph = Graph::parse(json).unwrap();
        assert_eq!(graph.crates[0].dependencies, ["b", "z"]);
        assert_eq!(graph.crates[0].dir, Path::new("/w/a"));
        assert!(!graph.crates[0].has_library);
    }
}
