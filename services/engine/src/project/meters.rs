//! The metrics of a project on this engine.

use std::time::Duration;

use mesh_proto::engine::{ProjectStatus, TakeoverStatus};
use mesh_replication::engine::CommitFailure;
use mesh_service::Metrics;
use mesh_service::metrics::{Counter, Gauge, Histogram};

/// Handles of a project's metrics.
pub struct Meters {
    events_in: Counter,
    events_out: Counter,
    commits: Counter,
    commit_seconds: Histogram,
    fenced: Counter,
    lost: Counter,
    bad_blocks: Counter,
    takeovers: Counter,
    takeover_seconds: Histogram,
    role: Gauge,
    term: Gauge,
    lag: Gauge,
    buffered: Gauge,
    rows: Gauge,
    counted: (u64, u64),
}

impl Meters {
    /// Registers the metrics of a project.
    pub fn new(metrics: &Metrics, project: &str) -> Meters {
        let labels = [("project", project)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let gauge = |name, help| metrics.gauge(name, help, &labels);
        Meters {
            events_in: counter("esp_engine_events_in", "Events applied"),
            events_out: counter("esp_engine_events_out", "Events handed to a commit"),
            commits: counter("esp_engine_commits", "Transactions committed"),
            commit_seconds: metrics.seconds(
                "esp_engine_commit_seconds",
                "Duration of a committed transaction",
                &labels,
            ),
            fenced: counter("esp_engine_commits_fenced", "Commits refused because another engine had fenced this one"),
            lost: counter("esp_engine_commits_lost", "Commits whose outcome was unknown"),
            bad_blocks: counter("esp_engine_bad_blocks", "Input records that could not be decoded"),
            takeovers: counter("esp_engine_takeovers", "Terms opened"),
            takeover_seconds: metrics.seconds("esp_engine_takeover_seconds", "From grant to opened term", &labels),
            role: gauge(
                "esp_engine_role",
                "0 unknown, 1 recovering, 2 standby, 3 taking over, 4 active, 5 quarantined",
            ),
            term: gauge("esp_engine_term", "Term the engine works in"),
            lag: gauge("esp_engine_lag_commits", "Commits in the log that are not applied"),
            buffered: gauge("esp_engine_buffered_blocks", "Input blocks read ahead"),
            rows: gauge("esp_engine_window_rows", "Rows held by all windows"),
            counted: (0, 0),
        }
    }

    /// A transaction was committed.
    pub fn committed(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A commit failed.
    pub fn commit_failed(&self, failure: &CommitFailure) {
        match failure {
            CommitFailure::Fenced => self.fenced.inc(),
            CommitFailure::Lost { .. } => self.lost.inc(),
        };
    }

    /// An input record could not be decoded.
    pub fn bad_block(&self) {
        self.bad_blocks.inc();
    }

    /// A term was opened.
    pub fn took_over(&self, takeover: &TakeoverStatus) {
        self.takeovers.inc();
        let micros = takeover.fence_us + takeover.read_us + takeover.open_us;
        self.takeover_seconds.observe(Duration::from_micros(micros).as_secs_f64());
    }

    /// Brings gauges and counters to what a report says.
    pub fn show(&mut self, report: &ProjectStatus) {
        self.events_in.inc_by(report.events_in - self.counted.0);
        self.events_out.inc_by(report.events_out - self.counted.1);
        self.counted = (report.events_in, report.events_out);
        self.role.set(i64::from(report.role));
        self.term.set(report.term as i64);
        self.lag.set(report.lag_commits as i64);
        self.buffered.set(report.inputs.iter().map(|input| input.buffered_blocks as i64).sum());
        self.rows.set(report.windows.iter().map(|window| window.rows as i64).sum());
    }
}
