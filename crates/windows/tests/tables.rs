//! Each window's behaviour as tables: events in, events out.

mod support;

use mesh_model::{
    FunctionalField, FunctionalInput, Index, Retention, RetentionKind, SummaryField, SummaryStat, Window, WindowKind,
};
use support::{Bench, autogen_source, block, copy, filter, insert_source, pretty, schema, source, window};

#[track_caller]
fn table(bench: &mut Bench, steps: &[(&str, &str)]) {
    for (input, want) in steps {
        assert_eq!(&bench.apply(input), want, "for `{input}`");
    }
}

#[test]
fn a_source_with_an_index_applies_the_opcode_algebra() {
    let schema = schema("id*:int64,name:string,x:double");
    let mut bench = Bench::new(vec![source(Index::Hash, &schema)]);
    table(
        &mut bench,
        &[
            ("I 1 a 1", "I 1 a 1"),
            ("I 1 b 2", ""),
            ("U 1 c 3", "UB 1 c 3; D 1 a 1"),
            ("U 2 c 3", ""),
            ("P 1 d 4", "UB 1 d 4; D 1 c 3"),
            ("P 2 e 5", "I 2 e 5"),
            ("D 2 zzz 9", "D 2 e 5"),
            ("D 2 e 5", ""),
            ("SD 2 e 5", ""),
            ("SD 1 . .", "D 1 d 4"),
            ("I . a 1", ""),
            ("I 3 a 1; I 3 b 2; D 3 . .; I 3 c 3", "I 3 a 1; D 3 a 1; I 3 c 3"),
            ("UB 3 x 1; D 3 nonsense 0", "UB 3 x 1; D 3 c 3"),
            ("UB 4 x 1; D 4 y 0", ""),
            ("UB 3 y 1; D 4 y 0; I 5 a 1", "UB 3 y 1; D 3 x 1; I 5 a 1"),
        ],
    );
    assert_eq!(bench.bad_events(), 7);
    assert_eq!(bench.executor.stats()[0].rows, 2);
}

#[test]
fn a_partial_update_keeps_what_it_does_not_name() {
    let schema = schema("id*:int64,name:string,x:double");
    let mut bench = Bench::new(vec![source(Index::Hash, &schema)]);
    table(
        &mut bench,
        &[
            ("I 1 a 1; U/P 1 . 2; U/P 1 b .", "I 1 a 1; UB 1 a 2; D 1 a 1; UB 1 b 2; D 1 a 2"),
            ("P/P 2 c .", "I 2 c ."),
            ("I 3 c 3; P/P 2 . 7; I 4 d 4", "I 3 c 3; UB 2 c 7; D 2 c .; I 4 d 4"),
            ("U/P 9 . 1", ""),
        ],
    );
    assert_eq!(bench.bad_events(), 1);
}

#[test]
fn a_source_without_an_index_passes_everything_as_it_is() {
    let schema = schema("id*:int64,name:string");
    let mut bench = Bench::new(vec![source(Index::None, &schema)]);
    table(&mut bench, &[("I 1 a; I 1 a; P 1 b; D 9 z; U/P 1 .", "I 1 a; I 1 a; P 1 b; D 9 z; U/P 1 .")]);
    assert_eq!(bench.bad_events(), 0);
}

#[test]
fn an_insert_only_source_drops_and_counts_everything_else() {
    let schema = schema("id*:int64,name:string");
    let mut bench = Bench::new(vec![insert_source(&schema)]);
    table(&mut bench, &[("I 1 a; U 1 b; P/P 2 c; D 1 a; I . x", "I 1 a; I 2 c"), ("D 1 a", "")]);
    assert_eq!(bench.bad_events(), 4);
}

#[test]
fn an_integer_key_counts_from_zero_and_bad_events_take_no_number() {
    let schema = schema("id*:int64,name:string");
    let mut bench = Bench::new(vec![autogen_source(&schema)]);
    table(&mut bench, &[("I 77 a; D 1 x; I . b", "I 0 a; I 1 b"), ("I 0 c", "I 2 c")]);
}

