//! The program itself: exit codes, settings, signals. What it shows holds for every service, they share `main`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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
    let expected = "error: setting `pubsub_port` (ESP_GATEWAY_PUBSUB_PORT): expected u16, found `x`\n\
                    error: setting `stale_afer` (--set stale_afer): no such setting; did you mean `stale_after`?\n\
                    error: setting `grace` (--grace): expected a duration with its unit, such as `400ms`, `2s`, `30min`, found `soon`\n\
                    error: setting `coordinators` (settings together): expected at least one `host:port`, found ``\n";
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

#[test]
fn sigterm_drains_and_ends_with_0() {
    let arguments = ["--coordinators", "127.0.0.1:1", "--rest-listen", "127.0.0.1:0", "--log-format", "json"];
    let mut child = gateway(&arguments).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = log.lines();
    let started = lines.by_ref().map_while(Result::ok).find(|line| line.contains("starting HTTP server"));
    assert!(started.is_some_and(|line| line.starts_with('{')), "the log is JSON lines");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let until = Instant::now() + Duration::from_secs(20);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < until, "it did not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(code, Some(0));
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line.contains("\"reason\":\"SIGTERM\"")), "{rest:?}");
}
