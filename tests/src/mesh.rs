//! A whole mesh of real processes, with topics of its own on the shared stack.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mesh_bus::kafka::{KafkaBus, KafkaOptions};
use mesh_bus::{Bus, ReaderOptions, WriterOptions};
use mesh_event::topic::{TopicKind, TopicName, commit_log_topic};
use mesh_model::Project;
use mesh_proto::election::Role;
use mesh_proto::engine::ProjectStatus;

use crate::client::Client;
use crate::env::Env;
use crate::{Process, wait_for};

/// How long anything of a mesh may take to start.
pub const START_LIMIT: Duration = Duration::from_secs(60);

static MESHES: AtomicU32 = AtomicU32::new(0);

/// What a mesh consists of.
pub struct MeshOptions {
    /// Name, for folders and topics.
    pub name: &'static str,
    /// Project file.
    pub xml: String,
    /// Engines.
    pub engines: usize,
    /// Election instances.
    pub elections: usize,
    /// Share of blocks traced to Jaeger.
    pub trace_ratio: f64,
    /// Further settings of the engines, `key=value`.
    pub engine_settings: Vec<String>,
}

/// An engine process and where it listens.
pub struct Engine {
    /// The process.
    pub process: Process,
    /// gRPC.
    pub address: String,
    /// REST.
    pub rest: String,
}

/// A running mesh. Dropped, all of it is killed and its topics are deleted.
pub struct Mesh {
    /// Where the stack is.
    pub env: Env,
    /// Logs and files.
    pub folder: PathBuf,
    /// First part of the topic names.
    pub host_port: String,
    /// The project.
    pub project: Arc<Project>,
    /// Calls.
    pub client: Client,
    /// Kafka, for load and checks.
    pub bus: Arc<dyn Bus>,
    /// Election instances.
    pub elections: Vec<Process>,
    /// The coordinator.
    pub coordinator: Process,
    /// Its gRPC address.
    pub coordinator_address: String,
    /// Engines.
    pub engines: Vec<Engine>,
    election_addresses: Vec<String>,
    place: Arc<dyn Place>,
    trace_ratio: f64,
    /// Settings of its coordinators beside name and address.
    coordinator_settings: Vec<String>,
}

/// Where the processes of a mesh run.
pub trait Place: Send + Sync {
    /// `host:port` on which a server of this process shall listen; another one at each call.
    fn address(&self, process: &str) -> Result<String>;

    /// What has to be started so that a program with these arguments runs there.
    fn command(&self, process: &str, program: PathBuf, arguments: Vec<String>) -> Result<(PathBuf, Vec<String>)>;
}

/// All on 127.0.0.1, as the stack.
pub struct Loopback;

impl Place for Loopback {
    fn address(&self, _: &str) -> Result<String> {
        Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
    }

    fn command(&self, _: &str, program: PathBuf, arguments: Vec<String>) -> Result<(PathBuf, Vec<String>)> {
        Ok((program, arguments))
    }
}

/// Settings as arguments of a service.
pub fn set(settings: &[(&str, String)]) -> Vec<String> {
    settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]).collect()
}

impl Mesh {
    /// Starts the processes, deploys the project, waits until one engine leads and the others follow.
    pub fn start(options: MeshOptions) -> Result<Mesh> {
        Mesh::start_in(Arc::new(Loopback), options)
    }

    /// The same, somewhere else.
    pub fn start_in(place: Arc<dyn Place>, options: MeshOptions) -> Result<Mesh> {
        Mesh::start_with(Env::read()?, place, options)
    }

    /// The same, with the stack and the programs of `env`.
    pub fn start_with(env: Env, place: Arc<dyn Place>, options: MeshOptions) -> Result<Mesh> {
        let number = MESHES.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}{}x{number}", options.name, std::process::id());
        let folder = std::env::temp_dir().join(format!("esp-mesh-{id}"));
        std::fs::create_dir_all(&folder)?;
        let host_port = format!("{id}_31415");
        let checked = mesh_model::parse_project(&options.xml, "project.xml", &BTreeMap::new())
            .map_err(|diagnostics| anyhow::anyhow!("{diagnostics}"))?;
        let kafka = KafkaOptions { bootstrap: env.kafka.clone(), settings: BTreeMap::new() };
        let bus: Arc<dyn Bus> = Arc::new(KafkaBus::new(kafka)?);

        let mut elections = Vec::new();
        let mut election_addresses = Vec::new();
        let start = |name: &str, program: &str, arguments| {
            let (program, arguments) = place.command(name, env.bin.join(program), arguments)?;
            Process::start(&folder, name, &program, arguments)
        };
        for i in 1..=options.elections {
            let name = format!("election-{i}");
            let address = place.address(&name)?;
            let arguments =
                set(&[("name", name.clone()), ("listen", address.clone()), ("zookeeper.hosts", env.zookeeper.clone())]);
            elections.push(start(&name, "esp-election", arguments)?);
            election_addresses.push(address);
        }
        let coordinator_address = place.address("coordinator-1")?;
        let coordinator_settings = set(&[
            ("elections", election_addresses.join(",")),
            ("etcd.endpoints", env.etcd.clone()),
            ("etcd.prefix", format!("/{id}")),
            ("kafka.brokers", env.kafka.clone()),
        ]);
        let own = [("name", "coordinator-1".to_owned()), ("listen", coordinator_address.clone())];
        let arguments = [set(&own), coordinator_settings.clone()].concat();
        let coordinator = start("coordinator-1", "esp-coordinator", arguments)?;

