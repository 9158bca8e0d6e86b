//! `cargo xtask metrics`: every metric that the services register, as docs/METRICS.md.
//!
//! The code is the only list: names, kinds and help are read from the calls that register them. A test holds the alert
//! rules and the dashboard of deploy/ to it, so that neither asks for a metric that nobody has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace;

/// Arguments of `cargo xtask metrics`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Only say whether docs/METRICS.md is up to date
    #[arg(long)]
    check: bool,
}

/// Where the services register metrics.
const SOURCES: [&str; 3] = ["services", "gateway", "crates/service"];

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up; written out with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds; written out as `_bucket`, `_sum`, `_count`.
    Histogram,
}

/// A metric as the code registers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub help: String,
}

impl Kind {
    fn of(call: &str) -> Option<Kind> {
        match call {
            "counter" | "counter_f64" => Some(Kind::Counter),
            "gauge" | "gauge_f64" => Some(Kind::Gauge),
            "seconds" => Some(Kind::Histogram),
            _ => None,
        }
    }

    /// The series under which a metric of this kind is scraped.
    pub fn series(self, name: &str) -> Vec<String> {
        let ends: &[&str] = match self {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        ends.iter().map(|end| format!("{name}{end}")).collect()
    }
}

/// Every metric in the code, by name.
pub fn registered(root: &Path) -> Result<BTreeMap<String, Metric>> {
    let mut files = Vec::new();
    for source in SOURCES {
        rust_files(&root.join(source), &mut files)?;
    }
    let mut found = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (name, metric) in in_text(code) {
            if let Some(other) = found.insert(name.clone(), metric.clone())
                && other != metric
            {
                bail!("{}: `{name}` is registered twice, as {other:?} and {metric:?}", file.display());
            }
        }
    }
    Ok(found)
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "tests" && name != "target") {
            rust_files(&path, into)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

/// The calls `counter("esp_..", "help", ..)` and so on.
fn in_text(code: &str) -> Vec<(String, Metric)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("\"esp_") {
        let before = code[..at].trim_end();
        let Some(call) = before.strip_suffix('(') else { continue };
        let word = call.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let Some(kind) = Kind::of(word) else { continue };
        let mut literals = code[at..].split('"').skip(1).step_by(2);
        if let (Some(name), Some(help)) = (literals.next(), literals.next()) {
            found.push((name.to_owned(), Metric { kind, help: help.to_owned() }));
        }
    }
    found
}

/// docs/METRICS.md.
fn document(metrics: &BTreeMap<String, Metric>) -> String {
    let mut text = "# Metrics\n\n\
        Written by `cargo xtask metrics` from the code; `/metrics` of every service's admin port serves them in the\n\
        OpenMetrics text format. Times are in seconds, sizes in bytes. Labels are `project`, `group` or `topic`, what the\n\
        metric is of. Rules for alerts are in `deploy/prometheus/alerts.yml`, a dashboard in `deploy/grafana/esp-mesh.json`,\n\
        and what to do about an alert in [OPERATIONS.md](OPERATIONS.md#runbook).\n"
        .to_owned();
    let mut part = String::new();
    for (name, metric) in metrics {
        let of = name.split('_').nth(1).unwrap_or_default();
        if of != part {
            part = of.to_owned();
            text.push_str(&format!("\n## {part}\n\n| series | kind | meaning |\n|---|---|---|\n"));
        }
        let (kind, series) = match metric.kind {
            Kind::Counter => ("counter", format!("{name}_total")),
            Kind::Gauge => ("gauge", name.clone()),
            Kind::Histogram => ("histogram, seconds", name.clone()),
        };
        text.push_str(&format!("| `{series}` | {kind} | {} |\n", metric.help));
    }
    text
}

