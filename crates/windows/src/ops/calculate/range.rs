//! MRR: the moving range of a signal.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::recent::Recent;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct Range {
    recent: Recent<1>,
    weight: f64,
    mean: Option<f64>,
}

impl Range {
    pub(crate) fn new(settings: &Settings) -> Range {
        Range {
            recent: Recent::new(settings.count("rangeWindowLength")),
            weight: 2.0 / (settings.count("expRangeWindowLength") as f64 + 1.0),
            mean: None,
        }
    }
}

impl Method for Range {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(x) = event.number(0) else { return };
        self.recent.push([x]);
        let (min, max) = self
            .recent
            .rows()
            .iter()
            .fold((x, x), |(min, max), [x]| (if *x < min { *x } else { min }, if *x > max { *x } else { max }));
        let range = max - min;
        let mean = self.mean.map_or(range, |mean| mean + self.weight * (range - mean));
        self.mean = Some(mean);
        out.push(vec![Value::Null, Value::Double(range), Value::Double(mean)]);
    }

    fn bytes(&self) -> usize {
        self.recent.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.recent.save(to);
        to.put(&self.mean);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.recent.restore(from)?;
        self.mean = from.get()?;
        Ok(())
    }
}