        let mut mesh = Mesh {
            env,
            folder,
            host_port,
            project: Arc::new(checked.project),
            client: Client::new()?,
            bus,
            elections,
            coordinator,
            coordinator_address,
            engines: Vec::new(),
            election_addresses,
            place,
            trace_ratio: options.trace_ratio,
            coordinator_settings,
        };
        for i in 1..=options.engines {
            mesh.start_engine(i, &options.engine_settings)?;
        }
        wait_for("the coordinator to take the project", START_LIMIT, || {
            let deployed = mesh.client.deploy(&mesh.coordinator_address, &options.xml, "", &mesh.host_port);
            if let Err(error) = &deployed {
                eprintln!("deploy: {error:#}");
                std::thread::park_timeout(Duration::from_millis(300));
            }
            deployed.ok()
        })?;
        mesh.wait_healthy()?;
        Ok(mesh)
    }

    fn start_engine(&mut self, number: usize, more: &[String]) -> Result<()> {
        let name = format!("engine-{number}");
        let (address, rest) = (self.place.address(&name)?, self.place.address(&name)?);
        let mut settings = vec![
            ("name", name.clone()),
            ("listen", address.clone()),
            ("rest_listen", rest.clone()),
            ("elections", self.election_addresses.join(",")),
            ("coordinators", self.coordinator_address.clone()),
            ("kafka", self.env.kafka.clone()),
        ];
        if self.trace_ratio > 0.0 {
            settings.push(("otlp_endpoint", self.env.otlp.clone()));
        }
        let mut arguments = set(&settings);
        arguments.extend(more.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]));
        let process = self.process(&name, "esp-engine", arguments)?;
        self.engines.push(Engine { process, address, rest });
        Ok(())
    }

    /// Starts one more engine, with settings of its own; its place among the engines.
    pub fn another_engine(&mut self, more: &[String]) -> Result<usize> {
        self.start_engine(self.engines.len() + 1, more)?;
        Ok(self.engines.len() - 1)
    }

    fn process(&self, name: &str, program: &str, arguments: Vec<String>) -> Result<Process> {
        let (program, arguments) = self.place.command(name, self.env.bin.join(program), arguments)?;
        Process::start(&self.folder, name, &program, arguments)
    }

    /// Starts another coordinator on the same etcd; with its gRPC address.
    pub fn another_coordinator(&self, name: &str) -> Result<(Process, String)> {
        let address = self.place.address(name)?;
        let own = [("name", name.to_owned()), ("listen", address.clone()), ("admin_listen", "127.0.0.1:0".to_owned())];
        let arguments = [set(&own), self.coordinator_settings.clone()].concat();
        Ok((self.process(name, "esp-coordinator", arguments)?, address))
    }

    /// Starts a gateway; with the address of its REST server.
    pub fn gateway(&self, name: &str) -> Result<(Process, String)> {
        let (address, rest) = (self.place.address(name)?, self.place.address(name)?);
        let settings = set(&[
            ("name", name.to_owned()),
            ("listen", address),
            ("rest_listen", rest.clone()),
            ("coordinators", self.coordinator_address.clone()),
        ]);
        Ok((self.process(name, "esp-gateway", settings)?, rest))
    }

    /// The topic of the first input or output window.
    pub fn topic(&self, kind: TopicKind) -> String {
        self.topic_at(kind, 0)
    }

    /// The topic of an input or output window, by its place in the project.
    pub fn topic_at(&self, kind: TopicKind, place: usize) -> String {
        let endpoint = match kind {
            TopicKind::Input => self.project.inputs()[place],
            TopicKind::Output => self.project.outputs()[place],
        };
        let (query, window) = (endpoint.query.to_owned(), endpoint.window.to_owned());
        let project = self.project.name.clone();
        TopicName { host_port: self.host_port.clone(), project, query, window, kind }.to_string()
    }

    /// The commit log.
    pub fn log_topic(&self) -> String {
        commit_log_topic(&self.host_port, &self.project.name).expect("the coordinator has created it")
    }

    /// The group of the project's engines; the status of the mesh names those of every mesh on the same ZooKeeper.
    pub fn group(&self) -> String {
        format!("{}.{}", self.host_port, self.project.name)
    }

    /// A dfESP URL of the first input or output window.
    pub fn url(&self, kind: TopicKind) -> String {
        self.url_at(kind, 0)
    }

    /// A dfESP URL of an input or output window, by its place in the project.
    pub fn url_at(&self, kind: TopicKind, place: usize) -> String {
        let topic = TopicName::parse(&self.topic_at(kind, place)).expect("made by this mesh");
        let host_port = topic.host_port.replace('_', ":");
        format!("dfESP://{host_port}/{}/{}/{}", topic.project, topic.query, topic.window)
    }

    /// What an engine says of the project.
    pub fn status(&self, engine: usize) -> Result<ProjectStatus> {
        self.client.project(&self.engines[engine].address)
    }

    /// Role of an engine; `Unspecified` when it does not answer.
    pub fn role(&self, engine: usize) -> Role {
        let status = self.status(engine).map(|status| Role::try_from(status.role).unwrap_or_default());
        status.unwrap_or_default()
    }

    /// The engine that leads, if one says so.
    pub fn active(&self) -> Option<usize> {
        (0..self.engines.len()).find(|&engine| self.role(engine) == Role::Active)
    }

    /// Waits until one engine leads and every other one that runs follows.
    pub fn wait_healthy(&self) -> Result<usize> {
        let running = self.engines.iter().filter(|engine| engine.process.pid().is_some()).count();
        let healthy = || {
            let roles: Vec<Role> = (0..self.engines.len()).map(|engine| self.role(engine)).collect();
            let count = |role| roles.iter().filter(|&&other| other == role).count();
            (count(Role::Active) == 1 && count(Role::Standby) == running - 1)
                .then(|| roles.iter().position(|&role| role == Role::Active))
                .flatten()
        };
        wait_for("one engine to lead and the others to follow", START_LIMIT, healthy).with_context(|| {
            let logs = self.engines.iter().map(|engine| (engine.process.name(), tail(&engine.process.log(), 12)));
            logs.map(|(name, log)| format!("--- {name}\n{log}\n")).collect::<String>()
        })
    }

    /// Starts a publisher adapter with a `-C` line.
    pub fn publisher(&self, name: &str, line: &str) -> Result<Process> {
        self.adapter(name, "esp-publisher-adapter", line, Vec::new())
    }

    /// Starts a publisher adapter that belongs to a failover group; the group stands in the line's transport file.
    pub fn group_publisher(&self, name: &str, line: &str) -> Result<Process> {
        self.adapter(name, "esp-publisher-adapter", line, self.membership(name)?)
    }

    /// Starts a subscriber adapter that belongs to a failover group.
    pub fn group_subscriber(&self, name: &str, line: &str) -> Result<Process> {
        self.adapter(name, "esp-subscriber-adapter", line, self.membership(name)?)
    }

    fn membership(&self, name: &str) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![("elections", self.election_addresses.join(",")), ("listen", self.place.address(name)?)])
    }

    /// Starts a subscriber adapter with a `-C` line.
    pub fn subscriber(&self, name: &str, line: &str) -> Result<Process> {
        self.adapter(name, "esp-subscriber-adapter", line, Vec::new())
    }

    fn adapter(&self, name: &str, program: &str, line: &str, more: Vec<(&'static str, String)>) -> Result<Process> {
        let mut settings = vec![("name", name.to_owned()), ("kafka", self.env.kafka.clone())];
        if self.trace_ratio > 0.0 {
            settings.push(("otlp_endpoint", self.env.otlp.clone()));
            settings.push(("trace_ratio", self.trace_ratio.to_string()));
        }
        settings.extend(more);
        let mut arguments = set(&settings);
        arguments.extend(["-C".to_owned(), line.to_owned()]);
        self.process(name, program, arguments)
    }

    /// Path of a file in the mesh's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Options of a reader for checks.
    pub fn reader_options() -> ReaderOptions {
        ReaderOptions {
            client: "check".into(),
            buffer_bytes_max: 64 << 20,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        }
    }

    /// Options of a writer for load.
    pub fn writer_options(id: &str) -> WriterOptions {
        WriterOptions {
            client: id.to_owned(),
            transactional_id: id.to_owned(),
            two_lanes: false,
            transaction_timeout: Duration::from_secs(10),
            buffer_bytes_max: 64 << 20,
        }
    }
}

/// The last lines of a log.
pub fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The example project of a name, and its data unpacked beside a mesh's files.
pub fn example(name: &str) -> Result<String> {
    let path = root().join("examples").join(name).join("project.xml");
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// Deletes what a mesh leaves on the brokers, as far as they answer.
pub fn delete_topics(bus: &dyn Bus, host_port: &str) {
    let deadline = Duration::from_secs(10);
    for topic in bus.topics(host_port, deadline).unwrap_or_default() {
        let _ = bus.delete_topic(&topic.name, deadline);
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        for engine in &mut self.engines {
            let _ = engine.process.kill();
        }
        for election in &mut self.elections {
            let _ = election.kill();
        }
        let _ = self.coordinator.kill();
        if std::thread::panicking() {
            eprintln!("logs of the failed mesh: {}", self.folder.display());
            return;
        }
        delete_topics(&*self.bus, &self.host_port);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
