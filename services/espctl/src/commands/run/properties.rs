//! What `@NAME@` stands for in a project that is run here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fail::Fail;

/// Where the files of a project lie.
const HOME: &str = "ESP_PROJECT_HOME";
/// Where it writes files.
const OUTPUT: &str = "ESP_PROJECT_OUTPUT";

/// Values for the names that a project uses: those given as NAME=VALUE, then those of the environment, then the folders.
pub(in crate::commands) fn properties(
    given: &[String],
    xml: &str,
    file: &Path,
) -> Result<BTreeMap<String, String>, Fail> {
    let mut found = BTreeMap::new();
    for name in names(xml) {
        let fallback = match name {
            HOME => Some(folder(file).display().to_string()),
            OUTPUT => Some(".".to_owned()),
            _ => None,
        };
        if let Some(value) = std::env::var(name).ok().or(fallback) {
            found.insert(name.to_owned(), value);
        }
    }
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Fail::input(format!("--property `{text}`: expected NAME=VALUE")));
        };
        found.insert(name.to_owned(), value.to_owned());
    }
    Ok(found)
}

/// The names between two `@`.
fn names(xml: &str) -> impl Iterator<Item = &str> {
    let is_name = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    xml.split('@').skip(1).filter(is_name)
}

/// The folder of a project file.
pub(in crate::commands) fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A file that a connector reads: where it says, or else beside the project.
pub(in crate::commands) fn located(name: &str, project: &Path) -> String {
    let beside = folder(project).join(name);
    if Path::new(name).is_relative() && !Path::new(name).exists() && beside.exists() {
        return beside.display().to_string();
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_between_two_at_signs() {
        let found: Vec<&str> = names("a@b.org @HOME@/x@Y@@Z@ @ n @").collect();
        assert_eq!(found, ["HOME", "Y", "Z"], "what stands between two names may look like one, and does no harm");
    }

    #[test]
    fn given_before_environment_before_folder() {
        let xml = "@ESP_PROJECT_HOME@ @ESP_PROJECT_OUTPUT@ @PATH@ @NOWHERE_TO_BE_FOUND@";
        let found = properties(&["PATH=mine".to_owned()], xml, Path::new("folder/model.xml")).unwrap_or_default();
        let expected = [("ESP_PROJECT_HOME", "folder"), ("ESP_PROJECT_OUTPUT", "."), ("PATH", "mine")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(properties(&["PATH".to_owned()], xml, Path::new("model.xml")).is_err());
    }
}
