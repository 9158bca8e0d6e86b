//! Object variables: regular expressions and arrays, and their methods.

use std::collections::BTreeMap;
use std::sync::Arc;

use fancy_regex::{Regex, RegexBuilder};

use crate::Type;
use crate::ast::ObjectKind;
use crate::functions::Param;
use crate::scalar::{Outcome, Scalar};

/// Longest array.
const MAX_ARRAY: i64 = 1_000_000;
/// Most steps that one search may go back: a pattern that explodes has no match, and the row an error.
const MAX_BACKTRACKS: usize = 1_000_000;
/// Largest compiled pattern in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Compiled patterns that are kept.
const MAX_PATTERNS: usize = 256;

const TOO_HARD: &str = "the regular expression takes too long on this text";
const BAD_INDEX: &str = "the index is outside the array";
const BAD_SIZE: &str = "an array holds 0 to 1000000 values";

/// Compiled patterns by their text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(BTreeMap<String, Option<Arc<Regex>>>);

impl Patterns {
    /// The compiled pattern; `None` when it is none.
    pub fn get(&mut self, pattern: &str) -> Option<Arc<Regex>> {
        if let Some(known) = self.0.get(pattern) {
            return known.clone();
        }
        if self.0.len() >= MAX_PATTERNS {
            self.0.clear();
        }
        let built = compile(pattern).ok().map(Arc::new);
        self.0.insert(pattern.to_owned(), built.clone());
        built
    }
}

/// Compiles a Perl-compatible pattern.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.backtrack_limit(MAX_BACKTRACKS).delegate_size_limit(MAX_PATTERN_BYTES);
    builder.build().map_err(|error| error.to_string())
}

/// The groups of the first match at or after a byte; group 0 is the whole match.
pub(crate) fn groups(regex: &Regex, text: &str, from: usize) -> Result<Option<Groups>, &'static str> {
    let found = regex.captures_from_pos(text, from).map_err(|_| TOO_HARD)?;
    Ok(found.map(|captures| captures.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect()))
}

/// Start and end in bytes of each group; `None`: not part of the match.
pub(crate) type Groups = Vec<Option<(usize, usize)>>;

#[derive(Debug, Clone)]
pub(crate) enum Object {
    Regex(Matcher),
    Array(Vec<Scalar<'static>>),
}

/// A `regex` variable: its pattern, and where the last search stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    pub pattern: String,
    pub subject: String,
    pub groups: Groups,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Compile,
    FindFirst,
    FindNext,
    MatchStart,
    MatchLength,
    Replace,
    SubstringCount,
    SubstringStart,
    SubstringLength,
    Dim,
    Get,
    Set,
    /// The function `aparse`, which fills an array.
    Split,
}

/// A method: name, the least and the greatest number of arguments, its parameters; `None`: a value of the array.
pub(crate) type Signature = (&'static str, Method, usize, &'static [Option<Param>]);

const TEXT: Option<Param> = Some(Param::Text);
const INTEGER: Option<Param> = Some(Param::Integer);

pub(crate) const REGEX_METHODS: [Signature; 9] = [
    ("compile", Method::Compile, 1, &[TEXT, TEXT]),
    ("findfirst", Method::FindFirst, 1, &[TEXT]),
    ("findnext", Method::FindNext, 1, &[TEXT]),
    ("matchstart", Method::MatchStart, 0, &[]),
    ("matchlength", Method::MatchLength, 0, &[]),
    ("replace", Method::Replace, 2, &[TEXT, TEXT]),
    ("substringcount", Method::SubstringCount, 0, &[]),
    ("substringstart", Method::SubstringStart, 1, &[INTEGER]),
    ("substringlength", Method::SubstringLength, 1, &[INTEGER]),
];

pub(crate) const ARRAY_METHODS: [Signature; 3] = [
    ("dim", Method::Dim, 0, &[INTEGER]),
    ("get", Method::Get, 1, &[INTEGER]),
    ("set", Method::Set, 2, &[INTEGER, None]),
];

impl Object {
    pub fn new(kind: ObjectKind) -> Object {
        match kind {
            ObjectKind::Regex => Object::Regex(Matcher::default()),
            ObjectKind::Array(_) => Object::Array(Vec::new()),
        }
    }

