//! Was anything lost, doubled or reordered? The subscriber's file is compared with what one engine gives that never
//! failed: the same lines of the same file, decoded here, through the executor alone, in the steps of the commit log
//! (they say when the clock moved), encoded as the subscriber does.

use mesh_bus::MemoryBus;
use mesh_event::csv::{CsvDecoder, CsvOptions, CsvOutOptions, encode_csv};
use mesh_event::{Block, Flags, Schema, decode_block};
use mesh_model::Project;
use mesh_replication::record::{CommitRecord, Step};
use mesh_windows::Executor;
use std::collections::HashMap;
use std::sync::Arc;

use super::outputs::Order;
use crate::fail::Fail;
use crate::local::topics;

/// Lines shown of each kind of difference.
const SHOWN_MAX: usize = 3;

/// What is compared.
pub struct Run<'a> {
    /// The bus.
    pub bus: &'a MemoryBus,
    /// The project.
    pub project: &'a Arc<Project>,
    /// First part of its topics.
    pub url_host_port: &'a str,
    /// Its input topic.
    pub input_topic: &'a str,
    /// The lines that were published.
    pub csv: &'a [u8],
    /// How they are to be read.
    pub options: CsvOptions,
    /// Events of a block.
    pub block_events: usize,
    /// The lines that the subscriber wrote.
    pub written: &'a [u8],
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events in the input topic.
    pub events_in: u64,
    /// Lines in the subscriber's file.
    pub events_out: u64,
    /// Records of the commit log.
    pub commits: u64,
    /// Terms in the commit log.
    pub terms: u64,
    /// How the lines differ.
    pub lines: Differences,
    /// Everything else that is wrong, in words.
    pub wrong: Vec<String>,
}

/// How one list of lines differs from the one that it should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Expected and not there.
    pub lost: u64,
    /// There more often than expected.
    pub doubled: u64,
    /// There, but after a line that should follow it.
    pub reordered: u64,
    /// There, and not expected at all.
    pub foreign: u64,
    /// Some of them.
    pub shown: Vec<String>,
}

impl Verdict {
    /// True when nothing is wrong.
    pub fn is_good(&self) -> bool {
        let Differences { lost, doubled, reordered, foreign, .. } = self.lines;
        lost + doubled + reordered + foreign == 0 && self.wrong.is_empty()
    }
}

/// Compares.
pub fn verify(run: &Run<'_>) -> Result<Verdict, Fail> {
    let mut verdict = Verdict::default();
    let mut executor = Executor::new(run.project.clone());
    let schema = executor.inputs()[0].schema.clone();
    let blocks = decode(run, &schema)?;
    verdict.events_in = compare_input(run, &schema, &blocks, &mut verdict.wrong)?;

    let commits = topics::commits(run.bus, run.url_host_port, &run.project.name)?;
    verdict.commits = commits.len() as u64;
    verdict.terms = check_log(&commits, &mut verdict.wrong);
    let (applied, sequences) = topics::applied(&commits);
    if applied != [blocks.len() as u64] {
        verdict.wrong.push(format!("the commit log applied {applied:?} blocks, expected [{}]", blocks.len()));
    }

    let (expected, outputs) = reference(&mut executor, &commits, &blocks);
    if sequences != [outputs] {
        verdict.wrong.push(format!("the last output sequence in the log is {sequences:?}, expected [{outputs}]"));
    }
    let lines = |text| String::from_utf8_lossy(text).lines().map(str::to_owned).collect::<Vec<_>>();
    let (expected_lines, written_lines) = (lines(expected.as_slice()), lines(run.written));
    verdict.events_out = written_lines.len() as u64;
    verdict.lines = compare(&expected_lines, &written_lines);
    if expected != run.written && verdict.is_good() {
        verdict.wrong.push("the files have the same lines and differ in their bytes".to_owned());
    }
    Ok(verdict)
}

fn decode(run: &Run<'_>, schema: &Arc<Schema>) -> Result<Vec<Block>, Fail> {
    let failed = |error: &dyn std::fmt::Display| Fail::fault(format!("decode the published lines again: {error}"));
    let mut decoder = CsvDecoder::new(schema.clone(), run.options.clone()).map_err(|error| failed(&error))?;
    let mut blocks = Vec::new();
    let decoded = decoder.decode(run.csv, true, run.block_events, usize::MAX, |csv| blocks.push(csv.block));
    decoded.map_err(|error| failed(&error))?;
    Ok(blocks)
}

/// The input topic must hold exactly the file's blocks; returns its events.
fn compare_input(run: &Run<'_>, schema: &Arc<Schema>, blocks: &[Block], wrong: &mut Vec<String>) -> Result<u64, Fail> {
    let text = |block: &Block| {
        let mut text = Vec::new();
        encode_csv(block, &CsvOutOptions::default(), &mut text);
        text
    };
    let mut events = 0;
    let payloads = topics::read(run.bus, run.input_topic)?;
    if payloads.len() != blocks.len() {
        wrong.push(format!("the input topic holds {} blocks, expected {}", payloads.len(), blocks.len()));
    }
    for (index, payload) in payloads.into_iter().enumerate() {
        let decoded = decode_block(&payload, schema)
            .map_err(|error| Fail::fault(format!("decode block {index} of topic `{}`: {error}", run.input_topic)))?;
        events += decoded.1.len() as u64;
        if blocks.get(index).map(text) != Some(text(&decoded.1)) {
            wrong.push(format!("block {index} of the input topic is not block {index} of the file"));
        }
    }
    Ok(events)
}

