//! What a script knows of the world: the recorded clock, seeded random numbers, properties, lines for the log.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil, fmt::strtime, tz::TimeZone};
use mlua::{Lua, Table, Value, Variadic};

use crate::json;

/// Lines for the log that are kept until they are taken; more are dropped.
const MAX_MESSAGES: usize = 100;
/// Longest such line in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;
/// Most GUIDs of one call.
const MAX_GUIDS: i64 = 10_000;
const MICROS: i64 = 1_000_000;

/// The world of one machine.
pub(crate) struct Host {
    pub clock_us: Option<i64>,
    /// Place of the window: makes its random numbers and GUIDs its own.
    pub seed: u64,
    pub draws: u64,
    pub guids: u64,
    pub messages: Vec<String>,
    /// Properties of the project.
    pub properties: BTreeMap<String, String>,
    /// Instructions that the present call has left, in steps of the hook.
    pub steps_left: u64,
}

impl Host {
    fn clock(&self) -> i64 {
        self.clock_us.unwrap_or(0)
    }

    fn message(&mut self, text: &str) {
        if self.messages.len() < MAX_MESSAGES {
            let end = (0..=text.len().min(MAX_MESSAGE_BYTES)).rev().find(|at| text.is_char_boundary(*at));
            self.messages.push(text[..end.unwrap_or(0)].to_owned());
        }
    }

    /// The next number of the window's own sequence (SplitMix64).
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut z = self.seed.wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A UUID (version 8: made, not drawn) of the window and a running number.
    fn guid(&mut self) -> String {
        self.guids += 1;
        let bytes = [self.seed.to_le_bytes(), self.guids.to_le_bytes()].concat();
        let hash = xxhash_rust::xxh3::xxh3_128(&bytes);
        let bits = hash & !(0xF << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

fn host(lua: &Lua) -> mlua::AppDataRefMut<'_, Host> {
    lua.app_data_mut::<Host>().expect("a machine sets its host before anything runs")
}

fn problem(text: impl Into<String>) -> mlua::Error {
    mlua::Error::RuntimeError(text.into())
}

/// Functions of the host as a table, for the prelude.
pub(crate) fn functions(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("micros", lua.create_function(|lua, ()| Ok(host(lua).clock()))?)?;
    table.set("draw", lua.create_function(|lua, ()| Ok(host(lua).draw() as i64))?)?;
    let seed = |lua: &Lua, number: i64| {
        let mut host = host(lua);
        host.seed = number as u64;
        host.draws = 0;
        Ok(())
    };
    table.set("seed", lua.create_function(seed)?)?;
    let line = |lua: &Lua, level: usize| Ok(lua.inspect_stack(level, |at| at.current_line()).flatten());
    table.set("line", lua.create_function(line)?)?;
    let log = |lua: &Lua, text: mlua::LuaString| {
        host(lua).message(&text.to_string_lossy());
        Ok(())
    };
    table.set("log", lua.create_function(log)?)?;
    let guids = |lua: &Lua, count: Option<i64>| {
        let count = count.unwrap_or(1);
        if !(0..=MAX_GUIDS).contains(&count) {
            return Err(problem(format!("esp_getGuids: {count} asked for, expected 0 to {MAX_GUIDS}")));
        }
        let made: Vec<String> = (0..count).map(|_| host(lua).guid()).collect();
        Ok(made)
    };
    table.set("guids", lua.create_function(guids)?)?;
    let property = |lua: &Lua, name: String| Ok(host(lua).properties.get(&name).cloned());
    table.set("property", lua.create_function(property)?)?;
    let parse = |lua: &Lua, text: mlua::LuaString| json::parse(lua, &text.to_string_lossy()).map_err(problem);
    table.set("json", lua.create_function(parse)?)?;
    let write = |_: &Lua, value: Value| json::write(&value).map_err(problem);
    table.set("write", lua.create_function(write)?)?;
    let parse_date = |_: &Lua, (text, format): (String, Option<String>)| parse_date(&text, format.as_deref());
    table.set("parse_date", lua.create_function(parse_date)?)?;
    let date = |_: &Lua, (format, seconds): (String, i64)| {
        let zoned = at(seconds)?.to_zoned_datetime(TimeZone::UTC);
        strtime::format(&format, &zoned).map_err(|error| problem(format!("os.date: {error}")))
    };
    table.set("date", lua.create_function(date)?)?;
    table.set("parts", lua.create_function(|_, seconds: i64| parts(seconds))?)?;
    table.set("time", lua.create_function(|_, parts: Variadic<i64>| time(&parts))?)?;
    Ok(table)
}

fn at(seconds: i64) -> mlua::Result<Timestamp> {
    Timestamp::from_second(seconds).map_err(|_| problem(format!("{seconds} is out of the range of dates")))
}

/// Microseconds since the epoch; ISO text without a format.
fn parse_date(text: &str, format: Option<&str>) -> mlua::Result<i64> {
    let failed = |error: jiff::Error| problem(format!("esp_parseDate: `{text}`: {error}"));
    let Some(format) = format else {
        if let Ok(stamp) = text.parse::<Timestamp>() {
            return Ok(stamp.as_microsecond());
        }
        let civil: civil::DateTime = text.parse().map_err(failed)?;
        return Ok(civil.to_zoned_datetime(TimeZone::UTC).map_err(failed)?.timestamp().as_microsecond());
    };
    let broken = strtime::parse(format, text).map_err(failed)?;
    if let Ok(stamp) = broken.to_timestamp() {
        return Ok(stamp.as_microsecond());
    }
    let date = broken.to_date().map_err(failed)?;
    let time = broken.to_time().unwrap_or(civil::Time::midnight());
    Ok(date.to_datetime(time).to_zoned_datetime(TimeZone::UTC).map_err(failed)?.timestamp().as_microsecond())
}

/// Year, month, day, hour, minute, second, weekday from Sunday = 1, day of the year.
fn parts(seconds: i64) -> mlua::Result<Variadic<i64>> {
    let zoned = at(seconds)?.to_zoned_datetime(TimeZone::UTC);
    Ok(Variadic::from_iter([
        i64::from(zoned.year()),
        i64::from(zoned.month()),
        i64::from(zoned.day()),
        i64::from(zoned.hour()),
        i64::from(zoned.minute()),
        i64::from(zoned.second()),
        i64::from(zoned.weekday().to_sunday_zero_offset()) + 1,
        i64::from(zoned.day_of_year()),
    ]))
}

/// Seconds since the epoch of year, month, day, hour, minute, second in UTC; each may be out of its range.
fn time(parts: &[i64]) -> mlua::Result<i64> {
    let &[year, month, day, hour, minute, second] = parts else { return Err(problem("os.time: six parts expected")) };
    let out = || problem("os.time: the date is out of range");
    let months = year.checked_mul(12).and_then(|months| months.checked_add(month - 1)).ok_or_else(out)?;
    let year = i16::try_from(months.div_euclid(12)).map_err(|_| out())?;
    let first = civil::Date::new(year, (months.rem_euclid(12) + 1) as i8, 1).map_err(|_| out())?;
    let start = first.to_zoned_datetime(TimeZone::UTC).map_err(|_| out())?.timestamp().as_second();
    let more = [(day.saturating_sub(1), 86_400), (hour, 3600), (minute, 60), (second, 1)];
    let more = more.iter().try_fold(0_i64, |sum, (count, of)| sum.checked_add(count.checked_mul(*of)?));
    more.and_then(|more| start.checked_add(more)).filter(|total| total.abs() < i64::MAX / MICROS).ok_or_else(out)
}
