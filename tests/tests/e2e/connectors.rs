//! A project that reads and writes its own files, in a folder that its engines share: killed and frozen in the middle.

use std::fmt::Write;

use mesh_proto::election::Role;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::LIMIT;

const LINES: usize = 20_000;
const PER_S: usize = 4_000;
const KILLS: usize = 4;

const PROJECT: &str = r#"<project name="files" pubsub="auto" heartbeat-interval="1"><contqueries><contquery name="cq"><windows>
  <window-source name="src" insert-only="true" index="pi_EMPTY">
    <schema-string>id*:int64,x:double</schema-string>
    <connectors><connector class="fs" name="in" type="publish"><properties>
      <property name="fsname">in.csv</property><property name="fstype">csv</property><property name="header">1</property>
      <property name="addcsvopcode">true</property><property name="addcsvflags">normal</property>
      <property name="blocksize">16</property><property name="rate">@RATE@</property>
    </properties></connector></connectors>
  </window-source>
  <window-calculate name="sum" algorithm="Summary">
    <schema-string>id*:int64,x:double,total:double</schema-string>
    <parameters><properties><property name="windowLength">3</property></properties></parameters>
    <input-map><properties><property name="input">x</property></properties></input-map>
    <output-map><properties><property name="sumOut">total</property></properties></output-map>
    <connectors><connector class="fs" name="out" type="subscribe"><properties>
      <property name="fsname">out.csv</property><property name="fstype">csv</property></properties></connector></connectors>
  </window-calculate>
</windows><edges><edge source="src" target="sum"/></edges></contquery></contqueries></project>"#;

#[test]
fn own_files_are_carried_through_exactly_once_while_the_active_is_killed_and_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let (mut input, mut expected, mut last) = ("id,x\n".to_owned(), String::new(), Vec::new());
    for id in 0..LINES {
        let x = (id % 17) as f64 + 0.5;
        writeln!(input, "{id},{x}").unwrap();
        last.push(x);
        let total: f64 = last.iter().rev().take(3).sum();
        writeln!(expected, "I,N, {id},{x:.6},{total:.6}").unwrap();
    }
    std::fs::write(folder.path().join("in.csv"), input).unwrap();
    let mut mesh = Mesh::start(MeshOptions {
        name: "own",
        xml: PROJECT.replace("@RATE@", &PER_S.to_string()),
        engines: 2,
        elections: 2,
        trace_ratio: 0.0,
        engine_settings: vec![format!("connectors_dir={}", folder.path().display())],
    })
    .unwrap();
    let out = folder.path().join("out.csv");
    let written = || std::fs::read_to_string(&out).unwrap_or_default();
    for kill in 0..KILLS {
        let enough = (kill + 1) * LINES / (KILLS + 2);
        wait_for("so much to be written", LIMIT, || (written().lines().count() > enough).then_some(())).unwrap();
        let active = mesh.wait_healthy().unwrap();
        if kill == 1 {
            // a zombie: it wakes up when another has gone on, and its connectors must write nothing more
            mesh.engines[active].process.signal("STOP").unwrap();
            wait_for("the other to lead", LIMIT, || (mesh.role(1 - active) == Role::Active).then_some(())).unwrap();
            mesh.engines[active].process.signal("CONT").unwrap();
        } else {
            mesh.engines[active].process.kill().unwrap();
            mesh.engines[active].process.restart().unwrap();
        }
    }
    wait_for("everything to be written", LIMIT, || (written().len() >= expected.len()).then_some(())).unwrap();
    assert!(written() == expected, "the file is that of one engine that never failed");
    let active = mesh.wait_healthy().unwrap();
    let state = || {
        let connectors = mesh.status(active).ok()?.connectors;
        let source = connectors.into_iter().find(|connector| connector.publishes)?;
        (source.state == "finished").then_some((source.events_total, source.error))
    };
    assert_eq!(wait_for("the source to be finished", LIMIT, state).unwrap(), (LINES as u64, String::new()));
}
