//! What espctl really pulls in: the demo needs a Rust toolchain and a C compiler, nothing else.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::Violation;
use super::graph::cargo;

const CRATE: &str = "espctl";
/// The three clients, what they compile, and the generators that would need protoc.
const UNWANTED: &[&str] = &[
    "rdkafka",
    "rdkafka-sys",
    "kafka-protocol",
    "zookeeper-client",
    "etcd-client",
    "prost-build",
    "tonic-prost-build",
];

/// Asks cargo for espctl's dependencies, with its default features and without.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for flags in [&[][..], &["--no-default-features"][..]] {
        let output = cargo()
            .current_dir(root)
            .args(["tree", "-p", CRATE, "-e", "normal,build", "--prefix", "none", "--format", "{p}"])
            .args(flags)
            .stderr(Stdio::inherit())
            .output()
            .context("starting cargo tree")?;
        if !output.status.success() {
            bail!("cargo tree -p {CRATE} ended with {}; its message is above", output.status);
        }
        found.extend(unwanted(&String::from_utf8_lossy(&output.stdout), &flags.join(" ")));
    }
    Ok(found)
}

fn unwanted(tree: &str, flags: &str) -> Vec<Violation> {
    let mut names: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| UNWANTED.contains(name)).collect();
    names.sort_unstable();
    names.dedup();
    let command = format!("cargo tree -p {CRATE} -e normal,build {flags}");
    let violation = |name: &str| Violation {
        krate: CRATE.to_owned(),
        subject: name.to_owned(),
        rule: format!("{CRATE} is built without {}", UNWANTED.join(", ")),
        reason: "`cargo demo` must work with a Rust toolchain and a C compiler alone",
        way_out: format!(
            "find the way with `{} -i {name}` and put it behind a feature that only the services' mains switch on",
            command.trim_end()
        ),
    };
    names.into_iter().map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_in_the_tree_is_found_once() {
        let tree = "espctl v0.1.0 (/w/services/espctl)\nmesh-bus v0.1.0 (/w/crates/bus)\nrdkafka v0.39.0\nbytes v1.0.0\nrdkafka v0.39.0 (*)\n";
        let found = unwanted(tree, "");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "rdkafka");
        assert!(found[0].way_out.contains("`cargo tree -p espctl -e normal,build -i rdkafka`"), "{}", found[0].way_out);
    }

    #[test]
    fn a_clean_tree_passes() {
        assert_eq!(unwanted("espctl v0.1.0\ntokio v1.0.0\n\n", ""), []);
    }
}
