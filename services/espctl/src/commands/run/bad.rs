//! The file of bad events of a run.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_connector::bad_events::BadEventFile;

use crate::fail::Fail;

/// Most bytes of the file, as with engines.
const BYTES_MAX: u64 = 16 << 20;

/// The file and its name.
pub(super) struct BadEvents {
    path: PathBuf,
    file: BadEventFile,
}

impl BadEvents {
    /// Opens the file.
    pub(super) fn open(path: &Path) -> Result<BadEvents, Fail> {
        let file = BadEventFile::open(path, BYTES_MAX).map_err(|error| failed(path, &error))?;
        Ok(BadEvents { path: path.to_owned(), file })
    }

    /// Writes an event.
    pub(super) fn write(&mut self, window: &str, reason: &str, event: &str) -> Result<(), Fail> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        self.file.write(us, window, reason, event).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Fail {
    Fail::input(format!("--bad-events `{}`: {error}; expected a file that can be written", path.display()))
}
