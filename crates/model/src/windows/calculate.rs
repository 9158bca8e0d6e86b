//! Calculate windows.

use crate::algorithms::CALCULATE;
use crate::calculate::{AlgorithmRun, Calculate, ResultField};
use crate::project::WindowKind;
use crate::report::{Draft, not_supported};
use crate::text::Text;
use crate::window::Reading;
use crate::windows::algorithm::{inputs, outputs, settings};
use crate::windows::compute::key_source;
use crate::windows::functional::copied;
use crate::windows::summary;

const TRAINED: (&str, &str) =
    ("models are trained and used by windows of their own", "use window-train and window-score");
const UNKNOWN: (&str, &str) = ("nothing public says what it computes", "compute it with EEL, or outside");

/// Algorithms of the original that no calculate window runs here: name, why, way out.
pub(crate) const REFUSED: [(&str, &str, &str); 11] = [
    ("TSNE", "its figures depend on unpublished details of the original", "project outside and publish the result"),
    ("MAS", "MAS modules are scripts", "write the step with EEL in a compute window"),
    ("KMEANS", TRAINED.0, TRAINED.1),
    ("DBSCAN", TRAINED.0, TRAINED.1),
    ("LinearRegression", TRAINED.0, TRAINED.1),
    ("LogisticRegression", TRAINED.0, TRAINED.1),
    ("SVM", TRAINED.0, TRAINED.1),
    ("BoxAndWhiskers", UNKNOWN.0, UNKNOWN.1),
    ("Percentile", UNKNOWN.0, "use Histogram with quantileList"),
    ("MovingAverage", UNKNOWN.0, "use Summary with meanOut"),
    ("ImageProcessing", "image algorithms are binary parts of the original engine", "process images outside"),
];

/// Names that algorithms also go by.
const ALIASES: [(&str, &str); 2] = [("SubspaceTracking", "SST"), ("ReceiverOperatingCharacteristic", "ROC")];

/// Reads a calculate window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let name = reader.required(node, "algorithm")?;
    if name.as_str().eq_ignore_ascii_case("Summary") {
        return summary::kind(reading);
    }
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name.as_str()));
    let sought = alias.map_or(name.as_str(), |(_, name)| name);
    let Some(algorithm) = CALCULATE.iter().find(|known| known.name.eq_ignore_ascii_case(sought)) else {
        reader.report.add(node, other_algorithm(&name));
        return None;
    };
    let input = reading.input?;
    let settings = settings(node, algorithm, reader);
    let roles = inputs(node, algorithm, algorithm.inputs, input, reader);
    let inputs = roles?;
    let (results, complete) = outputs(node, algorithm, (&inputs, input), schema, reader);
    let fields = fields(reading, complete, |field| {
        results.get(&field).map(|&(output, element)| ResultField::Result { run: 0, output, element })
    });
    let run = AlgorithmRun { algorithm, settings: settings?, inputs };
    Some(WindowKind::Calculate(Box::new(Calculate { run, fields: fields? })))
}

/// Where each field of the schema comes from; `None` after a report.
pub(crate) fn fields(
    reading: &Reading<'_, '_, '_>,
    mut complete: bool,
    result: impl Fn(usize) -> Option<ResultField>,
) -> Option<Vec<ResultField>> {
    let Reading { node, reader, schema, .. } = *reading;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        if let Some(result) = result(index) {
            fields.push(result);
        } else if field.key {
            match key_source(node, field, reading.input?, reader) {
                Some(source) => fields.push(ResultField::Copy(source)),
                None => complete = false,
            }
        } else {
            match copied(reading, field, complete) {
                Some(source) => fields.push(source.map_or(ResultField::Null, ResultField::Copy)),
                None => complete = false,
            }
        }
    }
    complete.then_some(fields)
}

fn other_algorithm(algorithm: &Text) -> Draft {
    let found = algorithm.as_str();
    if let Some((_, because, way_out)) = REFUSED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(found)) {
        return not_supported(algorithm.full_span(), &format!("algorithm `{found}`"), because, way_out);
    }
    let headline = format!("there is no algorithm `{found}`");
    let known = CALCULATE.iter().map(|known| known.name).chain(["Summary"]);
    Draft::error("unknown-algorithm", algorithm.full_span(), headline).known(found, known)
}
