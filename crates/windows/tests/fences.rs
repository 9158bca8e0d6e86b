//! Geofences by example.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_windows::Executor;
use support::{block, pretty, schema};

const POSITIONS: &str = "id*:int64,x:double,y:double";
const AREAS: &str = "area*:int64,shape:string,name:string";

fn executor(geofence: &str, output: &str) -> Executor {
    let xml = format!(
        "<project name='p'><contqueries><contquery name='cq'><windows>
        <window-source name='at' index='pi_EMPTY'><schema-string>{POSITIONS}</schema-string></window-source>
        <window-source name='areas'><schema-string>{AREAS}</schema-string></window-source>
        <window-geofence name='g'><geofence coordinate-type='cartesian' {geofence}/>
        <geometry data-fieldname='shape' data-separator=',' desc-fieldname='name' radius='2'/>
        <position x-fieldname='x' y-fieldname='y'/><output geoid-fieldname='gid' geodistance-fieldname='far' {output}/>
        </window-geofence></windows><edges><edge source='at' target='g'/><edge source='areas' target='g'/></edges>
        </contquery></contqueries></project>"
    );
    let project =
        mesh_model::parse_project(&xml, "p.xml", &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"));
    Executor::new(Arc::new(project.project))
}

fn apply(executor: &mut Executor, input: usize, text: &str) -> String {
    let mut sink = Vec::new();
    let shape = schema([POSITIONS, AREAS][input]);
    executor.apply(input, &[block(&shape, text)], &mut sink);
    sink.iter().map(|out| pretty(&out.block)).collect::<Vec<_>>().join(" | ")
}

/// A square, a circle that overlaps it, and something that is no geometry.
const SHAPES: &str = "I 1 0,0,4,0,4,4,0,4 square; I 2 4,2 circle; I 3 1,x,7 nothing";

#[test]
fn the_nearest_geometry_goes_out() {
    let mut executor = executor("", "geodesc-fieldname='desc' geotype-fieldname='type'");
    assert_eq!(apply(&mut executor, 0, "I 1 2 1.5"), "I 1 2 1.5 . . . .");
    assert_eq!(apply(&mut executor, 1, SHAPES), "");
    assert_eq!(executor.stats()[2].bad_events, 1, "a text with a word is no geometry");
    assert_eq!(apply(&mut executor, 0, "I 2 2 1.5; U 2 9 9"), "I 2 2 1.5 1 square 1.5 Polygon; U 2 9 9 . . . .");
    assert_eq!(apply(&mut executor, 0, "I 3 3.5 2"), "I 3 3.5 2 1 square 0.5 Polygon", "of two that are equally near");
    assert_eq!(apply(&mut executor, 0, "I 4 5.5 2"), "I 4 5.5 2 2 circle 1.5 Circle");
    assert_eq!(apply(&mut executor, 1, "D 2 . ."), "");
    assert_eq!(apply(&mut executor, 0, "I 5 5.5 2; I 6 . 1"), "I 5 5.5 2 . . . .; I 6 . 1 . . . .");
}

#[test]
fn every_geometry_goes_out_when_asked() {
    let mut executor =
        executor("output-multiple-results='true' output-sorted-results='true'", "eventnumber-fieldname='n'");
    apply(&mut executor, 1, SHAPES);
    assert_eq!(apply(&mut executor, 0, "I 1 3 2"), "I 1 3 2 1 1 0; I 1 3 2 2 1 1");
    assert_eq!(apply(&mut executor, 0, "I 2 9 9"), "I 2 9 9 . . 0");
}
