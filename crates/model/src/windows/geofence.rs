//! Geofence windows: which fields make positions and geometries, and what goes out.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use roxmltree::Node;

use crate::geofence::{Distance, Geofence, GeofenceOutput, GeometryFields};
use crate::project::WindowKind;
use crate::report::{Draft, bad_value, tag_span, unknown_field};
use crate::role::EdgeRole;
use crate::text::Text;
use crate::window::{Place, Reading};

/// Radius of a circle whose size nobody says.
const DEFAULT_RADIUS: f64 = 1000.0;

/// The schemas of positions and geometries.
struct Inputs {
    position: Arc<Schema>,
    geometry: Arc<Schema>,
}

fn inputs(place: &Place<'_, '_, '_>, at: usize) -> Option<Inputs> {
    let (node, reader, name) = (place.windows[at].node, place.reader, &place.windows[at].name);
    let edges: Vec<_> = place.edges.iter().filter(|edge| edge.target == at).collect();
    let [one, other] = edges.as_slice() else {
        if !place.lost.may_feed(at) {
            let headline = format!("geofence window `{}` takes two edges: positions and geometries", name.as_str());
            let draft = Draft::error("geofence-inputs", name.full_span(), headline)
                .help("the first edge leads positions, the second geometries, unless role says otherwise");
            reader.report.add(node, draft);
        }
        return None;
    };
    let turned = one.role == EdgeRole::Geometry || other.role == EdgeRole::Position;
    let (position, geometry) = if turned { (other, one) } else { (one, other) };
    let (position, geometry) = (place.schema_of(position.source), place.schema_of(geometry.source));
    Some(Inputs { position: position?, geometry: geometry? })
}

