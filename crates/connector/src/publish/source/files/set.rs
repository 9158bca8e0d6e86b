//! Which files a source is, in which order, and where one of them is when it has another name.

use std::cmp::Ordering;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mesh_event::{SourceFile, SourcePosition};
use xxhash_rust::xxh3::xxh3_64;

use super::super::Source;
use super::super::file::is_packed;
use super::names::{file_name, folder, is_like, is_rotated};
use super::{FilesSource, head_of};
use crate::publish::error::PublishError;

/// Between the names of a list.
const BETWEEN: char = '|';
/// How often a folder is read anew in which files are renamed.
const RENAMES_MAX: usize = 100;
/// How often a file is looked for before it counts as gone, and the pause between.
const LOOKS_MAX: usize = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Files that are read one after the other, as one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    parts: Vec<Part>,
    pub(super) growing: bool,
    /// Where the files must be; `None`: anywhere.
    within: Option<PathBuf>,
}

/// A path, or a folder with a pattern for names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// As the option `fsname` has it, and positions name it.
    given: String,
    /// Where it is.
    real: String,
}

/// A file of a set.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub given: String,
    pub real: PathBuf,
    /// `None`: it is not there.
    pub seen: Option<Seen>,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub inode: u64,
    pub length: u64,
    pub changed: SystemTime,
}

impl Seen {
    pub fn of(metadata: &Metadata) -> Seen {
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Seen { inode: metadata.ino(), length: metadata.len(), changed }
    }
}

impl FileSet {
    /// What `fsname` names if it is several files: `a.csv|b.csv`, `in/*.csv`, or one that grows and may be rotated.
    pub fn parse(fsname: &str, growing: bool) -> Option<FileSet> {
        let parts: Vec<Part> = fsname
            .split(BETWEEN)
            .filter(|part| !part.is_empty())
            .map(|part| Part { given: part.to_owned(), real: part.to_owned() })
            .collect();
        let several = parts.len() > 1 || parts.iter().any(Part::is_pattern);
        (!parts.is_empty() && (several || growing)).then_some(FileSet { parts, growing, within: None })
    }

    /// Gives each path the one that it really has, all of them within a folder.
    ///
    /// # Errors
    /// What `real` says of the first that it refuses.
    pub fn resolve<E>(&mut self, within: Option<PathBuf>, real: impl Fn(&str) -> Result<String, E>) -> Result<(), E> {
        self.within = within;
        self.parts.iter_mut().try_for_each(|part| {
            part.real = real(&part.given)?;
            Ok(())
        })
    }

    /// Opens the file in which the position is, behind it.
    pub fn open(&self, position: &SourcePosition) -> Result<FilesSource, PublishError> {
        if let Some(part) = self.rotated().filter(|part| is_packed(Path::new(&part.given))) {
            return Err(PublishError::GrowingPacked { name: part.given.clone() });
        }
        let Some(file) = &position.file else { return FilesSource::new(self.clone(), self.first()?, position.bytes) };
        self.open_at(file, position.bytes)
    }

