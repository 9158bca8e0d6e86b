//! Every bad input gets a clear error, and loses nothing.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::*;
use mesh_bus::Bus;
use mesh_publisher_adapter::{PublishError, Publisher};
use mesh_service::Kind;

#[track_caller]
fn says(error: &PublishError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text}\nlacks: {part}");
    }
}

/// 20 lines of which line 17 has `12.12` where an int64 belongs.
fn bad_source(dir: &std::path::Path) -> std::path::PathBuf {
    let path = dir.join("in.csv");
    let lines: Vec<String> = (0..20).map(|i| if i == 16 { "i,n,12.12,x,1.5".to_owned() } else { line(i) }).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn a_wrong_type_in_line_17_is_named_and_what_was_before_it_is_published() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = bad_source(dir.path());
    let error = run(&bus, &path, ",blocksize=64").unwrap_err();
    says(
        &error,
        &["in.csv:17:", "`id`", "int64", "`12.12`", "ignorecsvparseerrors", "every event before it is published"],
    );
    assert_eq!(error.kind().exit(), 65);
    assert_eq!(published(&bus), (0..16).collect::<Vec<_>>());
    // corrected, it goes on at that line
    let text = std::fs::read_to_string(&path).unwrap().replace("12.12", "16");
    std::fs::write(&path, text).unwrap();
    run(&bus, &path, ",blocksize=64").unwrap();
    assert_eq!(published(&bus), (0..20).collect::<Vec<_>>());
}

#[test]
fn bad_lines_are_skipped_and_counted_if_asked_for() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = bad_source(dir.path());
    let summary = run(&bus, &path, ",ignorecsvparseerrors=true").unwrap();
    assert_eq!((summary.events, summary.bad_events), (19, 1));
    assert_eq!(published(&bus).len(), 19);
}

#[test]
fn a_window_that_nobody_announced_is_refused_after_the_wait() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 1);
    let mut options = options(&path, "");
    options.common.schema_wait = std::time::Duration::from_millis(50);
    options.common.url = "dfESP://h:1/p/q/other".into();
    bus.create_topic(&spec("h_1.p.q.other.I"), WAIT).unwrap();
    let error = Publisher::new(options, Arc::new(bus.clone()), 0.0).run(&AtomicBool::new(false)).unwrap_err();
    says(&error, &["`p/q/other`", "`h_1.M`", "not announced within", "schemawait"]);
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn an_announcement_of_another_version_names_topic_offset_and_versions() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 1);
    announce(&bus, &mesh_proto::replication::SchemaAnnouncement { version: 7, ..announcement(SCHEMA) });
    let error = run(&bus, &path, "").unwrap_err();
    says(&error, &["topic `h_1.M`", "at offset", "version 7, expected 1"]);
    announce(&bus, &announcement(SCHEMA));
    run(&bus, &path, "").unwrap();
    write(&bus, "h_1.M", [(Some(b"p/q/w".to_vec()), b"\xff\xff\xff".to_vec())]);
    says(&run(&bus, &path, "").unwrap_err(), &["topic `h_1.M`", "expected a SchemaAnnouncement"]);
}

#[test]
fn a_window_without_input_is_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 1);
    announce(&bus, &mesh_proto::replication::SchemaAnnouncement { input: false, ..announcement(SCHEMA) });
    says(&run(&bus, &path, "").unwrap_err(), &["`p/q/w`", "source window"]);
}

#[test]
fn topics_of_the_wrong_shape_are_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 1);
    bus.delete_topic(INPUT, WAIT).unwrap();
    says(&run(&bus, &path, "").unwrap_err(), &[INPUT, "does not exist", "espctl topics create"]);
    bus.create_with_partitions(spec(INPUT), 2);
    says(&run(&bus, &path, "").unwrap_err(), &[INPUT, "2 partitions", "expected 1"]);
}

#[test]
fn a_missing_meta_topic_is_gone_without() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    bus.delete_topic(META, WAIT).unwrap();
    run(&bus, &source(dir.path(), "in.csv", 3), "").unwrap();
    assert_eq!(published(&bus), [0, 1, 2]);
}

#[test]
fn a_topic_filled_from_elsewhere_is_refused_with_a_way_out() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let (first, second) = (source(dir.path(), "a.csv", 3), source(dir.path(), "b.csv", 2));
    run(&bus, &first, "").unwrap();
    let error = run(&bus, &second, "").unwrap_err();
    says(&error, &["a.csv", "b.csv", "fresh=true"]);
    run(&bus, &second, ",fresh=true").unwrap();
    assert_eq!(published(&bus), [0, 1, 2, 0, 1]);
    write(&bus, INPUT, [(None, vec![0xff; 20])]);
    says(&run(&bus, &second, "").unwrap_err(), &[INPUT, "at offset", "no event block"]);
}

#[test]
fn a_source_that_is_not_there_or_shrank_is_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    says(&run(&bus, &dir.path().join("no.csv"), "").unwrap_err(), &["no.csv", "No such file"]);
    says(&run(&bus, dir.path(), "").unwrap_err(), &["is a folder"]);
    let path = source(dir.path(), "in.csv", 30);
    run(&bus, &path, "").unwrap();
    source(dir.path(), "in.csv", 3);
    says(&run(&bus, &path, "").unwrap_err(), &["in.csv", "it has only", "fresh=true"]);
}

#[test]
fn options_that_do_not_fit_the_schema_are_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    announce(&bus, &announcement("a:string,b*:string,c*:int64"));
    let error = run(&bus, &source(dir.path(), "in.csv", 1), ",noautogenfield=true").unwrap_err();
    says(&error, &["noautogenfield", "one key field"]);
    assert_eq!(error.kind().exit(), 64);
    let mut bad = options(&source(dir.path(), "in.csv", 1), "");
    bad.common.url = "dfESP://h/p".into();
    let error = Publisher::new(bad, Arc::new(bus.clone()), 0.0).run(&AtomicBool::new(false)).unwrap_err();
    says(&error, &["dfESP://h/p", "parts behind"]);
}

#[test]
fn a_packed_file_is_read_and_resumed() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("in.csv.gz");
    let mut packed = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    for i in 0..100 {
        writeln!(packed, "{}", line(i)).unwrap();
    }
    packed.finish().unwrap();
    run(&bus, &path, ",maxevents=37,blocksize=10").unwrap();
    run(&bus, &path, ",blocksize=10").unwrap();
    assert_eq!(published(&bus), (0..100).collect::<Vec<_>>());
    says(&run(&bus, &path, ",growinginputfile=true").unwrap_err(), &["growinginputfile", "unpack it"]);
}

#[test]
fn a_bus_that_does_not_answer_is_named_and_a_stop_meanwhile_is_no_failure() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 1);
    bus.set_unavailable(true);
    let mut impatient = options(&path, "");
    impatient.common.schema_wait = std::time::Duration::from_millis(50);
    let publisher = Publisher::new(impatient, Arc::new(bus.clone()), 0.0);
    let error = publisher.run(&AtomicBool::new(false)).unwrap_err();
    says(&error, &["h_1.M", "no answer within", "memory bus", "hostport"]);
    let stopped = publisher.run(&AtomicBool::new(true)).unwrap();
    assert!(!stopped.finished);
}
