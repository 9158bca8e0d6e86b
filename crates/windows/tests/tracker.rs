//! Object tracker: the three outputs, lives, thresholds; and random frames against an obviously right implementation.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, BlockKind, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_windows::{Executor, OutputBlock};
use proptest::collection::vec;
use proptest::prelude::*;
use support::pretty;

const SCHEMA: &str =
    "frame*:int64,n:int32,score:array(dbl),label:string,x:array(dbl),y:array(dbl),w:array(dbl),h:array(dbl)";

/// Score, label, left, top; every box is 10 wide and 10 high.
type Box10 = (f64, &'static str, f64, f64);

fn window(tracker: &str, output: &str) -> Executor {
    let xml = format!(
        "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows>
        <window-source name='a' insert-only='true' index='pi_EMPTY'><schema-string>{SCHEMA}</schema-string></window-source>
        <window-object-tracker name='t'><tracker method='iou' {tracker}/><output {output}/>
        <input count='n' score='score' label='label' coord-type='rect' x='x' y='y' width='w' height='h'/>
        </window-object-tracker></windows><edges><edge source='a' target='t'/></edges></contquery></contqueries></project>"
    );
    match mesh_model::parse_project(&xml, "tracker.xml", &BTreeMap::new()) {
        Ok(checked) => Executor::new(Arc::new(checked.project)),
        Err(problems) => panic!("{problems}"),
    }
}

fn frame(number: i64, boxes: &[Box10]) -> Block {
    let schema = Arc::new(Schema::parse(SCHEMA).unwrap());
    let array = |of: fn(&Box10) -> f64| Value::ArrayDouble(boxes.iter().map(of).collect());
    let labels: Vec<&str> = boxes.iter().map(|(_, label, ..)| *label).collect();
    let values = [
        Value::Int64(number),
        Value::Int32(boxes.len() as i32),
        array(|b| b.0),
        Value::String(Arc::from(labels.join(","))),
        array(|b| b.2),
        array(|b| b.3),
        array(|_| 10.0),
        array(|_| 10.0),
    ];
    let column = |(field, value): (&mesh_event::Field, &Value)| {
        let mut builder = ColumnBuilder::new(field.ty, 1);
        assert!(builder.push(value));
        Arc::new(builder.finish())
    };
    let columns = schema.fields().iter().zip(&values).map(column).collect();
    Block { schema, kind: BlockKind::Normal, opcodes: vec![Opcode::Insert], flags: vec![Flags::NORMAL], columns }
}

fn rows(executor: &mut Executor, frames: &[&[Box10]]) -> Vec<Vec<Vec<Value>>> {
    let each = |(number, boxes): (usize, &&[Box10])| {
        let mut sink: Vec<OutputBlock> = Vec::new();
        executor.apply(0, &[frame(number as i64, boxes)], &mut sink);
        sink.iter().flat_map(|out| (0..out.block.len()).map(|row| out.block.row(row))).collect()
    };
    frames.iter().enumerate().map(each).collect()
}

/// A row with its arrays in short: of whole numbers `i[..]`, of real ones `[..]`.
fn arrays(row: &str) -> String {
    row.replace("ArrayInt32([", "i[").replace("ArrayDouble([", "[").replace("])", "]")
}

#[test]
fn arrays_hold_what_public_models_show() {
    let mut executor = window("score-sigma-low='0.3' track-retention='2'", "mode='array'");
    let names: Vec<String> = executor.outputs()[0].schema.fields().iter().map(|field| field.name.clone()).collect();
    let expected = [
        "frame",
        "n",
        "Object_density",
        "Object_id",
        "Object_label",
        "Object_score",
        "Object_x",
        "Object_y",
        "Object_w",
        "Object_h",
        "Object_center_x",
        "Object_center_y",
        "Object_track_x",
        "Object_track_y",
        "Object_track_count",
    ];
    assert_eq!(names, expected);
    let frames: [&[Box10]; 3] = [
        &[(0.9, "person", 0.0, 0.0), (0.8, "car", 100.0, 50.0), (0.2, "noise", 200.0, 0.0)],
        &[(0.7, "car", 102.0, 50.0), (0.9, "person", 1.0, 0.0)],
        &[],
    ];
    let mut texts = Vec::new();
    for (number, boxes) in frames.iter().enumerate() {
        let mut sink: Vec<OutputBlock> = Vec::new();
        executor.apply(0, &[frame(number as i64, boxes)], &mut sink);
        texts.extend(sink.iter().map(|out| arrays(&pretty(&out.block))));
    }
    assert_eq!(
        texts,
        [
            "I 0 3 2 i[1, 2] person,car [0.9, 0.8] [0.0, 100.0] [0.0, 50.0] [10.0, 10.0] [10.0, 10.0] [5.0, 105.0] \
             [5.0, 55.0] [5.0, 105.0] [5.0, 55.0] i[1, 1]",
            "I 1 2 2 i[1, 2] person,car [0.9, 0.7] [1.0, 102.0] [0.0, 50.0] [10.0, 10.0] [10.0, 10.0] [6.0, 107.0] \
             [5.0, 55.0] [5.0, 6.0, 105.0, 107.0] [5.0, 5.0, 55.0, 55.0] i[2, 2]",
            "I 2 0 0 . . . . . . . . . . . .",
        ]
    );
}

#[test]
fn wide_and_long() {
    let tracker = "velocity-vector-frames='2'";
    let mut wide = window(tracker, "mode='wide' tracks='2' velocity-vector='true' prefix='O'");
    let schema = Arc::clone(&wide.outputs()[0].schema);
    let at = |name: &str| schema.index_of(name).unwrap();
    let frames: [&[Box10]; 3] =
        [&[(0.9, "a", 0.0, 0.0)], &[(0.9, "a", 2.0, 1.0)], &[(0.9, "a", 4.0, 4.0), (0.9, "b", 50.0, 0.0)]];
    let made = rows(&mut wide, &frames);
    assert_eq!(schema.fields()[at("O0_id")].ty, FieldType::Int64);
    assert_eq!(made[1][0][at("O0_vvect_x")], Value::Double(2.0));
    assert_eq!(made[2][0][at("O0_vvect_y")], Value::Double(2.0), "the mean of two steps");
    assert_eq!(made[2][0][at("O0_track_x")], Value::ArrayDouble([5.0, 7.0, 9.0].into()));
    assert_eq!((&made[1][0][at("O1_id")], &made[2][0][at("O1_id")]), (&Value::Null, &Value::Int64(2)));
    let mut long = window(tracker, "mode='long'");
    let schema = Arc::clone(&long.outputs()[0].schema);
    let keys: Vec<&str> = schema.keys().iter().map(|&key| schema.fields()[key].name.as_str()).collect();
    assert_eq!(keys, ["frame", "Object_id"]);
    let made = rows(&mut long, &frames);
    assert_eq!(made.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 2], "one event for each object");
}

