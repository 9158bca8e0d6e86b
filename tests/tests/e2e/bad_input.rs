//! What users get wrong: a clear error each, and nothing lost.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_bus::{Bus, OutRecord};
use mesh_event::topic::TopicKind;
use mesh_tests::load::{publish_all, weather_csv, weather_payloads};
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, foreign, verify, wait_for};

use super::{LIMIT, mesh, weather_line};

const DEADLINE: Duration = Duration::from_secs(10);

/// Runs an adapter that must fail, and gives what it said.
fn refused(mesh: &Mesh, line: &str) -> String {
    let name = format!("refused-{}", line.len());
    let mut adapter = mesh.publisher(&name, line).unwrap();
    let ended = adapter.wait_end(LIMIT).unwrap();
    assert!(!ended.success(), "expected a refusal of {line}");
    adapter.log()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected `{part}` in:\n{text}");
    }
}

fn write_raw(bus: &dyn Bus, topic: &str, payload: &'static [u8]) {
    let topic: Arc<str> = Arc::from(topic);
    let mut writer = bus.writer(Mesh::writer_options(&format!("{topic}.raw")), DEADLINE).unwrap();
    writer.fence(DEADLINE).unwrap();
    writer.begin(DEADLINE).unwrap();
    let payload = Bytes::from_static(payload);
    writer
        .send(
            OutRecord {
                topic,
                key: Some(Bytes::from_static(b"weather/cq/observations")),
                headers: Vec::new(),
                payload,
            },
            DEADLINE,
        )
        .unwrap();
    writer.commit(DEADLINE).unwrap();
}

#[test]
fn every_mistake_is_named_with_its_place_and_a_way_out() {
    let mesh = mesh("bad", "weather", 2, 1);
    let file = mesh.file("weather.csv");

    // A value that does not fit, in line 17: what stands before it is published, nothing else.
    let text = String::from_utf8(weather_csv().unwrap()).unwrap();
    let lines: Vec<String> = text
        .lines()
        .take(30)
        .enumerate()
        .map(|(i, line)| if i == 16 { line.replacen(",2013,", ",12.12,", 1) } else { line.to_owned() })
        .collect();
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let said = refused(&mesh, &weather_line(&mesh, &file, ",blocksize=1"));
    assert_says(&said, &["weather.csv:17", "year", "int32", "12.12", "ignorecsvparseerrors"]);
    wait_for("the lines before it to come out", LIMIT, || (verify::expected_output(&mesh).ok()?.1 == 15).then_some(()))
        .unwrap();

    // Mistakes in the transport file.
    let cfg = mesh.file("kafka.cfg");
    let with_cfg = |text: &str| {
        fs::write(&cfg, text).unwrap();
        weather_line(&mesh, &file, &format!(",transportconfigfile={}", cfg.display()))
    };
    let line = with_cfg("kafka\n{\nhostport = \"127.0.0.1:1\"\npartitoin = 0\n}\nsas { }\n");
    let said = refused(&mesh, &line);
    assert_says(&said, &["partitoin", "kafka.cfg:4"]);
    let line =
        with_cfg("kafka\n{\npartition = 0\ngroupid = \"g\"\n}\nsas\n{\nhotfailover = true\nfailovergroup = \"f\"\n}\n");
    let said = refused(&mesh, &line);
    assert_says(&said, &["groupid", "hotfailover", "zookeeperhostport"]);

    // A project with three errors: three errors.
    let xml = include_str!("../../../examples/weather/project.xml")
        .replace("30 minutes", "30 parsecs")
        .replace("temp - dewp", "temp - dewpoint")
        .replace("name=\"windowLength\">20<", "name=\"windowLength\">twenty<");
    let error = mesh.client.deploy(&mesh.coordinator_address, &xml, "broken", &mesh.host_port).unwrap_err();
    let said = format!("{error:#}");
    assert_says(&said, &["3 problems", "parsecs", "dewpoint", "twenty"]);

    // A topic that somebody made with two partitions.
    let topic = mesh.topic(TopicKind::Input).replace(".weather.", ".twoparts.");
    foreign::create_topic(&mesh.env.kafka, &topic, 2).unwrap();
    let xml = include_str!("../../../examples/weather/project.xml");
    let error = mesh.client.deploy(&mesh.coordinator_address, xml, "twoparts", &mesh.host_port).unwrap_err();
    assert_says(&format!("{error:#}"), &[&topic, "2 partitions", "1 partition"]);
    mesh.bus.delete_topic(&topic, DEADLINE).unwrap();

    // A broker address that does not answer.
    let mut publisher = mesh_tests::Process::start(
        &mesh.folder,
        "nobroker",
        &mesh.env.bin.join("esp-publisher-adapter"),
        vec!["--set".into(), "kafka=127.0.0.1:1".into(), "-C".into(), weather_line(&mesh, &file, "")],
    )
    .unwrap();
    publisher.wait_log("127.0.0.1:1", LIMIT).unwrap();
    publisher.kill().unwrap();

    // A corrupted block in .I: skipped by every engine alike, named, and the rest comes out.
    let input = mesh.topic(TopicKind::Input);
    write_raw(mesh.bus.as_ref(), &input, b"this is no block");
    let payloads = weather_payloads(mesh.project.inputs()[0].schema, 10).unwrap();
    publish_all(mesh.bus.as_ref(), &input, payloads.into_iter().take(5), 5).unwrap();
    let watch = Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true);
    wait_for("the blocks behind it to come out", LIMIT, || (watch.count() >= 20).then_some(())).unwrap();
    for engine in 0..2 {
        wait_for("each engine to name it", LIMIT, || {
            let error = mesh.status(engine).ok()?.error;
            (error.contains(&input) && error.contains("offset")).then_some(())
        })
        .unwrap();
    }
    let (expected, _) = verify::expected_output(&mesh).unwrap();
    verify::check_seen(&mesh, &watch.records(), &expected).unwrap();

    // A wrong version of .M.
    write_raw(mesh.bus.as_ref(), &format!("{}.M", mesh.host_port), b"\x08\x63");
    let said = refused(&mesh, &weather_line(&mesh, &file, ""));
    assert_says(&said, &[".M", "version", "99", "expected 1"]);
}
