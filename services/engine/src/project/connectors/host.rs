//! The thread that runs a project's own connectors while the engine leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_bus::Bus;
use mesh_connector::State;
use mesh_connector::notify::Notifier;
use mesh_connector::publish::{self, Publisher, last_offset};
use mesh_connector::subscribe::{self, Subscriber};
use mesh_model::{Direction, Project};
use mesh_proto::engine::ConnectorStatus;

use super::order::{Gates, Reached};
use super::spec::{Spec, Work};
use super::{Permit, Shared};
use crate::project::message::StopFlag;

/// How often it is looked at what is to be started, and what has ended.
const EVERY: Duration = Duration::from_millis(20);
/// Waits before a connector that failed is started again: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Runs the connectors.
pub(in crate::project) struct Host {
    bus: Arc<dyn Bus>,
    permit: Permit,
    trace_ratio: f64,
    gates: Gates,
    slots: Vec<Slot>,
    shared: Shared,
    stop: StopFlag,
}

/// A connector with how it is.
struct Slot {
    spec: Spec,
    phase: Phase,
    progress: Progress,
    /// What it said when it failed last; kept until it works again.
    error: String,
    waits_for: String,
    backoff: Duration,
}

enum Phase {
    /// It has not begun since the engine leads.
    Idle,
    Running(Run),
    /// It failed, and is started again then.
    Failed {
        again: Instant,
    },
    /// It has sent everything, the last at this offset.
    Finished {
        last: Option<u64>,
    },
}

struct Run {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Ended, String>>,
}

/// How a run ended that did not fail.
enum Ended {
    Stopped,
    Finished { last: Option<u64> },
}

/// The counters of the last run.
enum Progress {
    None,
    Publish(Arc<publish::Progress>),
    Subscribe(Arc<subscribe::Progress>),
}

impl Host {
    /// For the connectors of a project; `shared` is what its driver tells.
    pub fn new(
        project: &Project,
        specs: Vec<Spec>,
        bus: Arc<dyn Bus>,
        permit: Permit,
        trace_ratio: f64,
        shared: Shared,
        stop: StopFlag,
    ) -> Host {
        let paths: Vec<&str> = specs.iter().map(|spec| spec.path.as_str()).collect();
        let gates = Gates::new(project, &paths);
        let slots = specs.into_iter().map(Slot::new).collect();
        Host { bus, permit, trace_ratio, gates, slots, shared, stop }
    }

    /// Works until it is stopped; then ends its connectors and waits for them.
    pub fn run(mut self) {
        while !self.stop.is_set() {
            self.turn();
            std::thread::sleep(EVERY);
        }
        for slot in &mut self.slots {
            slot.halt();
        }
        for slot in &mut self.slots {
            if let Phase::Running(run) = std::mem::replace(&mut slot.phase, Phase::Idle) {
                // What it says now changes nothing: the position in the topic, or beside the file, is what counts.
                let _ = run.thread.join();
            }
        }
    }

    fn turn(&mut self) {
        let leads = self.shared.leads();
        let now = Instant::now();
        for slot in &mut self.slots {
            slot.collect(now);
            if !leads {
                slot.halt();
            }
        }
        let reached: Vec<Reached> = self.slots.iter().map(|slot| slot.reached(&self.shared)).collect();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.waits_for.clear();
            let due = match slot.phase {
                Phase::Idle => true,
                Phase::Failed { again } => now >= again,
                Phase::Running(_) | Phase::Finished { .. } => false,
            };
            if !leads || !due {
                continue;
            }
            match self.gates.waits_for(index, &reached) {
                Some(waits_for) => slot.waits_for = waits_for,
                None => slot.start(&self.bus, &self.permit, self.trace_ratio, now),
            }
        }
        self.shared.tell(self.slots.iter().map(|slot| slot.status(leads, &self.shared)).collect());
    }
}

impl Slot {
    fn new(spec: Spec) -> Slot {
        let (phase, progress, backoff) = (Phase::Idle, Progress::None, BACKOFF.0);
        Slot { spec, phase, progress, error: String::new(), waits_for: String::new(), backoff }
    }

    /// The engine leads no more: whoever does runs it now.
    fn halt(&mut self) {
        match &self.phase {
            Phase::Running(run) => run.stop.store(true, Ordering::Relaxed),
            Phase::Idle => {}
            Phase::Failed { .. } | Phase::Finished { .. } => self.phase = Phase::Idle,
        }
    }

    /// Takes the result of a run that has ended.
    fn collect(&mut self, now: Instant) {
        if self.is_working() {
            self.error.clear();
            self.backoff = BACKOFF.0;
        }
        match &self.phase {
            Phase::Running(run) if run.thread.is_finished() => {}
            _ => return,
        }
        let Phase::Running(run) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let path = &self.spec.path;
        match run.thread.join().unwrap_or_else(|_| Err("its thread panicked, see the log".to_owned())) {
            Ok(Ended::Stopped) => tracing::info!(connector = path, "connector stopped"),
            Ok(Ended::Finished { last }) => {
                tracing::info!(connector = path, "connector finished");
                self.error.clear();
                self.phase = Phase::Finished { last };
            }
            Err(_) if run.stop.load(Ordering::Relaxed) => {}
            Err(error) => self.failed(error, now),
        }
    }

