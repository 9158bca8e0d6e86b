//! An engine that cannot reach Kafka is never elected, even when it is alone, and the status says why.

use mesh_proto::election::CandidateStatus;
use mesh_tests::mesh::example;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::LIMIT;

/// What the election says of a candidate, and who leads.
fn candidate(mesh: &Mesh, name: &str) -> Option<(CandidateStatus, String)> {
    let status = mesh.client.mesh_status(&mesh.coordinator_address).ok()?;
    let group = status.groups.into_iter().find(|group| group.group == mesh.group())?;
    let found = group.candidates.into_iter().find(|candidate| candidate.candidate == name)?;
    Some((found, group.leader))
}

#[test]
fn an_engine_that_cannot_reach_kafka_never_leads_and_the_status_says_why() {
    let mut mesh = Mesh::start(MeshOptions {
        name: "unfit",
        xml: example("weather").unwrap(),
        engines: 2,
        elections: 2,
        trace_ratio: 0.0,
        engine_settings: Vec::new(),
    })
    .unwrap();
    // nobody listens at the discard port
    let deaf = mesh.another_engine(&["kafka=127.0.0.1:9".to_owned()]).unwrap();
    let name = mesh.engines[deaf].process.name().to_owned();
    let why = |mesh: &Mesh| candidate(mesh, &name).map(|(candidate, _)| candidate.unfit).filter(|why| !why.is_empty());
    let told = wait_for("the election to say why", LIMIT, || why(&mesh).filter(|why| why.contains("bus"))).unwrap();
    assert_eq!(told, "it gets no answer from its bus");

    for engine in 0..deaf {
        mesh.engines[engine].process.kill().unwrap();
    }
    // several times as long as a takeover or a hold-off at its start takes
    std::thread::sleep(std::time::Duration::from_secs(4));
    let (alone, led) = candidate(&mesh, &name).unwrap();
    assert_eq!(alone.unfit, "it gets no answer from its bus");
    assert_ne!(led, name, "alone, and not elected all the same");
    let status = mesh.client.mesh_status(&mesh.coordinator_address).unwrap();
    let group = status.groups.iter().find(|group| group.group == mesh.group()).unwrap();
    assert!(!group.deposed.is_empty(), "the leader is known to be gone: {group:?}");

    mesh.engines[0].process.restart().unwrap();
    wait_for("the engine that reaches Kafka to lead", LIMIT, || {
        candidate(&mesh, &name).filter(|(_, leader)| leader == "engine-1")
    })
    .unwrap();
}
