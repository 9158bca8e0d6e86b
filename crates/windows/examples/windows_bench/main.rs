//! Nine queries over flights, beside hand-written loops that do the same; what each window kind costs; and that an event
//! costs the same however many rows are kept. One thread, in memory, columns already parsed.
//!
//! `cargo xtask bench windows [--data FOLDER]`; FOLDER holds flights.csv and planes.csv (packed or not).
//!
//! Code map: `data` reads the flights; `cases` are the nine projects, `limits` the loops beside them; `kinds` one project
//! per window kind; `held` rows kept; `measure` time and allocations.

mod cases;
mod data;
mod held;
mod kinds;
mod limits;
mod measure;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mesh_event::{Block, JoinedBlocks, Opcode};
use mesh_windows::{Executor, OutputRun};

use cases::{CASES, Case};
use data::Data;
use limits::{Flights, Tally};
use measure::{Taken, taken};

/// Each of both is measured so often, in turn; the best counts, since others use the machine.
const ROUNDS: usize = 5;
/// At least so many events in a round.
const EVENTS: usize = 2_000_000;
/// Runs of 2048 events that are applied before what came out is dropped.
const CALL: usize = 4;

fn main() -> Result<()> {
    measure::link_allocator();
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: windows_bench FOLDER [CASE]")?);
    let chosen = arguments.next().unwrap_or_default();
    let data = Data::read(&folder)?;
    let times = EVENTS.div_ceil(data.len());
    for case in CASES.iter().filter(|case| case.name.contains(&chosen)) {
        measure_case(case, &data, times)?;
    }
    kinds::measure_all(&data, &chosen)?;
    held::measure_all(&chosen)
}

fn measure_case(case: &Case, data: &Data, times: usize) -> Result<()> {
    let project = case.project()?;
    let flights = data.flights(times, !case.autogen)?;
    let planes = case.uses_planes().then_some(&data.planes);
    let events: usize = flights.iter().map(|joined| joined.events.len()).sum();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut held = None;
    for round in 0..ROUNDS {
        let mut executor = Executor::new(Arc::clone(&project));
        load(&mut executor, planes);
        let (_, took) = taken(|| run(&mut executor, &flights, |_| {}));
        ours.push(took);
        held = bytes_per_row(&executor);
        let mut limit = (case.limit)();
        planes.into_iter().for_each(|planes| limit.planes(planes));
        let mut tally = Tally::default();
        let ((), took) = taken(|| {
            let mut first = 0;
            for joined in &flights {
                limit.flights(&Flights::new(&joined.events, first), &mut tally);
                first += joined.events.len() as i64;
            }
        });
        theirs.push(took);
        if round == 0 {
            let mut executor = Executor::new(Arc::clone(&project));
            load(&mut executor, planes);
            let mut found = Tally::default();
            run(&mut executor, &flights, |run| add(&run.block, case.compared, &mut found));
            let near = (found.sum - tally.sum).abs() <= 1e-9 * tally.sum.abs().max(1.0);
            ensure!(found.rows == tally.rows && near, "{}: the windows give {found:?}, the loop {tally:?}", case.name);
        }
    }
    let (ours, theirs) = (best(&ours), best(&theirs));
    measure::report(case.name, events, ours, Some(theirs), held);
    Ok(())
}

/// Hands all blocks to the first input, a few at a time.
fn run(executor: &mut Executor, flights: &[JoinedBlocks], mut each: impl FnMut(OutputRun)) {
    let mut sink = Vec::new();
    for blocks in flights.chunks(CALL) {
        executor.apply_runs(0, blocks, &mut sink);
        sink.drain(..).for_each(&mut each);
    }
}

fn load(executor: &mut Executor, planes: Option<&Block>) {
    if let Some(planes) = planes {
        executor.apply(1, std::slice::from_ref(planes), &mut Vec::new());
    }
}

/// Counts what came out, but for deletes and old halves, and adds up a field.
fn add(block: &Block, compared: &str, tally: &mut Tally) {
    let field = block.schema.fields().iter().position(|field| &*field.name == compared).unwrap_or_default();
    for row in (0..block.len()).filter(|&row| block.opcodes[row] != Opcode::Delete) {
        tally.rows += 1;
        tally.sum += match block.columns[field].value(row) {
            mesh_event::Value::Int32(x) => f64::from(x),
            mesh_event::Value::Int64(x) => x as f64,
            mesh_event::Value::Double(x) if !x.is_nan() => x,
            _ => 0.0,
        };
    }
}

fn best(taken: &[Taken]) -> Taken {
    let fastest = taken.iter().copied().min_by(|a, b| a.seconds.total_cmp(&b.seconds));
    fastest.unwrap_or(Taken { seconds: f64::NAN, allocations: 0 })
}

/// Memory per row of the windows that hold rows.
fn bytes_per_row(executor: &Executor) -> Option<f64> {
    let stats = executor.stats();
    let rows: u64 = stats.iter().map(|window| window.rows).sum();
    let bytes: u64 = stats.iter().filter(|window| window.rows > 0).map(|window| window.bytes).sum();
    (rows > 0).then(|| bytes as f64 / rows as f64)
}
