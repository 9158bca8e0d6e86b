//! Calculate: an algorithm over the events of a stream.
//!
//! [`Calculate`] is the frame that all algorithms but Summary share: it hands events to a [`Method`], and makes columns of
//! what comes back. Code map: `event`: an event as methods see it, results as columns; `recent`: the last events, and
//! windows of them; `fft`, `taper`, `eigen`, `equations`: the mathematics; a file for each family of algorithms.
//!
//! **Invariant:** results are a function of the events alone, to the bit, on every processor. Sums run from the oldest
//! value to the newest, transcendental functions are those of `libm`, which is compiled with the engine: those of the
//! system choose their instructions, and with them their last bits, by the processor. For the same reason the transforms
//! and the linear algebra are small loops of our own and no crate that picks vector instructions at run time.

mod change;
mod correlation;
mod distribution;
mod eigen;
pub(crate) mod event;
mod fft;
mod fit_stat;
mod histogram;
mod lag;
mod range;
mod recent;
mod roc;
mod spectrum;
mod student;
mod subspace;
pub(crate) mod summary;
mod taper;
mod text;

use std::sync::Arc;

use mesh_event::{Opcode, Schema, Value};
use mesh_model::{AlgorithmKind, AlgorithmRun, Calculate as Spec};

use super::{Clock, Held, Operator};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use event::{Event, Rows};

/// The results of one event out: a value for each result of the algorithm's table.
pub(crate) type Results = Vec<Value>;

/// An algorithm at work.
pub(crate) trait Method: Send {
    /// Looks at an event and adds what comes out. An algorithm that gives one for each event adds nothing for an event
    /// that it cannot use: the last results stand.
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>);

    /// Bytes held.
    fn bytes(&self) -> usize {
        0
    }

    fn save(&self, to: &mut Writer<'_>);

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage>;
}

fn method(run: &AlgorithmRun, input: &Schema) -> Box<dyn Method> {
    let settings = &run.settings;
    match run.algorithm.kind {
        AlgorithmKind::Correlation => Box::new(correlation::Correlation::new(settings)),
        AlgorithmKind::SegmentedCorrelation => Box::new(correlation::Segmented::new(settings)),
        AlgorithmKind::LagMonitor => Box::new(lag::LagMonitor::new(settings)),
        AlgorithmKind::Mrr => Box::new(range::Range::new(settings)),
        AlgorithmKind::FitStat => Box::new(fit_stat::FitStat::new(run, input)),
        AlgorithmKind::Stft => Box::new(spectrum::Stft::new(settings)),
        AlgorithmKind::Cepstrum => Box::new(spectrum::Cepstrum::new(settings)),
        AlgorithmKind::Histogram => Box::new(histogram::Histogram::new(settings)),
        AlgorithmKind::ChangeDetection => Box::new(change::ChangeDetection::new(settings)),
        AlgorithmKind::DistributionFitting => Box::new(distribution::Fitting::new(settings)),
        AlgorithmKind::Roc => Box::new(roc::Roc::new(settings)),
        AlgorithmKind::Tokenization => Box::new(text::Tokenization),
        AlgorithmKind::TextVectorization => Box::new(text::Vectorization::new(settings)),
        AlgorithmKind::Tfidf => Box::new(text::Tfidf::default()),
        AlgorithmKind::Sst => Box::new(subspace::Subspace::new(settings, run.inputs[0].len())),
        AlgorithmKind::Kmeans
        | AlgorithmKind::Dbscan
        | AlgorithmKind::LinearRegression
        | AlgorithmKind::LogisticRegression
        | AlgorithmKind::Svm => unreachable!("the model gives these to train and score windows"),
    }
}

/// A calculate window.
pub(crate) struct Calculate {
    schema: Arc<Schema>,
    spec: Spec,
    method: Box<dyn Method>,
    /// Of an algorithm that gives one event for each: the results of the last event looked at.
    last: Option<Results>,
}

impl Calculate {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec, input: &Schema) -> Calculate {
        Calculate { schema: Arc::clone(schema), spec: spec.clone(), method: method(&spec.run, input), last: None }
    }
}

impl Operator for Calculate {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let algorithm = self.spec.run.algorithm;
        let block = &run.block;
        let mut rows = Rows::with_capacity(block.len());
        let mut found = Vec::new();
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end as usize {
                let event = Event { columns: &block.columns, inputs: &self.spec.run.inputs, row };
                if matches!(block.opcodes[row], Opcode::Insert | Opcode::Upsert) {
                    self.method.event(&event, &mut found);
                }
                if algorithm.one_for_one {
                    debug_assert!(found.len() <= 1, "one event out for one event in");
                    if let Some(results) = found.pop() {
                        self.last = Some(results);
                    }
                    let last = self.last.clone().unwrap_or_else(|| vec![Value::Null; algorithm.outputs.len()]);
                    rows.push(row as u32, event.tagged(last, algorithm));
                } else {
                    found.drain(..).for_each(|results| rows.push(row as u32, event.tagged(results, algorithm)));
                }
                row += 1;
            }
            rows.end_cause();
        }
        rows.finish(&run, &self.schema, &self.spec.fields)
    }

    fn held(&self) -> Held {
        Held { bytes: self.method.bytes() as u64, ..Held::default() }
    }

    fn kind(&self) -> &'static str {
        self.spec.run.algorithm.name
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.last);
        self.method.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.last = from.get()?;
        if self.last.as_ref().is_some_and(|last| last.len() != self.spec.run.algorithm.outputs.len()) {
            return Err(Damage::Broken("an event has not the results of its algorithm"));
        }
        self.method.restore(from)
    }
}
