//! Settings as given by file, environment and flags, and how they become one tree.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, Problem, Problems, did_you_mean};

/// Put behind the name of a text setting: the value is in the file that is named.
const FILE_SUFFIX: &str = "_file";

/// Largest file with the value of a setting.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// One setting as given.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Setting, e.g. `kafka.brokers`.
    pub path: String,
    /// Its value; text from environment and flags is read as the setting's type.
    pub value: Value,
    /// Where it was given.
    pub source: String,
    /// True when the value is text that has no type of its own.
    pub untyped: bool,
}

/// Settings as given, weakest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layers {
    given: Vec<Given>,
}

/// The known settings with their defaults, by path. Objects that are empty by default take any names below them.
pub(crate) type Known = BTreeMap<String, Value>;

/// Learns the known settings from a default configuration.
pub(crate) fn known_settings<C: Serialize>(default: &C) -> Known {
    let tree = serde_json::to_value(default).expect("settings are plain data with text keys");
    let mut known = Known::new();
    flatten("", &tree, &mut |path, value| {
        known.insert(path.to_owned(), value.clone());
    });
    known
}

/// Calls `leaf` for every value that is not an object with fields.
fn flatten(prefix: &str, value: &Value, leaf: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&path, field, leaf);
            }
        }
        _ => leaf(prefix, value),
    }
}

/// `kafka.brokers` of service `engine` in the environment.
pub(crate) fn env_name(service: &str, path: &str) -> String {
    format!("ESP_{service}_{path}").replace(['-', '.'], "_").to_uppercase()
}

impl Layers {
    /// Adds settings from the text of a TOML file.
    pub fn file(&mut self, file: &Path, text: &str, problems: &mut Problems) {
        let source = file.display().to_string();
        let tree: Value = match toml::from_str(text) {
            Ok(tree) => tree,
            Err(error) => {
                problems.add(Problem::new("(file)", source).expected("TOML").found(error.to_string().trim()));
                return;
            }
        };
        flatten("", &tree, &mut |path, value| {
            if !path.is_empty() {
                self.given.push(Given {
                    path: path.to_owned(),
                    value: value.clone(),
                    source: source.clone(),
                    untyped: false,
                });
            }
        });
    }

    /// Adds settings from the environment: every `ESP_<SERVICE>_...`.
    pub fn environment<C: Config>(&mut self, vars: impl IntoIterator<Item = (String, String)>) {
        let known = known_settings(&C::default());
        let by_env: BTreeMap<String, &str> =
            known.keys().map(|path| (env_name(C::SERVICE, path), path.as_str())).collect();
        let file_suffix = FILE_SUFFIX.to_uppercase();
        let prefix = env_name(C::SERVICE, "");
        let mut found: Vec<(String, String)> = vars.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
        found.sort();
        for (name, value) in found {
            // an unknown one keeps its name, so that it is reported like any other unknown setting
            let in_file = || Some(format!("{}{FILE_SUFFIX}", by_env.get(name.strip_suffix(&file_suffix)?)?));
            let path = by_env.get(&name).map(|path| (*path).to_owned()).or_else(in_file);
            let path = path.unwrap_or_else(|| name[prefix.len()..].to_lowercase());
            self.given.push(Given { path, value: Value::String(value), source: name, untyped: true });
        }
    }

    /// Adds one setting given as text.
    pub fn text(&mut self, path: impl Into<String>, value: impl Into<String>, source: impl Into<String>) {
        self.given.push(Given {
            path: path.into(),
            value: Value::String(value.into()),
            source: source.into(),
            untyped: true,
        });
    }

    /// Where a setting was given last, if it was: itself or the file that it is in.
    pub(crate) fn source(&self, setting: &str) -> Option<&str> {
        let is_it = |path: &str| path == setting || path.strip_suffix(FILE_SUFFIX) == Some(setting);
        self.given.iter().rev().find(|given| is_it(&given.path)).map(|given| given.source.as_str())
    }

    /// Judges every setting by itself and merges those that are good.
    pub(crate) fn resolve<C: Config>(&self, known: &Known, problems: &mut Problems) -> Value {
        let mut tree = Value::Object(Map::new());
        for given in &self.given {
            let read;
            let given = match file_of(given, known) {
                None => given,
                Some(path) => match secret(given, path) {
                    Ok(secret) => {
                        read = secret;
                        &read
                    }
                    Err(problem) => {
                        problems.add(problem);
                        continue;
                    }
                },
            };
            let Some(default) = known_default(known, &given.path) else {
                problems.add(unknown(given, known));
                continue;
            };
            match candidates(given, default).into_iter().map(|value| judge::<C>(&given.path, value)).reduce(Result::or)
            {
                Some(Ok(value)) => insert(&mut tree, &given.path, value),
                Some(Err(error)) => problems.add(wrong(given, &error)),
                None => {}
            }
        }
        tree
    }
}

