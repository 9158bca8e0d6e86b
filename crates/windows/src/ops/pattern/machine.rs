//! The logic of a pattern as a machine: how far an instance is, and what an event or the passing of time makes of it.

use mesh_model::PatternLogic;

/// One operator or event of the logic; its parts stand in front of it.
#[derive(Debug, Clone)]
enum Part {
    Event(usize),
    Fby { span_us: Option<i64>, parts: Vec<usize> },
    And(Vec<usize>),
    Or(Vec<usize>),
    NotOccur(usize),
    Not(usize),
    Is { times: u32, part: usize },
}

/// The logic, flat.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    parts: Vec<Part>,
}

/// How far an instance is with one part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// It is complete.
    pub done: bool,
    /// Parts or events so far.
    pub count: u32,
    /// Time of the last of them.
    pub time: i64,
}

/// What becomes of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on.
    Open,
    /// It is complete.
    Done,
    /// It can never be complete.
    Dead,
}

/// Time before the clock started.
pub(crate) const UNSTAMPED: i64 = i64::MAX;

/// Matches events of the logic against the event at hand; a match binds and captures.
pub(crate) type Matches<'a> = dyn FnMut(usize) -> bool + 'a;

impl Machine {
    pub(crate) fn new(logic: &PatternLogic) -> Machine {
        let mut parts = Vec::new();
        flatten(logic, &mut parts);
        Machine { parts }
    }

