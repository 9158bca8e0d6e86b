//! Object tracker: detections of one frame after another, as tracks.
//!
//! An insert, an upsert and the new half of an update are a frame; deletes put nothing out. `tracks`: which detection is
//! which track.

mod tracks;

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Schema, Value};
use mesh_model::{BoxShape, DetectionField, TrackValue, Tracker as Spec, TrackerField};

use super::{Clock, Held, Operator};
use crate::bad::{BadEvent, BadEvents};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use tracks::{Detection, Track, Tracks};

/// An object-tracker window.
pub(crate) struct Tracker {
    schema: Arc<Schema>,
    spec: Spec,
    tracks: Tracks,
    bad: BadEvents,
}

/// What is told of an object that goes out.
struct Told<'a> {
    track: &'a Track,
    scale: [f64; 2],
    /// Most middles that go out.
    shown: usize,
}

impl Tracker {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec) -> Tracker {
        let tracks = Tracks::new(&spec.rule);
        Tracker { schema: Arc::clone(schema), spec: spec.clone(), tracks, bad: BadEvents::default() }
    }

    /// The detections of a frame; `None` when their number is negative.
    fn detections(&self, block: &Block, row: usize) -> Option<Vec<Detection>> {
        let input = &self.spec.input;
        let score = input.score.as_ref().map(|field| numbers(field, block, row));
        let boxes = input.numbers.each_ref().map(|field| numbers(field, block, row));
        let labels = input.label.as_ref().map(|field| texts(field, &input.separator, block, row));
        let there = score.as_ref().map_or(boxes[0].len(), Vec::len);
        let count = match input.count.map(|at| block.columns[at].value(row)) {
            Some(Value::Int64(count)) => usize::try_from(count).ok()?.min(there),
            Some(Value::Int32(count)) => usize::try_from(count).ok()?.min(there),
            _ => there,
        };
        let number = |list: &[Option<f64>], at: usize| list.get(at).copied().flatten();
        let detection = |at: usize| {
            let [Some(a), Some(b), Some(c), Some(d)] = boxes.each_ref().map(|list| number(list, at)) else {
                return None;
            };
            let score = score.as_ref().map_or(Some(1.0), |list| number(list, at))?;
            let label = labels.as_ref().and_then(|list| list.get(at)).cloned().unwrap_or_default();
            let rect = match input.shape {
                BoxShape::Rect => [a, b, c, d],
                BoxShape::Yolo => [a - c / 2.0, b - d / 2.0, c, d],
                BoxShape::Coco => [a, b, c - a, d - b],
            };
            Some(Detection { score, label, rect })
        };
        // A detection without all its numbers is none.
        Some((0..count).filter_map(detection).collect())
    }

    /// Adds the events of a frame; `rows` notes the input row of each.
    fn add(&self, (block, row): (&Block, usize), columns: &mut [ColumnBuilder], rows: &mut Vec<u32>) {
        let out = self.tracks.out(&self.spec);
        let (scale, shown) = (self.spec.scale, tracks::shown(&self.spec.rule));
        let told: Vec<Told<'_>> = out.into_iter().map(|track| Told { track, scale, shown }).collect();
        let events = if self.spec.long { told.len() } else { 1 };
        for event in 0..events {
            rows.push(row as u32);
            for (field, column) in self.spec.fields.iter().zip(columns.iter_mut()) {
                let value = match *field {
                    TrackerField::Copy(at) => block.columns[at].value(row),
                    TrackerField::Density => Value::Int32(i32::try_from(told.len()).unwrap_or(i32::MAX)),
                    TrackerField::Of(at, value) => told.get(at).map_or(Value::Null, |told| told.value(value)),
                    TrackerField::This(value) => told[event].value(value),
                    TrackerField::All(value) => all(&told, value, &self.spec.input.separator),
                };
                if !column.push(&value) {
                    column.push_null();
                }
            }
        }
    }
}

impl Told<'_> {
    /// The middles of the boxes, as they go out.
    fn middles(&self) -> impl ExactSizeIterator<Item = [f64; 2]> {
        let [x, y] = self.scale;
        let middles = &self.track.middles;
        middles
            .range(middles.len().saturating_sub(self.shown)..)
            .map(move |[middle_x, middle_y]| [middle_x * x, middle_y * y])
    }

    fn real(&self, value: TrackValue) -> Option<f64> {
        let ([x, y, w, h], [scale_x, scale_y]) = (self.track.rect, self.scale);
        Some(match value {
            TrackValue::Score => return self.track.score,
            TrackValue::X => x * scale_x,
            TrackValue::Y => y * scale_y,
            TrackValue::Width => w * scale_x,
            TrackValue::Height => h * scale_y,
            TrackValue::CenterX => (x + w / 2.0) * scale_x,
            TrackValue::CenterY => (y + h / 2.0) * scale_y,
            TrackValue::VelocityX => self.track.velocity[0] * scale_x,
            TrackValue::VelocityY => self.track.velocity[1] * scale_y,
            TrackValue::Id | TrackValue::Label | TrackValue::TrackX | TrackValue::TrackY | TrackValue::TrackCount => {
                return None;
            }
        })
    }

    fn value(&self, value: TrackValue) -> Value {
        match value {
            TrackValue::Id => Value::Int64(self.track.id),
            TrackValue::Label => Value::String(Arc::from(self.track.label.as_str())),
            TrackValue::TrackX => Value::ArrayDouble(self.middles().map(|[x, _]| x).collect()),
            TrackValue::TrackY => Value::ArrayDouble(self.middles().map(|[_, y]| y).collect()),
            TrackValue::TrackCount => Value::Int32(self.middles().len() as i32),
            _ => self.real(value).map_or(Value::Null, Value::Double),
        }
    }
}

