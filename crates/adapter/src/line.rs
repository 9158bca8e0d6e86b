//! The adapter's one argument: `-C key=value,key="value, with comma",...`.
//!
//! A shell usually eats the quotes, so that a value with a comma arrives bare. A part without `=` therefore belongs to
//! the value before it: `csvfielddelimiter=,,header=1` and `dateformat=%d, %b,blocksize=2` mean what they look like.

use crate::settings::{Place, Setting};

/// Longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// A line that cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The first part has no `=`.
    #[error(
        "reading the -C line: it starts with `{found}`, expected key=value,key=value,... such as `type=pub,fsname=in.csv`"
    )]
    NoKey {
        /// What stands there.
        found: String,
    },
    /// The line is too long.
    #[error("reading the -C line: it has {found} bytes, expected at most {LINE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
}

/// Takes the line apart; keys are made lower case, quotes around values are dropped.
pub fn parse(line: &str) -> Result<Vec<Setting>, LineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong { found: line.len() });
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in split_outside_quotes(line) {
        match split_key(part) {
            Some((key, value)) => pairs.push((key, value.to_owned())),
            None => match pairs.last_mut() {
                Some((_, value)) => {
                    value.push(',');
                    value.push_str(part);
                }
                None if part.trim().is_empty() => {}
                None => {
                    return Err(LineError::NoKey { found: part.trim().to_owned() });
                }
            },
        }
    }
    let setting = |(key, value): (String, String)| Setting { key, value: unquote(&value), place: Place::Line };
    Ok(pairs.into_iter().map(setting).collect())
}

/// Cuts at the commas that stand outside of double quotes. Single quotes are no brackets here: the public samples hold
/// date formats with a leading one only.
fn split_outside_quotes(line: &str) -> Vec<&str> {
    let balanced = line.matches('"').count().is_multiple_of(2);
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' if balanced => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    parts
}

/// `key=value` if the text before the first `=` looks like a key (letters, digits, `_`, `-`, `.`).
fn split_key(part: &str) -> Option<(String, &str)> {
    let (key, value) = part.split_once('=')?;
    let key = key.trim();
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_key.then(|| (key.to_ascii_lowercase(), value))
}

/// Drops white space around a value and the quotes around it, also a leading quote that nobody closed, and the
/// backslashes of `\"`. A value that is only a blank or a tab (a delimiter) stays.
pub fn unquote(value: &str) -> String {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return value.to_owned();
    }
    let value = trimmed.replace("\\\"", "\"");
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.strip_suffix(quote).unwrap_or(inner).to_owned();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String)> {
        parse(line).unwrap().into_iter().map(|s| (s.key, s.value)).collect()
    }

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert_eq!(pairs(line), expected, "{line}");
    }

    #[test]
    fn lines_of_the_public_samples_are_read() {
        check(
            "type=pub,url=\"dfESP://HAtopic1:31415/trades/cq/src\",fsname=in.csv,fstype=csv,header=1",
            &[
                ("type", "pub"),
                ("url", "dfESP://HAtopic1:31415/trades/cq/src"),
                ("fsname", "in.csv"),
                ("fstype", "csv"),
                ("header", "1"),
            ],
        );
        check("dateformat='%Y-%m-%d %H:%M:%S,Type = sub", &[("dateformat", "%Y-%m-%d %H:%M:%S"), ("type", "sub")]);
        check("url=\"dfESP://h:1/p/q/w?snapshot=false\"", &[("url", "dfESP://h:1/p/q/w?snapshot=false")]);
    }

    #[test]
    fn commas_inside_values_are_kept() {
        check("csvfielddelimiter=,,header=1", &[("csvfielddelimiter", ","), ("header", "1")]);
        check("dateformat=\"%d, %b\",blocksize=2", &[("dateformat", "%d, %b"), ("blocksize", "2")]);
        check("dateformat=%d, %b,blocksize=2", &[("dateformat", "%d, %b"), ("blocksize", "2")]);
        check("csvfielddelimiter=\t", &[("csvfielddelimiter", "\t")]);
    }

    #[test]
    fn a_line_without_a_key_is_refused() {
        let error = parse("in.csv").unwrap_err().to_string();
        assert!(error.contains("`in.csv`") && error.contains("expected key=value"), "{error}");
        assert!(parse(&"a".repeat(LINE_BYTES_MAX + 1)).is_err());
        assert_eq!(parse("").unwrap(), []);
    }
}
