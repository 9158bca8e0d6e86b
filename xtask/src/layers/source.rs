//! Looks into the pure crates for what no manifest shows: clocks, threads and hash maps of the standard library.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;
use super::graph::Graph;
use super::rules::PURE;

struct Banned {
    text: &'static str,
    reason: &'static str,
    way_out: &'static str,
}

const BANNED: &[Banned] = &[
    Banned {
        text: "SystemTime::now",
        reason: "a clock read here differs between replicas",
        way_out: "take the time as an argument; the clock of a step is in the commit log",
    },
    Banned {
        text: "Instant::now",
        reason: "a clock read here differs between replicas",
        way_out: "take `now` as an argument",
    },
    Banned {
        text: "std::thread",
        reason: "the order of threads differs between replicas",
        way_out: "stay on the caller's thread; concurrency belongs to the services",
    },
    Banned {
        text: "RandomState",
        reason: "its seed differs in every process",
        way_out: "use a BTreeMap, or a hasher with a fixed seed",
    },
];

const HASHED: &[&str] = &["HashMap", "HashSet", "HashTable"];
/// A file that uses a hash map says with this why its order never reaches an output.
const ORDER_FREE: &str = "// order-free:";

/// Scans the sources of every pure crate, tests left out.
pub fn check(graph: &Graph) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for krate in graph.crates.iter().filter(|krate| PURE.contains(&krate.name.as_str())) {
        for file in rust_files(&krate.dir.join("src"))? {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let shown = file.strip_prefix(&krate.dir).unwrap_or(&file).display().to_string();
            found.extend(scan(&krate.name, &shown, &text));
        }
    }
    Ok(found)
}

fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn scan(krate: &str, file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    // One finding a file is enough: one comment answers all.
    let mut order_free = text.contains(ORDER_FREE);
    // The tests of a file come last and may do what they like.
    let code = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    for (index, line) in code {
        let line = line.split("//").next().unwrap_or_default();
        let mut add = |text: &str, reason, way_out: &str| {
            found.push(Violation {
                krate: krate.to_owned(),
                subject: format!("{file}:{}", index + 1),
                rule: format!("no {text} in a pure crate"),
                reason,
                way_out: way_out.to_owned(),
            });
        };
        for banned in BANNED {
            if line.contains(banned.text) {
                add(banned.text, banned.reason, banned.way_out);
            }
        }
        if !order_free && let Some(hashed) = HASHED.iter().find(|hashed| line.contains(**hashed)) {
            order_free = true;
            add(
                hashed,
                "the order of a hash map differs between replicas",
                "use a BTreeMap; or say in the file, in a comment that starts with `// order-free:`, why its order never reaches an output",
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(String, String)> {
        scan("mesh-windows", "src/a.rs", text)
            .into_iter()
            .map(|violation| (violation.subject, violation.rule))
            .collect()
    }

    #[test]
    fn clocks_threads_and_hash_maps_are_found_with_their_line() {
        let text = "//! a\nlet now = Instant::now();\nuse std::thread;\nuse std::collections::HashMap;\n";
        let found = rules(text);
        assert_eq!(
            found.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(),
            ["src/a.rs:2", "src/a.rs:3", "src/a.rs:4"]
        );
        assert_eq!(found[2].1, "no HashMap in a pure crate");
    }

    #[test]
    fn comments_tests_and_explained_hash_maps_are_fine() {
        assert_eq!(rules("// never Instant::now\n#[cfg(test)]\nmod tests { use std::thread; }\n"), []);
        assert_eq!(rules("// order-free: only looked up by key\nuse hashbrown::HashMap;\n"), []);
    }
}
