//! Checks all the time, while faults go on: what readers of `.O` see, what the subscriber writes, what publishers wrote.
//!
//! One engine that never failed is run beside the mesh: an [`Executor`] that applies the steps of the commit log to the
//! blocks of the input topics. What it puts out is what everybody must see.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use mesh_bus::{Polled, Reader, StartAt};
use mesh_event::codec::decode_block;
use mesh_event::csv::{CsvOutOptions, encode_csv};
use mesh_event::topic::TopicKind;
use mesh_event::{Block, Schema};
use mesh_model::Project;
use mesh_replication::{CommitRecord, Step};
use mesh_windows::Executor;
use xtask::compose::compare::Verdict;

use crate::Mesh;
use crate::text::{Text, add};
use crate::watch::{Seen, Watch};

/// Problems that are told in words; more are only counted.
const PROBLEMS_MAX: usize = 20;
const POLL: Duration = Duration::from_millis(25);

/// A leader, from its first commit on.
#[derive(Debug, Clone)]
pub struct Led {
    /// When its first commit was seen.
    pub at: Instant,
    /// Its term.
    pub term: u64,
    /// The engine.
    pub engine: String,
}

/// What is known so far.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What is wrong at the raw topic.
    pub topic: Verdict,
    /// What is wrong in the subscriber's file.
    pub file: Verdict,
    /// What is wrong in the input that the publishers wrote.
    pub input: Verdict,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// Who led.
    pub leaders: Vec<Led>,
    /// Lines of the source that are in the input topic.
    pub lines: u64,
    /// Blocks applied, by input.
    pub applied: Vec<u64>,
    /// Output blocks that there must be, and that the reader has seen.
    pub blocks: (u64, u64),
    /// Bytes that the subscriber's file must have, and that are right.
    pub bytes: (u64, u64),
}

impl Known {
    /// Everything derived was seen and written.
    pub fn is_level(&self) -> bool {
        self.blocks.0 == self.blocks.1 && self.bytes.0 == self.bytes.1
    }

    /// Nothing was lost, doubled, out of its place or other than it must be.
    pub fn is_good(&self) -> bool {
        [self.topic, self.file, self.input].iter().all(Verdict::is_good) && self.problems.is_empty()
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        }
    }
}

/// The `i`-th line of a source, from 0, as an event's text.
pub type Lines = fn(u64) -> String;

/// What is checked against what.
pub struct Case {
    /// The reader of `.O`.
    pub watch: Arc<Watch>,
    /// The input that publishers write, by its place in the project, and what is in their source.
    pub published: Option<(usize, Lines)>,
    /// The subscriber's file.
    pub file: Option<PathBuf>,
}

/// Checks until it is dropped.
pub struct Judge {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    written: Arc<Mutex<DefaultHasher>>,
    file: Option<PathBuf>,
}

