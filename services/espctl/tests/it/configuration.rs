//! The tables of docs/CONFIGURATION.md are what the code says: names and meanings from the settings' structs and their
//! doc comments, defaults from the services themselves. `UPDATE_EXPECT=1 cargo test -p espctl configuration` writes them.

use expect_test::expect_file;
use mesh_coordinator::CoordinatorConfig;
use mesh_election::ElectionConfig;
use mesh_engine::EngineConfig;
use mesh_gateway::GatewayConfig;
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_service::{Base, Config};
use mesh_subscriber_adapter::config::SubscriberConfig;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A field of a struct of settings.
struct Field {
    name: String,
    kind: String,
    meaning: String,
    /// Its fields stand among those of the struct.
    flat: bool,
}

type Structs = BTreeMap<String, Vec<Field>>;

/// Tables of settings that several services have.
const SHARED: &str = include_str!("../../../../crates/service/src/config/secure.rs");

/// The structs of a source file with their fields, in order, and those that are shared.
fn structs(source: &str) -> Structs {
    let source = [SHARED, source].concat();
    let mut found = Structs::new();
    let (mut inside, mut meaning, mut flat) = (String::new(), Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            inside = name.to_owned();
            found.entry(inside.clone()).or_default();
        } else if line == "}" {
            inside.clear();
        } else if let Some(text) = line.strip_prefix("///") {
            meaning.push(text.trim().to_owned());
            continue;
        } else if line.starts_with("#[serde(flatten") {
            flat = true;
            continue;
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": "))
            && !inside.is_empty()
        {
            let (name, kind) = (name.to_owned(), kind.trim_end_matches(',').to_owned());
            let field = Field { name, kind, meaning: meaning.join(" "), flat };
            found.get_mut(&inside).unwrap().push(field);
        } else if line.starts_with("#[") {
            continue;
        }
        meaning.clear();
        flat = false;
    }
    found
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "empty".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(_) => "empty".to_owned(),
        other => other.to_string(),
    }
}

fn rows(table: &mut String, prefix: &str, name: &str, structs: &Structs, defaults: &Value) {
    for field in structs[name].iter().filter(|field| !field.flat) {
        let path = format!("{prefix}{}", field.name);
        let default = &defaults[&field.name];
        if structs.contains_key(&field.kind) {
            rows(table, &format!("{path}."), &field.kind, structs, default);
            continue;
        }
        assert!(field.meaning.ends_with('.'), "`{path}` of {name}: expected a doc comment that ends with a full stop");
        let _ = writeln!(table, "| `{path}` | {} | {} |", shown(default), field.meaning);
    }
}

/// The table of a service; settings that every service has only where their default is another one.
fn table<C: Config>(source: &str, name: &str) -> String {
    let defaults = serde_json::to_value(C::default()).unwrap();
    let base = serde_json::to_value(Base::default()).unwrap();
    let mut table = "| setting | default | meaning |\n|---|---|---|\n".to_owned();
    for (setting, usual) in base.as_object().unwrap() {
        if defaults[setting] != *usual {
            let _ = writeln!(table, "| `{setting}` | {} | As for every service. |", shown(&defaults[setting]));
        }
    }
    rows(&mut table, "", name, &structs(source), &defaults);
    table
}

fn tables() -> [(&'static str, String); 7] {
    let mut every = "| setting | default | meaning |\n|---|---|---|\n".to_owned();
    let base = structs(include_str!("../../../../crates/service/src/config/base.rs"));
    rows(&mut every, "", "Base", &base, &serde_json::to_value(Base::default()).unwrap());
    [
        ("every", every),
        ("engine", table::<EngineConfig>(include_str!("../../../engine/src/config.rs"), "EngineConfig")),
        ("election", table::<ElectionConfig>(include_str!("../../../election/src/config.rs"), "ElectionConfig")),
        (
            "coordinator",
            table::<CoordinatorConfig>(include_str!("../../../coordinator/src/config.rs"), "CoordinatorConfig"),
        ),
        ("gateway", table::<GatewayConfig>(include_str!("../../../../gateway/src/config.rs"), "GatewayConfig")),
        (
            "publisher-adapter",
            table::<PublisherConfig>(include_str!("../../../publisher-adapter/src/config.rs"), "PublisherConfig"),
        ),
        (
            "subscriber-adapter",
            table::<SubscriberConfig>(include_str!("../../../subscriber-adapter/src/config.rs"), "SubscriberConfig"),
        ),
    ]
}

#[test]
fn every_setting_of_every_service_is_documented_with_its_default() {
    let mut text = include_str!("../../../../docs/CONFIGURATION.md").to_owned();
    for (name, table) in tables() {
        let (begin, end) = (format!("<!-- settings: {name} -->\n"), "<!-- end of settings -->");
        let from = text.find(&begin).unwrap_or_else(|| panic!("docs/CONFIGURATION.md: expected a line `{begin}`"));
        let from = from + begin.len();
        let to = from + text[from..].find(end).unwrap_or_else(|| panic!("{name}: expected a line `{end}` below it"));
        text.replace_range(from..to, &table);
    }
    expect_file!["../../../../docs/CONFIGURATION.md"].assert_eq(&text);
}
