//! Object-tracker windows: what of the input are detections, when they are one object, which fields go out.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use roxmltree::Node;

use crate::project::WindowKind;
use crate::reader::Reader;
use crate::report::{Draft, bad_value, not_supported, tag_span, unknown_field};
use crate::tracker::{BoxShape, DetectionField, Detections, TrackRule, TrackValue, Tracker, TrackerField};
use crate::window::Reading;

/// Where names of fields for each detection have the number.
const NUMBER: char = '%';
/// Most objects of a frame.
const OBJECTS_MAX: usize = 10_000;
/// Most objects with fields of their own.
const WIDE_MAX: usize = 1000;

/// How many events and fields a frame gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One event with fields for each object.
    Wide,
    /// One event with arrays.
    Array,
    /// One event for each object.
    Long,
}

/// The `output` element.
struct Output {
    mode: Mode,
    prefix: String,
    tracks: usize,
    velocity: bool,
    newborn: bool,
    scored: bool,
    scale: [f64; 2],
}

/// Name, what it is, and the type of one value.
const VALUES: [(&str, TrackValue, FieldType); 14] = [
    ("id", TrackValue::Id, FieldType::Int64),
    ("label", TrackValue::Label, FieldType::String),
    ("score", TrackValue::Score, FieldType::Double),
    ("x", TrackValue::X, FieldType::Double),
    ("y", TrackValue::Y, FieldType::Double),
    ("w", TrackValue::Width, FieldType::Double),
    ("h", TrackValue::Height, FieldType::Double),
    ("center_x", TrackValue::CenterX, FieldType::Double),
    ("center_y", TrackValue::CenterY, FieldType::Double),
    ("track_x", TrackValue::TrackX, FieldType::ArrayDouble),
    ("track_y", TrackValue::TrackY, FieldType::ArrayDouble),
    ("track_count", TrackValue::TrackCount, FieldType::Int32),
    ("vvect_x", TrackValue::VelocityX, FieldType::Double),
    ("vvect_y", TrackValue::VelocityY, FieldType::Double),
];

impl Output {
    /// The values that go out for each object.
    fn values(&self) -> impl Iterator<Item = (&'static str, TrackValue, FieldType)> {
        let (velocity, array) = (self.velocity, self.mode == Mode::Array);
        VALUES.into_iter().filter(move |(_, value, _)| match value {
            TrackValue::TrackCount => array,
            TrackValue::VelocityX | TrackValue::VelocityY => velocity,
            _ => true,
        })
    }

    /// What the window adds to the fields that it copies.
    fn added(&self) -> Vec<(Field, TrackerField)> {
        let prefix = &self.prefix;
        let field = |name: String, ty: FieldType, key: bool| Field { name, ty, key };
        let density = (field(format!("{prefix}_density"), FieldType::Int32, false), TrackerField::Density);
        let mut added = vec![density];
        match self.mode {
            Mode::Wide => {
                for object in 0..self.tracks {
                    let named = |name: &str| format!("{prefix}{object}_{name}");
                    let of = |(name, value, ty)| (field(named(name), ty, false), TrackerField::Of(object, value));
                    added.extend(self.values().map(of));
                }
            }
            Mode::Array => {
                let array = |value: TrackValue| match value {
                    TrackValue::Id | TrackValue::TrackCount => FieldType::ArrayInt32,
                    TrackValue::Label => FieldType::String,
                    _ => FieldType::ArrayDouble,
                };
                let all = |(name, value, _): (&str, TrackValue, FieldType)| {
                    (field(format!("{prefix}_{name}"), array(value), false), TrackerField::All(value))
                };
                added.extend(self.values().map(all));
            }
            Mode::Long => {
                let this = |(name, value, ty): (&str, TrackValue, FieldType)| {
                    (field(format!("{prefix}_{name}"), ty, value == TrackValue::Id), TrackerField::This(value))
                };
                added.extend(self.values().map(this));
            }
        }
        added
    }
}

fn element<'n, 'i>(node: Node<'n, 'i>, name: &str, reader: &Reader<'_>) -> Option<Node<'n, 'i>> {
    let found = reader.child(node, name);
    if found.is_none() {
        let headline = format!("`{}` has no `{name}`", node.tag_name().name());
        let draft = Draft::error("missing-element", tag_span(node), headline)
            .help("it needs <tracker method=\"iou\"/>, <output mode=\"wide\" tracks=\"10\"/> and <input .../>");
        reader.report.add(node, draft);
    }
    found
}

