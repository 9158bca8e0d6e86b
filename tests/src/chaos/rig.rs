//! What is broken: a mesh with three engines, two election instances, groups of two publishers and of two subscribers, a gateway, under a
//! constant load, each process in its own network if the machine allows it.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use mesh_event::Schema;
use mesh_event::codec::{BlockHeader, encode_block};
use mesh_event::csv::{CsvBlock, CsvDecoder, CsvOptions};
use mesh_event::topic::TopicKind;
use mesh_proto::election::Role;
use mesh_tests::client::http_get;
use mesh_tests::mesh::{Loopback, Place};
use mesh_tests::plain::PlainLoad;
use mesh_tests::watch::Watch;
use mesh_tests::{Mesh, MeshOptions, Process};
use xtask::stack::{Part, Stack};

use crate::clock::Clocks;
use crate::net::{DISK, Net};
use mesh_tests::judge::{Case, Judge};

pub const ENGINES: usize = 3;
const ELECTIONS: usize = 2;
/// Blocks of five events from a plain producer, so the load itself adds 5 ms at most to a gap.
pub const SENT_BLOCKS_PER_S: f64 = 200.0;
const SENT_BLOCK: u64 = 5;
/// Lines a second that the publishers' source grows by.
const FILED_LINES_PER_S: f64 = 200.0;
/// The inputs' places in the project.
const FILED: usize = 0;
const SENT: usize = 1;
/// How long a record of the plain producer may wait for brokers that are down.
const SENT_DEADLINE: Duration = Duration::from_secs(120);
/// Size of the disk that holds the snapshots.
const STORE_BYTES: u64 = 8 << 20;
const DEADLINE: Duration = Duration::from_secs(10);

/// What has to be undone after a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// A killed process.
    Restart(String),
    /// A frozen process.
    Resume(String),
    /// The network of a process.
    Open(String),
    /// A killed part of the stack.
    StartPart(Part),
    /// A frozen part of the stack.
    ResumePart(Part),
    /// More load.
    UsualLoad,
    /// Busy processes.
    EndHogs,
    /// A full disk.
    FreeStore,
    /// The clock of a process.
    SetClockBack(String),
}

/// Everything that is broken and watched.
pub struct Rig {
    pub judge: Judge,
    pub watch: Arc<Watch>,
    pub sent: PlainLoad,
    filed: FileLoad,
    pub publishers: Vec<Process>,
    pub subscribers: Vec<Process>,
    pub stack: Stack,
    pub net: Option<Arc<Net>>,
    /// Clocks of the engines.
    pub clocks: Arc<Clocks>,
    pub gateway: Process,
    gateway_rest: String,
    pub undo: Vec<Undo>,
    pub hogs: Vec<Child>,
    /// Where snapshots are; a disk of its own if the machine allows it.
    pub store: PathBuf,
    store_is_disk: bool,
    pub mesh: Mesh,
}

