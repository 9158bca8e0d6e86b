//! The command line. One definition feeds parser, help and completions.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

use crate::access::Access;

mod run;

pub use run::RunProject;

/// Where a coordinator listens unless told otherwise; the same as in its settings.
pub const DEFAULT_COORDINATOR: &str = "127.0.0.1:50100";

/// How the file of contexts looks.
const CONTEXTS_HELP: &str = "The file:\n\n  current = \"prod\"\n\n  [contexts.prod]\n  coordinators = [\"mesh-1:50100\", \"mesh-2:50100\"]\n  who = \"ada\"";

/// Looks at a mesh and changes it; runs a whole one in this process.
#[derive(Debug, Parser)]
#[command(
    name = "espctl",
    version,
    about,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 what was asked for is wrong, 2 our fault or a part that does not answer"
)]
pub struct Cli {
    /// `host:port` of the coordinators; the first that answers is used; without: those of the context, else
    /// [default: 127.0.0.1:50100]
    #[arg(long, global = true, env = "ESP_COORDINATOR", value_delimiter = ',', value_name = "HOST:PORT")]
    pub coordinator: Vec<String>,
    /// Certificates and token
    #[command(flatten)]
    pub access: Access,
    /// A mesh by its name in `~/.config/espctl.toml` (ESP_CONTEXTS names another file); without: its `current`
    #[arg(long, global = true, env = "ESP_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Who asks for changes, for the history; without: the user
    #[arg(long, global = true, env = "ESP_WHO", value_name = "NAME")]
    pub who: Option<String>,
    /// Whether to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN")]
    color: ColourChoice,
    /// Without colour
    #[arg(long, global = true)]
    no_color: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Whether to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColourChoice {
    /// On terminals, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Cli {
    /// What was said about colour; `None`: what terminal and environment say.
    pub fn colour(&self) -> Option<bool> {
        match (self.no_color, self.color) {
            (true, _) | (false, ColourChoice::Never) => Some(false),
            (false, ColourChoice::Always) => Some(true),
            (false, ColourChoice::Auto) => None,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show engines, projects, roles, lag, groups, and what does not answer
    Status(Status),
    /// Look at every part of the mesh, say what is wrong and what to do; exit code 1 when there is a problem
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the settings that a process runs with, without secrets
    Config {
        /// Its name, as in `espctl status`, or `host:port` of its gRPC server
        member: String,
        /// Only those that differ from the default
        #[arg(long)]
        changed: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change what a process logs, until it ends
    LogLevel {
        /// Its name, as in `espctl status`, or `host:port` of its gRPC server
        member: String,
        /// Levels, as in `info,mesh_engine=debug`
        levels: String,
        /// Why; it is logged
        #[arg(long, default_value = "espctl log-level")]
        reason: String,
    },
    /// Hand the leadership of a project to another engine, losing and doubling nothing
    Promote(Promote),
    /// Take an engine out of the lead, of everything and for good, so that it can be stopped
    Drain {
        /// The engine
        engine: String,
        /// Why; kept in the history and shown in the status
        #[arg(long, default_value = "espctl drain")]
        reason: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an engine lead again
    Undrain {
        /// The engine
        engine: String,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl undrain")]
        reason: String,
    },
    /// Hand leaders over so that engines lead about equally many projects; they never move for that by themselves
    Rebalance {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl rebalance")]
        reason: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Pause failover of a project for maintenance, and resume it
    #[command(subcommand)]
    Failover(Failover),
    /// Save a project's state now, so that a new engine need not replay what came before
    Snapshot(Snapshot),
    /// Go on without the block on which apply fails and at which a project is parked
    Skip(Skip),
    /// Show why engines cannot go on with a project, how far recoveries are, and the ways out
    Recover(Recover),
    /// Look at topics, create and delete them
    #[command(subcommand)]
    Topics(Topics),
    /// Check, deploy, list and stop projects
    #[command(subcommand)]
    Project(Project),
    /// Show what happened: deployments, promotions, leaders
    History(History),
    /// Look into event blocks
    #[command(subcommand)]
    Events(Events),
    /// Show the way of a block, or a takeover, through all services as a tree, from Jaeger
    Trace(Trace),
    /// Run a whole mesh in this process, kill its active engine again and again under load, and check the output
    Demo(Demo),
    /// Run a project in this process: lines of a file in, lines of its output window to the standard output
    Dev(Dev),
    /// Show the contexts: meshes by name, from `~/.config/espctl.toml`
    #[command(after_help = CONTEXTS_HELP)]
    Contexts,
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Only this project
    pub project: Option<String>,
    /// Show it again at every change, until interrupted
    #[arg(long, short)]
    pub watch: bool,
    /// As JSON; with --watch one object a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// The project
    pub project: String,
    /// The engine that shall lead; without: the next one that is caught up
    pub engine: Option<String>,
    /// Why; kept in the history
    #[arg(long, default_value = "espctl promote")]
    pub reason: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with failover.
#[derive(Debug, Subcommand)]
pub enum Failover {
    /// Nobody is elected from now on, whatever happens to the leader; `espctl promote` still works
    Pause {
        /// The project
        project: String,
        /// Why; kept in the history and shown in the status
        #[arg(long, default_value = "espctl failover pause")]
        reason: String,
    },
    /// Leaders are elected again
    Resume {
        /// The project
        project: String,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl failover resume")]
        reason: String,
    },
}

/// Arguments of `snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// The project
    pub project: String,
    /// The engine that shall make it; without: a standby, else the leader
    #[arg(long)]
    pub engine: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `skip`.
#[derive(Debug, Args)]
pub struct Skip {
    /// The project
    pub project: String,
    /// Offset of the block, as `espctl recover` shows it
    #[arg(long)]
    pub position: u64,
    /// Input topic of the block; without: the one at which the project is parked
    #[arg(long, default_value = "")]
    pub topic: String,
}

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// The project
    pub project: String,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// List topics
    List {
        /// Only topics whose name starts so
        #[arg(default_value = "")]
        prefix: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one topic
    Describe {
        /// Name of the topic
        topic: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a topic with one partition
    Create {
        /// Name of the topic
        topic: String,
        /// Copies; without: the coordinator's setting
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
        replication_factor: Option<u32>,
        /// Setting of the topic, as in `retention.ms=604800000`; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a topic and all that is in it
    Delete {
        /// Name of the topic
        topic: String,
        /// Really; there is no way back
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum Project {
    /// Check a project file and show every problem in it, with line, column and way out
    Check {
        /// The project file
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a project over CSV files in this process, without any service, and print what its windows put out
    Run(RunProject),
    /// Check a project, store it as a new version, create its topics, and run it on every engine
    Deploy {
        /// The project file
        file: PathBuf,
        /// Name; without: the one in the file
        #[arg(long, default_value = "")]
        name: String,
        /// First part of the topic names; without: the one in the file, else the coordinator's setting
        #[arg(long, default_value = "", value_name = "HOST_PORT")]
        url_host_port: String,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl project deploy")]
        reason: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the deployed projects
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop a project on every engine; its topics and history stay
    Undeploy {
        /// Name of the project
        project: String,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl project undeploy")]
        reason: String,
    },
    /// List the versions of a project that are kept, newest first
    Versions {
        /// Name of the project
        project: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run an older version of a project again, as a new version with its content
    Rollback {
        /// Name of the project
        project: String,
        /// The version; without: the newest one that differs from what runs
        #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
        /// Why; kept in the history
        #[arg(long, default_value = "espctl project rollback")]
        reason: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Only this project
    pub project: Option<String>,
    /// At most this many entries
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// The trace; without: the fullest, then newest, of the last hour that fits
    pub id: Option<String>,
    /// `host:port` of Jaeger's query API
    #[arg(long, env = "ESP_JAEGER", default_value = "127.0.0.1:16686", value_name = "HOST:PORT")]
    pub jaeger: String,
    /// A service that took part
    #[arg(long, default_value = "esp-engine")]
    pub service: String,
    /// A step that it must have, as in `engine.takeover`
    #[arg(long, value_name = "STEP")]
    pub operation: Option<String>,
    /// Services that it must pass, as in `esp-publisher-adapter,esp-engine,esp-subscriber-adapter`
    #[arg(long, value_delimiter = ',', value_name = "SERVICE,...", conflicts_with = "service")]
    pub through: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How often the active engine is killed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub kills: u32,
    /// Decides when and where engines die; without: another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Keep running afterwards, to look around with curl and espctl
    #[arg(long)]
    pub stay: bool,
}

impl Demo {
    /// The seed.
    pub fn seed(&self) -> u64 {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.seed.unwrap_or_else(|| u64::from(now().subsec_nanos()))
    }
}

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// The project file
    pub file: PathBuf,
    /// File with events to publish; without: runs until Ctrl-C
    #[arg(long, value_name = "FILE.csv")]
    pub input: Option<PathBuf>,
    /// Window that takes the events, as `query/window`; without: the first
    #[arg(long, value_name = "QUERY/WINDOW")]
    pub into: Option<String>,
    /// Window whose output is printed, as `query/window`; without: the first
    #[arg(long, value_name = "QUERY/WINDOW")]
    pub output: Option<String>,
    /// Options of the publisher adapter, as in `header=1,addcsvopcode=true,blocksize=64`
    #[arg(short = 'C', value_name = "KEY=VALUE,...", default_value = "")]
    pub options: String,
}

/// What to do with event blocks.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Print binary event blocks as CSV or JSON
    Decode(Decode),
}

/// Arguments of `events decode`.
#[derive(Debug, Args)]
pub struct Decode {
    /// File with one block, raw or as hex digits; without, or `-`: standard input
    pub file: Option<PathBuf>,
    /// Schema of the events, as in `id*:int64,name:string`
    #[arg(long, value_name = "SCHEMA", required_unless_present = "header")]
    pub schema: Option<String>,
    /// File with many blocks: hex, one a line; or raw, each behind its length as a varint (protobuf's delimited form)
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub from_file: Option<PathBuf>,
    /// strftime format of dates and stamps in CSV; without: integers since the epoch
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "header"])]
    pub date_format: Option<String>,
    /// Only what travels with the events: message ID, cause, sequence, source; needs no schema
    #[arg(long)]
    pub header: bool,
    /// As JSON, one block a line
    #[arg(long)]
    pub json: bool,
}