#[test]
fn an_input_block_may_leave_the_generated_key_out() {
    let full = schema("name:string,id*:int64,x:double");
    let short = schema("name:string,x:double");
    let other = schema("name:string,x:int64");
    let mut executor = mesh_windows::Executor::new(support::chain(vec![autogen_source(&full)]));
    let blocks =
        [block(&short, "I a 1; I b 2"), block(&full, "I c 9 3"), block(&other, "I d 4"), block(&short, "I e 5")];
    let mut sink = Vec::new();
    executor.apply(0, &blocks, &mut sink);
    let got: Vec<_> = sink.iter().map(|out| (out.cause, pretty(&out.block))).collect();
    let want = [(0, "I a 0 1; I b 1 2"), (1, "I c 2 3"), (3, "I e 3 5")].map(|(cause, text)| (cause, text.to_owned()));
    assert_eq!(got, want);
    assert_eq!(executor.stats()[0].bad_events, 1, "a block of another shape is dropped and counted");
}

#[test]
fn a_text_key_is_a_uuid_that_only_depends_on_project_window_and_number() {
    let schema = schema("id*:string,x:double");
    let run = || Bench::new(vec![autogen_source(&schema)]).apply("I . 1; I mine 2");
    let out = run();
    assert_eq!(out, run());
    let keys: Vec<&str> = out.split("; ").map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        let parts: Vec<usize> = key.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{key}");
        assert_eq!(&key[14..15], "5");
        assert!("89ab".contains(&key[19..20]), "{key}");
    }
}

/// The same rows through both stores: generated keys take the queue, given keys take the table.
fn both_stores(kind: RetentionKind, steps: impl Fn(&mut Bench)) {
    let schema = schema("id*:int64,x:double");
    steps(&mut Bench::new(vec![autogen_source(&schema), copy("keep", &schema, kind)]));
    steps(&mut Bench::new(vec![insert_source(&schema), copy("keep", &schema, kind)]));
    steps(&mut Bench::new(vec![Window {
        retention: Some(Retention { kind, field: None }),
        ..source(Index::Hash, &schema)
    }]));
}

#[test]
fn by_count_sliding_deletes_the_oldest_after_each_insert_too_many() {
    both_stores(RetentionKind::ByCountSliding { n: 2 }, |bench| {
        table(
            bench,
            &[
                ("I 0 1; I 1 2", "I 0 1; I 1 2"),
                ("I 2 3; I 3 4", "I 2 3; D/R 0 1; I 3 4; D/R 1 2"),
                ("I 4 5", "I 4 5; D/R 2 3"),
            ],
        );
        assert_eq!(bench.executor.stats().last().unwrap().rows, 2);
        assert_eq!(bench.executor.next_deadline_us(), None);
        assert!(!bench.executor.needs_clock());
    });
}

#[test]
fn by_count_jumping_deletes_all_earlier_rows() {
    both_stores(RetentionKind::ByCountJumping { n: 2 }, |bench| {
        table(
            bench,
            &[
                ("I 0 1; I 1 2; I 2 3", "I 0 1; I 1 2; I 2 3; D/R 0 1; D/R 1 2"),
                ("I 3 4", "I 3 4"),
                ("I 4 5; I 5 6", "I 4 5; D/R 2 3; D/R 3 4; I 5 6"),
            ],
        );
    });
}

