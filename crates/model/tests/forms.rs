//! Forms that stand in public models: they are read as the original reads them, or refused with the element's name.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

use std::collections::BTreeMap;

use mesh_model::{Project, Severity, WindowKind, parse_project};

fn xml(windows: &str, edges: &str) -> String {
    format!(
        "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows>
        <window-source name='a'><schema-string>id*:int64,x:double,s:string,n:int32</schema-string></window-source>
        <window-source name='b'><schema-string>id*:int64,y:double,list:array(dbl)</schema-string></window-source>
        {windows}</windows><edges>{edges}</edges></contquery></contqueries></project>"
    )
}

fn accepted(windows: &str, edges: &str) -> Project {
    match parse_project(&xml(windows, edges), "forms.xml", &BTreeMap::new()) {
        Ok(checked) => checked.project,
        Err(problems) => panic!("{problems}"),
    }
}

/// The headlines of what is wrong.
fn refused(windows: &str, edges: &str) -> Vec<String> {
    let problems = parse_project(&xml(windows, edges), "forms.xml", &BTreeMap::new()).map(|_| ()).unwrap_err();
    problems.0.into_iter().filter(|p| p.severity == Severity::Error).map(|p| p.headline).collect()
}

#[test]
fn functional_and_lua_windows_take_inputs_of_different_schemas() {
    let functions =
        "<function-context><functions><function name='x'>sum($x, $y)</function></functions></function-context>";
    let functional = format!(
        "<window-functional name='w'><schema-string>id*:int64,x:double,y:double</schema-string>{functions}</window-functional>"
    );
    let project = accepted(&functional, "<edge source='a b' target='w'/>");
    let WindowKind::Functional(inputs) = &project.queries[0].windows[2].kind else { panic!("`w` is functional") };
    assert_eq!(inputs.len(), 2);
    let project = accepted(&functional, "<edge source='a' target='w'/>");
    let WindowKind::Functional(inputs) = &project.queries[0].windows[2].kind else { panic!("`w` is functional") };
    assert_eq!(inputs.len(), 1);
    let wrong = functional.replace("$y)", "$z)");
    assert_eq!(refused(&wrong, "<edge source='a b' target='w'/>"), ["`z` is no field of the input or of this window"]);
    let lua = "<window-lua name='w'><schema-string>id*:int64,x:double</schema-string><use>x,y</use><copy>id,x</copy>
        <code>function create(e) return {} end</code></window-lua>";
    let project = accepted(lua, "<edge source='a b' target='w'/>");
    let WindowKind::Lua(lua_window) = &project.queries[0].windows[2].kind else { panic!("`w` is Lua") };
    let names: Vec<&str> = lua_window.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(lua_window.inputs[1].used, Some(vec![1]));
    assert_eq!(lua_window.inputs[1].copies, [Some(0), None]);
    let wrong = lua.replace("x,y", "x,z");
    assert_eq!(refused(&wrong, "<edge source='a b' target='w'/>"), ["`use` names field `z`, which does not exist"]);
}

#[test]
fn patterns_in_lua_need_no_source_behind_one_window_and_may_make_their_output() {
    let pattern = "<window-pattern name='w'><schema-string>k*:int64,x:double</schema-string><patterns><pattern>
        <lua-events><event name='e' func='f'/></lua-events><logic>e</logic><code output='make'>
        function f(e, c) return true end function make(c) return { x = c.events.e.x } end</code></pattern></patterns>
        </window-pattern>";
    let project = accepted(pattern, "<edge source='a' target='w'/>");
    let WindowKind::Pattern(patterns) = &project.queries[0].windows[2].kind else { panic!("`w` is a pattern") };
    assert_eq!(patterns[0].output.as_deref(), Some("make"));
    assert_eq!(refused(pattern, "<edge source='a b' target='w'/>"), ["`event` has no attribute `source`"]);
    let missing = pattern.replace("function make", "function made");
    let found = refused(&missing, "<edge source='a' target='w'/>");
    assert!(found.iter().any(|headline| headline.contains("there is no function `make`")), "{found:?}");
}

#[test]
fn a_connector_property_that_stands_twice_is_a_warning() {
    let copy = "<window-copy name='w'><connectors><connector class='fs' name='s'><properties><property name='type'>sub
        </property><property name='fsname'>f</property><property name='header'>false</property>
        <property name='header'>true</property></properties></connector></connectors></window-copy>";
    let checked = parse_project(&xml(copy, "<edge source='a' target='w'/>"), "forms.xml", &BTreeMap::new()).unwrap();
    assert_eq!(
        checked.project.queries[0].windows[2].connectors[0].property("header"),
        Some("true"),
        "the last one holds"
    );
    let warned = checked.warnings.0.iter().filter(|warning| warning.id == "duplicate-property").count();
    assert_eq!(warned, 1);
}

