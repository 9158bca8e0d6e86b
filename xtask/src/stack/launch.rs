//! How each part is started: its configuration files and its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::Installer;
use super::part::{Part, Ports};
use super::tls::Certificates;
use crate::shell::run_logged;

const KAFKA_LOGGING: &str = include_str!("../../stack/kafka-log4j2.yaml");
const ZOOKEEPER_LOGGING: &str = include_str!("../../stack/zookeeper-logback.xml");
/// Any 16 bytes in URL-safe base64 will do; one fixed id lets a stopped broker rejoin.
const CLUSTER_ID: &str = "ZXNwLW1lc2gtc3RhY2stMQ";
/// Small heaps and the serial collector: six parts share a small machine.
const KAFKA_JVM: &[&str] = &["-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true"];
const ZOOKEEPER_JVM: &[&str] = &["-Xmx128m", "-XX:+UseSerialGC"];
/// For the short-lived tool that formats the storage: start fast, peak speed does not matter.
const TOOL_JVM: &[&str] = &["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// Traces that Jaeger keeps in memory.
const JAEGER_TRACES: u32 = 50_000;

/// Settings of a broker that are the same for all. Sessions and elections are short, so that faults are quick to test;
/// everything that decides about loss (replication factor 3, min.insync.replicas 2, no unclean election) is as in production.
const KAFKA_SETTINGS: &str = "\
process.roles=broker,controller
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL
listener.name.tls.ssl.client.auth=required
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.truststore.type=PEM
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.election.backoff.max.ms=500
controller.quorum.fetch.timeout.ms=1000
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
num.partitions=1
unclean.leader.election.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=16777216
";

/// The folders of one stack.
pub struct Folders {
    dir: PathBuf,
}

impl Folders {
    /// Folders below `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Folders { dir }
    }

    /// The folder that holds everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a part keeps its data.
    pub fn data(&self, part: Part) -> PathBuf {
        self.dir.join(format!("data/{part}"))
    }

    /// Where a part's output goes.
    pub fn log(&self, part: Part) -> PathBuf {
        self.dir.join(format!("logs/{part}.log"))
    }

    /// Where a part's process is remembered.
    pub fn pid(&self, part: Part) -> PathBuf {
        self.dir.join(format!("pids/{part}.json"))
    }

    fn config(&self, name: &str) -> PathBuf {
        self.dir.join("config").join(name)
    }

    /// Makes all folders.
    pub fn create(&self) -> Result<()> {
        for folder in ["data", "logs", "pids", "config"] {
            let path = self.dir.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        Ok(())
    }

    fn write_config(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.config(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// Installs what a part needs, writes its configuration, prepares its storage; returns the command that becomes the part.
pub fn prepare(part: Part, ports: &Ports, folders: &Folders, installer: &Installer) -> Result<Command> {
    folders.create()?;
    match part {
        Part::Kafka(number) => kafka(number, ports, folders, installer),
        Part::Zookeeper => zookeeper(ports, folders, installer),
        Part::Etcd => etcd(ports, folders, installer),
        Part::Jaeger => jaeger(ports, installer),
    }
}

fn kafka(number: u16, ports: &Ports, folders: &Folders, installer: &Installer) -> Result<Command> {
    let part = Part::Kafka(number);
    let java = installer.java()?;
    let classes = format!("{}/*", installer.kafka_jars()?.display());
    let data = folders.data(part);
    let tls = Certificates::of(folders.dir())?;
    let settings = folders.write_config(&format!("{part}.properties"), &kafka_settings(number, ports, &data, &tls))?;
    let logging = folders.write_config("kafka-log4j2.yaml", KAFKA_LOGGING)?;
    let logging = format!("-Dlog4j2.configurationFile={}", logging.display());
    if !data.join("meta.properties").exists() {
        let mut format = Command::new(&java);
        format
            .args(TOOL_JVM)
            .args([&logging, "-cp", &classes, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(&settings);
        run_logged(&mut format, &folders.dir().join(format!("logs/{part}-format.log")))
            .context("formatting the storage")?;
    }
    let mut command = Command::new(java);
    command.args(KAFKA_JVM).args([&logging, "-cp", &classes, "kafka.Kafka"]).arg(settings);
    Ok(command)
}

fn kafka_settings(number: u16, ports: &Ports, data: &Path, tls: &Certificates) -> String {
    let voters: Vec<String> =
        (1..).zip(ports.kafka_controller).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
    let port = ports.client_port(Part::Kafka(number));
    let controller = ports.kafka_controller[usize::from(number) - 1];
    let secure = ports.kafka_tls[usize::from(number) - 1];
    format!(
        "{KAFKA_SETTINGS}node.id={number}\ncontroller.quorum.voters={}\nlisteners=PLAINTEXT://127.0.0.1:{port},TLS://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port},TLS://127.0.0.1:{secure}\nlistener.name.tls.ssl.keystore.location={}\nlistener.name.tls.ssl.truststore.location={}\nlog.dirs={}\n",
        voters.join(","),
        tls.server_both().display(),
        tls.ca().display(),
        data.display()
    )
}

fn zookeeper(ports: &Ports, folders: &Folders, installer: &Installer) -> Result<Command> {
    let java = installer.java()?;
    let classes = format!("{}/*", installer.zookeeper_jars()?.display());
    let tls = Certificates::of(folders.dir())?;
    // TLS needs the server on Netty, which serves the open port too
    let secure = format!(
        "secureClientPort={}\nsecureClientPortAddress=127.0.0.1\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\nssl.keyStore.location={}\nssl.trustStore.location={}\nssl.clientAuth=need\n",
        ports.zookeeper_tls,
        tls.server_both().display(),
        tls.ca().display()
    );
    // tickTime 500 permits sessions of 1 s, the election's backstop. No admin server: it would take port 8080.
    let settings = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=ruok,srvr,stat,mntr,cons,dump\n{secure}",
        folders.data(Part::Zookeeper).display(),
        ports.zookeeper
    );
    let settings = folders.write_config("zookeeper.cfg", &settings)?;
    let logging = folders.write_config("zookeeper-logback.xml", ZOOKEEPER_LOGGING)?;
    let mut command = Command::new(java);
    command
        .args(ZOOKEEPER_JVM)
        .arg(format!("-Dlogback.configurationFile={}", logging.display()))
        .args(["-cp", &classes, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
        .arg(settings);
    Ok(command)
}

fn etcd(ports: &Ports, folders: &Folders, installer: &Installer) -> Result<Command> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut command = Command::new(installer.etcd()?);
    command.arg("--name=mesh").arg(format!("--data-dir={}", folders.data(Part::Etcd).display()));
    let tls = Certificates::of(folders.dir())?;
    let secure = format!("https://127.0.0.1:{}", ports.etcd_tls);
    command.arg(format!("--listen-client-urls={client},{secure}")).arg("--client-cert-auth");
    command.arg(format!("--cert-file={}", tls.server().display()));
    command.arg(format!("--key-file={}", tls.server_key().display()));
    command.arg(format!("--trusted-ca-file={}", tls.ca().display()));
    command.arg(format!("--advertise-client-urls={client}"));
    command.arg(format!("--listen-peer-urls={peer}")).arg(format!("--initial-advertise-peer-urls={peer}"));
    command.arg(format!("--initial-cluster=mesh={peer}")).arg("--log-level=warn");
    Ok(command)
}

fn jaeger(ports: &Ports, installer: &Installer) -> Result<Command> {
    let mut command = Command::new(installer.jaeger()?);
    command
        .env("SPAN_STORAGE_TYPE", "memory")
        .arg(format!("--memory.max-traces={JAEGER_TRACES}"))
        .arg("--log-level=warn");
    command.arg(format!("--query.http-server.host-port=127.0.0.1:{}", ports.jaeger));
    command
        .arg("--collector.otlp.enabled=true")
        .arg(format!("--collector.otlp.grpc.host-port=127.0.0.1:{}", ports.otlp));
    // It listens for six older protocols too, and cannot be told not to.
    let others = [
        "admin.http",
        "query.grpc-server",
        "collector.otlp.http",
        "collector.grpc-server",
        "collector.http-server",
        "http-server",
    ];
    let agents = ["processor.jaeger-binary", "processor.jaeger-compact", "processor.zipkin-compact"];
    let flags = others
        .map(|name| format!("--{name}.host-port"))
        .into_iter()
        .chain(agents.map(|name| format!("--{name}.server-host-port")));
    for (flag, port) in flags.zip(ports.jaeger_other..) {
        command.arg(format!("{flag}=127.0.0.1:{port}"));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_differ_only_in_id_ports_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Certificates::of(folder.path()).unwrap();
        let text = kafka_settings(2, &Ports::default(), Path::new("/data/kafka-2"), &tls);
        assert!(text.contains("node.id=2\n"));
        assert!(text.contains("voters=1@127.0.0.1:19192,2@127.0.0.1:19193,3@127.0.0.1:19194\n"));
        assert!(
            text.contains("listeners=PLAINTEXT://127.0.0.1:19093,TLS://127.0.0.1:19096,CONTROLLER://127.0.0.1:19193\n")
        );
        assert!(text.ends_with("log.dirs=/data/kafka-2\n"));
    }
}
