//! One project per window kind that the nine queries leave out.

use std::sync::Arc;

use anyhow::Result;
use mesh_event::{Block, Column, ColumnData, Schema};
use mesh_windows::Executor;

use crate::cases::project;
use crate::data::{Data, FLIGHT, inserts};
use crate::measure::{report, taken};
use crate::{ROUNDS, best, bytes_per_row, run};

struct Kind {
    name: &'static str,
    windows: &'static str,
    edges: &'static str,
    /// The flights so many times over.
    times: usize,
    /// Circles of the window `areas`.
    circles: usize,
}

const AREAS: &str = "area*:int64,x:double,y:double";

const KINDS: [Kind; 13] = [
    Kind {
        name: "kind: union of two filters",
        windows: "<window-filter name='late' index='pi_EMPTY'><expression>dep_delay > 15</expression></window-filter>
            <window-filter name='early' index='pi_EMPTY'><expression>dep_delay &lt; 0</expression></window-filter>
            <window-union name='both' index='pi_EMPTY'/>",
        edges: "<edge source='flights' target='late early'/><edge source='late early' target='both'/>",
        times: 3,
        circles: 0,
    },
    Kind {
        name: "kind: functional, texts",
        windows: "<window-functional name='f' index='pi_EMPTY'><schema-string>id*:int64,way:string,low:string
            </schema-string><function-context><functions><function name='way'>concat($origin,'-',$carrier)</function>
            <function name='low'>toLower($tailnum)</function></functions></function-context></window-functional>",
        edges: "<edge source='flights' target='f'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: lua",
        windows: "<window-lua name='l' events='create' index='pi_EMPTY'><schema-string>id*:int64,gain:double
            </schema-string><use>dep_delay,arr_delay</use><copy>id</copy><code>
            function create(data, context)
              if data.dep_delay == nil or data.arr_delay == nil then return {} end
              return {gain = data.dep_delay - data.arr_delay}
            end</code></window-lua>",
        edges: "<edge source='flights' target='l'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: remove-state",
        windows: "<window-copy name='last'><retention type='bycount_sliding'>1000</retention></window-copy>
            <window-remove-state name='r' remove='retentionDeletes'/>",
        edges: "<edge source='flights' target='last'/><edge source='last' target='r'/>",
        times: 3,
        circles: 0,
    },
    Kind {
        name: "kind: transpose to long",
        windows: "<window-transpose name='t' mode='long' tag-name='what' tag-values='delay' tags-included='dep,arr'/>",
        edges: "<edge source='flights' target='t'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: counter",
        windows: "<window-counter name='c' count-interval='1 second'/>",
        edges: "<edge source='flights' target='c'/>",
        times: 3,
        circles: 0,
    },
    Kind {
        name: "kind: geofence of 100 circles",
        windows: GEOFENCE,
        edges: "<edge source='flights areas' target='g'/>",
        times: 1,
        circles: 100,
    },
    Kind {
        name: "kind: geofence of 10000 circles",
        windows: GEOFENCE,
        edges: "<edge source='flights areas' target='g'/>",
        times: 1,
        circles: 10_000,
    },
    Kind {
        name: "kind: correlation of 20",
        windows: "<window-calculate name='w' algorithm='Correlation'><schema-string>id*:int64,c:double</schema-string>
            <parameters><properties><property name='windowLength'>20</property></properties></parameters><input-map>
            <properties><property name='x'>dep_delay</property><property name='y'>arr_delay</property></properties>
            </input-map><output-map><properties><property name='corOut'>c</property></properties></output-map>
            </window-calculate>",
        edges: "<edge source='flights' target='w'/>",
        times: 3,
        circles: 0,
    },
    Kind {
        name: "kind: spectrum of 128",
        windows: "<window-calculate name='w' algorithm='STFT'><schema-string>id*:int64,bin*:int64,p:double
            </schema-string><parameters><properties><property name='windowLength'>128</property>
            <property name='windowType'>14</property></properties></parameters><input-map><properties>
            <property name='input'>distance</property></properties></input-map><output-map><properties>
            <property name='binOut'>bin</property><property name='powerOut'>p</property></properties></output-map>
            </window-calculate>",
        edges: "<edge source='flights' target='w'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: train and score of two clusters",
        windows: "<window-train name='t' algorithm='KMEANS'><input-map><properties>
            <property name='inputs'>dep_delay,distance</property></properties></input-map></window-train>
            <window-score name='s'><schema-string>id*:int64,label:int64</schema-string><models>
            <online algorithm='KMEANS'><input-map><properties><property name='inputs'>dep_delay,distance</property>
            </properties></input-map><output-map><properties><property name='labelOut'>label</property></properties>
            </output-map></online></models></window-score>",
        edges: "<edge source='flights' target='t s'/><edge source='t' target='s' role='model'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: aggregate of ordered rows",
        windows: "<window-copy name='last'><retention type='bycount_sliding'>1000</retention></window-copy>
            <window-aggregate name='a'><schema-string>carrier*:string,first:double,last:double,lag:double,most:string
            </schema-string><output><field-expr>ESP_aFirst(dep_delay)</field-expr>
            <field-expr>ESP_aLast(dep_delay)</field-expr><field-expr>ESP_aLag(dep_delay,3)</field-expr>
            <field-expr>ESP_aMode(origin)</field-expr></output></window-aggregate>",
        edges: "<edge source='flights' target='last'/><edge source='last' target='a'/>",
        times: 1,
        circles: 0,
    },
    Kind {
        name: "kind: join with its own aggregate",
        windows: "<window-aggregate name='mean' ><schema-string>origin*:string,n:int64,mean:double</schema-string><output>
            <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr></output></window-aggregate>
            <window-join name='j' index='pi_EMPTY'><join type='leftouter' no-regenerates='true'><conditions>
            <fields left='origin' right='origin'/></conditions></join><output>
            <field-selection name='dep_delay' source='l_dep_delay'/><field-selection name='mean' source='r_mean'/>
            </output></window-join>",
        edges: "<edge source='flights' target='mean'/><edge source='flights mean' target='j'/>",
        times: 3,
        circles: 0,
    },
];

