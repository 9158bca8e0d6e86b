//! A timer: an event at each tick. Which ticks there were is known from a number, so a takeover misses and doubles none.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Span, Timestamp, tz::Offset};
use mesh_event::csv::DateFormat;
use mesh_event::{FieldType, Schema, SourcePosition};

use super::{Chunk, IDLE_WAIT, Source};

/// Format of times when none is given, as in `2024-01-31 23:59:59`.
pub const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";
/// Longest interval, in its unit.
const INTERVAL_MAX: i64 = 1_000_000;

/// Unit of an interval. Months and years are those of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microseconds(i64),
    Months(i64),
}

const UNITS: [(&str, Unit); 8] = [
    ("millisecond", Unit::Microseconds(1_000)),
    ("second", Unit::Microseconds(1_000_000)),
    ("minute", Unit::Microseconds(60_000_000)),
    ("hour", Unit::Microseconds(3_600_000_000)),
    ("day", Unit::Microseconds(86_400_000_000)),
    ("week", Unit::Microseconds(7 * 86_400_000_000)),
    ("month", Unit::Months(1)),
    ("year", Unit::Months(12)),
];

/// When a timer ticks, and what it says then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Time of tick 0, microseconds since the epoch.
    base_us: i64,
    interval: i64,
    unit: Unit,
    label: String,
    format: DateFormat,
    /// How the event's time is written, by the type of its field.
    time: TimeAs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeAs {
    Seconds,
    Microseconds,
    Text,
}

impl Timer {
    /// A timer from its properties; `None` where they are absent. Its window takes an id, a time and a label, in this
    /// order.
    ///
    /// # Errors
    /// What is wrong, what was found and what was expected, in words.
    pub fn new<'p>(property: impl Fn(&str) -> Option<&'p str>, schema: &Schema) -> Result<Timer, String> {
        let text = property("timeformat").unwrap_or(TIME_FORMAT);
        let format = DateFormat::new(text).map_err(|error| format!("property `timeformat`: {error}"))?;
        let base_us = match property("basetime") {
            None => 0,
            Some(base) => format.parse(base.as_bytes()).ok_or_else(|| {
                format!("property `basetime` is `{base}`, expected a time in the format `{text}` (timeformat)")
            })?,
        };
        let interval = property("interval").unwrap_or("1");
        let interval = interval.parse().ok().filter(|n| (1..=INTERVAL_MAX).contains(n)).ok_or_else(|| {
            format!("property `interval` is `{interval}`, expected a whole number from 1 to {INTERVAL_MAX}")
        })?;
        let name = property("unit").unwrap_or("second");
        let singular = name.to_ascii_lowercase();
        let singular = singular.strip_suffix('s').unwrap_or(&singular);
        let unit = UNITS.iter().find(|(unit, _)| *unit == singular).map(|(_, unit)| *unit).ok_or_else(|| {
            let known = UNITS.map(|(unit, _)| unit).join(", ");
            format!("property `unit` is `{name}`, expected one of {known}")
        })?;
        let [_, time, label] = schema.fields() else {
            return Err(format!(
                "the window has {} fields, expected three: an id, a time, a label",
                schema.fields().len()
            ));
        };
        if label.ty != FieldType::String {
            return Err(format!("field `{}`, the third, is {}, expected a string for the label", label.name, label.ty));
        }
        let time = match time.ty {
            FieldType::Date => TimeAs::Seconds,
            FieldType::Stamp | FieldType::Int64 => TimeAs::Microseconds,
            FieldType::String => TimeAs::Text,
            other => {
                let name = &time.name;
                return Err(format!("field `{name}`, the second, is {other}, expected stamp, date, int64 or string"));
            }
        };
        let label = property("label").unwrap_or_default().to_owned();
        Ok(Timer { base_us, interval, unit, label, format, time })
    }

    /// What makes its ticks those they are: a timer with other ones begins anew.
    pub fn identity(&self) -> String {
        format!("timer {} {} {:?}", self.base_us, self.interval, self.unit)
    }

    /// The time of a tick, microseconds since the epoch; `None`: beyond the calendar.
    fn at(&self, tick: u64) -> Option<i64> {
        let steps = i64::try_from(tick).ok()?.checked_mul(self.interval)?;
        match self.unit {
            Unit::Microseconds(us) => self.base_us.checked_add(steps.checked_mul(us)?),
            Unit::Months(months) => {
                let span = Span::new().try_months(steps.checked_mul(months)?).ok()?;
                let base = Offset::UTC.to_datetime(Timestamp::from_microsecond(self.base_us).ok()?);
                Some(Offset::UTC.to_timestamp(base.checked_add(span).ok()?).ok()?.as_microsecond())
            }
        }
    }

    /// The first tick that is not before this time.
    fn first(&self, now_us: i64) -> u64 {
        let (mut low, mut high) = (0, 1);
        let early = |tick| self.at(tick).is_some_and(|at| at < now_us);
        while early(high) {
            (low, high) = (high, high * 2);
        }
        if !early(low) {
            return low;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if early(middle) { low = middle } else { high = middle }
        }
        high
    }

    /// Where a timer begins that has never ticked: ticks that are over are not made up for.
    pub(super) fn begin(&self) -> SourcePosition {
        SourcePosition { round: self.first(now_us()), ..SourcePosition::default() }
    }

    /// The ticks behind a position: its round is the first tick that there was, its events are those since.
    pub(super) fn open(&self, from: &SourcePosition) -> TimerSource {
        TimerSource { timer: self.clone(), first: from.round, events: from.events }
    }

    fn line(&self, id: u64, at_us: i64) -> Vec<u8> {
        let mut line = format!("i,n,{id},").into_bytes();
        match self.time {
            TimeAs::Seconds => line.extend_from_slice(at_us.div_euclid(1_000_000).to_string().as_bytes()),
            TimeAs::Microseconds => line.extend_from_slice(at_us.to_string().as_bytes()),
            TimeAs::Text => {
                line.push(b'"');
                self.format.print(at_us, &mut line);
                line.push(b'"');
            }
        }
        line.extend_from_slice(b",\"");
        line.extend_from_slice(self.label.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
        line.extend_from_slice(b"\"\n");
        line
    }
}