    /// Calls a method; no argument is null except the value of `set`.
    pub fn call(&mut self, method: Method, args: &[Scalar<'_>], patterns: &mut Patterns) -> Outcome<'static> {
        match self {
            Object::Regex(matcher) => matcher.call(method, args, patterns),
            Object::Array(values) => array(values, method, args),
        }
    }
}

fn array(values: &mut Vec<Scalar<'static>>, method: Method, args: &[Scalar<'_>]) -> Outcome<'static> {
    let index = |values: &[Scalar<'static>], at: i64| -> Result<usize, &'static str> {
        usize::try_from(at - 1).ok().filter(|at| *at < values.len()).ok_or(BAD_INDEX)
    };
    match (method, args) {
        (Method::Dim, [size]) => {
            if !(0..=MAX_ARRAY).contains(&size.integer()) {
                return Err(BAD_SIZE);
            }
            values.resize(size.integer() as usize, Scalar::Null);
        }
        (Method::Get, [at]) => return Ok(values[index(values, at.integer())?].clone()),
        (Method::Set, [at, value]) => {
            let at = index(values, at.integer())?;
            values[at] = value.clone().into_owned();
            return Ok(Scalar::Integer(1));
        }
        (Method::Split, [text, delimiters]) => {
            *values = split(text.str(), delimiters.str()).map(|part| Scalar::text(part.to_owned())).collect();
        }
        _ => {}
    }
    Ok(Scalar::Integer(values.len() as i64))
}

/// The parts of a text between any of the delimiters.
pub(crate) fn split<'t>(text: &'t str, delimiters: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(move |c| delimiters.contains(c))
}

impl Matcher {
    fn call(&mut self, method: Method, args: &[Scalar<'_>], patterns: &mut Patterns) -> Outcome<'static> {
        let characters = |text: &str| Scalar::Integer(text.chars().count() as i64);
        let group = |number: i64| usize::try_from(number).ok().and_then(|number| *self.groups.get(number)?);
        Ok(match (method, args) {
            (Method::Compile, [pattern, ..]) => {
                *self = Matcher { pattern: pattern.str().to_owned(), ..Matcher::default() };
                Scalar::Integer(i64::from(patterns.get(&self.pattern).is_some()))
            }
            (Method::FindFirst, [text]) => {
                text.str().clone_into(&mut self.subject);
                self.find(0, patterns)?
            }
            (Method::FindNext, [text]) => {
                // An empty match goes on one character later.
                let from = match group(0) {
                    Some((start, end)) if start == end => {
                        end + self.subject[end..].chars().next().map_or(1, char::len_utf8)
                    }
                    Some((_, end)) => end,
                    None => 0,
                };
                if text.str() != self.subject {
                    text.str().clone_into(&mut self.subject);
                    return self.find(0, patterns);
                }
                self.find(from, patterns)?
            }
            (Method::Replace, [text, by]) => match patterns.get(&self.pattern) {
                Some(regex) => {
                    let replaced = regex.try_replacen(text.str(), 0, perl_groups(by.str()).as_str());
                    Scalar::text(replaced.map_err(|_| TOO_HARD)?.into_owned())
                }
                None => Scalar::Null,
            },
            (Method::SubstringCount, _) => Scalar::Integer(self.groups.len().saturating_sub(1) as i64),
            (Method::MatchStart, _) => self.start_of(group(0)),
            (Method::MatchLength, _) => {
                group(0).map_or(Scalar::Null, |(start, end)| characters(&self.subject[start..end]))
            }
            (Method::SubstringStart, [number]) => self.start_of(group(number.integer())),
            (_, [number]) => {
                group(number.integer()).map_or(Scalar::Null, |(start, end)| characters(&self.subject[start..end]))
            }
            _ => Scalar::Null,
        })
    }

    /// Counts characters from 1.
    fn start_of(&self, group: Option<(usize, usize)>) -> Scalar<'static> {
        group.map_or(Scalar::Null, |(start, _)| Scalar::Integer(self.subject[..start].chars().count() as i64 + 1))
    }

    fn find(&mut self, from: usize, patterns: &mut Patterns) -> Outcome<'static> {
        let Some(regex) = patterns.get(&self.pattern).filter(|_| from <= self.subject.len()) else {
            self.groups.clear();
            return Ok(Scalar::Integer(0));
        };
        let found = groups(&regex, &self.subject, from)?;
        self.groups = found.unwrap_or_default();
        Ok(Scalar::Integer(i64::from(!self.groups.is_empty())))
    }
}

/// `\1` and `$1` of Perl replacements as `${1}`, so that `$1a` is group 1 and an `a`.
pub(crate) fn perl_groups(by: &str) -> String {
    let mut out = String::with_capacity(by.len());
    let mut chars = by.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\' | '$', Some(digit)) if digit.is_ascii_digit() => {
                chars.next();
                out.push_str("${");
                out.push(digit);
                out.push('}');
            }
            ('\\', Some(next)) => {
                chars.next();
                out.push(next);
            }
            ('$', _) => out.push_str("$$"),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Replaces every match, or the first `limit`; 0 is every.
pub(crate) fn replace_all(regex: &Regex, text: &str, by: &str, limit: usize) -> Result<String, &'static str> {
    let replaced = regex.try_replacen(text, limit, perl_groups(by).as_str()).map_err(|_| TOO_HARD)?;
    Ok(replaced.into_owned())
}

/// The type of a method's result.
pub(crate) fn method_result(method: Method, kind: ObjectKind) -> Type {
    match (method, kind) {
        (Method::Get, ObjectKind::Array(ty)) => ty,
        (Method::Replace, _) => Type::String,
        _ => Type::Integer,
    }
}
