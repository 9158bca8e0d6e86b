//! A rolling upgrade under load: the programs of an older commit are replaced, one part after the other, by those of this
//! one; both versions follow and lead in one group, and take over from each other, back too if the older one reads what the
//! newer one records. Nothing is lost.
//!
//! `cargo xtask upgrade-test` builds the older programs and runs this.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use mesh_event::topic::TopicKind;
use mesh_proto::admin::Change;
use mesh_proto::coordinator::PromoteRequest;
use mesh_proto::election::Role;
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::mesh::{Loopback, example};
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::{LIMIT, check_all_out};

/// Says where the older programs are.
const OLDER: &str = "ESP_MESH_OLDER_BIN";
const BLOCKS_PER_S: f64 = 200.0;
const ENGINES: usize = 3;

/// Ends an engine as `docker stop` does and starts it with the program of the other version.
fn replace(mesh: &mut Mesh, engine: usize, bin: &std::path::Path) {
    let process = &mut mesh.engines[engine].process;
    assert!(process.terminate(LIMIT).unwrap().success(), "{}", process.log());
    process.restart_as(&bin.join("esp-engine")).unwrap();
    mesh.wait_healthy().unwrap();
}

/// Kills the leader and waits for another one; who leads then.
fn kill_leader(mesh: &mut Mesh) -> usize {
    let active = mesh.wait_healthy().unwrap();
    mesh.engines[active].process.kill().unwrap();
    let next = wait_for("another engine to lead", LIMIT, || mesh.active().filter(|&next| next != active)).unwrap();
    mesh.engines[active].process.restart().unwrap();
    mesh.wait_healthy().unwrap();
    next
}

/// Whether an engine follows a leader into its term; false when it says that it is too old for what that one records.
fn follows(mesh: &Mesh, engine: usize, leader: usize) -> bool {
    let term = mesh.status(leader).unwrap().term;
    wait_for("the older engine to follow, or to say why not", LIMIT, || {
        let status = mesh.status(engine).ok()?;
        let too_old = status.error.contains("too old");
        let is_there = status.role() == Role::Standby && status.term >= term && status.lag_commits == 0;
        (too_old || is_there).then_some(!too_old)
    })
    .unwrap()
}

fn promote(mesh: &Mesh, engine: usize) {
    hand_over(mesh, engine);
    mesh.wait_healthy().unwrap();
}

fn hand_over(mesh: &Mesh, engine: usize) {
    let name = format!("engine-{}", engine + 1);
    let change = Some(Change { who: "e2e".into(), why: "upgrade".into(), ..Change::default() });
    let promote = PromoteRequest { project: "weather".into(), engine: name, change, ..PromoteRequest::default() };
    mesh.client.coordinator(&mesh.coordinator_address, async |mut client| client.promote(promote).await).unwrap();
    wait_for("the engine to lead", LIMIT, || (mesh.role(engine) == Role::Active).then_some(())).unwrap();
}

#[test]
#[ignore = "needs the programs of an older commit: cargo xtask upgrade-test"]
fn a_rolling_upgrade_under_load_loses_nothing() {
    let older = PathBuf::from(
        std::env::var_os(OLDER).unwrap_or_else(|| panic!("{OLDER} is not set: cargo xtask upgrade-test")),
    );
    let mut env = mesh_tests::env::Env::read().unwrap();
    let newer = std::mem::replace(&mut env.bin, older.clone());
    let bytes = |bin: &std::path::Path| std::fs::read(bin.join("esp-engine")).unwrap();
    assert!(bytes(&older) != bytes(&newer), "the older engine is another program than this one");

    let xml = example("weather").unwrap();
    let engine_settings = Vec::new();
    let options =
        MeshOptions { name: "upgrade", xml, engines: ENGINES, elections: 2, trace_ratio: 0.0, engine_settings };
    let mut mesh = Mesh::start_with(env, Arc::new(Loopback), options).unwrap();
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let load = Load::start(mesh.bus.clone(), &mesh.topic(TopicKind::Input), payloads, BLOCKS_PER_S);
    let first = wait_for("the first output", LIMIT, || watch.last()).unwrap().term;
    let began = Instant::now();

    // the standbys first, as docs/OPERATIONS.md has it: newer engines follow what an older one records, and take over from it
    let active = mesh.wait_healthy().unwrap();
    let standbys: Vec<usize> = (0..ENGINES).filter(|&engine| engine != active).collect();
    for &standby in &standbys {
        replace(&mut mesh, standby, &newer);
    }
    hand_over(&mesh, standbys[0]);
    // an older one takes over from it, asked for and not, if it reads what a newer one records
    let one_way = !follows(&mesh, active, standbys[0]);
    if one_way {
        eprintln!("the older engine does not read what the newer one records: this upgrade goes one way");
    } else {
        promote(&mesh, active);
        kill_leader(&mut mesh);
        if mesh.wait_healthy().unwrap() == active {
            promote(&mesh, standbys[0]);
        }
    }
    replace(&mut mesh, active, &newer);

    // the rest: election instances and the coordinator; no leader moves with them
    let leader = mesh.wait_healthy().unwrap();
    let term = mesh.status(leader).unwrap().term;
    for election in 0..mesh.elections.len() {
        let process = &mut mesh.elections[election];
        assert!(process.terminate(LIMIT).unwrap().success(), "{}", process.log());
        process.restart_as(&newer.join("esp-election")).unwrap();
        process.wait_log("started", LIMIT).unwrap();
        mesh.wait_healthy().unwrap();
    }
    assert!(mesh.coordinator.terminate(LIMIT).unwrap().success(), "{}", mesh.coordinator.log());
    mesh.coordinator.restart_as(&newer.join("esp-coordinator")).unwrap();
    assert_eq!((mesh.wait_healthy().unwrap(), mesh.status(leader).unwrap().term), (leader, term), "no leader moved");

    // all of it is new now: one more failure
    kill_leader(&mut mesh);
    let seconds = began.elapsed().as_secs_f64();
    let sent = load.stop().unwrap().len();
    let expected = check_all_out(&mesh, &watch, sent);
    let terms = watch.last().unwrap().term - first;
    println!(
        "RESULT {{\"name\":\"upgrade\",\"blocks_in\":{sent},\"blocks_out\":{},\"replaced\":{},\"one_way\":{one_way},\"terms\":{terms},\"lost\":0,\"doubled\":0,\"reordered\":0,\"seconds\":{seconds:.1}}}",
        expected.len(),
        ENGINES + mesh.elections.len() + 1
    );
}
