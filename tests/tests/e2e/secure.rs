//! A mesh that is encrypted everywhere and asks everybody for a certificate and a token, over the same road: Kafka,
//! ZooKeeper, etcd, gRPC and REST take TLS only. Its leader is killed, and nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use mesh_bus::kafka::{KafkaBus, KafkaOptions};
use mesh_tests::env::{Env, Tls};
use mesh_tests::load::weather_csv;
use mesh_tests::mesh::{Loopback, Place, START_LIMIT, delete_topics, root, set, tail};
use mesh_tests::{Process, wait_for};

use super::LIMIT;

const ROWS: usize = 3_000;
const READ: &str = "header=1,addcsvopcode=true,addcsvflags=normal,noautogenfield=true,naisnull=true,dateformat=%Y-%m-%dT%H:%M:%SZ,blocksize=16";

/// The processes, and what they share.
struct Secure {
    env: Env,
    folder: PathBuf,
    host_port: String,
    coordinator: String,
    processes: Vec<Process>,
}

fn free() -> String {
    Loopback.address("").unwrap()
}

/// What librdkafka is told.
fn kafka_settings(tls: &Tls) -> String {
    format!(
        "security.protocol=ssl;ssl.ca.location={};ssl.certificate.location={};ssl.key.location={}",
        tls.file("ca.pem"),
        tls.file("client.pem"),
        tls.file("client.key")
    )
}

