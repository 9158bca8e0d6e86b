//! The output against one engine that never failed: a plain executor fed the recorded steps and the input topic.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_bus::{EndOf, Polled, Record, StartAt};
use mesh_event::Block;
use mesh_event::codec::decode_block;
use mesh_event::csv::{CsvOutOptions, encode_csv};
use mesh_event::topic::TopicKind;
use mesh_replication::{CommitRecord, Step};
use mesh_windows::Executor;

use crate::mesh::Mesh;
use crate::wait_for;
use crate::watch::{Seen, Watch};

const LIMIT: Duration = Duration::from_secs(120);
const DEADLINE: Duration = Duration::from_secs(10);

/// Everything that committed readers see of a topic now.
pub fn read_all(mesh: &Mesh, topic: &str) -> Result<Vec<Record>> {
    let end = mesh.bus.end(topic, EndOf::Stable, DEADLINE)?;
    let mut reader = mesh.bus.reader(Mesh::reader_options(), &[(topic.into(), StartAt::Oldest)])?;
    let (mut polled, mut records) = (Vec::new(), Vec::new());
    let began = Instant::now();
    loop {
        ensure!(began.elapsed() < LIMIT, "read {} records of {topic}, not to its end {end}", records.len());
        reader.poll(Duration::from_millis(100), 10_000, &mut polled)?;
        for item in polled.drain(..) {
            match item {
                Polled::Record(record) => records.push(record),
                Polled::End { next_offset, .. } if next_offset >= end => return Ok(records),
                Polled::End { .. } => {}
            }
        }
    }
}

/// The commit log, decoded.
pub fn commit_log(mesh: &Mesh) -> Result<Vec<CommitRecord>> {
    let records = read_all(mesh, &mesh.log_topic())?;
    records.iter().map(|record| Ok(CommitRecord::decode(&record.payload)?)).collect()
}

/// What one engine that never failed puts out for the recorded steps: blocks in order, and how many input blocks the
/// steps cover.
pub fn expected_output(mesh: &Mesh) -> Result<(Vec<Block>, usize)> {
    let log = commit_log(mesh)?;
    for (i, record) in log.iter().enumerate() {
        ensure!(record.number.0 == i as u64 + 1, "commit {} stands at place {}", record.number, i + 1);
        ensure!(i == 0 || record.term >= log[i - 1].term, "terms fall at commit {}", record.number);
    }
    let input = read_all(mesh, &mesh.topic(TopicKind::Input))?;
    let schema = mesh.project.inputs()[0].schema.clone();
    let mut executor = Executor::new(mesh.project.clone());
    let (mut outputs, mut next) = (Vec::new(), 0);
    for step in log.iter().flat_map(|record| &record.steps) {
        match *step {
            Step::Tick { clock_us } => executor.tick(clock_us, &mut outputs),
            Step::Skip { .. } => next += 1,
            Step::Apply { blocks, .. } => {
                for record in input.get(next..next + blocks as usize).context("the log covers more than the input")? {
                    // A block that cannot be decoded is skipped by every engine.
                    if let Ok((_, block)) = decode_block(&record.payload, &schema) {
                        executor.apply(0, &[block], &mut outputs);
                    }
                }
                next += blocks as usize;
            }
        }
    }
    Ok((outputs.into_iter().map(|output| output.block).collect(), next))
}

/// Waits until so many input blocks are committed and the reader has seen all that came of them, then compares it with
/// what one engine puts out, and returns that.
pub fn check_all_seen(mesh: &Mesh, watch: &Watch, blocks: usize, limit: Duration) -> Result<Vec<Block>> {
    // both at the same moment: a tick may put something out at any time
    let expected = wait_for("every block to be committed and seen by the reader", limit, || {
        let (outputs, applied) = expected_output(mesh).ok()?;
        (applied >= blocks && watch.count() == outputs.len()).then_some(outputs)
    })?;
    check_seen(mesh, &watch.records(), &expected)?;
    Ok(expected)
}

/// Compares what a reader saw, record by record.
pub fn check_seen(mesh: &Mesh, seen: &[Seen], expected: &[Block]) -> Result<()> {
    let schema = mesh.project.outputs()[0].schema.clone();
    ensure!(seen.len() == expected.len(), "saw {} blocks, expected {}", seen.len(), expected.len());
    for (i, (record, expected)) in seen.iter().zip(expected).enumerate() {
        let (header, block) = decode_block(&record.payload, &schema)?;
        ensure!(header.sequence == i as u64 + 1, "sequence {} at place {}", header.sequence, i + 1);
        ensure!(i == 0 || record.term >= seen[i - 1].term, "terms fall at sequence {}", header.sequence);
        ensure!(block.columns == expected.columns, "block {} differs:\n{block:?}\nexpected:\n{expected:?}", i + 1);
        ensure!(
            block.opcodes == expected.opcodes && block.flags == expected.flags,
            "opcodes of block {} differ",
            i + 1
        );
    }
    Ok(())
}

/// The expected output as the subscriber adapter writes it.
pub fn as_csv(expected: &[Block]) -> Vec<u8> {
    let mut text = Vec::new();
    for block in expected {
        encode_csv(block, &CsvOutOptions::default(), &mut text);
    }
    text
}
