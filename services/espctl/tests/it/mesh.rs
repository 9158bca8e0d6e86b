//! Commands against a coordinator that runs in the test, on the memory implementations of its ports.

use super::support::{ORDERS, Ran, espctl, file, run};
use mesh_bus::MemoryBus;
use mesh_coordination::MemoryRegistry;
use mesh_coordinator::CoordinatorConfig;
use mesh_service::Scope;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub struct Host {
    runtime: Option<Runtime>,
    address: String,
}

impl Host {
    fn start() -> Host {
        Host::on(Arc::new(MemoryBus::new()))
    }

    /// A coordinator on a bus on which there is something already.
    pub fn on(bus: Arc<MemoryBus>) -> Host {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let registry = Arc::new(MemoryRegistry::new());
        runtime.spawn(mesh_coordinator::run(CoordinatorConfig::default(), registry, bus, listener, Scope::new()));
        Host { runtime: Some(runtime), address }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs the program against this coordinator, which stands behind one that does not answer.
    fn run(&self, arguments: &[&str]) -> Ran {
        let both = format!("127.0.0.1:1,{}", self.address);
        run(&[&["--coordinator", both.as_str()], arguments].concat())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn the_default_coordinator_is_where_coordinators_listen() {
    let help = run(&["status", "--help"]).out;
    let address = CoordinatorConfig::default().base.listen;
    assert!(help.contains(&format!("[default: {address}]")), "{help}");
}

#[test]
fn a_project_is_deployed_listed_and_stopped() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    let path = path.to_str().unwrap();

    let ran = host.run(&["project", "list"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "no projects; deploy one: espctl project deploy FILE\n");

    let ran = host.run(&["project", "deploy", path]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("deployed orders version 1\n  created topic "), "{}", ran.out);
    assert!(ran.out.contains("  created topic esp_31415.orders.C\n"), "{}", ran.out);
    let ran = host.run(&["project", "deploy", path, "--json"]);
    let deployed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&deployed["version"], &deployed["created_topics"]), (&1.into(), &serde_json::json!([])));

    let ran = host.run(&["project", "list"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.out);
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(cells[..3], ["orders", "1", "esp_31415.orders.*"]);

    let ran = host.run(&["history", "orders"]);
    assert!(ran.out.contains("  orders   deploy     -  tester  version 1, topics `esp_31415.orders.*`"), "{}", ran.out);
    let ran = host.run(&["history", "--json"]);
    let entries: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&entries[0]["who"], &entries[0]["why"]), (&"tester".into(), &"espctl project deploy".into()));

    let ran = host.run(&["project", "undeploy", "orders"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "orders stopped on every engine; its topics and history stay\n"));
    let ran = host.run(&["project", "undeploy", "orders"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("`espctl project list` names them"), "{}", ran.err);
}

#[test]
fn a_context_names_the_mesh() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let text = format!("current = \"here\"\n[contexts.here]\ncoordinators = [\"{}\"]\n[contexts.gone]\n", host.address);
    let contexts = file(folder.path(), "contexts.toml", text);
    let run = |arguments: &[&str]| {
        let output = super::support::espctl(arguments).env("ESP_CONTEXTS", &contexts).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(run(&["project", "list"]).2, "no projects; deploy one: espctl project deploy FILE\n");
    let (code, _, err) = run(&["project", "list", "--context", "hare"]);
    assert_eq!(code, 1);
    assert!(err.contains("(gone, here); did you mean `here`?"), "{err}");
    let (code, out, _) = run(&["contexts"]);
    assert_eq!(code, 0);
    assert!(out.contains("here (current)  ") && out.contains(&host.address), "{out}");
}

#[test]
fn a_project_goes_back_to_an_older_version() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    let path = path.to_str().unwrap();
    let ran = host.run(&["project", "rollback", "orders"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("`espctl project list` names them"), "{}", ran.err);
    assert_eq!(host.run(&["project", "deploy", path]).code, 0);
    file(folder.path(), "orders.xml", ORDERS.replace("double", "int32"));
    assert_eq!(host.run(&["project", "deploy", path, "--reason", "smaller", "--who", "ada"]).code, 0);
    let ran = host.run(&["project", "rollback", "orders"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "orders runs version 3 with the content of version 1\n"),
        "{}",
        ran.err
    );
    let ran = host.run(&["project", "versions", "orders"]);
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][3..].join(" "), "tester runs now, content of version 1, espctl project rollback");
    assert_eq!((rows[2][0], rows[2][3..].join(" ").as_str()), ("2", "ada smaller"));
    assert_eq!(rows.len(), 4, "{}", ran.out);
    let ran = host.run(&["project", "rollback", "orders", "9"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("one of the versions that are kept: 1, 2, 3"), "{}", ran.err);
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    assert_eq!(host.run(&["project", "deploy", path.to_str().unwrap()]).code, 0);
    let ran = host.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    for part in [
        "warning: coordinator 127.0.0.1:1: reachable: ",
        "    start it, or leave it out of --coordinator and ESP_COORDINATOR",
        "problem: election: reachable: no instance is known",
        "problem: engine: reachable: no engine has announced itself",
        "problem: project orders: roles: nobody leads: nobody has taken part yet",
        "ok: etcd: reachable: answers in ",
        "ok: kafka: reachable: answers in ",
        "ok: project orders: topics: 6 topics as they should be",
        " looks: 3 problems, ",
    ] {
        assert!(ran.out.contains(part), "{part} in:\n{}", ran.out);
    }
    assert_eq!(host.run(&["topics", "delete", "esp_31415.orders.C", "--yes"]).code, 0);
    let ran = host.run(&["doctor", "--json"]);
    let looks: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let gone = looks.as_array().unwrap().iter().find(|look| look["check"] == "topics").unwrap();
    assert_eq!((&gone["severity"], &gone["found"]), (&"problem".into(), &"no topic `esp_31415.orders.C`".into()));
}

