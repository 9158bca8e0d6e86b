//! Geofences, counters and transposed rows against what they mean, worked out anew from the whole history.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Opcode, Value};
use mesh_windows::Executor;
use proptest::collection::vec;
use proptest::prelude::*;
use support::random::{SCHEMA, Step};
use support::scenario::{project, steps_of_two};
use support::{Row, block_of, rows_of, schema};

const RADIUS_M: f64 = 6_371_010.0;

/// What happens to geometry number `id`: it is there from now on (a circle or the corners of a polygon), or gone.
#[derive(Debug, Clone)]
enum Change {
    Circle { id: i64, at: (f64, f64), radius: f64 },
    Polygon { id: i64, at: (f64, f64), size: f64 },
    Gone { id: i64 },
    Position { at: (f64, f64) },
}

fn changes(spread: (f64, f64), radius: f64) -> impl Strategy<Value = Vec<Change>> {
    // Positions are never on a border, where rounding decides.
    let place = (-1000..1000i32, -1000..1000i32)
        .prop_map(move |(x, y)| (f64::from(x) / 1000.3 * spread.0, f64::from(y) / 1000.7 * spread.1));
    let change = prop_oneof![
        3 => (0..40i64, place.clone(), 0.0..radius).prop_map(|(id, at, radius)| Change::Circle { id, at, radius }),
        2 => (0..40i64, place.clone(), 0.01..1.0).prop_map(|(id, at, size)| Change::Polygon { id, at, size }),
        1 => (0..40i64).prop_map(|id| Change::Gone { id }),
        6 => place.prop_map(|at| Change::Position { at }),
    ];
    vec(change, 1..120)
}

/// Corners of an arrow head, which is not convex.
fn corners((x, y): (f64, f64), size: f64) -> [(f64, f64); 4] {
    [(x, y), (x + 2.0 * size, y + size), (x, y + 2.0 * size), (x + 0.7 * size, y + size)]
}

fn far(a: (f64, f64), b: (f64, f64), geographic: bool) -> f64 {
    if !geographic {
        return ((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)).sqrt();
    }
    // By the chord of the unit sphere.
    let place = |(lon, lat): (f64, f64)| {
        let (lon, lat) = (lon.to_radians(), lat.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    };
    let (a, b) = (place(a), place(b));
    let chord = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    2.0 * RADIUS_M * (chord / 2.0).min(1.0).asin()
}

/// By the angle that the corners go around a point.
fn inside(corners: &[(f64, f64)], at: (f64, f64)) -> bool {
    let mut turned = 0.0;
    for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        let (a, b) = ((from.0 - at.0, from.1 - at.1), (to.0 - at.0, to.1 - at.1));
        turned += (a.0 * b.1 - a.1 * b.0).atan2(a.0 * b.0 + a.1 * b.1);
    }
    turned.abs() > 1.0
}

