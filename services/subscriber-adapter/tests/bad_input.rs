//! Every bad input gets a clear error, and what was good before it is in the file.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::*;
use mesh_bus::Bus;
use mesh_event::{BlockHeader, Flags, Opcode, encode_block};
use mesh_subscriber_adapter::{SubscribeError, Subscriber};

#[track_caller]
fn says(error: &SubscribeError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text}\nlacks: {part}");
    }
}

#[test]
fn a_broken_sequence_stops_it_or_is_passed_if_asked_for() {
    for (sequences, parts) in [
        (vec![1, 2, 4], ["block lost", "expected sequence 3, found 4"]),
        (vec![1, 2, 2], ["block doubled", "expected sequence 3, found 2"]),
        (vec![1, 2, 1], ["block reordered", "expected sequence 3, found 1"]),
        (vec![1, 2, 0], ["block unnumbered", "expected sequence 3, found 0"]),
    ] {
        let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
        let path = dir.path().join("out.csv");
        fill(&bus, sequences.clone());
        let error = run_to_error(&bus, &path, "");
        says(&error, &[OUTPUT, "at offset 2", "ongap=continue", parts[0], parts[1]]);
        assert_eq!(error.kind().exit(), 70);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines([1, 2]));
        std::fs::remove_file(&path).unwrap();
        fill(&bus, [9]);
        let summary = run_to(&bus, &path, ",ongap=continue", 9).unwrap();
        assert!(summary.breaches >= 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(sequences.into_iter().chain([9])));
    }
}

#[test]
fn a_topic_whose_start_is_gone_is_no_whole_topic() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    fill(&bus, 1..=8);
    bus.truncate_before(OUTPUT, 2);
    says(&run_to_error(&bus, &dir.path().join("out.csv"), ""), &["block lost", "expected sequence 1, found 3"]);
}

#[test]
fn a_position_that_the_topic_no_longer_holds_is_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    fill(&bus, 1..=4);
    run_to(&bus, &path, "", 4).unwrap();
    fill(&bus, 5..=20);
    bus.truncate_before(OUTPUT, 12);
    says(&run_to_error(&bus, &path, ""), &[OUTPUT, "out.csv", "no longer holds offset", "oldest: 12"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(1..=4));
}

#[test]
fn a_corrupted_block_is_named_by_topic_and_offset() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    fill(&bus, 1..=2);
    let mut bytes = payload(&block(3), 3);
    bytes.truncate(bytes.len() - 3);
    write(&bus, OUTPUT, [(None, bytes)]);
    let error = run_to_error(&bus, &path, "");
    says(&error, &[OUTPUT, "at offset 3", "no event block of the window"]);
    assert_eq!(error.kind().exit(), 65);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines([1, 2]));
}

#[test]
fn a_block_of_another_schema_is_refused() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let other = Arc::new(mesh_event::Schema::parse("x*:int32").unwrap());
    let mut column = mesh_event::ColumnBuilder::new(other.fields()[0].ty, 1);
    assert!(column.push_i64(1));
    let block =
        mesh_event::Block::new(other, vec![Opcode::Insert], vec![Flags::NORMAL], vec![Arc::new(column.finish())]);
    let bytes = encode_block(&block, &BlockHeader { sequence: 1, ..BlockHeader::default() }).to_vec();
    write(&bus, OUTPUT, [(None, bytes)]);
    says(&run_to_error(&bus, &dir.path().join("out.csv"), ""), &["at offset 0", "fingerprint"]);
}

#[test]
fn files_that_are_not_ours_are_refused_with_a_way_out() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    let position = dir.path().join("out.csv.position");
    fill(&bus, 1..=4);
    std::fs::write(&path, "somebody else's\n").unwrap();
    says(&run_to_error(&bus, &path, ""), &["out.csv", "no position beside it", "fresh=true"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody else's\n");
    run_to(&bus, &path, ",fresh=true", 4).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    assert_eq!(good, lines(1..=4));
    std::fs::write(&path, &good[..10]).unwrap();
    says(&run_to_error(&bus, &path, ""), &["has 10 bytes, expected at least", "fresh=true"]);
    std::fs::write(&path, good.replace("place", "PLACE")).unwrap();
    says(&run_to_error(&bus, &path, ""), &["are not those that were written there"]);
    std::fs::write(&path, &good).unwrap();
    let text = std::fs::read_to_string(&position).unwrap();
    std::fs::write(&position, text.replace("h_1.p.q.w.O", "h_1.p.q.other.O")).unwrap();
    says(&run_to_error(&bus, &path, ""), &["filled from topic `h_1.p.q.other.O`, expected `h_1.p.q.w.O`"]);
    std::fs::write(&position, "nonsense").unwrap();
    says(&run_to_error(&bus, &path, ""), &["out.csv.position", "line 1 is `nonsense`"]);
    // the reference's scripts delete the output before a start
    std::fs::write(&position, text).unwrap();
    std::fs::remove_file(&path).unwrap();
    run_to(&bus, &path, "", 4).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), good);
}

#[test]
fn two_subscribers_do_not_share_a_file() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    let file = std::fs::File::create(&path).unwrap();
    file.lock().unwrap();
    says(&run_to_error(&bus, &path, ""), &["out.csv", "another subscriber has it open"]);
}

#[test]
fn a_wrong_version_of_the_announcement_and_a_missing_topic_are_named() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    announce(&bus, 2);
    says(&run_to_error(&bus, &path, ""), &["topic `h_1.M`", "version 2, expected 1"]);
    announce(&bus, 1);
    bus.delete_topic(OUTPUT, WAIT).unwrap();
    says(&run_to_error(&bus, &path, ""), &[OUTPUT, "does not exist"]);
}

#[test]
fn a_socket_gets_every_block() {
    let bus = mesh();
    fill(&bus, 1..=6);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    run_to(&bus, std::path::Path::new(&address), "", 6).unwrap();
    assert_eq!(reader.join().unwrap(), lines(1..=6));
}

#[test]
fn collapse_and_rmretdel_shape_the_output() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let update = mesh_event::Block::concat(&[
        &rows_block(&[1], Opcode::UpdateBlock, Flags::NORMAL),
        &rows_block(&[1], Opcode::Delete, Flags::NORMAL),
        &rows_block(&[2], Opcode::Delete, Flags::RETENTION),
        &rows_block(&[3], Opcode::Delete, Flags::NORMAL),
    ]);
    write(&bus, OUTPUT, [(None, payload(&update, 1))]);
    let run = |name: &str, more: &str| {
        let path = dir.path().join(name);
        let subscriber = Subscriber::new(options(&path, &format!(",maxevents=1{more}")), Arc::new(bus.clone()));
        subscriber.run(&AtomicBool::new(false)).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    assert_eq!(run("a", ""), "UB,N, 1,place 1\nD,N, 1,place 1\nD,R, 2,place 2\nD,N, 3,place 3\n");
    assert_eq!(run("b", ",collapse=true"), "U,N, 1,place 1\nD,R, 2,place 2\nD,N, 3,place 3\n");
    assert_eq!(run("c", ",rmretdel=true"), "UB,N, 1,place 1\nD,N, 1,place 1\nD,N, 3,place 3\n");
}