#[test]
fn by_time_sliding_deletes_at_the_tick_that_makes_a_row_old_enough() {
    both_stores(RetentionKind::ByTimeSliding { us: 10 }, |bench| {
        assert!(bench.executor.needs_clock());
        assert_eq!(bench.executor.next_deadline_us(), Some(i64::MIN), "any tick starts the clock");
        table(bench, &[("I 0 1", "I 0 1")]);
        assert_eq!(bench.tick(100), "", "a row from before the first tick is as old as the clock");
        assert_eq!(bench.executor.next_deadline_us(), Some(110));
        table(bench, &[("I 1 2; I 2 3", "I 1 2; I 2 3")]);
        assert_eq!(bench.tick(105), "");
        table(bench, &[("I 3 4", "I 3 4")]);
        assert_eq!(bench.tick(109), "");
        assert_eq!(bench.tick(110), "D/R 0 1; D/R 1 2; D/R 2 3");
        assert_eq!(bench.executor.next_deadline_us(), Some(115));
        assert_eq!(bench.tick(1000), "D/R 3 4");
        assert_eq!(bench.executor.next_deadline_us(), None);
        assert_eq!(bench.executor.clock_us(), 1000);
    });
}

#[test]
fn by_time_jumping_deletes_everything_at_the_end_of_a_period() {
    both_stores(RetentionKind::ByTimeJumping { us: 10 }, |bench| {
        assert_eq!(bench.tick(100), "");
        table(bench, &[("I 0 1", "I 0 1")]);
        assert_eq!(bench.executor.next_deadline_us(), Some(110));
        assert_eq!(bench.tick(109), "");
        table(bench, &[("I 1 2", "I 1 2")]);
        assert_eq!(bench.tick(111), "D/R 0 1; D/R 1 2");
        assert_eq!(bench.executor.next_deadline_us(), None);
        table(bench, &[("I 2 3", "I 2 3")]);
        assert_eq!(bench.executor.next_deadline_us(), Some(120));
        assert_eq!(bench.tick(145), "D/R 2 3");
        table(bench, &[("I 3 4", "I 3 4")]);
        assert_eq!(bench.executor.next_deadline_us(), Some(150));
        assert_eq!(bench.tick(149), "");
        assert_eq!(bench.tick(150), "D/R 3 4");
    });
}

#[test]
fn an_update_renews_the_age_of_a_row() {
    let schema = schema("id*:int64,x:double");
    let kind = RetentionKind::ByTimeSliding { us: 10 };
    let mut bench = Bench::new(vec![source(Index::Hash, &schema), copy("keep", &schema, kind)]);
    bench.tick(0);
    table(&mut bench, &[("I 1 1; I 2 2; I 3 3", "I 1 1; I 2 2; I 3 3")]);
    bench.tick(5);
    table(&mut bench, &[("U 1 9", "UB 1 9; D 1 1"), ("D 3 0", "D 3 3")]);
    assert_eq!(bench.tick(10), "D/R 2 2");
    assert_eq!(bench.tick(15), "D/R 1 9");
}

#[test]
fn event_time_sliding_acts_when_an_event_comes_and_is_inclusive() {
    let schema = schema("id*:int64,at:stamp");
    let retention = Some(Retention { kind: RetentionKind::ByTimeSliding { us: 10 }, field: Some(1) });
    let keep = Window { retention, ..window("keep", Index::Hash, &schema, WindowKind::Copy) };
    let mut bench = Bench::new(vec![autogen_source(&schema), keep]);
    assert!(!bench.executor.needs_clock());
    table(
        &mut bench,
        &[
            ("I . 100; I . 105; I . 103", "I 0 100; I 1 105; I 2 103"),
            ("I . 109", "I 3 109"),
            ("I . 113", "I 4 113; D/R 0 100; D/R 2 103"),
            ("I . 90", "I 5 90; D/R 5 90"),
            ("I . .", "I 6 ."),
            ("I . 120", "I 7 120; D/R 1 105; D/R 3 109"),
            ("I . 130", "I 8 130; D/R 4 113; D/R 6 .; D/R 7 120"),
        ],
    );
    assert_eq!(bench.tick(1_000_000), "");
}

