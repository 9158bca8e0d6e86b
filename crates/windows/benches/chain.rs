//! Events through the whole weather chain, by block size, in calls of a few hundred blocks.
//! `cargo bench -p mesh-windows --bench chain`

#[path = "../tests/support/mod.rs"]
mod support;

use divan::counter::ItemsCount;
use mesh_windows::Executor;

fn main() {
    divan::main();
}

/// Blocks of a call.
const CALL: usize = 256;
/// The observations so many times over: long enough to reach a steady state, with the clock moving on.
const TIMES: usize = 8;

#[divan::bench(args = [1, 8, 64, 512, 4096], sample_count = 10, sample_size = 1)]
fn weather(bencher: divan::Bencher<'_, '_>, rows_of_a_block: usize) {
    let blocks = support::weather::blocks(rows_of_a_block, TIMES);
    let events: usize = blocks.iter().map(|block| block.len()).sum();
    bencher.counter(ItemsCount::new(events)).with_inputs(|| Executor::new(support::weather::project())).bench_refs(
        |executor| {
            let mut sink = Vec::new();
            let mut outputs = 0;
            for (call, blocks) in blocks.chunks(CALL).enumerate() {
                executor.tick(call as i64 * 1_000_000, &mut sink);
                executor.apply(0, blocks, &mut sink);
                outputs += sink.len();
                sink.clear();
            }
            outputs
        },
    );
}