/// `kafka_settings` when `kafka_settings_file` is given and no setting is called so: any text may be in a file of its own,
/// so that secrets are in no environment, command line or shared file.
fn file_of<'a>(given: &'a Given, known: &Known) -> Option<&'a str> {
    let path = given.path.strip_suffix(FILE_SUFFIX)?;
    let is_text = matches!(known.get(path), Some(Value::String(_)));
    (is_text && !known.contains_key(&given.path)).then_some(path)
}

/// Reads the file that a setting names; its last line end does not belong to it.
fn secret(given: &Given, path: &str) -> Result<Given, Problem> {
    let problem = |found: String| {
        let expected = format!("a readable file of at most {FILE_BYTES_MAX} bytes with the value of `{path}`");
        Problem::new(&given.path, &given.source).expected(expected).found(found)
    };
    let Value::String(file) = &given.value else { return Err(problem(format!("`{}`", given.value))) };
    let size = std::fs::metadata(file).map_err(|error| problem(format!("`{file}`: {error}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(problem(format!("`{file}` of {size} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("`{file}`: {error}")))?;
    let value = Value::String(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r').to_owned());
    let source = format!("{} in {}", file, given.source);
    Ok(Given { path: path.to_owned(), value, source, untyped: false })
}

/// The default of a setting, or of the free-form table that it lies in.
fn known_default<'a>(known: &'a Known, path: &str) -> Option<&'a Value> {
    if let Some(default) = known.get(path) {
        return Some(default);
    }
    let mut end = path.len();
    while let Some(dot) = path[..end].rfind('.') {
        match known.get(&path[..dot]) {
            Some(Value::Object(_)) => return Some(&Value::Null),
            // an optional table (null by default): its fields are judged by serde alone
            Some(Value::Null) => return Some(&Value::Null),
            _ => end = dot,
        }
    }
    None
}

/// What untyped text may mean, most likely first; typed values mean themselves.
fn candidates(given: &Given, default: &Value) -> Vec<Value> {
    let Value::String(text) = &given.value else {
        return vec![given.value.clone()];
    };
    if !given.untyped {
        return vec![given.value.clone()];
    }
    let as_text = Value::String(text.clone());
    let as_toml = toml::from_str::<Map<String, Value>>(&format!("v = {text}")).ok().and_then(|mut map| map.remove("v"));
    match default {
        Value::String(_) => vec![as_text],
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            vec![items.map(|item| Value::String(item.to_owned())).collect()]
        }
        Value::Null => [Some(as_text), as_toml].into_iter().flatten().collect(),
        _ => vec![as_toml.unwrap_or(as_text)],
    }
}

/// Tries one setting with everything else at its default.
fn judge<C: Config>(path: &str, value: Value) -> Result<Value, serde_json::Error> {
    let mut tree = Value::Object(Map::new());
    insert(&mut tree, path, value.clone());
    serde_json::from_value::<C>(tree).map(|_| value)
}

/// Puts a value into the tree, making the tables on the way.
fn insert(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for name in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(name).or_insert(Value::Null);
    }
    *at = value;
}

fn unknown(given: &Given, known: &Known) -> Problem {
    let problem = Problem::new(&given.path, &given.source).found("no such setting");
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let near = did_you_mean(&given.path, known.keys().map(String::as_str)).map(str::to_owned).or_else(|| {
        // perhaps the name is right and the table is missing
        known.keys().find(|path| last(path) == last(&given.path)).cloned()
    });
    match near {
        Some(name) => problem.way_out(format!("did you mean `{name}`?")),
        None => problem.way_out("`--dump-config` prints all settings"),
    }
}

/// The numbers of settings are called by their bounds, not by Rust's names.
fn in_words(expected: &str) -> String {
    match expected {
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "f64" => "a number".to_owned(),
        other => other.to_owned(),
    }
}

/// serde says `invalid type: X, expected Y`; the parts go where they belong.
fn wrong(given: &Given, error: &serde_json::Error) -> Problem {
    let problem = Problem::new(&given.path, &given.source);
    let shown = match &given.value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    let text = error.to_string();
    match text.split_once(", expected ") {
        Some((_, expected)) => problem.expected(in_words(expected)).found(shown),
        None => problem.found(format!("{shown}: {text}")),
    }
}
