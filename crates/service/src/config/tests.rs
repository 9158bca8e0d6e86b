//! Right and wrong settings from every source.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::units::{Size, Span};

#[derive(Debug, Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct Settings {
    #[serde(flatten)]
    base: Base,
    kafka: Kafka,
    rest_port: Option<u16>,
    window: Size,
    extra: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(default)]
struct Kafka {
    brokers: String,
    timeout: Span,
    retries: u32,
    fast: bool,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka { brokers: String::new(), timeout: Span::from_secs(1), retries: 3, fast: true }
    }
}

impl Config for Settings {
    const SERVICE: &'static str = "test-service";
    fn base(&self) -> &Base {
        &self.base
    }
    fn validate(&self, problems: &mut Problems) {
        problems.check(self.kafka.retries < 100, "kafka.retries", "less than 100", self.kafka.retries);
    }
}

fn read(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("esp.toml");
    std::fs::write(&path, file).unwrap();
    let mut arguments = vec!["esp-test".into(), "--config".into(), path.clone().into_os_string()];
    arguments.extend(flags.iter().map(Into::into));
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    cli::<Settings>(arguments, env)
        .map(|cli| cli.expect("not help").config)
        .map_err(|text| text.replace(&path.display().to_string(), "esp.toml"))
}

#[test]
fn each_layer_is_stronger_than_the_one_before() {
    let settings = read(
        "listen = '127.0.0.1:1'\nwindow = '64MiB'\n[kafka]\nbrokers = 'file'\ntimeout = '400ms'\nretries = 7\n[extra]\na = 'x'\n",
        &[
            ("ESP_TEST_SERVICE_KAFKA_BROKERS", "env"),
            ("ESP_TEST_SERVICE_KAFKA_RETRIES", "8"),
            ("ESP_TEST_SERVICE_COORDINATORS", "a:1, b:2"),
            ("ESP_OTHER_KAFKA_BROKERS", "not ours"),
        ],
        &["--set", "kafka.brokers=set", "--rest-port", "5555", "--kafka-fast", "false", "--set", "extra.b=1"],
    )
    .unwrap();
    assert_eq!(settings.kafka.brokers, "set");
    assert_eq!(settings.kafka.timeout, Span::from_millis(400));
    assert_eq!(settings.kafka.retries, 8);
    assert!(!settings.kafka.fast);
    assert_eq!(settings.base.coordinators, ["a:1", "b:2"]);
    assert_eq!(settings.base.listen, "127.0.0.1:1");
    assert_eq!(settings.rest_port, Some(5555));
    assert_eq!(settings.window, Size::from_mib(64));
    assert_eq!(settings.extra, BTreeMap::from([("a".into(), "x".into()), ("b".into(), "1".into())]));
}

#[test]
fn every_wrong_setting_is_told_with_its_source() {
    let text = read(
        "lisen = 'x'\nwindow = '64 mib'\n[kafka]\nretries = 'many'\nbrokrs = 'b'\n",
        &[("ESP_TEST_SERVICE_KAFKA_TIMEOUT", "4 parsecs"), ("ESP_TEST_SERVICE_GRACE_", "1s")],
        &["--rest-port", "70000", "--set", "brokers=x", "--set", "oops", "--trace-ratio", "2"],
    )
    .unwrap_err();
    let expected = [
        "error: setting `oops` (--set): expected `setting=value`, found `oops`",
        "error: setting `kafka.brokrs` (esp.toml): no such setting; did you mean `kafka.brokers`?",
        "error: setting `kafka.retries` (esp.toml): expected a whole number from 0 to 4294967295, found `many`",
        "error: setting `lisen` (esp.toml): no such setting; did you mean `listen`?",
        "error: setting `window` (esp.toml): expected a size, such as `64MiB`, `512KiB`, `4096`, found `64 mib`",
        "error: setting `grace_` (ESP_TEST_SERVICE_GRACE_): no such setting; did you mean `grace`?",
        "error: setting `kafka.timeout` (ESP_TEST_SERVICE_KAFKA_TIMEOUT): expected a duration with its unit, such as `400ms`, `2s`, `30min`, found `4 parsecs`",
        "error: setting `brokers` (--set brokers): no such setting; did you mean `kafka.brokers`?",
        "error: setting `rest_port` (--rest-port): expected a whole number from 0 to 65535, found `70000`",
        "error: setting `trace_ratio` (--trace-ratio): expected a number from 0 to 1, found `2`",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_line() {
    let text = read("listen = \n", &[], &[]).unwrap_err();
    assert!(text.contains("setting `(file)` (esp.toml): expected TOML") && text.contains("line 1"), "{text}");
}

#[test]
fn unknown_flags_and_help_come_from_the_parser() {
    let text = read("", &[], &["--kafka-broker", "x"]).unwrap_err();
    assert!(text.contains("--kafka-brokers"), "{text}");
    let help = cli::<Settings>(["esp-test".into(), "--help".into()], []).unwrap().unwrap_err();
    assert!(help.contains("ESP_TEST_SERVICE_KAFKA_TIMEOUT") && help.contains("\"1s\""), "{help}");
}

#[test]
fn a_probe_needs_to_know_only_where_the_service_listens() {
    let line = |asked: &str| {
        let arguments = ["esp-test", asked, "--admin-listen", "127.0.0.1:7300", "--trace-ratio", "5"];
        cli::<Settings>(arguments.map(Into::into), []).map(|cli| cli.expect("not help"))
    };
    assert_eq!(line("--probe").unwrap().config.base().admin_listen, "127.0.0.1:7300");
    assert!(line("--check-config").unwrap_err().contains("trace_ratio"));
    let unreadable = cli::<Settings>(["esp-test", "--probe", "--grace", "soon"].map(Into::into), []);
    assert!(unreadable.unwrap_err().contains("grace"));
}

#[test]
fn what_is_dumped_is_read_back() {
    let settings = Settings::default();
    let text = toml::to_string(&settings).unwrap();
    let mut layers = Layers::default();
    let mut problems = Problems::default();
    layers.file(Path::new("dump.toml"), &text, &mut problems);
    assert_eq!(problems, Problems::default());
    assert_eq!(load::<Settings>(&layers).unwrap(), settings);
}

#[test]
fn a_secret_is_read_from_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "sasl.password=a=b;c\n").unwrap();
    let path = secret.to_str().unwrap();
    let by_file = read(&format!("[kafka]\nbrokers_file = {path:?}\n"), &[], &[]).unwrap();
    assert_eq!(by_file.kafka.brokers, "sasl.password=a=b;c");
    let by_environment = read("", &[("ESP_TEST_SERVICE_KAFKA_BROKERS_FILE", path)], &[]).unwrap();
    assert_eq!(by_environment.kafka.brokers, "sasl.password=a=b;c");
    let stronger = read("", &[("ESP_TEST_SERVICE_KAFKA_BROKERS_FILE", path)], &["--kafka-brokers", "b:1"]).unwrap();
    assert_eq!(stronger.kafka.brokers, "b:1", "a flag is stronger");
    let missing = read("", &[], &["--set", "kafka.brokers_file=/no/such"]).unwrap_err();
    for part in
        ["`kafka.brokers_file`", "--set kafka.brokers_file", "`/no/such`: No such file", "the value of `kafka.brokers`"]
    {
        assert!(missing.contains(part), "{part} in {missing}");
    }
    let number = read("", &[], &["--set", "kafka.retries_file=/no/such"]).unwrap_err();
    assert!(number.contains("no such setting"), "only texts are secrets: {number}");
}