const GEOFENCE: &str = "<window-source name='areas'><schema-string>area*:int64,x:double,y:double</schema-string>
    </window-source><window-geofence name='g'><geofence coordinate-type='cartesian'/>
    <geometry x-fieldname='x' y-fieldname='y' radius='0.4'/><position x-fieldname='dep_delay' y-fieldname='arr_delay'/>
    <output geoid-fieldname='gid' geodistance-fieldname='far'/></window-geofence>";

/// Measures the kinds whose name holds `chosen`.
pub fn measure_all(data: &Data, chosen: &str) -> Result<()> {
    for kind in KINDS.iter().filter(|kind| kind.name.contains(chosen)) {
        let source = format!(
            "<window-source name='flights' index='pi_EMPTY' insert-only='true'><schema-string>{FLIGHT}</schema-string>
            </window-source>"
        );
        let project = project(&format!("{source}{}", kind.windows), kind.edges)?;
        let flights = data.flights(kind.times, true)?;
        let events = flights.iter().map(|joined| joined.events.len()).sum();
        let areas = (kind.circles > 0).then(|| areas(kind.circles)).transpose()?;
        let (mut all, mut held) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let mut executor = Executor::new(Arc::clone(&project));
            if let Some(areas) = &areas {
                executor.apply(1, std::slice::from_ref(areas), &mut Vec::new());
            }
            let ((), took) = taken(|| run(&mut executor, &flights, |_| {}));
            all.push(took);
            held = bytes_per_row(&executor);
        }
        report(kind.name, events, best(&all), None, held);
    }
    Ok(())
}

/// Circles on a grid, a hundred in a row.
fn areas(circles: usize) -> Result<Block> {
    let schema = Arc::new(Schema::parse(AREAS)?);
    let doubles = |of: fn(usize) -> usize| {
        Arc::new(Column::new(ColumnData::Double((0..circles).map(|circle| of(circle) as f64).collect())))
    };
    let ids = Arc::new(Column::new(ColumnData::Int64((0..circles as i64).collect())));
    Ok(inserts(&schema, vec![ids, doubles(|circle| circle / 100), doubles(|circle| circle % 100)]))
}
