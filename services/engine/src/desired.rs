//! What the engine shall run, on disk: so that it starts again while neither coordinator nor etcd answers.
//!
//! One small file, replaced as a whole: written beside it, flushed to the disk, renamed over it, and the folder flushed.
//! A crash at any moment leaves the old set or the new one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use mesh_proto::coordinator::Project;
use serde::{Deserialize, Serialize};

/// Version of the file's format.
const FORMAT: u32 = 1;

/// Largest file that is read: more than any set of projects that an engine runs.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The file with the last known set of projects.
#[derive(Debug, Clone)]
pub struct DesiredFile {
    path: PathBuf,
    engine: String,
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// The file system refused.
    #[error("{attempted} `{path}`: {error}")]
    Io {
        /// What was attempted.
        attempted: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// The content is not what this engine writes.
    #[error("`{path}`: expected {expected}, found {found}; remove it, and the coordinator's next word makes it anew")]
    Content {
        /// File.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    engine: String,
    projects: Vec<StoredProject>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredProject {
    name: String,
    version: u64,
    xml: String,
    url_host_port: String,
    deployed_us: i64,
    model_fingerprint: u64,
}

impl DesiredFile {
    /// The file of an engine in a folder, which is made if it is missing.
    pub fn open(folder: &Path, engine: &str) -> Result<DesiredFile, DesiredError> {
        fs::create_dir_all(folder).map_err(io("make folder", folder))?;
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = engine.chars().map(safe).collect();
        Ok(DesiredFile { path: folder.join(format!("desired-{name}.json")), engine: engine.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last set that was saved; `None`: none ever was.
    pub fn load(&self) -> Result<Option<Vec<Project>>, DesiredError> {
        let size = match fs::metadata(&self.path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("look at", &self.path)(error)),
        };
        if size > FILE_BYTES_MAX {
            return Err(self.content(format!("at most {FILE_BYTES_MAX} bytes"), format!("{size} bytes")));
        }
        let bytes = fs::read(&self.path).map_err(io("read", &self.path))?;
        let content: Content = serde_json::from_slice(&bytes)
            .map_err(|error| self.content(format!("the projects of an engine as JSON, format {FORMAT}"), error))?;
        if content.format != FORMAT {
            return Err(self.content(format!("format {FORMAT}"), format!("format {}", content.format)));
        }
        if content.engine != self.engine {
            return Err(self.content(format!("projects of `{}`", self.engine), format!("of `{}`", content.engine)));
        }
        Ok(Some(content.projects.into_iter().map(StoredProject::into_wire).collect()))
    }

    /// Replaces the set. Blocks until it is on the disk.
    pub fn save(&self, projects: &[Project]) -> Result<(), DesiredError> {
        let projects = projects.iter().map(StoredProject::of).collect();
        let content = Content { format: FORMAT, engine: self.engine.clone(), projects };
        let bytes = serde_json::to_vec_pretty(&content)
            .map_err(|error| io("write", &self.path)(std::io::Error::from(error)))?;
        let beside = self.path.with_extension("json.new");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(io("write", &beside))?;
        fs::rename(&beside, &self.path).map_err(io("replace", &self.path))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("flush folder", folder))
    }

    fn content(&self, expected: String, found: impl ToString) -> DesiredError {
        DesiredError::Content { path: self.path.clone(), expected, found: found.to_string() }
    }
}

fn io(attempted: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DesiredError {
    let path = path.to_owned();
    move |error| DesiredError::Io { attempted, path, error }
}

impl StoredProject {
    fn of(project: &Project) -> StoredProject {
        StoredProject {
            name: project.name.clone(),
            version: project.version,
            xml: project.xml.clone(),
            url_host_port: project.url_host_port.clone(),
            deployed_us: project.deployed_us,
            model_fingerprint: project.model_fingerprint,
        }
    }

    fn into_wire(self) -> Project {
        Project {
            name: self.name,
            version: self.version,
            xml: self.xml,
            url_host_port: self.url_host_port,
            deployed_us: self.deployed_us,
            model_fingerprint: self.model_fingerprint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str, version: u64) -> Project {
        let (xml, url_host_port) = (format!("<project name=\"{name}\">\n"), "h_1".to_owned());
        Project { name: name.into(), version, xml, url_host_port, deployed_us: -7, model_fingerprint: u64::MAX }
    }

    #[test]
    fn what_was_saved_last_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = DesiredFile::open(&folder.path().join("made/here"), "engine/1").unwrap();
        assert_eq!(file.load().unwrap(), None);
        file.save(&[project("a", 1), project("b", 9)]).unwrap();
        file.save(&[project("b", 10)]).unwrap();
        assert_eq!(file.load().unwrap(), Some(vec![project("b", 10)]));
        file.save(&[]).unwrap();
        assert_eq!(file.load().unwrap(), Some(Vec::new()), "nothing to run is something to know");
        let names: Vec<_> =
            fs::read_dir(file.path().parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["desired-engine_1.json"]);
    }

    #[test]
    fn a_crash_while_writing_leaves_the_last_set() {
        let folder = tempfile::tempdir().unwrap();
        let file = DesiredFile::open(folder.path(), "e").unwrap();
        file.save(&[project("a", 1)]).unwrap();
        fs::write(file.path().with_extension("json.new"), "{\"format\":1,\"eng").unwrap();
        assert_eq!(file.load().unwrap(), Some(vec![project("a", 1)]));
        file.save(&[project("a", 2)]).unwrap();
        assert_eq!(file.load().unwrap(), Some(vec![project("a", 2)]));
    }

    #[test]
    fn what_this_engine_did_not_write_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = DesiredFile::open(folder.path(), "e").unwrap();
        let cases = [
            ("{\"format\":1,\"eng", "JSON"),
            ("{\"format\":9,\"engine\":\"e\",\"projects\":[]}", "found format 9"),
            ("{\"format\":1,\"engine\":\"f\",\"projects\":[]}", "found of `f`"),
        ];
        for (text, part) in cases {
            fs::write(file.path(), text).unwrap();
            let error = file.load().unwrap_err().to_string();
            assert!(error.contains("desired-e.json") && error.contains(part), "{error}");
            assert!(error.contains("remove it"), "{error}");
        }
    }
}
