//! The examples put out what their expected.csv says; `examples/check.py` computes the same in another way.

use std::path::Path;

use super::support::espctl;

/// Example and the window whose events are compared.
const EXAMPLES: [(&str, &str); 4] = [
    ("carrier-delay", "delays"),
    ("late-aircraft", "spread"),
    ("flights-joined", "with_weather"),
    ("airport-neighbours", "pairs"),
];

#[test]
fn examples_put_out_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (example, window) in EXAMPLES {
        let folder = root.join("examples").join(example);
        let project = format!("examples/{example}/project.xml");
        let command = format!("espctl project run {project} --header --output {window}");
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.contains(&format!("$ {command}\n")), "the README of {example} does not say `{command}`");
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        let ran = espctl(&arguments).current_dir(&root).output().unwrap();
        assert!(ran.status.success(), "{example}: {}", String::from_utf8_lossy(&ran.stderr));
        let expected = std::fs::read_to_string(folder.join("expected.csv")).unwrap();
        let found = String::from_utf8(ran.stdout).unwrap();
        let differs = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{example}: the first line that differs, from 0");
        assert_eq!(found.len(), expected.len(), "{example}");
    }
}