#[test]
fn object_trackers() {
    let window = |tracker: &str, output: &str, input: &str| {
        format!(
            "<window-object-tracker name='w'><tracker {tracker}/><output {output}/><input {input}/></window-object-tracker>"
        )
    };
    let input = "count='n' coord-type='rect' x='x' y='x' width='x' height='x' label='s'";
    let edge = "<edge source='a' target='w'/>";
    let project = accepted(&window("method='iou'", "mode='wide' tracks='2'", input), edge);
    let fields: Vec<String> = project.queries[0].windows[2]
        .schema
        .fields()
        .iter()
        .map(|field| format!("{}:{}", field.name, field.ty))
        .collect();
    assert_eq!(fields[..4], ["id:int64", "n:int32", "Object_density:int32", "Object0_id:int64"]);
    assert_eq!(fields.len(), 3 + 2 * 11);
    for (tracker, output, input, expected) in [
        ("method='bytetrack'", "mode='array'", input, "not supported yet: method=\"bytetrack\""),
        ("method='iou' iou-sigma='2'", "mode='array'", input, "`iou-sigma` is `2`, expected a number from 0 to 1"),
        ("", "mode='wide'", input, "`tracks` is 0, expected 1 to 1000"),
        ("", "mode='tall'", input, "`mode` is `tall`, expected `wide`, `array` or `long`"),
        ("", "mode='array'", "x='o_%_x' y='x' width='x' height='x'", "`x` names field `o_0_x`, which does not exist"),
        ("", "mode='array'", "x='s' y='x' width='x' height='x'", "field `s` has type string, which `x` cannot take"),
        ("", "mode='array'", "x='x' y='x' width='x'", "`input` has no attribute `height`"),
    ] {
        let found = refused(&window(tracker, output, input), edge);
        assert!(found.iter().any(|headline| headline.starts_with(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn notifications() {
    let email = "<email><email-info><recipients>$s@x</recipients></email-info></email>";
    let window = |channels: &str| {
        format!(
            "<window-notification name='w'><schema copy-keys='false'><fields><field name='s' type='string'/></fields>
             </schema><smtp host='h'/><delivery-channels>{channels}</delivery-channels></window-notification>"
        )
    };
    let edge = "<edge source='a' target='w'/>";
    let project = accepted(&window(email), edge);
    assert!(project.queries[0].windows[2].schema.to_string().starts_with("message*:int64,channel:string"));
    assert!(!project.needs_clock());
    assert!(accepted(&window(&email.replace("<email>", "<email throttle-interval='1 hour'>")), edge).needs_clock());
    for (channels, expected) in [
        ("", "notification window `w` has no channel"),
        ("<email/>", "the channel has no `email-info`"),
        (
            "<sms><sms-info><phone>1</phone></sms-info></sms>",
            "the channel does not say where to: `sms-info` has no phone and gateway",
        ),
        ("<email throttle-interval='soon'/>", "`throttle-interval` is `soon`, expected a time such as `1 hour`"),
        (
            "<email><deliver>gte($s)</deliver><email-info><recipients>r</recipients></email-info></email>",
            "`gte` takes 2 arguments, found 1",
        ),
    ] {
        assert_eq!(refused(&window(channels), edge), [expected]);
    }
}

#[test]
fn notification_windows_have_a_topic_and_a_mail_server_but_no_password() {
    let window = "<window-notification name='w'><smtp host='mail.x.org' user='me' password='secret' port='587'/>
        <delivery-channels><email><email-info><sender>a@x.org</sender><recipients>b@x.org</recipients></email-info></email>
        </delivery-channels></window-notification><window-copy name='c'><connectors><connector class='kafka' name='k'
        type='subscribe'><properties><property name='kafkatopic'>t</property></properties></connector></connectors>
        </window-copy>";
    let xml = xml(window, "<edge source='a' target='w c'/>");
    let checked = parse_project(&xml, "forms.xml", &BTreeMap::new()).map_err(|problems| problems.to_string()).unwrap();
    let names: Vec<&str> = checked.project.outputs().iter().map(|output| output.window).collect();
    assert_eq!(names, ["w", "c"], "messages are sent from the window's topic, whatever else is connected");
    let WindowKind::Notification(spec) = &checked.project.queries[0].windows[2].kind else { panic!("`w` tells") };
    let smtp = spec.smtp.as_ref().unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.user.as_deref()), ("mail.x.org", 587, Some("me")));
    let said = checked.warnings.to_string();
    assert!(said.contains("the password of the mail server is not taken from the project"), "{said}");
    let port = xml.replace("587", "many");
    assert!(parse_project(&port, "forms.xml", &BTreeMap::new()).is_err());
}

#[test]
fn a_kafka_connector_that_asks_for_what_is_not_done_is_told_so() {
    let said = |property: &str| {
        let window = format!(
            "<window-copy name='c'><connectors><connector class='kafka' name='k' type='subscribe'><properties>{property}
            </properties></connector></connectors></window-copy>"
        );
        let xml = xml(&window, "<edge source='a' target='c'/>");
        let checked = parse_project(&xml, "forms.xml", &BTreeMap::new()).map_err(|p| p.to_string()).unwrap();
        let ids = checked.warnings.0.into_iter().map(|warning| warning.id);
        ids.filter(|id| ["not-honoured", "other-topic", "unknown-property-name"].contains(id)).collect::<Vec<_>>()
    };
    let property = |name: &str, value: &str| format!("<property name='{name}'>{value}</property>");
    for (name, value) in [("kafkatype", "csv"), ("rmretdel", "true"), ("avroschemaname", "x"), ("snapshot", "true")] {
        assert_eq!(said(&property(name, value)), ["not-honoured"], "{name}");
    }
    for (name, value) in
        [("kafkatype", "Binary"), ("rmretdel", "false"), ("snapshot", ""), ("csvincludeschema", "never")]
    {
        assert!(said(&property(name, value)).is_empty(), "{name}");
    }
    assert_eq!(said(&property("kafkatopic", "elsewhere")), ["other-topic"]);
    assert!(said(&property("kafkatopic", "host_1.p.cq.c.O")).is_empty());
    assert_eq!(said(&property("kafkatipe", "binary")), ["unknown-property-name"]);
}