impl Rig {
    /// Starts all of it and waits until output flows.
    pub fn start(stack: Stack, net: Option<Net>) -> Result<Rig> {
        let net = net.map(Arc::new);
        let place: Arc<dyn Place> = match &net {
            Some(net) => net.clone(),
            None => Arc::new(Loopback),
        };
        let clocks = Arc::new(Clocks::new(place)?);
        let place: Arc<dyn Place> = clocks.clone();
        let store = std::env::temp_dir().join(format!("esp-mesh-chaos-{}", std::process::id()));
        fs::create_dir_all(&store)?;
        let store_is_disk = net.is_some()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={STORE_BYTES}"), DISK])
                .arg(&store)
                .status()?
                .success();
        let mesh = Mesh::start_in(
            place,
            MeshOptions {
                name: "chaos",
                xml: include_str!("project.xml").to_owned(),
                engines: ENGINES,
                elections: ELECTIONS,
                trace_ratio: 0.0,
                engine_settings: vec![
                    format!("snapshot_url=file://{}", store.display()),
                    "snapshot_interval=10s".to_owned(),
                ],
            },
        )?;
        let (gateway, gateway_rest) = mesh.gateway("gateway-1")?;
        let (source, report) = (mesh.file("source.csv"), mesh.file("report.csv"));
        let filed = FileLoad::start(File::create(&source)?);
        let config = mesh.file("adapters.cfg");
        fs::write(
            &config,
            format!(
                "kafka {{\n partition = 0\n metatopic = \"ESPAdapterMetapub\"\n}}\n\
                 sas {{\n hotfailover = true\n failovergroup = \"{}\"\n zookeeperhostport = \"{}\"\n}}\n",
                mesh.host_port, mesh.env.zookeeper
            ),
        )?;
        let line = format!(
            "type=pub,url={},fsname={},fstype=csv,transport=kafka,transportconfigfile={},growinginputfile=true,\
             addcsvopcode=true,addcsvflags=normal,blocksize=8",
            mesh.url_at(TopicKind::Input, FILED),
            source.display(),
            config.display()
        );
        let publishers = ["publisher-1", "publisher-2"]
            .map(|name| mesh.group_publisher(name, &line))
            .into_iter()
            .collect::<Result<_>>()?;
        let line = format!(
            "type=sub,url={}?snapshot=false,fsname={},fstype=csv,transport=kafka,transportconfigfile={}",
            mesh.url(TopicKind::Output),
            report.display(),
            config.display()
        );
        let subscribers = ["subscriber-1", "subscriber-2"]
            .map(|name| mesh.group_subscriber(name, &line))
            .into_iter()
            .collect::<Result<_>>()?;
        let watch = Arc::new(Watch::start(mesh.bus.clone(), &mesh.topic(TopicKind::Output), true));
        let case = Case { watch: watch.clone(), published: Some((FILED, event_of)), file: Some(report) };
        let judge = Judge::start(&mesh, case)?;
        let schema = mesh.project.inputs()[SENT].schema.clone();
        let sent = PlainLoad::start_with(
            &mesh.env.kafka,
            &mesh.topic_at(TopicKind::Input, SENT),
            move |i| sent_block(&schema, i as u64),
            SENT_BLOCKS_PER_S,
            SENT_DEADLINE,
        )?;
        Ok(Rig {
            judge,
            watch,
            sent,
            filed,
            publishers,
            subscribers,
            stack,
            net,
            clocks,
            gateway,
            gateway_rest,
            undo: Vec::new(),
            hogs: Vec::new(),
            store,
            store_is_disk,
            mesh,
        })
    }

    /// Whether the snapshot store can be filled without filling the machine's disk.
    pub fn store_is_disk(&self) -> bool {
        self.store_is_disk
    }

    /// A process by its name.
    pub fn process(&mut self, name: &str) -> Result<&mut Process> {
        let found = self.processes().into_iter().find(|process| process.name() == name);
        found.with_context(|| format!("no process is called {name}"))
    }

    /// Every process of the mesh.
    pub fn processes(&mut self) -> Vec<&mut Process> {
        let engines = self.mesh.engines.iter_mut().map(|engine| &mut engine.process);
        let adapters = self.publishers.iter_mut().chain(&mut self.subscribers);
        let single = [&mut self.mesh.coordinator, &mut self.gateway];
        engines.chain(&mut self.mesh.elections).chain(single).chain(adapters).collect()
    }

    /// The engine that wrote the last commit.
    pub fn active(&self) -> Result<String> {
        let led = self.judge.known().leaders.last().map(|led| led.engine.clone());
        led.context("no engine has committed anything")
    }

    /// The member that leads the group of publishers (`adapters`) or `subscribers`.
    pub fn leads(&self, adapters: &str) -> Result<String> {
        let name = format!("{adapters}.{}", self.mesh.host_port);
        let status = self.mesh.client.mesh_status(&self.mesh.coordinator_address)?;
        let group = status.groups.into_iter().find(|group| group.group == name);
        let leader = group.map(|group| group.leader).filter(|leader| !leader.is_empty());
        leader.with_context(|| format!("nobody leads the group {name}"))
    }

    /// Lines of the source and blocks of the plain producer so far: what must come out.
    pub fn given(&self) -> (u64, u64) {
        (self.filed.lines(), self.sent.acknowledged())
    }

