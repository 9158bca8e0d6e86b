//! A takeover as it is measured: when its steps were done, and the trace that it leaves.
//!
//! The trace is one of its own, with a span a step and a link to the last traced block that this engine had applied when
//! its term opened: the block that was in flight.

use std::time::{Instant, SystemTime};

use mesh_proto::engine::TakeoverStatus;
use mesh_replication::Term;
use mesh_service::telemetry::{Attribute, event_span, span_at};

/// When the steps of a takeover were done.
#[derive(Debug)]
pub struct Takeover {
    /// The term that was granted.
    pub term: Term,
    reason: String,
    at_grant: Progress,
    at_read: Progress,
    granted: Instant,
    fenced: Instant,
    read: Instant,
}

/// How far an engine was at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Commits applied.
    pub commits: u64,
    /// Events applied since the start.
    pub events: u64,
}

impl Progress {
    /// What was applied since an earlier moment; a rebuild in between begins at less.
    fn since(self, earlier: Progress) -> Progress {
        Progress {
            commits: self.commits.saturating_sub(earlier.commits),
            events: self.events.saturating_sub(earlier.events),
        }
    }
}

impl Takeover {
    /// A term was granted to an engine that is this far.
    pub fn granted(term: Term, reason: String, at_grant: Progress) -> Takeover {
        let now = Instant::now();
        Takeover { term, reason, at_grant, at_read: at_grant, granted: now, fenced: now, read: now }
    }

    /// The predecessor is fenced.
    pub fn fenced(&mut self) {
        self.fenced = Instant::now();
    }

    /// The log is read to its end and applied, and with it this much.
    pub fn read(&mut self, at_read: Progress) {
        self.read = Instant::now();
        self.at_read = at_read;
    }

    /// The term is open: what it took, step by step, and the ID of its trace if traces are on. `last_commit` is when the
    /// predecessor's last commit was heard.
    pub fn opened(
        self,
        project: &str,
        in_flight: Option<&str>,
        last_commit: Option<Instant>,
    ) -> (TakeoverStatus, Option<String>) {
        let now = Instant::now();
        let steps = [
            ("engine.takeover.fence", self.granted, self.fenced),
            ("engine.takeover.read", self.fenced, self.read),
            ("engine.takeover.open", self.read, now),
        ];
        let trace = self.trace(project, in_flight, &steps, now);
        let [fence_us, read_us, open_us] = steps.map(|(_, from, to)| to.duration_since(from).as_micros() as u64);
        let gap_us = last_commit.map_or(0, |heard| now.duration_since(heard).as_micros() as u64);
        let Progress { commits: commits_replayed, events: events_replayed } = self.at_read.since(self.at_grant);
        let (term, reason) = (self.term.0, self.reason);
        let status =
            TakeoverStatus { term, fence_us, read_us, open_us, reason, gap_us, events_replayed, commits_replayed };
        (status, trace)
    }

    fn trace(
        &self,
        project: &str,
        in_flight: Option<&str>,
        steps: &[(&'static str, Instant, Instant)],
        now: Instant,
    ) -> Option<String> {
        let wall = wall_clock(now);
        let attributes = [
            Attribute::text("esp.project", project),
            Attribute::number("esp.term", self.term.0),
            Attribute::text("esp.reason", self.reason.as_str()),
        ];
        let mut root = event_span("engine.takeover", wall(self.granted), &attributes);
        if let Some(block) = in_flight {
            root.link(block);
        }
        let parent = root.traceparent();
        for &(name, from, to) in steps {
            span_at(name, parent.as_deref(), Some(wall(from)), &[]).end_at(wall(to));
        }
        let id = root.trace_id();
        root.end_at(wall(now));
        id
    }
}

/// A recovery as it is measured: from the start of the project, or from a rebuild, to the first standby or active role.
#[derive(Debug)]
pub struct Recovery {
    reason: String,
    began: Instant,
}

impl Recovery {
    /// The state is empty, for this reason.
    pub fn begun(reason: impl Into<String>) -> Recovery {
        Recovery { reason: reason.into(), began: Instant::now() }
    }

    /// The state is at this commit, as fresh as the log: leaves a trace, and tells how long it took.
    pub fn done(self, project: &str, commit: u64) -> std::time::Duration {
        let now = Instant::now();
        let wall = wall_clock(now);
        let attributes = [
            Attribute::text("esp.project", project),
            Attribute::text("esp.reason", self.reason.as_str()),
            Attribute::number("esp.commit", commit),
        ];
        let root = event_span("engine.recovery", wall(self.began), &attributes);
        let parent = root.traceparent();
        span_at("engine.recovery.replay", parent.as_deref(), Some(wall(self.began)), &[]).end_at(wall(now));
        root.end_at(wall(now));
        now.duration_since(self.began)
    }
}

/// Turns instants up to `now` into times of day.
fn wall_clock(now: Instant) -> impl Fn(Instant) -> SystemTime {
    let wall = SystemTime::now();
    move |instant| wall - now.duration_since(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_takeover_add_up_to_the_whole() {
        let at = |commits, events| Progress { commits, events };
        let mut takeover = Takeover::granted(Term(7), "`engine-1` crashed".to_owned(), at(10, 1000));
        let before = takeover.granted;
        takeover.fenced();
        takeover.read(at(12, 1064));
        let (status, trace) = takeover.opened("weather", None, Some(before));
        let whole = before.elapsed().as_micros() as u64;
        assert_eq!((status.term, status.reason.as_str()), (7, "`engine-1` crashed"));
        assert!(status.fence_us + status.read_us + status.open_us <= whole);
        assert!(status.gap_us <= whole && status.gap_us >= status.fence_us + status.read_us + status.open_us);
        assert_eq!((status.commits_replayed, status.events_replayed), (2, 64));
        assert_eq!(trace, None, "traces are off");
    }
}
