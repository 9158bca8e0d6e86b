//! Events that windows cannot apply: counted, logged, kept in a file, and what comes after them goes on.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod common;

use common::{Mesh, wait_until};
use mesh_engine::project::bad_events::BadEventOptions;

const PROJECT: &str =
    "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows><window-source name='s'>
    <schema-string>id*:int64,x:double</schema-string></window-source></windows></contquery></contqueries></project>";

#[test]
fn bad_events_are_in_a_file_of_each_engine_and_the_project_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut mesh = Mesh::of(PROJECT);
    mesh.bad_events = Some(BadEventOptions { folder: folder.path().to_owned(), bytes_max: 1 << 20 });
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    mesh.publish(2);
    // the same keys once more: inserts of keys that are there
    mesh.published.clear();
    mesh.publish(3);
    let lines = |engine: &str| {
        let path = folder.path().join(format!("{engine}.p.bad.csv"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| line.split_once(',').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    wait_until("both to have written", || ["a", "b"].iter().all(|engine| lines(engine).len() == 4));
    let expected = |id: i64, x: &str| format!("cq/s,\"an insert of a key that is there\",I,N, {id},{x}");
    let all = [expected(0, "0.000000"), expected(1, "-0.000000"), expected(2, "1.500000"), expected(3, "-1.000000")];
    assert_eq!((lines("a"), lines("b")), (all.to_vec(), all.to_vec()));
    wait_until("the status", || a.project.reports.last().windows.iter().any(|window| window.bad_events == 4));
    wait_until("what came after them", || a.project.reports.last().events_in == 10);
    drop(b);
}
