//! The example projects check without errors, and mean what their comments say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use expect_test::expect;
use mesh_event::FieldType;
use mesh_model::{
    Checked, FunctionalField, Index, Project, Retention, RetentionKind, SummaryField, SummaryStat, WindowKind,
    parse_project,
};

const WEATHER: &str = include_str!("../../../examples/weather/project.xml");
const WEATHER_2S: &str = include_str!("../../../examples/weather-2s/project.xml");

fn checked(xml: &str) -> Checked {
    match parse_project(xml, "project.xml", &BTreeMap::new()) {
        Ok(checked) => checked,
        Err(problems) => panic!("{problems}"),
    }
}

fn retention(project: &Project) -> Option<Retention> {
    project.queries[0].windows[1].retention
}

#[test]
fn weather_is_the_project_that_its_comment_describes() {
    let Checked { project, warnings } = checked(WEATHER);
    expect![[r#"
        note[clock-retention]: rows leave by the clock of the active engine
          --> project.xml:46:12
           |
        46 |           <retention type="bytime_sliding">30 minutes</retention>
           |            ^^^^^^^^^
           = in: project[weather]/contquery[cq]/window-copy[recent]/retention
           = help: ticks are in the commit log, so standbys agree; name an event-time `field` for results that a re-run repeats

        note[event-counter]: eventCounter() counts from the start of the input
          --> project.xml:49:10
           |
        49 |         <window-functional name="numbered" index="pi_EMPTY">
           |          ^^^^^^^^^^^^^^^^^
           = in: project[weather]/contquery[cq]/window-functional[numbered]
           = help: a new engine needs the whole input topic or a snapshot; check the topic's retention

        0 errors, 0 warnings
    "#]].assert_eq(&format!("{warnings}\n"));
    assert_eq!(project.name, "weather");
    assert_eq!(project.heartbeat_us, 1_000_000);
    assert!(project.needs_clock());
    assert_eq!(project.url_host_port(), Some("weather_31415"));
    let query = &project.queries[0];
    let names: Vec<&str> = query.windows.iter().map(|window| window.name.as_str()).collect();
    assert_eq!(names, ["observations", "recent", "numbered", "summary", "report"]);
    let edges: Vec<(usize, usize)> = query.edges.iter().map(|edge| (edge.source, edge.target)).collect();
    assert_eq!(edges, [(0, 1), (1, 2), (2, 3), (3, 4)]);

    assert!(matches!(query.windows[0].kind, WindowKind::Source { insert_only: true, autogen_key: true }));
    assert_eq!(query.windows[0].index, Index::None);
    assert_eq!(query.windows[1].index, Index::Hash);
    assert_eq!(query.windows[1].schema, query.windows[0].schema, "a copy window inherits its schema");
    let thirty_minutes = RetentionKind::ByTimeSliding { us: 30 * 60 * 1_000_000 };
    assert_eq!(retention(&project), Some(Retention { kind: thirty_minutes, field: None }));
    let WindowKind::Functional(inputs) = &query.windows[2].kind else { panic!("`numbered` is functional") };
    let fields = &inputs[0].fields;
    assert!(matches!(fields[0], FunctionalField::Copy(0)));
    assert!(matches!(fields[1], FunctionalField::EventCounter));
    let WindowKind::Summary { window_length: 20, input: 3, fields, .. } = &query.windows[3].kind else {
        panic!("`summary` looks at 20 temperatures");
    };
    assert_eq!(fields[0], SummaryField::Copy(0));
    assert_eq!(fields[11], SummaryField::Stat(SummaryStat::Mean));
    let WindowKind::Compute { fields, keys } = &query.windows[4].kind else { panic!("`report` computes") };
    assert_eq!((fields.len(), keys.as_slice()), (12, [0].as_slice()));
    assert!(fields[5].fits(FieldType::Int32));
}

#[test]
fn topics_follow_the_connectors() {
    let project = checked(WEATHER).project;
    let (inputs, outputs) = (project.inputs(), project.outputs());
    assert_eq!(inputs.len(), 1);
    assert_eq!((inputs[0].query, inputs[0].window, inputs[0].autogen_key), ("cq", "observations", true));
    assert_eq!(inputs[0].schema.fields().len(), 16);
    assert_eq!(outputs.len(), 1);
    assert_eq!((outputs[0].query, outputs[0].window, outputs[0].window_index), ("cq", "report", 4));

    let off = checked(&WEATHER.replace("class=\"kafka\"", "class=\"kafka\" active=\"false\"")).project;
    assert_eq!(off.inputs().len(), 1, "every source window when no connector is on");
    assert_eq!(off.outputs()[0].window, "report", "the last windows when no connector is on");
    assert_eq!(off.url_host_port(), None);
}

#[test]
fn the_two_second_project_differs_in_its_retention_only() {
    let (long, short) = (checked(WEATHER).project, checked(WEATHER_2S).project);
    assert_eq!(short.name, "weather2s");
    let two_seconds = RetentionKind::ByTimeSliding { us: 2_000_000 };
    assert_eq!(retention(&short), Some(Retention { kind: two_seconds, field: None }));
    assert_eq!(short.queries[0].windows.len(), long.queries[0].windows.len());
    assert_ne!(short.fingerprint, long.fingerprint);
}

#[test]
fn the_fingerprint_sees_what_a_project_does_and_not_how_it_is_written() {
    let base = checked(WEATHER).project.fingerprint;
    let same = [
        WEATHER.replace("    ", "\t"),
        WEATHER.replace("<windows>", "<description>new</description><windows>"),
        WEATHER.replace("(temp - 32) * 5 / 9", "(temp-32)*5/9 // Celsius"),
        WEATHER.replace("localhost:9092", "other:9092"),
        WEATHER.replace("<![CDATA[temp > meanTemp]]>", "temp &gt; meanTemp"),
        format!("<engine port='1'><projects>{}</projects></engine>", WEATHER.split_once("?>").unwrap().1),
    ];
    for (number, xml) in same.iter().enumerate() {
        assert_eq!(checked(xml).project.fingerprint, base, "change {number} means nothing");
    }
    let other = [
        WEATHER.replace("30 minutes", "31 minutes"),
        WEATHER.replace("* 5 / 9", "* 5 / 8"),
        WEATHER.replace("\"windowLength\">20", "\"windowLength\">21"),
        WEATHER.replace("name=\"report\"", "name=\"report2\"").replace("target=\"report\"", "target=\"report2\""),
        WEATHER.replace("pi_HASH", "pi_RBTREE"),
    ];
    for (number, xml) in other.iter().enumerate() {
        assert_ne!(checked(xml).project.fingerprint, base, "change {number} means something");
    }
}

#[test]
fn the_source_schema_fits_the_data() {
    use std::io::Read;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather/weather.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let project = checked(WEATHER).project;
    let fields = project.queries[0].windows[0].schema.fields();
    let names: Vec<&str> = fields[1..].iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, header);
}

#[test]
fn an_engine_and_a_bare_query_are_roots_too() {
    let engine = format!(
        "<engine port=\"31415\"><description>old</description><projects>{}</projects></engine>",
        WEATHER.split_once("?>").unwrap().1
    );
    assert_eq!(checked(&engine).project.name, "weather");
    let query = "<contquery name='q'><windows><window-source name='s'>
        <schema-string>id*:int64,v:double</schema-string></window-source></windows></contquery>";
    let project = checked(query).project;
    assert_eq!((project.name.as_str(), project.queries[0].name.as_str()), ("q", "q"));
    assert_eq!(project.inputs()[0].window, "s");
    assert_eq!(project.outputs()[0].window, "s");
}
