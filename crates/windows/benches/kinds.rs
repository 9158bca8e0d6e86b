//! Events through windows that hold state, over made-up flights with rising keys.
//! `cargo bench -p mesh-windows --bench kinds`

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use mesh_event::{Block, ColumnBuilder, Flags, JoinedBlocks, Opcode, Schema, Value};
use mesh_model::Project;
use mesh_windows::Executor;

fn main() {
    divan::main();
}

const EVENTS: usize = 200_000;
/// Events of a block, and blocks of a call.
const BLOCK: usize = 512;
const CALL: usize = 16;
const FLIGHT: &str = "id*:int64,carrier:string,origin:string,tailnum:string,dep_delay:double,arr_delay:double,at:stamp";
const PLANE: &str = "tailnum*:string,seats:int32";
const PLANES: usize = 4000;

fn project(windows: &str, edges: &str) -> Arc<Project> {
    let xml = format!(
        "<project name='p'><contqueries><contquery name='cq'><windows>
        <window-source name='flights' index='pi_EMPTY' insert-only='true'><schema-string>{FLIGHT}</schema-string></window-source>
        <window-source name='planes'><schema-string>{PLANE}</schema-string></window-source>
        {windows}</windows><edges>{edges}</edges></contquery></contqueries></project>"
    );
    let checked = mesh_model::parse_project(&xml, "bench.xml", &BTreeMap::new());
    Arc::new(checked.unwrap_or_else(|problems| panic!("{problems}")).project)
}

