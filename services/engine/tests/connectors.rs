//! Connectors that are sources and sinks of their own, run by the engine that leads: nothing is lost or doubled when it
//! is gone in the middle.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{DEADLINE, Mesh, Replica, wait_until};
use mesh_bus::{Bus, TopicSpec};
use mesh_engine::project::connectors::Permit;
use mesh_event::codec::decode_block;
use mesh_proto::election::Role;
use mesh_proto::engine::ConnectorStatus;

/// A counter of what passed, which depends on every event before.
const PROJECT: &str = r#"<project name="own" pubsub="auto" heartbeat-interval="1"><contqueries><contquery name="cq"><windows>
  <window-source name="src" insert-only="true" index="pi_EMPTY">
    <schema-string>id*:int64,x:double</schema-string>
    <connectors>@PUBLISH@</connectors>
  </window-source>
  <window-calculate name="sum" algorithm="Summary">
    <schema-string>id*:int64,x:double,total:double</schema-string>
    <parameters><properties><property name="windowLength">3</property></properties></parameters>
    <input-map><properties><property name="input">x</property></properties></input-map>
    <output-map><properties><property name="sumOut">total</property></properties></output-map>
    <connectors>@SUBSCRIBE@</connectors>
  </window-calculate>
</windows><edges><edge source="src" target="sum"/></edges></contquery></contqueries>@GROUPS@</project>"#;

const OUT: &str = r#"<connector class="fs" name="out" type="subscribe"><properties>
  <property name="fsname">out.csv</property><property name="fstype">csv</property></properties></connector>"#;

fn file(name: &str, file: &str, more: &[(&str, &str)]) -> String {
    let more: String = more.iter().map(|(key, value)| format!("<property name=\"{key}\">{value}</property>")).collect();
    format!(
        "<connector class=\"fs\" name=\"{name}\" type=\"publish\"><properties><property name=\"fsname\">{file}</property>\
         {more}</properties></connector>"
    )
}

fn mesh(publish: &str, subscribe: &str, groups: &str, folder: &Path) -> Mesh {
    let xml = PROJECT.replace("@PUBLISH@", publish).replace("@SUBSCRIBE@", subscribe).replace("@GROUPS@", groups);
    let mut mesh = Mesh::of(&xml);
    let spec = TopicSpec { name: "ESPAdapterMetapub".into(), replication_factor: 1, settings: BTreeMap::new() };
    assert!(mesh.bus.create_topic(&spec, DEADLINE).unwrap());
    mesh.permit = Permit { folder: Some(folder.to_owned()), addresses: vec![":*".to_owned()] };
    mesh
}

fn line(id: usize) -> String {
    format!("i,n,{id},{}.5\n", id % 17)
}

/// What one engine that never failed puts out for these events, as the subscribe connector writes it.
fn expected(ids: impl IntoIterator<Item = usize>) -> String {
    let (mut last, mut text) = (Vec::new(), String::new());
    for id in ids {
        let x = (id % 17) as f64 + 0.5;
        last.push(x);
        let total: f64 = last.iter().rev().take(3).sum();
        text.push_str(&format!("I,N, {id},{x:.6},{total:.6}\n"));
    }
    text
}

fn connector(replica: &Replica, name: &str) -> ConnectorStatus {
    let connectors = replica.project.reports.last().connectors;
    connectors.into_iter().find(|c| c.connector.ends_with(name)).unwrap_or_default()
}

/// Ids in the input topic, in order.
fn ids(mesh: &Mesh) -> Vec<i64> {
    let schema = mesh.project.inputs()[0].schema.clone();
    let mut ids = Vec::new();
    for record in mesh.read(&mesh.topics.inputs[0]) {
        let (_, block) = decode_block(&record.payload, &schema).unwrap();
        ids.extend((0..block.len()).map(|row| match block.row(row)[0] {
            mesh_event::Value::Int64(id) => id,
            ref other => panic!("{other:?}"),
        }));
    }
    ids
}

