//! Two coordinators on one etcd, engines drained and failover paused under load, an engine that starts without either.

use std::path::Path;
use std::time::Duration;

use mesh_event::topic::TopicKind;
use mesh_proto::admin::Change;
use mesh_proto::coordinator::{
    DrainRequest, HistoryRequest, ListVersionsRequest, PauseFailoverRequest, PromoteRequest, ResumeFailoverRequest,
    RollbackRequest, UndrainRequest,
};
use mesh_proto::election::Role;
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::mesh::example;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::{LIMIT, check_all_out};

/// Longer than a takeover takes: nobody has led by then, nobody will.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

fn change(why: &str) -> Option<Change> {
    Some(Change { who: "e2e".into(), why: why.into(), ..Change::default() })
}

/// A mesh whose engines keep what they shall run in this folder.
fn start(state: &Path) -> Mesh {
    let engine_settings = vec![format!("state_dir={}", state.display()), "coordinator_wait=1s".to_owned()];
    let xml = example("weather").unwrap();
    Mesh::start(MeshOptions { name: "admin", xml, engines: 2, elections: 2, trace_ratio: 0.0, engine_settings })
        .unwrap()
}

fn leads(mesh: &Mesh, engine: usize) {
    wait_for("the engine to lead", LIMIT, || (mesh.role(engine) == Role::Active).then_some(())).unwrap();
}

#[test]
fn maintenance_at_either_of_two_coordinators_loses_nothing() {
    let state = std::env::temp_dir().join(format!("esp-mesh-state-{}", std::process::id()));
    let mut mesh = start(&state);
    let (mut other, second) = mesh.another_coordinator("coordinator-2").unwrap();
    let first = mesh.coordinator_address.clone();
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let load = Load::start(mesh.bus.clone(), &mesh.topic(TopicKind::Input), payloads, 100.0);
    wait_for("the first output", LIMIT, || watch.last()).unwrap();

    let active = mesh.wait_healthy().unwrap();
    let (drained, left) = (format!("engine-{}", active + 1), 1 - active);
    let drain = DrainRequest { engine: drained.clone(), change: change("new disk") };
    let done = wait_for("the second coordinator to know everything", LIMIT, || {
        let drain = drain.clone();
        mesh.client.coordinator(&second, async |mut client| client.drain(drain).await).ok()
    });
    assert_eq!(done.unwrap().still_leads, Vec::<String>::new());
    leads(&mesh, left);
    wait_for("the drained one to follow", LIMIT, || (mesh.role(active) == Role::Standby).then_some(())).unwrap();
    mesh.engines[left].process.kill().unwrap();
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(mesh.role(active), Role::Standby, "drained, though nobody else is there");
    let undrain = UndrainRequest { engine: drained.clone(), change: change("the disk is in") };
    mesh.client.coordinator(&first, async |mut client| client.undrain(undrain).await).unwrap();
    leads(&mesh, active);
    mesh.engines[left].process.restart().unwrap();
    mesh.wait_healthy().unwrap();

    let pause = PauseFailoverRequest { project: "weather".into(), change: change("network work") };
    mesh.client.coordinator(&first, async |mut client| client.pause_failover(pause).await).unwrap();
    mesh.engines[active].process.kill().unwrap();
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(mesh.role(left), Role::Standby, "failover is paused");
    let promote = PromoteRequest { project: "weather".into(), change: change("by hand"), ..PromoteRequest::default() };
    let promoted = mesh.client.coordinator(&second, async |mut client| client.promote(promote).await).unwrap();
    assert_eq!(promoted.engine, format!("engine-{}", left + 1));
    leads(&mesh, left);
    let resume = ResumeFailoverRequest { project: "weather".into(), change: change("done") };
    mesh.client.coordinator(&second, async |mut client| client.resume_failover(resume).await).unwrap();

    let rollback = RollbackRequest { project: "weather".into(), version: 1, change: change("the same again") };
    let same = mesh.client.coordinator(&second, async |mut client| client.rollback(rollback).await).unwrap();
    assert_eq!((same.version, same.copy_of), (1, 1), "it runs already");
    let versions = ListVersionsRequest { project: "weather".into() };
    let versions = mesh.client.coordinator(&second, async |mut client| client.list_versions(versions).await).unwrap();
    assert!(versions.versions[0].current);
    let complete = wait_for("the history to tell what the takeover cost", LIMIT, || {
        let ask = HistoryRequest { project: "weather".into(), limit: 0 };
        let entries = mesh.client.coordinator(&second, async |mut client| client.history(ask).await).ok()?.entries;
        entries
            .into_iter()
            .find(|entry| entry.what == "leader" && entry.term == promoted.term && entry.takeover.is_some())
    })
    .unwrap();
    assert!(complete.takeover.unwrap().gap_us > 0, "the output stood still while failover was paused");

    // neither coordinator nor anything that they could be asked for: the engine starts from its own disk
    mesh.coordinator.kill().unwrap();
    other.kill().unwrap();
    mesh.engines[active].process.restart().unwrap();
    mesh.engines[active].process.wait_log("running what it said last", LIMIT).unwrap();
    mesh.wait_healthy().unwrap();
    mesh.engines[left].process.kill().unwrap();
    leads(&mesh, active);
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
    std::fs::remove_dir_all(&state).unwrap();
}
