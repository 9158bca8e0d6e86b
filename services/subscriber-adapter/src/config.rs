//! Settings of a subscriber adapter as a process.

use mesh_adapter::SubscriberOptions;
use mesh_connector::settings;
use mesh_connector::subscribe::sink::Name;
use mesh_service::config::Layers;
use mesh_service::{Base, Config, Problems};
use serde::{Deserialize, Serialize};

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
        let line = SubscriberOptions::from_line(&self.line).map(|checked| checked.options.common);
        let settings = (&*self.kafka, &*self.kafka_settings, &*self.elections);
        let in_group = settings::check(problems, settings, line.as_ref());
        let fsname = line.as_ref().map_or("", |common| &common.fsname);
        problems.check(
            !in_group || matches!(Name::parse(fsname), Name::File(_)),
            "-C fsname",
            "a file that all members share, since the transport file says hotfailover=true: what went to a socket cannot \
             be known by the next member",
            fsname,
        );
    }

    fn arguments(command: clap::Command) -> clap::Command {
        settings::arguments(
            command,
            "what to write where, as in type=sub,url=dfESP://host:port/project/query/window,fsname=out.csv",
        )
    }

    fn from_arguments(matches: &clap::ArgMatches, layers: &mut Layers, _problems: &mut Problems) {
        settings::from_arguments(matches, layers);
    }
}
