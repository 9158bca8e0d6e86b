//! A window's memory as bytes, for snapshots, and back.

use std::borrow::Cow;

use crate::object::{Matcher, Object};
use crate::scalar::Scalar;
use crate::state::State;

/// The layout; it changes with what is saved.
const VERSION: u8 = 1;

impl State {
    /// Everything that the programs remember. The seed and the clock come from elsewhere when it is restored.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.started)];
        put_number(&mut out, self.draws);
        put_number(&mut out, self.events as u64);
        put_number(&mut out, self.slots.len() as u64);
        for slot in &self.slots {
            match slot {
                None => out.push(0),
                Some(value) => {
                    out.push(1);
                    put_scalar(&mut out, value);
                }
            }
        }
        put_number(&mut out, self.objects.len() as u64);
        for object in &self.objects {
            match object {
                None => out.push(0),
                Some(Object::Array(values)) => {
                    out.push(1);
                    put_number(&mut out, values.len() as u64);
                    values.iter().for_each(|value| put_scalar(&mut out, value));
                }
                Some(Object::Regex(matcher)) => {
                    out.push(2);
                    put_text(&mut out, &matcher.pattern);
                    put_text(&mut out, &matcher.subject);
                    put_number(&mut out, matcher.groups.len() as u64);
                    for group in &matcher.groups {
                        let (start, end) = group.unwrap_or((usize::MAX, usize::MAX));
                        put_number(&mut out, start as u64);
                        put_number(&mut out, end as u64);
                    }
                }
            }
        }
        out
    }

    /// Takes over what [`State::save`] wrote; false, and nothing changed, when the bytes are not that.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let mut reader = Bytes { bytes };
        match reader.state() {
            Some(saved) if reader.bytes.is_empty() => {
                self.slots = saved.slots;
                self.objects = saved.objects;
                (self.started, self.draws, self.events) = (saved.started, saved.draws, saved.events);
                true
            }
            _ => false,
        }
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_scalar(out: &mut Vec<u8>, value: &Scalar<'_>) {
    match value {
        Scalar::Null => out.push(0),
        Scalar::Integer(value) => {
            out.push(1);
            put_number(out, *value as u64);
        }
        Scalar::Real(value) => {
            out.push(2);
            put_number(out, value.to_bits());
        }
        Scalar::Boolean(value) => out.push(3 + u8::from(*value)),
        Scalar::Text(text) => {
            out.push(5);
            put_text(out, text);
        }
    }
}

struct Bytes<'b> {
    bytes: &'b [u8],
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*first))
    }

    /// A length; nothing is longer than what is left.
    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= self.bytes.len())
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let (text, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn scalar(&mut self) -> Option<Scalar<'static>> {
        Some(match self.byte()? {
            0 => Scalar::Null,
            1 => Scalar::Integer(self.number()? as i64),
            2 => Scalar::Real(f64::from_bits(self.number()?)),
            3 => Scalar::Boolean(false),
            4 => Scalar::Boolean(true),
            5 => Scalar::Text(Cow::Owned(self.text()?)),
            _ => return None,
        })
    }

    fn matcher(&mut self) -> Option<Matcher> {
        let (pattern, subject) = (self.text()?, self.text()?);
        let mut groups = Vec::new();
        for _ in 0..self.length()? {
            let (start, end) = (self.number()? as usize, self.number()? as usize);
            let fine = start <= end && subject.is_char_boundary(start) && subject.is_char_boundary(end);
            groups.push(fine.then_some((start, end)));
        }
        Some(Matcher { pattern, subject, groups })
    }

    fn state(&mut self) -> Option<State> {
        if self.byte()? != VERSION {
            return None;
        }
        let mut state = State::default();
        state.started = self.byte()? != 0;
        state.draws = self.number()?;
        state.events = self.number()? as i64;
        for _ in 0..self.length()? {
            let held = self.byte()? != 0;
            let value = if held { Some(self.scalar()?) } else { None };
            state.slots.push(value);
        }
        for _ in 0..self.length()? {
            let object = match self.byte()? {
                0 => None,
                1 => {
                    let mut values = Vec::new();
                    for _ in 0..self.length()? {
                        values.push(self.scalar()?);
                    }
                    Some(Object::Array(values))
                }
                2 => Some(Object::Regex(self.matcher()?)),
                _ => return None,
            };
            state.objects.push(object);
        }
        Some(state)
    }
}
