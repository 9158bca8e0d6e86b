//! What an object-tracker window follows, and what it puts out.

/// An object-tracker window: detections of a frame, one event each frame, joined to tracks by how much boxes overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracker {
    /// When detections and tracks are the same object.
    pub rule: TrackRule,
    /// Where the detections of an event stand.
    pub input: Detections,
    /// One output event for each object, not for each frame.
    pub long: bool,
    /// Most objects that go out for a frame.
    pub limit: usize,
    /// Tracks without a detection in this frame go out too, without a score.
    pub unscored: bool,
    /// Tracks that are shorter than [`TrackRule::min_length`] go out too.
    pub newborn: bool,
    /// Coordinates are multiplied by these before they go out.
    pub scale: [f64; 2],
    /// One for each field of the window's schema.
    pub fields: Vec<TrackerField>,
}

/// When detections and tracks are the same object. Overlap: area of the intersection by that of the union.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackRule {
    /// Detections with a lower score are left out.
    pub score_low: f64,
    /// A track goes out once a detection of it had this score.
    pub score_high: f64,
    /// Least overlap of a track with its next detection.
    pub overlap: f64,
    /// Least overlap for tracks that found no detection so; not used when it is not lower.
    pub overlap_second: f64,
    /// A detection that overlaps a track of this frame so much opens no track of its own; 0: every one does.
    pub overlap_duplicate: f64,
    /// Frames over which the velocity is a mean.
    pub velocity_frames: usize,
    /// Frames that a track lives without a detection.
    pub lives: u32,
    /// A shorter track ends with the first frame without a detection.
    pub min_length: u32,
    /// Positions of a track that are kept; 0: as many as [`Tracker::POSITIONS_MAX`].
    pub retention: usize,
}

impl Tracker {
    /// Most positions that a track keeps.
    pub const POSITIONS_MAX: usize = 10_000;
}

/// Where the detections of an event stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Detections {
    /// Field with their number; without one there are as many as scores.
    pub count: Option<usize>,
    /// Confidence; 1 without.
    pub score: Option<DetectionField>,
    /// Name of the class.
    pub label: Option<DetectionField>,
    /// What the labels of one text are separated by.
    pub separator: String,
    /// The four numbers of a box.
    pub numbers: [DetectionField; 4],
    /// What they mean.
    pub shape: BoxShape,
}

/// A property of all detections of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetectionField {
    /// A field for each detection.
    Each(Vec<usize>),
    /// One field with all of them: an array, or a text with separators.
    All(usize),
}

/// What the four numbers of a box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxShape {
    /// Left, top, width, height.
    Rect,
    /// Middle from the left, middle from the top, width, height.
    Yolo,
    /// Left, top, right, bottom.
    Coco,
}

/// Where a field of an object-tracker window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackerField {
    /// The input field at this position; types are equal.
    Copy(usize),
    /// Number of objects that go out for the frame.
    Density,
    /// Of the object at this place.
    Of(usize, TrackValue),
    /// Of all objects, as an array or a text.
    All(TrackValue),
    /// Of the object that the event is for.
    This(TrackValue),
}

/// What is told of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackValue {
    /// Its number, from 1.
    Id,
    /// Class of its last detection.
    Label,
    /// Score of this frame's detection.
    Score,
    /// Left of the box.
    X,
    /// Top of the box.
    Y,
    /// Width of the box.
    Width,
    /// Height of the box.
    Height,
    /// Middle of the box.
    CenterX,
    /// Middle of the box.
    CenterY,
    /// Middles of its boxes, oldest first.
    TrackX,
    /// Middles of its boxes, oldest first.
    TrackY,
    /// How many middles those are.
    TrackCount,
    /// Mean step of the middle from frame to frame.
    VelocityX,
    /// Mean step of the middle from frame to frame.
    VelocityY,
}
