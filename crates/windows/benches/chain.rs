//! Events through the whole weather chain, by block size, in calls of a few hundred blocks.
//! `cargo bench -p mesh-windows --bench chain`

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use divan::counter::ItemsCount;
use mesh_event::codec::BlockDecoder;
use mesh_event::{Block, BlockHeader, JoinedBlocks, Schema, encode_block};
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
    let blocks = support::weather::blocks(rows_of_a_block, TIMES);
    let calls: Vec<&[Block]> = blocks.chunks(CALL).collect();
    weather(bencher, &calls, |executor, blocks| {
        let mut sink = Vec::new();
        executor.apply(0, blocks, &mut sink);
        sink.len()
    });
}

/// As an engine does it: blocks that the reader decoded into shared columns, outputs that are not cut.
#[divan::bench(args = [1, 8, 64, 512, 4096], sample_count = 10, sample_size = 1)]
fn runs(bencher: divan::Bencher<'_, '_>, rows_of_a_block: usize) {
    let blocks = support::weather::blocks(rows_of_a_block, TIMES);
    let calls: Vec<Vec<JoinedBlocks>> = blocks.chunks(CALL).map(joined).collect();
    weather(bencher, &calls, |executor, blocks| {
        let mut sink = Vec::new();
        executor.apply_runs(0, blocks, &mut sink);
        sink.len()
    });
}

/// From the bytes of the topic to shared columns: what the reader of an engine does.
#[divan::bench(args = [1, 8, 64, 512, 4096], sample_count = 10, sample_size = 1)]
fn decode(bencher: divan::Bencher<'_, '_>, rows_of_a_block: usize) {
    let blocks = support::weather::blocks(rows_of_a_block, TIMES);
    let schema = &blocks[0].schema;
    let payloads: Vec<_> = blocks.iter().map(|block| encode_block(block, &BlockHeader::default())).collect();
    let events: usize = blocks.iter().map(Block::len).sum();
    bencher.counter(ItemsCount::new(events)).bench(|| decoded(schema, payloads.iter().map(|payload| &payload[..])));
}

fn joined(blocks: &[Block]) -> Vec<JoinedBlocks> {
    let payloads: Vec<_> = blocks.iter().map(|block| encode_block(block, &BlockHeader::default())).collect();
    decoded(&blocks[0].schema, payloads.iter().map(|payload| &payload[..]))
}

fn decoded<'a>(schema: &Arc<Schema>, payloads: impl Iterator<Item = &'a [u8]>) -> Vec<JoinedBlocks> {
    let mut decoder = BlockDecoder::new(Arc::clone(schema));
    let mut joined = Vec::new();
    for payload in payloads {
        decoder.push(payload).expect("the payload was just made");
        if decoder.is_full() {
            joined.push(decoder.finish());
        }
    }
    joined.push(decoder.finish());
    joined
}

fn weather<C: Sync>(bencher: divan::Bencher<'_, '_>, calls: &[C], apply: impl Fn(&mut Executor, &C) -> usize + Sync) {
    let executor = || Executor::new(support::weather::project());
    let events = support::weather::blocks(4096, TIMES).iter().map(Block::len).sum::<usize>();
    bencher.counter(ItemsCount::new(events)).with_inputs(executor).bench_refs(|executor| {
        let mut outputs = 0;
        for (call, blocks) in calls.iter().enumerate() {
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
