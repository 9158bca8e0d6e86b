//! Engines killed, frozen, handed over, under load.

use std::time::Duration;

use mesh_event::topic::TopicKind;
use mesh_proto::election::Role;
use mesh_tests::client::http_get;
use mesh_tests::figures::percentile;
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, wait_for};

use super::{LIMIT, check_all_out, mesh, subscriber_line};

const KILLS: u64 = 20;
const BLOCKS_PER_S: f64 = 200.0;

fn load(mesh: &Mesh) -> (Watch, Load) {
    let topic = mesh.topic(TopicKind::Input);
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    (watch, Load::start(mesh.bus.clone(), &topic, payloads, BLOCKS_PER_S))
}

/// Waits until output of a newer term than `term` is seen.
fn wait_term_after(watch: &Watch, term: u64) {
    wait_for("output of the next term", LIMIT, || (watch.last()?.term > term).then_some(())).unwrap();
}

fn term(watch: &Watch) -> u64 {
    wait_for("the first output", LIMIT, || watch.last()).unwrap().term
}

fn primary_server(mesh: &Mesh, engine: usize) -> String {
    let xml = http_get(&mesh.engines[engine].rest, "/SASESP/server").unwrap();
    let (_, rest) = xml.split_once("primary-server=\"").expect("the attribute is there");
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn active_killed_twenty_times_under_load() {
    let mut mesh = mesh("kill", "weather", 2, 2);
    let (watch, load) = load(&mesh);
    let output = mesh.file("out.csv");
    let mut subscriber = mesh.subscriber("subscriber", &subscriber_line(&mesh, &output)).unwrap();
    let mut seed = 0x5EED_u64;
    for kill in 0..KILLS {
        let before = term(&watch);
        let active = mesh.wait_healthy().unwrap();
        if kill == 0 {
            assert_eq!(
                (primary_server(&mesh, active), primary_server(&mesh, 1 - active)),
                ("true".into(), "false".into())
            );
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(seed >> 56)); // a random moment, not a condition
        mesh.engines[active].process.kill().unwrap();
        wait_term_after(&watch, before);
        if kill == 0 {
            wait_for("the new active to say so", LIMIT, || (primary_server(&mesh, 1 - active) == "true").then_some(()))
                .unwrap();
        }
        mesh.engines[active].process.restart().unwrap();
    }
    mesh.wait_healthy().unwrap();
    let sent = load.stop().unwrap().len();
    let expected = check_all_out(&mesh, &watch, sent);
    let gaps: Vec<f64> = watch.gaps().iter().map(|gap| gap.wall_ms).collect();
    let kafka: Vec<f64> = watch.gaps().iter().map(|gap| gap.kafka_ms as f64).collect();
    for gap in watch.gaps() {
        println!(
            "term {:3}: gap {:7.1} ms by the reader's clock, {} ms by Kafka's timestamps",
            gap.term, gap.wall_ms, gap.kafka_ms
        );
    }
    println!(
        "takeover gap p50 {:.0} ms, max {:.0} ms (Kafka's timestamps: p50 {} ms, max {} ms)",
        percentile(&gaps, 50.0),
        percentile(&gaps, 100.0),
        percentile(&kafka, 50.0),
        percentile(&kafka, 100.0)
    );
    assert_eq!(watch.gaps().len() as u64, KILLS);
    let text = mesh_tests::verify::as_csv(&expected);
    wait_for("the subscriber to write everything", LIMIT, || {
        (std::fs::metadata(&output).ok()?.len() >= text.len() as u64).then_some(())
    })
    .unwrap();
    assert!(subscriber.terminate(LIMIT).unwrap().success(), "{}", subscriber.log());
    assert!(std::fs::read(&output).unwrap() == text, "the subscriber's file is that of one engine that never failed");
}

#[test]
fn frozen_active_is_replaced_and_its_zombie_writes_nothing() {
    let mesh = mesh("freeze", "weather", 2, 2);
    let (watch, load) = load(&mesh);
    let before = term(&watch);
    let frozen = mesh.wait_healthy().unwrap();
    let process = &mesh.engines[frozen].process;
    let pid = process.pid();
    process.signal("STOP").unwrap();
    wait_term_after(&watch, before);
    process.signal("CONT").unwrap();
    wait_for("the zombie to become a standby", LIMIT, || (mesh.role(frozen) == Role::Standby).then_some(())).unwrap();
    assert_eq!(process.pid(), pid, "without a restart");
    let zombie = process.log().matches("Hot failover state switched to standby").count();
    assert!(zombie >= 2, "it says that it is a standby again");
    // It takes part in the next takeover.
    let second = term(&watch);
    mesh.engines[1 - frozen].process.signal("STOP").unwrap();
    wait_term_after(&watch, second);
    assert_eq!(mesh.role(frozen), Role::Active);
    mesh.engines[1 - frozen].process.signal("CONT").unwrap();
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
}

#[test]
fn handover_on_purpose() {
    let mesh = mesh("promote", "weather", 2, 1);
    let (watch, load) = load(&mesh);
    for _ in 0..4 {
        let before = term(&watch);
        let active = mesh.wait_healthy().unwrap();
        let target = mesh.engines[1 - active].process.name().to_owned();
        let answer = mesh.client.promote(&mesh.coordinator_address, &mesh.project.name, &target).unwrap();
        assert_eq!(answer.engine, target);
        wait_term_after(&watch, before);
    }
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
    for gap in watch.gaps() {
        println!("handover to term {}: gap {:.1} ms", gap.term, gap.wall_ms);
    }
}

#[test]
fn log_lines_are_those_of_the_reference() {
    let mut mesh = mesh("lines", "weather", 2, 1);
    let active = mesh.wait_healthy().unwrap();
    let standby = 1 - active;
    let log = |mesh: &Mesh, engine: usize| mesh.engines[engine].process.log();
    for line in [
        "dfESPkafkaConnector::start(): Hot failover state switched to standby",
        "dfESPconnector::setState(): Connector kafka_OUT in group default has new state: running",
        "dfESPkafkaConnector::z_watcher(): Zookeeper watcher event: watcher = SESSION_EVENT, state = CONNECTED_STATE, path = ",
        "dfESPkafkaConnector::z_watcher(): Created zookeeper node /ESP/",
        "dfESPconnector::setState(): Connector kafka_IN in group default has new state: running",
        "starting esp server with 1 project(s)",
        "dfESPkafkaConnector::watchActiveZnode(): Watching zookeeper node /ESP/",
        "starting HTTP server on port ",
    ] {
        assert!(log(&mesh, standby).contains(line), "missing `{line}` in\n{}", log(&mesh, standby));
    }
    mesh.engines[active].process.kill().unwrap();
    let won = "dfESPkafkaConnector::goActive(): Hot failover state switched to active";
    mesh.engines[standby].process.wait_log(won, LIMIT).unwrap();
}