/// Ids of the objects of each frame.
fn ids(executor: &mut Executor, frames: &[&[Box10]]) -> Vec<Vec<i32>> {
    let at = executor.outputs()[0].schema.index_of("Object_id").unwrap();
    let of = |frame: &Vec<Vec<Value>>| match &frame[0][at] {
        Value::ArrayInt32(ids) => ids.to_vec(),
        _ => Vec::new(),
    };
    rows(executor, frames).iter().map(of).collect()
}

#[test]
fn lives_scores_overlaps() {
    let here: &[Box10] = &[(0.9, "a", 0.0, 0.0)];
    let near: &[Box10] = &[(0.9, "a", 5.0, 0.0)];
    let frames = [here, &[], &[], here, &[], &[], &[], here];
    assert_eq!(
        ids(&mut window("max-track-lives='2'", "mode='array'"), &frames).concat(),
        [1, 1, 2],
        "two frames, not three"
    );
    let young = ids(
        &mut window("max-track-lives='2' min-track-length='2'", "mode='array'"),
        &[here, &[], here, here, &[], here],
    );
    assert_eq!(young.concat(), [2, 2], "one detection is too few to wait, and to go out");
    let born = "mode='array' newborn-tracks='true'";
    let young = ids(&mut window("min-track-length='2'", born), &[here, here]);
    assert_eq!(young.concat(), [1, 1]);
    let shown = ids(&mut window("max-track-lives='1'", "mode='array' scored-tracks='false'"), &[here, &[], &[]]);
    assert_eq!(shown, [vec![1], vec![1], vec![]], "tracks that only live go out when asked for");
    // A third of the union is shared.
    let strict = ids(&mut window("iou-sigma='0.5' iou-sigma2='0.5'", "mode='array'"), &[here, near]);
    assert_eq!(strict.concat(), [1, 2]);
    let second = ids(&mut window("iou-sigma='0.5' iou-sigma2='0.3'", "mode='array'"), &[here, near]);
    assert_eq!(second.concat(), [1, 1]);
    let weak: &[Box10] = &[(0.6, "a", 0.0, 0.0)];
    let late = ids(&mut window("score-sigma-high='0.8'", "mode='array'"), &[weak, here, weak]);
    assert_eq!(late.concat(), [1, 1], "from the first high score on");
    let doubled: &[Box10] = &[(0.9, "a", 0.0, 0.0), (0.9, "a", 1.0, 0.0)];
    let single = ids(&mut window("iou-sigma-dup='0.6'", "mode='array'"), &[here, doubled, doubled]);
    assert_eq!(single.concat(), [1, 1, 1], "a second box around the same object opens no track");
}

