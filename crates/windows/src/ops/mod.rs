//! Window operators: one file each, behind [`Operator`].

pub(crate) mod aggregate;
pub(crate) mod calculate;
pub(crate) mod compute;
pub(crate) mod counter;
pub(crate) mod filter;
pub(crate) mod functional;
pub(crate) mod geofence;
pub(crate) mod join;
pub(crate) mod keep;
pub(crate) mod lua;
pub(crate) mod notification;
pub(crate) mod pattern;
pub(crate) mod remove_state;
pub(crate) mod score;
pub(crate) mod source;
pub(crate) mod tracker;
pub(crate) mod train;
pub(crate) mod transpose;
pub(crate) mod union;

use crate::bad::BadEvent;
use crate::live::Live;
use crate::run::{Run, Unread};
use crate::state::{Damage, Reader, Writer};

/// The clock of the last tick; it has not started before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Clock(Option<i64>);

impl Clock {
    pub(crate) fn get(self) -> Option<i64> {
        self.0
    }

    pub(crate) fn restored(clock_us: Option<i64>) -> Clock {
        Clock(clock_us)
    }

    pub(crate) fn advanced_to(self, clock_us: i64) -> Clock {
        if let Some(before) = self.0 {
            assert!(clock_us >= before, "the clock must not go back: from {before} to {clock_us}");
        }
        Clock(Some(clock_us))
    }
}

/// The seed of a window's random numbers, from where it stands (`project/query/window/`).
pub(crate) fn seed_of(place: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(place.as_bytes())
}

/// Gives a window's expressions back what they remembered.
pub(crate) fn restore_memory(memory: &mut mesh_expr::State, saved: &[u8]) -> Result<(), Damage> {
    if memory.restore(saved) { Ok(()) } else { Err(Damage::Broken("the variables of expressions are not readable")) }
}

/// What an operator holds and had trouble with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub rows: u64,
    pub bytes: u64,
    pub bad_events: u64,
    pub expression_errors: u64,
}

/// The input of a window by side: one side for most, left and right for a join.
#[derive(Default)]
pub(crate) struct Sides(Vec<Option<Run>>);

impl Sides {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Adds to what waits on a side: for each event, behind what it caused there on other paths.
    pub(crate) fn add(&mut self, side: usize, run: Run) {
        if self.0.len() <= side {
            self.0.resize_with(side + 1, || None);
        }
        self.0[side] = Some(match self.0[side].take() {
            Some(waiting) => waiting.meet(&run),
            None => run,
        });
    }

    /// All that waits; `None` when nothing does.
    pub(crate) fn take(&mut self) -> Option<Sides> {
        (!self.is_empty()).then(|| Sides(std::mem::take(&mut self.0)))
    }

    /// What waited on a side.
    pub(crate) fn side(&self, side: usize) -> Option<&Run> {
        self.0.get(side)?.as_ref()
    }

    /// Puts another run in the place of one that waits.
    pub(crate) fn change(&mut self, side: usize, to: impl FnOnce(Run) -> Run) {
        if let Some(place) = self.0.get_mut(side) {
            *place = place.take().map(to);
        }
    }

    /// Number of causes, which all sides share.
    pub(crate) fn causes(&self) -> usize {
        self.0.iter().flatten().next().map_or(0, |run| run.ends.len())
    }

    fn into_one(self) -> Run {
        let mut runs = self.0.into_iter().flatten();
        let run = runs.next().expect("a window works when something waits");
        debug_assert!(runs.next().is_none(), "a window that does not tell its inputs apart has one side");
        run
    }
}

/// A window's work. It must see rows, not runs: cutting a run in two must give the same rows in the same order.
pub(crate) trait Operator: Send {
    /// Turns a run of the input into a run of the output with the same causes.
    fn process(&mut self, run: Run, clock: Clock) -> Run;

    /// The same for a window that tells its inputs apart.
    fn process_sides(&mut self, sides: Sides, clock: Clock) -> Run {
        self.process(sides.into_one(), clock)
    }

    /// What the clock's step from `before` to `now` puts out.
    fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        let _ = (before, now);
        None
    }

    /// The earliest clock at which [`Operator::tick`] would change anything.
    fn deadline_us(&self) -> Option<i64> {
        None
    }

    /// Marks the fields of a side's input that it reads when somebody looks at these fields of its output. What it may
    /// save must be among them.
    fn reads(&self, side: usize, out: &[bool], input: &mut [bool]) {
        let _ = (side, out);
        input.fill(true);
    }

    /// What is read of its output. A window that picks rows need not make the rest.
    fn set_live(&mut self, live: Live) {
        let _ = live;
    }

    /// What the digest needs of the last output beyond its block.
    fn take_unread(&mut self) -> Unread {
        Unread::new()
    }

    fn held(&self) -> Held {
        Held::default()
    }

    /// What its expressions and scripts wrote for the log since the last call.
    fn take_messages(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The events that it could not apply since the last call, as far as they were kept.
    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        Vec::new()
    }

    /// What its state is the state of. Two operators that can do the work of one window have two names: they hold
    /// different things.
    fn kind(&self) -> &'static str;

    /// Version of what [`Operator::save`] writes.
    fn version(&self) -> u16 {
        1
    }

    /// Writes everything that decides what comes next, as it was between two calls.
    fn save(&self, to: &mut Writer<'_>);

    /// Takes what [`Operator::save`] wrote; the operator is as new before.
    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage>;
}

/// Hands the input on: a window that neither keeps nor changes anything.
pub(crate) struct Pass;

impl Operator for Pass {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        run
    }

    fn reads(&self, _side: usize, out: &[bool], input: &mut [bool]) {
        input.copy_from_slice(out);
    }

    fn kind(&self) -> &'static str {
        "pass"
    }

    fn save(&self, _to: &mut Writer<'_>) {}

    fn restore(&mut self, _from: &mut Reader<'_>) -> Result<(), Damage> {
        Ok(())
    }
}
