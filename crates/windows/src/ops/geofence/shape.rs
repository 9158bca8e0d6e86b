//! Geometries: circles and polygons, and how far a position is from them.

use std::sync::Arc;

use mesh_event::{Column, ColumnData};
use mesh_model::{Distance, GeometryFields};

use crate::columns::number;

/// Radius of the earth in metres.
const EARTH_M: f64 = 6_371_010.0;

/// A point: longitude and latitude in degrees, or plain coordinates.
pub(crate) type Point = (f64, f64);

/// A geometry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Circle { center: Point, radius: f64 },
    Polygon { corners: Vec<Point>, centroid: Point },
}

/// How a position lies to a geometry that it hits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub distance: f64,
    /// Number of the nearest side of a polygon, from 0.
    pub side: Option<usize>,
}

/// What decides a hit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub geographic: bool,
    pub distance: Distance,
    pub proximity: bool,
    pub lookup: f64,
}

impl Shape {
    /// The geometry of a row; `None` when it is none.
    pub(crate) fn of_row(fields: &GeometryFields, columns: &[Arc<Column>], row: usize) -> Option<Shape> {
        let at = |field: Option<usize>| field.and_then(|field| number(&columns[field], row));
        let radius = at(fields.radius_field).unwrap_or(fields.radius);
        let circle = |center: Point| (radius >= 0.0).then_some(Shape::Circle { center, radius });
        let coordinates = fields.data.and_then(|field| coordinates(&columns[field], row, &fields.separator));
        let Some(coordinates) = coordinates else { return circle((at(fields.x)?, at(fields.y)?)) };
        let (pairs, rest) = coordinates.as_chunks::<2>();
        let mut corners: Vec<Point> = pairs.iter().map(|[x, y]| (*x, *y)).collect();
        if !rest.is_empty() || corners.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return None;
        }
        if let [center] = corners.as_slice() {
            return circle(*center);
        }
        // A polygon may or may not repeat its first corner.
        if corners.len() > 3 && corners.first() == corners.last() {
            corners.pop();
        }
        if corners.len() < 3 {
            return None;
        }
        let n = corners.len() as f64;
        let sum = corners.iter().fold((0.0, 0.0), |sum, corner| (sum.0 + corner.0, sum.1 + corner.1));
        Some(Shape::Polygon { corners, centroid: (sum.0 / n, sum.1 / n) })
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Shape::Circle { .. } => "Circle",
            Shape::Polygon { .. } => "Polygon",
        }
    }

    /// How a position hits the geometry, if it does.
    pub(crate) fn hit(&self, at: Point, measure: Measure) -> Option<Hit> {
        match self {
            Shape::Circle { center, radius } => {
                let distance = distance(*center, at, measure.geographic);
                let border = if measure.proximity { distance - radius } else { distance };
                (distance <= radius + measure.lookup).then_some(Hit { distance: border, side: None })
            }
            Shape::Polygon { corners, centroid } => {
                let inside = holds(corners, at);
                // Outside, only what is near a side can be a hit.
                if !inside && measure.lookup == 0.0 {
                    return None;
                }
                let (side, border) = nearest_side(corners, at, measure.geographic);
                if !inside && border > measure.lookup {
                    return None;
                }
                let distance = match measure.distance {
                    _ if measure.proximity && inside => -border,
                    _ if measure.proximity => border,
                    Distance::Segment => border,
                    Distance::Centroid => distance(*centroid, at, measure.geographic),
                };
                Some(Hit { distance, side: Some(side) })
            }
        }
    }
}

fn coordinates(column: &Column, row: usize, separator: &str) -> Option<Vec<f64>> {
    if column.is_null(row) {
        return None;
    }
    if let ColumnData::ArrayDouble(v) = &column.data {
        return Some(v[row].to_vec());
    }
    let text = column.str(row);
    let numbers = |parts: &mut dyn Iterator<Item = &str>| {
        parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect::<Option<Vec<f64>>>()
    };
    // What is no number makes the geometry none.
    let found = match separator {
        "" => numbers(&mut text.split_whitespace()),
        separator => numbers(&mut text.split(separator)),
    };
    Some(found.unwrap_or_else(|| vec![f64::NAN; 2])).filter(|found| !found.is_empty())
}

/// Even-odd rule in the plane of the coordinates.
fn holds(corners: &[Point], (x, y): Point) -> bool {
    sides(corners).fold(false, |inside, ((x1, y1), (x2, y2))| {
        let crosses = (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1;
        inside != crosses
    })
}

fn sides(corners: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    corners.iter().copied().zip(corners.iter().copied().cycle().skip(1))
}

/// Number of the nearest side, and how far it is.
fn nearest_side(corners: &[Point], at: Point, geographic: bool) -> (usize, f64) {
    // A degree of longitude is shorter than one of latitude by the cosine of the latitude.
    let scale = if geographic { at.1.to_radians().cos() } else { 1.0 };
    let of_side = |(a, b): (Point, Point)| {
        let (dx, dy) = ((b.0 - a.0) * scale, b.1 - a.1);
        let (px, py) = ((at.0 - a.0) * scale, at.1 - a.1);
        let length = dx * dx + dy * dy;
        let part = if length == 0.0 { 0.0 } else { ((px * dx + py * dy) / length).clamp(0.0, 1.0) };
        distance((a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part), at, geographic)
    };
    let distances = sides(corners).map(of_side).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("a polygon has sides")
}

/// Great-circle distance in metres (haversine), or plain distance.
fn distance(a: Point, b: Point, geographic: bool) -> f64 {
    if !geographic {
        return (a.0 - b.0).hypot(a.1 - b.1);
    }
    let (lat1, lat2) = (a.1.to_radians(), b.1.to_radians());
    let (dlat, dlon) = ((b.1 - a.1).to_radians() / 2.0, (b.0 - a.0).to_radians() / 2.0);
    let h = dlat.sin() * dlat.sin() + lat1.cos() * lat2.cos() * dlon.sin() * dlon.sin();
    2.0 * EARTH_M * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: [Point; 4] = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)];

    fn plain(distance: Distance, proximity: bool, lookup: f64) -> Measure {
        Measure { geographic: false, distance, proximity, lookup }
    }

    #[test]
    fn a_polygon_is_hit_inside_and_within_the_lookup_distance() {
        let square = Shape::Polygon { corners: SQUARE.to_vec(), centroid: (2.0, 1.0) };
        let hit = |at, measure| square.hit(at, measure).map(|hit| (hit.distance, hit.side));
        assert_eq!(hit((1.0, 0.5), plain(Distance::Segment, false, 0.0)), Some((0.5, Some(0))));
        assert_eq!(hit((2.0, 1.5), plain(Distance::Centroid, false, 0.0)), Some((0.5, Some(2))));
        assert_eq!(hit((5.0, 1.0), plain(Distance::Segment, false, 0.0)), None);
        assert_eq!(hit((5.0, 1.0), plain(Distance::Segment, true, 1.0)), Some((1.0, Some(1))));
        assert_eq!(hit((3.5, 1.0), plain(Distance::Segment, true, 1.0)), Some((-0.5, Some(1))));
    }

    #[test]
    fn distances_on_the_earth() {
        // A degree of latitude.
        let degree = distance((8.0, 50.0), (8.0, 51.0), true);
        assert!((degree - EARTH_M * std::f64::consts::PI / 180.0).abs() < 1e-6);
        // New York (JFK) to London (LHR).
        let flight = distance((-73.7789, 40.6398), (-0.4543, 51.4700), true);
        assert!((5_530_000.0..5_560_000.0).contains(&flight), "{flight}");
    }
}