    /// Opens the file that a position names, wherever it is now, behind so many bytes. It may be renamed while it is looked
    /// for and between being found and being opened, so it is tried again.
    pub(super) fn open_at(&self, file: &SourceFile, bytes: u64) -> Result<FilesSource, PublishError> {
        let is_it = |opened: &FilesSource| opened.file_at(bytes).is_some_and(|found| found.head == file.head);
        let mut last = self.lost(file, bytes);
        for _ in 0..LOOKS_MAX {
            let entry = self.find(file, bytes);
            match entry.and_then(|entry| FilesSource::new(self.clone(), entry, bytes)) {
                Ok(opened) if is_it(&opened) => return Ok(opened),
                Ok(_) => {}
                Err(
                    error @ (PublishError::FileLost { .. }
                    | PublishError::SourceShorter { .. }
                    | PublishError::Source { .. }),
                ) => last = error,
                Err(error) => return Err(error),
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Err(last)
    }

    /// One file that grows: what is like it in its folder is what it was before.
    fn rotated(&self) -> Option<&Part> {
        match &self.parts[..] {
            [part] if self.growing && !part.is_pattern() => Some(part),
            _ => None,
        }
    }

    fn name(&self) -> String {
        self.parts.iter().map(|part| part.given.as_str()).collect::<Vec<_>>().join("|")
    }

    fn failed(&self, reason: io::Error) -> PublishError {
        PublishError::Source { name: self.name(), reason }
    }

    fn lost(&self, file: &SourceFile, bytes: u64) -> PublishError {
        PublishError::FileLost { name: self.name(), file: file.path.clone(), bytes }
    }

    fn first(&self) -> Result<Entry, PublishError> {
        if let Some(part) = self.rotated() {
            return part.entry().map_err(|reason| self.failed(reason));
        }
        let entries = self.entries().map_err(|reason| self.failed(reason))?;
        let missing = entries.iter().find(|entry| entry.seen.is_none() && !self.growing);
        if let Some(missing) = missing {
            let reason = io::Error::new(io::ErrorKind::NotFound, "no such file");
            return Err(PublishError::Source { name: missing.given.clone(), reason });
        }
        let none = || io::Error::new(io::ErrorKind::NotFound, "no file has such a name, expected at least one");
        entries.into_iter().find(|entry| entry.seen.is_some()).ok_or_else(|| self.failed(none()))
    }

    /// The file that a position names, wherever it is now.
    fn find(&self, file: &SourceFile, bytes: u64) -> Result<Entry, PublishError> {
        let entries = match self.rotated() {
            Some(part) => part.relatives(),
            None => self.entries().map(|all| all.into_iter().filter(|entry| entry.given == file.path).collect()),
        };
        let mut found: Vec<Entry> = entries
            .map_err(|reason| self.failed(reason))?
            .into_iter()
            .filter(|entry| entry.is_known_by(file, bytes))
            .collect();
        if let Some(same) = found.iter().position(|entry| entry.seen.is_some_and(|seen| seen.inode == file.inode)) {
            return Ok(found.swap_remove(same));
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => Err(self.lost(file, bytes)),
            _ => {
                let names: Vec<&str> = found.iter().map(|entry| entry.given.as_str()).collect();
                Err(PublishError::FileTwice { name: self.name(), file: file.path.clone(), names: names.join(", ") })
            }
        }
    }

    /// All files in their order.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        for part in &self.parts {
            let found = if part.is_pattern() { part.matches()? } else { vec![part.entry_or_none()?] };
            // what two parts name comes where the first has it
            all.extend(found.into_iter().filter(|entry| part.first_with(&self.parts, &entry.given)));
        }
        Ok(all)
    }

    /// The files behind one, in their order.
    pub(super) fn behind(&self, current: &str, open: Seen, read: u64) -> io::Result<Vec<Entry>> {
        let Some(part) = self.rotated() else {
            let place = |given: &str| {
                let part = self.parts.iter().position(|part| part.names(given)).unwrap_or(self.parts.len());
                (part, given.to_owned())
            };
            let here = place(current);
            return Ok(self.entries()?.into_iter().filter(|entry| place(&entry.given) > here).collect());
        };
        // it has its name still, or nobody has it
        let nothing = |newest: Option<Seen>| newest.is_none_or(|seen| seen.inode == open.inode && seen.length >= read);
        if nothing(part.entry_or_none()?.seen) {
            return Ok(Vec::new());
        }
        let mut relatives = part.relatives()?;
        let newest = relatives.iter().position(|entry| entry.given == part.given).map(|at| relatives.remove(at));
        let Some(newest) = newest.filter(|newest| !nothing(newest.seen)) else { return Ok(Vec::new()) };
        relatives.sort_by(Entry::by_age);
        let behind = match relatives.iter().position(|entry| entry.seen.is_some_and(|seen| seen.inode == open.inode)) {
            Some(here) => relatives.split_off(here + 1),
            // it is gone, or packed: its last change tells its place
            None => {
                relatives.into_iter().filter(|entry| entry.seen.is_some_and(|s| s.changed > open.changed)).collect()
            }
        };
        Ok(behind.into_iter().chain([newest]).collect())
    }

    pub(super) fn check_within(&self, path: &Path) -> io::Result<()> {
        let Some(folder) = &self.within else { return Ok(()) };
        let real = path.canonicalize()?;
        if real.starts_with(folder.canonicalize()?) {
            return Ok(());
        }
        Err(io::Error::other(format!("`{}` leads out of `{}`", path.display(), folder.display())))
    }
}

impl Part {
    fn is_pattern(&self) -> bool {
        file_name(&self.given).contains(['*', '?'])
    }

    fn names(&self, given: &str) -> bool {
        match self.is_pattern() {
            true => {
                folder(&self.given) == folder(given)
                    && is_like(file_name(&self.given).as_bytes(), file_name(given).as_bytes())
            }
            false => self.given == given,
        }
    }

    fn first_with(&self, parts: &[Part], given: &str) -> bool {
        parts.iter().find(|part| part.names(given)).is_some_and(|part| part == self)
    }

