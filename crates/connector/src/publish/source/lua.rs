//! A Lua script that makes events: called at each tick, with the tick's time as its clock.
//!
//! A script reads nothing but its clock, its seed and what it remembers, so what it makes follows from how often it was
//! called. Whoever goes on after a takeover calls it as often again, drops the events that are published, and goes on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mesh_event::{Schema, SourcePosition};
use mesh_script::{Machine, Made, Output, Script, ScriptText};
use xxhash_rust::xxh3::xxh3_64;

use super::timer::now_us;
use super::{Chunk, IDLE_WAIT, Source};
use crate::documents::{Shape, made_line};
use crate::publish::error::PublishError;

/// Microseconds between two calls when nothing is said.
const INTERVAL_US: i64 = 1_000_000;
/// The function that is called when none is named.
const PUBLISH: &str = "publish";
/// Units of an interval, in microseconds.
const UNITS: [(&str, i64); 5] = [
    ("millisecond", 1_000),
    ("second", 1_000_000),
    ("minute", 60_000_000),
    ("hour", 3_600_000_000),
    ("day", 86_400_000_000),
];

/// A script and how often it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuaScript {
    text: ScriptText,
    function: String,
    interval_us: i64,
}

impl LuaScript {
    /// A script from its connector's properties, with what the project lends it; `None` where they are absent.
    ///
    /// # Errors
    /// What is wrong, in words, with the line of the script.
    pub fn new<'p>(property: impl Fn(&str) -> Option<&'p str>, project: ScriptText) -> Result<LuaScript, String> {
        let code = property("code").ok_or("it has no property `code`, the script")?.to_owned();
        let function = property("publish").unwrap_or(PUBLISH).to_owned();
        let interval_us = property("interval").map_or(Ok(INTERVAL_US), interval)?;
        let init = property("init").map(str::to_owned);
        let text = ScriptText { code, init, functions: vec![function.clone()], ..project };
        Script::new(text.clone()).map_err(|error| format!("property `code`: {error}"))?;
        Ok(LuaScript { text, function, interval_us })
    }

    /// What makes its events those they are: a script with another text begins anew.
    pub fn identity(&self) -> String {
        let text = format!("{:?}", self.text);
        format!("lua {:016x} {} {}", xxh3_64(text.as_bytes()), self.function, self.interval_us)
    }

    /// Where a script begins that was never called: its round is the time of its first call.
    pub(super) fn begin(&self) -> SourcePosition {
        SourcePosition { round: now_us().unsigned_abs(), ..SourcePosition::default() }
    }

    /// The script behind a position.
    pub(super) fn open(&self, from: &SourcePosition, schema: &Schema) -> Result<LuaSource, PublishError> {
        let fail = |reason: mesh_script::ScriptError| PublishError::Document {
            name: "lua".to_owned(),
            reason: format!("property `code`: {reason}"),
        };
        let machine = Machine::new(&Script::new(self.text.clone()).map_err(fail)?, from.round);
        let output = machine.output(schema, &[]).map_err(fail)?;
        Ok(LuaSource {
            script: self.clone(),
            machine,
            output,
            schema: Arc::new(schema.clone()),
            first_us: i64::try_from(from.round).unwrap_or(i64::MAX),
            calls: 0,
            published: from.events,
            lines: Vec::new(),
            at: 0,
            ended: false,
        })
    }
}

/// `500` (milliseconds) or `2 seconds`, in microseconds.
fn interval(text: &str) -> Result<i64, String> {
    let (count, unit) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), "millisecond"));
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, us)| *us);
    let count = count.parse::<i64>().ok().filter(|count| *count > 0);
    unit.zip(count).and_then(|(unit, count)| unit.checked_mul(count)).ok_or_else(|| {
        format!("property `interval` is `{text}`, expected milliseconds, or a number and a unit as in `1 second`")
    })
}

/// A script at work.
pub(super) struct LuaSource {
    script: LuaScript,
    machine: Machine,
    output: Output,
    schema: Arc<Schema>,
    first_us: i64,
    /// How often it was called.
    calls: i64,
    /// Events of the calls to come that are published already.
    published: u64,
    lines: Vec<u8>,
    at: usize,
    ended: bool,
}

