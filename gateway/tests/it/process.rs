//! The program itself: exit codes, settings, signals. What it shows holds for every service, they share `main`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn gateway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_esp-gateway"));
    command.args(arguments).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), utf8(&output.stdout), utf8(&output.stderr))
}

#[test]
fn wrong_settings_end_with_64_and_all_of_them_are_told() {
    let mut command = gateway(&["--set", "stale_afer=1s", "--grace", "soon"]);
    let (code, out, err) = text(&command.env("ESP_GATEWAY_PUBSUB_PORT", "x").output().unwrap());
    assert_eq!((code, out.as_str()), (Some(64), ""));
    let expected = "error: setting `pubsub_port` (ESP_GATEWAY_PUBSUB_PORT): expected a whole number from 0 to 65535, found `x`\n\
                    error: setting `stale_afer` (--set stale_afer): no such setting; did you mean `stale_after`?\n\
                    error: setting `grace` (--grace): expected a duration with its unit, such as `400ms`, `2s`, `30min`, found `soon`\n\
                    error: setting `coordinators` (default): expected at least one `host:port`, found ``\n";
    assert_eq!(err, expected);
}

#[test]
fn settings_can_be_checked_and_printed() {
    let good = ["--coordinators", "127.0.0.1:1", "--stale-after", "2s"];
    let (code, out, err) = text(&gateway(&[&good[..], &["--check-config"]].concat()).output().unwrap());
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "configuration is good\n", ""));
    let (code, out, _) = text(&gateway(&[&good[..], &["--dump-config"]].concat()).output().unwrap());
    assert_eq!(code, Some(0));
    assert!(out.contains("stale_after = \"2s\"") && out.contains("coordinators = [\"127.0.0.1:1\"]"), "{out}");
}

#[test]
fn a_port_that_is_taken_ends_with_75() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = text(&gateway(&["--coordinators", "127.0.0.1:1", "--listen", &address]).output().unwrap());
    assert_eq!(code, Some(75));
    assert!(err.contains("setting `listen`") && err.contains("name a free port, or 0"), "{err}");
}

/// A gateway that runs; its gRPC address, the lines of its log.
fn running() -> (Child, String, Lines<BufReader<ChildStderr>>) {
    let arguments = ["--coordinators", "127.0.0.1:1", "--rest-listen", "127.0.0.1:0", "--log-format", "json"];
    let mut child = gateway(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let started = wait_for(&mut lines, "\"message\":\"started\"");
    let (_, rest) = started.split_once("\"address\":\"").unwrap();
    let address = rest.split('"').next().unwrap().to_owned();
    wait_for(&mut lines, "starting HTTP server");
    (child, address, lines)
}

/// The first line that has this text.
fn wait_for(lines: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains(text));
    let line = line.unwrap_or_else(|| panic!("the log ended without {text}"));
    assert!(line.starts_with('{'), "the log is JSON lines: {line}");
    line
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn exit_code(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < until, "it did not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sigterm_drains_and_ends_with_0() {
    let (mut child, _, mut lines) = running();
    send("-TERM", &child);
    assert_eq!(exit_code(&mut child), Some(0));
    wait_for(&mut lines, "\"reason\":\"SIGTERM\"");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (mut child, address, mut lines) = running();
    // a stream that does not end by itself holds the drain up
    let channel = mesh_service::security::Caller::default().connect(&address).unwrap();
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap();
    send("-TERM", &child);
    wait_for(&mut lines, "\"message\":\"draining\"");
    send("-INT", &child);
    assert_eq!(exit_code(&mut child), Some(130));
    drop(watch);
}
