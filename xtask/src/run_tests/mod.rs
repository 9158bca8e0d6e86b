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

use anyhow::{Result, bail};
use clap::Args;

use self::report::Report;
use crate::layers::graph::Graph;
use crate::shell::{apt_install, say, timed};
use crate::stack::Stack;
use crate::stack::install::Installer;
use crate::workspace;

/// Packages that building the workspace needs beside Rust.
const BUILD_PACKAGES: &[&str] =
    &["gcc", "g++", "make", "cmake", "libcurl4-openssl-dev", "libssl-dev", "protobuf-compiler", "libprotobuf-dev"];
/// Tells tests where grpcurl is.
const GRPCURL: &str = "ESP_MESH_GRPCURL";
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

/// The folder of every program of the workspace, built in release unless `ESP_MESH_BIN` names one.
pub fn build_services(graph: &Graph) -> Result<PathBuf> {
    build::services(graph)
}

impl TestArgs {
    /// One end-to-end test that is not run with the others, by its name.
    pub fn one_end_to_end(name: &str, keep: bool) -> Self {
        let args = ["--ignored", "--exact", "--nocapture", name].map(str::to_owned).to_vec();
        TestArgs { unit: false, e2e: true, package: Vec::new(), keep, args }
    }
}

/// Runs the tests; true if all passed.
pub fn run(args: &TestArgs) -> Result<bool> {
    run_with(args, Vec::new())
}

/// The same, with further variables for the test binaries.
pub fn run_with(args: &TestArgs, environment: Vec<(&'static str, PathBuf)>) -> Result<bool> {
    let mut report = Report::default();
    if let Err(error) = run_steps(args, environment, &mut report) {
        say(format_args!("error: {error:#}"));
        report.step_failed();
    }
    report.print();
    Ok(report.all_passed())
}

fn run_steps(args: &TestArgs, mut environment: Vec<(&'static str, PathBuf)>, report: &mut Report) -> Result<()> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    let packages = selected(args, &graph)?;
    apt_install(BUILD_PACKAGES, &workspace::cache_dir()?.join("logs"))?;
    // where it cannot be had, the test that needs it says so and is not run
    let grpcurl = Installer::new(workspace::cache_dir()?)?.grpcurl();
    if let Err(error) = &grpcurl {
        say(format_args!("no grpcurl: {error:#}; the examples of docs/API.md are not run"));
    }
    environment.extend(grpcurl.ok().map(|path| (GRPCURL, path)));
    if args.unit {
        return run_binaries(args, &graph, &packages, &environment, report);
    }
    let stack = Stack::open_for_tests()?;
    // A stack that was up before belongs to somebody else, even if one part has to be started.
    let ours = !stack.is_started()?;
    let result = timed("stack up", || stack.up())
        .and_then(|_| run_on_stack(args, &graph, &packages, &stack, environment, report));
    if ours && !args.keep {
        let ended = timed("stack down", || stack.down(false));
        return result.and(ended.map(|_| ()));
    }
    say(format_args!("the stack stays up ({}); `cargo xtask stack down` ends it", stack.dir().display()));
    result
}

/// The packages to test, end-to-end tests last.
fn selected(args: &TestArgs, graph: &Graph) -> Result<Vec<String>> {
    let mut packages: Vec<String> = if args.e2e {
        vec![E2E_PACKAGE.to_owned()]
    } else if args.package.is_empty() {
        graph.crates.iter().map(|krate| krate.name.clone()).filter(|name| !args.unit || name != E2E_PACKAGE).collect()
    } else {
        args.package.clone()
    };
    if let Some(unknown) = packages.iter().find(|name| !graph.crates.iter().any(|krate| &krate.name == *name)) {
        let known: Vec<&str> = graph.crates.iter().map(|krate| krate.name.as_str()).collect();
        bail!("no package of the workspace is called {unknown}; known: {}", known.join(", "));
    }
    packages.sort_by_key(|name| (name == E2E_PACKAGE, name.clone()));
    Ok(packages)
}

fn run_on_stack(
    args: &TestArgs,
    graph: &Graph,
    packages: &[String],
    stack: &Stack,
    mut environment: Vec<(&'static str, PathBuf)>,
    report: &mut Report,
) -> Result<()> {
    environment.extend(stack.environment().into_iter().map(|(name, value)| (name, PathBuf::from(value))));
    // Only the end-to-end tests start services.
    if packages.iter().any(|name| name == E2E_PACKAGE) {
        let programs = timed("release build of the services", || build::services(graph))?;
        environment.push(("ESP_MESH_BIN", programs));
    }
    run_binaries(args, graph, packages, &environment, report)
}

fn run_binaries(
    args: &TestArgs,
    graph: &Graph,
    packages: &[String],
    environment: &[(&'static str, PathBuf)],
    report: &mut Report,
) -> Result<()> {
    let mut binaries = timed("build of the tests", || build::tests(graph, packages))?;
    let position = |name: &str| packages.iter().position(|package| package == name);
    binaries.sort_by_key(|binary| (position(&binary.package), binary.target.clone()));
    for binary in &binaries {
        let mut arguments = args.args.clone();
        if binary.package == E2E_PACKAGE && !arguments.iter().any(|argument| argument.starts_with(TEST_THREADS)) {
            arguments.push(format!("{}=1", TEST_THREADS));
        }
        run::binary(binary, &arguments, environment, report)?;
    }
    // A name filter is meant for the tests in the binaries; documentation tests run with everything else only.
    if !args.e2e && args.args.is_empty() {
        let libraries: Vec<&str> = graph
            .crates
            .iter()
            .filter(|krate| krate.has_library && packages.contains(&krate.name))
            .map(|krate| krate.name.as_str())
            .collect();
        run::documentation(&libraries, report)?;
    }
    Ok(())
}
