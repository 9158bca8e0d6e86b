//! End to end on real Kafka, ZooKeeper, etcd and Jaeger: one binary, one module a theme, one test at a time.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

mod bad_input;
mod connectors;
mod maintenance;
mod outages;
mod reference_run;
mod rotation;
mod secure;
mod snapshots;
mod takeover;
mod traces;
mod unfit;
mod upgrade;

use std::time::Duration;

use mesh_event::topic::TopicKind;
use mesh_tests::mesh::example;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, MeshOptions, verify};

/// How long anything may take that is not a start.
const LIMIT: Duration = Duration::from_secs(60);

fn mesh(name: &'static str, example_name: &str, engines: usize, elections: usize) -> Mesh {
    let xml = example(example_name).expect("the example is in the repository");
    let engine_settings = Vec::new();
    Mesh::start(MeshOptions { name, xml, engines, elections, trace_ratio: 0.0, engine_settings })
        .expect("the mesh starts")
}

/// The `-C` line that publishes the weather file.
fn weather_line(mesh: &Mesh, file: &std::path::Path, more: &str) -> String {
    format!(
        "type=pub,url={},fsname={},fstype=csv,transport=kafka,header=1,addcsvopcode=true,addcsvflags=normal,\
         noautogenfield=true,naisnull=true,dateformat='%Y-%m-%dT%H:%M:%SZ'{more}",
        mesh.url(TopicKind::Input),
        file.display()
    )
}

fn subscriber_line(mesh: &Mesh, file: &std::path::Path) -> String {
    format!(
        "type=sub,url={}?snapshot=false,fsname={},fstype=csv,transport=kafka",
        mesh.url(TopicKind::Output),
        file.display()
    )
}

/// Waits until everything published has come out, then compares it with one engine that never failed.
fn check_all_out(mesh: &Mesh, watch: &Watch, blocks: usize) -> Vec<mesh_event::Block> {
    let expected = verify::check_all_seen(mesh, watch, blocks, LIMIT);
    assert_eq!(watch.faults(), mesh_tests::watch::Faults::default());
    expected.expect("nothing is lost, and the output is that of one engine that never failed")
}
