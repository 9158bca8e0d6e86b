//! Aggregates and joins against what they mean: after every block the rows that a window put out, put together, are
//! the grouping or the join of all rows of its inputs, worked out anew.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Value;
use mesh_windows::Executor;
use proptest::prelude::*;
use support::random::{SCHEMA, Step};
use support::scenario::{Relation, Source, exact, project, steps_of_two};
use support::{block_of, rows_of, schema};

/// Rows of both sources after each step, and the relation of the one output.
fn follow(
    project: &Arc<mesh_model::Project>,
    steps: &[(usize, Step)],
    keys: &[usize],
    check: impl Fn(&[Source; 2], &Relation),
) {
    let input = schema(SCHEMA);
    let mut executor = Executor::new(Arc::clone(project));
    let mut sources = [Source::default(), Source::default()];
    let mut relation = Relation::new(keys);
    for (source, step) in steps {
        let Step::Block(rows) = step else { continue };
        let mut sink = Vec::new();
        executor.apply(*source, &[block_of(&input, rows)], &mut sink);
        sources[*source].block(rows, |_| {});
        // A source that leads nowhere is an output as well.
        let last = executor.outputs().len() - 1;
        sink.iter().filter(|out| out.output == last).for_each(|out| relation.apply(&rows_of(&out.block)));
        check(&sources, &relation);
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Double(x) => Some(*x),
        _ => None,
    }
}

fn close(got: &Value, want: Option<f64>) -> bool {
    match (number(got), want) {
        (Some(got), Some(want)) => (got - want).abs() <= 1e-9 * want.abs().max(1.0),
        (got, want) => got.is_none() && want.is_none(),
    }
}

const ID: usize = 0;
const NAME: usize = 1;
const X: usize = 3;

