//! Snapshots, divergence and poison on engines over the memory bus: all threads, the real windows, the real store.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{DEADLINE, LIMIT, Mesh, Replica, wait_until};
use crossbeam_channel::bounded;
use mesh_bus::{Bus, EndOf};
use mesh_engine::project::message::{Control, Probe, Taken};
use mesh_engine::project::snapshots::SnapshotOptions;
use mesh_event::{Block, ColumnData};
use mesh_proto::election::Role;
use mesh_replication::CommitRecord;
use mesh_snapshot::Location;
use mesh_windows::Executor;
use xxhash_rust::xxh3::xxh3_64;

/// Snapshots in a folder, made only when asked for.
fn folder(path: &Path, keep: usize) -> Option<SnapshotOptions> {
    let location = Location::parse(&format!("file://{}", path.display())).unwrap();
    Some(SnapshotOptions { location, interval: Duration::from_secs(3600), keep })
}

fn standby(mesh: &Mesh, name: &str, snapshots: Option<SnapshotOptions>) -> Replica {
    let replica = mesh.start(name, snapshots);
    wait_until("the engine to be a standby", || replica.role() == Role::Standby);
    replica
}

fn snapshot(replica: &Replica) -> Taken {
    let (answer, taken) = bounded(1);
    replica.control.send(Control::Snapshot { answer }).unwrap();
    taken.recv_timeout(LIMIT).unwrap().unwrap()
}

fn commit(replica: &Replica) -> u64 {
    replica.project.reports.last().commit_number
}

/// Both have the last commit of the log, and their reports say so: a report comes a moment after what it tells.
fn wait_level(mesh: &Mesh, one: &Replica, other: &Replica) {
    wait_until("both to be at the last commit", || {
        let log = mesh.read(&mesh.topics.log);
        let last = CommitRecord::decode(&log.last().unwrap().payload).unwrap().number.0;
        commit(one) == last && commit(other) == last
    });
}

fn oldest(mesh: &Mesh) -> u64 {
    mesh.bus.end(&mesh.topics.log, EndOf::Oldest, DEADLINE).unwrap()
}

#[test]
fn an_engine_restarted_after_snapshot_and_trim_recovers_and_leads() {
    let (mut mesh, store) = (Mesh::new(), tempfile::tempdir().unwrap());
    let (a, b) = (standby(&mesh, "a", folder(store.path(), 1)), standby(&mesh, "b", folder(store.path(), 1)));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    for _ in 0..10 {
        mesh.publish(5);
    }
    mesh.wait_for_all();
    wait_level(&mesh, &a, &b);
    let taken = snapshot(&b);
    assert!(taken.state_bytes > 0 && taken.number == commit(&b), "{taken:?}");
    wait_until("the log to be trimmed", || oldest(&mesh) > 0);
    mesh.bus.truncate_before(&mesh.topics.inputs[0], b.project.reports.last().inputs[0].position);
    mesh.publish(6);
    mesh.wait_for_all();
    drop(a);
    drop(b);
    let c = standby(&mesh, "c", folder(store.path(), 1));
    c.grant(2);
    mesh.publish(4);
    mesh.wait_for_all();
    wait_until("c to lead", || c.role() == Role::Active);
    // A leader without a standby makes one as well.
    let by_leader = snapshot(&c);
    assert!(by_leader.number > taken.number);
    mesh.publish(4);
    mesh.wait_for_all();
    mesh.check_output(&[]);
}

#[test]
fn snapshots_are_made_by_themselves() {
    let (mut mesh, store) = (Mesh::new(), tempfile::tempdir().unwrap());
    let options = |name: &str| {
        let interval = Duration::from_millis(if name == "a" { 150 } else { 100 });
        folder(store.path(), 2).map(|options| SnapshotOptions { interval, ..options })
    };
    let (a, b) = (standby(&mesh, "a", options("a")), standby(&mesh, "b", options("b")));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    wait_until("the standby to make some", || {
        mesh.publish(1);
        // The report comes a moment after the trim.
        oldest(&mesh) > 0 && b.project.reports.last().snapshots.unwrap().commit_number > 0
    });
    drop(b);
    let before = oldest(&mesh);
    wait_until("the leader to go on with it", || {
        mesh.publish(1);
        oldest(&mesh) > before && a.project.reports.last().snapshots.unwrap().commit_number > 0
    });
    mesh.wait_for_all();
    mesh.check_output(&[]);
}

