//! Roles of edges.

/// What the events of an edge are for its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeRole {
    /// Data (the default).
    Data,
    /// A model.
    Model,
    /// Left side of a join.
    Left,
    /// Right side of a join.
    Right,
    /// Positions of a geofence.
    Position,
    /// Geometries of a geofence.
    Geometry,
    /// Requests to a model supervisor.
    Request,
}

impl EdgeRole {
    /// Every role with its name in project files.
    pub const ALL: [(&'static str, EdgeRole); 7] = [
        ("data", EdgeRole::Data),
        ("model", EdgeRole::Model),
        ("left", EdgeRole::Left),
        ("right", EdgeRole::Right),
        ("position", EdgeRole::Position),
        ("geometry", EdgeRole::Geometry),
        ("request", EdgeRole::Request),
    ];
}
