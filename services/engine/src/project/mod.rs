//! One project on one engine: four or five threads and what they say to each other.
//!
//! ```text
//!  .C --> log reader ----\                        /--> election (progress, step down)
//!                         >--> driver <---control-+--- election (grant), engine (stop)
//!  .I --> input reader --/       |   ^
//!                                v   |
//!                              writer --> .O .C .M in one transaction
//!
//!  driver <--> snapshot thread --> object store
//!  driver --> connectors (sources and sinks of the project's own, run while it leads) <--> .I .O
//! ```

pub mod bad_events;
mod behind;
pub mod connectors;
pub mod driver;
mod effects;
pub mod election;
mod hear;
pub mod input_reader;
pub mod lines;
pub mod log_reader;
pub mod machine;
pub mod message;
pub mod meters;
pub mod recovery;
pub mod report;
pub mod snapshots;
pub mod takeover;
pub mod topics;
pub mod waiting;
pub mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use mesh_bus::{Bus, WriterOptions};
use mesh_model::Project;
use mesh_proto::engine::ProjectStatus;
use mesh_replication::{EngineId, EngineRole, Limits};
use mesh_service::Metrics;
use mesh_windows::Executor;

use bad_events::{BadEventLog, BadEventOptions};
use connectors::mail::Mail;
use connectors::{Host, Permit};
use driver::{Channels, Driver};
use election::ElectionLink;
use input_reader::{InputReader, InputTopic};
use log_reader::LogReader;
use machine::Machine;
use message::{CONTROL_QUEUE, Control, InputGauge, READER_QUEUE, StopFlag, WRITER_QUEUE};
use meters::Meters;
use recovery::SnapshotChannels;
use report::{Identity, Reports};
use snapshots::{SNAPSHOT_QUEUE, SnapshotOptions, SnapshotThread};
use topics::Topics;
use writer::WriterThread;

/// Blocks applied by one step at most, so that control is never far.
const APPLY_BLOCKS_MAX: u32 = 256;
/// Commit records that a project holds at most before the log is held back.
const LOG_RECORDS_MAX: usize = 4096;

/// What bounds a project and names it.
#[derive(Debug, Clone)]
pub struct ProjectOptions {
    /// Name of the engine.
    pub engine: String,
    /// First part of the topic names.
    pub url_host_port: String,
    /// Version as deployed.
    pub version: u64,
    /// Blocks read ahead of each input at most.
    pub blocks_max: usize,
    /// Bytes read ahead of each input at most, and unsent at most.
    pub bytes_max: usize,
    /// Blocks in one commit at most.
    pub commit_blocks_max: u32,
    /// Events in one commit at most.
    pub commit_events_max: u64,
    /// After this time a commit's outcome counts as unknown.
    pub commit_deadline: Duration,
    /// How long the bus leaves a silent transaction open.
    pub transaction_timeout: Duration,
    /// A standby this many commits behind counts as caught up.
    pub caught_up_commits: u64,
    /// Where and how often snapshots are made; `None`: not at all.
    pub snapshots: Option<SnapshotOptions>,
    /// What the project's own connectors may touch.
    pub permit: Permit,
    /// How the messages of notification windows are sent.
    pub mail: Mail,
    /// File of the events that windows cannot apply; `None`: they are only logged and counted.
    pub bad_events: Option<BadEventOptions>,
    /// Share (0 to 1) of the blocks of its own sources that get a trace.
    pub trace_ratio: f64,
}