#[test]
fn a_damaged_snapshot_is_named_and_the_next_older_taken() {
    let (mut mesh, store) = (Mesh::new(), tempfile::tempdir().unwrap());
    let (a, b) = (standby(&mesh, "a", None), standby(&mesh, "b", folder(store.path(), 2)));
    a.grant(1);
    for _ in 0..2 {
        mesh.publish(5);
        mesh.wait_for_all();
        wait_level(&mesh, &a, &b);
        snapshot(&b);
    }
    wait_until("the log to be trimmed", || oldest(&mesh) > 0);
    let project = std::fs::read_dir(store.path().join("host_1.sums")).unwrap().next().unwrap().unwrap().path();
    let mut states: Vec<_> = std::fs::read_dir(project).unwrap().map(|entry| entry.unwrap().path()).collect();
    states.retain(|path| path.extension().is_some_and(|end| end == "state"));
    states.sort();
    let newest = states.last().unwrap();
    let mut bytes = std::fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(newest, bytes).unwrap();
    let c = standby(&mesh, "c", folder(store.path(), 2));
    let error = c.project.reports.last().snapshots.unwrap().error;
    assert!(error.contains("damaged") && error.contains(newest.file_name().unwrap().to_str().unwrap()), "{error}");
    wait_level(&mesh, &a, &c);
    // With none left nobody invents a state.
    std::fs::remove_dir_all(store.path()).unwrap();
    let d = mesh.start("d", folder(store.path(), 2));
    wait_until("d to refuse", || d.role() == Role::Quarantined);
    let reason = d.project.reports.last().waits_for;
    for part in ["cannot recover", "host_1.sums.C", "not with commit 1", "espctl recover"] {
        assert!(reason.contains(part), "{reason}");
    }
}

/// The state with one bit of a window turned, such that the window will put out something else.
fn with_a_bit_flipped(
    project: &Arc<mesh_model::Project>,
    executor: &Executor,
    window: &str,
    probe: &Block,
) -> Executor {
    let mut whole = Vec::new();
    executor.save(&mut whole).unwrap();
    let header = [&(window.len() as u32).to_le_bytes()[..], window.as_bytes()].concat();
    let name = whole.windows(header.len()).position(|bytes| bytes == header).unwrap();
    let number = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let kind = name + header.len();
    let frame = kind + 4 + number(kind) + 2;
    let content = frame + 4..frame + 4 + number(frame);
    assert_eq!(number(content.end), 0, "one frame");
    let outcome = |bytes: &[u8]| {
        let mut restored = Executor::restore(project.clone(), &mut &bytes[..]).ok()?;
        restored.apply(0, std::slice::from_ref(probe), &mut Vec::new());
        let mut digests = Vec::new();
        restored.digests(&mut digests);
        Some(digests)
    };
    let right = outcome(&whole).unwrap();
    for at in content.clone() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        let hash = xxh3_64(&flipped[content.clone()]).to_le_bytes();
        flipped[content.end + 4..content.end + 12].copy_from_slice(&hash);
        if outcome(&flipped).is_some_and(|digests| digests[0] == right[0] && digests != right) {
            return Executor::restore(project.clone(), &mut flipped.as_slice()).unwrap();
        }
    }
    panic!("no bit of `{window}` matters");
}