fn check_fences(changes: &[Change], geographic: bool) {
    let kind = if geographic { "geographic" } else { "cartesian" };
    let xml = format!(
        "<project name='p'><contqueries><contquery name='cq'><windows>
        <window-source name='at' index='pi_EMPTY'><schema-string>id*:int64,x:double,y:double</schema-string></window-source>
        <window-source name='areas'><schema-string>area*:int64,x:double,y:double,r:double,data:array(dbl)</schema-string>
        </window-source><window-geofence name='g'><geofence coordinate-type='{kind}' output-multiple-results='true'/>
        <geometry x-fieldname='x' y-fieldname='y' radius-fieldname='r' data-fieldname='data'/>
        <position x-fieldname='x' y-fieldname='y'/><output geoid-fieldname='gid' eventnumber-fieldname='n'/>
        </window-geofence></windows><edges><edge source='at' target='g'/><edge source='areas' target='g'/></edges>
        </contquery></contqueries></project>"
    );
    let checked = mesh_model::parse_project(&xml, "p.xml", &BTreeMap::new());
    let project = Arc::new(checked.unwrap_or_else(|problems| panic!("{problems}")).project);
    let shapes =
        [schema("id*:int64,x:double,y:double"), schema("area*:int64,x:double,y:double,r:double,data:array(dbl)")];
    let mut executor = Executor::new(Arc::clone(&project));
    for (now, change) in changes.iter().enumerate() {
        let number = |x: f64| Value::Double(x);
        let (input, opcode, row) = match change {
            Change::Circle { id, at, radius } => {
                let row = vec![Value::Int64(*id), number(at.0), number(at.1), number(*radius), Value::Null];
                (1, Opcode::Upsert, row)
            }
            Change::Polygon { id, at, size } => {
                let data: Vec<f64> = corners(*at, *size).iter().flat_map(|(x, y)| [*x, *y]).collect();
                let row =
                    vec![Value::Int64(*id), Value::Null, Value::Null, Value::Null, Value::ArrayDouble(data.into())];
                (1, Opcode::Upsert, row)
            }
            Change::Gone { id } => {
                let row = vec![Value::Int64(*id), Value::Null, Value::Null, Value::Null, Value::Null];
                (1, Opcode::SafeDelete, row)
            }
            Change::Position { at } => (0, Opcode::Insert, vec![Value::Int64(now as i64), number(at.0), number(at.1)]),
        };
        let mut sink = Vec::new();
        executor.apply(input, &[block_of(&shapes[input], &[(opcode, Default::default(), row)])], &mut sink);
        let Change::Position { at: position } = change else { continue };
        // The last change of each geometry, in the order of those changes.
        let id_of = |change: &Change| match change {
            Change::Circle { id, .. } | Change::Polygon { id, .. } | Change::Gone { id } => Some(*id),
            Change::Position { .. } => None,
        };
        let last = |at: usize, id: i64| !changes[at + 1..now].iter().any(|later| id_of(later) == Some(id));
        let mut want: Vec<i64> = Vec::new();
        for (at, earlier) in changes[..now].iter().enumerate() {
            let Some(id) = id_of(earlier).filter(|id| last(at, *id)) else { continue };
            let hit = match earlier {
                Change::Circle { at, radius, .. } => far(*at, *position, geographic) <= *radius,
                Change::Polygon { at, size, .. } => inside(&corners(*at, *size), *position),
                _ => false,
            };
            want.extend(hit.then_some(id));
        }
        let gid = project.queries[0].windows.last().unwrap().schema.index_of("gid").unwrap();
        let got: Vec<Value> = sink.iter().flat_map(|out| rows_of(&out.block)).map(|row| row.2[gid].clone()).collect();
        let want = if want.is_empty() { vec![Value::Null] } else { want.into_iter().map(Value::Int64).collect() };
        assert_eq!(got, want, "{position:?} after {:?}", &changes[..now]);
    }
}

/// The steps one by one: the executor, its clock before the step, the step, what it put out.
fn follow(project: &Arc<mesh_model::Project>, steps: &[(usize, Step)], mut each: impl FnMut(i64, &Step, Vec<Row>)) {
    let input = schema(SCHEMA);
    let mut executor = Executor::new(Arc::clone(project));
    let mut clock = 0;
    for (_, step) in steps {
        let mut sink = Vec::new();
        match step {
            Step::Block(rows) => executor.apply(0, &[block_of(&input, rows)], &mut sink),
            Step::Tick(by) => {
                clock += by;
                executor.tick(clock, &mut sink);
            }
        }
        let window = executor.outputs().len() - 1;
        let rows = sink.iter().filter(|out| out.output == window).flat_map(|out| rows_of(&out.block)).collect();
        each(clock, step, rows);
    }
}

