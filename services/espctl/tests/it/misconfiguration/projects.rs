//! Project files.

use super::{Entry, Section};
use mesh_model::parse_project;
use std::collections::BTreeMap;

const SOURCE: &str = "<window-source name='in'><schema-string>id*:int64,v:double</schema-string></window-source>";
const EDGE: &str = "<edge source='in' target='w'/>";

fn project(windows: &str, edges: &str) -> String {
    format!(
        "<project name='p'><contqueries><contquery name='cq'>\n<windows>\n{windows}\n</windows>\n<edges>\n{edges}\n</edges>\n\
         </contquery></contqueries></project>"
    )
}

/// What is said of a project file; `given`: the part that is wrong.
fn entry(given: &str, xml: &str, way_out: &'static str) -> Entry {
    let problems = match parse_project(xml, "p.xml", &BTreeMap::new()) {
        Ok(_) => panic!("{given} is taken"),
        Err(problems) => problems.to_string(),
    };
    Entry::new(format!("espctl project check p.xml, a file with\n{given}"), problems, way_out)
}

pub fn xml() -> Section {
    let behind = |window: &str, way_out| entry(window, &project(&format!("{SOURCE}\n{window}"), EDGE), way_out);
    let source =
        |source: &str, way_out| entry(source, &project(&format!("{source}\n<window-copy name='w'/>"), EDGE), way_out);
    let edges =
        |edges: &str, way_out| entry(edges, &project(&format!("{SOURCE}\n<window-copy name='w'/>"), edges), way_out);
    let entries = vec![
        entry("<project name='p'><contqueries>", "<project name='p'><contqueries>", "Close every element."),
        entry("<engine/>", "<engine/>", "The root of a project file is `project`."),
        source(
            "<window-source name='in'><schema-string>id*:int64,v:duoble</schema-string></window-source>",
            "Take the type that is proposed.",
        ),
        source(
            "<window-source name='in'><schema-string>id:int64,v:double</schema-string></window-source>",
            "Mark the key with `*`.",
        ),
        source("<window-source name='in'/>", "Give the source a schema."),
        source(
            "<window-source name='in'><schema-string>${SCHEMA}</schema-string></window-source>",
            "Set the property when the project is deployed or checked: `--property SCHEMA=...`.",
        ),
        edges("<edge source='in' target='W'/>", "Names are case-sensitive; take the one that is proposed."),
        edges("<edge source='in' target='w'/><edge source='w' target='w'/>", "Remove the edge that closes the circle."),
        behind("<window-fliter name='w'/>", "Take the element that is proposed."),
        behind(
            "<window-filter name='w'><expression>vv > 3</expression></window-filter>",
            "Take the field that is proposed.",
        ),
        behind("<window-filter name='w'><expression>v ></expression></window-filter>", "Complete the expression."),
        behind(
            "<window-copy name='w'><retention type='bycount_sliding'>ten</retention></window-copy>",
            "Give the number of rows.",
        ),
        behind(
            "<window-copy name='w'><retention type='bytime_sliding'>5 parsecs</retention></window-copy>",
            "Give a time with its unit.",
        ),
        behind("<window-copy name='in'/>", "Give each window of a query its own name."),
    ];
    Section { title: "Project files", entries }
}
