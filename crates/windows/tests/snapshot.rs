//! A run is the same with saves and restores anywhere in it, the bytes are the same whatever the layout in memory, and
//! damaged bytes are refused.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::sync::Arc;

use mesh_event::{Block, Opcode, Value};
use mesh_model::{Index, Project, Retention, RetentionKind, SummaryField, SummaryStat, Window, WindowKind};
use mesh_windows::{Executor, OutputBlock, RestoreError};
use proptest::collection::vec;
use proptest::prelude::*;
use support::random::{SCHEMA, Step, retention, steps};
use support::{autogen_source, block_of, chain, digests, filter, insert_source, schema, source, window};

fn saved(executor: &Executor) -> Vec<u8> {
    let mut bytes = Vec::new();
    executor.save(&mut bytes).unwrap();
    bytes
}

fn restored(project: &Arc<Project>, bytes: &[u8]) -> Result<Executor, RestoreError> {
    let mut rest = bytes;
    let executor = Executor::restore(Arc::clone(project), &mut rest)?;
    assert!(rest.is_empty(), "a restore reads all of the state");
    Ok(executor)
}

fn project(entry: u8, keep: Retention) -> Arc<Project> {
    let schema = schema(SCHEMA);
    let entry = match entry {
        0 => source(Index::Hash, &schema),
        1 => source(Index::None, &schema),
        2 => insert_source(&schema),
        _ => autogen_source(&schema),
    };
    let keep = Window { retention: Some(keep), ..window("keep", Index::Ordered, &schema, WindowKind::Copy) };
    let stats = support::schema("id*:int64,n:int64,std:double");
    let fields = vec![SummaryField::Copy(0), SummaryField::Stat(SummaryStat::N), SummaryField::Stat(SummaryStat::Std)];
    chain(vec![
        entry,
        keep,
        filter("positive", Index::Hash, &schema, "x > 0"),
        window(
            "last",
            Index::Hash,
            &stats,
            WindowKind::Summary { window_length: 3, input: 3, alpha: 0.05, fields: fields.clone() },
        ),
    ])
}

struct Outcome {
    outputs: Vec<OutputBlock>,
    digests: Vec<u64>,
    state: Vec<u8>,
}

