//! Settings of the coordinator.

use mesh_bus::parse_settings;
use mesh_event::topic::metadata_topic;
use mesh_service::config::ClientTls;
use mesh_service::security::ClientPem;
use mesh_service::{Base, Config, Problems, Span};
use serde::{Deserialize, Serialize};

/// Settings of the coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoordinatorConfig {
    /// Settings that every service has.
    #[serde(flatten)]
    pub base: Base,
    /// First part of topic names, `<host>_<port>`, for projects that name none.
    pub url_host_port: String,
    /// `host:port` of the election service's instances; those that announce themselves are found besides.
    pub elections: Vec<String>,
    /// How topics are made.
    pub topics: TopicsConfig,
    /// Where the desired state is kept.
    pub etcd: EtcdConfig,
    /// Where the topics are.
    pub kafka: KafkaConfig,
    /// How long the answer of one engine may take in a status of the mesh.
    pub member_timeout: Span,
    /// How long a call of the bus may take.
    pub bus_timeout: Span,
    /// How long a handover may take.
    pub promote_timeout: Span,
    /// A member that has not announced itself for this long is forgotten.
    pub forget_members_after: Span,
    /// Entries of history that are kept.
    pub history_max: usize,
    /// Versions of each project that are kept.
    pub versions_max: usize,
}

/// How topics are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicsConfig {
    /// Copies of each topic.
    pub replication_factor: u32,
    /// Copies that must have a record before it counts as written.
    pub min_insync_replicas: u32,
    /// Compacted topics that adapters share.
    pub adapter_meta: Vec<String>,
}

/// Where the desired state is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EtcdConfig {
    /// `host:port` of etcd's members.
    pub endpoints: Vec<String>,
    /// Put before every key; lets several meshes share an etcd.
    pub prefix: String,
    /// How long a call may take.
    pub timeout: Span,
    /// Certificates, where etcd takes only TLS.
    pub tls: ClientTls,
}

/// Where the topics are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KafkaConfig {
    /// `host:port,host:port` of the brokers.
    pub brokers: String,
    /// Further settings of the Kafka client, `key=value;key=value`.
    pub settings: String,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        CoordinatorConfig {
            base: Base {
                listen: "127.0.0.1:50100".to_owned(),
                admin_listen: "127.0.0.1:50101".to_owned(),
                ..Base::default()
            },
            url_host_port: "esp_31415".to_owned(),
            elections: Vec::new(),
            topics: TopicsConfig::default(),
            etcd: EtcdConfig::default(),
            kafka: KafkaConfig::default(),
            member_timeout: Span::from_millis(400),
            bus_timeout: Span::from_secs(5),
            promote_timeout: Span::from_secs(5),
            forget_members_after: Span::from_secs(600),
            history_max: 1000,
            versions_max: 20,
        }
    }
}

impl Default for TopicsConfig {
    fn default() -> Self {
        TopicsConfig {
            replication_factor: 3,
            min_insync_replicas: 2,
            adapter_meta: vec!["ESPAdapterMetapub".to_owned(), "ESPAdapterMetasub".to_owned()],
        }
    }
}

impl Default for EtcdConfig {
    fn default() -> Self {
        EtcdConfig {
            endpoints: vec!["127.0.0.1:2379".to_owned()],
            prefix: "/esp-mesh/".to_owned(),
            timeout: Span::from_secs(2),
            tls: ClientTls::default(),
        }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        KafkaConfig { brokers: "127.0.0.1:9092".to_owned(), settings: String::new() }
    }
}

impl Config for CoordinatorConfig {
    const SERVICE: &'static str = "coordinator";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        let first_part = metadata_topic(&self.url_host_port);
        problems.check_read("url_host_port", "`<host>_<port>`, such as `esp_31415`", first_part);
        let copies = self.topics.replication_factor;
        problems.check(copies > 0, "topics.replication_factor", "at least 1", copies);
        problems.check(
            (1..=copies.max(1)).contains(&self.topics.min_insync_replicas),
            "topics.min_insync_replicas",
            "1 to `topics.replication_factor`",
            self.topics.min_insync_replicas,
        );
        problems.check(!self.etcd.endpoints.is_empty(), "etcd.endpoints", "at least one `host:port`", "");
        ClientPem::load("etcd.tls", &self.etcd.tls, problems);
        problems.check_addresses("etcd.endpoints", self.etcd.endpoints.iter().map(String::as_str));
        problems.check_addresses("elections", self.elections.iter().map(String::as_str));
        problems.check_addresses("kafka.brokers", self.kafka.brokers.split(','));
        problems.check_read("kafka.settings", "`key=value;key=value`", parse_settings(&self.kafka.settings));
        problems.check(self.history_max > 0, "history_max", "at least 1", self.history_max);
        problems.check(self.versions_max > 0, "versions_max", "at least 1", self.versions_max);
        for (setting, value) in [
            ("member_timeout", self.member_timeout),
            ("bus_timeout", self.bus_timeout),
            ("promote_timeout", self.promote_timeout),
            ("etcd.timeout", self.etcd.timeout),
        ] {
            problems.check(!value.0.is_zero(), setting, "more than 0", value);
        }
    }
}
