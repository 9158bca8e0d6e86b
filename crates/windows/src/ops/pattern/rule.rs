//! One pattern with its open instances.

use std::sync::Arc;

use mesh_event::{Block, Column, FieldType, Schema, Value};
use mesh_model::Pattern;
use mesh_script::{Output, Rows};

use super::here::{Here, fed};
use super::machine::{Machine, Outcome, Progress, UNSTAMPED};
use super::open::{Instance, Open};
use crate::ops::Clock;
use crate::ops::lua::Work;
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use crate::store::{event_time_us, keys};

/// The kept fields of each event of the pattern, once it has come.
pub(crate) type Captures = Vec<Option<Arc<[Value]>>>;

/// One pattern of a window.
pub(crate) struct Rule {
    pub spec: Arc<Pattern>,
    machine: Machine,
    /// An event that meets no condition changes no instance.
    skips: bool,
    open: Open,
    /// The place of the row at hand.
    place: Vec<u8>,
    /// Instances that the row at hand is shown to, and what they keep of it.
    waiting: Vec<u32>,
    kept: Vec<Option<Arc<[Value]>>>,
    next: u64,
    /// Newest time of an event, or of the clock.
    newest: Option<i64>,
    script: Option<Scripted>,
}

/// The script of a pattern at work.
pub(crate) struct Scripted {
    pub work: Work,
    /// How the rows of each input are handed over.
    pub rows: Vec<Rows>,
    /// The function that makes what goes out, how its table becomes values, and where those of the fields that are no
    /// key stand among them.
    output: Option<(String, Output, Vec<usize>)>,
}

impl Scripted {
    /// The end of an instance: what it kept, or what the script makes of it; `None`: nothing goes out.
    fn end(&mut self, number: u64, captures: Option<Captures>) -> Option<Captures> {
        let captures = captures.and_then(|captures| match &self.output {
            None => Some(captures),
            Some((function, output, fields)) => {
                let made = self.work.complete(function, number, output)?;
                let values = fields.iter().map(|&at| made[at].clone().unwrap_or(Value::Null));
                Some(vec![Some(values.collect())])
            }
        });
        self.work.forget(number);
        captures
    }
}

/// The end of an instance, whether or not a script has a say in it.
fn end(script: &mut Option<Scripted>, number: u64, captures: Option<Captures>) -> Option<Captures> {
    match script {
        None => captures,
        Some(script) => script.end(number, captures),
    }
}

/// What the events of a run are worth to a pattern, worked out for all rows at once.
pub(crate) struct Looked {
    /// For each event of the pattern that comes from this input: which rows meet its condition.
    pub keep: Vec<Option<Vec<bool>>>,
    /// Rows that meet any condition.
    any: Vec<bool>,
    /// For each event the values of its binds.
    pub binds: Vec<Vec<Arc<Column>>>,
    times: Option<Arc<Column>>,
}

impl Rule {
    /// `schema`: of the window; `inputs`: of its inputs; `place`: where the window stands.
    pub(crate) fn new(spec: &Pattern, schema: &Schema, inputs: &[Arc<Schema>], place: &str) -> Rule {
        let script = spec.script.as_ref().map(|script| {
            let work = Work::new(script, &format!("{place}{}", spec.name));
            let rows = inputs.iter().map(|schema| work.rows(schema, None)).collect();
            let fields = || (0..schema.fields().len()).filter(|&at| !schema.fields()[at].key).collect();
            let output = spec.output.as_ref().map(|function| (function.clone(), work.output(schema), fields()));
            Scripted { work, rows, output }
        });
        Rule {
            script,
            machine: Machine::new(&spec.logic),
            spec: Arc::new(spec.clone()),
            skips: !heeds_every_event(&spec.logic),
            open: Open::default(),
            place: Vec::new(),
            waiting: Vec::new(),
            kept: Vec::new(),
            next: 0,
            newest: None,
        }
    }

    pub(crate) fn take_messages(&mut self) -> Vec<String> {
        self.script.as_mut().map(|script| script.work.take_messages()).unwrap_or_default()
    }

