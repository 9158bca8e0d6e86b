//! What a geofence window looks for.

/// A geofence window.
#[derive(Debug, Clone, PartialEq)]
pub struct Geofence {
    /// Coordinates are degrees of longitude (x) and latitude (y), distances are metres; otherwise both are plain.
    pub geographic: bool,
    /// One output for each geometry that holds a position; otherwise one for each position.
    pub multiple: bool,
    /// Several outputs come nearest first.
    pub sorted: bool,
    /// What the distance to a polygon is the distance to.
    pub distance: Distance,
    /// The distance to a border is negative inside, and a position outside within the lookup distance is a hit.
    pub proximity: bool,
    /// Fields of the position's input.
    pub x: usize,
    /// Field with the latitude, or the second coordinate.
    pub y: usize,
    /// A position so far outside is a hit.
    pub lookup_distance: f64,
    /// Fields of the geometry's input.
    pub geometry: GeometryFields,
    /// One for each field of the window's schema.
    pub fields: Vec<GeofenceOutput>,
}

/// What the distance to a polygon is the distance to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Its nearest side.
    Segment,
    /// The mean of its corners.
    Centroid,
}

/// Where a geometry's parts stand in its input.
#[derive(Debug, Clone, PartialEq)]
pub struct GeometryFields {
    /// Text or array with coordinates in turn.
    pub data: Option<usize>,
    /// What stands between coordinates; empty = white space.
    pub separator: String,
    /// First coordinate of a circle's centre.
    pub x: Option<usize>,
    /// Second coordinate of a circle's centre.
    pub y: Option<usize>,
    /// Radius of a circle.
    pub radius_field: Option<usize>,
    /// Radius where the field has none.
    pub radius: f64,
    /// Description.
    pub description: Option<usize>,
}

/// Where a field of a geofence window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeofenceOutput {
    /// A field of the position.
    Position(usize),
    /// A field of the geometry; its key is the identity of the geometry.
    Geometry(usize),
    /// The distance to the geometry.
    Distance,
    /// `Circle` or `Polygon`.
    Type,
    /// Number of the output among those of one position, from 0.
    EventNumber,
    /// Number of the nearest side of a polygon, from 0.
    SegmentNumber,
}
