//! The language of `logic`: `fby{1 hour}(e1, and(notoccur(x), e2))`.

use std::ops::Range;

use crate::pattern::PatternLogic;
use crate::windows::source::duration;

/// Deepest nesting; public models have more than ten levels.
const MAX_DEPTH: usize = 200;
/// Largest n of `is:n`.
const MAX_TIMES: u32 = 1_000_000;

/// What is wrong, where, and the names that would have been right.
pub(crate) struct LogicError {
    pub span: Range<usize>,
    pub message: String,
    /// True when a name of an event is wrong.
    pub unknown: bool,
}

const OPERATORS: [&str; 6] = ["fby", "and", "or", "notoccur", "not", "is"];

struct Parser<'a> {
    text: &'a str,
    at: usize,
    events: &'a [String],
}

/// Reads the logic of a pattern over events of these names.
pub(crate) fn parse(text: &str, events: &[String]) -> Result<PatternLogic, LogicError> {
    let mut parser = Parser { text, at: 0, events };
    let logic = parser.part(0)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.error(parser.at..text.len(), "expected the end of the logic here"));
    }
    Ok(logic)
}

impl Parser<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>) -> LogicError {
        LogicError { span, message: message.into(), unknown: false }
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn next_is(&mut self, c: char) -> bool {
        self.blanks();
        self.text[self.at..].starts_with(c)
    }

    fn expect(&mut self, c: char) -> Result<(), LogicError> {
        if self.next_is(c) {
            self.at += c.len_utf8();
            return Ok(());
        }
        let end = (self.at + 1).min(self.text.len());
        Err(self.error(self.at..end, format!("expected `{c}` here")))
    }

    fn word(&mut self) -> Result<Range<usize>, LogicError> {
        self.blanks();
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if length == 0 {
            return Err(
                self.error(self.at..(self.at + 1).min(self.text.len()), "expected an event or an operator here")
            );
        }
        let range = self.at..self.at + length;
        self.at = range.end;
        Ok(range)
    }

    fn part(&mut self, depth: usize) -> Result<PatternLogic, LogicError> {
        let range = self.word()?;
        if depth > MAX_DEPTH {
            return Err(self.error(range, format!("the logic is nested more than {MAX_DEPTH} deep")));
        }
        let name = self.text[range.clone()].to_owned();
        let operator = OPERATORS.iter().position(|operator| name.eq_ignore_ascii_case(operator));
        let opens = self.next_is('(') || self.next_is('{') || self.next_is(':');
        let Some(operator) = operator.filter(|_| opens) else {
            if opens {
                let message = format!("`{name}` is not an operator, expected one of {}", OPERATORS.join(", "));
                return Err(self.error(range, message));
            }
            return match self.events.iter().position(|event| *event == name) {
                Some(event) => Ok(PatternLogic::Event(event)),
                None => {
                    let message = format!("`{name}` is not an event of the pattern");
                    Err(LogicError { span: range, message, unknown: true })
                }
            };
        };
        let times = self.times(operator)?;
        let span_us = self.span()?;
        self.expect('(')?;
        let mut parts = vec![self.part(depth + 1)?];
        while self.next_is(',') {
            self.at += 1;
            parts.push(self.part(depth + 1)?);
        }
        self.expect(')')?;
        if span_us.is_some() && operator != 0 {
            return Err(self.error(range, "a time limit stands behind `fby` only"));
        }
        let one = |parts: Vec<PatternLogic>| -> Option<Box<PatternLogic>> {
            let mut parts = parts.into_iter();
            parts.next().filter(|_| parts.next().is_none()).map(Box::new)
        };
        let single = match operator {
            0 => return Ok(PatternLogic::Fby { span_us, parts }),
            1 => return Ok(PatternLogic::And(parts)),
            2 => return Ok(PatternLogic::Or(parts)),
            _ => one(parts).ok_or_else(|| self.error(range, format!("`{name}` takes one event or operator")))?,
        };
        Ok(match operator {
            3 => PatternLogic::NotOccur(single),
            4 => PatternLogic::Not(single),
            _ => PatternLogic::Is { times, part: single },
        })
    }

    /// The number behind `is:`.
    fn times(&mut self, operator: usize) -> Result<u32, LogicError> {
        if !self.next_is(':') {
            return Ok(1);
        }
        let colon = self.at;
        self.at += 1;
        let range = self.word()?;
        let times = self.text[range.clone()].parse().ok().filter(|times| (1..=MAX_TIMES).contains(times));
        match times {
            Some(times) if operator == 5 => Ok(times),
            Some(_) => Err(self.error(colon..range.end, "a number of times stands behind `is` only")),
            None => Err(self.error(range, format!("expected a number of times from 1 to {MAX_TIMES}"))),
        }
    }

    /// The time limit in braces.
    fn span(&mut self) -> Result<Option<i64>, LogicError> {
        if !self.next_is('{') {
            return Ok(None);
        }
        let open = self.at;
        let Some(close) = self.text[open..].find('}').map(|found| open + found) else {
            return Err(self.error(open..open + 1, "this `{` has no `}`"));
        };
        self.at = close + 1;
        match duration(self.text[open + 1..close].trim(), None) {
            Some(us) => Ok(Some(us)),
            None => Err(self.error(open + 1..close, "expected a time such as `1 hour` or `200milliseconds`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PatternLogic, String> {
        let events = ["a", "b", "c_1"].map(str::to_owned);
        parse(text, &events).map_err(|error| format!("{}: {}", &text[error.span], error.message))
    }

    #[test]
    fn forms_in_use() {
        use PatternLogic::{And, Event, Fby, Is, Not, NotOccur};
        let fby = |span_us, parts| Fby { span_us, parts };
        assert_eq!(read("fby(a, fby( b,c_1))"), Ok(fby(None, vec![Event(0), fby(None, vec![Event(1), Event(2)])])));
        assert_eq!(read("fby{200milliseconds}(a,b)"), Ok(fby(Some(200_000), vec![Event(0), Event(1)])));
        let quiet = And(vec![NotOccur(Box::new(Event(2))), Event(1)]);
        assert_eq!(
            read("fby {1 hour} (a,\n and(notoccur(c_1),b))"),
            Ok(fby(Some(3_600_000_000), vec![Event(0), quiet]))
        );
        let twice = Not(Box::new(Not(Box::new(Event(0)))));
        let three = Is { times: 3, part: Box::new(Event(1)) };
        assert_eq!(read("fby(not(not(a)),is:3(b))"), Ok(fby(None, vec![twice, three])));
    }

    #[test]
    fn mistakes_are_located() {
        assert_eq!(read("fby(a,d)"), Err("d: `d` is not an event of the pattern".to_owned()));
        assert_eq!(read("fby(a,b"), Err(": expected `)` here".to_owned()));
        assert_eq!(read("fbi(a,b)").unwrap_err()[..27].to_owned(), "fbi: `fbi` is not an operat");
        assert_eq!(
            read("fby{soon}(a,b)"),
            Err("soon: expected a time such as `1 hour` or `200milliseconds`".to_owned())
        );
        assert_eq!(read("is(a,b)"), Err("is: `is` takes one event or operator".to_owned()));
    }
}
