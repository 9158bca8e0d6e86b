//! The nine queries as projects: what other engines were measured with.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use mesh_model::Project;

use crate::data::{FLIGHT, PLANE};
use crate::limits::{self, Limit};

/// A query over flights, beside the loop that does the same.
pub struct Case {
    pub name: &'static str,
    /// Windows behind `flights` (and `planes`).
    windows: &'static str,
    edges: &'static str,
    /// The source makes the key itself.
    pub autogen: bool,
    /// Field of the result that is added up to compare the two.
    pub compared: &'static str,
    pub limit: fn() -> Box<dyn Limit>,
}

/// In the order of the issue that asked for them.
pub const CASES: [Case; 9] = [
    Case {
        name: "filter",
        windows: "<window-filter name='late' index='pi_EMPTY'><expression>dep_delay > 15</expression></window-filter>",
        edges: "<edge source='flights' target='late'/>",
        autogen: false,
        compared: "id",
        limit: || Box::new(limits::Filter),
    },
    Case {
        name: "filter and three computed fields",
        windows: "<window-filter name='late' index='pi_EMPTY'><expression>dep_delay > 15</expression></window-filter>
            <window-compute name='computed' index='pi_EMPTY'>
            <schema-string>id*:int64,gain:double,speed:double,far:int32</schema-string><output>
            <field-expr>dep_delay - arr_delay</field-expr><field-expr>distance / air_time * 60</field-expr>
            <field-expr>distance > 1000</field-expr></output></window-compute>",
        edges: "<edge source='flights' target='late'/><edge source='late' target='computed'/>",
        autogen: false,
        compared: "speed",
        limit: || Box::new(limits::Compute),
    },
    Case {
        name: "sum, avg, min, max of the last 20",
        windows: "<window-calculate name='summary' index='pi_EMPTY' algorithm='Summary'>
            <schema-string>id*:int64,sum:double,mean:double,min:double,max:double</schema-string>
            <parameters><properties><property name='windowLength'>20</property></properties></parameters>
            <input-map><properties><property name='input'>dep_delay</property></properties></input-map>
            <output-map><properties><property name='sumOut'>sum</property><property name='meanOut'>mean</property>
            <property name='minOut'>min</property><property name='maxOut'>max</property></properties></output-map>
            </window-calculate>",
        edges: "<edge source='flights' target='summary'/>",
        autogen: false,
        compared: "mean",
        limit: || Box::new(limits::LastTwenty::default()),
    },
    Case {
        name: "the same by carrier",
        windows: "<window-copy name='last'><retention type='bycount_sliding'>20</retention></window-copy>
            <window-aggregate name='by_carrier'>
            <schema-string>carrier*:string,sum:double,mean:double,min:double,max:double</schema-string><output>
            <field-expr>ESP_aSum(dep_delay)</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr>
            <field-expr>ESP_aMin(dep_delay)</field-expr><field-expr>ESP_aMax(dep_delay)</field-expr></output>
            </window-aggregate>",
        edges: "<edge source='flights' target='last'/><edge source='last' target='by_carrier'/>",
        autogen: false,
        compared: "mean",
        limit: || Box::new(limits::LastTwentyByCarrier::default()),
    },
    Case {
        name: "count, avg, max by origin and carrier",
        windows: "<window-aggregate name='by_both'>
            <schema-string>origin*:string,carrier*:string,n:int64,mean:double,max:double</schema-string><output>
            <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr>
            <field-expr>ESP_aMax(dep_delay)</field-expr></output></window-aggregate>",
        edges: "<edge source='flights' target='by_both'/>",
        autogen: false,
        compared: "mean",
        limit: || Box::new(limits::ByOriginAndCarrier::default()),
    },
    Case {
        name: "1 hour of event time by origin",
        windows: "<window-copy name='hour'><retention type='bytime_sliding' field='at'>1 hour</retention></window-copy>
            <window-aggregate name='by_origin'><schema-string>origin*:string,n:int64,mean:double</schema-string><output>
            <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr></output>
            </window-aggregate>",
        edges: "<edge source='flights' target='hour'/><edge source='hour' target='by_origin'/>",
        autogen: false,
        compared: "mean",
        limit: || Box::new(limits::HourByOrigin::default()),
    },
    Case {
        name: "join with planes",
        windows: "<window-join name='joined' index='pi_EMPTY'><join type='leftouter' no-regenerates='true'><conditions>
            <fields left='tailnum' right='tailnum'/></conditions></join><output>
            <field-selection name='carrier' source='l_carrier'/><field-selection name='tailnum' source='l_tailnum'/>
            <field-selection name='dep_delay' source='l_dep_delay'/><field-selection name='seats' source='r_seats'/>
            <field-selection name='built' source='r_year'/></output></window-join>",
        edges: "<edge source='flights planes' target='joined'/>",
        autogen: false,
        compared: "seats",
        limit: || Box::new(limits::Join::default()),
    },
    Case {
        name: "pattern of an aircraft",
        windows: "<window-pattern name='spread' index='pi_EMPTY'>
            <schema-string>number*:int64,first:int64,second:int64</schema-string><patterns><pattern index='tailnum'>
            <events><event source='flights' name='a'>arr_delay > 30</event>
            <event source='flights' name='d'>dep_delay > 30</event></events><logic>fby{6 hours}(a,d)</logic><output>
            <field-selection node='a' name='id'/><field-selection node='d' name='id'/></output>
            <timefields><timefield field='at' source='flights'/></timefields></pattern></patterns></window-pattern>",
        edges: "<edge source='flights' target='spread'/>",
        autogen: false,
        compared: "first",
        limit: || Box::new(limits::Pattern::default()),
    },
    Case {
        name: "key, counter, summary of 20, flag",
        windows: "<window-functional name='numbered' index='pi_EMPTY'><schema-string>id*:int64,number:int64,
            carrier:string,dep_delay:double,at:stamp</schema-string><function-context><functions>
            <function name='number'>eventCounter()</function></functions></function-context></window-functional>
            <window-calculate name='summary' index='pi_EMPTY' algorithm='Summary'><schema-string>id*:int64,number:int64,
            carrier:string,dep_delay:double,at:stamp,mean:double,std:double</schema-string>
            <parameters><properties><property name='windowLength'>20</property></properties></parameters>
            <input-map><properties><property name='input'>dep_delay</property></properties></input-map>
            <output-map><properties><property name='meanOut'>mean</property><property name='stdOut'>std</property>
            </properties></output-map></window-calculate>
            <window-compute name='flagged' index='pi_EMPTY'><schema-string>id*:int64,number:int64,carrier:string,
            at:stamp,mean:double,std:double,late:int32</schema-string><output><field-expr>number</field-expr>
            <field-expr>carrier</field-expr><field-expr>at</field-expr><field-expr>mean</field-expr>
            <field-expr>std</field-expr><field-expr>dep_delay > mean + 2 * std</field-expr></output></window-compute>",
        edges: "<edge source='flights' target='numbered'/><edge source='numbered' target='summary'/>
            <edge source='summary' target='flagged'/>",
        autogen: true,
        compared: "late",
        limit: || Box::new(limits::Chain::default()),
    },
];

impl Case {
    pub fn uses_planes(&self) -> bool {
        self.edges.contains("planes")
    }

    pub fn project(&self) -> Result<Arc<Project>> {
        let autogen = if self.autogen { "autogen-key='true'" } else { "" };
        project(
            &format!(
                "<window-source name='flights' index='pi_EMPTY' insert-only='true' {autogen}>
            <schema-string>{FLIGHT}</schema-string></window-source>{}{}",
                if self.uses_planes() { planes() } else { String::new() },
                self.windows
            ),
            self.edges,
        )
    }
}

/// The source of planes.
pub fn planes() -> String {
    format!("<window-source name='planes'><schema-string>{PLANE}</schema-string></window-source>")
}

/// A project of one query.
pub fn project(windows: &str, edges: &str) -> Result<Arc<Project>> {
    let xml = format!(
        "<project name='bench'><contqueries><contquery name='cq'><windows>{windows}</windows>
        <edges>{edges}</edges></contquery></contqueries></project>"
    );
    let checked = mesh_model::parse_project(&xml, "bench.xml", &BTreeMap::new());
    Ok(Arc::new(checked.map_err(|problems| anyhow!("{problems}"))?.project))
}
