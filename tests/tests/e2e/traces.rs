//! One trace from the adapter's read to the subscriber's write, asked for at a real Jaeger.

use std::fs;

use mesh_tests::client::http_get;
use mesh_tests::load::weather_csv;
use mesh_tests::mesh::example;
use mesh_tests::{Mesh, MeshOptions, wait_for};

use super::{LIMIT, subscriber_line, weather_line};

#[test]
fn one_trace_spans_adapters_both_topics_and_the_engine() {
    let xml = example("weather").unwrap();
    let options =
        MeshOptions { name: "traces", xml, engines: 2, elections: 1, trace_ratio: 1.0, engine_settings: Vec::new() };
    let mesh = Mesh::start(options).unwrap();
    let (input, output) = (mesh.file("weather.csv"), mesh.file("out.csv"));
    let text = weather_csv().unwrap();
    let head: Vec<u8> = text.split_inclusive(|&byte| byte == b'\n').take(11).flatten().copied().collect();
    fs::write(&input, head).unwrap();
    let mut subscriber = mesh.subscriber("subscriber", &subscriber_line(&mesh, &output)).unwrap();
    let mut publisher = mesh.publisher("publisher", &weather_line(&mesh, &input, ",blocksize=5")).unwrap();
    assert!(publisher.wait_end(LIMIT).unwrap().success(), "{}", publisher.log());
    wait_for("ten events to be written", LIMIT, || {
        (fs::read_to_string(&output).ok()?.lines().count() >= 10).then_some(())
    })
    .unwrap();
    assert!(subscriber.terminate(LIMIT).unwrap().success(), "{}", subscriber.log());

    let folder = mesh.folder.display().to_string(); // in the attributes of both adapters' spans
    let wanted = ["esp-publisher-adapter", "esp-engine", "esp-subscriber-adapter"];
    // A service sends its spans in batches, so one of them may come later than the others.
    let names = ["publisher.read", "engine.apply", "engine.commit", "subscriber.write"];
    let path = "/api/traces?service=esp-subscriber-adapter&limit=200&lookback=1h";
    let trace = wait_for("a trace over all three services with a span of each step", LIMIT, || {
        let answer: serde_json::Value = serde_json::from_str(&http_get(&mesh.env.jaeger, path).ok()?).ok()?;
        answer["data"].as_array()?.iter().find_map(|trace| {
            let services: Vec<&str> =
                trace["processes"].as_object()?.values().filter_map(|p| p["serviceName"].as_str()).collect();
            let spans: Vec<String> = trace["spans"]
                .as_array()?
                .iter()
                .filter_map(|s| Some(s["operationName"].as_str()?.to_owned()))
                .collect();
            let complete = wanted.iter().all(|service| services.contains(service))
                && names.iter().all(|name| spans.iter().any(|span| span == name));
            let ours = trace.to_string().contains(&folder);
            (complete && ours).then_some(spans)
        })
    });
    let spans = trace.unwrap();
    println!("spans of one trace: {spans:?}");
}
