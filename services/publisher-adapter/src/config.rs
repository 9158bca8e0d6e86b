//! Settings of a publisher adapter as a process.

use mesh_adapter::PublisherOptions;
use mesh_connector::settings;
use mesh_service::config::Layers;
use mesh_service::{Base, Config, Problems};
use serde::{Deserialize, Serialize};

/// Settings of a publisher adapter as a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublisherConfig {
    /// What every service has.
    #[serde(flatten)]
    pub base: Base,
    /// What to publish where, `type=pub,url=dfESP://...,fsname=in.csv,...`; usually given as `-C`.
    pub line: String,
    /// `host:port,host:port` of the Kafka brokers; empty: `hostport` of the transport file.
    pub kafka: String,
    /// Further librdkafka settings, `k=v;k=v`, stronger than `globalconfig` of the transport file.
    pub kafka_settings: String,
    /// `host:port` of the election instances; needed with `hotfailover=true`.
    pub elections: Vec<String>,
}

impl Config for PublisherConfig {
    const SERVICE: &'static str = "publisher-adapter";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        let line = PublisherOptions::from_line(&self.line).map(|checked| checked.options.common);
        let settings = (&*self.kafka, &*self.kafka_settings, &*self.elections);
        settings::check(problems, settings, line.as_ref());
    }

    fn arguments(command: clap::Command) -> clap::Command {
        settings::arguments(
            command,
            "what to publish where, as in type=pub,url=dfESP://host:port/project/query/window,fsname=in.csv",
        )
    }

    fn from_arguments(matches: &clap::ArgMatches, layers: &mut Layers, _problems: &mut Problems) {
        settings::from_arguments(matches, layers);
    }
}
