//! The algorithms of calculate windows against numpy, scipy and scikit-learn: every case of oracle/algorithms.json, which
//! oracle/algorithms.py writes, must come out as it says there.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_windows::Executor;
use serde_json::Value as Json;
use support::schema;

/// Events of a block.
const BLOCK: usize = 7;

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn properties(map: &Json) -> String {
    let of = |(name, value): (&String, &Json)| format!("<property name='{name}'>{}</property>", text(value));
    format!("<properties>{}</properties>", map.as_object().unwrap().iter().map(of).collect::<String>())
}

/// `p[1-3]:double` as its fields.
fn fields(spec: &str) -> Vec<String> {
    let Some((stem, rest)) = spec.split_once('[') else { return vec![spec.to_owned()] };
    let (range, ty) = rest.split_once("]:").unwrap();
    let (low, high) = range.split_once('-').unwrap();
    (low.parse().unwrap()..=high.parse::<usize>().unwrap()).map(|number| format!("{stem}{number}:{ty}")).collect()
}

fn executor(case: &Json) -> Executor {
    let outputs = case["outputs"].as_object().unwrap();
    let made: Vec<String> = outputs.values().flat_map(|spec| fields(spec.as_str().unwrap())).collect();
    let map: serde_json::Map<String, Json> = outputs
        .iter()
        .map(|(name, spec)| (name.clone(), Json::from(spec.as_str().unwrap().split([':', '*']).next().unwrap())))
        .collect();
    let xml = format!(
        "<project name='p'><contqueries><contquery name='cq'><windows>
        <window-source name='s' insert-only='true' index='pi_EMPTY'><schema-string>{}</schema-string></window-source>
        <window-calculate name='w' algorithm='{}'><schema-string>id*:int64,{}</schema-string>
        <parameters>{}</parameters><input-map>{}</input-map><output-map>{}</output-map></window-calculate>
        </windows><edges><edge source='s' target='w'/></edges></contquery></contqueries></project>",
        text(&case["schema"]),
        text(&case["algorithm"]),
        made.join(","),
        properties(&case["parameters"]),
        properties(&case["inputs"]),
        properties(&Json::Object(map)),
    );
    let project = mesh_model::parse_project(&xml, "case.xml", &BTreeMap::new());
    Executor::new(Arc::new(project.unwrap_or_else(|problems| panic!("{problems}")).project))
}

fn block(schema: &Arc<Schema>, rows: &[Json]) -> Block {
    let column = |(at, field): (usize, &mesh_event::Field)| {
        let mut builder = ColumnBuilder::new(field.ty, rows.len());
        for row in rows {
            let value = &row[at];
            let pushed = match field.ty {
                _ if value.is_null() => {
                    builder.push_null();
                    true
                }
                FieldType::Int64 => builder.push_i64(value.as_i64().unwrap()),
                FieldType::String => builder.push_str(value.as_str().unwrap()),
                _ => builder.push_f64(value.as_f64().unwrap()),
            };
            assert!(pushed);
        }
        Arc::new(builder.finish())
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    Block::new(Arc::clone(schema), vec![Opcode::Insert; rows.len()], vec![Flags::NORMAL; rows.len()], columns)
}

fn near(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-7 * want.abs().max(1.0)
}

fn same(got: &Value, want: &Json) -> bool {
    match (got, want) {
        (_, Json::String(any)) if any == "any" => true,
        (Value::Null, Json::Null) => true,
        (Value::Int64(got), want) => want.as_f64() == Some(*got as f64),
        (Value::Double(got), want) => want.as_f64().is_some_and(|want| near(*got, want)),
        (Value::ArrayDouble(got), Json::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| near(*got, want.as_f64().unwrap()))
        }
        _ => false,
    }
}

#[test]
fn algorithms_agree_with_numpy_and_scipy() {
    let cases: Vec<Json> = serde_json::from_str(include_str!("oracle/algorithms.json")).unwrap();
    assert!(cases.len() > 30);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = format!("{} {}", case["algorithm"], case["parameters"]);
        let mut executor = executor(case);
        let input = schema(&text(&case["schema"]));
        let mut sink = Vec::new();
        for rows in case["input"].as_array().unwrap().chunks(BLOCK) {
            executor.apply(0, &[block(&input, rows)], &mut sink);
        }
        let got: Vec<Vec<Value>> = sink.iter().flat_map(|out| support::rows_of(&out.block)).map(|row| row.2).collect();
        let want = case["rows"].as_array().unwrap();
        let differ = |(got, want): &(&Vec<Value>, &Json)| {
            let want = want.as_array().unwrap();
            got.len() != want.len() || !got.iter().zip(want).all(|(got, want)| same(got, want))
        };
        if let Some((got, want)) = got.iter().zip(want).find(differ) {
            wrong.push(format!("{name}\n got {got:?}\nwant {want:?}"));
        } else if got.len() != want.len() {
            wrong.push(format!("{name}: {} events, expected {}", got.len(), want.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
