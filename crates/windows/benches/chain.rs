//! Events through the whole weather chain, by block size, in calls of a few hundred blocks.
//! `cargo bench -p mesh-windows --bench chain`

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use divan::counter::ItemsCount;
use mesh_event::Block;
use mesh_model::Project;
use mesh_windows::Executor;

fn main() {
    divan::main();
}

/// Blocks of a call.
const CALL: usize = 256;
/// The observations so many times over: long enough to reach a steady state, with the clock moving on.
const TIMES: usize = 8;

#[divan::bench(args = [1, 8, 64, 512, 4096], sample_count = 10, sample_size = 1)]
fn blocks(bencher: divan::Bencher<'_, '_>, rows_of_a_block: usize) {
    weather(bencher, rows_of_a_block, |executor, blocks| {
        let mut sink = Vec::new();
        executor.apply(0, blocks, &mut sink);
        sink.len()
    });
}

/// Without cutting the outputs: a standby's work.
#[divan::bench(args = [1, 8, 64, 512, 4096], sample_count = 10, sample_size = 1)]
fn runs(bencher: divan::Bencher<'_, '_>, rows_of_a_block: usize) {
    weather(bencher, rows_of_a_block, |executor, blocks| {
        let mut sink = Vec::new();
        executor.apply_runs(0, blocks, &mut sink);
        sink.len()
    });
}

fn weather(
    bencher: divan::Bencher<'_, '_>,
    rows_of_a_block: usize,
    apply: impl Fn(&mut Executor, &[Block]) -> usize + Sync,
) {
    let blocks = support::weather::blocks(rows_of_a_block, TIMES);
    let events: usize = blocks.iter().map(Block::len).sum();
    let executor = || Executor::new(support::weather::project());
    bencher.counter(ItemsCount::new(events)).with_inputs(executor).bench_refs(|executor| {
        let mut outputs = 0;
        for (call, blocks) in blocks.chunks(CALL).enumerate() {
            executor.tick(call as i64 * 1_000_000, &mut Vec::new());
            outputs += apply(executor, blocks);
        }
        outputs
    });
}

/// One block of one event per call: what an idle mesh pays for an event; with and without the last window, compute.
#[divan::bench(args = [true, false], sample_count = 40, sample_size = 1)]
fn one_event_per_call(bencher: divan::Bencher<'_, '_>, compute: bool) {
    let blocks = support::weather::blocks(1, 1);
    let mut project = Project::clone(&support::weather::project());
    if !compute {
        let query = &mut project.queries[0];
        query.windows.pop();
        query.edges.retain(|edge| edge.target < query.windows.len());
    }
    let project = Arc::new(project);
    bencher.counter(ItemsCount::new(blocks.len())).with_inputs(|| Executor::new(Arc::clone(&project))).bench_refs(
        |executor| {
            let mut sink = Vec::new();
            for block in blocks.chunks(1) {
                sink.clear();
                executor.apply(0, block, &mut sink);
            }
            sink.len()
        },
    );
}
