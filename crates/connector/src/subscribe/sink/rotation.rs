//! One output file after the other: when the next begins, and how it is called.
//!
//! Both follow from the topic and the options alone - from the blocks, their sizes as text and the times at which they were
//! committed - so a restart, and every member of a group, makes the same files.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use mesh_adapter::Rotation;
use mesh_replication::adapter::CurrentFile;

/// Digits of the sequence in a file's name: by name they come in the order of the topic.
const DIGITS: usize = 12;

/// A block that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextBlock {
    /// Its sequence.
    pub sequence: u64,
    /// When it was committed, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Bytes of its text.
    pub bytes: u64,
    /// Bytes of the blocks before it that are not written yet.
    pub waiting: u64,
}

/// True when the block belongs into a new file. `length`: what is written of the present one.
pub(super) fn is_due(rotation: Rotation, current: &CurrentFile, length: u64, next: &NextBlock) -> bool {
    if current.name.is_empty() {
        return true;
    }
    let before = length + next.waiting;
    let full = rotation.bytes_max.is_some_and(|max| before > 0 && before + next.bytes > max);
    let over = rotation.period.is_some_and(|period| {
        let length_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        current.opened_ms.div_euclid(length_ms) < next.timestamp_ms.div_euclid(length_ms)
    });
    full || over
}

/// The file that begins with a block: `out.csv` is `out-000000000123-20240131T102500Z.csv`.
pub(super) fn begin_at(path: &Path, next: &NextBlock) -> CurrentFile {
    let (stem, extension) = parts(path);
    let (sequence, time) = (next.sequence, stamp(next.timestamp_ms));
    CurrentFile { name: format!("{stem}-{sequence:0DIGITS$}-{time}{extension}"), opened_ms: next.timestamp_ms }
}

/// The files made for this path that begin behind a block, by name.
pub(super) fn begun_behind(path: &Path, sequence: u64) -> io::Result<Vec<String>> {
    let (stem, extension) = parts(path);
    let first_of = |name: &str| -> Option<u64> {
        let middle = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension)?;
        let (digits, time) = middle.split_once('-')?;
        let is_stamp = time.len() == "20240131T102500Z".len() && time.ends_with('Z') && time.as_bytes()[8] == b'T';
        (digits.len() >= DIGITS && is_stamp).then(|| digits.parse().ok())?
    };
    let mut found = Vec::new();
    for item in fs::read_dir(folder(path))? {
        let name = item?.file_name();
        found.extend(
            name.to_str().filter(|name| first_of(name).is_some_and(|first| first > sequence)).map(str::to_owned),
        );
    }
    found.sort();
    Ok(found)
}

/// The folder of a path.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name without and the extension with the dot.
fn parts(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = text(path.extension());
    (text(path.file_stem()), if extension.is_empty() { extension } else { format!(".{extension}") })
}

fn stamp(timestamp_ms: i64) -> String {
    // a time that no calendar has is of a broken clock; the sequence tells the files apart
    let time = Timestamp::from_millisecond(timestamp_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test stops at its first surprise
mod tests {
    use super::*;
    use std::time::Duration;

    fn block(timestamp_ms: i64, bytes: u64, waiting: u64) -> NextBlock {
        NextBlock { sequence: 7, timestamp_ms, bytes, waiting }
    }

    #[test]
    fn a_file_is_full_or_its_time_is_over() {
        let current = CurrentFile { name: "x".into(), opened_ms: 59_000 };
        let size = Rotation { bytes_max: Some(100), period: None };
        assert!(is_due(size, &CurrentFile::default(), 0, &block(0, 1, 0)), "none has been begun");
        assert!(!is_due(size, &current, 60, &block(0, 20, 20)), "exactly full");
        assert!(is_due(size, &current, 60, &block(0, 21, 20)));
        assert!(!is_due(size, &current, 0, &block(0, 500, 0)), "larger than any file");
        let time = Rotation { bytes_max: None, period: Some(Duration::from_secs(60)) };
        assert!(!is_due(time, &current, 9999, &block(59_999, 1, 0)));
        assert!(is_due(time, &current, 1, &block(60_000, 1, 0)));
        assert!(!is_due(time, &current, 1, &block(-5, 1, 0)), "a clock that went back opens nothing");
    }

    #[test]
    fn names_tell_first_block_and_time_and_are_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.v2.csv");
        let name = begin_at(&path, &block(1_706_696_700_123, 1, 0)).name;
        assert_eq!(name, "out.v2-000000000007-20240131T102500Z.csv");
        for other in [&*name, "out.v2.csv", "out.v2-7-20240131T102500Z.csv", "out.v2-000000000009-yesterday.csv"] {
            fs::write(dir.path().join(other), "").unwrap();
        }
        assert_eq!(begun_behind(&path, 6).unwrap(), [name]);
        assert_eq!(begun_behind(&path, 7).unwrap(), Vec::<String>::new());
        assert_eq!(begin_at(Path::new("out"), &block(0, 1, 0)).name, "out-000000000007-19700101T000000Z");
    }
}
