//! `project run`.

use super::support::{file, run, run_in};

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
fn a_script_beside_the_project_travels_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let filter =
        r#"<window-filter name="high" index="pi_EMPTY"><code file="@ESP_PROJECT_HOME@/high.lua"/></window-filter>"#;
    let eel = r#"<window-filter name="high" index="pi_EMPTY"><expression>v > 10</expression></window-filter>"#;
    let text = PROJECT.replace(eel, filter).replace("@FILE@", "events.csv");
    let project = file(folder.path(), "project.xml", text.as_bytes());
    let project = project.to_str().unwrap();
    file(folder.path(), "events.csv", EVENTS.as_bytes());
    let ran = run(&["project", "run", project]);
    let said = "file `@ESP_PROJECT_HOME@/high.lua` does not travel with the project";
    assert!(ran.code != 0 && ran.err.contains(said), "{}", ran.err);
    file(folder.path(), "high.lua", b"function filter(data) return data.v > 10 end");
    for command in [&["project", "run", project][..], &["dev", project]] {
        let ran = run_in(folder.path(), command);
        assert_eq!((ran.code, ran.out.as_str()), (0, HIGH), "{}", ran.err);
    }
    let ran = run(&["project", "check", project]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    file(folder.path(), "high.lua", b"function filter() return true end -- \x00");
    let ran = run(&["project", "check", project]);
    assert!(ran.code != 0 && ran.err.contains("byte 38 is a control character"), "{}", ran.err);
}

#[test]
fn bad_events_are_in_a_file_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let project = PROJECT.replace(r#"index="pi_EMPTY" insert-only="true""#, "");
    let project = file(folder.path(), "project.xml", project.as_bytes());
    let events = file(folder.path(), "events.csv", b"I,N,1,50\nI,N,1,60\nI,N,two,60\nD,N,7,\nI,N,2,70\n");
    let input = format!("in={},ignorecsvparseerrors=true", events.display());
    let bad = folder.path().join("bad.csv");
    let arguments = ["project", "run", project.to_str().unwrap(), "--input", &input, "--output", "in"];
    let ran = run(&[&arguments[..], &["--bad-events", bad.to_str().unwrap()]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, "I,N, 1,50.000000\nI,N, 2,70.000000\n"), "{}", ran.err);
    assert!(!ran.err.contains("bad event, "), "{}", ran.err);
    let text = std::fs::read_to_string(&bad).unwrap();
    let mut lines: Vec<&str> = text.lines().map(|line| line.split_once(',').unwrap().1).collect();
    lines.sort_unstable();
    assert_eq!(lines[2], "cq/in,\"an insert of a key that is there\",I,N, 1,60.000000");
    assert_eq!(lines[1], "cq/in,\"a delete of a key that is not there\",D,N, 7,");
    assert!(lines.len() == 3 && lines[0].contains("events.csv:3:5: field `id`: expected int64, found `two`"), "{text}");
    let ran = run(&arguments);
    assert!(ran.err.contains("cq/in: bad event, an insert of a key that is there: I,N, 1,60.000000"), "{}", ran.err);
    let ran = run(&[&arguments[..], &["--bad-events", "/nowhere/bad.csv"]].concat());
    assert!(ran.code != 0 && ran.err.contains("--bad-events `/nowhere/bad.csv`"), "{}", ran.err);
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

#[test]
fn a_window_is_written_by_several_connectors_and_names_are_given() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "events.csv", EVENTS.as_bytes());
    let connector = |name: &str, more: &str| {
        format!(
            "<connector class='fs' name='{name}'><properties><property name='type'>sub</property>
            <property name='fsname'>@OUT@/{name}</property>{more}</properties></connector>"
        )
    };
    let xml = connector("out.xml", "<property name='fstype'>xml</property>");
    let connectors = format!("<connectors>{}{xml}</connectors></window-filter>", connector("out.csv", ""));
    let project = PROJECT.replace("@FILE@", "@ESP_PROJECT_HOME@/events.csv").replace("v > 10", "v > @LEAST@");
    let project = file(folder.path(), "project.xml", project.replace("</window-filter>", &connectors).as_bytes());
    let out = format!("OUT={}", folder.path().display());
    let ran = run(&["project", "run", project.to_str().unwrap(), "--property", &out, "--property", "LEAST=10"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), HIGH);
    let expected = "<events>\n<event><opcode>i</opcode><id key=\"true\">2</id><v>11.5</v></event>\n\
        <event><opcode>i</opcode><id key=\"true\">3</id><v>12.0</v></event>\n</events>\n";
    assert_eq!(std::fs::read_to_string(folder.path().join("out.xml")).unwrap(), expected);
    let ran = run(&["project", "run", project.to_str().unwrap(), "--property", "LEAST"]);
    assert!(ran.code != 0 && ran.err.contains("--property `LEAST`"), "{}", ran.err);
}

