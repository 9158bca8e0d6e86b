//! One mistake does not hide another; and what is said once is not said twice. `UPDATE_EXPECT=1` rewrites.

mod support;

use expect_test::expect;
use support::{project, whole, window};

#[test]
fn an_edge_that_is_lost_hides_only_what_it_may_have_led_to() {
    // `nowhere` resembles no window: what `a` lacks may be this edge; that `b` has no input, and `c` a mistake, is told.
    let windows = "<window-copy name='a'/>\n<window-copy name='b'/>\n\
        <window-filter name='c'><expression>tempp > 1</expression></window-filter>";
    whole(
        &project(windows, "<edge source='nowhere' target='a'/><edge source='src' target='c'/>"),
        expect![[r#"
            error[no-input]: no edge leads to window `b`
             --> p.xml:5:20
              |
            5 | <window-copy name='b'/>
              |                    ^
              = in: project[p]/contquery[q]/window-copy[b]
              = help: add <edge source="..." target="b"/> to <edges>

            error[expression]: `tempp` is neither a field nor a variable
             --> p.xml:6:37
              |
            6 | <window-filter name='c'><expression>tempp > 1</expression></window-filter>
              |                                     ^^^^^
              = in: project[p]/contquery[q]/window-filter[c]/expression
              = help: did you mean `temp`? known: id, temp, name, at, ESP_OPCODE, ESP_FLAGS

            error[unknown-window]: edge source `nowhere` is not a window of query `q`
             --> p.xml:9:15
              |
            9 | <edge source='nowhere' target='a'/><edge source='src' target='c'/>
              |               ^^^^^^^ no such window
              = in: project[p]/contquery[q]/edge
              = help: known: src, a, b, c

            3 errors, 0 warnings
        "#]],
    );
    // `nothing` may have meant any window.
    whole(
        &project(windows, "<edge source='src' target='nothing'/><edge source='src' target='c'/>"),
        expect![[r#"
            error[expression]: `tempp` is neither a field nor a variable
             --> p.xml:6:37
              |
            6 | <window-filter name='c'><expression>tempp > 1</expression></window-filter>
              |                                     ^^^^^
              = in: project[p]/contquery[q]/window-filter[c]/expression
              = help: did you mean `temp`? known: id, temp, name, at, ESP_OPCODE, ESP_FLAGS

            error[unknown-window]: edge target `nothing` is not a window of query `q`
             --> p.xml:9:28
              |
            9 | <edge source='src' target='nothing'/><edge source='src' target='c'/>
              |                            ^^^^^^^ no such window
              = in: project[p]/contquery[q]/edge
              = help: known: src, a, b, c

            2 errors, 0 warnings
        "#]],
    );
}

#[test]
fn all_of_a_wrong_event_loop_is_checked() {
    let xml = "<window-functional name='w'><schema-string>id*:int64,a:string</schema-string>\n\
        <event-loops><event-loop-xml name='l' data='item'>\n<use-xml>concatt($name)</use-xml><xpath>//[</xpath>\n\
        <function-context><functions>\n<function name='a'>toUper(#item)</function></functions></function-context>\n\
        </event-loop-xml></event-loops></window-functional>";
    window(
        xml,
        expect![[r#"
        error[expression]: there is no function `concatt`
         --> p.xml:6:10
          |
        6 | <use-xml>concatt($name)</use-xml><xpath>//[</xpath>
          |          ^^^^^^^
          = in: project[p]/contquery[q]/window-functional[w]/event-loops/event-loop-xml[l]/use-xml
          = help: did you mean `concat`?

        error[expression]: expected a name in the path `//[`, found `[`
         --> p.xml:6:41
          |
        6 | <use-xml>concatt($name)</use-xml><xpath>//[</xpath>
          |                                         ^^^
          = in: project[p]/contquery[q]/window-functional[w]/event-loops/event-loop-xml[l]/xpath

        error[expression]: there is no function `toUper`
         --> p.xml:8:20
          |
        8 | <function name='a'>toUper(#item)</function></functions></function-context>
          |                    ^^^^^^
          = in: project[p]/contquery[q]/window-functional[w]/event-loops/event-loop-xml[l]/function-context/function[a]
          = help: did you mean `toUpper`?

        3 errors, 0 warnings
    "#]],
    );
}

#[test]
fn a_name_of_the_input_may_be_asked_behind_one_edge_and_several() {
    let windows = "<window-copy name='a'/><window-functional name='w'><schema-string>id*:int64,from:string</schema-string>\n\
        <function-context><functions><function name='from'>input()</function></functions></function-context>\n\
        </window-functional>";
    for edges in ["<edge source='src' target='a w'/>", "<edge source='src' target='a w'/><edge source='a' target='w'/>"]
    {
        whole(
            &project(windows, edges),
            expect![[r#"
                0 errors, 0 warnings
            "#]],
        );
    }
}

#[test]
fn confidence_is_between_zero_and_one() {
    let summary = |alpha: &str| {
        format!(
            "<window-calculate name='w' algorithm='Summary'><schema-string>id*:int64,low:double</schema-string>\n\
             <parameters><properties>\n<property name='alpha'>{alpha}</property></properties></parameters><input-map>\n\
             <properties><property name='input'>temp</property></properties></input-map><output-map><properties>\n\
             <property name='lclmOut'>low</property></properties></output-map></window-calculate>"
        )
    };
    window(
        &summary("0.1"),
        expect![[r#"
        0 errors, 0 warnings
    "#]],
    );
    window(
        &summary("95"),
        expect![[r#"
        error[bad-value]: `alpha` is `95`, expected a number between 0 and 1, for example 0.05 for intervals of 95 %
         --> p.xml:6:24
          |
        6 | <property name='alpha'>95</property></properties></parameters><input-map>
          |                        ^^
          = in: project[p]/contquery[q]/window-calculate[w]/parameters/property[alpha]

        1 error, 0 warnings
    "#]],
    );
}

#[test]
fn a_wrong_initializer_of_an_aggregate_is_told_once() {
    let wrong = "<expr-initialize><initializer>integer n n = 'x' +</initializer></expr-initialize>";
    window(
        &format!(
            "<window-aggregate name='w'><schema-string>name*:string,n:int64</schema-string>\n{wrong}\n<output>\
             <field-expr>ESP_aCount()</field-expr></output></window-aggregate>"
        ),
        expect![[r#"
            error[expression]: expected a value, found the end of the expression
             --> p.xml:5:50
              |
            5 | <expr-initialize><initializer>integer n n = 'x' +</initializer></expr-initialize>
              |                                                  ^
              = in: project[p]/contquery[q]/window-aggregate[w]/expr-initialize/initializer

            1 error, 0 warnings
        "#]],
    );
}
