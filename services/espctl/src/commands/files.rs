//! Files that a project names: read from beside it, and put into it, so that they travel with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mesh_model::files;

use super::run::properties;
use crate::fail::Fail;

/// Most bytes of one file.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The text of a project file with the files in it that it names. A file that is not there is left out: the check of the
/// project says so, with its line. `given`: NAME=VALUE for `@NAME@` in names of files.
pub fn project(file: &Path, given: &[String]) -> Result<String, Fail> {
    let xml = super::project::read(file)?;
    let mut found = BTreeMap::new();
    let known = properties::properties(given, &xml, file)?;
    for name in files::named(&xml) {
        let Some(path) = located(&name, file, &known) else { continue };
        let failed =
            |why: String| Fail::input(format!("read `{}`, which the project names as `{name}`: {why}", path.display()));
        let bytes = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(failed(format!("it has {bytes} bytes, at most {FILE_BYTES_MAX} travel with a project")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let unfit = |c: char| (c < ' ' && !"\t\r\n".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
        if let Some(at) = text.find(unfit) {
            return Err(failed(format!("byte {} is a control character, which XML cannot hold", at + 1)));
        }
        found.insert(name, text);
    }
    Ok(files::carried(&xml, &found))
}

/// Where a file lies: where its name says, or else beside the project.
fn located(name: &str, project: &Path, known: &BTreeMap<String, String>) -> Option<PathBuf> {
    let mut path = name.to_owned();
    for (name, value) in known {
        path = path.replace(&format!("@{name}@"), value);
    }
    let path = PathBuf::from(properties::located(&path, project));
    path.is_file().then_some(path)
}
