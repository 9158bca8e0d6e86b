//! `cargo xtask proto-check`: the `.proto` files are well-formed by our rules, break nobody who was built with what was
//! released, and are what docs/API.md says.
//!
//! All of it is read from the descriptor set that `codegen` makes (`proto/src/generated/descriptor.bin`), comments
//! included, so no `protoc` is needed here: [`descriptor`] reads it, [`lint`] holds it to the rules, [`breaking`] compares it
//! with `proto/released.bin`, [`document`] writes it down with the calls of [`examples`].

pub mod breaking;
pub mod descriptor;
pub mod document;
pub mod examples;
pub mod lint;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::descriptor::Files;
use crate::workspace;

/// What the `.proto` files are now.
const PRESENT: &str = "proto/src/generated/descriptor.bin";
/// What they were when something was released last.
const RELEASED: &str = "proto/released.bin";
/// The document.
const DOCUMENT: &str = "docs/API.md";

/// Arguments of `cargo xtask proto-check`.
#[derive(Debug, Args)]
pub struct ProtoArgs {
    /// Write docs/API.md instead of checking it
    #[arg(long)]
    write: bool,
    /// Take what is there as released: from now on it must not be broken
    #[arg(long)]
    release: bool,
}

/// Checks, writes, or releases; false if something is wrong.
pub fn run(args: &ProtoArgs) -> Result<bool> {
    let root = workspace::root()?;
    let present = Files::read(&root.join(PRESENT))?;
    let mut findings = lint::findings(&present);
    findings.extend(breaking::findings(&Files::read(&root.join(RELEASED))?, &present));
    findings.extend(examples::findings(&present));
    let wanted = document::text(&present);
    let file = root.join(DOCUMENT);
    if args.write {
        fs::write(&file, &wanted).with_context(|| format!("writing {}", file.display()))?;
    } else if fs::read_to_string(&file).unwrap_or_default() != wanted {
        findings.push(format!(
            "{DOCUMENT} is not what the .proto files say; write it with: cargo xtask proto-check --write"
        ));
    }
    for finding in &findings {
        println!("proto-check: {finding}");
    }
    if args.release {
        release(&root, &present, &findings)?;
    }
    println!("proto-check: {} files, {} findings", present.0.len(), findings.len());
    Ok(findings.is_empty())
}

fn release(root: &Path, present: &Files, findings: &[String]) -> Result<()> {
    ensure!(findings.is_empty(), "nothing was released: {} findings are above", findings.len());
    let file = root.join(RELEASED);
    fs::write(&file, present.without_comments()).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same that `.ci/run` does, so that whoever runs the tests hears of it.
    #[test]
    fn the_proto_files_and_their_document_are_good() {
        let root = workspace::root().unwrap();
        let present = Files::read(&root.join(PRESENT)).unwrap();
        assert_eq!(lint::findings(&present), Vec::<String>::new());
        assert_eq!(breaking::findings(&Files::read(&root.join(RELEASED)).unwrap(), &present), Vec::<String>::new());
        assert_eq!(examples::findings(&present), Vec::<String>::new());
        let written = fs::read_to_string(root.join(DOCUMENT)).unwrap();
        assert!(written == document::text(&present), "{DOCUMENT}: cargo xtask proto-check --write");
    }
}
