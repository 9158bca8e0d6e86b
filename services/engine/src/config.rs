//! Settings of an engine.

use mesh_bus::parse_settings;
use mesh_connector::notify::SmtpTls;
use mesh_event::topic::metadata_topic;
use mesh_service::config::is_host_port;
use mesh_service::{Base, Config, Problems, Size, Span};
use mesh_snapshot::{Location, SnapshotError};
use serde::{Deserialize, Serialize};

use crate::project::bad_events::BadEventOptions;
use crate::project::connectors::Permit;
use crate::project::connectors::mail::Mail;
use crate::project::snapshots::SnapshotOptions;

/// Shortest interval between two snapshots.
const SNAPSHOT_INTERVAL_MIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Longest wait for a coordinator; a longer one is a slip of the unit.
const COORDINATOR_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(600);

/// Settings of an engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineConfig {
    /// What every service has.
    #[serde(flatten)]
    pub base: Base,
    /// `host:port` of the REST server (`GET /SASESP/server`); port 0 takes a free one.
    pub rest_listen: String,
    /// `host:port` of the election instances; any one of them is enough.
    pub elections: Vec<String>,
    /// Folder in which the engine keeps what it shall run, so that it starts again while no coordinator answers; empty:
    /// it waits for one. Not for snapshots.
    pub state_dir: String,
    /// How long a starting engine waits for a coordinator before it runs what `state_dir` holds.
    pub coordinator_wait: Span,
    /// `host:port,host:port` of the Kafka brokers; one is enough, the rest is discovered.
    pub kafka: String,
    /// Further librdkafka settings, `k=v;k=v` (`kafkaglobalconfig` of the reference).
    pub kafka_settings: String,
    /// First part of the topic names, `<host>_<port>`, for projects that do not say.
    pub url_host_port: String,
    /// Port that `GET /SASESP/server` names as `pubsub`; 0: the one in `url_host_port`.
    pub pubsub_port: u16,
    /// Blocks read ahead of each input topic at most; then the topic is paused and Kafka keeps the rest.
    pub numbufferedmsgs: usize,
    /// Bytes read ahead of each input topic at most, and bytes of unsent output at most.
    pub buffer_bytes: Size,
    /// Blocks in one commit at most.
    pub commit_blocks_max: u32,
    /// Events in one commit at most.
    pub commit_events_max: u64,
    /// How long a transaction may take before its outcome counts as unknown and the log decides.
    pub commit_deadline: Span,
    /// How long Kafka leaves a transaction of a dead engine open when nobody fences it.
    pub transaction_timeout: Span,
    /// A standby counts as caught up when it is at most this many commits behind.
    pub caught_up_commits: u64,
    /// Where snapshots are kept, `file:///folder` for one machine, a bucket for more; empty: no snapshots, and a new
    /// engine replays the whole commit log. With them the commit log is trimmed behind the oldest.
    pub snapshot_url: String,
    /// How often a standby makes a snapshot (the active, if no standby does).
    pub snapshot_interval: Span,
    /// How many snapshots of a project are kept.
    pub snapshot_keep: usize,
    /// Folder of the files that the connectors of projects may read and write, on every engine the same contents; empty:
    /// none.
    pub connectors_dir: String,
    /// Addresses that the connectors of projects may use: `host:port` or `host:*` to connect to, `:port` to listen at.
    pub connectors_addresses: Vec<String>,
    /// Hosts that messages of notification windows may be sent to: `host:port` or `host:*` of mail servers and webhooks;
    /// empty: this engine sends none.
    pub notification_addresses: Vec<String>,
    /// `host:port` of the mail server, in the place of the one that a project names.
    pub smtp_server: String,
    /// User at the mail server, in the place of the one that a project names.
    pub smtp_user: String,
    /// File with the password of that user, read for each message.
    pub smtp_password_file: String,
    /// TLS to the mail server: `auto` (465: from the first byte; 587, and wherever a user is named: STARTTLS; else where it
    /// is offered), `tls`, `starttls` or `off`.
    pub smtp_tls: String,
    /// Folder of the files of events that windows could not apply, one for each engine and project; empty: such events are
    /// only logged and counted.
    pub bad_events_dir: String,
    /// Bytes of such a file at most; a full one is kept beside the next.
    pub bad_events_bytes: Size,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            base: Base::default(),
            rest_listen: "127.0.0.1:0".to_owned(),
            elections: Vec::new(),
            state_dir: String::new(),
            coordinator_wait: Span::from_secs(3),
            kafka: "127.0.0.1:9092".to_owned(),
            kafka_settings: String::new(),
            url_host_port: "mesh_31415".to_owned(),
            pubsub_port: 0,
            numbufferedmsgs: 10_000,
            buffer_bytes: Size(32 << 20),
            commit_blocks_max: 32_768,
            commit_events_max: 131_072,
            commit_deadline: Span::from_secs(15),
            transaction_timeout: Span::from_secs(10),
            caught_up_commits: 64,
            snapshot_url: String::new(),
            snapshot_interval: Span::from_secs(300),
            snapshot_keep: 3,
            connectors_dir: String::new(),
            connectors_addresses: Vec::new(),
            notification_addresses: Vec::new(),
            smtp_server: String::new(),
            smtp_user: String::new(),
            smtp_password_file: String::new(),
            smtp_tls: "auto".to_owned(),
            bad_events_dir: String::new(),
            bad_events_bytes: Size(16 << 20),
        }
    }
}