#[test]
fn a_flipped_bit_in_a_standbys_window_is_found_named_and_healed() {
    let (mut mesh, store) = (Mesh::new(), tempfile::tempdir().unwrap());
    let (a, b) = (standby(&mesh, "a", None), standby(&mesh, "b", folder(store.path(), 1)));
    a.grant(1);
    mesh.publish(5);
    mesh.wait_for_all();
    wait_level(&mesh, &a, &b);
    snapshot(&b);
    let (project, probe, before) = (mesh.project.clone(), mesh.published[0].clone(), commit(&b));
    let flip = Probe(Box::new(move |machine| {
        machine.replace_executor(|executor| with_a_bit_flipped(&project, executor, "cq/sum", &probe));
    }));
    b.control.send(Control::Probe(flip)).unwrap();
    mesh.publish(1);
    wait_until("b to find it", || b.project.reports.last().error.contains("differs from the log"));
    let error = b.project.reports.last().error;
    assert!(error.contains(&format!("commit {}", before + 1)) && error.contains("window `cq/sum`"), "{error}");
    let diverged = b.project.reports.last().diverged.unwrap();
    assert_eq!((diverged.commit_number, diverged.term, &*diverged.window), (before + 1, 1, "cq/sum"));
    wait_until("b to be rebuilt", || b.role() == Role::Standby && commit(&a) == commit(&b));
    mesh.publish(5);
    mesh.wait_for_all();
    wait_level(&mesh, &a, &b);
    assert_eq!((a.role(), a.project.reports.last().error), (Role::Active, String::new()), "the active is untouched");
    b.grant(2);
    mesh.publish(5);
    mesh.wait_for_all();
    mesh.check_output(&[]);
}

/// Makes apply fail on the block with this number, on every engine alike.
fn poison(replica: &Replica, number: usize) {
    let fails = move |block: &Block| {
        let ColumnData::Int64(ids) = &block.columns[0].data else { panic!("the key is an int64") };
        assert!(!ids.contains(&(number as i64 * 2)), "overflow in window `sum`");
    };
    let probe = Probe(Box::new(move |machine| machine.before_apply(Arc::new(fails))));
    replica.control.send(Control::Probe(probe)).unwrap();
}

fn skip(replica: &Replica, topic: &str, position: u64) -> Result<(), String> {
    let (answer, skipped) = bounded(1);
    replica.control.send(Control::Skip { topic: topic.to_owned(), position, answer }).unwrap();
    skipped.recv_timeout(LIMIT).unwrap()
}

#[test]
fn poison_parks_its_project_alone_until_it_is_skipped() {
    let (mut mesh, mut other) = (Mesh::new(), Mesh::new());
    let (a, b, elsewhere) = (mesh.engine("a"), mesh.engine("b"), other.engine("a"));
    elsewhere.grant(1);
    for engine in [&a, &b] {
        poison(engine, 7);
    }
    a.grant(1);
    mesh.publish(5);
    mesh.wait_for_all();
    mesh.publish(8);
    let stepped_down = |engine: &Replica| engine.seen.lock().unwrap().stepped_down.len();
    wait_until("a to give its term back", || stepped_down(&a) == 1);
    b.grant(2);
    wait_until("the block to be found", || a.project.reports.last().parked.is_some());
    wait_until("a to be a standby", || a.role() == Role::Standby);
    if stepped_down(&b) == 1 {
        a.grant(3); // it took one more to find the very block
    }
    let leader = if stepped_down(&b) == 1 { &a } else { &b };
    wait_until("a leader", || leader.role() == Role::Active);
    let parked = leader.project.reports.last().parked.unwrap();
    assert!(parked.reason.contains("overflow in window `sum`"), "{parked:?}");
    assert_eq!(parked.topic, *mesh.topics.inputs[0]);
    mesh.publish(2);
    assert_eq!(mesh.outputs(), 7, "all before it came out, nothing after it");
    let error = skip(leader, "", parked.position + 1).unwrap_err();
    assert!(error.contains(&format!("parked at offset {}", parked.position)), "{error}");
    skip(leader, &parked.topic, parked.position).unwrap();
    wait_until("the rest to come out", || mesh.outputs() == mesh.published.len() - 1);
    wait_level(&mesh, &a, &b);
    let parked = |engine: &Replica| engine.project.reports.last().parked.is_some();
    wait_until("nobody to be parked", || !parked(&a) && !parked(&b));
    assert_eq!(stepped_down(&a) + stepped_down(&b), if leader.project.reports.last().term == 3 { 2 } else { 1 });
    mesh.check_output(&[7]);
    // Who joins later skips it as well, and others never noticed.
    let c = mesh.engine("c");
    wait_level(&mesh, &c, leader);
    other.publish(5);
    other.wait_for_all();
    other.check();
    assert!(skip(leader, "", 1).unwrap_err().contains("not parked"));
}
