//! Whole meshes inside the program: `dev` and `demo`.

use super::support::{ORDERS, file, run};

#[test]
fn dev_turns_the_lines_of_a_file_into_the_output_of_a_project_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let project = file(folder.path(), "orders.xml", ORDERS);
    let input = file(folder.path(), "orders.csv", "I,N,1,1.5\nU,N,1,2.5\nD,N,1,\n");
    let ran = run(&["dev", project.to_str().unwrap(), "--input", input.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "I,N, 1,1.500000\nUB,N, 1,2.500000\nD,N, 1,1.500000\nD,N, 1,2.500000\n");
    assert!(ran.err.contains("orders runs; cq/in in, cq/out out"), "{}", ran.err);
}

#[test]
fn dev_says_which_line_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let project = file(folder.path(), "orders.xml", ORDERS);
    let input = file(folder.path(), "orders.csv", "I,N,1,1.5\nI,N,x,1.5\n");
    let ran = run(&["dev", project.to_str().unwrap(), "--input", input.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for part in ["orders.csv:2", "int64", "x"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let ran = run(&["dev", project.to_str().unwrap(), "--output", "cq/owt"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("--output: expected a window with a topic, one of cq/out; found `cq/owt`"), "{}", ran.err);
}

#[test]
fn the_demo_loses_doubles_and_reorders_nothing_and_says_so_without_colour_in_a_pipe() {
    let ran = run(&["demo", "--kills", "1", "--seed", "7"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(!ran.out.contains('\x1b'), "{}", ran.out);
    let result = ran.out.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap();
    let result: serde_json::Value = serde_json::from_str(result).unwrap();
    for (key, expected) in [
        ("events_in", 26_115),
        ("events_out", 26_115),
        ("takeovers", 1),
        ("switchovers", 1),
        ("lost", 0),
        ("doubled", 0),
        ("reordered", 0),
        ("foreign", 0),
    ] {
        assert_eq!(result[key], expected, "{key}: {result}");
    }
    assert!(result["gap_max_ms"].as_f64().unwrap() > 0.0, "{result}");
    assert!(ran.out.contains(" is back as standby\n"), "{}", ran.out);
}
