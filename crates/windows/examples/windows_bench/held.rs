//! What an event costs with so many rows kept: it must not grow with them, but for the caches that they leave.

use std::sync::Arc;

use anyhow::Result;
use mesh_event::{Column, ColumnData, JoinedBlocks, Schema};
use mesh_windows::Executor;

use crate::cases::project;
use crate::data::inserts;
use crate::measure::{report, taken};
use crate::{best, bytes_per_row, run};

const ROW: &str = "id*:int64,code:int32,value:double,at:stamp";
/// Bytes of a row in columns.
const RAW_BYTES: f64 = 8.0 + 4.0 + 8.0 + 8.0;
const EVENTS: usize = 1_000_000;
const ROUNDS: usize = 3;
const BLOCK: usize = 2048;
const SIZES: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// How rows are kept.
struct Keeper {
    name: &'static str,
    windows: fn(usize) -> String,
    edges: &'static str,
    insert_only: bool,
    /// Keys start anew after as many as are kept.
    repeats: bool,
}

const KEEPERS: [Keeper; 4] = [
    Keeper {
        name: "held: the last rows",
        windows: |rows| {
            format!("<window-copy name='w'><retention type='bycount_sliding'>{rows}</retention></window-copy>")
        },
        edges: "<edge source='rows' target='w'/>",
        insert_only: true,
        repeats: false,
    },
    Keeper {
        name: "held: the last microseconds of event time",
        windows: |rows| {
            format!(
                "<window-copy name='w'><retention type='bytime_sliding' field='at'>{} milliseconds</retention>
                </window-copy>",
                rows / 1000
            )
        },
        edges: "<edge source='rows' target='w'/>",
        insert_only: true,
        repeats: false,
    },
    Keeper {
        name: "held: the newest row of each key",
        windows: |_| "<window-copy name='w'/>".to_owned(),
        edges: "<edge source='rows' target='w'/>",
        insert_only: false,
        repeats: true,
    },
    Keeper {
        name: "held: a group for each key",
        windows: |_| {
            "<window-aggregate name='w'><schema-string>id*:int64,n:int64,mean:double</schema-string><output>
            <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aAve(value)</field-expr></output></window-aggregate>"
                .to_owned()
        },
        edges: "<edge source='rows' target='w'/>",
        insert_only: true,
        repeats: true,
    },
];

/// Measures the keepers whose name holds `chosen`.
pub fn measure_all(chosen: &str) -> Result<()> {
    for keeper in KEEPERS.iter().filter(|keeper| keeper.name.contains(chosen)) {
        for rows in SIZES {
            measure(keeper, rows)?;
        }
    }
    Ok(())
}

fn measure(keeper: &Keeper, rows: usize) -> Result<()> {
    let source = if keeper.insert_only { "insert-only='true'" } else { "" };
    let source = format!(
        "<window-source name='rows' index='pi_EMPTY' {source}><schema-string>{ROW}</schema-string></window-source>"
    );
    let project = project(&format!("{source}{}", (keeper.windows)(rows)), keeper.edges)?;
    let mut executor = Executor::new(Arc::clone(&project));
    let mut next = 0;
    while next < rows {
        let some = blocks(keeper, rows, next, EVENTS.min(rows - next))?;
        next += EVENTS.min(rows - next);
        run(&mut executor, &some, |_| {});
    }
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let some = blocks(keeper, rows, next, EVENTS)?;
        next += EVENTS;
        let ((), took) = taken(|| run(&mut executor, &some, |_| {}));
        all.push(took);
    }
    let name = format!("{}, {rows} of {RAW_BYTES} bytes", keeper.name);
    report(&name, EVENTS, best(&all), None, bytes_per_row(&executor));
    Ok(())
}

/// So many events from a number on.
fn blocks(keeper: &Keeper, rows: usize, from: usize, count: usize) -> Result<Vec<JoinedBlocks>> {
    let schema = Arc::new(Schema::parse(ROW)?);
    let mut joined = Vec::with_capacity(count.div_ceil(BLOCK));
    for start in (from..from + count).step_by(BLOCK) {
        let numbers = start..(start + BLOCK).min(from + count);
        // Keys in no order, each once in as many events as there are keys.
        let key = |n: usize| if keeper.repeats { n * 7919 % rows } else { n } as i64;
        let columns = [
            ColumnData::Int64(numbers.clone().map(key).collect()),
            ColumnData::Int32(numbers.clone().map(|n| n as i32).collect()),
            ColumnData::Double(numbers.clone().map(|n| (n % 1000) as f64).collect()),
            ColumnData::Stamp(numbers.map(|n| n as i64).collect()),
        ];
        let mut block = inserts(&schema, columns.into_iter().map(|data| Arc::new(Column::new(data))).collect());
        if !keeper.insert_only {
            block.opcodes.fill(mesh_event::Opcode::Upsert);
        }
        joined.push(JoinedBlocks::from(block));
    }
    Ok(joined)
}