    /// Number of its parts.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    fn root(&self) -> usize {
        self.parts.len() - 1
    }

    /// True when an event has moved an instance.
    pub(crate) fn has_begun(&self, progress: &[Progress]) -> bool {
        progress.iter().any(|progress| progress.done || progress.count > 0)
    }

    /// True when no part is further than it is long: what a restore must not take.
    pub(crate) fn is_possible(&self, progress: &[Progress]) -> bool {
        self.parts.iter().zip(progress).all(|(part, progress)| match part {
            Part::Fby { parts, .. } => progress.done || (progress.count as usize) < parts.len(),
            Part::Is { times, .. } => progress.count <= *times,
            _ => true,
        })
    }

    /// What an event at `time` makes of an instance whose time is up to date.
    pub(crate) fn feed(&self, progress: &mut [Progress], time: i64, matches: &mut Matches<'_>) -> Outcome {
        self.feed_part(self.root(), progress, time, matches)
    }

    fn feed_part(&self, at: usize, progress: &mut [Progress], time: i64, matches: &mut Matches<'_>) -> Outcome {
        let outcome = match &self.parts[at] {
            Part::Event(event) => {
                if matches(*event) {
                    Outcome::Done
                } else {
                    Outcome::Open
                }
            }
            Part::Fby { parts, .. } => {
                let Some(&part) = parts.get(progress[at].count as usize) else { return Outcome::Dead };
                let outcome = self.feed_part(part, progress, time, matches);
                self.stepped(at, parts.len(), outcome, time, progress)
            }
            Part::And(parts) => {
                for &part in parts {
                    if !progress[part].done && self.feed_part(part, progress, time, matches) == Outcome::Dead {
                        return Outcome::Dead;
                    }
                }
                self.all_of(parts, progress)
            }
            Part::Or(parts) => {
                let mut dead = 0;
                for &part in parts {
                    match self.feed_part(part, progress, time, matches) {
                        Outcome::Done => {
                            progress[at].done = true;
                            return Outcome::Done;
                        }
                        Outcome::Dead => dead += 1,
                        Outcome::Open => {}
                    }
                }
                if dead == parts.len() { Outcome::Dead } else { Outcome::Open }
            }
            Part::NotOccur(part) => match self.feed_part(*part, progress, time, matches) {
                Outcome::Done => Outcome::Dead,
                Outcome::Dead => {
                    self.reset(*part, progress);
                    Outcome::Open
                }
                Outcome::Open => Outcome::Open,
            },
            Part::Not(part) => match self.feed_part(*part, progress, time, matches) {
                Outcome::Done => Outcome::Dead,
                Outcome::Open | Outcome::Dead => Outcome::Done,
            },
            Part::Is { times, part } => match self.feed_part(*part, progress, time, matches) {
                Outcome::Done => {
                    progress[at].count = progress[at].count.saturating_add(1);
                    if progress[at].count < *times {
                        self.reset(*part, progress);
                        Outcome::Open
                    } else {
                        Outcome::Done
                    }
                }
                Outcome::Open | Outcome::Dead => Outcome::Dead,
            },
        };
        if outcome == Outcome::Done {
            progress[at].done = true;
        }
        outcome
    }

    /// A part of a `fby` has come to this.
    fn stepped(&self, at: usize, parts: usize, outcome: Outcome, time: i64, progress: &mut [Progress]) -> Outcome {
        if outcome != Outcome::Done {
            return outcome;
        }
        progress[at].count += 1;
        progress[at].time = time;
        if progress[at].count as usize == parts { Outcome::Done } else { Outcome::Open }
    }

    /// An `and` is complete when every part is; what must not occur is no hindrance when anything else was asked for.
    fn all_of(&self, parts: &[usize], progress: &[Progress]) -> Outcome {
        let waits = |part: &&usize| !progress[**part].done && !matches!(self.parts[**part], Part::NotOccur(_));
        let quiet = parts.iter().all(|part| matches!(self.parts[*part], Part::NotOccur(_)));
        if quiet || parts.iter().any(|part| waits(&part)) { Outcome::Open } else { Outcome::Done }
    }

    fn reset(&self, at: usize, progress: &mut [Progress]) {
        progress[at] = Progress::default();
        self.children(at).iter().for_each(|&part| self.reset(part, progress));
    }

    fn children(&self, at: usize) -> &[usize] {
        match &self.parts[at] {
            Part::Event(_) => &[],
            Part::Fby { parts, .. } | Part::And(parts) | Part::Or(parts) => parts,
            Part::NotOccur(part) | Part::Not(part) | Part::Is { part, .. } => std::slice::from_ref(part),
        }
    }

    /// What the time `now` makes of an instance: a gap that has become too long ends it, or completes it when nothing
    /// had to happen in it.
    pub(crate) fn pass_time(&self, progress: &mut [Progress], now: i64) -> Outcome {
        self.pass_part(self.root(), progress, now)
    }

    fn pass_part(&self, at: usize, progress: &mut [Progress], now: i64) -> Outcome {
        let outcome = match &self.parts[at] {
            Part::Event(_) => Outcome::Open,
            Part::Fby { parts, .. } => {
                let mut outcome = Outcome::Open;
                while outcome == Outcome::Open {
                    let Some(&part) = parts.get(progress[at].count as usize) else { return Outcome::Dead };
                    let (outcome_of_part, time) = match self.limit(at, progress) {
                        Some(limit) if now > limit => (self.expire(part, progress), limit),
                        _ => (self.pass_part(part, progress, now), now),
                    };
                    outcome = self.stepped(at, parts.len(), outcome_of_part, time, progress);
                    if outcome_of_part == Outcome::Open {
                        break;
                    }
                }
                outcome
            }
            Part::And(parts) => {
                for &part in parts {
                    if !progress[part].done && self.pass_part(part, progress, now) == Outcome::Dead {
                        return Outcome::Dead;
                    }
                }
                self.all_of(parts, progress)
            }
            Part::Or(parts) => {
                let outcomes: Vec<Outcome> = parts.iter().map(|&part| self.pass_part(part, progress, now)).collect();
                if outcomes.contains(&Outcome::Done) {
                    Outcome::Done
                } else if outcomes.iter().all(|outcome| *outcome == Outcome::Dead) {
                    Outcome::Dead
                } else {
                    Outcome::Open
                }
            }
            Part::NotOccur(part) => match self.pass_part(*part, progress, now) {
                Outcome::Done => Outcome::Dead,
                _ => Outcome::Open,
            },
            Part::Not(_) | Part::Is { .. } => Outcome::Open,
        };
        if outcome == Outcome::Done {
            progress[at].done = true;
        }
        outcome
    }

    /// The last time at which the present part of a `fby` may be complete. A `fby` within it must only have begun: its
    /// own gaps are its own.
    fn limit(&self, at: usize, progress: &[Progress]) -> Option<i64> {
        let Part::Fby { span_us: Some(span_us), parts } = &self.parts[at] else { return None };
        let Progress { count, time, .. } = progress[at];
        let part = *parts.get(count as usize)?;
        let begun = matches!(self.parts[part], Part::Fby { .. }) && progress[part].count > 0;
        if count == 0 || begun || time == UNSTAMPED { None } else { Some(time.saturating_add(*span_us)) }
    }

    /// The time for a part is over.
    fn expire(&self, at: usize, progress: &mut [Progress]) -> Outcome {
        let outcome = match &self.parts[at] {
            Part::NotOccur(_) => Outcome::Done,
            Part::And(parts) => {
                let all = parts.iter().all(|&part| progress[part].done || self.expire(part, progress) == Outcome::Done);
                if all { Outcome::Done } else { Outcome::Dead }
            }
            Part::Or(parts) => {
                let any = parts.iter().any(|&part| self.expire(part, progress) == Outcome::Done);
                if any { Outcome::Done } else { Outcome::Dead }
            }
            Part::Event(_) | Part::Fby { .. } | Part::Not(_) | Part::Is { .. } => Outcome::Dead,
        };
        progress[at].done |= outcome == Outcome::Done;
        outcome
    }

    /// The last time at which nothing happens to an instance by itself; `None`: it waits for events only.
    pub(crate) fn deadline(&self, progress: &[Progress]) -> Option<i64> {
        self.deadline_of(self.root(), progress)
    }

    fn deadline_of(&self, at: usize, progress: &[Progress]) -> Option<i64> {
        if progress[at].done {
            return None;
        }
        let own = self.limit(at, progress);
        let parts = match &self.parts[at] {
            Part::Fby { parts, .. } => parts.get(progress[at].count as usize).map_or(&[][..], std::slice::from_ref),
            _ => self.children(at),
        };
        parts.iter().filter_map(|&part| self.deadline_of(part, progress)).chain(own).min()
    }
}

fn flatten(logic: &PatternLogic, parts: &mut Vec<Part>) -> usize {
    let part = match logic {
        PatternLogic::Event(event) => Part::Event(*event),
        PatternLogic::Fby { span_us, parts: inner } => {
            Part::Fby { span_us: *span_us, parts: inner.iter().map(|part| flatten(part, parts)).collect() }
        }
        PatternLogic::And(inner) => Part::And(inner.iter().map(|part| flatten(part, parts)).collect()),
        PatternLogic::Or(inner) => Part::Or(inner.iter().map(|part| flatten(part, parts)).collect()),
        PatternLogic::NotOccur(inner) => Part::NotOccur(flatten(inner, parts)),
        PatternLogic::Not(inner) => Part::Not(flatten(inner, parts)),
        PatternLogic::Is { times, part } => Part::Is { times: *times, part: flatten(part, parts) },
    };
    parts.push(part);
    parts.len() - 1
}
