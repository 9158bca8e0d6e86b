//! The metrics of a project on this engine.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::engine::{ProjectStatus, TakeoverStatus};
use mesh_replication::engine::CommitFailure;
use mesh_service::Metrics;
use mesh_service::metrics::{Counter, Gauge, GaugeF64, Histogram};

/// Handles of a project's metrics.
pub struct Meters {
    events_in: Counter,
    blocks_in: Counter,
    apply_seconds: Histogram,
    events_out: Counter,
    commits: Counter,
    commit_seconds: Histogram,
    fenced: Counter,
    lost: Counter,
    bad_blocks: Counter,
    takeovers: Counter,
    takeover_seconds: Histogram,
    step_seconds: [Histogram; 3],
    recoveries: Counter,
    recovery_seconds: Histogram,
    role: Gauge,
    term: Gauge,
    lag: Gauge,
    lag_seconds: GaugeF64,
    buffered: Gauge,
    fill: GaugeF64,
    blocks_max: usize,
    rows: Gauge,
    bytes: Gauge,
    bad_events: Gauge,
    snapshot_age: GaugeF64,
    counted: (u64, u64),
    metrics: Metrics,
    project: String,
    connectors: BTreeMap<String, ConnectorMeters>,
}

/// Handles of the metrics of one of the project's own connectors.
struct ConnectorMeters {
    events: Gauge,
    bad_events: Gauge,
    failed: Gauge,
    sequence: Gauge,
}

impl Meters {
    /// Registers the metrics of a project, which reads at most `blocks_max` blocks of each input ahead.
    pub fn new(metrics: &Metrics, project: &str, blocks_max: usize) -> Meters {
        let labels = [("project", project)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let gauge = |name, help| metrics.gauge(name, help, &labels);
        Meters {
            events_in: counter("esp_engine_events_in", "Events applied"),
            blocks_in: counter("esp_engine_blocks_in", "Input blocks applied"),
            apply_seconds: metrics.seconds(
                "esp_engine_apply_seconds",
                "Duration of one step that applies blocks, up to 256 of them",
                &labels,
            ),
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
            step_seconds: ["fence", "read", "open"].map(|step| {
                let labels = [("project", project), ("step", step)];
                metrics.seconds("esp_engine_takeover_step_seconds", "Duration of one step of a takeover", &labels)
            }),
            recoveries: counter("esp_engine_recoveries", "Times that an empty state caught up with the log"),
            recovery_seconds: metrics.seconds(
                "esp_engine_recovery_seconds",
                "From an empty state to one as fresh as the log",
                &labels,
            ),
            role: gauge(
                "esp_engine_role",
                "0 unknown, 1 recovering, 2 standby, 3 taking over, 4 active, 5 quarantined",
            ),
            term: gauge("esp_engine_term", "Term the engine works in"),
            lag: gauge("esp_engine_lag_commits", "Commits in the log that are not applied"),
            lag_seconds: metrics.gauge_f64(
                "esp_engine_lag_seconds",
                "For how long the oldest commit that is not applied has been known",
                &labels,
            ),
            buffered: gauge("esp_engine_buffered_blocks", "Input blocks read ahead"),
            fill: metrics.gauge_f64(
                "esp_engine_buffer_fill_ratio",
                "Blocks read ahead of the fullest input, as a share of `numbufferedmsgs`",
                &labels,
            ),
            blocks_max,
            rows: gauge("esp_engine_window_rows", "Rows held by all windows"),
            bytes: gauge("esp_engine_window_bytes", "Memory of the rows held by all windows"),
            bad_events: gauge(
                "esp_engine_bad_events",
                "Events that windows could not apply, since the start of the input",
            ),
            snapshot_age: metrics.gauge_f64(
                "esp_engine_snapshot_age_seconds",
                "Since the newest snapshot of any engine; 0 without snapshots, or when nothing was committed since",
                &labels,
            ),
            counted: (0, 0),
            metrics: metrics.clone(),
            project: project.to_owned(),
            connectors: BTreeMap::new(),
        }
    }

    /// Blocks of an input were applied in one step.
    pub fn applied(&self, blocks: u32, took: Duration) {
        self.blocks_in.inc_by(u64::from(blocks));
        self.apply_seconds.observe(took.as_secs_f64());
    }

    /// An empty state has caught up.
    pub fn recovered(&self, took: Duration) {
        self.recoveries.inc();
        self.recovery_seconds.observe(took.as_secs_f64());
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
        for (step, micros) in self.step_seconds.iter().zip([takeover.fence_us, takeover.read_us, takeover.open_us]) {
            step.observe(Duration::from_micros(micros).as_secs_f64());
        }
    }

    /// Brings gauges and counters to what a report says.
    pub fn show(&mut self, report: &ProjectStatus) {
        self.events_in.inc_by(report.events_in - self.counted.0);
        self.events_out.inc_by(report.events_out - self.counted.1);
        self.counted = (report.events_in, report.events_out);
        self.role.set(i64::from(report.role));
        self.term.set(report.term as i64);
        self.lag.set(report.lag_commits as i64);
        self.lag_seconds.set(Duration::from_millis(report.lag_ms).as_secs_f64());
        self.buffered.set(report.inputs.iter().map(|input| input.buffered_blocks as i64).sum());
        let fullest = report.inputs.iter().map(|input| input.buffered_blocks).max().unwrap_or(0);
        self.fill.set(fullest as f64 / self.blocks_max.max(1) as f64);
        self.rows.set(report.windows.iter().map(|window| window.rows as i64).sum());
        self.bytes.set(report.windows.iter().map(|window| window.bytes as i64).sum());
        self.bad_events.set(report.windows.iter().map(|window| window.bad_events as i64).sum());
        for connector in &report.connectors {
            let meters = self.connectors.entry(connector.connector.clone()).or_insert_with(|| {
                let labels = [("project", self.project.as_str()), ("connector", connector.connector.as_str())];
                let gauge = |name, help| self.metrics.gauge(name, help, &labels);
                ConnectorMeters {
                    events: gauge(
                        "esp_engine_connector_events",
                        "Events that a connector of the project has carried in all, where this engine runs it",
                    ),
                    bad_events: gauge(
                        "esp_engine_connector_bad_events",
                        "Lines that a connector could not read and left out, since it was started last",
                    ),
                    failed: gauge(
                        "esp_engine_connector_failed",
                        "1 while a connector of the project does not work, and is tried again",
                    ),
                    sequence: gauge(
                        "esp_engine_connector_sequence",
                        "Sequence of the last output block that is in the sink of a connector",
                    ),
                }
            });
            meters.events.set(connector.events_total.max(connector.events) as i64);
            meters.bad_events.set(connector.bad_events as i64);
            meters.failed.set(i64::from(connector.state == "failed"));
            meters.sequence.set(connector.sequence as i64);
        }
        let age_ms = report.snapshots.as_ref().map_or(0, |snapshots| snapshots.age_ms);
        self.snapshot_age.set(Duration::from_millis(age_ms).as_secs_f64());
    }
}
