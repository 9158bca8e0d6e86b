//! The same blocks, spread over calls in any way, give the same outputs and digests,
//! because the state is a function of the ordered steps alone.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use mesh_event::{Block, Flags, Opcode, Value};
use mesh_model::{
    Edge, EdgeRole, FunctionalField, FunctionalInput, Index, Retention, RetentionKind, SummaryField, SummaryStat,
    Window, WindowKind,
};
use mesh_windows::{Executor, OutputBlock};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;
use support::random::{SCHEMA, Step, retention, steps};
use support::{Row, autogen_source, block_of, copy, digests, insert_source, project, rows_of, schema, source, window};

/// source -> copy with retention -> eventCounter -> { Summary, copy by count }; every leaf is an output.
fn windows(entry: u8, retention: Retention) -> Arc<mesh_model::Project> {
    let schema = schema(SCHEMA);
    let numbered = support::schema("id*:int64,name:string,n:int64,x:double");
    let stats = support::schema("id*:int64,n:int64,mean:double,std:double");
    let entry = match entry {
        0 => source(Index::Hash, &schema),
        1 => source(Index::None, &schema),
        2 => insert_source(&schema),
        3 => autogen_source(&schema),
        _ => Window { retention: Some(retention), ..source(Index::Ordered, &schema) },
    };
    let keep = Window { retention: Some(retention), ..window("keep", Index::Ordered, &schema, WindowKind::Copy) };
    let fields = vec![
        FunctionalField::Copy(0),
        FunctionalField::Copy(1),
        FunctionalField::EventCounter,
        FunctionalField::Copy(3),
    ];
    let count = window(
        "count",
        Index::Ordered,
        &numbered,
        WindowKind::Functional(vec![FunctionalInput { fields, code: mesh_expr::FunctionalCode::default() }]),
    );
    let fields = vec![
        SummaryField::Copy(0),
        SummaryField::Copy(2),
        SummaryField::Stat(SummaryStat::Mean),
        SummaryField::Stat(SummaryStat::Std),
    ];
    let summary = window(
        "stats",
        Index::Ordered,
        &stats,
        WindowKind::Summary { window_length: 3, input: 3, alpha: 0.05, fields },
    );
    let few = copy("few", &numbered, RetentionKind::ByCountSliding { n: 3 });
    let edge = |source, target| Edge { source, target, role: EdgeRole::Data, slot: None };
    project(vec![entry, keep, count, summary, few], vec![edge(0, 1), edge(1, 2), edge(2, 3), edge(2, 4)])
}

/// Every output in order, its cause counted over all steps, and the digests and held rows at the end.
type Outcome = (Vec<(usize, usize, Vec<Row>)>, Vec<u64>, Vec<(u64, u64)>);

/// `cuts[i]`: whether a call ends after block `i`.
fn run(project: &Arc<mesh_model::Project>, steps: &[Step], cut: impl Fn(usize) -> bool) -> Outcome {
    let schema = schema(SCHEMA);
    let mut executor = Executor::new(Arc::clone(project));
    let mut outputs = Vec::new();
    let mut waiting: Vec<Block> = Vec::new();
    let mut clock = 0;
    fn note(outputs: &mut Vec<(usize, usize, Vec<Row>)>, first: usize, sink: Vec<OutputBlock>) {
        assert!(sink.iter().all(|out| !out.block.is_empty()), "no empty output blocks");
        let causes: Vec<_> = sink.iter().map(|out| (out.cause, out.output)).collect();
        assert!(causes.is_sorted_by(|a, b| a < b), "one block per cause and output, in order: {causes:?}");
        outputs.extend(sink.into_iter().map(|out| (first + out.cause, out.output, rows_of(&out.block))));
    }
    for (position, step) in steps.iter().enumerate() {
        match step {
            Step::Block(rows) => waiting.push(block_of(&schema, rows)),
            Step::Tick(by) => {
                let mut sink = Vec::new();
                let due = executor.next_deadline_us();
                clock += by;
                executor.tick(clock, &mut sink);
                assert!(sink.is_empty() || due.is_some_and(|due| due <= clock), "a tick before {due:?} did something");
                note(&mut outputs, position, sink);
            }
        }
        let call_ends = cut(position) || !matches!(steps.get(position + 1), Some(Step::Block(_)));
        if call_ends && !waiting.is_empty() {
            let mut sink = Vec::new();
            executor.apply(0, &waiting, &mut sink);
            note(&mut outputs, position + 1 - waiting.len(), sink);
            waiting.clear();
        }
    }
    let stats = executor.stats().iter().map(|stats| (stats.rows, stats.bad_events)).collect();
    (outputs, digests(&executor), stats)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grouping_changes_nothing(
        entry in 0..5u8,
        retention in retention(),
        steps in steps(),
        cuts in vec(any::<bool>(), 60),
    ) {
        let project = windows(entry, retention);
        let alone = run(&project, &steps, |_| true);
        prop_assert_eq!(&run(&project, &steps, |_| false), &alone);
        prop_assert_eq!(&run(&project, &steps, |position| cuts[position]), &alone);
    }

    #[test]
    fn a_changed_value_changes_a_digest(
        retention in retention(),
        steps in steps(),
        at in any::<prop::sample::Index>(),
    ) {
        // A stateless source passes input on unhashed (every replica reads the same input), a stateful one makes rows.
        let project = windows(0, retention);
        let inserts: Vec<(usize, usize)> = steps.iter().enumerate().flat_map(|(position, step)| match step {
            Step::Block(rows) => (0..rows.len()).map(move |row| (position, row)).collect::<Vec<_>>(),
            Step::Tick(_) => Vec::new(),
        }).collect();
        prop_assume!(!inserts.is_empty());
        let (position, row) = inserts[at.index(inserts.len())];
        let mut changed = steps.clone();
        let Step::Block(rows) = &mut changed[position] else { unreachable!() };
        rows[row].2[3] = Value::Double(1e9);
        let (before, after) = (run(&project, &steps, |_| true), run(&project, &changed, |_| true));
        prop_assert!(before.0 == after.0 || before.1 != after.1, "outputs differ, so digests must");
    }
}

#[test]
fn long_runs_are_cut_without_a_trace() {
    let project = windows(3, Retention { kind: RetentionKind::ByCountSliding { n: 700 }, field: None });
    let rows = |block: usize, rows: usize| -> Vec<Row> {
        let row = |i: usize| {
            let x = (block * 31 + i * 7) % 101;
            let values = vec![Value::Null, Value::String("s".into()), Value::Null, Value::Double(x as f64 / 3.0)];
            (Opcode::Insert, Flags::NORMAL, values)
        };
        (0..rows).map(row).collect()
    };
    let sizes = [1, 1, 1, 40, 1, 700, 3000, 1, 2, 600, 33, 33, 33];
    let steps: Vec<Step> = (0..300).map(|i| Step::Block(rows(i, sizes[i % sizes.len()]))).collect();
    let alone = run(&project, &steps, |_| true);
    assert_eq!(run(&project, &steps, |_| false), alone);
    assert_eq!(run(&project, &steps, |position| position % 7 == 0), alone);
    assert_eq!(alone.2[1].0, 700);
}
