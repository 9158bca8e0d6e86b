//! Train and score windows, and the models between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Schema;
use roxmltree::Node;

use crate::algorithms::{Algorithm, LEARN, Settings};
use crate::calculate::{AlgorithmRun, MODEL_SCHEMA, ResultField, Score};
use crate::project::{Edge, WindowKind};
use crate::reader::Reader;
use crate::report::{Draft, not_supported, tag_span};
use crate::role::EdgeRole;
use crate::window::{Place, Reading};
use crate::windows::algorithm::{inputs, outputs, settings};
use crate::windows::calculate::fields;

/// The schema of every train window.
pub(crate) fn model_schema() -> Arc<Schema> {
    Arc::new(Schema::parse(MODEL_SCHEMA).expect("the text is a schema"))
}

/// True for an edge that brings models to a score window: by its role, or because it comes from a train window.
pub(crate) fn brings_models(place: &Place<'_, '_, '_>, edge: &Edge) -> bool {
    let tag = |at: usize| place.windows[at].node.tag_name().name();
    tag(edge.target) == "window-score" && (edge.role == EdgeRole::Model || tag(edge.source) == "window-train")
}

fn algorithm(node: Node<'_, '_>, reader: &Reader<'_>) -> Option<&'static Algorithm> {
    let name = reader.required(node, "algorithm")?;
    let found = LEARN.iter().find(|known| known.name.eq_ignore_ascii_case(name.as_str()));
    if found.is_none() {
        let draft = match name.as_str() {
            other if other.eq_ignore_ascii_case("TSNE") => not_supported(
                name.full_span(),
                "algorithm `TSNE`",
                "its figures depend on unpublished details of the original",
                "project outside and publish the result",
            ),
            other => Draft::error("unknown-algorithm", name.full_span(), format!("no algorithm `{other}` learns"))
                .known(other, LEARN.iter().map(|known| known.name)),
        };
        reader.report.add(node, draft);
    }
    found
}

/// Reads a train window.
pub(crate) fn train(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, .. } = *reading;
    let input = reading.input?;
    if let Some(schema) = node.children().find(|child| child.tag_name().name().starts_with("schema")) {
        let draft = Draft::warning(
            "train-schema",
            tag_span(schema),
            "a train window has the schema of models, this one is ignored",
        )
        .help(format!("remove it; models are {MODEL_SCHEMA}"));
        reader.report.add(schema, draft);
    }
    let algorithm = algorithm(node, reader)?;
    let settings = settings(node, algorithm, reader);
    let inputs = inputs(node, algorithm, algorithm.inputs, input, reader);
    Some(WindowKind::Train(Box::new(AlgorithmRun { algorithm, settings: settings?, inputs: inputs? })))
}

/// Reads a score window.
pub(crate) fn score(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    let (mut runs, mut complete) = (Vec::new(), true);
    let mut results: BTreeMap<usize, ResultField> = BTreeMap::new();
    let models = node.children().filter(|child| child.has_tag_name("models"));
    for element in models.flat_map(|models| models.children()).filter(Node::is_element) {
        match element.tag_name().name() {
            "online" => {
                reader.check_attributes(element, &[&["algorithm"]]);
                let Some(algorithm) = algorithm(element, reader) else {
                    complete = false;
                    continue;
                };
                // A score needs the inputs, and no response.
                let Some(inputs) = inputs(element, algorithm, &algorithm.inputs[..1], input, reader) else {
                    complete = false;
                    continue;
                };
                let (found, whole) = outputs(element, algorithm, (&inputs, input), schema, reader);
                complete &= whole;
                let run = runs.len();
                results.extend(
                    found
                        .into_iter()
                        .map(|(field, (output, element))| (field, ResultField::Result { run, output, element })),
                );
                // What a model was trained with is the train window's affair.
                let settings = Settings::defaults(algorithm.parameters);
                runs.push(AlgorithmRun { algorithm, settings, inputs });
            }
            "offline" => {
                let because = "its model is a file in a format of the original engine";
                let draft = not_supported(
                    tag_span(element),
                    "an offline model",
                    because,
                    "train in the project, or score outside",
                );
                reader.report.add(element, draft);
                complete = false;
            }
            name if crate::reader::IGNORED.contains(&name) => {}
            _ => reader.unknown_element(element, &["online", "offline"]),
        }
    }
    if runs.is_empty() && complete {
        let draft = Draft::error("no-model", tag_span(node), "the score window has no model")
            .help("add <models><online algorithm=\"KMEANS\"><input-map>...</input-map><output-map>...</output-map></online></models>");
        reader.report.add(node, draft);
        complete = false;
    }
    complete &= check_models(reading, &runs);
    let fields = fields(reading, complete, |field| results.get(&field).copied());
    complete.then_some(())?;
    Some(WindowKind::Score(Box::new(Score { runs, fields: fields? })))
}

/// Edges must bring models, and of the algorithms that the window uses.
fn check_models(reading: &Reading<'_, '_, '_>, runs: &[AlgorithmRun]) -> bool {
    let Reading { node, reader, place, at, name, .. } = *reading;
    let mut edges = place.edges.iter().filter(|edge| edge.target == at && brings_models(place, edge)).peekable();
    if edges.peek().is_none() && !place.lost.may_feed(at) {
        let headline = format!("no edge brings models to score window `{}`", name.as_str());
        let draft = Draft::error("no-model-edge", name.full_span(), headline)
            .help("add <edge source=\"...\" target=\"...\" role=\"model\"/> from a train window");
        reader.report.add(node, draft);
        return false;
    }
    let mut right = true;
    for edge in edges {
        let Some(headline) = mismatch(reading, edge, runs) else { continue };
        let draft = Draft::error("other-model", name.full_span(), headline)
            .help("let an edge with role=\"model\" lead from a train window of an algorithm under <models>");
        reader.report.add(node, draft);
        right = false;
    }
    right
}

/// Why the models of an edge are of no use, if they are not.
fn mismatch(reading: &Reading<'_, '_, '_>, edge: &Edge, runs: &[AlgorithmRun]) -> Option<String> {
    let Reading { reader, place, name, .. } = *reading;
    let source = &place.windows[edge.source];
    let (trainer, scorer) = (source.name.as_str(), name.as_str());
    if place.schema_of(edge.source).is_some_and(|schema| *schema != *model_schema()) {
        return Some(format!("window `{trainer}` has no models for score window `{scorer}`"));
    }
    if !source.node.has_tag_name("window-train") {
        return None;
    }
    let trained = reader.attribute(source.node, "algorithm")?;
    // One that nobody knows, and a score window without any, were reported.
    let known = LEARN.iter().any(|known| known.name.eq_ignore_ascii_case(trained.as_str()));
    if !known || runs.is_empty() {
        return None;
    }
    let Some(run) = runs.iter().find(|run| run.algorithm.name.eq_ignore_ascii_case(trained.as_str())) else {
        return Some(format!("window `{trainer}` trains another algorithm than score window `{scorer}` uses"));
    };
    // What is wrong with the train window itself is reported once.
    let input = place.input_of(edge.source)?;
    let inputs = inputs(source.node, run.algorithm, run.algorithm.inputs, &input, reader)?;
    let (learned, scored) = (inputs[0].len(), run.inputs[0].len());
    (learned != scored).then(|| {
        format!("window `{trainer}` learns from {learned} inputs, score window `{scorer}` has {scored} of them")
    })
}
