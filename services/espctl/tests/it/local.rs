//! Whole meshes inside the program: `dev` and `demo`.

use std::path::Path;

use super::support::{ORDERS, espctl, file, run};

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
fn dev_runs_a_project_that_reads_and_writes_its_own_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    copy(&root.join("examples/data"), &folder.path().join("examples/data"));
    std::fs::create_dir(folder.path().join("target")).unwrap();
    let project = root.join("examples/own-connectors/project.xml");
    let dev = |more: &[&str]| {
        let ran = espctl(&[&["dev", project.to_str().unwrap(), "--output", "cq/with_plane"], more].concat())
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let printed = dev(&[]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let written = read("target/own-connectors.json");
    assert_eq!((printed.lines().count(), written.lines().count()), (2699, 2699), "{printed}");
    let first: serde_json::Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        serde_json::json!({"@opcode": "I", "@flags": "N", "id": 0, "carrier": "UA", "flight": 1545, "origin": "EWR",
            "dest": "IAH", "manufacturer": "BOEING", "seats": 149})
    );
    // a second run begins the file anew, and says the same
    assert_eq!((dev(&[]), read("target/own-connectors.json")), (printed, written));
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
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