/// The events of a block as a window behind a raw source sees them: an update block is one.
fn events(rows: &[Row]) -> Vec<&Row> {
    let rows: Vec<&Row> = rows.iter().filter(|row| !row.2[0].is_null()).collect();
    let old_half = |at: usize| at > 0 && rows[at].0 == Opcode::Delete && rows[at - 1].0 == Opcode::UpdateBlock;
    (0..rows.len()).filter(|&at| !old_half(at)).map(|at| rows[at]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plane_fence_is_a_look_at_every_geometry(changes in changes((4.0, 4.0), 3.0)) {
        check_fences(&changes, false);
    }

    #[test]
    fn a_fence_on_the_earth_is_a_look_at_every_geometry(
        changes in prop_oneof![changes((180.0, 90.0), 9e6), changes((3.0, 3.0), 2e5), changes((10.0, 89.9), 3e5)],
    ) {
        check_fences(&changes, true);
    }

    #[test]
    fn wide_rows_are_the_last_values_of_each_tag(steps in steps_of_two()) {
        let window = "<window-transpose name='t' mode='wide' tag-name='name' tag-values='x,at' tags-included='a,b,c,aa'
            group-by='id' clear-timeout='5 microseconds'/>";
        let project = project("index='pi_EMPTY'", window, "<edge source='a' target='t'/>");
        let shape = Arc::clone(&project.queries[0].windows.last().unwrap().schema);
        let tags = ["a", "b", "c", "aa"];
        // Every event so far: group, tag, values; and when it stopped counting.
        let mut history: Vec<(Value, usize, Vec<Value>)> = Vec::new();
        let mut last: BTreeMap<String, Option<i64>> = BTreeMap::new();
        let mut ticked = false;
        follow(&project, &steps, |clock, step, got| match step {
            Step::Tick(_) => {
                ticked = true;
                assert!(got.is_empty());
                last.values_mut().for_each(|time| *time = Some(time.unwrap_or(clock)));
                let gone = |group: &Value| last.get(&format!("{group:?}")).is_some_and(|time| clock - time.unwrap() >= 5);
                history.retain(|(group, ..)| !gone(group));
                last.retain(|_, time| clock - time.unwrap() < 5);
            }
            Step::Block(rows) => {
                let mut got = got.into_iter();
                for (opcode, _, row) in events(rows) {
                    let tag = tags.iter().position(|tag| row[1] == Value::String((*tag).into()));
                    let (Some(tag), false) = (tag, matches!(opcode, Opcode::Delete | Opcode::SafeDelete)) else { continue };
                    history.push((row[0].clone(), tag, vec![row[3].clone(), row[2].clone()]));
                    last.insert(format!("{:?}", row[0]), ticked.then_some(clock));
                    let (got_opcode, _, got) = got.next().unwrap();
                    assert_eq!(got_opcode, if *opcode == Opcode::UpdateBlock { Opcode::Update } else { *opcode });
                    for (at, name) in tags.iter().enumerate() {
                        let newest = history.iter().rev().find(|(group, tag, _)| *group == row[0] && *tag == at);
                        let values = newest.map_or(vec![Value::Null, Value::Null], |(.., values)| values.clone());
                        for (value, field) in values.iter().zip(["x", "at"]) {
                            let field = shape.index_of(&format!("{name}_{field}")).unwrap();
                            assert_eq!(&got[field], value, "{name} of {row:?}");
                        }
                    }
                }
                assert!(got.next().is_none());
            }
        });
    }

    #[test]
    fn long_rows_are_the_columns_of_each_event(steps in steps_of_two()) {
        let windows = "<window-compute name='c'><schema-string>id*:int64,p_v:double,q_v:double,name:string</schema-string>
            <output><field-expr>x</field-expr><field-expr>x * 2</field-expr><field-expr>name</field-expr></output>
            </window-compute><window-transpose name='t' mode='long' tag-name='tag' tag-values='v' tags-included='p q'/>";
        let edges = "<edge source='a' target='c'/><edge source='c' target='t'/>";
        let project = project("index='pi_EMPTY'", windows, edges);
        let shape = Arc::clone(&project.queries[0].windows.last().unwrap().schema);
        let at = |name: &str| shape.index_of(name).unwrap();
        follow(&project, &steps, |_, step, got| {
            let Step::Block(rows) = step else { return };
            let rows: Vec<&Row> = rows.iter().filter(|row| !row.2[0].is_null()).collect();
            let mut want: Vec<String> = Vec::new();
            for (_, _, row) in &rows {
                for (number, (tag, factor)) in [("p", 1.0), ("q", 2.0)].into_iter().enumerate() {
                    let value = if let Value::Double(x) = row[3] { Value::Double(x * factor) } else { Value::Null };
                    want.push(format!("{:?}", (&row[0], number, tag, value, &row[1])));
                }
            }
            let told = |row: &Vec<Value>| {
                let number = match row[at("tagNum")] { Value::Int64(n) => n as usize, Value::Int32(n) => n as usize, _ => 9 };
                let Value::String(tag) = &row[at("tag")] else { panic!("{row:?}") };
                format!("{:?}", (&row[0], number, &**tag, row[at("v")].clone(), &row[at("name")]))
            };
            let mut got: Vec<String> = got.iter().map(|row| told(&row.2)).collect();
            want.sort();
            got.sort();
            assert_eq!(got, want);
        });
    }

    #[test]
    fn a_counter_is_the_number_of_events_and_the_time(steps in steps_of_two(), intervals in any::<bool>()) {
        let attributes = if intervals { "count-interval='4 microseconds' clear-interval='9 microseconds'" } else { "" };
        let window = format!("<window-counter name='c' {attributes}/>");
        let project = project("index='pi_EMPTY'", &window, "<edge source='a' target='c'/>");
        // Clock of each event; what is counted starts with the first known clock.
        let (mut total, mut interval) = (0_i64, 0_i64);
        let (mut total_start, mut interval_start): (Option<i64>, Option<i64>) = (None, None);
        let mut ticked = false;
        follow(&project, &steps, |clock, step, got| {
            let mut want: Vec<(i64, f64, f64, i64, f64, f64)> = Vec::new();
            let seconds = |start: Option<i64>, now: i64| start.map_or(0.0, |start| (now - start) as f64 / 1e6);
            let rate = |count: i64, seconds: f64| if seconds == 0.0 { 0.0 } else { (count as f64 / seconds * 100.0).round() / 100.0 };
            let mut report = |total: i64, interval: i64, starts: (Option<i64>, Option<i64>)| {
                let (a, b) = (seconds(starts.0, clock), seconds(starts.1, clock));
                want.push((total, a, rate(total, a), interval, b, rate(interval, b)));
            };
            match step {
                Step::Tick(_) => {
                    ticked = true;
                    total_start = total_start.or(Some(clock));
                    interval_start = interval_start.or(Some(clock));
                    if intervals && clock - interval_start.unwrap() >= 4 {
                        report(total, interval, (total_start, interval_start));
                        (interval, interval_start) = (0, Some(clock));
                    }
                    if intervals && clock - total_start.unwrap() >= 9 {
                        (total, total_start) = (0, Some(clock));
                    }
                }
                Step::Block(rows) => {
                    for _ in rows.iter().filter(|row| !row.2[0].is_null()) {
                        total += 1;
                        interval += 1;
                        if ticked {
                            total_start = total_start.or(Some(clock));
                            interval_start = interval_start.or(Some(clock));
                        }
                        if !intervals {
                            report(total, interval, (total_start, interval_start));
                            (interval, interval_start) = (0, ticked.then_some(clock));
                        }
                    }
                }
            }
            let number = |value: &Value| match value { Value::Int64(x) => *x, _ => panic!("{value:?}") };
            let real = |value: &Value| match value { Value::Double(x) => *x, _ => panic!("{value:?}") };
            let new_rows = got.iter().filter(|row| row.0 != Opcode::Delete);
            let got: Vec<(i64, f64, f64, i64, f64, f64)> = new_rows
                .map(|(_, _, row)| (number(&row[1]), real(&row[2]), real(&row[3]), number(&row[4]), real(&row[5]), real(&row[6])))
                .collect();
            assert_eq!(got, want);
        });
    }
}
