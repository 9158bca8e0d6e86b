//! Geofence: for each position the geometries that hold it.
//!
//! Geometries come first where both come with one event. Every position goes out at least once, with nulls where no
//! geometry holds it. Events keep their opcodes; what an old row hit is looked up among the geometries of now.

mod index;
mod shape;

use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, Opcode, Schema, Value};
use mesh_model::{Geofence as Spec, GeofenceOutput};

use super::{Clock, Held, Operator, Sides};
use crate::columns::number;
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use crate::store::{Notes, Rows, keys};
use index::Index;
use shape::{Hit, Measure, Shape};

/// Sides of the window's input.
pub(crate) const POSITION: usize = 0;
pub(crate) const GEOMETRY: usize = 1;

/// A geofence window.
pub(crate) struct Geofence {
    schema: Arc<Schema>,
    spec: Spec,
    measure: Measure,
    geometries: Rows,
    /// By slot; `None` for a row that is no geometry, or that is gone.
    shapes: Vec<Option<Shape>>,
    /// Where they are.
    index: Index,
    bad_events: u64,
}

/// What goes out: a row of the positions, a hit, its number among those of the position.
struct Out {
    row: u32,
    hit: Option<(u32, Hit)>,
    number: i64,
}

impl Geofence {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec, geometries: &Arc<Schema>) -> Geofence {
        let measure = Measure {
            geographic: spec.geographic,
            distance: spec.distance,
            proximity: spec.proximity,
            lookup: spec.lookup_distance,
        };
        Geofence {
            schema: Arc::clone(schema),
            spec: spec.clone(),
            measure,
            geometries: Rows::new(geometries, Notes { order: true, ..Notes::default() }),
            shapes: Vec::new(),
            index: Index::default(),
            bad_events: 0,
        }
    }

    /// The event at a row of the geometries.
    fn learn(&mut self, block: &Block, (row, hash, chunk): (usize, u64, u32)) {
        let held = self.geometries.find(hash, &block.columns, row);
        let deletes = matches!(block.opcodes[row], Opcode::Delete | Opcode::SafeDelete);
        let slot = match held {
            Some(slot) if deletes => {
                self.geometries.remove(slot);
                self.shapes[slot as usize] = None;
                self.index.set(slot, None, self.measure);
                return;
            }
            None if deletes => {
                self.bad_events += u64::from(block.opcodes[row] == Opcode::Delete);
                return;
            }
            Some(slot) => {
                self.geometries.replace(slot, chunk, row as u32);
                slot
            }
            None => self.geometries.insert(hash, chunk, row as u32),
        };
        self.note(slot, Shape::of_row(&self.spec.geometry, &block.columns, row));
    }

    fn note(&mut self, slot: u32, shape: Option<Shape>) {
        if self.shapes.len() <= slot as usize {
            self.shapes.resize(slot as usize + 1, None);
        }
        self.bad_events += u64::from(shape.is_none());
        self.index.set(slot, shape.as_ref(), self.measure);
        self.shapes[slot as usize] = shape;
    }

    /// The geometries that hold the position of a row: slots and hits.
    fn hits(&self, block: &Block, row: usize) -> Vec<(u32, Hit)> {
        let at = (number(&block.columns[self.spec.x], row), number(&block.columns[self.spec.y], row));
        let (Some(x), Some(y)) = at else { return Vec::new() };
        if !x.is_finite() || !y.is_finite() {
            return Vec::new();
        }
        let all = || (0..self.shapes.len() as u32).filter(|&slot| self.shapes[slot as usize].is_some()).collect();
        let mut slots: Vec<u32> = self.index.candidates((x, y), self.measure).unwrap_or_else(all);
        slots.sort_unstable_by_key(|&slot| self.geometries.order(slot));
        let hit = |slot: u32| {
            let shape = self.shapes[slot as usize].as_ref().expect("the index holds the slots that have a shape");
            Some((slot, shape.hit((x, y), self.measure)?))
        };
        let mut hits: Vec<(u32, Hit)> = slots.into_iter().filter_map(hit).collect();
        if self.spec.sorted || !self.spec.multiple {
            // Stable: of two that are equally near the longer known one comes first.
            hits.sort_by(|a, b| a.1.distance.total_cmp(&b.1.distance));
        }
        if !self.spec.multiple {
            hits.truncate(1);
        }
        hits
    }

    fn values(&self, builder: &mut ColumnBuilder, output: GeofenceOutput, out: &Out) {
        let value = match (output, &out.hit) {
            (GeofenceOutput::EventNumber, _) => Value::Int64(out.number),
            (_, None) | (GeofenceOutput::Position(_), _) => Value::Null,
            (GeofenceOutput::Geometry(field), Some((slot, _))) => {
                let (columns, row) = self.geometries.values(*slot);
                columns[field].value(row)
            }
            (GeofenceOutput::Distance, Some((_, hit))) => Value::Double(hit.distance),
            (GeofenceOutput::Type, Some((slot, _))) => {
                let shape = self.shapes[*slot as usize].as_ref().expect("only shapes are hit");
                Value::String(shape.type_name().into())
            }
            (GeofenceOutput::SegmentNumber, Some((_, hit))) => {
                hit.side.map_or(Value::Null, |side| Value::Int64(side as i64))
            }
        };
        assert!(builder.push(&value), "the model gives a field the type of its values");
    }
}