#[test]
fn event_time_jumping_starts_a_period_with_the_first_event() {
    let schema = schema("id*:int64,at:date");
    let retention = Some(Retention { kind: RetentionKind::ByTimeJumping { us: 10_000_000 }, field: Some(1) });
    let keep = Window { retention, ..window("keep", Index::Hash, &schema, WindowKind::Copy) };
    let mut bench = Bench::new(vec![autogen_source(&schema), keep]);
    table(
        &mut bench,
        &[
            ("I . 103; I . 112", "I 0 103; I 1 112"),
            ("I . 113", "I 2 113; D/R 0 103; D/R 1 112"),
            ("I . 104; I . 140", "I 3 104; I 4 140; D/R 2 113; D/R 3 104"),
        ],
    );
}

#[test]
fn event_counter_numbers_every_event() {
    let input = schema("id*:int64,x:double");
    let output = schema("id*:int64,n:int64,m:int32,text:string,none:double,x:double");
    let fields = vec![
        FunctionalField::Copy(0),
        FunctionalField::EventCounter,
        FunctionalField::EventCounter,
        FunctionalField::EventCounter,
        FunctionalField::Null,
        FunctionalField::Copy(1),
    ];
    let functional = window(
        "count",
        Index::Ordered,
        &output,
        WindowKind::Functional(vec![FunctionalInput { fields, code: mesh_expr::FunctionalCode::default() }]),
    );
    let keep = copy("keep", &input, RetentionKind::ByCountSliding { n: 1 });
    let mut bench = Bench::new(vec![source(Index::Hash, &input), keep, functional]);
    table(
        &mut bench,
        &[
            ("I 1 5", "I 1 1 1 1 . 5"),
            ("I 2 6", "I 2 2 2 2 . 6; D/R 1 3 3 3 . 5"),
            ("U 2 7", "UB 2 4 4 4 . 7; D 2 5 5 5 . 6"),
        ],
    );
}

fn summary(input: &str, window_length: usize, output: &str, stats: &[SummaryStat]) -> Bench {
    let (input, output) = (schema(input), schema(output));
    let mut fields = vec![SummaryField::Copy(0)];
    fields.extend(stats.iter().map(|&stat| SummaryField::Stat(stat)));
    let kind = WindowKind::Summary { window_length, input: 1, alpha: 0.05, fields };
    Bench::new(vec![source(Index::Hash, &input), window("stats", Index::Ordered, &output, kind)])
}

#[test]
fn summary_looks_at_the_last_events_the_present_one_included() {
    use SummaryStat::{Max, Mean, Min, N, NMiss, Std, Sum, Var};
    let output = "id*:int64,n:int64,miss:int32,min:double,max:double,sum:int64,mean:double,std:double,var:double";
    let mut bench = summary("id*:int64,x:double", 3, output, &[N, NMiss, Min, Max, Sum, Mean, Std, Var]);
    table(
        &mut bench,
        &[
            ("I 1 2", "I 1 1 0 2 2 2 2 . ."),
            ("I 2 4.5", "I 2 2 0 2 4.5 6 3.25 1.7677669529663689 3.125"),
            ("I 3 .", "I 3 2 1 2 4.5 6 3.25 1.7677669529663689 3.125"),
            ("I 4 .; I 5 .", "I 4 1 2 4.5 4.5 4 4.5 . .; I 5 0 3 . . . . . ."),
            ("U 4 8", "UB 4 0 3 . . . . . .; D 4 0 3 . . . . . ."),
            (
                "I 6 -1; D 1 .; I 7 1",
                "I 6 1 2 -1 -1 -1 -1 . .; D 1 1 2 -1 -1 -1 -1 . .; I 7 2 1 -1 1 0 0 1.4142135623730951 2",
            ),
        ],
    );
}

