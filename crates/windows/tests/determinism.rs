//! Models made at random: calls, saves and restores leave no trace; and what the determinism report of the model says of
//! a window holds of the engine.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::sync::Arc;

use mesh_model::{Dependence, Project};
use mesh_windows::Executor;
use proptest::collection::vec;
use proptest::prelude::*;
use support::random::{SCHEMA, Step};
use support::scenario::{invariant, project, steps_of_two};
use support::{block_of, schema};

/// Windows that keep the schema of their input: name in place of `{}`.
const STAGES: [&str; 14] = [
    "<window-copy name='{}'/>",
    "<window-copy name='{}'><retention type='bycount_sliding'>3</retention></window-copy>",
    "<window-copy name='{}'><retention type='bytime_sliding'>4 microseconds</retention></window-copy>",
    "<window-copy name='{}'><retention type='bytime_jumping'>7 microseconds</retention></window-copy>",
    "<window-copy name='{}'><retention type='bytime_sliding' field='at'>9 microseconds</retention></window-copy>",
    "<window-copy name='{}' pulse-interval='3 microseconds'/>",
    "<window-copy name='{}' output-insert-only='true'/>",
    "<window-copy name='{}' collapse-updates='true'/>",
    "<window-filter name='{}'><expression>x > 0</expression></window-filter>",
    "<window-filter name='{}' index='pi_EMPTY'><expression>today() - x > 0 or id > 3</expression></window-filter>",
    "<window-compute name='{}'><schema copy='a'/><output><field-expr>name</field-expr><field-expr>at</field-expr>
        <field-expr>x * 2 + id</field-expr></output></window-compute>",
    "<window-functional name='{}'><schema copy='a'/><function-context><functions><function name='x'>sum($x,random(1,9))
        </function></functions></function-context></window-functional>",
    "<window-lua name='{}'><schema copy='a'/><copy/><code>local n, seen = 0, {} function create(e) n = n + 1
        seen[e.name or ''] = n local s = 0 for k, v in pairs(seen) do s = s * 3 + v end
        return { x = s + math.random(10) } end</code></window-lua>",
    "<window-filter name='{}'><code>local last = {} function filter(e) local before = last[e.id] last[e.id] = e.x
        return before ~= e.x end</code></window-filter>",
];

/// What both branches of a model end in.
const ENDS: [&str; 4] = [
    "<window-union name='end' strict='false'/>",
    "<window-join name='end'><join type='leftouter'><conditions><fields left='id' right='id'/></conditions></join><output>
        <field-selection name='x' source='l_x'/><field-selection name='y' source='r_x'/></output></window-join>",
    "<window-aggregate name='end'><schema-string>name*:string,n:int64,sum:double,hi:double</schema-string><output>
        <field-expr>ESP_aCount()</field-expr><field-expr>ESP_aSum(x)</field-expr><field-expr>ESP_aMax(x)</field-expr></output>
        </window-aggregate>",
    "<window-remove-state name='end' remove='deletes'/>",
];

/// A model of two branches, from the sources `a` and `b` or both from `a`, and a window where they end.
fn model(left: &[usize], right: &[usize], end: usize, one_source: bool) -> Arc<Project> {
    let (mut windows, mut edges) = (String::new(), String::new());
    let second = if one_source { "a" } else { "b" };
    for (branch, stages, source) in [("l", left, "a"), ("r", right, second)] {
        let mut before = source.to_owned();
        for (at, stage) in stages.iter().enumerate() {
            let name = format!("{branch}{at}");
            windows += &STAGES[*stage].replace("{}", &name);
            edges += &format!("<edge source='{before}' target='{name}'/>");
            before = name;
        }
        edges += &format!("<edge source='{before}' target='end'/>");
    }
    project("", &(windows + ENDS[end]), &edges)
}

fn models() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, usize, bool)> {
    (vec(0..STAGES.len(), 1..4), vec(0..STAGES.len(), 1..3), 0..ENDS.len(), any::<bool>())
}

/// The digests after steps; clocks start at 1 so that every function of the clock has a value.
fn digests<'a>(project: &Arc<Project>, steps: impl IntoIterator<Item = &'a (usize, Step)>) -> Vec<u64> {
    let mut executor = Executor::new(Arc::clone(project));
    let mut sink = Vec::new();
    for (source, step) in steps {
        match step {
            Step::Block(rows) => executor.apply(*source, &[block_of(&schema(SCHEMA), rows)], &mut sink),
            Step::Tick(by) => executor.tick(executor.clock_us() + by + 1, &mut sink),
        }
    }
    let mut digests = Vec::new();
    executor.digests(&mut digests);
    digests
}

/// For each window, whether it or one before it depends on something.
fn depends(project: &Project, on: Dependence) -> Vec<bool> {
    let (_, windows) = project.determinism();
    let query = &project.queries[0];
    let mut depends: Vec<bool> = Vec::new();
    for (at, window) in windows.iter().enumerate() {
        let before = query.edges.iter().filter(|edge| edge.target == at).any(|edge| depends[edge.source]);
        depends.push(before || window.findings.iter().any(|finding| finding.on == on));
    }
    depends
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_models_leave_no_trace_of_calls_and_restores(
        (left, right, end, one_source) in models(),
        steps in steps_of_two(),
        cuts in vec(any::<bool>(), 40),
    ) {
        invariant(&model(&left, &right, end, one_source), &steps, &cuts);
    }

    #[test]
    fn a_window_that_needs_no_clock_does_not_see_it((left, right, end, one_source) in models(), steps in steps_of_two()) {
        let project = model(&left, &right, end, one_source);
        let with = digests(&project, &steps);
        let without = digests(&project, steps.iter().filter(|(_, step)| matches!(step, Step::Block(_))));
        for (window, clock) in depends(&project, Dependence::Clock).into_iter().enumerate() {
            let name = &project.queries[0].windows[window].name;
            prop_assert!(clock || with[window] == without[window], "window {name} sees the clock: {left:?} {right:?} {end}");
        }
    }

    #[test]
    fn a_window_without_interleaving_does_not_see_the_order((left, right, end, one_source) in models(), steps in steps_of_two()) {
        let project = model(&left, &right, end, one_source);
        let blocks: Vec<&(usize, Step)> = steps.iter().filter(|(_, step)| matches!(step, Step::Block(_))).collect();
        let of = |source: usize| blocks.iter().filter(move |(from, _)| *from == source).copied();
        let mixed = digests(&project, blocks.iter().copied());
        let sorted = digests(&project, of(1).chain(of(0)));
        for (window, meets) in depends(&project, Dependence::Interleaving).into_iter().enumerate() {
            let name = &project.queries[0].windows[window].name;
            prop_assert!(meets || mixed[window] == sorted[window], "window {name} sees the order: {left:?} {right:?} {end}");
        }
    }
}