impl Judge {
    /// Begins at the start of every topic.
    pub fn start(mesh: &Mesh, case: Case) -> Result<Judge> {
        let inputs: Vec<Arc<str>> =
            (0..mesh.project.inputs().len()).map(|i| Arc::from(mesh.topic_at(TopicKind::Input, i))).collect();
        let log: Arc<str> = Arc::from(mesh.log_topic());
        let topics: Vec<_> = inputs.iter().chain([&log]).map(|topic| (topic.clone(), StartAt::Oldest)).collect();
        let known = Arc::new(Mutex::new(Known { applied: vec![0; inputs.len()], ..Known::default() }));
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(DefaultHasher::new())));
        let file = case.file.clone();
        let mut checker = Checker {
            reader: mesh.bus.reader(Mesh::reader_options(), &topics)?,
            executor: Executor::new(mesh.project.clone()),
            schemas: mesh.project.inputs().iter().map(|input| input.schema.clone()).collect(),
            output: mesh.project.outputs()[0].schema.clone(),
            project: mesh.project.clone(),
            queues: vec![VecDeque::new(); inputs.len()],
            inputs,
            case,
            log: VecDeque::new(),
            numbered: 0,
            term: 0,
            expected: VecDeque::new(),
            next: 1,
            missing: BTreeSet::new(),
            place: 0,
            seen_term: 0,
            source: Text::default(),
            report: Text::default(),
            opened: None,
            written: written.clone(),
        };
        let (shared, stopped) = (known.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                if let Err(error) = checker.turn(&shared) {
                    lock(&shared).problem(format!("checking: {error:#}"));
                    std::thread::park_timeout(Duration::from_millis(500));
                }
            }
        });
        Ok(Judge { known, stop, thread: Some(thread), written, file })
    }

    /// What is known now.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Reads the subscriber's whole file once more: what was checked as it grew may have been rewritten.
    pub fn check_file(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let mut hash = DefaultHasher::new();
        hash.write(&bytes);
        let expected = lock(&self.written).finish();
        ensure!(hash.finish() == expected, "{} is not what was checked while it grew", file.display());
        Ok(())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Checker {
    reader: Box<dyn Reader>,
    executor: Executor,
    project: Arc<Project>,
    schemas: Vec<Arc<Schema>>,
    output: Arc<Schema>,
    inputs: Vec<Arc<str>>,
    queues: Vec<VecDeque<Bytes>>,
    case: Case,
    log: VecDeque<CommitRecord>,
    /// Number and term of the last record.
    numbered: u64,
    term: u64,
    /// Blocks that must come, from sequence `next` on.
    expected: VecDeque<Block>,
    next: u64,
    /// Sequences that were jumped over.
    missing: BTreeSet<u64>,
    /// Records of the watch that are compared.
    place: usize,
    seen_term: u64,
    source: Text,
    report: Text,
    opened: Option<File>,
    written: Arc<Mutex<DefaultHasher>>,
}

impl Checker {
    fn turn(&mut self, shared: &Mutex<Known>) -> Result<()> {
        let mut polled = Vec::new();
        // Brokers go away; the reader finds the next one by itself, and what it lacks is missed by the checks.
        if let Err(mesh_bus::ReadError::Gone { .. }) = self.reader.poll(POLL, 10_000, &mut polled) {
            lock(shared).problem("a topic lost what was not checked yet: it was trimmed too early".to_owned());
        }
        for item in polled {
            let Polled::Record(record) = item else { continue };
            match self.inputs.iter().position(|topic| *topic == record.topic) {
                Some(input) => self.take_input(input, record.payload, shared),
                None => self.take_commit(&record.payload, shared)?,
            }
        }
        while self.apply_next(shared) {}
        for seen in self.case.watch.records_from(self.place) {
            if seen.sequence >= self.next + self.expected.len() as u64 {
                break; // seen before its commit was read
            }
            self.compare(&seen, shared)?;
            self.place += 1;
        }
        self.case.watch.forget_payloads(self.place);
        self.read_file()?;
        let mut known = lock(shared);
        known.blocks.1 = self.next - 1;
        known.bytes = (self.report.expected_bytes, self.report.right_bytes);
        add(&mut known.file, self.report.judge());
        add(&mut known.input, self.source.judge());
        for (what, text) in [("the subscriber's file", &mut self.report), ("the publishers' input", &mut self.source)] {
            if let Some(differed) = text.differed.take() {
                known.problem(format!("{what}: {differed}"));
            }
        }
        Ok(())
    }

    fn take_input(&mut self, input: usize, payload: Bytes, shared: &Mutex<Known>) {
        if let Some((published, line)) = self.case.published
            && input == published
            && let Ok((_, block)) = decode_block(&payload, &self.schemas[input])
        {
            let mut known = lock(shared);
            for _ in 0..block.opcodes.len() {
                self.source.expect((line(known.lines) + "\n").as_bytes());
                known.lines += 1;
            }
            let mut text = Vec::new();
            encode_csv(&block, &CsvOutOptions::default(), &mut text);
            self.source.found(&text);
        }
        self.queues[input].push_back(payload);
    }

    fn take_commit(&mut self, payload: &[u8], shared: &Mutex<Known>) -> Result<()> {
        let record = CommitRecord::decode(payload)?;
        let mut known = lock(shared);
        if record.number.0 != self.numbered + 1 || record.term.0 < self.term {
            known.problem(format!(
                "commit {} of term {} follows commit {} of term {}",
                record.number, record.term, self.numbered, self.term
            ));
        }
        if record.term.0 != self.term {
            known.leaders.push(Led { at: Instant::now(), term: record.term.0, engine: record.engine.to_string() });
        }
        (self.numbered, self.term) = (record.number.0, record.term.0);
        self.log.push_back(record);
        Ok(())
    }

    /// Applies the next commit, if its input is here.
    fn apply_next(&mut self, shared: &Mutex<Known>) -> bool {
        let Some(record) = self.log.front() else { return false };
        let mut needed = vec![0; self.queues.len()];
        for step in &record.steps {
            match *step {
                Step::Apply { input, blocks } => needed[input as usize] += blocks as usize,
                Step::Skip { input } => needed[input as usize] += 1,
                Step::Tick { .. } => {}
            }
        }
        if needed.iter().zip(&self.queues).any(|(needed, queue)| queue.len() < *needed) {
            return false;
        }
        let mut outputs = Vec::new();
        for step in self.log.pop_front().into_iter().flat_map(|record| record.steps) {
            match step {
                Step::Tick { clock_us } => self.executor.tick(clock_us, &mut outputs),
                Step::Skip { input } => drop(self.queues[input as usize].pop_front()),
                Step::Apply { input, blocks } => {
                    let input = input as usize;
                    for payload in self.queues[input].drain(..blocks as usize) {
                        // A block that cannot be decoded is skipped by every engine.
                        if let Ok((_, block)) = decode_block(&payload, &self.schemas[input]) {
                            self.executor.apply(input, &[block], &mut outputs);
                        }
                    }
                }
            }
        }
        let mut known = lock(shared);
        known.applied.iter_mut().zip(needed).for_each(|(applied, more)| *applied += more as u64);
        for output in outputs {
            let mut text = Vec::new();
            encode_csv(&output.block, &CsvOutOptions::default(), &mut text);
            if self.case.file.is_some() {
                lock(&self.written).write(&text);
                self.report.expect(&text);
            }
            self.expected.push_back(output.block);
            known.blocks.0 += 1;
        }
        true
    }

    fn compare(&mut self, seen: &Seen, shared: &Mutex<Known>) -> Result<()> {
        let mut known = lock(shared);
        if seen.term < self.seen_term {
            known.problem(format!("sequence {} is of term {}, after {}", seen.sequence, seen.term, self.seen_term));
        }
        self.seen_term = seen.term;
        if seen.sequence < self.next {
            if self.missing.remove(&seen.sequence) {
                known.topic.reordered += 1;
                known.topic.lost -= 1;
            } else {
                known.topic.doubled += 1;
            }
            known.problem(format!("sequence {} came after {}", seen.sequence, self.next - 1));
            return Ok(());
        }
        if seen.sequence > self.next {
            known.problem(format!("sequence {} came after {}", seen.sequence, self.next - 1));
        }
        while self.next < seen.sequence {
            known.topic.lost += 1;
            self.missing.insert(self.next);
            self.expected.pop_front();
            self.next += 1;
        }
        let expected = self.expected.pop_front().context("it was derived")?;
        self.next += 1;
        let (_, block) = decode_block(&seen.payload, &self.output)?;
        if block.columns != expected.columns || block.opcodes != expected.opcodes || block.flags != expected.flags {
            known.topic.foreign += 1;
            known.problem(format!(
                "sequence {} of {} differs from what one engine puts out:\n{block:?}\nexpected:\n{expected:?}",
                seen.sequence, self.project.name
            ));
        }
        Ok(())
    }

    fn read_file(&mut self) -> Result<()> {
        if self.opened.is_none() {
            self.opened = self.case.file.as_ref().and_then(|file| File::open(file).ok());
        }
        let Some(file) = &self.opened else { return Ok(()) };
        let mut chunk = vec![0; 1 << 16];
        loop {
            let read = file.read_at(&mut chunk, self.report.found_bytes)?;
            if read == 0 {
                return Ok(());
            }
            self.report.found(&chunk[..read]);
        }
    }
}