/// The fields that the window adds: attribute, type, origin.
fn added(inputs: &Inputs, multiple: bool) -> [(&'static str, FieldType, GeofenceOutput, bool); 6] {
    let id = inputs.geometry.keys()[0];
    let id_type = inputs.geometry.fields()[id].ty;
    [
        ("geoid-fieldname", id_type, GeofenceOutput::Geometry(id), false),
        ("geodesc-fieldname", FieldType::String, GeofenceOutput::Type, false),
        ("geodistance-fieldname", FieldType::Double, GeofenceOutput::Distance, false),
        ("geotype-fieldname", FieldType::String, GeofenceOutput::Type, false),
        ("eventnumber-fieldname", FieldType::Int64, GeofenceOutput::EventNumber, multiple),
        ("segmentnumber-fieldname", FieldType::Int64, GeofenceOutput::SegmentNumber, false),
    ]
}

/// The fields of a schema that is not written: those of positions, then what the window adds.
fn outputs(node: Node<'_, '_>, inputs: &Inputs, place: &Place<'_, '_, '_>) -> Option<Vec<(Field, GeofenceOutput)>> {
    let reader = place.reader;
    let positions = inputs.position.fields().iter().enumerate();
    let mut fields: Vec<(Field, GeofenceOutput)> =
        positions.map(|(at, field)| (field.clone(), GeofenceOutput::Position(at))).collect();
    let multiple = reader.child(node, "geofence").and_then(|node| reader.flag(node, "output-multiple-results"));
    let Some(output) = reader.child(node, "output") else { return Some(fields) };
    let names = ["geoid", "geodesc", "geodistance", "geotype", "eventnumber", "segmentnumber"]
        .map(|n| format!("{n}-fieldname"));
    let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
    known.push("include-geo-fields");
    reader.check_attributes(output, &[&known]);
    let description = description(node, inputs, place);
    for (attribute, ty, origin, key) in added(inputs, multiple.unwrap_or(false)) {
        let Some(name) = reader.attribute(output, attribute).filter(|name| !name.is_empty()) else { continue };
        let origin = match (attribute, description) {
            ("geodesc-fieldname", Some(field)) => GeofenceOutput::Geometry(field),
            ("geodesc-fieldname", None) => {
                let draft = Draft::error("missing-attribute", name.full_span(), "geometries have no description field")
                    .help("add desc-fieldname to <geometry>, or remove geodesc-fieldname");
                reader.report.add(output, draft);
                return None;
            }
            _ => origin,
        };
        fields.push((Field { name: name.as_str().to_owned(), ty, key }, origin));
    }
    for name in reader.attribute(output, "include-geo-fields").map(|text| text.list()).unwrap_or_default() {
        let Some(at) = inputs.geometry.index_of(name.as_str()) else {
            reader.report.add(output, unknown_field("`include-geo-fields`", &name, &inputs.geometry));
            return None;
        };
        let field = &inputs.geometry.fields()[at];
        fields.push((Field { key: false, ..field.clone() }, GeofenceOutput::Geometry(at)));
    }
    Some(fields)
}

fn description(node: Node<'_, '_>, inputs: &Inputs, place: &Place<'_, '_, '_>) -> Option<usize> {
    let geometry = place.reader.child(node, "geometry")?;
    let name = place.reader.attribute(geometry, "desc-fieldname")?;
    let at = inputs.geometry.index_of(name.as_str())?;
    (inputs.geometry.fields()[at].ty == FieldType::String).then_some(at)
}

/// The schema of a geofence window that does not write one.
pub(crate) fn schema(place: &Place<'_, '_, '_>, at: usize) -> Option<Arc<Schema>> {
    let node = place.windows[at].node;
    let fields = outputs(node, &inputs(place, at)?, place)?;
    crate::windows::shape::made(node, fields.into_iter().map(|(field, _)| field).collect(), place.reader)
}

/// Reads a geofence window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, place, at, .. } = *reading;
    let inputs = inputs(place, at)?;
    let made = outputs(node, &inputs, place)?;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        match made.iter().find(|(other, _)| other.name == field.name && other.ty == field.ty) {
            Some((_, origin)) => fields.push(*origin),
            None => {
                let headline = format!("nothing of the geofence goes into field `{}` of type {}", field.name, field.ty);
                let draft = Draft::error("unknown-field", reading.name.full_span(), headline)
                    .help("leave the schema out: it is the position's, and what <output> adds");
                reader.report.add(node, draft);
                return None;
            }
        }
    }
    let part = |name: &str| {
        let found = reader.child(node, name);
        if found.is_none() {
            let draft = Draft::error("missing-element", tag_span(node), format!("the geofence has no `{name}`"))
                .help(format!("add <{name} x-fieldname=\"...\" y-fieldname=\"...\"/>"));
            reader.report.add(node, draft);
        }
        found
    };
    let (position, geometry) = (part("position"), part("geometry"));
    let geometry = geometry.and_then(|node| geometry_fields(node, &inputs, reading));
    let position = position.and_then(|node| {
        reader.check_attributes(node, &[&["x-fieldname", "y-fieldname", "lookupdistance"]]);
        let x = number_field(node, "x-fieldname", &inputs.position, true, reading);
        let y = number_field(node, "y-fieldname", &inputs.position, true, reading);
        let lookup = number(node, "lookupdistance", 0.0, reading);
        Some((x??, y??, lookup?))
    });
    let (geographic, multiple, sorted, proximity, distance) = settings(reading)?;
    let ((x, y, lookup_distance), geometry) = (position?, geometry?);
    Some(WindowKind::Geofence(Box::new(Geofence {
        geographic,
        multiple,
        sorted,
        distance,
        proximity,
        x,
        y,
        lookup_distance,
        geometry,
        fields,
    })))
}

fn settings(reading: &Reading<'_, '_, '_>) -> Option<(bool, bool, bool, bool, Distance)> {
    let Reading { node, reader, .. } = *reading;
    let Some(element) = reader.child(node, "geofence") else {
        return Some((true, false, false, false, Distance::Segment));
    };
    reader.check_attributes(
        element,
        &[&[
            "coordinate-type",
            "autosize-mesh",
            "max-meshcells-per-geometry",
            "meshfactor-x",
            "meshfactor-y",
            "log-invalid-geometry",
            "output-multiple-results",
            "output-sorted-results",
            "polygon-compute-distance-to",
            "proximity-analysis",
            "strict-projection",
        ]],
    );
    let word = |name: &str, words: [&str; 2]| {
        let Some(text) = reader.attribute(element, name).filter(|text| !text.is_empty()) else { return Some(0) };
        let found = words.iter().position(|word| text.as_str().eq_ignore_ascii_case(word));
        if found.is_none() {
            let expected = format!("`{}` or `{}`", words[0], words[1]);
            reader.report.add(element, bad_value(&format!("`{name}`"), &text, &expected).known(text.as_str(), words));
        }
        found
    };
    let coordinates = word("coordinate-type", ["geographic", "cartesian"]);
    let distance = word("polygon-compute-distance-to", ["segment", "centroid"]);
    let flag = |name: &str| reader.flag(element, name).unwrap_or(false);
    Some((
        coordinates? == 0,
        flag("output-multiple-results"),
        flag("output-sorted-results"),
        flag("proximity-analysis"),
        if distance? == 0 { Distance::Segment } else { Distance::Centroid },
    ))
}