/// Writes the document, or checks it.
pub fn run(args: &MetricsArgs) -> Result<bool> {
    let root = workspace::root()?;
    let file = root.join("docs/METRICS.md");
    let wanted = document(&registered(&root)?);
    if args.check {
        let found = fs::read_to_string(&file).unwrap_or_default();
        if found != wanted {
            bail!("{} is not what the code registers; write it with: cargo xtask metrics", file.display());
        }
        return Ok(true);
    }
    fs::write(&file, wanted).with_context(|| format!("writing {}", file.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use yaml_rust2::{Yaml, YamlLoader};

    use super::*;

    fn read(file: &str) -> String {
        fs::read_to_string(workspace::root().unwrap().join(file)).unwrap()
    }

    fn yaml(file: &str) -> Yaml {
        YamlLoader::load_from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}")).remove(0)
    }

    /// The series that an expression asks for. Balanced brackets are checked on the way, as promtool would.
    fn asked(expression: &str) -> BTreeSet<String> {
        let mut open = Vec::new();
        let mut quoted = false;
        for c in expression.chars() {
            match c {
                '"' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => {
                    let opened = open.pop().unwrap_or_else(|| panic!("`{c}` closes nothing in {expression}"));
                    assert!(matches!((opened, c), ('(', ')') | ('[', ']') | ('{', '}')), "{opened}{c} in {expression}");
                }
                _ => {}
            }
        }
        assert!(open.is_empty() && !quoted, "left open: {open:?} in {expression}");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("esp_")).map(str::to_owned).collect()
    }

    fn series() -> BTreeSet<String> {
        let metrics = registered(&workspace::root().unwrap()).unwrap();
        metrics.iter().flat_map(|(name, metric)| metric.kind.series(name)).collect()
    }

    #[test]
    fn calls_are_found_however_they_are_laid_out() {
        let code = "let a = counter(\"esp_a_b\", \"Bees\");\n x: metrics.seconds(\n  \"esp_c_seconds\",\n  \"Sea\",\n &l);\n let c = f(\"esp_no\", \"no\");";
        let found = in_text(code);
        assert_eq!(found[0], ("esp_a_b".to_owned(), Metric { kind: Kind::Counter, help: "Bees".to_owned() }));
        assert_eq!(found[1], ("esp_c_seconds".to_owned(), Metric { kind: Kind::Histogram, help: "Sea".to_owned() }));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn names_carry_units_as_prometheus_wants_them() {
        let metrics = registered(&workspace::root().unwrap()).unwrap();
        assert!(metrics.len() > 40, "found only {}", metrics.len());
        for (name, metric) in &metrics {
            assert!(metric.kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            for wrong in ["_ms", "_milliseconds", "_us", "_micros", "_kb", "_mb", "_total", "_count", "_sum", "_bucket"]
            {
                assert!(!name.ends_with(wrong), "{name} ends in {wrong}");
            }
            assert!(metric.help.len() > 3, "{name} has no help");
        }
    }

    #[test]
    fn the_document_is_what_the_code_registers() {
        let metrics = registered(&workspace::root().unwrap()).unwrap();
        assert!(read("docs/METRICS.md") == document(&metrics), "write it with: cargo xtask metrics");
    }

    #[test]
    fn every_alert_asks_for_metrics_that_exist_and_has_a_runbook() {
        let (known, runbook) = (series(), read("docs/OPERATIONS.md"));
        let rules = yaml("deploy/prometheus/alerts.yml");
        let rules = rules["groups"][0]["rules"].as_vec().unwrap();
        assert!(rules.len() >= 12);
        for rule in rules {
            let name = rule["alert"].as_str().unwrap();
            let expression = rule["expr"].as_str().unwrap_or_else(|| panic!("{name}: no expr"));
            for series in asked(expression) {
                assert!(known.contains(&series), "{name} asks for {series}, which no service has");
            }
            if let Some(wait) = rule["for"].as_str() {
                assert!(
                    wait.ends_with(['s', 'm']) && wait[..wait.len() - 1].parse::<u32>().is_ok(),
                    "{name}: for {wait}"
                );
            }
            assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{name}: severity");
            assert!(rule["annotations"]["summary"].as_str().is_some_and(|text| text.len() > 20), "{name}: summary");
            let link = rule["annotations"]["runbook"].as_str().unwrap();
            assert_eq!(link, format!("docs/OPERATIONS.md#{}", name.to_lowercase()));
            assert!(runbook.contains(&format!("### {name}\n")), "docs/OPERATIONS.md has no runbook for {name}");
        }
    }

    #[test]
    fn every_panel_asks_for_metrics_that_exist() {
        let known = series();
        let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/esp-mesh.json")).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets: Vec<&str> = panels
            .iter()
            .flat_map(|panel| panel["targets"].as_array().unwrap())
            .map(|target| target["expr"].as_str().unwrap())
            .collect();
        assert!(targets.len() > 20);
        for series in targets.into_iter().flat_map(asked) {
            assert!(known.contains(&series), "the dashboard asks for {series}, which no service has");
        }
    }

    #[test]
    fn prometheus_scrapes_every_service_of_the_compose_file() {
        let compose = yaml("docker-compose.yml");
        let scraped = yaml("deploy/prometheus/prometheus.yml");
        let targets: BTreeSet<String> = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
            .as_vec()
            .unwrap()
            .iter()
            .map(|target| target.as_str().unwrap().trim_end_matches(":7300").to_owned())
            .collect();
        let services = compose["services"].as_hash().unwrap().keys().map(|name| name.as_str().unwrap().to_owned());
        let others = [
            "kafka-1",
            "kafka-2",
            "kafka-3",
            "zookeeper",
            "etcd",
            "jaeger",
            "espctl",
            "deploy",
            "prometheus",
            "grafana",
        ];
        let ours: BTreeSet<String> = services.filter(|name| !others.contains(&name.as_str())).collect();
        assert_eq!(targets, ours);
        for file in ["deploy/grafana/datasource.yml", "deploy/grafana/dashboards.yml"] {
            assert_eq!(yaml(file)["apiVersion"].as_i64(), Some(1), "{file}");
        }
    }
}