/// The groups by name, rows from the longest untouched to the youngest.
fn groups(source: &Source) -> BTreeMap<String, Vec<&Vec<Value>>> {
    let mut groups: BTreeMap<String, Vec<&Vec<Value>>> = BTreeMap::new();
    for row in &source.rows {
        groups.entry(format!("{:?}", [&row[NAME]])).or_default().push(row);
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_aggregate_is_the_grouping_of_its_input(steps in steps_of_two(), raw in any::<bool>()) {
        let windows = "<window-aggregate name='g'><schema-string>name*:string,n:int64,sum:double,lo:double,hi:double,
            ave:double,std:double,dist:int64,nulls:int64,first:double,last:double,lag:double,mode:double,cat:string,
            isum:int64</schema-string><output>
            <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aSum(x)</field-expr><field-expr>ESP_aMin(x)</field-expr>
            <field-expr>ESP_aMax(x)</field-expr><field-expr>ESP_aAve(x)</field-expr><field-expr>ESP_aStd(x)</field-expr>
            <field-expr>ESP_aCountDistinct(x)</field-expr><field-expr>ESP_aCountNull(x)</field-expr>
            <field-expr>ESP_aFirst(x)</field-expr><field-expr>ESP_aLast(x)</field-expr><field-expr>ESP_aLag(x,1)</field-expr>
            <field-expr>ESP_aMode(x)</field-expr><field-expr>ESP_aCat(id,';')</field-expr><field-expr>ESP_aSum(id)</field-expr>
            </output></window-aggregate>";
        // Raw events are made exact by the aggregate itself.
        let attributes = if raw { "index='pi_EMPTY'" } else { "" };
        let project = project(attributes, windows, "<edge source='a' target='g'/>");
        follow(&project, &steps, &[0], |[a, _], relation| {
            let groups = groups(a);
            assert_eq!(relation.rows.keys().collect::<Vec<_>>(), groups.keys().collect::<Vec<_>>());
            for (key, rows) in groups {
                let got = &relation.rows[&key];
                let xs: Vec<f64> = rows.iter().filter_map(|row| number(&row[X])).collect();
                let n = xs.len() as f64;
                let sum = xs.iter().sum::<f64>();
                let some = |value: f64| (!xs.is_empty()).then_some(value);
                let mean = sum / n;
                let std = match xs.len() {
                    1 => 0.0,
                    _ => (xs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt(),
                };
                assert_eq!(got[1], Value::Int64(rows.len() as i64));
                assert!(close(&got[2], some(sum)), "sum {:?} of {xs:?}", got[2]);
                assert!(close(&got[3], xs.iter().copied().reduce(f64::min)), "min {:?} of {xs:?}", got[3]);
                assert!(close(&got[4], xs.iter().copied().reduce(f64::max)), "max {:?} of {xs:?}", got[4]);
                assert!(close(&got[5], some(mean)), "mean {:?} of {xs:?}", got[5]);
                assert!(close(&got[6], some(std)), "std {:?} of {xs:?}", got[6]);
                let mut counts: BTreeMap<i64, (f64, usize)> = BTreeMap::new();
                for x in &xs {
                    counts.entry((x * 7.0).round() as i64).or_insert((*x, 0)).1 += 1;
                }
                assert_eq!(got[7], Value::Int64(counts.len() as i64));
                assert_eq!(got[8], Value::Int64((rows.len() - xs.len()) as i64));
                assert_eq!(exact(&got[9..10]), exact(&rows[0][X..]));
                assert_eq!(exact(&got[10..11]), exact(&rows[rows.len() - 1][X..]));
                let lag = rows.len().checked_sub(2).map_or(Value::Null, |at| rows[at][X].clone());
                assert_eq!(exact(&got[11..12]), exact(&[lag]));
                let most = counts.values().map(|(_, count)| *count).max();
                let mode = counts.values().find(|(_, count)| Some(*count) == most).map(|(x, _)| *x);
                assert!(close(&got[12], mode), "mode {:?} of {xs:?}", got[12]);
                let Value::Int64(isum) = got[14] else { panic!("{:?}", got[14]) };
                let ids = rows.iter().map(|row| match row[ID] { Value::Int64(id) => id, _ => unreachable!() });
                let ids: Vec<i64> = ids.collect();
                assert_eq!(isum, ids.iter().sum::<i64>());
                let cat = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(";");
                assert_eq!(got[13], Value::String(cat.into()));
            }
        });
    }

    #[test]
    fn a_join_is_the_join_of_its_inputs(
        steps in steps_of_two(),
        kind in prop::sample::select(vec!["inner", "leftouter", "rightouter", "fullouter"]),
        on in prop::sample::select(vec![("id", "id"), ("name", "name"), ("id", "id2"), ("id2", "id")]),
        raw in any::<bool>(),
    ) {
        prop_assume!(kind != "fullouter" || on == ("id", "id"));
        // A second number on either side makes the m:1 and the 1:m join.
        let windows = format!(
            "<window-compute name='l'><schema-string>id*:int64,id2:int64,name:string,x:double</schema-string><output>
             <field-expr>floor(x)</field-expr><field-expr>name</field-expr><field-expr>x</field-expr></output></window-compute>
             <window-compute name='r'><schema-string>id*:int64,id2:int64,name:string,x:double</schema-string><output>
             <field-expr>floor(x)</field-expr><field-expr>name</field-expr><field-expr>x</field-expr></output></window-compute>
             <window-join name='j'><join type='{kind}'><conditions><fields left='{}' right='{}'/></conditions></join>
             <output><field-selection name='lid' source='l_id'/><field-selection name='lx' source='l_x'/>
             <field-selection name='rid' source='r_id'/><field-selection name='rx' source='r_x'/>
             <field-expr name='sum' type='double'>l_x + r_x</field-expr></output></window-join>",
            on.0, on.1
        );
        let edges = "<edge source='a' target='l'/><edge source='b' target='r'/><edge source='l r' target='j'/>";
        let project = project(if raw { "index='pi_EMPTY'" } else { "" }, &windows, edges);
        let join = project.queries[0].windows.last().unwrap();
        let keys = join.schema.keys().to_vec();
        let outputs = keys.len();
        let column = |row: &[Value], name: &str| match name {
            "id" => row[ID].clone(),
            "name" => row[NAME].clone(),
            _ => row[X].clone().into_floor(),
        };
        follow(&project, &steps, &keys, |[a, b], relation| {
            let mut want: Vec<String> = Vec::new();
            let pair = |l: Option<&Vec<Value>>, r: Option<&Vec<Value>>| {
                let of = |row: Option<&Vec<Value>>, at: usize| row.map_or(Value::Null, |row| row[at].clone());
                let (lx, rx) = (of(l, X), of(r, X));
                let sum = match (&lx, &rx) {
                    (Value::Double(l), Value::Double(r)) => Value::Double(l + r),
                    _ => Value::Null,
                };
                exact(&[of(l, ID), lx, of(r, ID), rx, sum])
            };
            let matches = |l: &[Value], r: &[Value]| {
                let (l, r) = (column(l, on.0), column(r, on.1));
                !l.is_null() && l == r
            };
            for l in &a.rows {
                for r in b.rows.iter().filter(|r| matches(l, r)) {
                    want.push(pair(Some(l), Some(r)));
                }
                if matches!(kind, "leftouter" | "fullouter") && !b.rows.iter().any(|r| matches(l, r)) {
                    want.push(pair(Some(l), None));
                }
            }
            for r in &b.rows {
                if matches!(kind, "rightouter" | "fullouter") && !a.rows.iter().any(|l| matches(l, r)) {
                    want.push(pair(None, Some(r)));
                }
            }
            let mut got: Vec<String> = relation.rows.values().map(|row| exact(&row[outputs..])).collect();
            want.sort();
            got.sort();
            assert_eq!(got, want);
        });
    }
}

trait IntoFloor {
    fn into_floor(self) -> Value;
}

impl IntoFloor for Value {
    /// What `floor` makes of a double that is stored in an int64 field.
    fn into_floor(self) -> Value {
        match self {
            Value::Double(x) => Value::Int64(x.floor() as i64),
            _ => Value::Null,
        }
    }
}
