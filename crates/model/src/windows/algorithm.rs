//! Parameters, input map and output map of an algorithm, checked against its table.

use std::collections::BTreeMap;

use mesh_event::{FieldType, Schema};
use roxmltree::Node;

use crate::algorithms::{Algorithm, Domain, Input, InputType, Order, Output, OutputType, Settings, WordVectors};
use crate::reader::Reader;
use crate::report::{Draft, bad_value, duplicate, tag_span, unknown_field};
use crate::schemas::missing_property;
use crate::text::Text;

/// Most fields that `name[1-20]` names.
const RANGE_MAX: usize = 65_536;

/// The parameters; `None` after a report.
pub(crate) fn settings(node: Node<'_, '_>, algorithm: &'static Algorithm, reader: &Reader<'_>) -> Option<Settings> {
    let mut settings = Settings::defaults(algorithm.parameters);
    let mut given: BTreeMap<&str, (Text, Node<'_, '_>)> = BTreeMap::new();
    let mut complete = true;
    let lists = node.children().filter(|child| child.has_tag_name("parameters"));
    for (name, value, element) in lists.flat_map(|list| reader.property_list(list)) {
        let known = algorithm.parameters.iter().find(|known| known.name.eq_ignore_ascii_case(name.as_str()));
        let Some(parameter) = known else {
            let headline = format!("{} has no parameter `{}`", algorithm.name, name.as_str());
            let draft = Draft::error("unknown-parameter", name.full_span(), headline)
                .known(name.as_str(), algorithm.parameters.iter().map(|known| known.name));
            reader.report.add(element, draft);
            complete = false;
            continue;
        };
        if let Err(expected) = settings.set(parameter, value.as_str()) {
            reader.report.add(element, bad_value(&format!("`{}`", parameter.name), &value, &expected));
            complete = false;
        }
        given.insert(parameter.name, (value, element));
    }
    if !complete {
        return None;
    }
    for parameter in algorithm.parameters.iter().filter(|parameter| matches!(parameter.domain, Domain::Vectors)) {
        let Some((name, element)) = given.get(parameter.name) else {
            let headline =
                format!("{} has no parameter `{}`, the file of the word vectors", algorithm.name, parameter.name);
            let help = format!("add <property name=\"{}\">file.csv</property> to <parameters>", parameter.name);
            reader.report.add(node, Draft::error("missing-property", tag_span(node), headline).help(help));
            return None;
        };
        let content = reader.file(*element, reader.plain(*element).trimmed().as_str(), name)?;
        match WordVectors::parse(content.as_str(), settings.text("wordVecDelimiter")) {
            Ok(vectors) => settings.put_vectors(parameter.name, vectors),
            Err(because) => {
                let headline = format!("`{}` cannot be read: {because}", name.as_str());
                let help = "expected a line for each word: the word, then numbers";
                reader.report.add(*element, Draft::error("word-vectors", name.full_span(), headline).help(help));
                return None;
            }
        }
    }
    for Order { low, high, strict, open } in algorithm.orders {
        let (a, b) = (settings.integer(low), settings.integer(high));
        let fits = if *strict { a < b } else { a <= b } || (*open && b == 0);
        if !fits {
            let relation = if *strict { "below" } else { "not above" };
            let expected = format!("a number {relation} `{high}`, which is {b}");
            let draft = match given.get(low).or_else(|| given.get(high)) {
                Some((value, _)) if given.contains_key(low) => bad_value(&format!("`{low}`"), value, &expected),
                Some((value, _)) => {
                    bad_value(&format!("`{high}`"), value, &format!("a number that suits `{low}`, which is {a}"))
                }
                None => bad_value(&format!("`{low}`"), &Text::of_content(reader.xml, 0..0), &expected),
            };
            let element = given.get(low).or_else(|| given.get(high)).map_or(node, |(_, element)| *element);
            reader.report.add(element, draft);
            complete = false;
        }
    }
    complete.then_some(settings)
}