const ORDERED: &str = r#"<project name="p">
  <project-connectors><connector-groups>
    <connector-group name="facts"><connector-entry connector="cq/facts/file" state="finished"/></connector-group>
    <connector-group name="names"><connector-entry connector="cq/names/file" state="finished"/></connector-group>
  </connector-groups><edges><edge source="names" target="facts"/></edges></project-connectors>
  <contqueries><contquery name="cq"><windows>
    <window-source name="facts" index="pi_EMPTY" insert-only="true">
      <schema-string>id*:int64,code:string</schema-string>
      <connectors><connector name="file" class="fs" type="publish"><properties>
        <property name="fstype">xml</property><property name="fsname">@DIR@/facts.xml</property>
        <property name="maxevents">2</property></properties></connector></connectors></window-source>
    <window-source name="names"><schema-string>code*:string,name:string</schema-string>
      <connectors><connector name="file" class="fs" type="publish"><properties>
        <property name="fstype">json</property><property name="fsname">@DIR@/names.json</property>
      </properties></connector></connectors></window-source>
    <window-join name="named" index="pi_EMPTY"><join type="leftouter" no-regenerates="true"><conditions>
      <fields left="code" right="code"/></conditions></join><output>
      <field-selection name="name" source="r_name"/></output>
      <connectors><connector name="out" class="fs" type="subscribe"><properties>
        <property name="fsname">@DIR@/named.csv</property><property name="header">full</property>
      </properties></connector></connectors></window-join>
  </windows><edges><edge source="facts names" target="named"/></edges></contquery></contqueries>
</project>"#;

/// The facts stand first in the file, and find their names only because their group waits for the other.
#[test]
fn connectors_of_the_project_start_in_the_order_of_their_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let facts = "<events><event opcode='insert'><id>1</id><code>a</code></event>\
        <event><id>2</id><code>b,c</code></event><event><id>3</id><code>a</code></event></events>";
    file(path, "facts.xml", facts.as_bytes());
    file(path, "names.json", br#"[{"opcode":"i","code":"a","name":"first"},{"code":"b,c","name":"second \"2\""}]"#);
    let project = file(path, "project.xml", ORDERED.replace("@DIR@", path.to_str().unwrap()).as_bytes());
    let project = project.to_str().unwrap();
    let ran = run(&["project", "run", project]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(!ran.err.contains("not started"), "{}", ran.err);
    let written = std::fs::read_to_string(path.join("named.csv")).unwrap();
    assert_eq!(written, "opcode,flags,id,name\n\nI,N, 1,first\nI,N, 2,\"second \\\"2\\\"\"\n");

    let ran = run(&["project", "run", project, "--output", "named"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{}", ran.err);
    let wrong = ORDERED.replace("@DIR@", path.to_str().unwrap()).replace(">xml<", ">hdat<");
    let wrong = file(path, "wrong.xml", wrong.as_bytes());
    let ran = run(&["project", "run", wrong.to_str().unwrap()]);
    assert!(ran.code != 0 && ran.err.contains("`fstype` is `hdat`, expected one of csv, json, xml"), "{}", ran.err);
}