#[test]
fn a_file_is_carried_through_exactly_once_while_engines_come_and_go() {
    const LINES: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.csv"), (0..LINES).map(line).collect::<String>()).unwrap();
    let rate = [("rate", "3000"), ("blocksize", "7"), ("transactionblocks", "5")];
    let mesh = mesh(&file("in", "in.csv", &rate), OUT, "", folder.path());
    let out = folder.path().join("out.csv");
    let written = || std::fs::read_to_string(&out).unwrap_or_default();
    let mut engines = vec![mesh.engine("a"), mesh.engine("b")];
    let mut term = 1;
    engines[0].grant(term);
    // the leader vanishes, is deposed while it works, hands over: each time in the middle of the file
    for part in 1..5 {
        // a grant to one that is still taking over would race with the next: elections give none
        wait_until("the leader to lead", || engines[0].role() == Role::Active);
        wait_until("so much to be written", || written().lines().count() > part * LINES / 6);
        term += 1;
        match part {
            1 | 3 => drop(engines.remove(0)),
            _ => {
                wait_until("the next to follow", || engines[1].role() == Role::Standby);
                engines[1].grant(term);
                engines.swap(0, 1);
                wait_until("the next to lead", || engines[0].role() == Role::Active);
                continue;
            }
        }
        engines.push(mesh.engine(&format!("c{part}")));
        engines[0].grant(term);
    }
    wait_until("the source to be finished", || connector(&engines[0], "/in").state == "finished");
    wait_until("everything to be written", || written().lines().count() >= LINES);
    assert_eq!(written(), expected(0..LINES));
    assert_eq!(ids(&mesh), (0..LINES as i64).collect::<Vec<_>>());
    let status = connector(&engines[0], "/in");
    assert_eq!((status.events_total, status.error.as_str(), status.publishes), (LINES as u64, "", true));
    assert_eq!(connector(&engines[1], "/in").state, "standby");
}

#[test]
fn groups_start_in_order_also_after_a_takeover_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("first.json", (0..400).map(|id| format!("{{\"id\":{id},\"x\":{}.5}}\n", id % 17)).collect());
    let events = (400..700).map(|id| format!("<event><id>{id}</id><x>{}.5</x></event>", id % 17));
    write("second.xml", format!("<events>{}</events>", events.collect::<String>()));
    write("third.csv", (700..1000).map(line).collect());
    let publish = [
        file("third", "third.csv", &[]),
        file("second", "second.xml", &[("fstype", "xml"), ("rate", "300")]),
        file("first", "first.json", &[("fstype", "json"), ("rate", "2000")]),
    ];
    let entry = |name: &str| {
        format!(
            "<connector-group name='{name}'><connector-entry connector='cq/src/{name}' state='finished'/></connector-group>"
        )
    };
    let groups = format!(
        "<project-connectors><connector-groups>{}{}{}</connector-groups><edges><edge source='first' target='second'/>\
         <edge source='second' target='third'/></edges></project-connectors>",
        entry("first"),
        entry("second"),
        entry("third")
    );
    let mesh = mesh(&publish.concat(), OUT, &groups, folder.path());
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("the second to run", || connector(&a, "/second").state == "running");
    assert_eq!(connector(&a, "/first").state, "finished");
    wait_until("the third to say why it waits", || connector(&a, "/third").waits_for.contains("cq/src/second"));
    drop(a);
    b.grant(2);
    wait_until("all to be finished", || {
        ["/first", "/second", "/third"].iter().all(|name| connector(&b, name).state == "finished")
    });
    let out = folder.path().join("out.csv");
    wait_until("everything to be written", || {
        std::fs::read_to_string(&out).is_ok_and(|text| text.lines().count() >= 1000)
    });
    assert_eq!(std::fs::read_to_string(&out).unwrap(), expected(0..1000));
}

