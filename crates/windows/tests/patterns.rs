//! Patterns: each operator on a short stream, and `fby` against a search through all events.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::sync::Arc;

use mesh_event::{Opcode, Value};
use mesh_windows::{Executor, OutputBlock};
use proptest::collection::vec;
use proptest::prelude::*;
use support::random::SCHEMA;
use support::scenario::project;
use support::{Row, block_of, rows_of, schema};

/// A window over the letters in `name`: one event for each of a to f.
fn letters(logic: &str, attributes: &str, timefield: bool) -> Arc<mesh_model::Project> {
    let events: String =
        ["a", "b", "c", "d"].map(|name| format!("<event source='a' name='{name}'>name == '{name}'</event>")).concat();
    let outputs: String =
        ["a", "b", "c", "d"].map(|name| format!("<field-selection node='{name}' name='id'/>")).concat();
    let times = if timefield { "<timefields><timefield field='at' source='a'/></timefields>" } else { "" };
    let window = format!(
        "<window-pattern name='p'><schema-string>k*:int64,a:int64,b:int64,c:int64,d:int64</schema-string><patterns>
         <pattern name='p' {attributes}><events>{events}</events><logic>{logic}</logic><output>{outputs}</output>{times}
         </pattern></patterns></window-pattern>"
    );
    project("index='pi_EMPTY' insert-only='true'", &window, "<edge source='a' target='p'/>")
}

fn row(id: i64, name: &str, at: i64) -> Row {
    let values = vec![Value::Int64(id), Value::String(name.into()), Value::Stamp(at), Value::Null];
    (Opcode::Insert, Default::default(), values)
}

/// The ids of the events of each match, `.` for none; a blank between matches.
fn found(sink: &[OutputBlock]) -> String {
    let text = |value: &Value| match value {
        Value::Int64(id) => id.to_string(),
        _ => ".".to_owned(),
    };
    let of = |(_, _, row): Row| row[1..].iter().map(text).collect::<String>();
    let mut all: Vec<String> = Vec::new();
    for out in sink.iter().filter(|out| out.output == 1) {
        all.extend(rows_of(&out.block).into_iter().map(of));
    }
    all.join(" ")
}

/// One event for each letter, numbered from 0; `|` is a tick of one second, `-` is nobody's event.
fn play(logic: &str, stream: &str) -> String {
    let project = letters(logic, "", false);
    let mut executor = Executor::new(project);
    let (mut sink, mut clock, mut id) = (Vec::new(), 0, 0);
    for c in stream.chars() {
        if c == '|' {
            clock += 1_000_000;
            executor.tick(clock, &mut sink);
        } else {
            executor.apply(0, &[block_of(&schema(SCHEMA), &[row(id, &c.to_string(), 0)])], &mut sink);
            id += 1;
        }
    }
    found(&sink)
}

#[test]
fn every_operator_by_example() {
    let cases = [
        // Every first event opens an instance; each takes the next that fits; an event serves many.
        ("fby(a,b)", "aab", "02.. 12.."),
        ("fby(a,b)", "abb", "01.."),
        ("fby(a,b,c)", "a-b-c", "024."),
        ("fby(fby(a,b),c)", "abc", "012."),
        ("fby(a,fby(b,fby(c,d)))", "abcd", "0123"),
        ("fby(a,a)", "aaa", "1... 2..."),
        // A gap counts from the event before; the limit is inclusive.
        ("fby{2 seconds}(a,b,c)", "|a||b||c", "012."),
        ("fby{2 seconds}(a,b,c)", "|a|||b", ""),
        ("fby{1 second}(fby{2 seconds}(a,b),c)", "|a||b|c", "012."),
        ("fby{1 second}(fby{2 seconds}(a,b),c)", "|a||b||c", ""),
        ("fby{1 second}(a,fby{2 seconds}(b,c))", "|a|b||c", "012."),
        ("and(a,b)", "ba", "10.."),
        ("and(a,b)", "-bb-a", "41.. 42.."),
        ("or(a,b)", "cab", "1... .2.."),
        ("fby(a,or(b,c))", "adc", "0.2."),
        ("fby(a,and(b,c))", "acb", "021."),
        // What must not occur: until the other part is there, or until the time is over.
        ("fby{2 seconds}(a,and(notoccur(c),b))", "|ab", "01.."),
        ("fby{2 seconds}(a,and(notoccur(c),b))", "|acb", ""),
        ("fby{2 seconds}(a,notoccur(c))", "|a|||", "0..."),
        ("fby{2 seconds}(a,notoccur(c))", "|a|c|||", ""),
        ("fby{2 seconds}(a,notoccur(c),b)", "|a|||b", "01.."),
        // The very next events.
        ("fby(a,is(b))", "acb", ""),
        ("fby(a,is(b))", "ab", "01.."),
        ("fby(a,is:2(b),c)", "abbc", "023."),
        ("fby(a,is:2(b),c)", "abcb", ""),
        ("fby(is(a),is(b),is(c))", "abc", "012."),
        ("fby(a,not(c),b)", "adb", "02.."),
        ("fby(a,not(c),b)", "acb", ""),
        ("fby(not(not(a)),not(not(b)))", "ab", "01.."),
        ("fby(not(not(a)),not(not(b)))", "acb", ""),
        ("fby(a,and(not(c),b))", "adb", "02.."),
        ("fby(a,and(not(c),b))", "acb", ""),
    ];
    for (logic, stream, want) in cases {
        assert_eq!(play(logic, stream), want, "{logic} over {stream}");
    }
}