    fn entry(&self) -> io::Result<Entry> {
        let metadata = fs::metadata(&self.real)?;
        Ok(Entry { given: self.given.clone(), real: (&self.real).into(), seen: Some(Seen::of(&metadata)) })
    }

    fn entry_or_none(&self) -> io::Result<Entry> {
        match self.entry() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Entry { given: self.given.clone(), real: (&self.real).into(), seen: None })
            }
            other => other,
        }
    }

    /// Files that the pattern names, by name.
    fn matches(&self) -> io::Result<Vec<Entry>> {
        let pattern = file_name(&self.given).as_bytes();
        self.beside(|name| is_like(pattern, name.as_bytes()))
    }

    /// The file and what it may have been renamed to.
    fn relatives(&self) -> io::Result<Vec<Entry>> {
        let own = file_name(&self.given);
        self.beside(|name| name == own || is_rotated(own, name))
    }

    /// The files of its folder whose names are accepted, by name, as they all were at one moment: a file that is renamed
    /// while its folder is read may be in it under neither name.
    fn beside(&self, accepts: impl Fn(&str) -> bool) -> io::Result<Vec<Entry>> {
        let names = |all: &[Entry]| -> Vec<(String, Option<u64>)> {
            all.iter().map(|entry| (entry.given.clone(), entry.seen.map(|seen| seen.inode))).collect()
        };
        let mut last = self.beside_once(&accepts)?;
        for _ in 0..RENAMES_MAX {
            let again = self.beside_once(&accepts)?;
            let same = names(&again) == names(&last);
            last = again;
            if same {
                return Ok(last);
            }
        }
        let folder = folder(&self.given);
        Err(io::Error::other(format!("files in `{folder}` are renamed faster than their names can be read")))
    }

    fn beside_once(&self, accepts: impl Fn(&str) -> bool) -> io::Result<Vec<Entry>> {
        let real = folder(&self.real);
        let mut found = Vec::new();
        for item in fs::read_dir(if real.is_empty() { "." } else { real })? {
            let item = item?;
            let Some(name) = item.file_name().to_str().filter(|name| accepts(name)).map(str::to_owned) else {
                continue;
            };
            // one that is gone again was renamed or packed: the second reading sees another name
            let Ok(metadata) = fs::metadata(item.path()) else { continue };
            if metadata.is_file() {
                let given = format!("{}{name}", folder(&self.given));
                found.push(Entry { given, real: item.path(), seen: Some(Seen::of(&metadata)) });
            }
        }
        found.sort_by(|a, b| a.given.cmp(&b.given));
        Ok(found)
    }
}

impl Entry {
    /// True when its first bytes are those of the file that a position names.
    fn is_known_by(&self, file: &SourceFile, bytes: u64) -> bool {
        let packed = is_packed(&self.real);
        let head = || head_of(&File::open(&self.real)?, packed, bytes);
        self.seen.is_some_and(|seen| packed || seen.length >= bytes)
            && head().is_ok_and(|head| xxh3_64(&head) == file.head)
    }

    /// Older first: by the last change; with the same one by the name, where `.1` is newer than `.2` and a later date
    /// newer than an earlier.
    fn by_age(&self, other: &Entry) -> Ordering {
        let number = |entry: &Entry| -> Option<u32> {
            let name = entry.given.strip_suffix(".gz").unwrap_or(&entry.given);
            let digits = name.rsplit(['.', '-', '_']).next().filter(|digits| digits.len() < 5)?;
            digits.parse().ok()
        };
        let changed = |entry: &Entry| entry.seen.map(|seen| seen.changed);
        changed(self).cmp(&changed(other)).then_with(|| match (number(self), number(other)) {
            (Some(one), Some(two)) => two.cmp(&one),
            _ => self.given.cmp(&other.given),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_files_are_told_from_one() {
        for (fsname, growing, several) in [
            ("in.csv", false, false),
            ("in.csv", true, true),
            ("a.csv|b.csv", false, true),
            ("in/*.csv", false, true),
            ("in/2024-??.csv", true, true),
            ("odd*folder/in.csv", false, false),
        ] {
            assert_eq!(FileSet::parse(fsname, growing).is_some(), several, "{fsname} {growing}");
        }
    }

    #[test]
    fn of_files_that_changed_at_once_the_name_tells_the_older() {
        let entry = |given: &str| Entry { given: given.to_owned(), real: given.into(), seen: None };
        for (older, newer) in [("x.2", "x.1"), ("x.10.gz", "x.9"), ("x-20240101", "x-20240102"), ("x.3.gz", "x.2.gz")] {
            assert_eq!(entry(older).by_age(&entry(newer)), Ordering::Less, "{older} {newer}");
        }
    }
}
