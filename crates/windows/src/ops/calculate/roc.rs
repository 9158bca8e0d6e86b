//! ROC: how well a probability tells an event from what is none, for every cut-off.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct Roc {
    step: f64,
    event: String,
    /// By bin: predictions that are not below its cut-off and below the next one, of events and of others.
    counts: Vec<[u64; 2]>,
}

impl Roc {
    pub(crate) fn new(settings: &Settings) -> Roc {
        let step = settings.real("cutStep");
        let bins = (0..).take_while(|bin| f64::from(*bin) * step <= 1.0 + step * 1e-9).count();
        Roc { step, event: settings.text("event").to_owned(), counts: vec![[0; 2]; bins] }
    }

    fn cut_off(&self, bin: usize) -> f64 {
        (bin as f64 * self.step).min(1.0)
    }

    /// The last bin whose cut-off a prediction reaches; `None` below the first.
    fn bin(&self, predicted: f64) -> Option<usize> {
        let mut bin = ((predicted / self.step) as usize).min(self.counts.len() - 1);
        while bin + 1 < self.counts.len() && self.cut_off(bin + 1) <= predicted {
            bin += 1;
        }
        while bin > 0 && self.cut_off(bin) > predicted {
            bin -= 1;
        }
        (self.cut_off(bin) <= predicted).then_some(bin)
    }

    fn is_event(&self, label: &str) -> bool {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        label == self.event || number(label).is_some_and(|label| number(&self.event) == Some(label))
    }

    /// c, gini, gamma, tau: pairs of an event and another, by their bins.
    fn association(&self) -> [f64; 4] {
        let (mut concordant, mut tied, mut others_below) = (0.0, 0.0, 0.0);
        let [events, others] = self.totals();
        for [of_events, of_others] in &self.counts {
            concordant += *of_events as f64 * others_below;
            tied += *of_events as f64 * *of_others as f64;
            others_below += *of_others as f64;
        }
        let pairs = events * others;
        let discordant = pairs - concordant - tied;
        let n = events + others;
        let difference = concordant - discordant;
        [
            (concordant + 0.5 * tied) / pairs,
            difference / pairs,
            difference / (concordant + discordant),
            difference / (0.5 * n * (n - 1.0)),
        ]
    }

    fn totals(&self) -> [f64; 2] {
        let sum = self.counts.iter().fold([0, 0], |[a, b], [x, y]| [a + x, b + y]);
        sum.map(|count| count as f64)
    }
}

impl Method for Roc {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let (Some(predicted), Some(label)) = (event.number(0), event.label(1)) else { return };
        let Some(bin) = self.bin(predicted) else { return };
        let other = !self.is_event(&label);
        self.counts[bin][usize::from(other)] += 1;

        let association = self.association().map(Value::Double);
        let [events, others] = self.totals();
        let n = events + others;
        // Positives lie at and above a cut-off.
        let (mut positives, mut rows) = ([0.0; 2], Vec::with_capacity(self.counts.len()));
        for [of_events, of_others] in self.counts.iter().rev() {
            positives = [positives[0] + *of_events as f64, positives[1] + *of_others as f64];
            rows.push(positives);
        }
        rows.reverse();
        let distance = |[tp, fp]: [f64; 2]| tp / events - fp / others;
        let most = rows.iter().enumerate().fold(
            0,
            |most, (bin, row)| {
                if distance(*row) > distance(rows[most]) { bin } else { most }
            },
        );
        for (bin, [tp, fp]) in rows.iter().copied().enumerate() {
            let (fn_, tn) = (events - tp, others - fp);
            let accuracy = (tp + tn) / n;
            let ks = f64::from(u8::from(bin == most));
            let values = [
                tp,
                fp,
                fn_,
                tn,
                tp / events,
                tn / others,
                ks,
                distance([tp, fp]),
                1.25 * tp / (1.25 * tp + 0.25 * fn_ + fp),
                fp / others,
                accuracy,
                fp / (tp + fp),
                2.0 * tp / (2.0 * tp + fn_ + fp),
            ];
            let mut results = vec![Value::Int64(bin as i64), Value::Double(self.cut_off(bin))];
            results.extend(values.map(Value::Double));
            results.extend(association.iter().cloned());
            results.push(Value::Double(1.0 - accuracy));
            out.push(results);
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.counts.as_slice())
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.counts);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let counts: Vec<[u64; 2]> = from.get()?;
        let total = counts.iter().flatten().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        // Counts stay below what adding up could overflow.
        if counts.len() != self.counts.len() || total.is_none_or(|total| total > u64::MAX / 2) {
            return Err(Damage::Broken("the counts are not those of the cut-offs"));
        }
        self.counts = counts;
        Ok(())
    }
}