/// A timer that runs.
pub(super) struct TimerSource {
    timer: Timer,
    first: u64,
    events: u64,
}

impl Source for TimerSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        let mut written = 0;
        loop {
            let Some(due) = self.timer.at(self.first + self.events) else {
                return Ok(if written > 0 { Chunk::Bytes(written) } else { Chunk::End });
            };
            let early = due.saturating_sub(now_us());
            if early > 0 {
                if written > 0 {
                    return Ok(Chunk::Bytes(written));
                }
                std::thread::sleep(Duration::from_micros(early.unsigned_abs()).min(IDLE_WAIT));
                return Ok(Chunk::Idle);
            }
            let line = self.timer.line(self.events + 1, due);
            let Some(room) = buffer.get_mut(written..written + line.len()) else { return Ok(Chunk::Bytes(written)) };
            room.copy_from_slice(&line);
            written += line.len();
            self.events += 1;
        }
    }
}

/// The clock, microseconds since the epoch.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(properties: &[(&str, &'static str)], schema: &str) -> Result<Timer, String> {
        let property = |name: &str| properties.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Timer::new(property, &Schema::parse(schema).unwrap())
    }

    const SCHEMA: &str = "id*:int64,at:stamp,label:string";

    #[test]
    fn ticks_are_those_of_the_calendar() {
        let monthly = timer(&[("basetime", "2024-01-31 12:00:00"), ("unit", "month")], SCHEMA).unwrap();
        let text = |tick| Timestamp::from_microsecond(monthly.at(tick).unwrap()).unwrap().to_string();
        assert_eq!([0, 1, 2].map(text), ["2024-01-31T12:00:00Z", "2024-02-29T12:00:00Z", "2024-03-31T12:00:00Z"]);
        let now = monthly.at(7).unwrap();
        assert_eq!([now - 1, now, now + 1].map(|now| monthly.first(now)), [7, 7, 8]);
        assert_eq!(monthly.first(0), 0);
    }

    #[test]
    fn a_position_names_the_next_tick() {
        let timer = timer(&[("basetime", "2024-01-01 00:00:00"), ("label", "a \"b\"")], SCHEMA).unwrap();
        let mut buffer = [0; 80];
        let from = SourcePosition { round: 5, events: 2, ..SourcePosition::default() };
        let Chunk::Bytes(read) = timer.open(&from).read(&mut buffer).unwrap() else { panic!("long due") };
        let text = std::str::from_utf8(&buffer[..read]).unwrap();
        assert_eq!(text.lines().next(), Some(r#"i,n,3,1704067207000000,"a \"b\"""#), "{text}");
        assert_eq!(text.lines().count(), 2, "as many as there is room for: {text}");
    }

    #[test]
    fn what_cannot_tick_is_refused_in_words() {
        let refused = |properties: &[(&str, &'static str)], schema: &str| timer(properties, schema).unwrap_err();
        assert!(refused(&[("interval", "0")], SCHEMA).contains("`interval` is `0`"));
        assert!(refused(&[("unit", "fortnight")], SCHEMA).contains("one of millisecond, second"));
        assert!(refused(&[("basetime", "noon")], SCHEMA).contains("`basetime` is `noon`"));
        assert!(refused(&[], "id*:int64,at:stamp").contains("2 fields, expected three"));
        assert!(refused(&[], "id*:int64,at:double,label:string").contains("`at`, the second, is double"));
    }
}
