//! Projects from XML with two sources, `a` and `b`, and random steps through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, Flags, Opcode, Value};
use mesh_model::Project;
use mesh_windows::{Executor, OutputBlock};
use proptest::collection::vec;
use proptest::prelude::*;

use super::random::{SCHEMA, Step, steps};
use super::{Row, block_of, digests, rows_of, schema};

/// A query over the sources `a` and `b`; `attributes` are those of both sources.
pub fn project(attributes: &str, windows: &str, edges: &str) -> Arc<Project> {
    let xml = format!(
        "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows>
        <window-source name='a' {attributes}><schema-string>{SCHEMA}</schema-string></window-source>
        <window-source name='b' {attributes}><schema-string>{SCHEMA}</schema-string></window-source>
        {windows}</windows><edges>{edges}</edges></contquery></contqueries></project>"
    );
    match mesh_model::parse_project(&xml, "scenario.xml", &BTreeMap::new()) {
        Ok(checked) => Arc::new(checked.project),
        Err(problems) => panic!("{problems}"),
    }
}

/// Steps, each with the source that a block goes to.
pub fn steps_of_two() -> impl Strategy<Value = Vec<(usize, Step)>> {
    (steps(), vec(0..2usize, 40)).prop_map(|(steps, sources)| sources.into_iter().zip(steps).collect())
}

/// What came out: output, rows; and digests, held rows and the state at the end.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub outputs: Vec<(usize, usize, Vec<Row>)>,
    pub digests: Vec<u64>,
    pub state: Vec<u8>,
}

/// Runs the steps; `ends(i)`: a call ends after step `i`; `restores(i)`: a restored executor goes on after it.
pub fn run(
    project: &Arc<Project>,
    steps: &[(usize, Step)],
    ends: impl Fn(usize) -> bool,
    restores: impl Fn(usize) -> bool,
) -> Outcome {
    let input = schema(SCHEMA);
    let mut executor = Executor::new(Arc::clone(project));
    let (mut outputs, mut clock) = (Vec::new(), 0);
    let mut waiting: Vec<Block> = Vec::new();
    let mut note = |first: usize, sink: Vec<OutputBlock>| {
        outputs.extend(sink.into_iter().map(|out| (first + out.cause, out.output, rows_of(&out.block))));
    };
    for (position, (source, step)) in steps.iter().enumerate() {
        match step {
            Step::Block(rows) => waiting.push(block_of(&input, rows)),
            Step::Tick(by) => {
                let (mut sink, due) = (Vec::new(), executor.next_deadline_us());
                clock += by;
                executor.tick(clock, &mut sink);
                assert!(sink.is_empty() || due.is_some_and(|due| due <= clock), "a tick before {due:?} did something");
                note(position, sink);
            }
        }
        let next = steps.get(position + 1);
        let same = next.is_some_and(|(next, step)| next == source && matches!(step, Step::Block(_)));
        if (!same || ends(position) || restores(position)) && !waiting.is_empty() {
            let mut sink = Vec::new();
            executor.apply(*source, &waiting, &mut sink);
            note(position + 1 - waiting.len(), sink);
            waiting.clear();
        }
        if restores(position) {
            let mut bytes = Vec::new();
            executor.save(&mut bytes).unwrap();
            let mut rest = bytes.as_slice();
            executor = Executor::restore(Arc::clone(project), &mut rest).unwrap();
            assert!(rest.is_empty());
        }
    }
    let mut state = Vec::new();
    executor.save(&mut state).unwrap();
    Outcome { outputs, digests: digests(&executor), state }
}

/// The same steps in other calls and with restores in between.
pub fn invariant(project: &Arc<Project>, steps: &[(usize, Step)], cuts: &[bool]) {
    let plain = run(project, steps, |_| true, |_| false);
    let cut = |position: usize| cuts[position % cuts.len()];
    assert_eq!(run(project, steps, |_| false, |_| false), plain, "all blocks in one call");
    assert_eq!(run(project, steps, cut, |_| false), plain, "other calls");
    assert_eq!(run(project, steps, |_| true, |_| true), plain, "a restore after each step");
    assert_eq!(run(project, steps, |_| false, cut), plain, "restores, and long calls");
}

/// Rows by key, kept by the events of a window: each event must fit what is there.
#[derive(Debug, Default)]
pub struct Relation {
    keys: Vec<usize>,
    pub rows: BTreeMap<String, Vec<Value>>,
}

impl Relation {
    pub fn new(keys: &[usize]) -> Relation {
        Relation { keys: keys.to_vec(), rows: BTreeMap::new() }
    }

    pub fn key(&self, row: &[Value]) -> String {
        format!("{:?}", self.keys.iter().map(|&key| &row[key]).collect::<Vec<_>>())
    }

    pub fn apply(&mut self, events: &[Row]) {
        let mut at = 0;
        while at < events.len() {
            let (opcode, _, row) = &events[at];
            let key = self.key(row);
            match opcode {
                Opcode::Insert => assert!(self.rows.insert(key, row.clone()).is_none(), "{row:?} was there"),
                Opcode::UpdateBlock => {
                    let (next, _, old) = &events[at + 1];
                    assert_eq!(*next, Opcode::Delete, "the old half follows the new one");
                    assert_eq!(self.key(old), key, "both halves have one key");
                    let held = self.rows.insert(key, row.clone());
                    assert_eq!(held.map(|row| exact(&row)), Some(exact(old)), "the old half is what was there");
                    at += 1;
                }
                Opcode::Delete => {
                    let held = self.rows.remove(&key);
                    assert_eq!(held.map(|row| exact(&row)), Some(exact(row)), "what goes is what was there");
                }
                other => panic!("{other} out of a window that keeps rows"),
            }
            at += 1;
        }
    }
}

/// Values as text that tells every double apart.
pub fn exact(row: &[Value]) -> String {
    format!("{row:?}")
}

/// The rows of a source with an index: the opcode algebra on a list, the youngest last.
#[derive(Debug, Default)]
pub struct Source {
    pub rows: Vec<Vec<Value>>,
}

impl Source {
    /// Applies a block, and calls back after every event that changed something.
    pub fn block(&mut self, rows: &[Row], mut changed: impl FnMut(&Source)) {
        // A source drops null keys before anything else: what stood around them are neighbours.
        let rows: Vec<&Row> = rows.iter().filter(|row| !row.2[0].is_null()).collect();
        let mut at = 0;
        while at < rows.len() {
            let (opcode, flags, values) = rows[at];
            let partial = flags.contains(Flags::PARTIAL);
            let next = rows.get(at + 1).filter(|next| next.0 == Opcode::Delete && next.2[0] == values[0]);
            let next = next.filter(|next| !partial && !next.1.contains(Flags::PARTIAL));
            at += 1 + usize::from(*opcode == Opcode::UpdateBlock && next.is_some());
            let held = self.rows.iter().position(|row| row[0] == values[0]);
            match (opcode, held) {
                (Opcode::Insert | Opcode::Upsert, None) => self.rows.push(values.clone()),
                (Opcode::Update | Opcode::Upsert | Opcode::UpdateBlock, Some(held)) => {
                    let old = self.rows.remove(held);
                    let keep = |(new, old): (&Value, &Value)| {
                        if partial && new.is_null() { old.clone() } else { new.clone() }
                    };
                    self.rows.push(values.iter().zip(&old).map(keep).collect());
                }
                (Opcode::Delete | Opcode::SafeDelete, Some(held)) => drop(self.rows.remove(held)),
                _ => continue,
            }
            changed(self);
        }
    }
}
