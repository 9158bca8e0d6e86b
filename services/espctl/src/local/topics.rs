//! Reading a project's topics to their end: its commit log, its input, and whether everything in it is done.

use bytes::Bytes;
use mesh_bus::{Bus, EndOf, MemoryBus, Polled, ReaderOptions, StartAt};
use mesh_event::topic::commit_log_topic;
use mesh_replication::record::{CommitRecord, Step};
use std::sync::Arc;
use std::time::Duration;

use crate::fail::Fail;

/// How long one call of the bus may take.
const WAIT: Duration = Duration::from_secs(5);
/// Records taken at a time.
const RECORDS_MAX: usize = 4096;
/// What a reader may hold.
const BUFFER_BYTES_MAX: usize = 64 << 20;

/// The contents of a topic's committed records, oldest first.
pub fn read(bus: &MemoryBus, topic: &str) -> Result<Vec<Bytes>, Fail> {
    let failed = |error: mesh_bus::ReadError| Fail::fault(format!("read topic `{topic}` to its end: {error}"));
    let end = bus.end(topic, EndOf::Stable, WAIT).map_err(failed)?;
    let options = ReaderOptions {
        client: "espctl".to_owned(),
        buffer_bytes_max: BUFFER_BYTES_MAX,
        committed_only: true,
        end_within: ReaderOptions::SOON,
    };
    let mut reader = bus.reader(options, &[(Arc::from(topic), StartAt::Oldest)]).map_err(failed)?;
    let mut payloads = Vec::new();
    loop {
        let mut polled = Vec::new();
        reader.poll(WAIT, RECORDS_MAX, &mut polled).map_err(failed)?;
        if polled.is_empty() {
            return Err(Fail::fault(format!(
                "read topic `{topic}` to its end, offset {end}: nothing came for {WAIT:?}"
            )));
        }
        for item in polled {
            match item {
                Polled::Record(record) if record.offset < end => payloads.push(record.payload),
                Polled::Record(_) => return Ok(payloads),
                Polled::End { next_offset, .. } if next_offset >= end => return Ok(payloads),
                Polled::End { .. } => {}
            }
        }
    }
}

/// The commit log of a project, oldest first.
pub fn commits(bus: &MemoryBus, url_host_port: &str, project: &str) -> Result<Vec<CommitRecord>, Fail> {
    let topic = commit_log_topic(url_host_port, project).map_err(Fail::fault)?;
    let decode = |payload: &Bytes| {
        CommitRecord::decode(payload).map_err(|error| Fail::fault(format!("read commit log `{topic}`: {error}")))
    };
    read(bus, &topic)?.iter().map(decode).collect()
}

/// Blocks of each input that the log says were applied, and the last sequence of each output.
pub fn applied(commits: &[CommitRecord]) -> (Vec<u64>, Vec<u64>) {
    let Some(last) = commits.last() else { return (Vec::new(), Vec::new()) };
    let mut blocks = vec![0; last.positions.len()];
    for step in commits.iter().flat_map(|commit| &commit.steps) {
        match *step {
            Step::Apply { input, blocks: more } => blocks[input as usize] += u64::from(more),
            Step::Skip { input } => blocks[input as usize] += 1,
            Step::Tick { .. } => {}
        }
    }
    (blocks, last.sequences.clone())
}