#[test]
fn a_timer_misses_and_doubles_no_tick_when_another_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let timer = r#"<connector class="timer" name="ticks" type="publish"><properties>
      <property name="interval">20</property><property name="unit">millisecond</property>
      <property name="label">tick</property></properties></connector>"#;
    let xml = format!(
        "<project name='ticking' pubsub='auto'><contqueries><contquery name='cq'><windows><window-source name='src' \
         insert-only='true'><schema-string>id*:int64,at:stamp,label:string</schema-string><connectors>{timer}</connectors>\
         </window-source></windows></contquery></contqueries></project>"
    );
    let mut mesh = Mesh::of(&xml);
    let spec = TopicSpec { name: "ESPAdapterMetapub".into(), replication_factor: 1, settings: BTreeMap::new() };
    assert!(mesh.bus.create_topic(&spec, DEADLINE).unwrap());
    mesh.permit = Permit { folder: Some(folder.path().to_owned()), addresses: Vec::new() };
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("some ticks", || ids(&mesh).len() >= 10);
    drop(a);
    let before = ids(&mesh).len();
    std::thread::sleep(Duration::from_millis(100)); // nobody ticks meanwhile
    b.grant(2);
    wait_until("more ticks", || ids(&mesh).len() >= before + 15);
    let schema = mesh.project.inputs()[0].schema.clone();
    let mut ticks = Vec::new();
    for record in mesh.read(&mesh.topics.inputs[0]) {
        let (_, block) = decode_block(&record.payload, &schema).unwrap();
        ticks.extend((0..block.len()).map(|row| block.row(row)));
    }
    let at = |row: &[mesh_event::Value]| match (&row[0], &row[1], &row[2]) {
        (mesh_event::Value::Int64(id), mesh_event::Value::Stamp(at), mesh_event::Value::String(label)) => {
            assert_eq!(label.as_ref(), "tick");
            (*id, *at)
        }
        other => panic!("{other:?}"),
    };
    let first = at(&ticks[0]);
    assert_eq!(first.1 % 20_000, 0, "ticks count from the epoch when there is no basetime");
    for (index, row) in ticks.iter().enumerate() {
        assert_eq!(at(row), (index as i64 + 1, first.1 + index as i64 * 20_000));
    }
}

#[test]
fn a_script_goes_on_where_it_was_when_another_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let code = "local n = 0\nfunction publish()\n n = n + 1\n if n > 200 then return true end\n\
                return {{id = 2 * n - 2, x = (2 * n - 2) % 17 + 0.5}, {id = 2 * n - 1, x = (2 * n - 1) % 17 + 0.5}}\nend";
    let lua = format!(
        "<connector class='lua' name='made' type='publish'><properties><property name='interval'>5</property>\
         <property name='code'><![CDATA[{code}]]></property></properties></connector>"
    );
    let mesh = mesh(&lua, OUT, "", folder.path());
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a part of it", || ids(&mesh).len() >= 100);
    drop(a);
    b.grant(2);
    wait_until("the script to be at its end", || connector(&b, "/made").state == "finished");
    let out = folder.path().join("out.csv");
    wait_until("everything to be written", || {
        std::fs::read_to_string(&out).is_ok_and(|text| text.lines().count() >= 400)
    });
    assert_eq!(std::fs::read_to_string(&out).unwrap(), expected(0..400));
}

#[test]
fn what_is_not_permitted_or_not_there_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let publish = [
        file("away", "/etc/hostname", &[]),
        file("later", "later.csv", &[]),
        file("bad", "bad.csv", &[("rate", "fast")]),
    ];
    let mesh = mesh(&publish.concat(), "", "", folder.path());
    let a = mesh.engine("a");
    a.grant(1);
    let error = |name: &str| connector(&a, name).error;
    wait_until("the refusal", || error("/away").contains("connectors_dir"));
    wait_until("the missing file", || error("/later").contains("later.csv"));
    wait_until("the bad option", || error("/bad").contains("`rate` is `fast`"));
    std::fs::write(folder.path().join("later.csv"), line(1)).unwrap();
    wait_until("the file to be found", || connector(&a, "/later").state == "finished");
    assert_eq!((ids(&mesh), error("/later")), (vec![1], String::new()));
}

#[test]
fn a_socket_goes_on_with_what_comes() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut mesh = mesh(&file("feed", &format!(":{port}"), &[]), OUT, "", folder.path());
    mesh.permit.addresses = vec![format!(":{port}")];
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    let send = |ids: std::ops::Range<usize>| {
        let mut stream = None;
        wait_until("the connector to listen", || {
            stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok();
            stream.is_some()
        });
        stream.unwrap().write_all(ids.map(line).collect::<String>().as_bytes()).unwrap();
    };
    let written = || std::fs::read_to_string(folder.path().join("out.csv")).unwrap_or_default().lines().count();
    a.grant(1);
    send(0..100);
    wait_until("the first events", || written() == 100);
    b.grant(2);
    wait_until("b to run it", || connector(&b, "/feed").state == "running");
    send(100..250);
    wait_until("the others", || written() == 250);
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), expected(0..250));
    wait_until("its count to go on", || connector(&b, "/feed").events_total == 250);
}
