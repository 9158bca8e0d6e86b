//! ChangeDetection: does the stream still look like its beginning.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::histogram::{Bins, fading};
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct ChangeDetection {
    cells: usize,
    factor: f64,
    reference_size: usize,
    max_steps: usize,
    adaptive: bool,
    show_evaluated: bool,
    show_all: bool,
    threshold: f64,
    difference: bool,
    reference: Bins,
    sliding: Bins,
    state: State,
}

/// What changes beside the histograms.
struct State {
    /// Values in the reference.
    filled: usize,
    /// Values since the last evaluation, and from which number on the next one is due.
    since: usize,
    due: usize,
    /// Smallest divergence since the reference was taken.
    least: Option<f64>,
    value: Option<f64>,
}

impl ChangeDetection {
    pub(crate) fn new(settings: &Settings) -> ChangeDetection {
        let cells = settings.count("nBins");
        let bins = match settings.count("maxBins") {
            0 => cells,
            max => max,
        };
        let max_steps = settings.count("maxEvalSteps");
        ChangeDetection {
            cells,
            factor: fading(settings.count("slidingHalfLifeSteps"), settings.real("slidingAlpha")),
            reference_size: settings.count("refWindowSize"),
            max_steps,
            adaptive: settings.flag("adaptiveEval"),
            show_evaluated: settings.flag("showEval"),
            show_all: settings.flag("showAll"),
            threshold: settings.real("changeThreshold"),
            difference: settings.text("measure") == "KLDivergenceDiff",
            reference: Bins::new(bins),
            sliding: Bins::new(bins),
            state: State { filled: 0, since: 0, due: max_steps, least: None, value: None },
        }
    }

    /// How far the fading values are from the reference.
    fn divergence(&self) -> f64 {
        let (Some(reference), Some(sliding)) = (self.reference.extremes(), self.sliding.extremes()) else { return 0.0 };
        let range = (reference.0.min(sliding.0), reference.1.max(sliding.1));
        let (p, q) = (self.sliding.shares(self.cells, range), self.reference.shares(self.cells, range));
        p.iter().zip(&q).fold(0.0, |sum, (p, q)| sum + p * libm::log(p / q))
    }

    /// Whether a change is found.
    fn evaluate(&mut self) -> bool {
        let divergence = self.divergence();
        let least = self.state.least.map_or(divergence, |least| least.min(divergence));
        self.state.least = Some(least);
        let value = if self.difference { divergence - least } else { divergence };
        self.state.value = Some(value);
        self.state.since = 0;
        let distance = if self.threshold > 0.0 { (1.0 - value / self.threshold).clamp(0.0, 1.0) } else { 0.0 };
        self.state.due = match self.adaptive {
            true => ((self.max_steps as f64 * distance).ceil() as usize).clamp(1, self.max_steps),
            false => self.max_steps,
        };
        value > self.threshold
    }

    fn start_anew(&mut self) {
        self.reference.clear();
        self.sliding.clear();
        let value = self.state.value;
        self.state = State { filled: 0, since: 0, due: self.max_steps, least: None, value };
    }
}

impl Method for ChangeDetection {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(value) = event.number(0).filter(|value| value.is_finite()) else { return };
        let (mut evaluated, mut detected) = (false, false);
        if self.state.filled < self.reference_size {
            self.reference.add(value, 1.0);
            self.state.filled += 1;
        } else {
            self.sliding.add(value, self.factor);
            self.state.since += 1;
            if self.state.since >= self.state.due {
                evaluated = true;
                detected = self.evaluate();
            }
        }
        let value = self.state.value.map_or(Value::Null, Value::Double);
        if detected {
            self.start_anew();
        }
        if detected || self.show_all || evaluated && self.show_evaluated {
            out.push(vec![Value::Int64(evaluated.into()), value, Value::Int64(detected.into())]);
        }
    }

    fn bytes(&self) -> usize {
        self.reference.bytes() + self.sliding.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.reference.save(to);
        self.sliding.save(to);
        let State { filled, since, due, least, value } = &self.state;
        to.put(&(*filled, *since, *due));
        to.put(&(*least, *value));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.reference.restore(from)?;
        self.sliding.restore(from)?;
        let (filled, since, due) = from.get()?;
        let (least, value) = from.get()?;
        if filled > self.reference_size || since >= due || due > self.max_steps {
            return Err(Damage::Broken("an evaluation is due and did not take place"));
        }
        self.state = State { filled, since, due, least, value };
        Ok(())
    }
}
