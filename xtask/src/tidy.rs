//! `cargo xtask tidy`: what no lint looks at. Every file says what it is for, stays short, and has nothing left to do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A longer file has more than one responsibility.
const MAX_LINES: usize = 500;
/// Tables of cases with their expected texts may be longer.
const MAX_TEST_LINES: usize = 1500;
const GENERATED_MARK: &str = "@generated";

/// What must not stay in a commit, in two halves so that this file does not find itself.
const LEFTOVERS: &[(&str, &str, &str)] = &[
    ("to", "do!(", "write it, or leave the function out"),
    ("unimple", "mented!(", "write it, or leave the function out"),
    ("db", "g!(", "remove it, or log with `tracing`"),
    ("TO", "DO", "do it, or open an issue"),
    ("FIX", "ME", "fix it, or open an issue"),
];

/// Checks every Rust file that git knows or would add; prints each finding; true if there is none.
pub fn run() -> Result<bool> {
    let root = workspace::root()?;
    let output = Command::new("git")
        .current_dir(&root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.rs"])
        .stderr(Stdio::inherit())
        .output()
        .context("starting git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files ended with {}; its message is above", output.status);
    }
    let listed = String::from_utf8(output.stdout).context("reading the output of git ls-files")?;
    let mut files = 0;
    let mut findings = Vec::new();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        // Listed but gone: deleted and not yet committed.
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        files += 1;
        findings.extend(check(Path::new(name), &text));
    }
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {files} files, {} findings", findings.len());
    Ok(findings.is_empty())
}

fn check(file: &Path, text: &str) -> Vec<String> {
    let generated = file.components().any(|part| part.as_os_str() == "generated");
    if generated || text.lines().take(3).any(|line| line.contains(GENERATED_MARK)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let shown = file.display();
    let first = text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!")) {
        findings
            .push(format!("{shown}:1: starts without `//!` documentation; say in one sentence what the file is for"));
    }
    let lines = text.lines().count();
    let is_test = file.components().any(|part| part.as_os_str() == "tests");
    let most = if is_test { MAX_TEST_LINES } else { MAX_LINES };
    if lines > most {
        findings.push(format!("{shown}: {lines} lines, more than {most}; split it by responsibility"));
    }
    for (index, line) in text.lines().enumerate() {
        for (head, tail, way_out) in LEFTOVERS {
            if line
                .match_indices(head)
                .any(|(at, _)| line[at + head.len()..].starts_with(tail) && is_word(line, at, head.len() + tail.len()))
            {
                findings.push(format!("{shown}:{}: {head}{tail}; {way_out}", index + 1));
            }
        }
    }
    findings
}

/// Whether the text at `at` is not part of a longer word.
fn is_word(line: &str, at: usize, length: usize) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_in_word = part_of_word(line[..at + length].chars().next_back());
    let begins_inside = part_of_word(line[..at].chars().next_back());
    let goes_on = ends_in_word && part_of_word(line[at + length..].chars().next());
    !begins_inside && !goes_on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        check(Path::new("crates/a/src/b.rs"), text)
    }

    #[test]
    fn a_file_without_documentation_is_found() {
        assert_eq!(findings("use std::fs;\n").len(), 1);
        assert_eq!(findings("\n//! What it is for.\nuse std::fs;\n"), [] as [String; 0]);
    }

    #[test]
    fn a_long_file_is_found_unless_generated() {
        let long = format!("//! a\n{}", "\n".repeat(MAX_LINES));
        assert!(findings(&long)[0].contains("501 lines"), "{:?}", findings(&long));
        assert_eq!(check(Path::new("proto/src/generated/x.rs"), &long), [] as [String; 0]);
        assert_eq!(findings(&format!("// This file is @generated\n{long}")), [] as [String; 0]);
    }

    #[test]
    fn leftovers_are_found_as_words_with_their_line() {
        for (head, tail, _) in LEFTOVERS {
            let text = format!("//! a\n  {head}{tail} x\n");
            assert!(findings(&text)[0].starts_with("crates/a/src/b.rs:2: "), "{text}");
        }
        assert_eq!(findings(&format!("//! a\nlet METO{} = x{}y;\n", "DOS", concat!("TO", "DO"))), [] as [String; 0]);
    }
}