/// A number in an attribute that must lie in a range; `None` after a report.
fn number(node: Node<'_, '_>, name: &str, (default, from, to): (f64, f64, f64), reader: &Reader<'_>) -> Option<f64> {
    let Some(text) = reader.attribute(node, name).filter(|text| !text.is_empty()) else { return Some(default) };
    let found = text.as_str().parse::<f64>().ok().filter(|number| (from..=to).contains(number));
    if found.is_none() {
        reader.report.add(node, bad_value(&format!("`{name}`"), &text, &format!("a number from {from} to {to}")));
    }
    found
}

/// A number of frames or objects; `None` after a report.
fn count(node: Node<'_, '_>, name: &str, default: u32, reader: &Reader<'_>) -> Option<u32> {
    let limits = (f64::from(default), 0.0, 1e6);
    number(node, name, limits, reader).map(|number| number as u32)
}

/// The `output` element; `None` after a report.
fn output(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<Output> {
    let output = element(node, "output", reader)?;
    let known = [
        "mode",
        "prefix",
        "tracks",
        "velocity-vector",
        "newborn-tracks",
        "scored-tracks",
        "scale-x",
        "scale-y",
        "keypoints",
    ];
    reader.check_attributes(output, &[&known]);
    let mode = match reader.attribute(output, "mode").filter(|text| !text.is_empty()) {
        None => Mode::Wide,
        Some(text) => match text.as_str() {
            "wide" => Mode::Wide,
            "array" => Mode::Array,
            "long" => Mode::Long,
            _ => {
                let modes = ["wide", "array", "long"];
                let draft = bad_value("`mode`", &text, "`wide`, `array` or `long`").known(text.as_str(), modes);
                reader.report.add(output, draft);
                return None;
            }
        },
    };
    if reader.flag(output, "keypoints") == Some(true) {
        let because = "boxes are followed, not the points in them";
        let way_out = "keep the points in fields of their own: what is no part of <input> is copied";
        reader.report.add(output, not_supported(tag_span(output), "`keypoints`", because, way_out));
        return None;
    }
    let tracks = count(output, "tracks", 0, reader)? as usize;
    let most = if mode == Mode::Wide { WIDE_MAX } else { OBJECTS_MAX };
    if tracks > most || tracks == 0 && mode == Mode::Wide {
        let headline = format!("`tracks` is {tracks}, expected 1 to {most}");
        let draft = Draft::error("bad-value", tag_span(output), headline).help("say how many objects have fields");
        reader.report.add(output, draft);
        return None;
    }
    let prefix = reader.attribute(output, "prefix").filter(|text| !text.is_empty());
    Some(Output {
        mode,
        prefix: prefix.map_or_else(|| "Object".to_owned(), |text| text.as_str().to_owned()),
        tracks: if tracks == 0 { OBJECTS_MAX } else { tracks },
        velocity: reader.flag(output, "velocity-vector").unwrap_or(false),
        newborn: reader.flag(output, "newborn-tracks").unwrap_or(false),
        scored: reader.flag(output, "scored-tracks").unwrap_or(true),
        scale: [scale(output, "scale-x", reader)?, scale(output, "scale-y", reader)?],
    })
}

/// A factor, or a fraction such as `1920/416`.
fn scale(node: Node<'_, '_>, name: &str, reader: &Reader<'_>) -> Option<f64> {
    let Some(text) = reader.attribute(node, name).filter(|text| !text.is_empty()) else { return Some(1.0) };
    let parts: Option<Vec<f64>> = text.as_str().split('/').map(|part| part.trim().parse().ok()).collect();
    let factor = match parts.as_deref() {
        Some([factor]) => Some(*factor),
        Some([above, below]) => Some(above / below),
        _ => None,
    };
    let factor = factor.filter(|factor| factor.is_finite() && *factor > 0.0);
    if factor.is_none() {
        reader.report.add(node, bad_value(&format!("`{name}`"), &text, "a positive number or fraction"));
    }
    factor
}

/// The `tracker` element; `None` after a report.
fn rule(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<TrackRule> {
    let tracker = element(node, "tracker", reader)?;
    let of_iou = [
        "score-sigma-low",
        "score-sigma-high",
        "iou-sigma",
        "iou-sigma2",
        "iou-sigma-dup",
        "min-track-length",
        "min-track-life",
    ];
    let shared = ["method", "velocity-vector-frames", "max-track-lives", "track-retention"];
    let of_bytetrack = ["track-thresh", "high-thresh", "match-thresh"];
    reader.check_attributes(tracker, &[&of_iou, &shared, &of_bytetrack]);
    let method = reader.attribute(tracker, "method").filter(|text| !text.is_empty());
    if let Some(method) = method.filter(|method| !method.as_str().eq_ignore_ascii_case("iou")) {
        let draft = if method.as_str().eq_ignore_ascii_case("bytetrack") {
            let because = "its filter of positions is not written yet";
            not_supported(method.full_span(), "method=\"bytetrack\"", because, "use method=\"iou\"")
        } else {
            bad_value("`method`", &method, "`iou`")
        };
        reader.report.add(tracker, draft);
        return None;
    }
    let share = |name: &str, default: f64| number(tracker, name, (default, 0.0, 1.0), reader);
    let (score_low, score_high) = (share("score-sigma-low", 0.5), share("score-sigma-high", 0.3));
    let (overlap, second) = (share("iou-sigma", 0.5), share("iou-sigma2", 0.3));
    let duplicate = share("iou-sigma-dup", 0.0);
    let frames = |name: &str, default: u32| count(tracker, name, default, reader);
    let shortest =
        if reader.attribute(tracker, "min-track-life").is_some() { "min-track-life" } else { "min-track-length" };
    let (velocity, lives) = (frames("velocity-vector-frames", 15), frames("max-track-lives", 10));
    let (min_length, retention) = (frames(shortest, 0), frames("track-retention", 0));
    Some(TrackRule {
        score_low: score_low?,
        score_high: score_high?,
        overlap: overlap?,
        overlap_second: second?,
        overlap_duplicate: duplicate?,
        velocity_frames: (velocity? as usize).min(Tracker::POSITIONS_MAX - 1),
        lives: lives?,
        min_length: min_length?,
        retention: (retention? as usize).min(Tracker::POSITIONS_MAX),
    })
}

/// What may stand in a field of detections.
#[derive(Clone, Copy)]
enum Wanted {
    Number,
    Text,
}

impl Wanted {
    fn fits(self, ty: FieldType, all: bool) -> bool {
        match self {
            Wanted::Text => ty == FieldType::String,
            Wanted::Number if all => {
                matches!(ty, FieldType::ArrayDouble | FieldType::ArrayInt32 | FieldType::ArrayInt64 | FieldType::Double)
            }
            Wanted::Number => matches!(ty, FieldType::Int32 | FieldType::Int64 | FieldType::Double | FieldType::Money),
        }
    }
}

/// The fields that an attribute of `input` names; the outer `None` after a report.
fn named(
    node: Node<'_, '_>,
    attribute: &str,
    wanted: Wanted,
    input: &Schema,
    reader: &Reader<'_>,
) -> Option<Option<DetectionField>> {
    let Some(text) = reader.attribute(node, attribute).filter(|text| !text.is_empty()) else { return Some(None) };
    let misfit = |name: &str, ty: FieldType| {
        let headline = format!("field `{name}` has type {ty}, which `{attribute}` cannot take");
        let help = match wanted {
            Wanted::Number => "name a number field for each detection (`obj_%_x`), or one array field",
            Wanted::Text => "name a string field",
        };
        Draft::error("field-type", text.full_span(), headline).help(help)
    };
    let fits = |at: usize, all: bool| {
        let field = &input.fields()[at];
        let fits = wanted.fits(field.ty, all);
        if !fits {
            reader.report.add(node, misfit(&field.name, field.ty));
        }
        fits
    };
    if !text.as_str().contains(NUMBER) {
        let Some(at) = input.index_of(text.as_str()) else {
            reader.report.add(node, unknown_field(&format!("`{attribute}`"), &text, input));
            return None;
        };
        return fits(at, true).then_some(Some(DetectionField::All(at)));
    }
    // Models number from 0; those that number from 1 are understood too.
    let field = |number: usize| input.index_of(&text.as_str().replace(NUMBER, &number.to_string()));
    let first = usize::from(field(0).is_none());
    let each: Vec<usize> = (first..OBJECTS_MAX).map_while(field).collect();
    if each.is_empty() {
        let first = text.as_str().replace(NUMBER, "0");
        let headline = format!("`{attribute}` names field `{first}`, which does not exist");
        let draft = Draft::error("unknown-field", text.full_span(), headline)
            .help("`%` stands for the number of the detection, from 0")
            .known(&first, input.fields().iter().map(|field| field.name.as_str()));
        reader.report.add(node, draft);
        return None;
    }
    each.iter().all(|&at| fits(at, false)).then_some(Some(DetectionField::Each(each)))
}

/// The `input` element, and the fields that it uses up; `None` after a report.
fn detections(node: Node<'_, '_>, input: &Schema, reader: &Reader<'_>) -> Option<(Detections, Vec<usize>)> {
    let element = element(node, "input", reader)?;
    let rect = ["x", "y", "width", "height"];
    let corners = ["x-min", "y-min", "x-max", "y-max"];
    let more = ["count", "score", "label", "label-separator", "coord-type", "attributes"];
    reader.check_attributes(element, &[&rect, &corners, &more]);
    let shape = match reader.attribute(element, "coord-type").filter(|text| !text.is_empty()) {
        None => BoxShape::Rect,
        Some(text) => match text.as_str() {
            "rect" => BoxShape::Rect,
            "yolo" => BoxShape::Yolo,
            "coco" => BoxShape::Coco,
            _ => {
                let draft = bad_value("`coord-type`", &text, "`rect`, `yolo` or `coco`");
                reader.report.add(element, draft.known(text.as_str(), ["rect", "yolo", "coco"]));
                return None;
            }
        },
    };
    let count = match reader.attribute(element, "count").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let at = input.index_of(text.as_str());
            let fits = |at: &usize| matches!(input.fields()[*at].ty, FieldType::Int32 | FieldType::Int64);
            let Some(at) = at.filter(fits) else {
                let draft = match at {
                    None => unknown_field("`count`", &text, input),
                    Some(_) => bad_value("`count`", &text, "an integer field"),
                };
                reader.report.add(element, draft);
                return None;
            };
            Some(at)
        }
    };
    let of = |attribute: &str, wanted: Wanted| named(element, attribute, wanted, input, reader);
    let (score, label) = (of("score", Wanted::Number), of("label", Wanted::Text));
    let names = if shape == BoxShape::Coco && reader.attribute(element, "x-min").is_some() { corners } else { rect };
    let numbers = names.map(|name| {
        reader.required(element, name)?;
        of(name, Wanted::Number)?
    });
    let [Some(a), Some(b), Some(c), Some(d)] = numbers else { return None };
    let (score, label) = (score?, label?);
    let separator = reader.attribute(element, "label-separator").filter(|text| !text.as_str().is_empty());
    let separator = separator.map_or_else(|| ",".to_owned(), |text| text.as_str().to_owned());
    let detections = Detections { count, score, label, separator, numbers: [a, b, c, d], shape };
    let fields = detections.numbers.iter().chain(&detections.score).chain(&detections.label);
    let used = fields.flat_map(|field| match field {
        DetectionField::Each(each) => each.clone(),
        DetectionField::All(at) => vec![*at],
    });
    let used = used.filter(|&at| !input.fields()[at].key).collect();
    Some((detections, used))
}