    /// Stops the load.
    pub fn stop_load(&mut self) {
        self.filed.stop();
        self.sent.set_rate(0.0);
    }

    /// What is not well, if anything: all that was given must be out, and every process at its work.
    pub fn complaint(&mut self, given: (u64, u64), brokers_too: bool) -> Option<String> {
        {
            let known = self.judge.known();
            let (lines, applied) = (known.lines, known.applied.clone());
            if lines < given.0 || applied[SENT] < given.1 {
                return Some(format!(
                    "{lines} of {} lines published, {} of {} blocks sent applied",
                    given.0, applied[SENT], given.1
                ));
            }
            let late = |(due, done): (u64, u64)| due.saturating_sub(done);
            // What came within the last moments may be on its way.
            if late(known.blocks) > SENT_BLOCKS_PER_S as u64 || late(known.bytes) > 256 << 10 {
                return Some(format!(
                    "{:?} blocks due and seen, {:?} bytes due and written",
                    known.blocks, known.bytes
                ));
            }
        }
        let roles: Vec<Role> = (0..ENGINES).map(|engine| self.mesh.role(engine)).collect();
        let count = |role| roles.iter().filter(|&&other| other == role).count();
        if count(Role::Active) != 1 || count(Role::Standby) != ENGINES - 1 {
            return Some(format!("the engines are {roles:?}"));
        }
        let status = match self.mesh.client.mesh_status(&self.mesh.coordinator_address) {
            Ok(status) => status,
            Err(error) => return Some(format!("the coordinator: {error:#}")),
        };
        if let Some(part) = status.unavailable.first() {
            return Some(format!("{}: {}", part.part, part.reason));
        }
        let (name, adapters) = (&self.mesh.host_port, ["adapters", "subscribers"]);
        let adapters = adapters.map(|kind| (format!("{kind}.{name}"), self.publishers.len()));
        for (group, candidates) in adapters.into_iter().chain([(format!("{name}.chaos"), ENGINES)]) {
            let Some(found) = status.groups.iter().find(|status| status.group == group) else {
                let known: Vec<&str> = status.groups.iter().map(|status| &*status.group).collect();
                return Some(format!("no group {group}, only {known:?}"));
            };
            if found.leader.is_empty() || found.candidates.len() != candidates {
                return Some(format!(
                    "group {group}: leader `{}`, {} candidates",
                    found.leader,
                    found.candidates.len()
                ));
            }
        }
        match http_get(&self.gateway_rest, "/SASESP/server") {
            Ok(answer) if answer.contains("primary-server=\"true\"") => {}
            Ok(answer) => return Some(format!("the gateway says {answer}")),
            Err(error) => return Some(format!("the gateway: {error:#}")),
        }
        if brokers_too {
            let topics = self.mesh.bus.topics(&self.mesh.host_port, DEADLINE).unwrap_or_default();
            if topics.is_empty() || topics.iter().any(|topic| topic.in_sync < topic.replication_factor) {
                return Some("not all replicas are in sync".to_owned());
            }
        }
        None
    }

    /// Undoes what faults have done, as far as it can; the first error is returned.
    pub fn heal(&mut self) -> Result<()> {
        let undo = std::mem::take(&mut self.undo);
        // Together: one of two brokers may not answer before the other is there.
        let stack = &self.stack;
        let mut result = std::thread::scope(|scope| {
            let parts = undo.iter().filter_map(|undo| match undo {
                Undo::StartPart(part) => Some(scope.spawn(move || stack.start(*part))),
                _ => None,
            });
            let parts: Vec<_> = parts.collect();
            parts.into_iter().try_for_each(|part| part.join().unwrap_or_else(|_| bail!("starting a part panicked")))
        });
        for undo in undo.into_iter().rev() {
            let done = self.undo_one(&undo).with_context(|| format!("{undo:?}"));
            if result.is_ok() {
                result = done;
            }
        }
        result
    }

