//! `project run`.

use super::support::{file, run};

const PROJECT: &str = r#"<project name="p" threads="1">
  <contqueries>
    <contquery name="cq">
      <windows>
        <window-source name="in" index="pi_EMPTY" insert-only="true">
          <schema><fields>
            <field name="id" type="int64" key="true"/>
            <field name="v" type="double"/>
          </fields></schema>
          <connectors><connector name="file" class="fs"><properties>
            <property name="type">pub</property>
            <property name="fstype">csv</property>
            <property name="fsname">@FILE@</property>
          </properties></connector></connectors>
        </window-source>
        <window-filter name="high" index="pi_EMPTY"><expression>v > 10</expression></window-filter>
      </windows>
      <edges><edge source="in" target="high"/></edges>
    </contquery>
  </contqueries>
</project>"#;
const EVENTS: &str = "I,N,1,5.0\nI,N,2,11.5\nI,N,3,12\n";
const HIGH: &str = "I,N, 2,11.500000\nI,N, 3,12.000000\n";

#[test]
fn a_project_runs_over_the_file_of_its_connector_or_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let events = file(folder.path(), "events.csv", EVENTS.as_bytes());
    let events = events.to_str().unwrap();
    let project = file(folder.path(), "project.xml", PROJECT.replace("@FILE@", events).as_bytes());
    let project = project.to_str().unwrap();
    let ran = run(&["project", "run", project]);
    assert_eq!((ran.code, ran.out.as_str()), (0, HIGH), "{}", ran.err);
    assert!(
        ran.err.contains("3 events in, 2 out") && ran.err.contains("RESULT {\"name\":\"project_run\""),
        "{}",
        ran.err
    );

    let more = file(folder.path(), "more.csv", b"id,v\n7,70\n8,8\n");
    let input = format!("cq/in={},header=1,addcsvopcode=true,addcsvflags=normal", more.display());
    let copy = folder.path().join("copy.csv");
    let output = format!("in={}", copy.display());
    let ran = run(&["project", "run", project, "--input", &input, "--output", &output, "--output", "high", "--json"]);
    let expected = r#"{"window":"cq/high","opcode":"I","flags":"N","fields":{"id":7,"v":70.0}}"#;
    assert_eq!((ran.code, ran.out.trim_end()), (0, expected), "{}", ran.err);
    let copied = std::fs::read_to_string(copy).unwrap();
    assert_eq!(copied.lines().count(), 2, "{copied}");
}

#[test]
fn what_is_wrong_is_named_and_what_came_before_is_put_out() {
    let folder = tempfile::tempdir().unwrap();
    let events = file(folder.path(), "events.csv", b"I,N,1,50\nI,N,two,60\n");
    let project = file(folder.path(), "project.xml", PROJECT.replace("@FILE@", events.to_str().unwrap()).as_bytes());
    let project = project.to_str().unwrap();
    let ran = run(&["project", "run", project, "--block", "1"]);
    assert_eq!(ran.out, "I,N, 1,50.000000\n");
    assert!(ran.code != 0 && ran.err.contains("events.csv:2") && ran.err.contains("two"), "{}", ran.err);
    let ran = run(&["project", "run", project, "--input", "hihg=x.csv"]);
    assert!(ran.code != 0 && ran.err.contains("`hihg`") && ran.err.contains("in, high"), "{}", ran.err);
    let ran = run(&["project", "run", project, "--input", "high=x.csv"]);
    assert!(ran.code != 0 && ran.err.contains("no source window"), "{}", ran.err);
    let ran = run(&["project", "run", project, "--input", "in=nothere.csv"]);
    assert!(ran.code != 0 && ran.err.contains("nothere.csv"), "{}", ran.err);
}
