//! Time on the processor, allocations, and the line that says what was measured.

use std::alloc::{GlobalAlloc, System};
use std::hint::black_box;

use mimalloc::MiMalloc;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// `malloc`, counted; it is the allocator of the engine's program ([`link_allocator`]).
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Has mimalloc linked, which puts itself in the place of `malloc` (feature `override`).
pub fn link_allocator() {
    let allocator: &dyn GlobalAlloc = &MiMalloc;
    black_box(allocator);
}

/// What a piece of work took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub seconds: f64,
    pub allocations: usize,
}

/// Seconds that this thread was on a processor: others that use the machine do not count.
fn seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Runs a piece of work once.
pub fn taken<T>(work: impl FnOnce() -> T) -> (T, Taken) {
    let region = Region::new(ALLOCATOR);
    let before = seconds();
    let result = work();
    let seconds = seconds() - before;
    let change = region.change();
    (result, Taken { seconds, allocations: change.allocations + change.reallocations })
}

/// Prints what was measured. `limit`: what the hand-written loop took; `bytes_per_row`: of rows that windows hold.
pub fn report(case: &str, events: usize, ours: Taken, limit: Option<Taken>, bytes_per_row: Option<f64>) {
    let per_s = |taken: Taken| (events as f64 / taken.seconds).round();
    let line = json!({
        "name": "windows",
        "case": case,
        "events_per_s": per_s(ours),
        "limit_events_per_s": limit.map(per_s),
        "ratio": limit.map(|limit| rounded(limit.seconds / ours.seconds, 1e3)),
        "allocs_per_event": rounded(ours.allocations as f64 / events as f64, 1e4),
        "bytes_per_row": bytes_per_row.map(|bytes| rounded(bytes, 10.0)),
    });
    println!("RESULT {line}");
}

fn rounded(value: f64, places: f64) -> Value {
    json!((value * places).round() / places)
}
