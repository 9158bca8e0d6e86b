//! `cargo xtask test`: every test there is, on the real stack, with one line of result at the end.
//!
//! Steps: packages for the build, the stack, the services in release, the test binaries; then each test
//! binary runs alone, in its package's folder, as `cargo test` would run it. [`build`] compiles,
//! [`run`] runs one binary under a time limit, [`report`] counts. Whatever goes wrong, the last line is
//! `N passed, N failed`, and a step that fails counts as one failed test.

mod build;
mod report;
mod run;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::report::Report;
use crate::layers::graph::Graph;
use crate::shell::{apt_install, say, timed};
use crate::stack::{Part, Stack};
use crate::workspace;

/// Packages that building the workspace needs beside Rust.
const BUILD_PACKAGES: &[&str] = &[
    "gcc",
    "g++",
    "make",
    "cmake",
    "libcurl4-openssl-dev",
    "protobuf-compiler",
    "libprotobuf-dev",
];
/// The package of the end-to-end tests; it runs last.
const E2E_PACKAGE: &str = "mesh-tests";

/// End-to-end tests run one at a time unless told otherwise: they kill brokers that all of them use.
const TEST_THREADS: &str = "--test-threads";

/// Arguments of `cargo xtask test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only what needs no stack: unit tests, and contract tests on the memory implementations
    #[arg(long, conflicts_with = "e2e")]
    unit: bool,
    /// Only the end-to-end tests
    #[arg(long)]
    e2e: bool,
    /// Only the tests of this package; may be repeated
    #[arg(long, short, value_name = "PACKAGE", conflicts_with = "e2e")]
    package: Vec<String>,
    /// Leave the stack running even if this command started it
    #[arg(long)]
    keep: bool,
    /// Passed on to every test binary, for example a part of a test's name
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs the tests; true if all passed.
pub fn run(args: &TestArgs) -> Result<bool> {
    let mut report = Report::default();
    if let Err(error) = run_steps(args, &mut report) {
        say(format_args!("error: {error:#}"));
        report.step_failed();
    }
    report.print();
    Ok(report.all_passed())
}

fn run_steps(args: &TestArgs, report: &mut Report) -> Result<()> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    apt_install(BUILD_PACKAGES, &workspace::cache_dir()?.join("logs"))?;
    if args.unit {
        return run_binaries(args, &graph, &[], report);
    }
    let stack = Stack::open_for_tests()?;
    let started = timed("stack up", || stack.up())?;
    let result = run_on_stack(args, &graph, &stack, report);
    // A stack that was up before belongs to somebody else, even if one part had to be started.
    if started.len() == Part::ALL.len() && !args.keep {
        let ended = timed("stack down", || stack.down(false));
        result?;
        ended?;
        return Ok(());
    }
    say(format_args!(
        "the stack stays up ({}); `cargo xtask stack down` ends it",
        stack.dir().display()
    ));
    result
}

fn run_on_stack(args: &TestArgs, graph: &Graph, stack: &Stack, report: &mut Report) -> Result<()> {
    timed("release build of the services", || build::services(graph))?;
    let mut environment: Vec<(&'static str, PathBuf)> = stack
        .ports()
        .environment()
        .into_iter()
        .map(|(name, value)| (name, PathBuf::from(value)))
        .collect();
    environment.push(("ESP_MESH_BIN", graph.target_dir.join("release")));
    run_binaries(args, graph, &environment, report)
}

fn run_binaries(
    args: &TestArgs,
    graph: &Graph,
    environment: &[(&'static str, PathBuf)],
    report: &mut Report,
) -> Result<()> {
    let mut binaries = timed("build of the tests", || build::tests(graph))?;
    let wanted = |package: &str| match (args.e2e, args.unit) {
        (true, _) => package == E2E_PACKAGE,
        (_, true) => {
            package != E2E_PACKAGE
                && (args.package.is_empty() || args.package.iter().any(|name| name == package))
        }
        _ => args.package.is_empty() || args.package.iter().any(|name| name == package),
    };
    binaries.retain(|binary| wanted(&binary.package));
    binaries.sort_by_key(|binary| {
        (
            binary.package == E2E_PACKAGE,
            binary.package.clone(),
            binary.target.clone(),
        )
    });
    for binary in &binaries {
        let mut arguments = args.args.clone();
        if binary.package == E2E_PACKAGE
            && !arguments
                .iter()
                .any(|argument| argument.starts_with(TEST_THREADS))
        {
            arguments.push(format!("{}=1", TEST_THREADS));
        }
        run::binary(binary, &arguments, environment, report)?;
    }
    // A name filter is meant for the tests in the binaries; documentation tests run with everything else only.
    if !args.e2e && args.args.is_empty() {
        let packages = graph
            .crates
            .iter()
            .map(|krate| krate.name.as_str())
            .filter(|name| wanted(name))
            .collect::<Vec<_>>();
        run::documentation(&packages, report)?;
    }
    Ok(())
}