/// A value of all objects; null without any.
fn all(told: &[Told<'_>], value: TrackValue, separator: &str) -> Value {
    if told.is_empty() {
        return Value::Null;
    }
    match value {
        TrackValue::Id => {
            Value::ArrayInt32(told.iter().map(|told| i32::try_from(told.track.id).unwrap_or(i32::MAX)).collect())
        }
        TrackValue::Label => {
            let labels: Vec<&str> = told.iter().map(|told| told.track.label.as_str()).collect();
            Value::String(Arc::from(labels.join(separator)))
        }
        TrackValue::TrackX => Value::ArrayDouble(told.iter().flat_map(|told| told.middles().map(|[x, _]| x)).collect()),
        TrackValue::TrackY => Value::ArrayDouble(told.iter().flat_map(|told| told.middles().map(|[_, y]| y)).collect()),
        TrackValue::TrackCount => Value::ArrayInt32(told.iter().map(|told| told.middles().len() as i32).collect()),
        // An array holds no nulls: an object without a detection has score 0 there.
        _ => Value::ArrayDouble(told.iter().map(|told| told.real(value).unwrap_or(0.0)).collect()),
    }
}

/// The numbers of all detections of a row.
fn numbers(field: &DetectionField, block: &Block, row: usize) -> Vec<Option<f64>> {
    let all = match field {
        DetectionField::Each(each) => return each.iter().map(|&at| real(&block.columns[at], row)).collect(),
        DetectionField::All(at) => &block.columns[*at],
    };
    if all.is_null(row) {
        return Vec::new();
    }
    match &all.data {
        ColumnData::ArrayDouble(lists) => lists[row].iter().map(|&number| Some(number)).collect(),
        ColumnData::ArrayInt64(lists) => lists[row].iter().map(|&number| Some(number as f64)).collect(),
        ColumnData::ArrayInt32(lists) => lists[row].iter().map(|&number| Some(f64::from(number))).collect(),
        _ => vec![real(all, row)],
    }
}

fn real(column: &Column, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    let number = match &column.data {
        ColumnData::Int32(values) => f64::from(values[row]),
        ColumnData::Int64(values) => values[row] as f64,
        ColumnData::Double(values) => values[row],
        ColumnData::Money(values) => values[row] as f64 / MONEY_SCALE as f64,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The labels of all detections of a row.
fn texts(field: &DetectionField, separator: &str, block: &Block, row: usize) -> Vec<String> {
    let text = |at: usize| {
        let column = &block.columns[at];
        if column.is_null(row) { String::new() } else { column.str(row).to_owned() }
    };
    match field {
        DetectionField::Each(each) => each.iter().map(|&at| text(at)).collect(),
        DetectionField::All(at) => text(*at).split(separator).map(|part| part.trim().to_owned()).collect(),
    }
}

impl Operator for Tracker {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let block = &run.block;
        let new = |ty: FieldType| ColumnBuilder::new(ty, block.len());
        let mut columns: Vec<ColumnBuilder> = self.schema.fields().iter().map(|field| new(field.ty)).collect();
        let (mut rows, mut ends) = (Vec::with_capacity(block.len()), Vec::with_capacity(run.ends.len()));
        for news in run.news() {
            for at in news {
                match self.detections(block, at) {
                    Some(detections) => self.tracks.frame(detections),
                    None => {
                        self.bad.add("its detections are not what the window reads", block, at);
                        continue;
                    }
                }
                self.add((block, at), &mut columns, &mut rows);
            }
            ends.push(rows.len() as u32);
        }
        let columns = columns.into_iter().map(|column| Arc::new(column.finish())).collect();
        run.with_rows(&rows, &self.schema, columns, ends)
    }

    fn held(&self) -> Held {
        let (rows, bytes) = self.tracks.held();
        Held { rows, bytes, bad_events: self.bad.count(), ..Held::default() }
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    fn kind(&self) -> &'static str {
        "object-tracker"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.bad.save(to);
        self.tracks.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.bad.restore(from)?;
        self.tracks.restore(from)
    }
}
