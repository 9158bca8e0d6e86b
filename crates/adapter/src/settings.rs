//! Raw settings into typed values; every problem is collected, so that a user sees all of them at once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::suggest::nearest;
use crate::table::{Known, Support};

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the command line.
    Line,
    /// In a transport file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line => f.write_str("command line"),
            Place::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// A key with its value as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Key, lower case.
    pub key: String,
    /// Value without its quotes.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// Something wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The options are refused; every problem is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// All problems, in order of place.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading the adapter's options: {} cannot be used", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Settings of one place (the line, or one block of the file), checked against the keys known there.
pub struct Values<'a> {
    settings: Vec<Setting>,
    known: &'a [Known],
    problems: Vec<Problem>,
}

impl<'a> Values<'a> {
    /// Sorts out unknown, ignored and refused keys; of a key given twice the last one holds.
    pub fn new(given: Vec<Setting>, known: &'a [Known], warnings: &mut Vec<Problem>) -> Values<'a> {
        let mut problems = Vec::new();
        let mut settings: Vec<Setting> = Vec::with_capacity(given.len());
        for setting in given {
            let mut warn = |message: String| warnings.push(Problem { place: setting.place.clone(), message });
            let Some(entry) = known.iter().find(|entry| entry.matches(&setting.key)) else {
                warn(unknown(&setting.key, known));
                continue;
            };
            match entry.support {
                Support::Yes => {}
                Support::Ignored(why) => {
                    warn(format!("`{}` is accepted and has no effect: {why}", setting.key));
                    continue;
                }
                Support::Refused(why) => {
                    let message = format!("`{}={}` cannot be honoured: {why}", setting.key, setting.value);
                    problems.push(Problem { place: setting.place, message });
                    continue;
                }
            }
            if let Some(before) = settings.iter_mut().find(|other| other.key == setting.key) {
                warn(format!(
                    "`{}` is given twice; `{}` is replaced by `{}`",
                    setting.key, before.value, setting.value
                ));
                *before = setting;
            } else {
                settings.push(setting);
            }
        }
        Values { settings, known, problems }
    }

    /// The setting itself, if it is given and not empty.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        debug_assert!(self.known.iter().any(|entry| entry.matches(key)), "`{key}` must be in the table");
        self.settings.iter().find(|setting| setting.key == key && !setting.value.is_empty())
    }

    /// A text, if given.
    pub fn text(&self, key: &str) -> Option<String> {
        self.setting(key).map(|setting| setting.value.clone())
    }

    /// A text that must be given; a problem and an empty text otherwise.
    pub fn required(&mut self, key: &str, example: &str) -> String {
        self.text(key).unwrap_or_else(|| {
            self.refuse(&Place::Line, format!("`{key}` is missing, expected for example `{key}={example}`"));
            String::new()
        })
    }

    /// True or false.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(setting) = self.setting(key).cloned() else {
            return default;
        };
        match setting.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => true,
            "false" | "no" | "off" | "0" => false,
            _ => {
                self.refuse(&setting.place, format!("`{key}` is `{}`, expected true or false", setting.value));
                default
            }
        }
    }

    /// A whole number between two bounds.
    pub fn number(&mut self, key: &str, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(setting) = self.setting(key).cloned() else {
            return default;
        };
        match setting.value.trim().parse::<u64>() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (from, to) = bounds.into_inner();
                let expected = format!("expected a whole number from {from} to {to}");
                self.refuse(&setting.place, format!("`{key}` is `{}`, {expected}", setting.value));
                default
            }
        }
    }

    /// A number of milliseconds between 0 and an hour.
    pub fn milliseconds(&mut self, key: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(key, default, 0..=3_600_000))
    }

    /// A number of seconds between 0 and a day.
    pub fn seconds(&mut self, key: &str, default: u64) -> Duration {
        Duration::from_secs(self.number(key, default, 0..=86_400))
    }

    /// One of a few words; a problem and the first otherwise.
    pub fn choice<T: Copy>(&mut self, key: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(setting) = self.setting(key).cloned() else {
            return default;
        };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(setting.value.trim()));
        if let Some((_, value)) = found {
            return *value;
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(&setting.value, all.iter().copied()).map(|w| format!("; did you mean `{w}`?"));
        let message =
            format!("`{key}` is `{}`, expected one of {}{}", setting.value, all.join(", "), hint.unwrap_or_default());
        self.refuse(&setting.place, message);
        default
    }

    /// The problems found so far.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Notes a problem.
    pub fn refuse(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem { place: place.clone(), message: message.into() });
    }
}

fn unknown(key: &str, known: &[Known]) -> String {
    let names = known.iter().filter(|entry| entry.support.is_yes()).map(|entry| entry.key);
    match nearest(key, names.clone()) {
        Some(near) => format!("unknown key `{key}` is ignored; did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = names.collect();
            format!("unknown key `{key}` is ignored; known here: {}", all.join(", "))
        }
    }
}
