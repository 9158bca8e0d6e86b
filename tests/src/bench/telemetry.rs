//! What telemetry costs: throughput of the same backlog with and without traces at the default share, in turns.

use anyhow::Result;
use mesh_tests::figures::{result, round};
use mesh_tests::load::Traced;
use serde_json::json;

use super::throughput::{Figures, measure};

/// Events in a block.
const BLOCK_EVENTS: usize = 64;
/// One block in so many is traced: the default of `trace_ratio`.
const ONE_IN: usize = 100;

/// More rounds say nothing more.
const ROUNDS_MAX: u32 = 8;

/// Measures `rounds` times each way.
pub fn run(rounds: u32, events: u64) -> Result<()> {
    let (mut plain, mut traced) = (Vec::new(), Vec::new());
    // counts for nothing, as in `throughput`
    measure(BLOCK_EVENTS, events, Traced::Nothing)?;
    // in turns, each first as often as the other, so that what else the machine does hits both alike
    for round in 0..rounds.min(ROUNDS_MAX) {
        let mut ways = [(&mut plain, Traced::Nothing), (&mut traced, Traced::OneIn(ONE_IN))];
        if round % 2 == 1 {
            ways.reverse();
        }
        for (figures, way) in ways {
            figures.push(measure(BLOCK_EVENTS, events, way)?);
        }
    }
    // what else the machine does only ever slows down: the best of each way is nearest to what that way takes
    let best = |all: &[Figures]| all.iter().map(|figures| figures.per_s).fold(0.0, f64::max);
    let least = |all: &[Figures]| all.iter().map(|figures| figures.cpu).fold(f64::MAX, f64::min);
    let [plain_per_s, traced_per_s] = [&plain, &traced].map(|all| best(all));
    let [plain_cpu, traced_cpu] = [&plain, &traced].map(|all| least(all));
    let share = |before: f64, after: f64| round((after / before.max(f64::MIN_POSITIVE) - 1.0) * 100.0);
    let (slower, more_cpu) = (-share(plain_per_s, traced_per_s), share(plain_cpu, traced_cpu));
    println!(
        "telemetry, one block of {BLOCK_EVENTS} in {ONE_IN} traced: {traced_per_s:.0} events/s beside {plain_per_s:.0} \
         ({slower} % slower), {traced_cpu:.2} CPU s per million of the active beside {plain_cpu:.2} ({more_cpu} % more)"
    );
    result(&json!({
        "name": "telemetry", "block_events": BLOCK_EVENTS, "events": events, "rounds": rounds, "traced_one_in": ONE_IN,
        "events_per_s": plain_per_s.round(), "traced_events_per_s": traced_per_s.round(), "slower_percent": slower,
        "cpu_s_per_million": round(plain_cpu), "traced_cpu_s_per_million": round(traced_cpu),
        "more_cpu_percent": more_cpu,
    }));
    Ok(())
}
