//! Settings of a subscriber adapter as a process.

use mesh_adapter::legacy::{LETTERS, to_line};
use mesh_adapter::{SubscriberOptions, Target, line};
use mesh_bus::parse_settings;
use mesh_connector::subscribe::sink::Name;
use mesh_service::config::{Layers, Problem};
use mesh_service::{Base, Config, Problems};
use serde::{Deserialize, Serialize};

/// The url names the topics; a wrong one is told before anything is connected to.
const URL: &str = "`url=dfESP://host:port/project/query/window`";

/// Settings of a subscriber adapter as a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriberConfig {
    /// What every service has.
    #[serde(flatten)]
    pub base: Base,
    /// What to write where, `type=sub,url=dfESP://...,fsname=out.csv,...`; usually given as `-C`.
    pub line: String,
    /// `host:port,host:port` of the Kafka brokers; empty: `hostport` of the transport file.
    pub kafka: String,
    /// Further librdkafka settings, `k=v;k=v`, stronger than `globalconfig` of the transport file.
    pub kafka_settings: String,
    /// `host:port` of the election instances; needed with `hotfailover=true`.
    pub elections: Vec<String>,
}

impl Config for SubscriberConfig {
    const SERVICE: &'static str = "subscriber-adapter";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        problems.check_addresses("kafka", self.kafka.split(',').filter(|_| !self.kafka.is_empty()));
        problems.check_read("kafka_settings", "`key=value;key=value`", parse_settings(&self.kafka_settings));
        problems.check_addresses("elections", self.elections.iter().map(String::as_str));
        match SubscriberOptions::from_line(&self.line) {
            Ok(checked) => {
                problems.check_read("line", URL, Target::parse(&checked.options.common.url));
                let needs_election = checked.options.common.transport.failover.is_some();
                problems.check(
                    !needs_election || !self.elections.is_empty(),
                    "elections",
                    "`host:port` of an election service, since the transport file says hotfailover=true",
                    "none",
                );
                let fsname = &checked.options.common.fsname;
                problems.check(
                    !needs_election || matches!(Name::parse(fsname), Name::File(_)),
                    "-C fsname",
                    "a file that all members share, since the transport file says hotfailover=true: what went to a \
                     socket cannot be known by the next member",
                    fsname,
                );
            }
            Err(refused) => {
                for problem in refused.problems {
                    problems.add(Problem::new("-C", problem.place.to_string()).found(problem.message));
                }
            }
        }
    }

    fn arguments(command: clap::Command) -> clap::Command {
        let new = clap::Arg::new("adapter-line")
            .short('C')
            .value_name("KEY=VALUE,...")
            .help("what to write where, as in type=sub,url=dfESP://host:port/project/query/window,fsname=out.csv");
        // -h was the url before it was help
        let help = clap::Arg::new("help").long("help").action(clap::ArgAction::Help).help("print help");
        let command = command.disable_help_flag(true).arg(new).arg(help);
        LETTERS.iter().fold(command, |command, old| {
            let action = if old.fixed.is_some() { clap::ArgAction::SetTrue } else { clap::ArgAction::Set };
            let arg = clap::Arg::new(format!("old-{}", old.letter)).short(old.letter).action(action);
            command.arg(arg.help(format!("old form of {}", old.key)).help_heading("Old options"))
        })
    }

    fn from_arguments(matches: &clap::ArgMatches, layers: &mut Layers, _problems: &mut Problems) {
        let mut old = Vec::new();
        for known in LETTERS {
            let id = format!("old-{}", known.letter);
            match known.fixed {
                Some(value) if matches.get_flag(&id) => old.push((known.key, value.to_owned())),
                Some(_) => {}
                None => old.extend(matches.get_one::<String>(&id).map(|value| (known.key, value.clone()))),
            }
        }
        let new = matches.get_one::<String>("adapter-line").cloned();
        let parts: Vec<String> = new.into_iter().chain((!old.is_empty()).then(|| to_line(&old))).collect();
        if parts.is_empty() {
            return;
        }
        let text = parts.join(",");
        if let Some(level) = line::parse(&text).ok().and_then(|all| all.into_iter().find(|s| s.key == "loglevel")) {
            let level = if level.value.eq_ignore_ascii_case("fatal") { "error".to_owned() } else { level.value };
            layers.text("log", level, "-C loglevel");
        }
        layers.text("line", text, "-C");
    }
}