/// The fields that play each role, those of `required` at least; `None` after a report.
pub(crate) fn inputs(
    node: Node<'_, '_>,
    algorithm: &'static Algorithm,
    required: &[Input],
    schema: &Schema,
    reader: &Reader<'_>,
) -> Option<Vec<Vec<usize>>> {
    let mut found = vec![Vec::new(); algorithm.inputs.len()];
    let mut complete = true;
    let map = reader.child(node, "input-map");
    for (name, value, element) in map.map(|map| reader.property_list(map)).unwrap_or_default() {
        // Public models write `input` for the one that takes several, and the other way round.
        let role = |known: &Input| known.name == name.as_str();
        let alias = |known: &Input| known.many && name.as_str() == "input";
        let at = algorithm.inputs.iter().position(role).or_else(|| algorithm.inputs.iter().position(alias));
        let Some(at) = at else {
            let headline = format!("{} has no input `{}`", algorithm.name, name.as_str());
            let draft = Draft::error("unknown-role", name.full_span(), headline)
                .known(name.as_str(), algorithm.inputs.iter().map(|known| known.name));
            reader.report.add(element, draft);
            complete = false;
            continue;
        };
        match fields_of(&value, &algorithm.inputs[at], schema) {
            Ok(fields) => found[at] = fields,
            Err(draft) => {
                reader.report.add(element, *draft);
                complete = false;
            }
        }
    }
    if !complete {
        return None;
    }
    for (fields, input) in found.iter().zip(required) {
        if input.required && fields.is_empty() {
            let at = map.unwrap_or(node);
            reader.report.add(at, missing_property(at, "input-map", input.name, "field"));
            complete = false;
        }
    }
    complete.then_some(found)
}

fn fields_of(value: &Text, input: &Input, schema: &Schema) -> Result<Vec<usize>, Box<Draft>> {
    let mut fields = Vec::new();
    for (name, place) in expanded(value)? {
        let Some(at) = schema.index_of(&name) else {
            return Err(Box::new(unknown_field(&format!("`{}`", input.name), &place, schema)));
        };
        let ty = schema.fields()[at].ty;
        let (fits, expected) = match input.ty {
            InputType::Number => (ty.is_numeric(), "int32, int64, double or money"),
            InputType::Text => (ty == FieldType::String, "string"),
            InputType::Any => (true, ""),
        };
        if !fits {
            let headline = format!("`{}` cannot be field `{name}` of type {ty}", input.name);
            let draft = Draft::error("field-type", place.full_span(), headline)
                .help(format!("name a field of type {expected}"));
            return Err(Box::new(draft));
        }
        fields.push(at);
    }
    if fields.len() > 1 && !input.many {
        return Err(Box::new(bad_value(&format!("`{}`", input.name), value, "one field")));
    }
    Ok(fields)
}

/// Field names of `a,b` and `a[1-3]`, each with its place.
fn expanded(value: &Text) -> Result<Vec<(String, Text)>, Box<Draft>> {
    let mut names = Vec::new();
    for part in value.list() {
        let range = part.as_str().strip_suffix(']').and_then(|text| text.split_once('['));
        let Some((stem, range)) = range else {
            names.push((part.as_str().to_owned(), part));
            continue;
        };
        let ends =
            range.split_once('-').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        let range = ends.filter(|(low, high): &(usize, usize)| low <= high && high - low < RANGE_MAX);
        let Some((low, high)) = range else {
            return Err(Box::new(bad_value("a list of fields", &part, "`name[1-20]`")));
        };
        names.extend((low..=high).map(|number| (format!("{stem}{number}"), part.clone())));
    }
    Ok(names)
}

