//! Events that could not be applied, in a file that does not grow without bound.
//!
//! A line each: time (UTC), window, what is wrong, then the event as a line of CSV with its opcode and flags; nothing stands
//! there where the event cannot be shown. A full file becomes `NAME.1`, in the place of the one before, and a new one is
//! begun: both together have at most twice the bytes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file of bad events.
#[derive(Debug)]
pub struct BadEventFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl BadEventFile {
    /// Opens a file, or goes on with one. `bytes_max`: more are not written to it.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<BadEventFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(BadEventFile { path: path.to_owned(), file, bytes, bytes_max })
    }

    /// Writes an event. `us`: microseconds since the Unix epoch.
    pub fn write(&mut self, us: i64, window: &str, reason: &str, event: &str) -> io::Result<()> {
        let time =
            jiff::Timestamp::from_microsecond(us).map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        let (time, reason) = (time.unwrap_or_default(), reason.replace('"', "'"));
        let line = format!("{time},{window},\"{reason}\",{event}\n");
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            std::fs::rename(&self.path, before)?;
            *self = BadEventFile::open(&self.path, self.bytes_max)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_place_for_a_new_one() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("bad.csv");
        let line = "2026-11-29T20:00:00.000001Z,cq/s,\"an 'insert' too many\",I,N, 1,2\n";
        let us = 1_795_982_400_000_001;
        for _ in 0..3 {
            // opened anew each time, as an engine that was started again does
            BadEventFile::open(&path, 2 * line.len() as u64)?.write(
                us,
                "cq/s",
                "an \"insert\" too many",
                "I,N, 1,2",
            )?;
        }
        assert_eq!(std::fs::read_to_string(&path)?, line);
        assert_eq!(std::fs::read_to_string(folder.path().join("bad.csv.1"))?, line.repeat(2));
        let mut small = BadEventFile::open(&path, 1)?;
        small.write(us, "w", "a line is longer than the limit", "")?;
        small.write(us, "w", "and so is the next", "")?;
        assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 1);
        Ok(())
    }
}