#[test]
fn summary_of_length_zero_looks_at_everything() {
    use SummaryStat::{Css, Cv, Mean, N, StdErr, Sum, Uss};
    let output = "id*:int64,n:int64,sum:double,mean:double,css:double,uss:double,se:double,cv:double";
    let mut bench = summary("id*:int64,x:int32", 0, output, &[N, Sum, Mean, Css, Uss, StdErr, Cv]);
    table(
        &mut bench,
        &[
            ("I 1 .", "I 1 0 . . . . . ."),
            ("I 2 1; I 3 3", "I 2 1 1 1 0 1 . .; I 3 2 4 2 2 10 1 70.71067811865476"),
            ("I 4 -4", "I 4 3 0 0 26 26 2.0816659994661326 ."),
        ],
    );
}

#[test]
fn a_result_that_does_not_fit_its_field_is_null() {
    use SummaryStat::{Max, Sum};
    let mut bench = summary("id*:int64,x:double", 2, "id*:int64,a:int32,b:money,c:int64", &[Sum, Max, Max]);
    table(
        &mut bench,
        &[("I 1 2.99", "I 1 2 29900 2"), ("I 2 1e17", "I 2 . . 100000000000000000"), ("I 3 1e19", "I 3 . . .")],
    );
}

#[test]
fn a_filter_asks_about_both_halves_of_an_update() {
    let schema = schema("id*:int64,x:double");
    for index in [Index::None, Index::Hash] {
        let mut bench = Bench::new(vec![source(Index::Hash, &schema), filter("big", index, &schema, "x > 10")]);
        table(
            &mut bench,
            &[
                ("I 1 5; I 2 20; I 3 .", "I 2 20"),
                ("U 1 15", "I 1 15"),
                ("U 1 16; U 2 7; U 3 8", "UB 1 16; D 1 15; D 2 20"),
                ("D 1 0; D 2 0", "D 1 16"),
                ("D 3 0", ""),
            ],
        );
    }
}

#[test]
fn a_filter_with_an_index_deletes_what_it_let_pass() {
    let schema = schema("id*:int64,x:double");
    let condition = r#"ESP_OPCODE == "I" and x > 10"#;
    let apply = |index| {
        let mut bench = Bench::new(vec![source(Index::Hash, &schema), filter("big", index, &schema, condition)]);
        bench.apply("I 1 20; I 2 5; D 1 0; D 2 0")
    };
    assert_eq!(apply(Index::None), "I 1 20", "as asked: no delete is an insert");
    assert_eq!(apply(Index::Hash), "I 1 20; D 1 20");
}

#[test]
fn a_filter_with_an_index_makes_raw_events_exact() {
    let schema = schema("id*:int64,x:double");
    let mut bench = Bench::new(vec![source(Index::None, &schema), filter("big", Index::Hash, &schema, "x > 10")]);
    table(
        &mut bench,
        &[("P 1 20; P 1 30; P 1 5; P 1 6; U 1 40; D 1 0; D 2 0", "I 1 20; UB 1 30; D 1 20; D 1 30; I 1 40; D 1 40")],
    );
}

#[test]
fn paths_that_fork_meet_again_event_by_event() {
    use mesh_model::{Edge, EdgeRole};
    let schema = schema("id*:int64,x:double");
    let windows = vec![
        autogen_source(&schema),
        filter("low", Index::None, &schema, "x < 10"),
        filter("odd", Index::None, &schema, "x <> 2"),
        window("all", Index::Hash, &schema, WindowKind::Copy),
    ];
    let edge = |source, target| Edge { source, target, role: EdgeRole::Data, slot: None };
    let edges = vec![edge(0, 1), edge(0, 2), edge(1, 3), edge(2, 3)];
    let mut executor = mesh_windows::Executor::new(support::project(windows, edges));
    let mut sink = Vec::new();
    executor.apply(0, &[block(&schema, "I . 1; I . 2"), block(&schema, "I . 30; I . 4")], &mut sink);
    let got: Vec<_> = sink.iter().map(|out| (out.cause, pretty(&out.block))).collect();
    assert_eq!(got, [(0, "I 0 1; I 1 2".to_owned()), (1, "I 2 30; I 3 4".to_owned())]);
    assert_eq!(executor.stats()[3].bad_events, 2, "keys that come on both paths are duplicates");
}