/// `restore(i)`: whether the executor is saved and another one restored after step `i`. With `grouped`, blocks that
/// follow one another are one call.
fn run(project: &Arc<Project>, steps: &[Step], grouped: bool, restore: impl Fn(usize) -> bool) -> Outcome {
    let input = schema(SCHEMA);
    let mut executor = Executor::new(Arc::clone(project));
    let (mut outputs, mut clock, mut waiting): (_, _, Vec<Block>) = (Vec::new(), 0, Vec::new());
    for (position, step) in steps.iter().enumerate() {
        match step {
            Step::Block(rows) => waiting.push(block_of(&input, rows)),
            Step::Tick(by) => {
                clock += by;
                executor.tick(clock, &mut outputs);
            }
        }
        let more = grouped && !restore(position) && matches!(steps.get(position + 1), Some(Step::Block(_)));
        if !more {
            let mut sink = Vec::new();
            executor.apply(0, &std::mem::take(&mut waiting), &mut sink);
            outputs.extend(sink.into_iter().map(|out| OutputBlock { cause: 0, ..out }));
        }
        if restore(position) {
            executor = restored(project, &saved(&executor)).unwrap();
        }
    }
    Outcome { outputs, digests: digests(&executor), state: saved(&executor) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_run_is_the_run(
        entry in 0..4u8,
        retention in retention(),
        steps in steps(),
        saves in vec(any::<bool>(), 40),
    ) {
        let project = project(entry, retention);
        let plain = run(&project, &steps, false, |_| false);
        for (grouped, each) in [(false, false), (false, true), (true, false)] {
            let other = run(&project, &steps, grouped, |position| each || saves[position] && !grouped);
            prop_assert_eq!(&other.outputs, &plain.outputs);
            prop_assert_eq!(&other.digests, &plain.digests);
            prop_assert_eq!(&other.state, &plain.state, "the bytes show nothing but the state");
        }
    }

    #[test]
    fn damage_is_refused(
        entry in 0..4u8,
        retention in retention(),
        steps in steps(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let project = project(entry, retention);
        let bytes = run(&project, &steps, false, |_| false).state;
        let at = at.index(bytes.len());
        prop_assert!(restored(&project, &bytes[..at]).is_err(), "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(restored(&project, &flipped).is_err(), "bit {bit} of byte {at} of {}", bytes.len());
    }

    /// What a hash cannot see: bytes that were wrong before they were hashed. They may be taken for a state, but they
    /// must not stop the process.
    #[test]
    fn nonsense_with_a_right_hash_does_no_harm(
        entry in 0..4u8,
        retention in retention(),
        steps in steps(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let project = project(entry, retention);
        let mut bytes = run(&project, &steps, false, |_| false).state;
        for (at, value) in changes {
            let at = 18 + at.index(bytes.len() - 18);
            bytes[at] = value;
        }
        support::rehash(&mut bytes);
        if let Ok(mut executor) = restored(&project, &bytes) {
            let mut sink = Vec::new();
            let clock = executor.clock_us().saturating_add(5);
            executor.tick(clock, &mut sink);
            let row = vec![Value::Int64(3), Value::Null, Value::Stamp(30), Value::Double(1.0)];
            executor.apply(0, &[block_of(&schema(SCHEMA), &[(Opcode::Insert, Default::default(), row)])], &mut sink);
        }
    }
}

#[test]
fn a_state_of_something_else_is_refused_with_the_reason() {
    let keep = |n| Retention { kind: RetentionKind::ByCountSliding { n }, field: None };
    let this = project(1, keep(3));
    let state = saved(&Executor::new(Arc::clone(&this)));
    let refused = |project: &Arc<Project>, bytes: &[u8]| restored(project, bytes).err().unwrap().to_string();

    let mut other = (*this).clone();
    other.fingerprint = 8;
    assert!(
        refused(&Arc::new(other), &state).starts_with("the state is of the project with fingerprint 0000000000000007")
    );
    let mut other = (*this).clone();
    let WindowKind::Summary { window_length, .. } = &mut other.queries[0].windows[3].kind else { unreachable!() };
    *window_length = 0;
    assert_eq!(
        refused(&Arc::new(other), &state),
        "section 4 of the state is `cq/last` (summary-of-last, version 2), expected `cq/last` (summary-of-all, \
         version 2); restore with the version that saved it, or replay the input from its beginning"
    );
    assert!(refused(&this, b"nothing of the kind").starts_with("this is no state of an executor"));
    let mut newer = state.clone();
    newer[8] = 9;
    assert!(refused(&this, &newer).starts_with("the state has layout 9"));
}

#[test]
fn large_states_come_back() {
    let schema = schema(SCHEMA);
    let project = project(0, Retention { kind: RetentionKind::ByCountSliding { n: 5000 }, field: None });
    let mut executor = Executor::new(Arc::clone(&project));
    let row = |i: i64| {
        let text = "x".repeat((i % 97) as usize);
        let values = vec![Value::Int64(i), Value::String(text.into()), Value::Null, Value::Double(i as f64)];
        (Opcode::Insert, Default::default(), values)
    };
    let rows: Vec<_> = (0..9000).map(row).collect();
    executor.apply(0, &[block_of(&schema, &rows)], &mut Vec::new());
    let bytes = saved(&executor);
    let again = restored(&project, &bytes).unwrap();
    assert_eq!(again.stats().iter().map(|stats| stats.rows).collect::<Vec<_>>(), [9000, 5000, 5000, 0]);
    assert_eq!(saved(&again), bytes);
}
