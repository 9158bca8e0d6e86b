//! Small projects, and what is said about them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;

use expect_test::Expect;
use mesh_model::{Diagnostics, parse_project};

pub fn properties() -> BTreeMap<String, String> {
    BTreeMap::from([("BROKERS".to_owned(), "localhost:9092".to_owned())])
}

/// Errors, or warnings when there are none.
pub fn problems(xml: &str) -> Diagnostics {
    match parse_project(xml, "p.xml", &properties()) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    }
}

pub fn project(windows: &str, edges: &str) -> String {
    format!(
        "<project name='p'><contqueries><contquery name='q'>\n<windows>\n{SOURCE}\n{windows}\n</windows>\n<edges>\n{edges}\n\
         </edges>\n</contquery></contqueries></project>"
    )
}

pub const SOURCE: &str = "<window-source name='src' index='pi_EMPTY'>\
    <schema-string>id*:int64,temp:double,name:string,at:stamp</schema-string></window-source>";
pub const EDGE: &str = "<edge source='src' target='w'/>";

/// A problem of a window `w` behind the source.
pub fn window(xml: &str, expected: Expect) {
    whole(&project(xml, EDGE), expected);
}

pub fn whole(xml: &str, expected: Expect) {
    expected.assert_eq(&format!("{}\n", problems(xml)));
}