/// Why a project does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its names do not make topic names.
    #[error(transparent)]
    Topic(#[from] mesh_event::topic::TopicError),
    /// The machine gives no thread.
    #[error("starting a thread of the project: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running project. Dropping it ends its threads without a last commit; [`RunningProject::stop`] is the polite way.
pub struct RunningProject {
    /// What it shows.
    pub reports: Reports,
    /// To its driver.
    pub control: Sender<Control>,
    stop: StopFlag,
    threads: Vec<JoinHandle<()>>,
}

impl RunningProject {
    /// Starts the threads of a project. The candidate is made by `election`, which gets the driver's control channel.
    pub fn start(
        project: Arc<Project>,
        options: ProjectOptions,
        bus: Arc<dyn Bus>,
        metrics: &Metrics,
        election: impl FnOnce(Sender<Control>) -> Box<dyn ElectionLink>,
    ) -> Result<RunningProject, StartError> {
        let topics = Topics::of(&project, &options.url_host_port)?;
        let executor = Executor::new(project.clone());
        let gauges: Vec<Arc<InputGauge>> = topics.inputs.iter().map(|_| Arc::default()).collect();
        let (control_to, control) = bounded(CONTROL_QUEUE);
        let (jobs_to, jobs) = bounded(WRITER_QUEUE);
        let (answers_to, answers) = bounded(WRITER_QUEUE);
        let (log_commands_to, log_commands) = bounded(READER_QUEUE);
        let (log_to, log) = bounded(READER_QUEUE);
        let (input_commands_to, input_commands) = bounded(READER_QUEUE);
        let (inputs_to, inputs) = bounded(READER_QUEUE);
        let log_hold = Arc::new(AtomicBool::new(false));
        let stop = StopFlag::default();
        let client = |part: &str| format!("{}.{}.{part}", options.engine, project.name);

        let log_reader = LogReader {
            bus: bus.clone(),
            client: client("log"),
            topic: topics.log.clone(),
            commands: log_commands,
            news: log_to,
            hold: log_hold.clone(),
            stop: stop.clone(),
        };
        let mut snapshot_channels = None;
        let mut snapshot_thread = None;
        if let Some(snapshot_options) = options.snapshots {
            let (commands_to, commands) = bounded(SNAPSHOT_QUEUE);
            let (news_to, news) = bounded(SNAPSHOT_QUEUE);
            snapshot_channels = Some(SnapshotChannels { commands: commands_to, news });
            snapshot_thread = Some(SnapshotThread {
                options: snapshot_options,
                group: format!("{}.{}", options.url_host_port, project.name),
                engine: options.engine.clone(),
                project: project.clone(),
                bus: bus.clone(),
                log_topic: topics.log.clone(),
                input_topics: topics.inputs.clone(),
                commands,
                news: news_to,
                stop: stop.clone(),
            });
        }
        let schemas = executor.inputs().iter().map(|input| input.schema.clone());
        let input_topics = topics.inputs.iter().zip(schemas).zip(&gauges).map(|((topic, schema), gauge)| InputTopic {
            topic: topic.clone(),
            schema,
            gauge: gauge.clone(),
        });
        let connectors = connectors::Shared::new(topics.inputs.len());
        let mut specs = connectors::specs(&project, &topics, &options.url_host_port);
        specs.extend(connectors::senders(&project, &topics, &options.mail));
        let (permit, trace_ratio) = (options.permit, options.trace_ratio);
        let host = (!specs.is_empty())
            .then(|| Host::new(&project, specs, bus.clone(), permit, trace_ratio, connectors.clone(), stop.clone()));
        let input_reader = InputReader {
            bus: bus.clone(),
            client: client("input"),
            topics: input_topics.collect(),
            blocks_max: options.blocks_max,
            bytes_max: options.bytes_max,
            commands: input_commands,
            news: inputs_to,
            stop: stop.clone(),
        };
        let writer = WriterThread {
            bus,
            options: WriterOptions {
                client: client("writer"),
                transactional_id: topics.log.to_string(),
                two_lanes: true,
                transaction_timeout: options.transaction_timeout,
                buffer_bytes_max: options.bytes_max,
            },
            log_topic: topics.log.clone(),
            output_topics: topics.outputs.clone(),
            announcements: topics.announcements(&project, &executor),
            commit_deadline: options.commit_deadline,
            jobs,
            answers: answers_to,
            stop: stop.clone(),
        };
        let limits = Limits {
            inputs: topics.inputs.len(),
            model_fingerprint: project.fingerprint,
            heartbeat_us: project.needs_clock().then_some(project.heartbeat_us),
            apply_blocks_max: APPLY_BLOCKS_MAX,
            commit_blocks_max: options.commit_blocks_max,
            commit_events_max: options.commit_events_max,
            log_records_max: LOG_RECORDS_MAX,
            caught_up_commits: options.caught_up_commits,
        };
        let identity = Identity {
            project: project.name.clone(),
            version: options.version,
            fingerprint: project.fingerprint,
            inputs: topics.inputs.clone(),
            outputs: topics.outputs.clone(),
            keeps_snapshots: snapshot_channels.is_some(),
        };
        let reports = Reports::new(ProjectStatus { project: project.name.clone(), ..ProjectStatus::default() });
        let channels = Channels {
            control,
            jobs: jobs_to,
            answers,
            log_commands: log_commands_to,
            log,
            log_hold,
            input_commands: input_commands_to,
            inputs,
            snapshots: snapshot_channels,
            connectors,
        };
        let (bad_events, bad_event_thread) = match options.bad_events {
            None => (BadEventLog::default(), None),
            Some(BadEventOptions { folder, bytes_max }) => {
                let path = folder.join(format!("{}.{}.bad.csv", options.engine, project.name));
                let (log, thread) = BadEventLog::with_file(path, bytes_max, stop.clone());
                (log, Some(thread))
            }
        };
        let engine = EngineId(Arc::from(options.engine.as_str()));
        let driver = Driver::new(
            identity,
            &project,
            EngineRole::new(engine, limits),
            Machine::new(project.clone(), gauges).with_bad_events(bad_events),
            channels,
            election(control_to.clone()),
            reports.clone(),
            Meters::new(metrics, &project.name, options.blocks_max),
            stop.clone(),
        );
        let mut running = RunningProject { reports, control: control_to, stop, threads: Vec::new() };
        running.spawn("log", move || log_reader.run())?;
        running.spawn("input", move || input_reader.run())?;
        running.spawn("writer", move || writer.run())?;
        if let Some(thread) = bad_event_thread {
            running.spawn("bad-events", move || thread.run())?;
        }
        if let Some(thread) = snapshot_thread {
            running.spawn("snapshot", move || thread.run())?;
        }
        if let Some(host) = host {
            running.spawn("connectors", move || host.run())?;
        }
        running.spawn("driver", move || driver.run())?;
        Ok(running)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// Finishes the last commit if it leads, leaves the election, ends the threads. Blocks.
    pub fn stop(mut self) {
        if self.control.send_timeout(Control::Stop, Duration::from_secs(1)).is_err() {
            self.stop.set();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a project ended with a panic");
            }
        }
    }
}

impl Drop for RunningProject {
    fn drop(&mut self) {
        self.stop.set();
    }
}
