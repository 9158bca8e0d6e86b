//! The settings of the election service.

use std::time::Duration;

use mesh_replication::election::{TICK, Timing};
use mesh_service::config::{ClientTls, is_host_port};
use mesh_service::security::ClientPem;
use mesh_service::{Base, Config, Problems, Span};
use serde::{Deserialize, Serialize};

/// Settings of the election service. Every time is safe at any value: a wrong one costs switches or seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ElectionConfig {
    /// Settings that every service has.
    #[serde(flatten)]
    pub base: Base,
    /// ZooKeeper.
    pub zookeeper: ZookeeperConfig,
    /// Silence after which a candidate counts as hung; at least four of its signs of life (one per 100 ms).
    pub hang_timeout: Span,
    /// Longest wait for a connect to a candidate whose stream has broken.
    pub probe_timeout: Span,
    /// Wait for more candidates before the first leader of a group is chosen.
    pub settle: Span,
    /// Shortest time between a grant and a change that only a suspicion speaks for.
    pub minimum_term: Span,
    /// A leader that cannot reach its bus for this long is replaced by a candidate that can.
    pub cut_off_timeout: Span,
    /// A leader that has not taken over by then is replaced by another candidate.
    pub takeover_timeout: Span,
    /// After ZooKeeper is back, a leader without a node is waited for this long.
    pub return_grace: Span,
    /// Longest wait for a handover.
    pub handover_timeout: Span,
    /// First hold-off of a candidate that has failed as leader; doubles with each failure.
    pub hold_off_first: Span,
    /// Longest hold-off.
    pub hold_off_most: Span,
}

/// How ZooKeeper is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZookeeperConfig {
    /// Servers, `host:port,host:port/chroot`.
    pub hosts: String,
    /// Silence after which ZooKeeper gives this instance up, and with it the nodes of its candidates;
    /// ZooKeeper allows 2 to 20 times its tickTime.
    pub session_timeout: Span,
    /// Longest wait for a reply.
    pub call_timeout: Span,
    /// Certificates, where ZooKeeper takes only TLS (its `secureClientPort`).
    pub tls: ClientTls,
}

impl Default for ZookeeperConfig {
    fn default() -> Self {
        Self {
            hosts: "127.0.0.1:2181".into(),
            session_timeout: Span::from_secs(1),
            call_timeout: Span::from_secs(1),
            tls: ClientTls::default(),
        }
    }
}

impl Default for ElectionConfig {
    fn default() -> Self {
        let timing = Timing::default();
        Self {
            base: Base::default(),
            zookeeper: ZookeeperConfig::default(),
            hang_timeout: Span(timing.hang),
            probe_timeout: Span::from_millis(100),
            settle: Span(timing.settle),
            minimum_term: Span(timing.minimum_term),
            cut_off_timeout: Span(timing.cut_off),
            takeover_timeout: Span(timing.takeover),
            return_grace: Span(timing.return_grace),
            handover_timeout: Span(timing.handover),
            hold_off_first: Span(timing.hold_off_first),
            hold_off_most: Span(timing.hold_off_most),
        }
    }
}

impl ElectionConfig {
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            hang: self.hang_timeout.0,
            settle: self.settle.0,
            minimum_term: self.minimum_term.0,
            cut_off: self.cut_off_timeout.0,
            takeover: self.takeover_timeout.0,
            return_grace: self.return_grace.0,
            handover: self.handover_timeout.0,
            hold_off_first: self.hold_off_first.0,
            hold_off_most: self.hold_off_most.0,
            ..Timing::default()
        }
    }
}

/// The most that any of the times may be; a longer one is a slip of the unit.
const LONGEST: Duration = Duration::from_secs(600);

impl Config for ElectionConfig {
    const SERVICE: &'static str = "election";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        let hosts = self.zookeeper.hosts.split('/').next().unwrap_or_default();
        let good = hosts.split(',').all(|host| is_host_port(host.trim()));
        problems.check(good, "zookeeper.hosts", "`host:port,host:port/chroot`", &self.zookeeper.hosts);
        ClientPem::load("zookeeper.tls", &self.zookeeper.tls, problems);
        let session = self.zookeeper.session_timeout;
        let in_bounds = (Duration::from_millis(200)..=Duration::from_secs(60)).contains(&session.0);
        problems.check(
            in_bounds,
            "zookeeper.session_timeout",
            "200 ms to 60 s (2 to 20 times ZooKeeper's tickTime)",
            session,
        );
        let shortest_hang = TICK * 5;
        let times = [
            ("zookeeper.call_timeout", self.zookeeper.call_timeout, Duration::from_millis(10)),
            ("hang_timeout", self.hang_timeout, shortest_hang),
            ("probe_timeout", self.probe_timeout, Duration::from_millis(1)),
            ("settle", self.settle, Duration::ZERO),
            ("minimum_term", self.minimum_term, Duration::ZERO),
            ("cut_off_timeout", self.cut_off_timeout, shortest_hang),
            ("takeover_timeout", self.takeover_timeout, shortest_hang),
            ("return_grace", self.return_grace, Duration::ZERO),
            ("handover_timeout", self.handover_timeout, shortest_hang),
            ("hold_off_first", self.hold_off_first, Duration::ZERO),
            ("hold_off_most", self.hold_off_most, Duration::ZERO),
        ];
        for (setting, span, shortest) in times {
            let expected = format!("{shortest:?} to {LONGEST:?}");
            problems.check((shortest..=LONGEST).contains(&span.0), setting, &expected, span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_wrong_setting_is_named() {
        let mut problems = Problems::default();
        ElectionConfig::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems}");

        let wrong = ElectionConfig {
            zookeeper: ZookeeperConfig { hosts: "zk1".into(), ..ZookeeperConfig::default() },
            hang_timeout: Span::from_millis(10),
            ..ElectionConfig::default()
        };
        wrong.validate(&mut problems);
        let text = problems.to_string();
        for part in ["zookeeper.hosts", "`zk1`", "host:port,host:port/chroot", "hang_timeout", "100ms"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
