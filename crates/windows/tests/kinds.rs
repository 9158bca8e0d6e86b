//! Every kind of window: the same steps give the same outputs, digests and state however they are spread over calls,
//! and with a save and a restore anywhere between them.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use mesh_windows::Executor;
use proptest::collection::vec;
use proptest::prelude::*;
use support::random::{SCHEMA, Step};
use support::scenario::{invariant, project, run, steps_of_two};
use support::{block_of, schema};

/// Name, attributes of the sources, windows, edges.
const CASES: [(&str, &str, &str, &str); 36] = [
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
    ("join that remembers", "", "<window-join name='j'><expr-initialize><initializer type='integer'>integer n n=0
        </initializer><udfs><udf name='twice' type='double'>return parameter(1) * 2</udf></udfs></expr-initialize>
        <join type='leftouter'><conditions><fields left='name' right='name'/></conditions></join><output>
        <field-expr name='number' type='int64'>n = n + 1 return n</field-expr>
        <field-expr name='two' type='double'>twice(l_x)</field-expr></output></window-join>",
        "<edge source='a b' target='j'/>"),
    ("aggregate that remembers", "", "<window-aggregate name='g'><expr-initialize><initializer type='integer'>
        integer n n=0</initializer><udfs><udf name='twice' type='double'>return parameter(1) * 2</udf></udfs>
        </expr-initialize><schema-string>name*:string,number:int64,sum:double,seen:int64</schema-string><output>
        <field-expr>n = n + 1 return n</field-expr><field-expr>ESP_aSum(twice(x))</field-expr>
        <field-expr>ESP_aMax(n = n + 1)</field-expr></output></window-aggregate>", "<edge source='a' target='g'/>"),
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
    ("calculate one for one", "", CALCULATE_ONE, "<edge source='a' target='c1 c2 m f1 f2 s l t'/>"),
    ("calculate any number", "", CALCULATE_ANY, "<edge source='a' target='s1 s2 c h d w g n sst r tok'/>"),
    ("calculate inserts", "index='pi_EMPTY' insert-only='true'", CALCULATE_ANY,
        "<edge source='a' target='s1 s2 c h d w g n sst r tok'/>"),
    ("train and score", "", LEARN, "<edge source='a' target='k d l g v u'/><edge source='a b' target='s'/>
        <edge source='k d l g v' target='s' role='model'/><edge source='u' target='s'/>"),
    ("lua", "", LUA, "<edge source='a b' target='l'/>"),
    ("functions of two inputs", "", "<window-compute name='c'><schema-string>id*:int64,y:double,at:stamp</schema-string>
        <output><field-expr>x * 2</field-expr><field-expr>at</field-expr></output></window-compute>
        <window-functional name='f'><schema-string>n*:int64,from:string,x:double,y:double,at:stamp</schema-string>
        <function-context><functions><function name='n'>eventCounter()</function><function name='from'>input()</function>
        <function name='y'>sum($x, $y, random(0, 1))</function></functions></function-context></window-functional>",
        "<edge source='a' target='c'/><edge source='c b' target='f'/>"),
    ("lua of two inputs", "", "<window-compute name='c'><schema-string>id*:int64,y:double</schema-string>
        <output><field-expr>x * 2</field-expr></output></window-compute>
        <window-lua name='l'><schema-string>n*:int64,from:string,y:double,name:string</schema-string><copy>y,name</copy>
        <code>local n = 0 function create(e, context) n = n + 1
        return { n = n, from = context.input .. (e.x or '-') } end</code></window-lua>",
        "<edge source='a' target='c'/><edge source='c b' target='l'/>"),
    ("tracks", "", "<window-object-tracker name='t'><tracker method='iou' score-sigma-low='0' score-sigma-high='0'
        iou-sigma='0.5' iou-sigma2='0.1' max-track-lives='2' velocity-vector-frames='3' track-retention='2'/>
        <output mode='array' velocity-vector='true'/><input coord-type='rect' x='x' y='x' width='x' height='x' label='name'/>
        </window-object-tracker>", "<edge source='a' target='t'/>"),
    ("messages", "", "<window-notification name='n'><schema-string>id*:int64,name:string,x:double</schema-string>
        <function-context><functions><function name='x'>sum($x, 1)</function></functions></function-context>
        <delivery-channels><email throttle-interval='4 microseconds'><deliver>gt($x, 0)</deliver><email-info>
        <sender>mesh</sender><recipients>$name@x.org</recipients><subject>$name: $x</subject></email-info><email-contents>
        <text-content name='t'>number $id of $guid</text-content></email-contents></email><webhook><webhook-info>
        <url>http://x/$name</url></webhook-info></webhook></delivery-channels></window-notification>",
        "<edge source='a b' target='n'/>"),
    ("lua pattern with output", "index='pi_EMPTY' insert-only='true'", "<window-pattern name='p'><schema-string>k*:int64,
        first:int64,sum:double,name:string</schema-string><patterns><pattern index='name'><lua-events>
        <event name='x' func='first'/><event name='y' func='second'/></lua-events><code output='make'>
        function first(e, c) return (e.x or 0) > 0, { x = e.x } end
        function second(e, c) return e.x ~= nil and e.id ~= c.events.x.id, { y = e.x } end
        function make(c) if c.data.x == c.data.y then return nil end
        return { first = c.events.x.id, sum = c.data.x + c.data.y, name = c.events.y.name } end</code>
        <logic>fby{6 microseconds}(x, y)</logic></pattern></patterns></window-pattern>",
        "<edge source='a' target='p'/>"),
    ("lua filter of held rows", "", "<window-filter name='f' func='passes'><code>local seen = {}
        function passes(e, context) seen[e.name or ''] = (seen[e.name or ''] or 0) + 1
        context.calls = (context.calls or 0) + 1 return (seen[e.name or ''] + context.calls) % 3 > 0 end</code></window-filter>",
        "<edge source='a' target='f'/>"),
    ("lua pattern", "index='pi_EMPTY' insert-only='true'", "<window-pattern name='p'><schema-string>k*:int64,first:int64,
        last:int64</schema-string><patterns><pattern index='name'><lua-events><event source='a' name='x' func='first'/>
        <event source='b' name='y' func='second'/></lua-events><code>
        function first(e, c) c.id = e.id c.tries = 0 return (e.x or 0) > 0 end
        function second(e, c) c.tries = c.tries + 1 return c.tries == 2 or e.id == c.id end</code>
        <logic>fby{6 microseconds}(x, y)</logic><output><field-selection node='x' name='id'/>
        <field-selection node='y' name='id'/></output></pattern></patterns></window-pattern>",
        "<edge source='a b' target='p'/>"),
    ("remembering slots", "", "<window-filter name='f'><expression>true</expression><splitter-lua function='slot'><code>
        local n = 0 function slot(e) n = n + 1 return (n + e.id) % 3 end</code></splitter-lua></window-filter>
        <window-filter name='g'><expression>true</expression><splitter-expr><expr-initialize><initializer type='integer'>
        integer n n=0</initializer></expr-initialize><expression>n = n + 1 return n % 3</expression></splitter-expr>
        </window-filter><window-copy name='s0'/><window-copy name='s1'/>",
        "<edge source='a' target='f g'/><edge source='f' target='s0' slot='0'/><edge source='g' target='s1' slot='1'/>"),
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

const CALCULATE_ONE: &str = "
    <window-calculate name='c1' algorithm='Correlation'><schema-string>id*:int64,name:string,c:double</schema-string>
    <input-map><properties><property name='x'>x</property><property name='y'>id</property></properties></input-map>
    <output-map><properties><property name='corOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='c2' algorithm='Correlation'><schema-string>id*:int64,c:double</schema-string>
    <parameters><properties><property name='windowLength'>4</property></properties></parameters>
    <input-map><properties><property name='x'>x</property><property name='y'>id</property></properties></input-map>
    <output-map><properties><property name='corOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='m' algorithm='MRR'><schema-string>id*:int64,at:stamp,r:double,e:double</schema-string>
    <parameters><properties><property name='rangeWindowLength'>3</property></properties></parameters>
    <input-map><properties><property name='input'>x</property><property name='timeId'>at</property></properties></input-map>
    <output-map><properties><property name='rangeOut'>r</property><property name='erangeOut'>e</property>
    <property name='timeIdOut'>at</property></properties></output-map></window-calculate>
    <window-calculate name='f1' algorithm='FitStat'><schema-string>id*:int64,n:int32,m:int64,a:double,c:money</schema-string>
    <input-map><properties><property name='inputs'>x</property><property name='response'>id</property></properties></input-map>
    <output-map><properties><property name='nOut'>n</property><property name='nmissOut'>m</property>
    <property name='aseOut'>a</property><property name='maeOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='f2' algorithm='FitStat'><schema-string>id*:int64,n:int32,m:int64,a:double,c:double</schema-string>
    <parameters><properties><property name='windowLength'>5</property></properties></parameters>
    <input-map><properties><property name='inputs'>x,id</property><property name='response'>name</property></properties>
    </input-map><output-map><properties><property name='nOut'>n</property><property name='nmissOut'>m</property>
    <property name='aseOut'>a</property><property name='mcllOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='s' algorithm='SegmentedCorrelation'><schema-string>id*:int64,c:double</schema-string>
    <parameters><properties><property name='sampleSize'>4</property><property name='maxSize'>5</property></properties>
    </parameters><input-map><properties><property name='x'>x</property><property name='indicator'>id</property></properties>
    </input-map><output-map><properties><property name='corOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='l' algorithm='LagMonitor'><schema-string>id*:int64,a:double,l:int64,n:int64</schema-string>
    <parameters><properties><property name='minLag'>-2</property><property name='maxLag'>3</property>
    <property name='windowLength'>6</property></properties></parameters>
    <input-map><properties><property name='input'>x</property><property name='target'>id</property></properties></input-map>
    <output-map><properties><property name='absCCFOut'>a</property><property name='absLagOut'>l</property>
    <property name='numComputedLagsOut'>n</property></properties></output-map></window-calculate>
    <window-calculate name='t' algorithm='TFIDF'><schema-string>id*:int64,name:string,tf:double,x:double</schema-string>
    <input-map><properties><property name='docId'>id</property><property name='token'>name</property></properties></input-map>
    <output-map><properties><property name='tfOut'>tf</property><property name='tfidfOut'>x</property></properties>
    </output-map></window-calculate>";

const CALCULATE_ANY: &str = "
    <window-calculate name='s1' algorithm='STFT'><schema-string>id*:int64,bin*:int64,p:double,a:double</schema-string>
    <parameters><properties><property name='windowLength'>4</property><property name='overlap'>1</property>
    <property name='windowType'>14</property></properties></parameters>
    <input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='binOut'>bin</property><property name='powerOut'>p</property>
    <property name='phaseOut'>a</property></properties></output-map></window-calculate>
    <window-calculate name='s2' algorithm='STFT'><schema-string>id*:int64,p:array(dbl)</schema-string>
    <parameters><properties><property name='windowLength'>3</property><property name='binsInSchema'>1</property></properties>
    </parameters><input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='powerOut'>p</property></properties></output-map></window-calculate>
    <window-calculate name='c' algorithm='Cepstrum'><schema-string>id*:int64,c1:double,c2:double,c9:double</schema-string>
    <parameters><properties><property name='windowLength'>4</property><property name='complexCepstrum'>1</property>
    </properties></parameters><input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='cepstrumListOut'>c[1-2],c9</property></properties></output-map>
    </window-calculate>
    <window-calculate name='h' algorithm='Histogram'><schema-string>id*:int64,c:array(dbl),q1:double,q2:double</schema-string>
    <parameters><properties><property name='nBins'>3</property><property name='halfLifeSteps'>4</property>
    <property name='reportInterval'>2</property><property name='quantileList'>0.1,0.9</property></properties></parameters>
    <input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='binCentersOut'>c</property><property name='quantilesOut'>q[1-2]</property>
    </properties></output-map></window-calculate>
    <window-calculate name='d' algorithm='ChangeDetection'><schema-string>id*:int64,e:int32,v:double,c:int64</schema-string>
    <parameters><properties><property name='nBins'>3</property><property name='refWindowSize'>4</property>
    <property name='maxEvalSteps'>3</property><property name='showAll'>1</property></properties></parameters>
    <input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='evaluatedOut'>e</property><property name='changeValueOut'>v</property>
    <property name='changeDetectedOut'>c</property></properties></output-map></window-calculate>
    <window-calculate name='w' algorithm='DistributionFitting'><schema-string>id*:int64,a:double,b:double</schema-string>
    <parameters><properties><property name='windowLength'>5</property><property name='overlap'>2</property></properties>
    </parameters><input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='alphaOut'>a</property><property name='betaOut'>b</property></properties>
    </output-map></window-calculate>
    <window-calculate name='g' algorithm='DistributionFitting'><schema-string>id*:int64,a:double,b:double</schema-string>
    <parameters><properties><property name='windowLength'>5</property><property name='distribution'>gamma</property>
    </properties></parameters><input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='alphaOut'>a</property><property name='betaOut'>b</property></properties>
    </output-map></window-calculate>
    <window-calculate name='n' algorithm='DistributionFitting'><schema-string>id*:int64,a:double,b:double</schema-string>
    <parameters><properties><property name='windowLength'>5</property><property name='distribution'>Normal</property>
    </properties></parameters><input-map><properties><property name='input'>x</property></properties></input-map>
    <output-map><properties><property name='muOut'>a</property><property name='betaOut'>b</property></properties>
    </output-map></window-calculate>
    <window-calculate name='sst' algorithm='SST'><schema-string>id*:int64,v:array(dbl),a:double,r:double</schema-string>
    <parameters><properties><property name='windowLength'>3</property><property name='overlap'>1</property></properties>
    </parameters><input-map><properties><property name='inputs'>x,id</property></properties></input-map>
    <output-map><properties><property name='principalVecOut'>v</property><property name='projAngleOut'>a</property>
    <property name='PCAngleChangeOut'>r</property></properties></output-map></window-calculate>
    <window-calculate name='r' algorithm='ROC'><schema-string>id*:int64,bin*:int64,se:double,c:double</schema-string>
    <parameters><properties><property name='cutStep'>0.3</property><property name='event'>a</property></properties>
    </parameters><input-map><properties><property name='input'>x</property><property name='response'>name</property>
    </properties></input-map><output-map><properties><property name='binIdOut'>bin</property>
    <property name='sensitivityOut'>se</property><property name='cOut'>c</property></properties></output-map>
    </window-calculate>
    <window-calculate name='tok' algorithm='Tokenization'><schema-string>id*:int64,k*:int64,word:string</schema-string>
    <input-map><properties><property name='docId'>id</property><property name='doc'>name</property></properties></input-map>
    <output-map><properties><property name='tokenIdOut'>k</property><property name='wordOut'>word</property></properties>
    </output-map></window-calculate>";

const LEARN: &str = "
    <window-train name='k' algorithm='KMEANS'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property></properties></parameters>
    <input-map><properties><property name='inputs'>x,id</property></properties></input-map></window-train>
    <window-train name='d' algorithm='DBSCAN'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property><property name='mu'>1</property></properties></parameters>
    <input-map><properties><property name='inputs'>x,id</property></properties></input-map></window-train>
    <window-train name='l' algorithm='LinearRegression'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property><property name='dampingFactor'>0.9</property></properties></parameters>
    <input-map><properties><property name='inputs'>id</property><property name='response'>x</property></properties></input-map></window-train>
    <window-train name='g' algorithm='LogisticRegression'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property></properties></parameters>
    <input-map><properties><property name='inputs'>id</property><property name='response'>x</property></properties></input-map></window-train>
    <window-train name='v' algorithm='SVM'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property></properties></parameters>
    <input-map><properties><property name='inputs'>id</property><property name='response'>x</property></properties></input-map></window-train>
    <window-train name='u' algorithm='KMEANS'><parameters><properties><property name='nInit'>3</property>
    <property name='velocity'>2</property><property name='commitInterval'>1</property><property name='nClusters'>3</property><property name='fadeOutFactor'>0.5</property></properties></parameters>
    <input-map><properties><property name='inputs'>x,id</property></properties></input-map></window-train>
    <window-score name='s'><schema-string>id*:int64,name:string,k:int64,kd:double,km:int64,d:int32,l:double,g:double,v:int64,
    vm:double</schema-string><models>
    <online algorithm='KMEANS'><input-map><properties><property name='inputs'>x,id</property></properties></input-map>
    <output-map><properties><property name='labelOut'>k</property><property name='minDistanceOut'>kd</property><property name='modelIdOut'>km</property></properties></output-map></online>
    <online algorithm='DBSCAN'><input-map><properties><property name='inputs'>x,id</property></properties></input-map>
    <output-map><properties><property name='labelOut'>d</property></properties></output-map></online>
    <online algorithm='LinearRegression'><input-map><properties><property name='inputs'>id</property></properties></input-map>
    <output-map><properties><property name='yPredictOut'>l</property></properties></output-map></online>
    <online algorithm='LogisticRegression'><input-map><properties><property name='inputs'>id</property></properties></input-map>
    <output-map><properties><property name='yProbOut'>g</property></properties></output-map></online>
    <online algorithm='SVM'><input-map><properties><property name='inputs'>id</property></properties></input-map>
    <output-map><properties><property name='yPredictOut'>v</property><property name='marginOut'>vm</property></properties></output-map></online>
    </models></window-score>";

const LUA: &str = "<window-lua name='l' events='make' init='begin' heartbeat='beat' process-blocks='true'>
    <schema-string>id*:int64,n*:int32,at:stamp,name:string,text:string,r:double</schema-string><copy>id,at,name</copy><code>
    <![CDATA[
    local n, recent = 0, {}
    function begin(context) context.beats = 0 end
    function make(e, context)
      n = n + 1
      recent[e.name or ''] = { e.id, n, e._opcode }
      if #recent > 0 then error('never') end
      if e.x == 1 then error('no ones: ' .. n) end
      local words = {}
      for k, v in pairs(recent) do words[#words + 1] = k .. '=' .. table.concat(v, '/') end
      table.sort(words, function(a, b) return a > b end)
      local one = { n = 1, text = table.concat(words, ' '), r = math.random() }
      if n % 3 > 0 then return one end
      return { one, { n = 2, text = esp_getGuids(1)[1], r = os.time() + os.clock(), _opcode = 'upsert' }, { id = 7 } }
    end
    function beat(context)
      context.beats = context.beats + 1
      return { id = -context.beats, n = n, text = esp_toString(recent), r = esp_getSystemMicro() }
    end
    ]]></code></window-lua>";

#[test]
fn every_case_is_a_project() {
    for (name, attributes, windows, edges) in CASES {
        let project = project(attributes, windows, edges);
        assert!(!project.outputs().is_empty(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a hash cannot see: bytes that were wrong before they were hashed. They may be taken for a state, but they
    /// must not stop the process.
    #[test]
    fn nonsense_with_a_right_hash_does_no_harm(
        case in 0..CASES.len(),
        steps in steps_of_two(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (name, attributes, windows, edges) = CASES[case];
        println!("{name}");
        let project = project(attributes, windows, edges);
        let mut bytes = run(&project, &steps, |_| true, |_| false).state;
        for (at, value) in changes {
            let at = 18 + at.index(bytes.len() - 18);
            bytes[at] = value;
        }
        support::rehash(&mut bytes);
        let mut rest = bytes.as_slice();
        let Ok(mut executor) = Executor::restore(project, &mut rest) else { return Ok(()) };
        let mut sink = Vec::new();
        for (source, step) in &steps {
            match step {
                Step::Block(rows) => executor.apply(*source, &[block_of(&schema(SCHEMA), rows)], &mut sink),
                Step::Tick(by) => executor.tick(executor.clock_us().saturating_add(*by), &mut sink),
            }
        }
    }

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
