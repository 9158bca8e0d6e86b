//! `cargo xtask upgrade-test`: builds the programs of an older commit and of this tree, and replaces the ones by the others,
//! part after part, in a mesh under load (`tests/tests/e2e/upgrade.rs`).

use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::layers::graph::{Graph, cargo};
use crate::run_tests::{self, TestArgs};
use crate::shell::{run_logged, say, timed};
use crate::workspace;

/// What a mesh consists of.
const PROGRAMS: [(&str, &str); 3] =
    [("mesh-engine", "esp-engine"), ("mesh-election", "esp-election"), ("mesh-coordinator", "esp-coordinator")];

/// Arguments of `cargo xtask upgrade-test`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The commit that is upgraded from
    #[arg(long, default_value = "HEAD~1")]
    from: String,
    /// A folder with the older programs, in place of building `--from`
    #[arg(long, conflicts_with = "from")]
    older: Option<PathBuf>,
    /// Leave the stack running even if this command started it
    #[arg(long)]
    keep: bool,
}

/// Builds and runs the test; true if it passed.
pub fn run(args: &UpgradeArgs) -> Result<bool> {
    let bin = match &args.older {
        Some(given) => {
            let given = path::absolute(given).with_context(|| format!("--older {}", given.display()))?;
            ensure!(is_complete(&given), "--older {}: not all of {PROGRAMS:?} are there", given.display());
            say(format_args!("upgrading from the programs in {}", given.display()));
            given
        }
        None => built(&args.from)?,
    };
    let name = "upgrade::a_rolling_upgrade_under_load_loses_nothing";
    let test = TestArgs::one_end_to_end(name, args.keep);
    run_tests::run_with(&test, vec![("ESP_MESH_OLDER_BIN", bin)])
}

fn is_complete(bin: &Path) -> bool {
    PROGRAMS.iter().all(|(_, program)| bin.join(program).is_file())
}

/// The folder of the programs of a commit, built if they are not there.
fn built(from: &str) -> Result<PathBuf> {
    let root = workspace::root()?;
    let commit = commit(&root, from)?;
    let bin = root.join("target/upgrade").join(&commit);
    if !is_complete(&bin) {
        timed(&format!("programs of {commit}"), || build(&root, &commit, &Graph::read(&root)?, &bin))?;
    }
    say(format_args!("upgrading from {commit} ({})", bin.display()));
    Ok(bin)
}

/// The commit's full name.
fn commit(root: &Path, from: &str) -> Result<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["rev-parse", "--verify", "--quiet", &format!("{from}^{{commit}}")])
        .output()
        .context("starting git")?;
    if !output.status.success() {
        bail!("--from {from}: no such commit here; a shallow clone has no older ones: `git fetch --unshallow`");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Builds in a tree of its own. What comes from the registry is shared with this tree's build; the programs are moved away,
/// so that the next build puts this tree's into their places.
fn build(root: &Path, commit: &str, graph: &Graph, bin: &Path) -> Result<()> {
    let source = root.join("target/upgrade/source");
    let log = root.join("target/upgrade/git.log");
    let git = |arguments: &[&str]| run_logged(Command::new("git").current_dir(root).args(arguments), &log);
    let path = source.to_str().context("the workspace's path is no text")?;
    if source.exists() {
        git(&["worktree", "remove", "--force", path])?;
    }
    git(&["worktree", "prune"])?;
    git(&["worktree", "add", "--detach", path, commit])?;
    let built = compile(&source, graph, bin);
    git(&["worktree", "remove", "--force", path])?;
    built
}

fn compile(source: &Path, graph: &Graph, bin: &Path) -> Result<()> {
    let packages = PROGRAMS.iter().flat_map(|(package, _)| ["-p", package]);
    let status = cargo()
        .current_dir(source)
        .args(["build", "--release", "--bins"])
        .args(packages)
        .env("CARGO_TARGET_DIR", &graph.target_dir)
        .stdin(Stdio::null())
        .status()
        .context("starting cargo build")?;
    if !status.success() {
        bail!("cargo build in {} ended with {status}; its messages are above", source.display());
    }
    fs::create_dir_all(bin).with_context(|| format!("creating {}", bin.display()))?;
    for (_, program) in PROGRAMS {
        let built: PathBuf = graph.target_dir.join("release").join(program);
        fs::copy(&built, bin.join(program)).with_context(|| format!("copying {}", built.display()))?;
        fs::remove_file(&built).with_context(|| format!("removing {}", built.display()))?;
    }
    Ok(())
}