/// What goes out when no schema is written: the fields of the input that are no detections, then what is added.
fn fields(input: &Schema, used: &[usize], output: &Output) -> Vec<(Field, TrackerField)> {
    let kept = input.fields().iter().enumerate().filter(|(at, _)| !used.contains(at));
    let mut fields: Vec<(Field, TrackerField)> =
        kept.map(|(at, field)| (field.clone(), TrackerField::Copy(at))).collect();
    fields.extend(output.added());
    fields
}

/// The schema of an object-tracker window that does not write one.
pub(crate) fn schema(node: Node<'_, '_>, input: &Schema, reader: &Reader<'_>) -> Option<Arc<Schema>> {
    let (output, detections) = (output(node, reader), detections(node, input, reader));
    let (output, (_, used)) = (output?, detections?);
    let fields = fields(input, &used, &output).into_iter().map(|(field, _)| field).collect();
    crate::windows::shape::made(node, fields, reader)
}

/// Reads an object-tracker window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    let rule = rule(node, reader);
    let (output, (detections, used)) = (output(node, reader)?, detections(node, input, reader)?);
    let made = fields(input, &used, &output);
    let mut found = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let Some((own, origin)) = made.iter().find(|(own, _)| own.name == field.name) else {
            let headline = format!("field `{}` is none that the tracker makes or copies", field.name);
            let known: Vec<&str> = made.iter().map(|(own, _)| own.name.as_str()).collect();
            let draft = Draft::error("unknown-field", tag_span(node), headline).known(&field.name, known);
            reader.report.add(node, draft.help("leave the schema out: the window makes its own"));
            return None;
        };
        if own.ty != field.ty {
            let headline = format!("field `{}` has type {}, the tracker gives {}", field.name, field.ty, own.ty);
            let draft = Draft::error("field-type", tag_span(node), headline)
                .help("leave the schema out: the window makes its own");
            reader.report.add(node, draft);
            return None;
        }
        found.push(*origin);
    }
    Some(WindowKind::Tracker(Box::new(Tracker {
        rule: rule?,
        input: detections,
        long: output.mode == Mode::Long,
        limit: output.tracks,
        unscored: !output.scored,
        newborn: output.newborn,
        scale: output.scale,
        fields: found,
    })))
}