fn block(schema: &Arc<Schema>, rows: &[Vec<Value>]) -> Block {
    let column = |(at, field): (usize, &mesh_event::Field)| {
        let mut builder = ColumnBuilder::new(field.ty, rows.len());
        rows.iter().for_each(|row| assert!(builder.push(&row[at]), "a value of the schema"));
        Arc::new(builder.finish())
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    Block::new(Arc::clone(schema), vec![Opcode::Insert; rows.len()], vec![Flags::NORMAL; rows.len()], columns)
}

fn flights() -> Vec<Block> {
    let schema = Arc::new(Schema::parse(FLIGHT).expect("the text is a schema"));
    let text = |text: String| Value::String(text.into());
    let row = |i: usize| {
        let h = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        vec![
            Value::Int64(i as i64),
            text(format!("C{}", h % 16)),
            text(["JFK", "LGA", "EWR"][(h % 3) as usize].to_owned()),
            text(format!("N{}", h % PLANES as u64)),
            if h.is_multiple_of(41) { Value::Null } else { Value::Double((h % 160) as f64 - 30.0) },
            Value::Double((h % 190) as f64 - 40.0),
            Value::Stamp(i as i64 * 60_000_000),
        ]
    };
    let rows: Vec<Vec<Value>> = (0..EVENTS).map(row).collect();
    rows.chunks(BLOCK).map(|rows| block(&schema, rows)).collect()
}

fn planes() -> Block {
    let schema = Arc::new(Schema::parse(PLANE).expect("the text is a schema"));
    let row = |i: usize| vec![Value::String(format!("N{i}").into()), Value::Int32(i as i32 % 300)];
    block(&schema, &(0..PLANES).map(row).collect::<Vec<_>>())
}

fn run(bencher: divan::Bencher<'_, '_>, windows: &str, edges: &str) {
    let (project, planes) = (project(windows, edges), planes());
    let flights: Vec<JoinedBlocks> = flights().into_iter().map(JoinedBlocks::from).collect();
    let executor = || {
        let mut executor = Executor::new(Arc::clone(&project));
        executor.apply(1, std::slice::from_ref(&planes), &mut Vec::new());
        executor
    };
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(executor).bench_refs(|executor| {
        let mut outputs = 0;
        for blocks in flights.chunks(CALL) {
            let mut sink = Vec::new();
            executor.apply_runs(0, blocks, &mut sink);
            outputs += sink.len();
        }
        outputs
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn aggregate_since_the_start(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-aggregate name='g'><schema-string>origin*:string,carrier*:string,n:int64,ave:double,max:double
         </schema-string><output><field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr>
         <field-expr>ESP_aMax(dep_delay)</field-expr></output></window-aggregate>",
        "<edge source='flights' target='g'/>",
    );
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn aggregate_of_an_hour(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-copy name='hour'><retention type='bytime_sliding' field='at'>1 hour</retention></window-copy>
         <window-aggregate name='g'><schema-string>origin*:string,n:int64,ave:double</schema-string><output>
         <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(dep_delay)</field-expr></output></window-aggregate>",
        "<edge source='flights' target='hour'/><edge source='hour' target='g'/>",
    );
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn join_with_planes(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-join name='j'><join type='leftouter' no-regenerates='true'><conditions><fields left='tailnum'
         right='tailnum'/></conditions></join><output><field-selection name='carrier' source='l_carrier'/>
         <field-selection name='seats' source='r_seats'/></output></window-join>",
        "<edge source='flights planes' target='j'/>",
    );
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn pattern_of_an_aircraft(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-pattern name='p'><schema-string>k*:int64,first:int64,second:int64</schema-string><patterns>
         <pattern index='tailnum'><events><event source='flights' name='a'>arr_delay > 100</event>
         <event source='flights' name='d'>dep_delay > 100</event></events><logic>fby{6 hours}(a,d)</logic><output>
         <field-selection node='a' name='id'/><field-selection node='d' name='id'/></output><timefields>
         <timefield field='at' source='flights'/></timefields></pattern></patterns></window-pattern>",
        "<edge source='flights' target='p'/>",
    );
}

/// Positions among so many circles: what an event costs must not grow with those that are far away.
#[divan::bench(args = [100, 10_000], sample_count = 3, sample_size = 1)]
fn geofence_of_circles(bencher: divan::Bencher<'_, '_>, circles: usize) {
    let area = "area*:int64,x:double,y:double";
    let xml = format!(
        "<project name='p'><contqueries><contquery name='cq'><windows>
        <window-source name='flights' index='pi_EMPTY' insert-only='true'><schema-string>{FLIGHT}</schema-string></window-source>
        <window-source name='areas'><schema-string>{area}</schema-string></window-source>
        <window-geofence name='g'><geofence coordinate-type='cartesian'/>
        <geometry x-fieldname='x' y-fieldname='y' radius='0.4'/><position x-fieldname='dep_delay' y-fieldname='arr_delay'/>
        <output geoid-fieldname='gid' geodistance-fieldname='far'/></window-geofence></windows>
        <edges><edge source='flights areas' target='g'/></edges></contquery></contqueries></project>"
    );
    let checked = mesh_model::parse_project(&xml, "bench.xml", &BTreeMap::new());
    let project = Arc::new(checked.unwrap_or_else(|problems| panic!("{problems}")).project);
    let schema = Arc::new(Schema::parse(area).expect("the text is a schema"));
    let row = |i: usize| vec![Value::Int64(i as i64), Value::Double((i / 100) as f64), Value::Double((i % 100) as f64)];
    let areas = block(&schema, &(0..circles).map(row).collect::<Vec<_>>());
    let flights = flights();
    let executor = || {
        let mut executor = Executor::new(Arc::clone(&project));
        executor.apply(1, std::slice::from_ref(&areas), &mut Vec::new());
        executor
    };
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(executor).bench_refs(|executor| {
        for blocks in flights.chunks(CALL) {
            executor.apply(0, blocks, &mut Vec::new());
        }
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn correlation_of_twenty(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-calculate name='w' algorithm='Correlation'><schema-string>id*:int64,c:double</schema-string><parameters>
         <properties><property name='windowLength'>20</property></properties></parameters><input-map><properties>
         <property name='x'>dep_delay</property><property name='y'>arr_delay</property></properties></input-map><output-map>
         <properties><property name='corOut'>c</property></properties></output-map></window-calculate>",
        "<edge source='flights' target='w'/>",
    );
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn spectrum_of_windows(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-calculate name='w' algorithm='STFT'><schema-string>id*:int64,bin*:int64,p:double</schema-string><parameters>
         <properties><property name='windowLength'>128</property><property name='windowType'>14</property></properties>
         </parameters><input-map><properties><property name='input'>arr_delay</property></properties></input-map>
         <output-map><properties><property name='binOut'>bin</property><property name='powerOut'>p</property></properties>
         </output-map></window-calculate>",
        "<edge source='flights' target='w'/>",
    );
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn train_and_score_clusters(bencher: divan::Bencher<'_, '_>) {
    run(
        bencher,
        "<window-train name='t' algorithm='KMEANS'><input-map><properties><property name='inputs'>dep_delay,arr_delay
         </property></properties></input-map></window-train><window-score name='s'><schema-string>id*:int64,label:int64
         </schema-string><models><online algorithm='KMEANS'><input-map><properties><property name='inputs'>
         dep_delay,arr_delay</property></properties></input-map><output-map><properties><property name='labelOut'>label
         </property></properties></output-map></online></models></window-score>",
        "<edge source='flights' target='t s'/><edge source='t' target='s' role='model'/>",
    );
}
