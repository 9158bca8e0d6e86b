//! Brokers, ZooKeeper, etcd and the election killed: the output goes on.

use std::time::{Duration, Instant};

use mesh_event::topic::TopicKind;
use mesh_tests::foreign::leader_of;
use mesh_tests::load::{Load, weather_payloads};
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, wait_for};
use xtask::stack::{Part, Stack, Stop};

use super::{LIMIT, check_all_out, mesh};

const OUTAGE: Duration = Duration::from_secs(10);
/// Output that stands still for longer than this has stopped. Commits take milliseconds; the machine may be busy.
const STILL: f64 = 1_500.0;

fn load(mesh: &Mesh) -> (Watch, Load) {
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    let load = Load::start(mesh.bus.clone(), &mesh.topic(TopicKind::Input), payloads, 100.0);
    wait_for("the first output", LIMIT, || watch.last()).unwrap();
    (watch, load)
}

fn let_pass(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::park_timeout(time - began.elapsed());
    }
}

#[test]
fn zookeeper_away_for_ten_seconds() {
    let (stack, mesh) = (Stack::open_for_tests().unwrap(), mesh("zookeeper", "weather", 2, 2));
    let (watch, load) = load(&mesh);
    let (term, before) = (watch.last().unwrap().term, watch.count());
    stack.stop(Part::Zookeeper, Stop::Kill).unwrap();
    let_pass(OUTAGE);
    let during = watch.count() - before;
    stack.start(Part::Zookeeper).unwrap();
    stack.wait_ready(Part::Zookeeper, LIMIT).unwrap();
    assert!(during > 500, "only {during} blocks came out in {OUTAGE:?}");
    assert!(watch.longest_silence_ms() < STILL, "output stood still for {} ms", watch.longest_silence_ms());
    assert_eq!(watch.last().unwrap().term, term, "no leader was moved");
    // With ZooKeeper back, a takeover works again.
    let mut mesh = mesh;
    let active = mesh.wait_healthy().unwrap();
    mesh.engines[active].process.kill().unwrap();
    wait_for("output of the next term", LIMIT, || (watch.last()?.term > term).then_some(())).unwrap();
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
}

#[test]
fn etcd_away_for_ten_seconds() {
    let (stack, mesh) = (Stack::open_for_tests().unwrap(), mesh("etcd", "weather", 2, 1));
    let (watch, load) = load(&mesh);
    let before = watch.count();
    stack.stop(Part::Etcd, Stop::Kill).unwrap();
    let began = Instant::now();
    let named = wait_for("the API to say that etcd is away", OUTAGE, || {
        let status = mesh.client.mesh_status(&mesh.coordinator_address).ok()?;
        status.unavailable.into_iter().find(|part| part.part == "etcd")
    });
    let refused = mesh.client.deploy(&mesh.coordinator_address, "<project name='x'/>", "", &mesh.host_port);
    let_pass(OUTAGE.saturating_sub(began.elapsed()));
    let during = watch.count() - before;
    stack.start(Part::Etcd).unwrap();
    stack.wait_ready(Part::Etcd, LIMIT).unwrap();
    println!("unavailable: {:?}", named.unwrap());
    assert!(refused.is_err(), "a deploy cannot work without etcd");
    assert!(during > 500, "only {during} blocks came out in {OUTAGE:?}");
    assert!(watch.longest_silence_ms() < STILL, "output stood still for {} ms", watch.longest_silence_ms());
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
}

#[test]
fn election_instance_killed() {
    let mut mesh = mesh("election", "weather", 2, 2);
    let (watch, load) = load(&mesh);
    let term = watch.last().unwrap().term;
    mesh.elections[0].kill().unwrap();
    let_pass(Duration::from_secs(3));
    assert_eq!(watch.last().unwrap().term, term, "the loss of an election instance moves no leader");
    assert!(watch.longest_silence_ms() < STILL, "output stood still for {} ms", watch.longest_silence_ms());
    let active = mesh.wait_healthy().unwrap();
    mesh.engines[active].process.kill().unwrap();
    wait_for("the other instance to do the next takeover", LIMIT, || (watch.last()?.term > term).then_some(()))
        .unwrap();
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
}

/// Found by chaos (seed 3): who asked for the end of the log went on asking the dead broker, for up to a minute.
#[test]
fn engine_killed_while_the_broker_that_led_the_log_is_away() {
    let (stack, mut mesh) = (Stack::open_for_tests().unwrap(), mesh("logbroker", "weather", 2, 1));
    let (watch, load) = load(&mesh);
    let active = mesh.wait_healthy().unwrap();
    let led = leader_of(&mesh.env.kafka, &mesh.log_topic()).unwrap();
    let broker = Part::Kafka(u16::try_from(led).unwrap());
    stack.stop(broker, Stop::Kill).unwrap();
    mesh.engines[active].process.kill().unwrap();
    let term = watch.last().unwrap().term;
    let began = Instant::now();
    let took_over = wait_for("output of the next term without the broker", LIMIT, || {
        (watch.last()?.term > term).then(|| began.elapsed())
    });
    stack.start(broker).unwrap();
    stack.wait_ready(broker, LIMIT).unwrap();
    let took_over = took_over.unwrap();
    println!("the standby led after {took_over:?}");
    // Kafka itself elects leaders after its session timeout of 3 s.
    assert!(took_over < Duration::from_secs(15), "the standby led after {took_over:?} only");
    mesh.engines[active].process.restart().unwrap();
    mesh.wait_healthy().unwrap();
    let sent = load.stop().unwrap().len();
    check_all_out(&mesh, &watch, sent);
}

#[test]
fn broker_killed_and_restarted() {
    let (stack, mesh) = (Stack::open_for_tests().unwrap(), mesh("broker", "weather", 2, 1));
    let (watch, load) = load(&mesh);
    let broker = Part::Kafka(2);
    stack.stop(broker, Stop::Kill).unwrap();
    let before = watch.count();
    let went_on =
        wait_for("events to go on without the broker", LIMIT, || (watch.count() > before + 500).then_some(()));
    stack.start(broker).unwrap();
    stack.wait_ready(broker, LIMIT).unwrap();
    went_on.unwrap();
    let deadline = Duration::from_secs(10);
    wait_for("all replicas to be in sync again", LIMIT, || {
        let topics = mesh.bus.topics(&mesh.host_port, deadline).ok()?;
        topics.iter().all(|topic| topic.in_sync == topic.replication_factor).then_some(())
    })
    .unwrap();
    let sent = load.stop().unwrap().len();
    println!("longest silence {:.0} ms", watch.longest_silence_ms());
    check_all_out(&mesh, &watch, sent);
}
