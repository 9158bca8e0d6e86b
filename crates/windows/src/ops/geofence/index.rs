//! Which geometries can hold a position, without looking at all of them: a tree of boxes.

use std::collections::BTreeSet;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::shape::{EARTH_M, Measure, Point, Shape};

/// Boxes are larger by this part of their size and of their coordinates: rounding must not leave a hit outside.
const MARGIN: f64 = 1e-9;

type Entry = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// Geometries by slot. The order in which the tree gives them means nothing: who asks puts them in order.
#[derive(Default)]
pub(crate) struct Index {
    tree: RTree<Entry>,
    /// Geometries without a box: those that reach over a pole or the date line, or have no finite size.
    everywhere: BTreeSet<u32>,
    /// By slot.
    boxes: Vec<Option<[Point; 2]>>,
}

impl Index {
    /// Puts another geometry, or none, into a slot.
    pub(crate) fn set(&mut self, slot: u32, shape: Option<&Shape>, measure: Measure) {
        let at = slot as usize;
        if self.boxes.len() <= at {
            self.boxes.resize(at + 1, None);
        }
        if let Some(before) = self.boxes[at].take() {
            self.tree.remove(&entry(before, slot));
        }
        self.everywhere.remove(&slot);
        let Some(shape) = shape else { return };
        match bounds(shape, measure) {
            Some(bounds) => {
                self.boxes[at] = Some(bounds);
                self.tree.insert(entry(bounds, slot));
            }
            None => {
                self.everywhere.insert(slot);
            }
        }
    }

    /// The slots of all geometries that can hold a position, in no order; `None` when any can.
    pub(crate) fn candidates(&self, at: Point, measure: Measure) -> Option<Vec<u32>> {
        // Beyond the map a degree is another degree of the same place.
        if measure.geographic && (at.0.abs() > 180.0 || at.1.abs() > 90.0) {
            return None;
        }
        let found = self.tree.locate_in_envelope_intersecting(&AABB::from_point([at.0, at.1]));
        Some(found.map(|entry| entry.data).chain(self.everywhere.iter().copied()).collect())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.tree.size() * size_of::<Entry>() + size_of_val(self.boxes.as_slice())
    }
}

fn entry([low, high]: [Point; 2], slot: u32) -> Entry {
    GeomWithData::new(Rectangle::from_corners([low.0, low.1], [high.0, high.1]), slot)
}

/// The box outside of which nothing is a hit; `None` when there is none.
fn bounds(shape: &Shape, measure: Measure) -> Option<[Point; 2]> {
    let (corners, reach) = match shape {
        Shape::Circle { center, radius } => (std::slice::from_ref(center), radius + measure.lookup),
        Shape::Polygon { corners, .. } => (corners.as_slice(), measure.lookup),
    };
    let (mut low, mut high) = (corners[0], corners[0]);
    for corner in corners {
        low = (low.0.min(corner.0), low.1.min(corner.1));
        high = (high.0.max(corner.0), high.1.max(corner.1));
    }
    let (dx, dy) = if measure.geographic { degrees(reach, low.1.abs().max(high.1.abs()))? } else { (reach, reach) };
    let wider = |by: f64, a: f64, b: f64| by + MARGIN * (1.0 + by + a.abs().max(b.abs()));
    let (dx, dy) = (wider(dx, low.0, high.0), wider(dy, low.1, high.1));
    let (low, high) = ((low.0 - dx, low.1 - dy), (high.0 + dx, high.1 + dy));
    let inside = !measure.geographic || low.0 > -180.0 && high.0 < 180.0 && low.1 > -90.0 && high.1 < 90.0;
    let finite = [low.0, low.1, high.0, high.1].iter().all(|x| x.is_finite());
    (inside && finite).then_some([low, high])
}

/// The most degrees of longitude and latitude that a distance in metres from a latitude can reach; `None` at a pole.
fn degrees(reach: f64, latitude: f64) -> Option<(f64, f64)> {
    let angle = reach.max(0.0) / EARTH_M;
    let down = latitude.to_radians() + angle;
    if !angle.is_finite() || down >= std::f64::consts::FRAC_PI_2 {
        return None;
    }
    let aside = (angle.sin() / latitude.to_radians().cos()).min(1.0).asin();
    Some((aside.to_degrees(), angle.to_degrees()))
}
