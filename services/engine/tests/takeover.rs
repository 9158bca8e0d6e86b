//! Projects on two engines over the memory bus: the threads, the driver and the real protocol, without a network.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

mod common;

use std::sync::Arc;

use common::{DEADLINE, Mesh, wait_until};
use mesh_bus::OutRecord;
use mesh_bus::memory::CommitFault;
use mesh_engine::project::message::Control;
use mesh_proto::election::Role;
use mesh_replication::{EngineId, Term};

#[test]
fn standby_takes_over_from_a_vanished_leader() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    for _ in 0..10 {
        mesh.publish(5);
    }
    mesh.wait_for_all();
    wait_until("b to follow", || b.project.reports.last().commit_number == a.project.reports.last().commit_number);
    let a_took = a.project.reports.last().takeovers;
    drop(a); // no last commit, no step down
    b.grant(2);
    mesh.publish(7);
    mesh.wait_for_all();
    wait_until("b to lead", || b.role() == Role::Active);
    let takeover = |replica: &common::Replica| replica.project.reports.last().takeovers.last().cloned();
    wait_until("the takeover in b's report", || takeover(&b).is_some());
    let told = takeover(&b).unwrap();
    assert_eq!(told.term, 2);
    assert!(told.gap_us >= told.fence_us + told.read_us + told.open_us, "{told:?}");
    assert_eq!(a_took.last().map(|first| (first.term, first.gap_us)), Some((1, 0)), "nobody led before");
    let a = mesh.engine("a"); // restarted: replays the log
    mesh.publish(3);
    mesh.wait_for_all();
    wait_until("a to catch up", || a.project.reports.last().commit_number == b.project.reports.last().commit_number);
    mesh.check();
}

#[test]
fn leader_fenced_under_load_follows_and_leads_again() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    for term in 2..12 {
        mesh.publish(40);
        let (next, last) = if term % 2 == 0 { (&b, &a) } else { (&a, &b) };
        next.grant(term);
        wait_until("the granted engine to lead", || next.role() == Role::Active);
        wait_until("the fenced one to follow", || last.role() == Role::Standby);
    }
    mesh.publish(1);
    mesh.wait_for_all();
    mesh.check();
    assert!(a.seen.lock().unwrap().progress.is_some());
}

#[test]
fn lost_commit_is_settled_by_the_log() {
    for fault in [CommitFault::UnknownCommitted, CommitFault::UnknownNotCommitted] {
        let mut mesh = Mesh::new();
        let a = mesh.engine("a");
        a.grant(1);
        wait_until("a to lead", || a.role() == Role::Active);
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.bus.fail_next_commit(&mesh.topics.log, fault);
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.publish(5);
        mesh.wait_for_all();
        mesh.check();
    }
}

#[test]
fn handover_commits_and_steps_down() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    wait_until("a to lead", || a.role() == Role::Active);
    mesh.publish(20);
    let successor = EngineId(Arc::from("b"));
    a.control.send(Control::HandOver { term: Term(1), successor: successor.clone() }).unwrap();
    wait_until("a to step down", || a.seen.lock().unwrap().stepped_down == [(Term(1), Some(successor.clone()))]);
    b.grant(2);
    mesh.wait_for_all();
    a.project.stop();
    mesh.publish(2);
    mesh.wait_for_all();
    mesh.check();
}

#[test]
fn corrupted_block_is_skipped_by_all_and_named() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    mesh.publish(2);
    let topic = mesh.topics.inputs[0].clone();
    mesh.publisher.begin(DEADLINE).unwrap();
    let payload = bytes::Bytes::from_static(b"not a block");
    mesh.publisher.send(OutRecord { topic, key: None, headers: Vec::new(), payload }, DEADLINE).unwrap();
    mesh.publisher.commit(DEADLINE).unwrap();
    mesh.publish(2);
    wait_until("the blocks around it to come out", || mesh.outputs() == 4);
    for engine in [&a, &b] {
        wait_until("the block to be named", || {
            let error = engine.project.reports.last().error;
            error.contains("host_1.sums.cq.src.I` offset 3") && error.contains("stays in the topic")
        });
    }
    wait_until("b to follow", || b.project.reports.last().commit_number == a.project.reports.last().commit_number);
}