/// Numbers must be contiguous and terms must not fall; returns the number of terms.
fn check_log(commits: &[CommitRecord], wrong: &mut Vec<String>) -> u64 {
    let mut numbers = Order::default();
    commits.iter().for_each(|commit| numbers.take(commit.number.0));
    let (lost, doubled, reordered) = (numbers.lost(), numbers.doubled(), numbers.reordered());
    if lost + doubled + reordered > 0 {
        wrong.push(format!("commit numbers: {lost} missing, {doubled} doubled, {reordered} out of order"));
    }
    if !commits.is_sorted_by_key(|commit| commit.term) {
        wrong.push("a term in the commit log is lower than one before it".to_owned());
    }
    commits.chunk_by(|one, next| one.term == next.term).count() as u64
}

/// What one engine gives: its lines, and how many blocks of output they were in.
fn reference(executor: &mut Executor, commits: &[CommitRecord], blocks: &[Block]) -> (Vec<u8>, u64) {
    let (mut next, mut outputs) = (0, Vec::new());
    for step in commits.iter().flat_map(|commit| &commit.steps) {
        match *step {
            Step::Tick { clock_us } => executor.tick(clock_us, &mut outputs),
            Step::Skip { .. } => next += 1,
            Step::Apply { input, blocks: count } => {
                let end = (next + count as usize).min(blocks.len());
                executor.apply(input as usize, &blocks[next..end], &mut outputs);
                next = end;
            }
        }
    }
    let mut text = Vec::new();
    outputs.iter().for_each(|output| encode_csv(&output.block, &CsvOutOptions::default(), &mut text));
    (text, outputs.len() as u64)
}

/// Compares lines. Equal lines that are expected several times are told apart by their order.
fn compare(expected: &[String], written: &[String]) -> Differences {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, line) in expected.iter().enumerate().rev() {
        places.entry(line).or_default().push(place);
    }
    let mut found = Differences::default();
    let show = |shown: &mut Vec<String>, kind: &str, count: u64, place: usize, line: &str| {
        if count <= SHOWN_MAX as u64 {
            shown.push(format!("{kind}: line {}: {line}", place + 1));
        }
    };
    let mut highest = None;
    for (place, line) in written.iter().enumerate() {
        match places.get_mut(line.as_str()) {
            None => {
                found.foreign += 1;
                show(&mut found.shown, "not expected", found.foreign, place, line);
            }
            Some(left) => match left.pop() {
                None => {
                    found.doubled += 1;
                    show(&mut found.shown, "doubled", found.doubled, place, line);
                }
                Some(due) if highest.is_some_and(|highest| due < highest) => {
                    found.reordered += 1;
                    show(&mut found.shown, "reordered", found.reordered, place, line);
                }
                Some(due) => highest = Some(due),
            },
        }
    }
    let mut lost: Vec<usize> = places.into_values().flatten().collect();
    lost.sort_unstable();
    found.lost = lost.len() as u64;
    for (index, &place) in lost.iter().enumerate() {
        show(&mut found.shown, "lost", index as u64 + 1, place, &expected[place]);
    }
    found
}

/// How the demo's lines are read, by the publisher and here.
pub fn csv_options(file: &str) -> CsvOptions {
    CsvOptions {
        header_lines: 1,
        add_opcode: true,
        add_flags: Some(Flags::NORMAL),
        no_autogen_field: true,
        date_format: Some(super::DATE_FORMAT.to_owned()),
        na_is_null: true,
        file: file.to_owned(),
        ..CsvOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(written: &[&str]) -> (u64, u64, u64, u64) {
        let lines = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let found = compare(&lines(&["a", "b", "c", "c", "d"]), &lines(written));
        (found.lost, found.doubled, found.reordered, found.foreign)
    }

    #[test]
    fn every_kind_of_difference_is_counted_as_itself() {
        assert_eq!(differences(&["a", "b", "c", "c", "d"]), (0, 0, 0, 0));
        assert_eq!(differences(&["a", "c", "d"]), (2, 0, 0, 0));
        assert_eq!(differences(&["a", "b", "b", "c", "c", "d"]), (0, 1, 0, 0));
        assert_eq!(differences(&["a", "c", "b", "c", "d"]), (0, 0, 1, 0));
        assert_eq!(differences(&["a", "b", "c", "c", "x"]), (1, 0, 0, 1));
        assert_eq!(differences(&[]), (5, 0, 0, 0));
    }

    #[test]
    fn what_differs_is_shown() {
        let found = compare(&["a".to_owned(), "b".to_owned()], &["b".to_owned(), "x".to_owned()]);
        assert_eq!(found.shown, ["not expected: line 2: x", "lost: line 1: a"]);
    }
}