impl Config for EngineConfig {
    const SERVICE: &'static str = "engine";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        problems.check(
            !self.elections.is_empty(),
            "elections",
            "at least one `host:port` of an election service",
            "none",
        );
        problems.check_addresses("elections", self.elections.iter().map(String::as_str));
        problems.check(is_host_port(&self.rest_listen), "rest_listen", "`host:port`", &self.rest_listen);
        problems.check_addresses("kafka", self.kafka.split(','));
        problems.check_read("kafka_settings", "`key=value;key=value`", parse_settings(&self.kafka_settings));
        let first_part = metadata_topic(&self.url_host_port);
        problems.check_read("url_host_port", "`<host>_<port>`, such as `mesh_31415`", first_part);
        problems.check(
            !self.base.coordinators.is_empty(),
            "coordinators",
            "at least one `host:port` of a coordinator, which says what to run",
            "none",
        );
        problems.check(
            self.coordinator_wait.0 <= COORDINATOR_WAIT_MAX,
            "coordinator_wait",
            "at most 10min",
            format!("{:?}", self.coordinator_wait.0),
        );
        problems.check(self.numbufferedmsgs >= 1, "numbufferedmsgs", "a number from 1", self.numbufferedmsgs);
        problems.check(self.buffer_bytes.0 >= 1 << 20, "buffer_bytes", "at least 1MiB", self.buffer_bytes.0);
        problems.check(
            (1..=100_000).contains(&self.commit_blocks_max),
            "commit_blocks_max",
            "a number from 1 to 100000",
            self.commit_blocks_max,
        );
        problems.check_read("snapshot_url", "the URL of a store for snapshots, or nothing", self.snapshots());
        problems.check(
            self.snapshot_interval.0 >= SNAPSHOT_INTERVAL_MIN,
            "snapshot_interval",
            "at least 1s",
            format!("{:?}", self.snapshot_interval.0),
        );
        problems.check(
            (1..=1000).contains(&self.snapshot_keep),
            "snapshot_keep",
            "a number from 1 to 1000",
            self.snapshot_keep,
        );
        problems.check(
            self.connectors_dir.is_empty() || std::path::Path::new(&self.connectors_dir).is_dir(),
            "connectors_dir",
            "a folder that is there, or nothing",
            &self.connectors_dir,
        );
        problems.check(
            self.bad_events_dir.is_empty() || std::path::Path::new(&self.bad_events_dir).is_dir(),
            "bad_events_dir",
            "a folder that is there, or nothing",
            &self.bad_events_dir,
        );
        problems.check(
            self.bad_events_bytes.0 >= 1 << 16,
            "bad_events_bytes",
            "at least 64KiB",
            self.bad_events_bytes.0,
        );
        let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok();
        for address in &self.connectors_addresses {
            let port = address.rsplit_once(':').map(|(_, port)| port);
            let expected = "`host:port`, `host:*` or `:port`";
            problems.check(port.is_some_and(is_port), "connectors_addresses", expected, address);
        }
        for address in &self.notification_addresses {
            let parts = address.rsplit_once(':');
            let fits = parts.is_some_and(|(host, port)| !host.is_empty() && is_port(port));
            problems.check(fits, "notification_addresses", "`host:port` or `host:*`", address);
        }
        problems.check(
            self.smtp_server.is_empty() || is_host_port(&self.smtp_server),
            "smtp_server",
            "`host:port`, or nothing",
            &self.smtp_server,
        );
        problems.check(
            self.smtp_password_file.is_empty() || std::path::Path::new(&self.smtp_password_file).is_file(),
            "smtp_password_file",
            "a file that is there, or nothing",
            &self.smtp_password_file,
        );
        problems.check(self.tls_of_mail().is_some(), "smtp_tls", "`auto`, `tls`, `starttls` or `off`", &self.smtp_tls);
        problems.check(self.commit_events_max >= 1, "commit_events_max", "a number from 1", self.commit_events_max);
    }
}

impl EngineConfig {
    /// What the connectors of projects may touch.
    pub fn permit(&self) -> Permit {
        let folder = (!self.connectors_dir.is_empty()).then(|| self.connectors_dir.clone().into());
        Permit { folder, addresses: self.connectors_addresses.clone() }
    }

    fn tls_of_mail(&self) -> Option<SmtpTls> {
        Some(match self.smtp_tls.as_str() {
            "auto" => SmtpTls::Auto,
            "tls" => SmtpTls::Tls,
            "starttls" => SmtpTls::StartTls,
            "off" => SmtpTls::Off,
            _ => return None,
        })
    }

    /// How messages of notification windows are sent.
    pub fn mail(&self) -> Mail {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let server = self.smtp_server.rsplit_once(':');
        Mail {
            addresses: self.notification_addresses.clone(),
            server: server.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?))),
            user: given(&self.smtp_user),
            password_file: given(&self.smtp_password_file).map(Into::into),
            tls: self.tls_of_mail().unwrap_or_default(),
        }
    }

    /// Where bad events are kept; `None`: nowhere.
    pub fn bad_events(&self) -> Option<BadEventOptions> {
        let (folder, bytes_max) = (self.bad_events_dir.clone().into(), self.bad_events_bytes.0);
        (!self.bad_events_dir.is_empty()).then_some(BadEventOptions { folder, bytes_max })
    }

    /// What the settings say of snapshots; `None`: there are none.
    pub fn snapshots(&self) -> Result<Option<SnapshotOptions>, SnapshotError> {
        if self.snapshot_url.is_empty() {
            return Ok(None);
        }
        let location = Location::parse(&self.snapshot_url)?;
        Ok(Some(SnapshotOptions { location, interval: self.snapshot_interval.0, keep: self.snapshot_keep }))
    }
}