/// A number attribute; `None` after a report.
fn number(node: Node<'_, '_>, name: &str, default: f64, reading: &Reading<'_, '_, '_>) -> Option<f64> {
    let Some(text) = reading.reader.attribute(node, name).filter(|text| !text.is_empty()) else { return Some(default) };
    let value = text.as_str().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
    if value.is_none() {
        reading.reader.report.add(node, bad_value(&format!("`{name}`"), &text, "a number from 0"));
    }
    value
}

/// A field that an attribute names; the outer `None` after a report.
fn field(
    node: Node<'_, '_>,
    attribute: &str,
    schema: &Schema,
    fits: impl Fn(FieldType) -> bool,
    expected: &str,
    reading: &Reading<'_, '_, '_>,
) -> Option<Option<usize>> {
    let reader = reading.reader;
    let Some(name) = reader.attribute(node, attribute).filter(|name| !name.is_empty()) else { return Some(None) };
    let Some(at) = schema.index_of(name.as_str()) else {
        reader.report.add(node, unknown_field(&format!("`{attribute}`"), &name, schema));
        return None;
    };
    let ty = schema.fields()[at].ty;
    if !fits(ty) {
        let headline = format!("`{attribute}` names field `{}` of type {ty}, expected {expected}", name.as_str());
        reader.report.add(node, Draft::error("field-type", name.full_span(), headline).help("name another field"));
        return None;
    }
    Some(Some(at))
}

fn number_field(
    node: Node<'_, '_>,
    attribute: &str,
    schema: &Schema,
    required: bool,
    reading: &Reading<'_, '_, '_>,
) -> Option<Option<usize>> {
    if required {
        let given: Option<Text> = reading.reader.required(node, attribute);
        given?;
    }
    field(node, attribute, schema, FieldType::is_numeric, "a number", reading)
}

fn geometry_fields(node: Node<'_, '_>, inputs: &Inputs, reading: &Reading<'_, '_, '_>) -> Option<GeometryFields> {
    let reader = reading.reader;
    let known = [
        "data-fieldname",
        "data-separator",
        "desc-fieldname",
        "radius",
        "radius-fieldname",
        "x-fieldname",
        "y-fieldname",
        "geotype-fieldname",
    ];
    reader.check_attributes(node, &[&known]);
    let schema = &inputs.geometry;
    let is_list = |ty| matches!(ty, FieldType::String | FieldType::ArrayDouble);
    let data = field(node, "data-fieldname", schema, is_list, "a string or array(dbl)", reading);
    let description = field(node, "desc-fieldname", schema, |ty| ty == FieldType::String, "a string", reading);
    let geotype = field(node, "geotype-fieldname", schema, |ty| ty == FieldType::String, "a string", reading);
    let x = number_field(node, "x-fieldname", schema, false, reading);
    let y = number_field(node, "y-fieldname", schema, false, reading);
    let radius_field = number_field(node, "radius-fieldname", schema, false, reading);
    let radius = number(node, "radius", DEFAULT_RADIUS, reading);
    let separator = reader.attribute(node, "data-separator").map_or_else(String::new, |text| text.as_str().to_owned());
    geotype?;
    let (data, x, y) = (data?, x?, y?);
    if data.is_none() && (x.is_none() || y.is_none()) {
        let draft = Draft::error("missing-attribute", tag_span(node), "`geometry` says nowhere where geometries are")
            .help("add data-fieldname=\"...\" for polygons, or x-fieldname and y-fieldname for circles");
        reader.report.add(node, draft);
        return None;
    }
    Some(GeometryFields {
        data,
        separator,
        x,
        y,
        radius_field: radius_field?,
        radius: radius?,
        description: description?,
    })
}