impl Secure {
    fn new() -> Secure {
        let env = Env::read().unwrap();
        let id = format!("secure{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("esp-mesh-{id}"));
        fs::create_dir_all(&folder).unwrap();
        let roles = ["view", "operate", "deploy", "mesh"];
        let tokens =
            roles.map(|role| format!("[[token]]\nname = '{role}'\nrole = '{role}'\ntoken = '{role}-{id}-token'\n"));
        fs::write(folder.join("tokens.toml"), tokens.concat()).unwrap();
        for role in roles {
            fs::write(folder.join(format!("{role}.token")), format!("{role}-{id}-token\n")).unwrap();
        }
        Secure { env, folder, host_port: format!("{id}_31415"), coordinator: free(), processes: Vec::new() }
    }

    fn token(&self, role: &str) -> String {
        self.folder.join(format!("{role}.token")).display().to_string()
    }

    /// Starts a service: what all have, and its own settings.
    fn start(&mut self, name: &str, program: &str, settings: &[(&str, String)], more: &[&str]) {
        let tls = &self.env.tls;
        let common = [
            ("name", name.to_owned()),
            ("tls.cert", tls.file("server.pem")),
            ("tls.key", tls.file("server.key")),
            ("tls.client_ca", tls.file("ca.pem")),
            ("tls.ca", tls.file("ca.pem")),
            ("auth.tokens", self.folder.join("tokens.toml").display().to_string()),
            ("auth.token_file", self.token("mesh")),
        ];
        let mut arguments = [set(&common), set(settings)].concat();
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        let process = Process::start(&self.folder, name, &self.env.bin.join(program), arguments).unwrap();
        self.processes.push(process);
    }

    fn process(&mut self, name: &str) -> &mut Process {
        self.processes.iter_mut().find(|process| process.name() == name).unwrap()
    }

    /// espctl with a certificate, and the token of a role if there is one.
    fn espctl(&self, role: Option<&str>, arguments: &[&str]) -> Output {
        let tls = &self.env.tls;
        let mut command = Command::new(self.env.bin.join("espctl"));
        command.args(["--coordinator", &self.coordinator, "--tls-ca", &tls.file("ca.pem")]);
        command.args(["--tls-cert", &tls.file("client.pem"), "--tls-key", &tls.file("client.key")]);
        if let Some(role) = role {
            command.args(["--token-file", &self.token(role)]);
        }
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command prints, once it succeeds.
    fn eventually(&self, role: &str, arguments: &[&str], good: impl Fn(&str) -> bool) -> String {
        let ask = || {
            let ran = self.espctl(Some(role), arguments);
            let out = String::from_utf8_lossy(&ran.stdout).into_owned();
            (ran.status.success() && good(&out)).then_some(out)
        };
        wait_for(&format!("espctl {}", arguments.join(" ")), START_LIMIT, ask).unwrap_or_else(|error| {
            let logs = self.processes.iter().map(|p| format!("--- {}\n{}\n", p.name(), tail(&p.log(), 12)));
            panic!("{error:#}\n{:?}\n{}", self.espctl(Some(role), arguments), logs.collect::<String>())
        })
    }

    /// Name of the engine that leads.
    fn leader(&self) -> String {
        let status = self.eventually("view", &["status", "--json"], |out| out.contains("\"active\""));
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let engines = status["engines"].as_array().unwrap();
        let leads = |engine: &&serde_json::Value| engine.to_string().contains("\"active\"");
        engines.iter().find(leads).unwrap()["engine"].as_str().unwrap().to_owned()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
        }
        let options = KafkaOptions { bootstrap: self.env.kafka.clone(), settings: BTreeMap::new() };
        if let Ok(bus) = KafkaBus::new(options) {
            delete_topics(&bus, &self.host_port);
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_mesh_that_is_encrypted_everywhere_takes_over_as_fast_and_loses_nothing() {
    let mut mesh = Secure::new();
    let tls = mesh.env.tls.clone();
    let (election, rest) = (free(), free());
    let kafka = [("kafka", tls.kafka.clone()), ("kafka_settings", kafka_settings(&tls))];
    let election_settings = [
        ("listen", election.clone()),
        ("zookeeper.hosts", tls.zookeeper.clone()),
        ("zookeeper.tls.ca", tls.file("ca.pem")),
        ("zookeeper.tls.cert", tls.file("client.pem")),
        ("zookeeper.tls.key", tls.file("client.key")),
        ("coordinators", mesh.coordinator.clone()),
    ];
    mesh.start("election-1", "esp-election", &election_settings, &[]);
    let coordinator_settings = [
        ("listen", mesh.coordinator.clone()),
        ("elections", election.clone()),
        ("etcd.endpoints", tls.etcd.clone()),
        ("etcd.prefix", format!("/{}", mesh.host_port)),
        ("etcd.tls.ca", tls.file("ca.pem")),
        ("etcd.tls.cert", tls.file("client.pem")),
        ("etcd.tls.key", tls.file("client.key")),
        ("kafka.brokers", tls.kafka.clone()),
        ("kafka.settings", kafka_settings(&tls)),
    ];
    mesh.start("coordinator-1", "esp-coordinator", &coordinator_settings, &[]);
    for number in 1..=2 {
        let engine =
            [("elections", election.clone()), ("coordinators", mesh.coordinator.clone()), ("rest_listen", free())];
        let engine = [&engine[..], &kafka].concat();
        mesh.start(&format!("engine-{number}"), "esp-engine", &engine, &[]);
    }
    let gateway = [("coordinators", mesh.coordinator.clone()), ("rest_listen", rest.clone())];
    mesh.start("gateway-1", "esp-gateway", &gateway, &[]);

    // who may do what
    let project = root().join("examples/weather/project.xml").display().to_string();
    let deploy = ["project", "deploy", &project, "--url-host-port", &mesh.host_port.clone()];
    mesh.eventually("view", &["project", "list"], |_| true);
    let ran = mesh.espctl(None, &deploy);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("expected a token with the role `deploy`, found none"), "{}", text(&ran.stderr));
    let ran = mesh.espctl(Some("operate"), &deploy);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("found `operate`, whose role is `operate`"), "{}", text(&ran.stderr));
    mesh.eventually("deploy", &deploy, |_| true);
    let both = |out: &str| out.contains("\"active\"") && out.contains("\"standby\"");
    mesh.eventually("view", &["status", "--json"], both);

    // the road, and a leader that is killed on it
    let (input, output) = (mesh.folder.join("weather.csv"), mesh.folder.join("out.csv"));
    let all = String::from_utf8(weather_csv().unwrap()).unwrap();
    fs::write(&input, all.lines().take(1 + ROWS).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let url = |window: &str| format!("dfESP://{}/weather/cq/{window}", mesh.host_port.replace('_', ":"));
    let (source, result) = (url("observations"), url("report"));
    let subscriber =
        format!("type=sub,url={result}?snapshot=false,fsname={},fstype=csv,transport=kafka", output.display());
    mesh.start("subscriber", "esp-subscriber-adapter", &kafka, &["-C", &subscriber]);
    let line = format!("type=pub,url={source},fsname={},fstype=csv,transport=kafka,rate=1000,{READ}", input.display());
    mesh.start("publisher", "esp-publisher-adapter", &kafka, &["-C", &line]);
    let lines = |at_least: usize| {
        let count = || fs::read_to_string(&output).map(|text| text.lines().count()).unwrap_or(0);
        wait_for(&format!("{at_least} lines of output"), LIMIT, || (count() >= at_least).then_some(()))
    };
    lines(ROWS / 4).unwrap();
    let leader = mesh.leader();
    mesh.process(&leader).kill().unwrap();
    lines(ROWS).unwrap();
    let other = if leader == "engine-1" { "engine-2" } else { "engine-1" };
    assert_eq!(mesh.leader(), other);
    let log = mesh.process(other).log();
    assert!(!log.contains("no fast fence"), "the fast fence speaks TLS too:\n{}", tail(&log, 40));

    // as from one engine that never failed
    let options = ["dev", &project, "--input", &input.display().to_string(), "-C", READ];
    let expected = Command::new(mesh.env.bin.join("espctl")).args(options).stdin(Stdio::null()).output().unwrap();
    assert!(expected.status.success(), "{}", text(&expected.stderr));
    assert!(text(&expected.stdout) == fs::read_to_string(&output).unwrap(), "nothing lost, doubled or reordered");

    // REST over TLS, for holders of a token
    let curl = |token: Option<&str>| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--cacert", &tls.file("ca.pem")]);
        command.args(["--cert", &tls.file("client.pem"), "--key", &tls.file("client.key"), "--include"]);
        if let Some(role) = token {
            let token = fs::read_to_string(mesh.token(role)).unwrap();
            command.args(["--header", &format!("Authorization: Bearer {}", token.trim())]);
        }
        let ran = command.arg(format!("https://{rest}/SASESP/server")).output().unwrap();
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stdout)
    };
    assert!(curl(None).starts_with("HTTP/1.1 401"), "{}", curl(None));
    let answer = curl(Some("view"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("primary-server=\"true\""), "{answer}");

    // a caller without a certificate does not even get a connection, and no log holds a token
    let mut plain = Command::new(mesh.env.bin.join("espctl"));
    plain.args(["--coordinator", &mesh.coordinator, "--tls-ca", &tls.file("ca.pem"), "project", "list"]);
    let ran = plain.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "{}", text(&ran.stderr));
    for process in &mesh.processes {
        assert!(
            !process.log().contains("-token\n") && !process.log().contains(&mesh.host_port.replace("_31415", "-token"))
        );
    }
}
