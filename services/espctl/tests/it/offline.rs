//! What needs no mesh.

use super::support::{ORDERS, espctl, file, run};
use expect_test::expect;
use std::process::Stdio;

#[test]
fn a_wrong_command_line_is_the_users_and_says_what_would_be_right() {
    let ran = run(&["statsu"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    expect![[r#"
        error: unrecognized subcommand 'statsu'

          tip: a similar subcommand exists: 'status'

        Usage: espctl [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "#]]
    .assert_eq(&ran.err);
}

#[test]
fn help_is_an_answer_and_names_every_command() {
    let ran = run(&["--help"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for command in ["status", "promote", "topics", "project", "history", "events", "completions"] {
        assert!(ran.out.contains(&format!("\n  {command} ")), "{command}: {}", ran.out);
    }
    assert!(ran.out.contains("Exit codes: 0 done, 1 what was asked for is wrong, 2 our fault"), "{}", ran.out);
}

#[test]
fn a_coordinator_that_is_not_there_is_our_fault_with_a_way_out() {
    let ran = run(&["status", "--coordinator", "127.0.0.1:1"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.starts_with(
            "error: read the status of the mesh: expected an answer from a coordinator at 127.0.0.1:1, found "
        ),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("name a running one with --coordinator or ESP_COORDINATOR"), "{}", ran.err);
    assert!(!ran.err.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn a_coordinator_address_without_a_port_is_the_users() {
    let ran = run(&["history", "--coordinator", "localhost"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, "error: connect: expected an address `host:port`, found `localhost`\n");
}

#[test]
fn a_good_project_is_ok_and_shows_its_topics() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.xml", ORDERS);
    let ran = run(&["project", "check", path.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(": ok: project orders, 2 windows, model "), "{}", ran.out);
    assert!(
        ran.out.contains("  input  cq/in  id*:int64,v:double\n  output cq/out  id*:int64,v:double\n"),
        "{}",
        ran.out
    );

    let ran = run(&["project", "check", "--json", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["ok"], &report["project"]["windows"]), (0, &true.into(), &2.into()));
}

#[test]
fn a_project_with_errors_shows_all_of_them_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = ORDERS.replace("type=\"double\"", "type=\"doubel\"").replace("target=\"out\"", "target=\"owt\"");
    let path = file(folder.path(), "orders.xml", wrong);
    let ran = run(&["project", "check", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    for part in
        ["orders.xml:6:", "did you mean `double`?", "orders.xml:10:", "did you mean `out`?", "2 errors, 0 warnings"]
    {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let ran = run(&["project", "check", "--json", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["ok"], report["problems"].as_array().unwrap().len()), (1, &false.into(), 2));
}

#[test]
fn a_missing_file_is_the_users() {
    let ran = run(&["project", "deploy", "/no/such/file.xml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: read project file `/no/such/file.xml`: No such file"), "{}", ran.err);
}

#[test]
fn completions_are_a_script_and_a_closed_pipe_is_no_panic() {
    let ran = run(&["completions", "bash"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("_espctl()"), "{}", &ran.out[..200]);

    let mut child = espctl(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
