//! Text: `upper lower left right mid len trim instr match_string compare replace`. Positions count characters from 1.

use std::cmp::Ordering;

use super::{Form, Function, Kernel, Param};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "upper", usage: "upper(string)", form: one(upper) },
    Function { name: "lower", usage: "lower(string)", form: one(lower) },
    Function { name: "trim", usage: "trim(string)", form: one(|text, out| out.push_str(text.trim())) },
    Function {
        name: "left",
        usage: "left(string, count)",
        form: fixed(Kernel::TextInteger(left), &[Param::Text, Param::Integer], 2, &[]),
    },
    Function {
        name: "right",
        usage: "right(string, count)",
        form: fixed(Kernel::TextInteger(right), &[Param::Text, Param::Integer], 2, &[]),
    },
    Function {
        name: "mid",
        usage: "mid(string, start [, count])",
        form: fixed(Kernel::TextInteger2(mid), &[Param::Text, Param::Integer, Param::Integer], 2, &[i64::MAX]),
    },
    Function {
        name: "len",
        usage: "len(string)",
        form: fixed(Kernel::TextToInteger(|text| text.chars().count() as i64), &[Param::Text], 1, &[]),
    },
    Function {
        name: "instr",
        usage: "instr(string, part [, occurrence])",
        form: fixed(Kernel::Text2ToInteger(instr), &[Param::Text, Param::Text, Param::Integer], 2, &[1]),
    },
    Function {
        name: "compare",
        usage: "compare(string, string [, ignore_case])",
        form: fixed(Kernel::Text2ToInteger(compare), &[Param::Text, Param::Text, Param::Integer], 2, &[0]),
    },
    Function {
        name: "match_string",
        usage: "match_string(string, pattern)",
        form: fixed(Kernel::Match, &[Param::Text, Param::Text], 2, &[]),
    },
    Function {
        name: "replace",
        usage: "replace(string, part, by)",
        form: fixed(Kernel::Replace(replace), &[Param::Text, Param::Text, Param::Text], 3, &[]),
    },
];

const fn fixed(kernel: Kernel, params: &'static [Param], required: usize, defaults: &'static [i64]) -> Form {
    Form::Fixed { kernel, params, required, defaults }
}

const fn one(kernel: fn(&str, &mut String)) -> Form {
    fixed(Kernel::Text(kernel), &[Param::Text], 1, &[])
}

fn upper(text: &str, out: &mut String) {
    out.extend(text.chars().flat_map(char::to_uppercase));
}

fn lower(text: &str, out: &mut String) {
    out.extend(text.chars().flat_map(char::to_lowercase));
}

/// Byte offset of character number `count` (from 0), or the end.
fn offset(text: &str, count: i64) -> usize {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

pub(crate) fn left(text: &str, count: i64, out: &mut String) {
    out.push_str(&text[..offset(text, count)]);
}

fn right(text: &str, count: i64, out: &mut String) {
    let length = text.chars().count() as i64;
    out.push_str(&text[offset(text, length.saturating_sub(count.max(0)))..]);
}

/// A start below 1 is taken as 1.
fn mid(text: &str, start: i64, count: i64, out: &mut String) {
    let rest = &text[offset(text, start.max(1) - 1)..];
    left(rest, count, out);
}

/// Position of the n-th occurrence, 0 when there is none; occurrences do not overlap.
fn instr(text: &str, part: &str, occurrence: i64) -> i64 {
    let Some(skip) = usize::try_from(occurrence).ok().and_then(|n| n.checked_sub(1)) else { return 0 };
    if part.is_empty() {
        return 0;
    }
    text.match_indices(part).nth(skip).map_or(0, |(at, _)| text[..at].chars().count() as i64 + 1)
}

fn compare(a: &str, b: &str, ignore_case: i64) -> i64 {
    let folded = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let order = if ignore_case != 0 { folded(a).cmp(&folded(b)) } else { a.cmp(b) };
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

fn replace(text: &str, part: &str, by: &str, out: &mut String) {
    if part.is_empty() {
        out.push_str(text);
        return;
    }
    let mut rest = text;
    while let Some(at) = rest.find(part) {
        out.push_str(&rest[..at]);
        out.push_str(by);
        rest = &rest[at + part.len()..];
    }
    out.push_str(rest);
}

/// A pattern of `match_string`: `*` only at its start or end, `?` is any one character, `\` takes the next literally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    open_start: bool,
    open_end: bool,
    /// `None` is any character.
    body: Vec<Option<char>>,
}

impl Pattern {
    /// `None` when there is a `*` inside.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut pattern = Pattern { open_start: false, open_end: false, body: Vec::new() };
        let mut chars = text.chars().enumerate();
        while let Some((at, c)) = chars.next() {
            if pattern.open_end {
                return None;
            }
            match c {
                '*' if at == 0 => pattern.open_start = true,
                '*' => pattern.open_end = true,
                '?' => pattern.body.push(None),
                '\\' => pattern.body.push(Some(chars.next().map_or('\\', |(_, c)| c))),
                c => pattern.body.push(Some(c)),
            }
        }
        Some(pattern)
    }

    pub fn matches(&self, text: &str) -> bool {
        let fits = |rest: &str| {
            let mut chars = rest.chars();
            let body = self.body.iter().all(|want| match (chars.next(), want) {
                (Some(found), Some(want)) => found == *want,
                (found, _) => found.is_some(),
            });
            body && (self.open_end || chars.next().is_none())
        };
        if !self.open_start {
            return fits(text);
        }
        text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(&text[at..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches = |text: &str, pattern: &str| Pattern::parse(pattern).map(|pattern| pattern.matches(text));
        assert_eq!(matches("Monday", "Mon*"), Some(true));
        assert_eq!(matches("Monday", "*day"), Some(true));
        assert_eq!(matches("Monday", "*nd*"), Some(true));
        assert_eq!(matches("Monday", "M?nday"), Some(true));
        assert_eq!(matches("Monday", "M?n"), Some(false));
        assert_eq!(matches("Monday", "*"), Some(true));
        assert_eq!(matches("", ""), Some(true));
        assert_eq!(matches("a*", "a\\*"), Some(true));
        assert_eq!(matches("ab", "a\\*"), Some(false));
        assert_eq!(matches("aXb", "a*b"), None);
        assert_eq!(matches("xaab", "*a?"), Some(true), "the end is tried at every place");
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(instr("größe", "e", 1), 5);
        assert_eq!(instr("banana", "an", 2), 4);
        assert_eq!(instr("banana", "an", 3), 0);
        assert_eq!(instr("banana", "", 1), 0);
        let mut out = String::new();
        mid("größe", 3, 2, &mut out);
        right("größe", 2, &mut out);
        left("größe", -1, &mut out);
        assert_eq!(out, "ößße");
    }
}
