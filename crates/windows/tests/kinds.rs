//! Every kind of window: the same steps give the same outputs, digests and state however they are spread over calls,
//! and with a save and a restore anywhere between them.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::scenario::{invariant, project, steps_of_two};

/// Name, attributes of the sources, windows, edges.
const CASES: [(&str, &str, &str, &str); 21] = [
    ("union", "", "<window-union name='u'/>", "<edge source='a b' target='u'/>"),
    ("lenient union", "", "<window-union name='u' strict='false'/>", "<edge source='a b' target='u'/>"),
    ("passing union", "index='pi_EMPTY'", "<window-union name='u' index='pi_EMPTY'/>", "<edge source='a b' target='u'/>"),
    ("aggregate", "", AGGREGATE, "<edge source='a' target='g'/>"),
    ("aggregate of raw events", "index='pi_EMPTY'", AGGREGATE, "<edge source='a' target='g'/>"),
    ("aggregate of inserts", "index='pi_EMPTY' insert-only='true'", AGGREGATE, "<edge source='a' target='g'/>"),
    (
        "aggregate of what leaves",
        "insert-only='true' autogen-key='true'",
        "<window-copy name='c'><retention type='bycount_sliding'>4</retention></window-copy>
         <window-aggregate name='g'><schema-string>name*:string,sum:double,std:double,n:int64</schema-string><output>
         <field-expr>ESP_aSum(x)</field-expr><field-expr>ESP_aStd(x)</field-expr><field-expr>ESP_aCount()</field-expr>
         </output></window-aggregate>",
        "<edge source='a' target='c'/><edge source='c' target='g'/>",
    ),
    ("inner join", "", "<window-join name='j'><join type='inner'><conditions><fields left='name' right='name'/></conditions>
        </join><output><field-selection name='x' source='l_x'/><field-selection name='y' source='r_x'/>
        <field-expr name='sum' type='double'>l_x + r_x</field-expr></output></window-join>",
        "<edge source='a b' target='j'/>"),
    ("full join", "", "<window-join name='j'><join type='fullouter'><conditions><fields left='id' right='id'/></conditions>
        </join><output><left-select>x,name</left-select></output></window-join>", "<edge source='a b' target='j'/>"),
    ("facts that pass", "index='pi_EMPTY'", "<window-join name='j'><join type='leftouter' no-regenerates='true'><conditions>
        <fields left='x' right='x'/></conditions></join><output><field-selection name='y' source='r_name'/></output>
        </window-join>", "<edge source='a b' target='j'/>"),
    ("own aggregate", "", "<window-aggregate name='g'><schema-string>name*:string,sum:double</schema-string><output>
        <field-expr>ESP_aSum(x)</field-expr></output></window-aggregate>
        <window-join name='j'><join type='leftouter'><conditions><fields left='name' right='name'/></conditions></join>
        <output><field-selection name='x' source='l_x'/><field-selection name='sum' source='r_sum'/></output></window-join>",
        "<edge source='a' target='g j'/><edge source='g' target='j'/>"),
    ("remove state", "", "<window-copy name='c'><retention type='bytime_sliding'>3 microseconds</retention></window-copy>
        <window-remove-state name='r' remove='updateBlockDeletes retentionDeletes' add-log-fields='true'/>",
        "<edge source='a' target='c'/><edge source='c' target='r'/>"),
    ("counters", "", "<window-counter name='c'/><window-counter name='d' count-interval='4 microseconds'
        clear-interval='9 microseconds'/>", "<edge source='a' target='c d'/>"),
    ("long", "", "<window-transpose name='t' mode='long' tag-name='tag' tag-values='v' tags-included='p q'/>
        <window-compute name='c'><schema-string>id*:int64,p_v:double,q_v:double,name:string</schema-string><output>
        <field-expr>x</field-expr><field-expr>x * 2</field-expr><field-expr>name</field-expr></output></window-compute>",
        "<edge source='a' target='c'/><edge source='c' target='t'/>"),
    ("wide", "", "<window-transpose name='t' mode='wide' tag-name='name' tag-values='x,at' tags-included='a,b,cc'
        group-by='id' clear-timeout='5 microseconds'/>", "<edge source='a' target='t'/>"),
    ("pattern by clock", "index='pi_EMPTY' insert-only='true'", "<window-pattern name='p'><schema-string>k*:int64,first:int64,
        second:double</schema-string><patterns><pattern><events><event source='a' name='x'>n == name and x > 0</event>
        <event source='a' name='y'>n == name</event><event source='a' name='z'>x &lt; 0</event></events>
        <logic>fby{6 microseconds}(x, and(notoccur(z), y))</logic><output><field-selection node='x' name='id'/>
        <field-expr node='y'>x * 2</field-expr></output></pattern></patterns></window-pattern>",
        "<edge source='a' target='p'/>"),
    ("pattern of silence", "index='pi_EMPTY' insert-only='true'", "<window-pattern name='p'><schema-string>k*:string,
        first:int64</schema-string><patterns><pattern index='name'><events><event source='a' name='x'>x > 0</event>
        <event source='b' name='y'/></events><logic>fby{5 microseconds}(x, notoccur(y))</logic><output>
        <field-selection node='x' name='id'/></output></pattern></patterns></window-pattern>",
        "<edge source='a b' target='p'/>"),
    ("pattern by event time", "index='pi_EMPTY' insert-only='true'", "<window-pattern name='p'><schema-string>k*:int64,
        first:int64,last:int64</schema-string><patterns><pattern index='name'><events><event source='a' name='x'/>
        <event source='a' name='y'>y == x</event><event source='b' name='z'>x > y</event></events>
        <logic>fby{20 microseconds}(x, is:2(y), z)</logic><output><field-selection node='x' name='id'/>
        <field-selection node='z' name='id'/></output><timefields><timefield field='at' source='a'/>
        <timefield field='at' source='b'/></timefields></pattern></patterns></window-pattern>",
        "<edge source='a b' target='p'/>"),
    ("geofence", "", "<window-geofence name='g'><geofence coordinate-type='cartesian' output-multiple-results='true'
        output-sorted-results='true'/><geometry x-fieldname='x' y-fieldname='id' radius='3' desc-fieldname='name'/>
        <position x-fieldname='x' y-fieldname='id' lookupdistance='1'/><output geoid-fieldname='gid' geodesc-fieldname='desc'
        geodistance-fieldname='far' geotype-fieldname='type' eventnumber-fieldname='n' segmentnumber-fieldname='side'/>
        </window-geofence>", "<edge source='b' target='g' role='geometry'/><edge source='a' target='g'/>"),
    ("slots", "", "<window-filter name='f'><expression>true</expression><splitter-expr><expression>id % 3</expression>
        </splitter-expr></window-filter><window-copy name='s0'/><window-copy name='s1'/><window-copy name='all'/>",
        "<edge source='a' target='f'/><edge source='f' target='s0' slot='0'/><edge source='f' target='s1' slot='1'/>
         <edge source='f' target='all' slot='-1'/>"),
    ("outlets", "", "<window-copy name='i' output-insert-only='true'/><window-copy name='u' collapse-updates='true'/>
        <window-copy name='p' pulse-interval='5 microseconds'/>", "<edge source='a' target='i u p'/>"),
];

const AGGREGATE: &str = "<window-aggregate name='g'><schema-string>name*:string,n:int64,sum:double,lo:double,hi:double,
    ave:double,std:double,w:double,dist:int64,nn:int64,nulls:int64,first:double,last:double,lnd:double,op:int64,ins:int64,
    lag:double,mode:double,guid:string,cat:string,tsum:double,tcount:int64,tmax:double,mixed:double,own:stamp
    </schema-string><output>
    <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aSum(x)</field-expr><field-expr>ESP_aMin(x)</field-expr>
    <field-expr>ESP_aMax(x)</field-expr><field-expr>ESP_aAve(x)</field-expr><field-expr>ESP_aStd(x)</field-expr>
    <field-expr>ESP_aWAve(id,x)</field-expr><field-expr>ESP_aCountDistinct(x)</field-expr>
    <field-expr>ESP_aCountNonNull(x)</field-expr><field-expr>ESP_aCountNull(x)</field-expr>
    <field-expr>ESP_aFirst(x)</field-expr><field-expr>ESP_aLast(x)</field-expr><field-expr>ESP_aLastNonDelete(x)</field-expr>
    <field-expr>ESP_aLastOpcode(1)</field-expr><field-expr>ESP_aCountOpcodes(1)</field-expr>
    <field-expr>ESP_aLag(x,1)</field-expr><field-expr>ESP_aMode(x)</field-expr><field-expr>ESP_aGUID()</field-expr>
    <field-expr>ESP_aCat(id,'|')</field-expr><field-expr>ESP_aSumTimed(x,0.000004)</field-expr>
    <field-expr>ESP_aCountTimed(x,0.000004)</field-expr><field-expr>ESP_aMaxTimed(x,0.000004)</field-expr>
    <field-expr>ESP_aSum(x * 2) / ESP_aCount() + x</field-expr><field-expr>at</field-expr>
    </output></window-aggregate>";

#[test]
fn every_case_is_a_project() {
    for (name, attributes, windows, edges) in CASES {
        let project = project(attributes, windows, edges);
        assert!(!project.outputs().is_empty(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_and_restores_leave_no_trace(
        case in 0..CASES.len(),
        steps in steps_of_two(),
        cuts in vec(any::<bool>(), 40),
    ) {
        let (name, attributes, windows, edges) = CASES[case];
        println!("{name}");
        invariant(&project(attributes, windows, edges), &steps, &cuts);
    }
}