#[test]
fn the_settings_in_force_are_shown_and_an_unknown_member_is_the_users() {
    let host = Host::start();
    let ran = host.run(&["config", &host.address]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let row = ran.out.lines().find(|line| line.starts_with("history_max ")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["history_max", "1000", "same", "ESP_COORDINATOR_HISTORY_MAX"]
    );
    let ran = host.run(&["config", &host.address, "--changed", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ran.out).unwrap(), serde_json::json!([]));
    let ran = host.run(&["config", "engine-9"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("none has announced itself"), "{}", ran.err);
    let ran = host.run(&["log-level", &host.address, "verbose=?"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("levels as in `info,mesh_engine=debug`"), "{}", ran.err);
}

#[test]
fn maintenance_names_who_is_meant_and_what_is_missing() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    for (arguments, part) in [
        (&["drain", "e1"][..], "no engine has announced itself"),
        (&["undrain", "e1"], "none is drained"),
        (&["failover", "pause", "orders"], "espctl project deploy FILE"),
    ] {
        let ran = host.run(arguments);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(host.run(&["project", "deploy", path.to_str().unwrap()]).code, 0);
    let ran = host.run(&["failover", "resume", "orders"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("no election instance is known"), "{}", ran.err);
}

#[test]
fn topics_are_created_described_and_deleted_only_when_it_is_meant() {
    let host = Host::start();
    let ran = host.run(&["topics", "create", "a.b.I", "--replication-factor", "2", "--set", "retention.ms=1000"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "a.b.I created\n"), "{}", ran.err);
    let ran = host.run(&["topics", "create", "a.b.I"]);
    assert_eq!(ran.out, "a.b.I was there already, with one partition; nothing was changed\n");
    let ran = host.run(&["topics", "create", "a.b.O", "--set", "retention"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("--set `retention`: expected KEY=VALUE"), "{}", ran.err);

    let ran = host.run(&["topics", "describe", "a.b.I"]);
    assert!(ran.out.contains("copies     2, 2 in sync\n"), "{}", ran.out);
    assert!(ran.out.contains("setting    retention.ms=1000\n"), "{}", ran.out);
    let ran = host.run(&["topics", "describe", "a.b"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no such topic, only a.b.I; `espctl topics list` names them"), "{}", ran.err);
    let ran = host.run(&["topics", "list", "--json"]);
    let topics: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&topics[0]["topic"], &topics[0]["partitions"]), (&"a.b.I".into(), &1.into()));

    let ran = host.run(&["topics", "delete", "a.b.I"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("espctl topics delete a.b.I --yes"), "{}", ran.err);
    assert_eq!(host.run(&["topics", "delete", "a.b.I", "--yes"]).out, "a.b.I deleted\n");
    assert_eq!(host.run(&["topics", "delete", "a.b.I", "--yes"]).code, 1);
    assert!(host.run(&["topics", "list"]).err.starts_with("no topics; "));
}

#[test]
fn promoting_what_is_not_there_is_the_users_and_without_an_election_nobodys() {
    let host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    let ran = host.run(&["promote", "orders"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("espctl project deploy FILE"), "{}", ran.err);
    assert_eq!(host.run(&["project", "deploy", path.to_str().unwrap()]).code, 0);
    for arguments in [&["snapshot", "orders"][..], &["skip", "orders", "--position", "7"]] {
        let ran = host.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains("`espctl status` shows the engines"), "{}", ran.err);
    }
    let ran = host.run(&["recover", "orders"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("no engine has `orders`"), "{}", ran.err);
    let ran = host.run(&["promote", "orders", "engine-a"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
}

#[test]
fn the_status_of_an_empty_mesh_names_the_next_step_in_text_and_json_and_when_watched() {
    let host = Host::start();
    let ran = host.run(&["status"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("no engines; start one: esp-engine "), "{}", ran.out);
    let ran = host.run(&["status", "--json"]);
    let view: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(view["engines"], serde_json::json!([]));

    // one JSON object a line; the reader goes away after two of them, which ends the command quietly
    let mut watching = espctl(&["--coordinator", &host.address, "status", "--watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watching.stdout.take().unwrap()));
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
    drop(lines);
    let ended = watching.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
