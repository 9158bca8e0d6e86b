//! `cargo xtask check-layers`: arrows between crates point down only, and heavy clients stay where they belong.
//!
//! [`graph`] reads what the manifests declare, [`rules`] judges it, [`source`] looks for clocks, threads
//! and hash maps in the pure crates, [`features`] makes sure that espctl (so `cargo demo`) builds
//! without the clients of Kafka, ZooKeeper and etcd. A violation names crate, subject, rule, reason and way out.

pub mod features;
pub mod graph;
pub mod rules;
pub mod source;

use std::fmt;

use anyhow::Result;

use self::graph::Graph;
use crate::workspace;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The crate that breaks it.
    pub krate: String,
    /// The dependency, or file and line.
    pub subject: String,
    /// The rule.
    pub rule: String,
    /// Why the rule exists.
    pub reason: &'static str,
    /// What to do instead.
    pub way_out: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "violation: {} -> {}", self.krate, self.subject)?;
        writeln!(out, "     rule: {}", self.rule)?;
        writeln!(out, "   reason: {}", self.reason)?;
        write!(out, "  way out: {}", self.way_out)
    }
}

/// Runs all checks and prints every violation; true if there is none.
pub fn run() -> Result<bool> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    let mut violations = rules::check(&graph);
    violations.extend(source::check(&graph)?);
    violations.extend(features::check(&root)?);
    for violation in &violations {
        println!("{violation}\n");
    }
    println!("check-layers: {} crates, {} violations", graph.crates.len(), violations.len());
    Ok(violations.is_empty())
}
