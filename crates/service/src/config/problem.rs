//! Problems of a configuration, and how they are told.

use std::fmt;

use super::is_host_port;

/// What is wrong with one setting. Empty parts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Setting, e.g. `kafka.brokers`.
    pub setting: String,
    /// Where it was given: `esp.toml`, `ESP_ENGINE_KAFKA_BROKERS`, `--kafka-brokers`.
    pub source: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What the reader can do, e.g. a name that was probably meant.
    pub way_out: String,
}

/// All problems found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problem {
    /// A problem with a setting; add the other parts.
    pub fn new(setting: impl Into<String>, source: impl Into<String>) -> Self {
        Problem {
            setting: setting.into(),
            source: source.into(),
            expected: String::new(),
            found: String::new(),
            way_out: String::new(),
        }
    }

    /// Says what was expected.
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = text.into();
        self
    }

    /// Says what was found.
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = text.into();
        self
    }

    /// Says what the reader can do.
    pub fn way_out(mut self, text: impl Into<String>) -> Self {
        self.way_out = text.into();
        self
    }
}

/// Source of what [`Problems::check`] adds; the loader puts the setting's own in its place.
const TOGETHER: &str = "settings together";

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// For `validate`: reports a setting when `ok` is false.
    pub fn check(&mut self, ok: bool, setting: &str, expected: &str, found: impl fmt::Display) {
        if !ok {
            self.add(Problem::new(setting, TOGETHER).expected(expected).found(format!("`{found}`")));
        }
    }

    /// For `validate`: reports every address of a setting that is no `host:port`.
    pub fn check_addresses<'a>(&mut self, setting: &str, addresses: impl IntoIterator<Item = &'a str>) {
        for address in addresses {
            self.check(is_host_port(address.trim()), setting, "`host:port`, several separated by commas", address);
        }
    }

    /// For `validate`: reports a setting that could not be read as what it should be.
    pub fn check_read<T>(&mut self, setting: &str, expected: &str, read: Result<T, impl fmt::Display>) {
        if let Err(error) = read {
            self.add(Problem::new(setting, TOGETHER).expected(expected).found(error.to_string()));
        }
    }

    /// Says of each setting that was checked with the others where it was given; `source`: none for a default.
    pub(super) fn locate<'a>(&mut self, source: impl Fn(&str) -> Option<&'a str>) {
        for problem in self.list.iter_mut().filter(|problem| problem.source == TOGETHER) {
            source(&problem.setting).unwrap_or("default").clone_into(&mut problem.source);
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems in the order in which they were found.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting `{}` ({})", self.setting, self.source)?;
        match (self.expected.is_empty(), self.found.is_empty()) {
            (false, false) => write!(f, ": expected {}, found {}", self.expected, self.found)?,
            (false, true) => write!(f, ": expected {}", self.expected)?,
            (true, false) => write!(f, ": {}", self.found)?,
            (true, true) => {}
        }
        if !self.way_out.is_empty() {
            write!(f, "; {}", self.way_out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "error: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The known name nearest to what was written, if it is near enough to be what was meant.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be added, removed or replaced, or neighbours swapped, to turn `a` into `b`, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