/// Result and element by output field, and whether all of the map is right.
pub(crate) fn outputs(
    node: Node<'_, '_>,
    algorithm: &'static Algorithm,
    (roles, input): (&[Vec<usize>], &Schema),
    schema: &Schema,
    reader: &Reader<'_>,
) -> (BTreeMap<usize, (usize, Option<usize>)>, bool) {
    let mut results = BTreeMap::new();
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    let mut complete = true;
    let Some(map) = reader.child(node, "output-map") else {
        let example = algorithm.outputs[0].name;
        let draft =
            Draft::error("missing-element", tag_span(node), "the window maps no result to a field").help(format!(
                "add <output-map><properties><property name=\"{example}\">field</property></properties></output-map>"
            ));
        reader.report.add(node, draft);
        return (results, false);
    };
    for (name, value, element) in reader.property_list(map) {
        let Some(at) = algorithm.outputs.iter().position(|known| known.name.eq_ignore_ascii_case(name.as_str())) else {
            let headline = format!("{} has no output `{}`", algorithm.name, name.as_str());
            let draft = Draft::error("unknown-result", name.full_span(), headline)
                .known(name.as_str(), algorithm.outputs.iter().map(|known| known.name));
            reader.report.add(element, draft);
            complete = false;
            continue;
        };
        let output = &algorithm.outputs[at];
        let source = match output.ty {
            OutputType::Same(role) => match roles[role].first() {
                Some(&field) => Some(input.fields()[field].ty),
                None => {
                    let role = algorithm.inputs[role].name;
                    let headline = format!("`{}` needs the input `{role}`, which is not mapped", output.name);
                    let draft = Draft::error("missing-role", name.full_span(), headline)
                        .help(format!("add <property name=\"{role}\">field</property> to <input-map>"));
                    reader.report.add(element, draft);
                    complete = false;
                    continue;
                }
            },
            _ => None,
        };
        match targets(&value, output, source, schema) {
            Ok(targets) => {
                for (field, element_of_list) in targets {
                    let line = reader.report.line(element.range().start);
                    if let Some(first) = lines.insert(field, line) {
                        reader.report.add(element, duplicate("output field", &value, first));
                        complete = false;
                    }
                    results.insert(field, (at, element_of_list));
                }
            }
            Err(draft) => {
                reader.report.add(element, *draft);
                complete = false;
            }
        }
    }
    (results, complete)
}

/// The output fields of a result, with the element of a list that each takes.
fn targets(
    value: &Text,
    output: &Output,
    source: Option<FieldType>,
    schema: &Schema,
) -> Result<Vec<(usize, Option<usize>)>, Box<Draft>> {
    let names = expanded(value)?;
    let several = names.len() > 1;
    if several && output.ty != OutputType::List {
        return Err(Box::new(bad_value(&format!("`{}`", output.name), value, "one field")));
    }
    let mut targets = Vec::new();
    for (element, (name, place)) in names.into_iter().enumerate() {
        let Some(at) = schema.index_of(&name) else {
            return Err(Box::new(unknown_field(&format!("`{}`", output.name), &place, schema)));
        };
        let field = &schema.fields()[at];
        let whole = field.ty == FieldType::ArrayDouble && !several;
        let (fits, expected) = match output.ty {
            OutputType::Number => (field.ty.is_numeric(), "double, int64, int32 or money"),
            OutputType::Text => (field.ty == FieldType::String, "string"),
            OutputType::List => (whole || field.ty.is_numeric(), "array(dbl) or double"),
            OutputType::Same(_) => (source == Some(field.ty), source.map_or("", FieldType::name)),
        };
        if !fits || field.key && !output.key {
            let what = if field.key && !output.key { "is a key".to_owned() } else { format!("has type {}", field.ty) };
            let headline = format!("`{}` cannot be put into field `{}`, which {what}", output.name, field.name);
            let not_key = if output.key { "" } else { "non-key " };
            let draft = Draft::error("field-type", place.full_span(), headline)
                .help(format!("use a {not_key}field of type {expected}"));
            return Err(Box::new(draft));
        }
        targets.push((at, (output.ty == OutputType::List && !whole).then_some(element)));
    }
    Ok(targets)
}