impl LuaSource {
    fn call(&mut self, due_us: i64) -> io::Result<()> {
        self.machine.set_clock(Some(due_us));
        let made = self.machine.publish(&self.script.function, &self.output);
        let call = self.calls;
        self.calls += 1;
        for text in self.machine.take_messages() {
            tracing::info!(call, "{text}");
        }
        let made = made.map_err(|error| io::Error::other(format!("call {call} of the script: {error}")))?;
        self.lines.clear();
        self.at = 0;
        let Some(made) = made else {
            self.ended = true;
            return Ok(());
        };
        let dropped = self.published.min(made.len() as u64);
        self.published -= dropped;
        let shape = Shape { schema: &self.schema, keyless: false, opcode: "i" };
        for made in &made[dropped as usize..] {
            let Made { opcode, flags, values, misfits } = made;
            for misfit in misfits {
                tracing::warn!(call, "an event of the script: {misfit}; the field is null");
            }
            let (opcode, flags) = (opcode.map(|opcode| opcode.letters()), flags.map(|flags| flags.letters()));
            made_line(&shape, opcode, flags, values, &mut self.lines);
        }
        Ok(())
    }
}

impl Source for LuaSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        loop {
            let left = &self.lines[self.at..];
            if !left.is_empty() {
                let read = left.len().min(buffer.len());
                buffer[..read].copy_from_slice(&left[..read]);
                self.at += read;
                return Ok(Chunk::Bytes(read));
            }
            if self.ended {
                return Ok(Chunk::End);
            }
            let due = self.script.interval_us.saturating_mul(self.calls).saturating_add(self.first_us);
            let early = due.saturating_sub(now_us());
            if early > 0 {
                std::thread::sleep(Duration::from_micros(early.unsigned_abs()).min(IDLE_WAIT));
                return Ok(Chunk::Idle);
            }
            self.call(due)?;
            if self.lines.is_empty() && !self.ended {
                // also a script that is called again to catch up stays open to a stop
                return Ok(Chunk::Idle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "n = 0\nfunction publish() n = n + 1\n if n > 4 then return true end\n \
                        local all = {}\n for i = 1, n do all[i] = {id = n * 10 + i, word = 'a \"b\"'} end\n return all\nend";

    fn script(code: &'static str, every: &'static str) -> Result<LuaScript, String> {
        let property = |name: &str| match name {
            "code" => Some(code),
            "interval" => Some(every),
            _ => None,
        };
        LuaScript::new(property, ScriptText::default())
    }

    fn lines(script: &LuaScript, from: &SourcePosition) -> Vec<String> {
        let schema = Schema::parse("id*:int64,word:string").unwrap();
        let mut source = script.open(from, &schema).unwrap();
        let (mut text, mut buffer) = (Vec::new(), [0; 7]);
        loop {
            match source.read(&mut buffer).unwrap() {
                Chunk::Bytes(read) => text.extend_from_slice(&buffer[..read]),
                Chunk::Idle => {}
                Chunk::End | Chunk::NextFile => break,
            }
        }
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn behind_any_position_come_the_events_that_were_to_come() {
        let script = script(CODE, "1").unwrap();
        let from = |events| SourcePosition { round: 1_000_000, events, ..SourcePosition::default() };
        let all = lines(&script, &from(0));
        assert_eq!((all.len(), all[0].as_str(), all[9].starts_with("i,n,\"44\"")), (10, r#"i,n,"11","a \"b\"""#, true));
        for events in 0..=10 {
            assert_eq!(lines(&script, &from(events)), all[events as usize..]);
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_in_words() {
        assert!(script("function other() end", "1").unwrap_err().contains("there is no function `publish`"));
        assert!(script("function publish( end", "1").unwrap_err().contains("code line 1"));
        assert!(script(CODE, "often").unwrap_err().contains("`interval` is `often`"));
        assert_eq!(script(CODE, "2 seconds").unwrap().interval_us, 2_000_000);
        assert_eq!(script(CODE, "500").unwrap().interval_us, 500_000);
    }
}
