//! Settings that every service has.

use serde::{Deserialize, Serialize};

use super::{AuthConfig, Problems, TlsConfig};
use crate::security::Security;
use crate::units::Span;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Settings that every service has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Base {
    /// Name of this instance, unique in the mesh and the same after a restart; empty: the service and its port.
    pub name: String,
    /// `host:port` of the gRPC server; port 0 takes a free one.
    pub listen: String,
    /// `host:port` of the admin server (`/metrics`, `/healthz`, `/readyz`); port 0 takes a free one.
    pub admin_listen: String,
    /// The admin server asks for the same as the others: TLS where `tls.cert` is set, and where `auth.tokens` is set a
    /// token with the role `view` for `/metrics`; false: it is plain and open.
    pub admin_secured: bool,
    /// `host:port` under which others reach the gRPC server; empty: the address it listens on.
    pub advertise: String,
    /// `host:port` of the coordinators; empty: none is told that this process is there.
    pub coordinators: Vec<String>,
    /// What is logged, as in `info,mesh_engine=debug`.
    pub log: String,
    /// How log lines look: `human` or `json`.
    pub log_format: LogFormat,
    /// OTLP/gRPC collector for traces, as in `http://127.0.0.1:4317`; empty: no traces.
    pub otlp_endpoint: String,
    /// Share of the blocks whose way is traced, 0 to 1; decided once, where a block enters the mesh.
    pub trace_ratio: f64,
    /// How long a drain may take before the process ends anyway.
    pub grace: Span,
    /// Requests that one connection may have in work at a time; more are refused.
    pub requests_max: usize,
    /// Connections that each server may have open at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Requests in a second that one connection may ask for; more are refused, with when to try again.
    pub connection_rate_max: u32,
    /// Requests in a second that each server takes altogether; more are refused, but for the mesh's own.
    pub server_rate_max: u32,
    /// How long a request may take when its caller names no deadline.
    pub request_timeout: Span,
    /// How often the files of `tls.*` and `auth.*` are looked at for renewed ones; SIGHUP has it done at once.
    pub renew_interval: Span,
    /// Certificates: who this process is, and whom it trusts.
    pub tls: TlsConfig,
    /// Tokens: who may do what.
    pub auth: AuthConfig,
}

impl Default for Base {
    fn default() -> Self {
        Base {
            name: String::new(),
            listen: "127.0.0.1:0".to_owned(),
            admin_listen: "127.0.0.1:0".to_owned(),
            admin_secured: false,
            advertise: String::new(),
            coordinators: Vec::new(),
            log: "info".to_owned(),
            log_format: LogFormat::Human,
            otlp_endpoint: String::new(),
            trace_ratio: 0.01,
            grace: Span::from_secs(10),
            requests_max: 256,
            connections_max: 1024,
            connection_rate_max: 1000,
            server_rate_max: 5000,
            request_timeout: Span::from_secs(10),
            renew_interval: Span::from_secs(10),
            tls: TlsConfig::default(),
            auth: AuthConfig::default(),
        }
    }
}

impl Base {
    pub(super) fn validate(&self, problems: &mut Problems) {
        for (setting, value) in [("listen", &self.listen), ("admin_listen", &self.admin_listen)] {
            problems.check(is_host_port(value), setting, "`host:port`, such as `127.0.0.1:0`", value);
        }
        if !self.advertise.is_empty() {
            problems.check(is_host_port(&self.advertise), "advertise", "`host:port`", &self.advertise);
        }
        problems.check_addresses("coordinators", self.coordinators.iter().map(String::as_str));
        problems.check(
            (0.0..=1.0).contains(&self.trace_ratio),
            "trace_ratio",
            "a number from 0 to 1",
            self.trace_ratio,
        );
        problems.check(
            self.otlp_endpoint.is_empty()
                || self.otlp_endpoint.starts_with("http://")
                    && is_host_port(self.otlp_endpoint["http://".len()..].trim_end_matches('/')),
            "otlp_endpoint",
            "`http://host:port`",
            &self.otlp_endpoint,
        );
        problems.check(self.requests_max > 0, "requests_max", "at least 1", self.requests_max);
        problems.check(!self.grace.0.is_zero(), "grace", "more than 0", self.grace);
        problems.check(!self.request_timeout.0.is_zero(), "request_timeout", "more than 0", self.request_timeout);
        let most = tokio::sync::Semaphore::MAX_PERMITS;
        problems.check(
            (1..=most).contains(&self.connections_max),
            "connections_max",
            "at least 1",
            self.connections_max,
        );
        for (setting, rate) in
            [("connection_rate_max", self.connection_rate_max), ("server_rate_max", self.server_rate_max)]
        {
            problems.check(rate > 0, setting, "at least 1", rate);
        }
        let shortest = std::time::Duration::from_millis(100);
        problems.check(self.renew_interval.0 >= shortest, "renew_interval", "at least 100ms", self.renew_interval);
        problems.check(
            !self.admin_secured || !self.tls.cert.is_empty() || !self.auth.tokens.is_empty(),
            "admin_secured",
            "false, as long as neither `tls.cert` nor `auth.tokens` is set: there is nothing to ask for",
            self.admin_secured,
        );
        problems.check(
            !self.admin_secured || self.tls.cert.is_empty() || !self.tls.ca.is_empty(),
            "tls.ca",
            "the authorities of the mesh, since `admin_secured` is set: `--probe` asks this server over TLS",
            &self.tls.ca,
        );
        Security::load(self, problems);
        if let Err(error) = self.log.parse::<tracing_subscriber::filter::Targets>() {
            problems.check(false, "log", "levels as in `info,mesh_engine=debug`", format!("{}: {error}", self.log));
        }
    }
}

/// True for `host:port`.
pub fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', ';', ',', ' ', '@']) && port.parse::<u16>().is_ok()
    })
}