    pub(crate) fn script_errors(&self) -> u64 {
        self.script.as_ref().map_or(0, |script| script.work.errors)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Marks the fields of an input that it looks at.
    pub(crate) fn reads(&self, input: usize, fields: &mut [bool]) {
        let events = || self.spec.events.iter().filter(|event| event.input == input);
        // Tests and scripts get whole rows.
        if self.script.is_some() || events().any(|event| !event.tests.is_empty()) {
            return fields.fill(true);
        }
        let mut mark = |field: usize| fields[field] = true;
        self.spec
            .index
            .get(input)
            .into_iter()
            .flatten()
            .chain(self.spec.times.get(input).into_iter().flatten())
            .for_each(|&at| mark(at));
        for event in events() {
            let binds = event.binds.iter().map(|(_, program, _)| program);
            event.condition.iter().chain(binds).flat_map(|program| program.fields()).for_each(&mut mark);
            event.keeps.iter().for_each(|&field| mark(field));
        }
    }

    pub(crate) fn look(&self, input: usize, run: &Run, errors: &mut u64) -> Looked {
        let block = &run.block;
        let mut keep = Vec::with_capacity(self.spec.events.len());
        let mut binds = Vec::with_capacity(self.spec.events.len());
        for event in &self.spec.events {
            if event.input != input {
                keep.push(None);
                binds.push(Vec::new());
                continue;
            }
            let mut rows = vec![true; block.len()];
            if let Some(condition) = &event.condition {
                *errors += condition.eval_filter(block, &mut rows).count;
            }
            keep.push(Some(rows));
            let values = event.binds.iter().map(|(_, program, ty)| {
                let evaluated = program.eval(block, *ty);
                *errors += evaluated.errors.count;
                evaluated.column
            });
            binds.push(values.collect());
        }
        let times = self.spec.times.get(input).copied().flatten().map(|field| Arc::clone(&block.columns[field]));
        let mut any = vec![false; block.len()];
        for keep in keep.iter().flatten() {
            any.iter_mut().zip(keep).for_each(|(any, &keep)| *any |= keep);
        }
        Looked { keep, any, binds, times }
    }

    /// The row at hand: what it completes, oldest instance first.
    pub(crate) fn event(
        &mut self,
        input: usize,
        block: &Block,
        row: usize,
        looked: &Looked,
        clock: Option<i64>,
        into: &mut Vec<Captures>,
    ) {
        let time = match &looked.times {
            // An event without a time is as new as the newest before it.
            Some(column) => event_time_us(column, row).or(self.newest).unwrap_or(0),
            None => clock.unwrap_or(UNSTAMPED),
        };
        if looked.times.is_some() {
            self.newest = self.newest.max(Some(time));
            self.pass_time(self.newest.unwrap_or(time), into);
        }
        if self.skips && !looked.any[row] {
            return;
        }
        let mut place = std::mem::take(&mut self.place);
        place.clear();
        keys::write(&block.columns, self.spec.index.get(input).map_or(&[][..], Vec::as_slice), row, &mut place);
        let spec = Arc::clone(&self.spec);
        let here = Here { events: &spec.events, block, row, looked, input };
        let mut script = self.script.take();
        if let Some(script) = &mut script {
            script.work.set_clock(Clock::restored(clock));
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        kept.resize(self.spec.events.len(), None);
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(self.open.at(&place));
        for slot in waiting.drain(..) {
            let Some(instance) = self.open.get_mut(slot) else { continue };
            let outcome = fed(&self.machine, instance, time, &here, &mut kept, script.as_mut());
            let deadline = self.machine.deadline(&instance.progress);
            self.go_on(slot, outcome, deadline, &mut script, into);
        }
        self.waiting = waiting;
        self.open_instance((time, &place), &here, &mut kept, &mut script, into);
        (self.place, self.kept) = (place, kept);
        self.script = script;
    }

    /// Lets the row at hand open an instance.
    fn open_instance(
        &mut self,
        (time, place): (i64, &[u8]),
        here: &Here<'_>,
        kept: &mut [Option<Arc<[Value]>>],
        script: &mut Option<Scripted>,
        into: &mut Vec<Captures>,
    ) {
        // Only an event that meets some condition can open an instance.
        if !here.looked.any[here.row] && !self.opens_on_absence() {
            return;
        }
        let (variables, events) = (self.spec.variables.len(), self.spec.events.len());
        let mut instance = self.open.fresh(self.machine.parts(), variables, events);
        instance.number = self.next;
        let outcome = fed(&self.machine, &mut instance, time, here, kept, script.as_mut());
        let opened = outcome == Outcome::Open && self.machine.has_begun(&instance.progress);
        let done = outcome == Outcome::Done && instance.captures.iter().any(Option::is_some);
        if !opened {
            let captures = done.then(|| std::mem::take(&mut instance.captures));
            into.extend(end(script, instance.number, captures));
            return self.open.put_back(instance);
        }
        self.next += 1;
        let deadline = self.machine.deadline(&instance.progress);
        self.open.insert(instance, place, deadline);
    }

    /// True when an event that meets no condition can be the first step: `fby(not(a), b)`.
    fn opens_on_absence(&self) -> bool {
        fn absent(logic: &mesh_model::PatternLogic) -> bool {
            use mesh_model::PatternLogic::{And, Event, Fby, Is, Not, NotOccur, Or};
            match logic {
                Not(_) => true,
                Fby { parts, .. } => parts.first().is_some_and(absent),
                And(parts) | Or(parts) => parts.iter().any(absent),
                Event(_) | NotOccur(_) | Is { .. } => false,
            }
        }
        absent(&self.spec.logic)
    }

    /// What became of an instance.
    fn go_on(
        &mut self,
        slot: u32,
        outcome: Outcome,
        deadline: Option<i64>,
        script: &mut Option<Scripted>,
        into: &mut Vec<Captures>,
    ) {
        if outcome == Outcome::Open {
            return self.open.set_deadline(slot, deadline);
        }
        let Some(mut instance) = self.open.remove(slot) else { return };
        let captures = (outcome == Outcome::Done).then(|| std::mem::take(&mut instance.captures));
        into.extend(end(script, instance.number, captures));
        self.open.put_back(instance);
    }

    /// What becomes of instances whose time is over, oldest first.
    #[inline]
    fn pass_time(&mut self, now: i64, into: &mut Vec<Captures>) {
        if self.open.first_deadline().is_some_and(|deadline| deadline < now) {
            self.let_expire(now, into);
        }
    }

    fn let_expire(&mut self, now: i64, into: &mut Vec<Captures>) {
        let mut script = self.script.take();
        for slot in self.open.due(now) {
            let Some(instance) = self.open.get_mut(slot) else { continue };
            let outcome = self.machine.pass_time(&mut instance.progress, now);
            let deadline = self.machine.deadline(&instance.progress);
            self.go_on(slot, outcome, deadline, &mut script, into);
        }
        self.script = script;
    }

    /// True when the clock of the last tick is the time of events.
    fn by_clock(&self) -> bool {
        self.spec.times.iter().all(Option::is_none)
    }

    pub(crate) fn tick(&mut self, now: i64, started: bool, into: &mut Vec<Captures>) {
        if !self.by_clock() {
            return;
        }
        if started {
            self.stamp(now);
        }
        self.pass_time(now, into);
    }

    /// Events from before the clock started are as old as the clock.
    fn stamp(&mut self, now: i64) {
        for slot in self.open.in_order() {
            let Some(instance) = self.open.get_mut(slot) else { continue };
            instance.progress.iter_mut().filter(|part| part.time == UNSTAMPED).for_each(|part| part.time = now);
            let deadline = self.machine.deadline(&instance.progress);
            self.open.set_deadline(slot, deadline);
        }
    }

    /// The earliest clock at which a tick changes anything.
    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let deadline = self.open.first_deadline().filter(|_| self.by_clock())?;
        Some(deadline.saturating_add(1))
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.next, self.newest));
        if let Some(script) = &self.script {
            script.work.save(to);
        }
        to.length(self.open.len());
        for instance in self.open.in_order().into_iter().filter_map(|slot| self.open.get(slot)) {
            to.put(&instance.number);
            let progress = instance.progress.iter().map(|part| (part.done, part.count, part.time));
            to.put(&progress.collect::<Vec<_>>());
            to.put(&instance.variables);
            to.put(&instance.captures.iter().map(|kept| kept.as_ref().map(|kept| kept.to_vec())).collect::<Vec<_>>());
            to.put(&self.open.key(instance).to_vec());
        }
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        (self.next, self.newest) = from.get()?;
        if let Some(script) = &mut self.script {
            script.work.restore(from)?;
        }
        let (instances, _) = from.length()?;
        let shape = self.machine.parts();
        for _ in 0..instances {
            let number = from.get()?;
            let progress: Vec<(bool, u32, i64)> = from.get()?;
            let variables: Vec<Option<Value>> = from.get()?;
            let captures: Vec<Option<Vec<Value>>> = from.get()?;
            let place: Vec<u8> = from.get()?;
            let is = |value: &Value, ty: FieldType| value.field_type().is_none_or(|found| found == ty);
            let kept_fit = captures.len() == self.spec.events.len()
                && captures.iter().zip(&self.spec.events).all(|(kept, event)| {
                    kept.as_ref().is_none_or(|kept| {
                        let types = event.keeps.iter().map(|&field| event.kept.fields()[field].ty);
                        kept.len() == event.keeps.len() && kept.iter().zip(types).all(|(value, ty)| is(value, ty))
                    })
                });
            let variables_fit = variables.len() == self.spec.variables.len()
                && variables
                    .iter()
                    .zip(&self.spec.variables)
                    .all(|(value, ty)| value.as_ref().is_none_or(|v| is(v, *ty)));
            if progress.len() != shape || !kept_fit || !variables_fit {
                return Err(Damage::Broken("an instance of a pattern has another shape than the pattern"));
            }
            let progress: Vec<Progress> =
                progress.into_iter().map(|(done, count, time)| Progress { done, count, time }).collect();
            if !self.machine.is_possible(&progress) {
                return Err(Damage::Broken("an instance of a pattern is further than the pattern is long"));
            }
            let deadline = self.machine.deadline(&progress);
            let captures = captures.into_iter().map(|kept| kept.map(Arc::from)).collect();
            let mut instance = Instance::default();
            instance.number = number;
            (instance.progress, instance.variables, instance.captures) = (progress, variables, captures);
            self.open.insert(instance, &place, deadline);
        }
        Ok(())
    }
}

/// True when an event that meets no condition can matter: what must come next, or must not.
fn heeds_every_event(logic: &mesh_model::PatternLogic) -> bool {
    use mesh_model::PatternLogic::{And, Event, Fby, Is, Not, NotOccur, Or};
    match logic {
        Not(_) | Is { .. } => true,
        Fby { parts, .. } | And(parts) | Or(parts) => parts.iter().any(heeds_every_event),
        NotOccur(part) => heeds_every_event(part),
        Event(_) => false,
    }
}