impl Operator for Geofence {
    fn process(&mut self, _run: Run, _clock: Clock) -> Run {
        unreachable!("the input of a geofence comes by side")
    }

    fn process_sides(&mut self, inputs: Sides, _clock: Clock) -> Run {
        let geometries = inputs.side(GEOMETRY).map(|run| {
            let (columns, rows) = (&run.block.columns, run.block.len());
            let hashes = keys::hashes(columns, self.geometries.schema().keys(), rows);
            (run, hashes, self.geometries.open(columns.clone(), rows))
        });
        let positions = inputs.side(POSITION);
        let schema = Arc::clone(&self.schema);
        let fields = schema.fields();
        let mut builders: Vec<ColumnBuilder> = fields.iter().map(|field| ColumnBuilder::new(field.ty, 0)).collect();
        let (mut rows, mut ends) = (Vec::new(), Vec::with_capacity(inputs.causes()));
        let range = |run: &Run, cause: usize| {
            let start = if cause == 0 { 0 } else { run.ends[cause - 1] };
            start..run.ends[cause]
        };
        for cause in 0..inputs.causes() {
            if let Some((run, hashes, chunk)) = &geometries {
                for row in range(run, cause) {
                    // The old half of an update is gone with its new half.
                    let old_half = row > 0 && run.block.opcodes[row as usize - 1] == Opcode::UpdateBlock;
                    if !(old_half && run.block.opcodes[row as usize] == Opcode::Delete) {
                        self.learn(&run.block, (row as usize, hashes[row as usize], *chunk));
                    }
                }
            }
            for row in positions.map_or(0..0, |run| range(run, cause)) {
                let block = &positions.expect("a row of it is looked at").block;
                let hits = self.hits(block, row as usize);
                let none = hits.is_empty().then_some(Out { row, hit: None, number: 0 });
                let found = hits.into_iter().zip(0..).map(|(hit, number)| Out { row, hit: Some(hit), number });
                for out in found.chain(none) {
                    for (builder, output) in builders.iter_mut().zip(&self.spec.fields) {
                        if !matches!(output, GeofenceOutput::Position(_)) {
                            self.values(builder, *output, &out);
                        }
                    }
                    rows.push(out.row);
                }
            }
            ends.push(rows.len() as u32);
        }
        self.geometries.settle();
        let mut columns: Vec<Arc<Column>> = Vec::with_capacity(fields.len());
        for ((builder, output), field) in builders.into_iter().zip(&self.spec.fields).zip(fields) {
            columns.push(Arc::new(match (output, positions) {
                (GeofenceOutput::Position(at), Some(run)) => run.block.columns[*at].gather(&rows),
                (GeofenceOutput::Position(_), None) => super::functional::nulls(field.ty, 0),
                _ => builder.finish(),
            }));
        }
        let at = |row: &u32| *row as usize;
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: positions.map_or(Vec::new(), |run| rows.iter().map(|row| run.block.opcodes[at(row)]).collect()),
            flags: positions.map_or(Vec::new(), |run| rows.iter().map(|row| run.block.flags[at(row)]).collect()),
            columns,
        };
        Run { block, ends: ends.into() }
    }

    fn held(&self) -> Held {
        let corners = |shape: &Shape| match shape {
            Shape::Circle { .. } => 0,
            Shape::Polygon { corners, .. } => size_of_val(corners.as_slice()),
        };
        let shapes: usize = self.shapes.iter().flatten().map(corners).sum();
        Held {
            rows: self.geometries.len() as u64,
            bytes: (self.geometries.bytes() + shapes + self.index.bytes() + size_of_val(self.shapes.as_slice())) as u64,
            bad_events: self.bad_events,
            ..Held::default()
        }
    }

    fn kind(&self) -> &'static str {
        "geofence"
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.geometries.save(to);
        to.put(&self.bad_events);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.geometries.load(from)?;
        let mut next = self.geometries.oldest();
        while let Some(slot) = next {
            next = self.geometries.after(slot);
            let (columns, row) = self.geometries.values(slot);
            let shape = Shape::of_row(&self.spec.geometry, columns, row);
            self.note(slot, shape);
        }
        self.bad_events = from.get()?;
        Ok(())
    }
}