/// Left and top of a box.
type Corner = (f64, f64);

/// Tracks as a list of all their boxes, looked through anew for each frame: id, boxes, frame of the last one.
fn naive(frames: &[Vec<Corner>], overlap: f64, lives: usize) -> Vec<Vec<i32>> {
    let iou = |a: Corner, b: Corner| {
        let side = |a: f64, b: f64| (10.0 - (a - b).abs()).max(0.0);
        let shared = side(a.0, b.0) * side(a.1, b.1);
        shared / (200.0 - shared)
    };
    let mut tracks: Vec<(i32, Vec<Corner>, usize)> = Vec::new();
    let mut out = Vec::new();
    for (now, boxes) in frames.iter().enumerate() {
        let mut taken = vec![false; boxes.len()];
        let mut seen = Vec::new();
        for (id, past, last) in &mut tracks {
            if now - *last > lives + 1 {
                continue;
            }
            let mut best: Option<usize> = None;
            for at in 0..boxes.len() {
                let own = iou(*past.last().unwrap(), boxes[at]);
                let fits = !taken[at] && own >= overlap && own > 0.0;
                if fits && best.is_none_or(|best| own > iou(*past.last().unwrap(), boxes[best])) {
                    best = Some(at);
                }
            }
            if let Some(at) = best {
                taken[at] = true;
                past.push(boxes[at]);
                *last = now;
                seen.push(*id);
            }
        }
        for at in (0..boxes.len()).filter(|&at| !taken[at]) {
            let id = tracks.len() as i32 + 1;
            tracks.push((id, vec![boxes[at]], now));
            seen.push(id);
        }
        out.push(seen);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tracks_are_those_of_a_naive_search(
        frames in vec(vec((0..40u32, 0..12u32), 0..6), 1..25),
        overlap in 1..7u32,
        lives in 0..3usize,
    ) {
        let frames: Vec<Vec<Corner>> =
            frames.iter().map(|boxes| boxes.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).collect()).collect();
        let boxes: Vec<Vec<Box10>> =
            frames.iter().map(|boxes| boxes.iter().map(|&(x, y)| (1.0, "o", x, y)).collect()).collect();
        let overlap = f64::from(overlap) / 10.0;
        let tracker = format!("iou-sigma='{overlap}' iou-sigma2='{overlap}' max-track-lives='{lives}'");
        let refs: Vec<&[Box10]> = boxes.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(ids(&mut window(&tracker, "mode='array'"), &refs), naive(&frames, overlap, lives));
    }
}