    fn failed(&mut self, error: String, now: Instant) {
        if self.error != error {
            tracing::error!(connector = self.spec.path, error, "connector failed, it is tried again");
        }
        self.error = error;
        self.phase = Phase::Failed { again: now + self.backoff };
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    fn start(&mut self, bus: &Arc<dyn Bus>, permit: &Permit, trace_ratio: f64, now: Instant) {
        let work = self.spec.work.clone().and_then(|work| work.permitted(permit));
        let stop = Arc::new(AtomicBool::new(false));
        let begun = work.and_then(|work| self.spawn(work, bus.clone(), trace_ratio, stop.clone()));
        match begun {
            Ok(thread) => {
                tracing::info!(connector = self.spec.path, topic = %self.spec.topic, "connector starts");
                self.phase = Phase::Running(Run { stop, thread });
            }
            Err(error) => self.failed(error, now),
        }
    }

    fn spawn(
        &mut self,
        work: Work,
        bus: Arc<dyn Bus>,
        trace_ratio: f64,
        stop: Arc<AtomicBool>,
    ) -> Result<JoinHandle<Result<Ended, String>>, String> {
        let thread = std::thread::Builder::new().name("connector".to_owned());
        let spawned = match work {
            Work::Publish { options, source } => {
                let publisher =
                    Publisher::new(*options, bus.clone(), trace_ratio).connector(self.spec.path.clone(), source);
                self.progress = Progress::Publish(publisher.progress());
                let topic = self.spec.topic.clone();
                thread.spawn(move || {
                    let summary = publisher.run(&stop).map_err(|error| error.to_string())?;
                    if !summary.finished {
                        return Ok(Ended::Stopped);
                    }
                    let last = last_offset(bus.as_ref(), &topic)
                        .map_err(|error| format!("looking for the end of topic `{topic}`: {error}"))?;
                    Ok(Ended::Finished { last })
                })
            }
            Work::Notify { delivery } => {
                let notifier = Notifier::new(bus, self.spec.topic.clone(), *delivery);
                self.progress = Progress::Subscribe(notifier.progress());
                thread.spawn(move || notifier.run(&stop).map(|()| Ended::Stopped))
            }
            Work::Subscribe { options } => {
                let ends = options.events_max.is_some();
                let subscriber = Subscriber::new(*options, bus).one_of_a_group();
                self.progress = Progress::Subscribe(subscriber.progress());
                thread.spawn(move || {
                    subscriber.run(&stop).map_err(|error| error.to_string())?;
                    let stopped = stop.load(Ordering::Relaxed) || !ends;
                    Ok(if stopped { Ended::Stopped } else { Ended::Finished { last: None } })
                })
            }
        };
        spawned.map_err(|error| format!("starting its thread: {error}"))
    }

    /// It has found schema and position and carries events.
    fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
            && match &self.progress {
                Progress::None => false,
                Progress::Publish(progress) => progress.state() == State::Running,
                Progress::Subscribe(progress) => progress.state() == State::Running,
            }
    }

    fn reached(&self, shared: &Shared) -> Reached {
        let applied = |last: Option<u64>| match (last, self.spec.input) {
            (Some(offset), Some(input)) => shared.is_applied(input, offset),
            _ => true,
        };
        match self.phase {
            Phase::Finished { last } if applied(last) => Reached::Finished,
            Phase::Finished { .. } => Reached::Running,
            _ if self.is_working() => Reached::Running,
            _ => Reached::Nothing,
        }
    }

    fn status(&self, leads: bool, shared: &Shared) -> ConnectorStatus {
        let state = match &self.phase {
            _ if !leads => "standby",
            Phase::Idle => "waiting",
            Phase::Running(_) if self.is_working() => "running",
            Phase::Running(_) => "starting",
            Phase::Failed { .. } => "failed",
            Phase::Finished { .. } if self.reached(shared) == Reached::Finished => "finished",
            Phase::Finished { .. } => "finishing",
        };
        let (events, total, bad_events, sequence) = match &self.progress {
            Progress::None => (0, 0, 0, 0),
            Progress::Publish(progress) => {
                let seen = progress.snapshot();
                (seen.events, seen.source_events, seen.bad_events, 0)
            }
            Progress::Subscribe(progress) => {
                let seen = progress.snapshot();
                (seen.events, seen.sink_events, 0, seen.sequence)
            }
        };
        ConnectorStatus {
            connector: self.spec.path.clone(),
            class: self.spec.class.clone(),
            publishes: self.spec.direction == Direction::Publish,
            state: state.to_owned(),
            endpoint: self.spec.endpoint.clone(),
            topic: self.spec.topic.to_string(),
            events,
            events_total: total,
            bad_events,
            error: self.error.clone(),
            waits_for: self.waits_for.clone(),
            sequence,
        }
    }
}
