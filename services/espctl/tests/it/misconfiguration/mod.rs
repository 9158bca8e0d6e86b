//! docs/MISCONFIGURATION.md: what somebody set, what is said, and the way out. Every entry is a test: the message comes from
//! the shipped code, without any server. `UPDATE_EXPECT=1 cargo test -p espctl misconfiguration` writes the file.

mod adapters;
mod elsewhere;
mod ports;
mod projects;
mod services;

use expect_test::expect_file;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;

/// What the folder of a test's files is called in the document.
const SHOWN: &str = "/etc/esp-mesh";

/// An entry of the document.
pub struct Entry {
    /// What was set, as one would type it.
    given: String,
    /// What is said.
    said: String,
    /// What to do.
    way_out: &'static str,
}

impl Entry {
    pub fn new(given: impl Into<String>, said: impl Into<String>, way_out: &'static str) -> Entry {
        Entry { given: given.into(), said: said.into(), way_out }
    }
}

/// A group of entries.
pub struct Section {
    pub title: &'static str,
    pub entries: Vec<Entry>,
}

/// A folder with files that settings name; in arguments and messages it is called `/etc/esp-mesh`.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    /// The text with the folder as it really is.
    pub fn real(&self, text: &str) -> String {
        text.replace(SHOWN, &self.path().display().to_string())
    }

    /// The text with the folder as it is shown.
    pub fn shown(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), SHOWN)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

const HEAD: &str = "# Misconfiguration

What somebody set, what is said, and the way out. Each entry is a test (`services/espctl/tests/it/misconfiguration`): the
messages are those of the shipped code. `--check-config` of every service says everything that is wrong at once, before
anything is started or connected to; exit code 64. `espctl doctor` says what is wrong with a mesh that runs.
";

fn document(sections: &[Section]) -> String {
    let count: usize = sections.iter().map(|section| section.entries.len()).sum();
    let mut text = format!("{HEAD}\n{count} entries.\n");
    for section in sections {
        let _ = write!(text, "\n## {}\n", section.title);
        for Entry { given, said, way_out } in &section.entries {
            let given = given.replace('\n', "\n# ");
            let _ = write!(text, "\n```\n# {given}\n{}\n```\n{way_out}\n", said.trim_end());
        }
    }
    text
}

#[test]
fn every_mistake_is_told_with_a_way_out() {
    let sections = [
        services::every(),
        services::engine(),
        services::coordinator(),
        services::election(),
        services::gateway(),
        ports::certificates(),
        ports::tokens(),
        adapters::lines(),
        adapters::transport_files(),
        adapters::urls(),
        adapters::warnings(),
        projects::xml(),
        elsewhere::topics(),
        elsewhere::itself(),
    ];
    let mut seen = BTreeSet::new();
    for Section { title, entries } in &sections {
        for Entry { given, said, way_out } in entries {
            assert!(seen.insert(given), "{title}: `{given}` stands there twice");
            assert!(!said.trim().is_empty(), "{title}: `{given}`: nothing is said");
            assert!(
                way_out.ends_with('.') && way_out.len() > 10,
                "{title}: `{given}`: expected a sentence, {way_out:?}"
            );
        }
    }
    assert!(seen.len() >= 40, "{} entries", seen.len());
    expect_file!["../../../../../docs/MISCONFIGURATION.md"].assert_eq(&document(&sections));
}
