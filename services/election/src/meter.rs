//! Metrics of a group, and its lines in the log.

use std::sync::atomic::{AtomicBool, Ordering};

use mesh_replication::election::{GroupView, Note};
use mesh_service::Metrics;
use mesh_service::metrics::{Counter, Gauge};

/// What is counted of one group.
pub(crate) struct Meter {
    group: String,
    /// A candidate was seen since this instance started.
    inhabited: AtomicBool,
    term: Gauge,
    candidates: Gauge,
    pub grants: Counter,
    elections: Counter,
    suspicions: Counter,
    refuted: Counter,
    conflicts: Counter,
    unknown: Counter,
    stalls: Counter,
    leaderless: Gauge,
    paused: Gauge,
    drained: Gauge,
}

impl Meter {
    pub fn new(metrics: &Metrics, group: &str) -> Self {
        let labels = [("group", group)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let gauge = |name, help| metrics.gauge(name, help, &labels);
        Self {
            group: group.to_owned(),
            inhabited: AtomicBool::new(false),
            term: gauge("esp_election_term", "Term of the group"),
            candidates: gauge("esp_election_candidates", "Candidates of the group, at any instance"),
            leaderless: gauge("esp_election_leader_to_be_replaced", "1 while the leader has failed and nobody follows"),
            paused: gauge("esp_election_paused", "1 while nobody is elected, except by a promotion"),
            drained: gauge("esp_election_drained", "Candidates that shall not lead"),
            grants: counter("esp_election_grants", "Grants sent by this instance"),
            elections: counter("esp_election_terms_begun", "Terms begun by this instance"),
            suspicions: counter("esp_election_suspicions", "Leaders suspected by this instance"),
            refuted: counter("esp_election_suspicions_refuted", "Suspicions that were wrong in time"),
            conflicts: counter("esp_election_cas_conflicts", "Leader records for which another instance was faster"),
            unknown: counter(
                "esp_election_cas_unknown",
                "Leader records of which nobody knows whether they were written",
            ),
            stalls: counter("esp_election_own_stalls", "Times that this instance itself stood still"),
        }
    }

    pub fn view(&self, view: &GroupView) {
        let term = view.leader.as_ref().map_or(0, |record| record.term.0);
        self.term.set(i64::try_from(term).unwrap_or(i64::MAX));
        self.candidates.set(i64::try_from(view.candidates.len()).unwrap_or(i64::MAX));
        if !view.candidates.is_empty() {
            self.inhabited.store(true, Ordering::Relaxed);
        }
        self.leaderless.set(view.deposed.is_some().into());
        self.paused.set(view.maintenance.paused.is_some().into());
        self.drained.set(i64::try_from(view.maintenance.drained.len()).unwrap_or(i64::MAX));
    }

    pub fn note(&self, note: Note) {
        let group = &self.group;
        match note {
            // The record of a mesh that ended long ago is still in ZooKeeper: nobody waits for its leader.
            Note::Deposed { .. } | Note::NobodyCanLead { .. } | Note::Paused { .. }
                if !self.inhabited.load(Ordering::Relaxed) =>
            {
                tracing::debug!(group, "the group has a leader record and no candidate since this instance started");
            }
            Note::Deposed { term, candidate, reason, suspicion } => {
                if suspicion {
                    self.suspicions.inc();
                }
                tracing::warn!(group, %term, candidate, reason, suspicion, "the leader is to be replaced");
            }
            Note::Cleared { term, candidate } => {
                self.refuted.inc();
                tracing::info!(group, %term, candidate, "the leader shows signs of life again and leads on");
            }
            Note::Elected { term, candidate, reason } => {
                self.elections.inc();
                tracing::info!(group, %term, candidate, reason, "elected");
            }
            Note::Conflict { term } => {
                self.conflicts.inc();
                tracing::info!(group, %term, "another instance was faster");
            }
            Note::Unknown { term } => {
                self.unknown.inc();
                tracing::warn!(group, %term, "ZooKeeper did not say whether the leader record was written; reading it again");
            }
            Note::NobodyCanLead { reason } => {
                tracing::error!(group, reason, "a leader is needed, and no candidate is caught up");
            }
            Note::Paused { reason } => {
                tracing::error!(
                    group,
                    reason,
                    "a leader is needed, and the group is paused: promote an engine, or resume"
                );
            }
            Note::Stalled { millis } => {
                self.stalls.inc();
                tracing::warn!(group, millis, "this instance stood still; every candidate gets a fresh start");
            }
            Note::Gone { candidate, reason } => tracing::info!(group, candidate, reason, "candidate is gone"),
            // said once for all groups by the hub
            Note::SessionLost | Note::SessionBack => {}
        }
    }
}