    fn undo_one(&mut self, undo: &Undo) -> Result<()> {
        match undo {
            Undo::Restart(name) => {
                let process = self.process(name)?;
                if process.pid().is_none() {
                    process.restart()?;
                }
            }
            Undo::Resume(name) => {
                let process = self.process(name)?;
                if process.pid().is_some() {
                    process.signal("CONT")?;
                }
            }
            Undo::Open(name) => self.net.as_ref().context("there is a network")?.open(name)?,
            Undo::StartPart(_) => {} // done, with the others of its kind
            Undo::ResumePart(part) => {
                self.stack.resume(*part)?;
            }
            Undo::UsualLoad => self.sent.set_rate(SENT_BLOCKS_PER_S),
            Undo::EndHogs => {
                for mut hog in self.hogs.drain(..) {
                    hog.kill()?;
                    hog.wait()?;
                }
            }
            Undo::SetClockBack(name) => self.clocks.step(name, 0)?,
            Undo::FreeStore => fs::remove_file(self.store.join(BALLAST))?,
        }
        Ok(())
    }

    /// Fills the disk of the snapshots.
    pub fn fill_store(&mut self) -> Result<()> {
        ensure!(self.store_is_disk, "the snapshot store is no disk of its own");
        let mut file = File::create(self.store.join(BALLAST))?;
        let chunk = vec![0; 64 << 10];
        // Ends with "no space left", which is the point; snapshots may free some and take it again.
        for _ in 0..STORE_BYTES / chunk.len() as u64 {
            if file.write_all(&chunk).is_err() {
                return Ok(());
            }
        }
        bail!("{STORE_BYTES} bytes went into a disk of that size that held snapshots")
    }
}

/// The file that fills the disk.
const BALLAST: &str = "ballast";

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop_load();
        if let Err(error) = self.heal() {
            eprintln!("undoing the last fault: {error:#}");
        }
        for process in self.processes() {
            let _ = process.kill();
        }
        if self.store_is_disk {
            let _ = Command::new("umount").arg("--lazy").arg(&self.store).status();
        }
        let _ = fs::remove_dir_all(&self.store);
    }
}

/// A line of the publishers' source.
fn line_of(i: u64) -> String {
    format!("{i},file,{}.5", i % 1000)
}

/// The same line as an event's text.
fn event_of(i: u64) -> String {
    format!("I,N, {i},file,{}.500000", i % 1000)
}

/// A block of the plain producer, whose keys never meet those of the file.
fn sent_block(schema: &Arc<Schema>, i: u64) -> Bytes {
    const FIRST_KEY: u64 = 1 << 40;
    let text: String = (i * SENT_BLOCK..(i + 1) * SENT_BLOCK)
        .map(|i| format!("I,N,{},wire,{}.25\n", FIRST_KEY + i, i % 777))
        .collect();
    let mut payload = Bytes::new();
    let decoded = CsvDecoder::new(schema.clone(), CsvOptions::default()).map(|mut decoder| {
        decoder.decode(text.as_bytes(), true, SENT_BLOCK as usize, usize::MAX, &mut |block: CsvBlock| {
            payload = encode_block(&block.block, &BlockHeader::default());
        })
    });
    assert!(decoded.is_ok_and(|progress| progress.is_ok()), "this text fits the schema");
    payload
}

/// A file that grows at a constant rate.
struct FileLoad {
    stop: Arc<AtomicBool>,
    lines: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl FileLoad {
    fn start(mut file: File) -> FileLoad {
        let (stop, lines) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), lines.clone());
        let thread = std::thread::spawn(move || {
            let (began, mut written) = (Instant::now(), 0);
            while !stopped.load(Ordering::Acquire) {
                let due = (began.elapsed().as_secs_f64() * FILED_LINES_PER_S) as u64;
                let text: String = (written..due).map(|i| line_of(i) + "\n").collect();
                if let Err(error) = file.write_all(text.as_bytes()) {
                    eprintln!("the source of the publishers: {error}");
                    return;
                }
                written = due;
                counted.store(written, Ordering::Release);
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        FileLoad { stop, lines, thread: Some(thread) }
    }

    fn lines(&self) -> u64 {
        self.lines.load(Ordering::Acquire)
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