#[test]
fn variables_bind_and_compare() {
    let window = "<window-pattern name='p'><schema-string>k*:int64,first:int64,then:int64,price:double</schema-string>
        <patterns><pattern><events><event source='a' name='e1'>(n == name) and (p == x)</event>
        <event source='b' name='e2'>n==name and p &lt; x</event></events><logic>fby(e1,e2)</logic><output>
        <field-selection node='e1' name='id'/><field-selection node='e2' name='id'/><field-expr node='e2'>x + 1</field-expr>
        </output></pattern></patterns></window-pattern>";
    let project = project("index='pi_EMPTY' insert-only='true'", window, "<edge source='a b' target='p'/>");
    let mut executor = Executor::new(project);
    let mut sink = Vec::new();
    let row = |id: i64, name: &str, x: f64| {
        let values = vec![Value::Int64(id), Value::String(name.into()), Value::Null, Value::Double(x)];
        (Opcode::Insert, Default::default(), values)
    };
    let schema = schema(SCHEMA);
    executor.apply(0, &[block_of(&schema, &[row(1, "m", 5.0), row(2, "n", 7.0)])], &mut sink);
    executor.apply(1, &[block_of(&schema, &[row(3, "n", 6.0), row(4, "m", 6.0), row(5, "n", 8.5)])], &mut sink);
    let rows: Vec<Row> = sink.iter().flat_map(|out| rows_of(&out.block)).collect();
    let values: Vec<String> = rows.iter().map(|(_, _, row)| format!("{row:?}")).collect();
    assert_eq!(values, ["[Int64(0), Int64(1), Int64(4), Double(7.0)]", "[Int64(1), Int64(2), Int64(5), Double(9.5)]"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Times rise, so an instance is over when the next event it could take is too late.
    #[test]
    fn fby_is_a_search_through_all_events(events in vec((0..5usize, 0..4i64), 0..40), span in 1..9i64) {
        let project = letters(&format!("fby{{{span} microseconds}}(a,b,c)"), "", true);
        let mut executor = Executor::new(project);
        let mut time = 0;
        let events: Vec<(usize, i64)> = events.into_iter().map(|(letter, gap)| { time += gap; (letter, time) }).collect();
        let rows: Vec<Row> = events.iter().enumerate()
            .map(|(id, (letter, at))| row(id as i64, ["a", "b", "c", "d", "e"][*letter], *at)).collect();
        let mut sink = Vec::new();
        executor.apply(0, &[block_of(&schema(SCHEMA), &rows)], &mut sink);
        let mut got: Vec<Vec<Value>> = sink.iter().filter(|out| out.output == 1)
            .flat_map(|out| rows_of(&out.block)).map(|(_, _, row)| row[1..4].to_vec()).collect();
        let next = |after: usize, letter: usize| {
            let found = (after + 1..events.len()).find(|&at| events[at].0 == letter)?;
            (events[found].1 - events[after].1 <= span).then_some(found)
        };
        let mut want: Vec<Vec<Value>> = (0..events.len()).filter(|&at| events[at].0 == 0).filter_map(|first| {
            let second = next(first, 1)?;
            let third = next(second, 2)?;
            Some([first, second, third].map(|at| Value::Int64(at as i64)).to_vec())
        }).collect();
        // Matches come in the order of their last events, the oldest instance first.
        let key = |row: &Vec<Value>| match (&row[2], &row[0]) {
            (Value::Int64(last), Value::Int64(first)) => (*last, *first),
            _ => unreachable!(),
        };
        want.sort_by_key(key);
        prop_assert_eq!(&got, &want);
        got.dedup();
        prop_assert_eq!(got.len(), want.len());
    }
}
