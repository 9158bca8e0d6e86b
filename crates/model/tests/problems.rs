//! What is said about wrong projects. Each case is one mistake in a small project; `UPDATE_EXPECT=1` rewrites.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use expect_test::expect;
use mesh_model::{Severity, parse_project};
use support::{EDGE, SOURCE, problems, project, properties, whole, window};

#[test]
fn three_errors_are_three_errors_at_their_lines() {
    let xml = "<project name='p' pubsub='auto'>
  <contqueries>
    <contquery name='cq'>
      <windows>
        <window-source name='src' insert-only='true'>
          <schema><fields>
            <field name='id' type='int64' key='true'/>
            <field name='temp' type='duoble'/>
          </fields></schema>
        </window-source>
        <window-source name='other'><schema-string>id*:int64,v:int32</schema-string></window-source>
        <window-filter name='hot'>
          <expression><![CDATA[
            v > 3 and
            vv < 7
          ]]></expression>
        </window-filter>
        <window-copy name='keep'><retention type='bycount_sliding'>ten</retention></window-copy>
      </windows>
      <edges>
        <edge source='src' target='keep'/>
        <edge source='other' target='hot'/>
      </edges>
    </contquery>
  </contqueries>
</project>";
    let lines =
        |xml: &str| -> Vec<(u32, &str)> { problems(xml).0.iter().map(|problem| (problem.line, problem.id)).collect() };
    // Without the schema of `src` nothing can be said about the window behind it.
    assert_eq!(lines(xml), [(8, "bad-value"), (15, "expression")]);
    let four = xml.replace("source='src' target='keep'", "source='other' target='keep kept'");
    // `src` leads nowhere now; what the misspelled target meant is known.
    assert_eq!(
        lines(&four),
        [(5, "no-output"), (8, "bad-value"), (15, "expression"), (18, "bad-value"), (21, "unknown-window")]
    );
    let xml = xml.replace("source='src' target='keep'", "source='other' target='keep'");
    whole(
        &xml,
        expect![[r#"
        warning[no-output]: no edge starts at source window `src`
         --> p.xml:5:30
          |
        5 |         <window-source name='src' insert-only='true'>
          |                              ^^^
          = in: project[p]/contquery[cq]/window-source[src]
          = help: its events go nowhere but to its own subscribers

        error[bad-value]: `type` is `duoble`, expected a field type
         --> p.xml:8:38
          |
        8 |             <field name='temp' type='duoble'/>
          |                                      ^^^^^^
          = in: project[p]/contquery[cq]/window-source[src]/schema/field[temp]
          = help: did you mean `double`? known: int32, int64, double, string, date, stamp, money, blob, array(i32), array(i64), array(dbl)

        error[expression]: `vv` is neither a field nor a variable
          --> p.xml:15:13
           |
        15 |             vv < 7
           |             ^^
           = in: project[p]/contquery[cq]/window-filter[hot]/expression
           = help: did you mean `v`? known: id, v, ESP_OPCODE, ESP_FLAGS

        error[bad-value]: the retention is `ten`, expected a number of rows from 1
          --> p.xml:18:68
           |
        18 |         <window-copy name='keep'><retention type='bycount_sliding'>ten</retention></window-copy>
           |                                                                    ^^^
           = in: project[p]/contquery[cq]/window-copy[keep]/retention

        3 errors, 1 warning
    "#]],
    );
    assert_eq!(problems(&xml).count(Severity::Error), 3);
}

#[test]
fn edges() {
    let copy = "<window-copy name='agg1'/>";
    whole(
        &project(copy, "<edge source='src' target='Agg1'/>"),
        expect![[r#"
        error[unknown-window]: edge target `Agg1` is not a window of query `q`
         --> p.xml:7:28
          |
        7 | <edge source='src' target='Agg1'/>
          |                            ^^^^ no such window
          = in: project[p]/contquery[q]/edge
          = help: did you mean `agg1`? it is in line 4; known: src, agg1

        1 error, 0 warnings
    "#]],
    );
    whole(
        &project(copy, "<edge source='src scr' target='agg1'/>"),
        expect![[r#"
        error[unknown-window]: edge source `scr` is not a window of query `q`
         --> p.xml:7:19
          |
        7 | <edge source='src scr' target='agg1'/>
          |                   ^^^ no such window
          = in: project[p]/contquery[q]/edge
          = help: did you mean `src`? it is in line 3; known: src, agg1

        1 error, 0 warnings
    "#]],
    );
    whole(
        &project(copy, ""),
        expect![[r#"
        warning[no-output]: no edge starts at source window `src`
         --> p.xml:3:22
          |
        3 | <window-source name='src' index='pi_EMPTY'><schema-string>id*:int64,temp:double,name:string,at:stamp</schema-string></wi
          |                      ^^^
          = in: project[p]/contquery[q]/window-source[src]
          = help: its events go nowhere but to its own subscribers

        error[no-input]: no edge leads to window `agg1`
         --> p.xml:4:20
          |
        4 | <window-copy name='agg1'/>
          |                    ^^^^
          = in: project[p]/contquery[q]/window-copy[agg1]
          = help: add <edge source="..." target="agg1"/> to <edges>

        1 error, 1 warning
    "#]],
    );
    whole(
        &project(copy, "<edge source='src' target='agg1 agg1'/>"),
        expect![[r#"
        error[duplicate-edge]: the edge from `src` to `agg1` stands twice
         --> p.xml:7:33
          |
        7 | <edge source='src' target='agg1 agg1'/>
          |                                 ^^^^
          = in: project[p]/contquery[q]/edge
          = help: remove one: every event would come twice

        1 error, 0 warnings
    "#]],
    );
    whole(
        &project(copy, "<edge source='src' target='agg1'/><edge source='agg1' target='src'/>"),
        expect![[r#"
        error[edge-to-source]: `src` is a source window, an edge cannot lead to it
         --> p.xml:7:63
          |
        7 | <edge source='src' target='agg1'/><edge source='agg1' target='src'/>
          |                                                               ^^^
          = in: project[p]/contquery[q]/edge
          = help: use a copy window to pass events on

        1 error, 0 warnings
    "#]],
    );
    let two = "<window-copy name='a'/><window-copy name='b'/>";
    whole(
        &project(two, "<edge source='src' target='a'/>\n<edge source='a' target='b'/>\n<edge source='b' target='a'/>"),
        expect![[r#"
            error[cycle]: the edges form a cycle: b -> a -> b
             --> p.xml:8:15
              |
            8 | <edge source='a' target='b'/>
              |               ^
              = in: project[p]/contquery[q]/edge
              = help: remove one of these edges; events must flow one way

            1 error, 0 warnings
        "#]],
    );
    whole(
        &project(copy, "<edge source='src' target='agg1' role='dta'/>"),
        expect![[r#"
        error[bad-value]: `role` is `dta`, expected an edge role
         --> p.xml:7:40
          |
        7 | <edge source='src' target='agg1' role='dta'/>
          |                                        ^^^
          = in: project[p]/contquery[q]/edge
          = help: did you mean `data`? known: data, model, left, right, position, geometry, request

        1 error, 0 warnings
    "#]],
    );
    whole(
        &project(copy, "<edge source='src' target='agg1' slot='1'/>"),
        expect![[r#"
            warning[unused-slot]: window `src` has no splitter, every event goes along this edge
             --> p.xml:7:15
              |
            7 | <edge source='src' target='agg1' slot='1'/>
              |               ^^^
              = in: project[p]/contquery[q]/edge
              = help: remove `slot`, or add a <splitter-expr> to the window

            0 errors, 1 warning
        "#]],
    );
    whole(
        &project(copy, "<edge source='src' target='agg1' roel='data'/>"),
        expect![[r#"
        warning[unknown-attribute]: `edge` has no attribute `roel`, it is ignored
         --> p.xml:7:34
          |
        7 | <edge source='src' target='agg1' roel='data'/>
          |                                  ^^^^
          = in: project[p]/contquery[q]/edge
          = help: did you mean `role`? known: source, target, role, slot

        0 errors, 1 warning
    "#]],
    );
    let other =
        "<window-source name='s2'><schema-string>id*:int64</schema-string></window-source><window-copy name='w'/>";
    whole(
        &project(other, "<edge source='src s2' target='w'/>"),
        expect![[r#"
        error[different-inputs]: inputs `src` and `s2` of window `w` have different schemas
         --> p.xml:4:101
          |
        4 | <window-source name='s2'><schema-string>id*:int64</schema-string></window-source><window-copy name='w'/>
          |                                                                                                     ^
          = in: project[p]/contquery[q]/window-copy[w]
          = help: `src` has id*:int64,temp:double,name:string,at:stamp, `s2` has id*:int64

        1 error, 0 warnings
    "#]],
    );
}

#[test]
fn windows_that_are_not_there() {
    window(
        "<window-fliter name='w'/>",
        expect![[r#"
            error[unknown-window-type]: there is no window type `window-fliter`
             --> p.xml:4:2
              |
            4 | <window-fliter name='w'/>
              |  ^^^^^^^^^^^^^ no such window type
              = in: project[p]/contquery[q]/window-fliter[w]
              = help: did you mean `window-filter`? known: window-source, window-copy, window-filter, window-compute, window-functional, window-lua, window-custom, window-calculate, window-train, window-score, window-union, window-aggregate, window-join, window-pattern, window-geofence, window-remove-state, window-counter, window-transpose, window-notification, window-object-tracker

            1 error, 0 warnings
        "#]],
    );
    window(
        "<window-join name='w'><join type='inner'/></window-join>",
        expect![[r#"
            error[join-inputs]: one edge to join window `w`, expected two
             --> p.xml:4:20
              |
            4 | <window-join name='w'><join type='inner'/></window-join>
              |                    ^
              = in: project[p]/contquery[q]/window-join[w]
              = help: one edge leads to the left side, one to the right; bring several streams together with a union

            1 error, 0 warnings
        "#]],
    );
    window(
        "<windowcopy name='w'/>",
        expect![[r#"
            error[unknown-window-type]: there is no window type `windowcopy`
             --> p.xml:4:2
              |
            4 | <windowcopy name='w'/>
              |  ^^^^^^^^^^ no such window type
              = in: project[p]/contquery[q]/windowcopy[w]
              = help: did you mean `window-copy`? known: window-source, window-copy, window-filter, window-compute, window-functional, window-lua, window-custom, window-calculate, window-train, window-score, window-union, window-aggregate, window-join, window-pattern, window-geofence, window-remove-state, window-counter, window-transpose, window-notification, window-object-tracker

            1 error, 0 warnings
        "#]],
    );
    whole(
        &project("<window-copy name='src'/>", ""),
        expect![[r#"
        error[duplicate-name]: window `src` stands twice
         --> p.xml:4:20
          |
        4 | <window-copy name='src'/>
          |                    ^^^ second one
          = in: project[p]/contquery[q]/window-copy[src]
          = help: the first is in line 3; give one of them another name

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy/>",
        expect![[r#"
        error[missing-attribute]: `window-copy` has no attribute `name`
         --> p.xml:4:2
          |
        4 | <window-copy/>
          |  ^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy
          = help: add name="..."

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w.x'/>",
        expect![[r#"
        error[bad-name]: window name `w.x` holds `.`, expected letters, digits, `_` and `-`
         --> p.xml:4:21
          |
        4 | <window-copy name='w.x'/>
          |                     ^
          = in: project[p]/contquery[q]/window-copy[w.x]
          = help: names become parts of Kafka topic names, which the dot separates

        error[unknown-window]: edge target `w` is not a window of query `q`
         --> p.xml:7:28
          |
        7 | <edge source='src' target='w'/>
          |                            ^ no such window
          = in: project[p]/contquery[q]/edge
          = help: known: src, w.x

        2 errors, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w' indx='pi_HASH'/>",
        expect![[r#"
        warning[unknown-attribute]: `window-copy` has no attribute `indx`, it is ignored
         --> p.xml:4:23
          |
        4 | <window-copy name='w' indx='pi_HASH'/>
          |                       ^^^^
          = in: project[p]/contquery[q]/window-copy[w]
          = help: did you mean `index`? known: name, index, pubsub, pubsub-index, output-insert-only, collapse-updates, pulse-interval, exp-max-string, id, layout, queue-height

        0 errors, 1 warning
    "#]],
    );
    window(
        "<window-copy name='w' index='pi_HSAH'/>",
        expect![[r#"
        error[bad-value]: `index` is `pi_HSAH`, expected an index type
         --> p.xml:4:30
          |
        4 | <window-copy name='w' index='pi_HSAH'/>
          |                              ^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]
          = help: did you mean `pi_HASH`? known: pi_RBTREE, pi_HASH, pi_EMPTY, pi_LN_HASH, pi_CL_HASH, pi_FW_HASH, pi_HLEVELDB, pi_LEVELDB

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w'><retenton type='bycount_sliding'>1</retenton></window-copy>",
        expect![[r#"
            warning[unknown-element]: `retenton` is not an element of `window-copy`, it is ignored
             --> p.xml:4:24
              |
            4 | <window-copy name='w'><retenton type='bycount_sliding'>1</retenton></window-copy>
              |                        ^^^^^^^^
              = in: project[p]/contquery[q]/window-copy[w]/retenton
              = help: did you mean `retention`? known: schema, schema-string, connectors, splitter-expr, splitter-plug, splitter-lua, description, retention

            0 errors, 1 warning
        "#]],
    );
    window(
        "<window-copy name='w' output-insert-only='true'/>",
        expect![[r#"
            0 errors, 0 warnings
        "#]],
    );
}

#[test]
fn sources() {
    let source = |attributes: &str, schema: &str| {
        format!(
            "<contquery name='q'><windows><window-source name='s' index='pi_EMPTY' {attributes}>\
             <schema-string>{schema}</schema-string></window-source></windows></contquery>"
        )
    };
    whole(
        &source("autogen-key='true'", "id*:int64,v:double"),
        expect![[r#"
        error[autogen-key]: autogen-key needs insert-only="true"
         --> p.xml:1:71
          |
        1 |  name='q'><windows><window-source name='s' index='pi_EMPTY' autogen-key='true'><schema-string>id*:int64,v:double</schema
          |                                                             ^^^^^^^^^^^
          = in: contquery[q]/window-source[s]
          = help: add insert-only="true": an event with a new key can only be an insert

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("autogen-key='true' insert-only='true'", "id*:int32,v:double"),
        expect![[r#"
        error[autogen-key]: autogen-key needs one key field of type int64 or string, found id:int32
         --> p.xml:1:71
          |
        1 |  name='q'><windows><window-source name='s' index='pi_EMPTY' autogen-key='true' insert-only='true'><schema-string>id*:int
          |                                                             ^^^^^^^^^^^
          = in: contquery[q]/window-source[s]
          = help: make the key `id*:int64`, or let the publisher send the key

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("autogen-key='true' insert-only='true'", "id*:int64,v*:string"),
        expect![[r#"
        error[autogen-key]: autogen-key needs one key field of type int64 or string, found id:int64, v:string
         --> p.xml:1:71
          |
        1 |  name='q'><windows><window-source name='s' index='pi_EMPTY' autogen-key='true' insert-only='true'><schema-string>id*:int
          |                                                             ^^^^^^^^^^^
          = in: contquery[q]/window-source[s]
          = help: make the key `id*:int64`, or let the publisher send the key

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("", "id:int64,v:double"),
        expect![[r#"
        error[no-key]: the schema of window `s` has no key
         --> p.xml:1:73
          |
        1 | ame='q'><windows><window-source name='s' index='pi_EMPTY' ><schema-string>id:int64,v:double</schema-string></window-sour
          |                                                             ^^^^^^^^^^^^^
          = in: contquery[q]/window-source[s]/schema-string
          = help: mark at least one field as key: key="true", or `*` behind its name in a schema string

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("", "id*:int64,v:text,v:double"),
        expect![[r#"
        error[bad-value]: the type of field `v` is `text`, expected a field type
         --> p.xml:1:99
          |
        1 | ource name='s' index='pi_EMPTY' ><schema-string>id*:int64,v:text,v:double</schema-string></window-source></windows></con
          |                                                             ^^^^
          = in: contquery[q]/window-source[s]/schema-string
          = help: known: int32, int64, double, string, date, stamp, money, blob, array(i32), array(i64), array(dbl)

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("", "id*:int64,oops"),
        expect![[r#"
        error[bad-value]: a part of the schema is `oops`, expected `name:type` or `name*:type`
         --> p.xml:1:97
          |
        1 | -source name='s' index='pi_EMPTY' ><schema-string>id*:int64,oops</schema-string></window-source></windows></contquery>
          |                                                             ^^^^
          = in: contquery[q]/window-source[s]/schema-string

        1 error, 0 warnings
    "#]],
    );
    whole(
        &source("insert-only='maybe'", "id*:int64"),
        expect![[r#"
        error[bad-value]: `insert-only` is `maybe`, expected `true` or `false`
         --> p.xml:1:84
          |
        1 | ndows><window-source name='s' index='pi_EMPTY' insert-only='maybe'><schema-string>id*:int64</schema-string></window-sour
          |                                                             ^^^^^
          = in: contquery[q]/window-source[s]

        1 error, 0 warnings
    "#]],
    );
}

#[test]
fn retention() {
    window(
        "<window-copy name='w'><retention type='bytime_sliding'>30 minuets</retention></window-copy>",
        expect![[r#"
        error[bad-value]: the retention is `30 minuets`, expected a time such as `30 minutes` (milliseconds, seconds, minutes, hours, days)
         --> p.xml:4:56
          |
        4 | <window-copy name='w'><retention type='bytime_sliding'>30 minuets</retention></window-copy>
          |                                                        ^^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/retention

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w'><retention type='bytime'>1</retention></window-copy>",
        expect![[r#"
            error[bad-value]: `type` is `bytime`, expected a retention type
             --> p.xml:4:40
              |
            4 | <window-copy name='w'><retention type='bytime'>1</retention></window-copy>
              |                                        ^^^^^^
              = in: project[p]/contquery[q]/window-copy[w]/retention
              = help: known: bytime_sliding, bytime_jumping, bycount_sliding, bycount_jumping, bytime_jumping_lookback

            1 error, 0 warnings
        "#]],
    );
    window(
        "<window-copy name='w'><retention type='bytime_sliding' field='att'>1 h</retention></window-copy>",
        expect![[r#"
        error[unknown-field]: `retention` names field `att`, which does not exist
         --> p.xml:4:63
          |
        4 | <window-copy name='w'><retention type='bytime_sliding' field='att'>1 h</retention></window-copy>
          |                                                               ^^^ no such field
          = in: project[p]/contquery[q]/window-copy[w]/retention
          = help: did you mean `at`? known: id, temp, name, at

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w'><retention type='bytime_sliding' field='temp'>1 h</retention></window-copy>",
        expect![[r#"
        error[field-type]: retention field `temp` has type double, expected date or stamp
         --> p.xml:4:63
          |
        4 | <window-copy name='w'><retention type='bytime_sliding' field='temp'>1 h</retention></window-copy>
          |                                                               ^^^^
          = in: project[p]/contquery[q]/window-copy[w]/retention
          = help: name a date or stamp field, or leave `field` out to use the clock

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w' index='pi_EMPTY'><retention type='bycount_jumping'>5</retention></window-copy>",
        expect![[r#"
        error[retention-index]: retention needs rows, but the index is pi_EMPTY
         --> p.xml:4:41
          |
        4 | <window-copy name='w' index='pi_EMPTY'><retention type='bycount_jumping'>5</retention></window-copy>
          |                                         ^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/retention
          = help: use index="pi_HASH" or index="pi_RBTREE"

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w'><retention type='bytime_jumping_lookback'>5 weeks</retention></window-copy>",
        expect![[r#"
            error[bad-value]: the retention is `5 weeks`, expected a span such as `2 hours`: every hour the rows leave that are two hours old
             --> p.xml:4:65
              |
            4 | <window-copy name='w'><retention type='bytime_jumping_lookback'>5 weeks</retention></window-copy>
              |                                                                 ^^^^^^^
              = in: project[p]/contquery[q]/window-copy[w]/retention

            1 error, 0 warnings
        "#]],
    );
}

#[test]
fn expressions() {
    let filter =
        |expression: &str| format!("<window-filter name='w'>\n  <expression>{expression}</expression></window-filter>");
    window(
        &filter("tepm &gt; 5 &amp;&amp; temp"),
        expect![[r#"
        error[expression]: expected a value, found `&`
         --> p.xml:5:32
          |
        5 |   <expression>tepm &gt; 5 &amp;&amp; temp</expression></window-filter>
          |                                ^^^^^
          = in: project[p]/contquery[q]/window-filter[w]/expression
          = help: logical and is written `and`; `&` joins texts

        1 error, 0 warnings
    "#]],
    );
    window(
        &filter("name &amp; tepm == 'x'"),
        expect![[r#"
        error[expression]: `tepm` is neither a field nor a variable
         --> p.xml:5:26
          |
        5 |   <expression>name &amp; tepm == 'x'</expression></window-filter>
          |                          ^^^^
          = in: project[p]/contquery[q]/window-filter[w]/expression
          = help: did you mean `temp`? known: id, temp, name, at, ESP_OPCODE, ESP_FLAGS

        1 error, 0 warnings
    "#]],
    );
    window(
        &filter("<![CDATA[ temp > uper(name) ]]>"),
        expect![[r#"
        error[expression]: there is no function `uper`
         --> p.xml:5:32
          |
        5 |   <expression><![CDATA[ temp > uper(name) ]]></expression></window-filter>
          |                                ^^^^
          = in: project[p]/contquery[q]/window-filter[w]/expression
          = help: did you mean `upper`?

        1 error, 0 warnings
    "#]],
    );
    window(
        &filter(""),
        expect![[r#"
        error[no-expression]: `expression` is empty, expected an expression
         --> p.xml:5:4
          |
        5 |   <expression></expression></window-filter>
          |    ^^^^^^^^^^
          = in: project[p]/contquery[q]/window-filter[w]/expression

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-filter name='w'><code>return true</code></window-filter>",
        expect![[r#"
            error[script]: code: there is no function `filter`, which the window calls
             --> p.xml:4:26
              |
            4 | <window-filter name='w'><code>return true</code></window-filter>
              |                          ^^^^
              = in: project[p]/contquery[q]/window-filter[w]/code

            1 error, 0 warnings
        "#]],
    );
    let compute = |fields: &str, output: &str| {
        format!(
            "<window-compute name='w'>\n<expr-initialize><initializer type='int64'/></expr-initialize>\
             <schema-string>{fields}</schema-string>\n<output>\n{output}\n</output></window-compute>"
        )
    };
    window(
        &compute("id*:int64,a:double,b:double", "<field-expr>temp</field-expr>"),
        expect![[r#"
        error[expression-count]: `output` has 1 expression, the schema has 2 non-key fields
         --> p.xml:6:2
          |
        6 | <output>
          |  ^^^^^^
          = in: project[p]/contquery[q]/window-compute[w]/output
          = help: one field-expr per non-key field, in this order: a, b

        1 error, 0 warnings
    "#]],
    );
    window(
        &compute("id*:int64,a:array(dbl)", "<field-expr>temp</field-expr>"),
        expect![[r#"
        error[field-type]: the expression gives real, field `a` has type array(dbl)
         --> p.xml:7:13
          |
        7 | <field-expr>temp</field-expr>
          |             ^^^^
          = in: project[p]/contquery[q]/window-compute[w]/output/field-expr
          = help: change the type of the field, or convert

        1 error, 0 warnings
    "#]],
    );
    window(
        &compute("id*:int64,a:stamp", "<field-expr>temp > 3</field-expr>"),
        expect![[r#"
        error[field-type]: the expression gives boolean, field `a` has type stamp
         --> p.xml:7:13
          |
        7 | <field-expr>temp > 3</field-expr>
          |             ^^^^^^^^
          = in: project[p]/contquery[q]/window-compute[w]/output/field-expr
          = help: change the type of the field, or convert

        1 error, 0 warnings
    "#]],
    );
    window(
        &compute("key*:int64,a:double", "<field-expr>temp</field-expr>"),
        expect![[r#"
        error[unknown-key]: key field `key` does not exist in the input
         --> p.xml:5:78
          |
        5 | <expr-initialize><initializer type='int64'/></expr-initialize><schema-string>key*:int64,a:double</schema-string>
          |                                                                              ^^^
          = in: project[p]/contquery[q]/window-compute[w]
          = help: known: id, temp, name, at

        1 error, 0 warnings
    "#]],
    );
    window(
        &compute("id*:int32,a:double", "<field-expr>temp</field-expr>"),
        expect![[r#"
        error[field-type]: key field `id` has type int32, but int64 in the input
         --> p.xml:5:78
          |
        5 | <expr-initialize><initializer type='int64'/></expr-initialize><schema-string>id*:int32,a:double</schema-string>
          |                                                                              ^^
          = in: project[p]/contquery[q]/window-compute[w]
          = help: give it type int64: keys are copied

        1 error, 0 warnings
    "#]],
    );
    window(
        &compute("id*:int64,a:double", "<field-expr name='b'>temp</field-expr>"),
        expect![[r#"
        error[expression-order]: this expression is for field `a`, but is named `b`
         --> p.xml:7:19
          |
        7 | <field-expr name='b'>temp</field-expr>
          |                   ^
          = in: project[p]/contquery[q]/window-compute[w]/output/field-expr[b]
          = help: expressions stand in schema order, one per non-key field

        1 error, 0 warnings
    "#]],
    );
    let counting = compute("id*:int64,a:double", "<field-expr>temp</field-expr>")
        .replace("<initializer type='int64'/>", "<initializer type='int64'>integer n n=0</initializer>");
    window(
        &counting,
        expect![[r#"
            0 errors, 0 warnings
        "#]],
    );
}

#[test]
fn functions() {
    let functional = |fields: &str, functions: &str| {
        format!(
            "<window-functional name='w'><schema-string>{fields}</schema-string>\n<function-context><functions>\n\
             {functions}\n</functions></function-context></window-functional>"
        )
    };
    window(
        &functional("id*:int64,n:int64", "<function name='m'>eventCounter()</function>"),
        expect![[r#"
        error[unknown-field]: `function` names field `m`, which does not exist
         --> p.xml:6:17
          |
        6 | <function name='m'>eventCounter()</function>
          |                 ^ no such field
          = in: project[p]/contquery[q]/window-functional[w]/function-context/function[m]
          = help: did you mean `n`? known: id, n

        1 error, 0 warnings
    "#]],
    );
    window(
        &functional("id*:int64,n:string", "<function name='n'>eventCounter()</function>"),
        expect![[r#"
            0 errors, 0 warnings
        "#]],
    );
    window(
        &functional("id*:int64,n:int64", "<function name='n'>timeCurrent()</function>"),
        expect![[r#"
            0 errors, 0 warnings
        "#]],
    );
    window(
        &functional("id*:int64,n:int64", "<function name='n'>sum($temp,$tmp,)</function>"),
        expect![[r#"
            error[expression]: `tmp` is no field of the input or of this window
             --> p.xml:6:31
              |
            6 | <function name='n'>sum($temp,$tmp,)</function>
              |                               ^^^
              = in: project[p]/contquery[q]/window-functional[w]/function-context/function[n]
              = help: did you mean `temp`? known: id, temp, name, at, n

            1 error, 0 warnings
        "#]],
    );
    window(
        &functional("id*:int64,n:int64,temp:int32", "<function name='n'>1</function>"),
        expect![[r#"
        error[field-type]: field `temp` has type int32, but is copied from a field of type double
         --> p.xml:4:62
          |
        4 | <window-functional name='w'><schema-string>id*:int64,n:int64,temp:int32</schema-string>
          |                                                              ^^^^
          = in: project[p]/contquery[q]/window-functional[w]
          = help: give it type double, or convert it in a compute window

        1 error, 0 warnings
    "#]],
    );
    window(
        &functional("id*:int64,n:int64,humid:double", "<function name='n'>1</function>"),
        expect![[r#"
        warning[empty-field]: nothing fills field `humid`, it will always be null
         --> p.xml:4:62
          |
        4 | <window-functional name='w'><schema-string>id*:int64,n:int64,humid:double</schema-string>
          |                                                              ^^^^^
          = in: project[p]/contquery[q]/window-functional[w]
          = help: compute it, or name it like the input field it copies; known: id, temp, name, at

        0 errors, 1 warning
    "#]],
    );
    let loops = "<window-functional name='w'><schema-string>id*:int64</schema-string>\
        <event-loops><event-loop-json name='l'/></event-loops></window-functional>";
    window(
        loops,
        expect![[r#"
            error[event-loop]: `event-loop-json` has no `use-json`
             --> p.xml:4:83
              |
            4 | e='w'><schema-string>id*:int64</schema-string><event-loops><event-loop-json name='l'/></event-loops></window-functional>
              |                                                             ^^^^^^^^^^^^^^^
              = in: project[p]/contquery[q]/window-functional[w]/event-loops/event-loop-json[l]

            error[event-loop]: `event-loop-json` has no `json`
             --> p.xml:4:83
              |
            4 | e='w'><schema-string>id*:int64</schema-string><event-loops><event-loop-json name='l'/></event-loops></window-functional>
              |                                                             ^^^^^^^^^^^^^^^
              = in: project[p]/contquery[q]/window-functional[w]/event-loops/event-loop-json[l]

            2 errors, 0 warnings
        "#]],
    );
}

#[test]
fn summary() {
    let summary = |length: &str, input: &str, output: &str| {
        format!(
            "<window-calculate name='w' algorithm='Summary'><schema-string>id*:int64,mean:double</schema-string>\n\
             <parameters><properties><property name='windowLength'>{length}</property></properties></parameters>\n\
             <input-map><properties><property name='input'>{input}</property></properties></input-map>\n\
             <output-map><properties>{output}</properties></output-map></window-calculate>"
        )
    };
    let mean = "<property name='meanOut'>mean</property>";
    window(
        &summary("many", "temp", mean),
        expect![[r#"
        error[bad-value]: `windowLength` is `many`, expected a number of events from 0 (= since the start) to 10000000
         --> p.xml:5:55
          |
        5 | <parameters><properties><property name='windowLength'>many</property></properties></parameters>
          |                                                       ^^^^
          = in: project[p]/contquery[q]/window-calculate[w]/parameters/property[windowLength]

        1 error, 0 warnings
    "#]],
    );
    window(
        &summary("20", "temperature", mean),
        expect![[r#"
        error[unknown-field]: `input` names field `temperature`, which does not exist
         --> p.xml:6:47
          |
        6 | <input-map><properties><property name='input'>temperature</property></properties></input-map>
          |                                               ^^^^^^^^^^^ no such field
          = in: project[p]/contquery[q]/window-calculate[w]/input-map/property[input]
          = help: known: id, temp, name, at

        1 error, 0 warnings
    "#]],
    );
    window(
        &summary("20", "name", mean),
        expect![[r#"
        error[field-type]: Summary needs a number, field `name` has type string
         --> p.xml:6:47
          |
        6 | <input-map><properties><property name='input'>name</property></properties></input-map>
          |                                               ^^^^
          = in: project[p]/contquery[q]/window-calculate[w]/input-map/property[input]
          = help: name a field of type int32, int64, double or money

        1 error, 0 warnings
    "#]],
    );
    window(
        &summary("20", "temp", "<property name='meanOt'>mean</property>"),
        expect![[r#"
            error[unknown-statistic]: Summary has no output `meanOt`
             --> p.xml:7:41
              |
            7 | <output-map><properties><property name='meanOt'>mean</property></properties></output-map></window-calculate>
              |                                         ^^^^^^
              = in: project[p]/contquery[q]/window-calculate[w]/output-map/property[meanOt]
              = help: did you mean `meanOut`? known: nOut, nmissOut, minOut, maxOut, sumOut, meanOut, stdOut, varOut, cssOut, ussOut, stderrOut, cvOut, lclmOut, uclmOut, skewnessOut, kurtosisOut, tValueOut, probtOut

            1 error, 0 warnings
        "#]],
    );
    window(
        &summary("20", "temp", "<property name='skewnessOut'>mean</property>"),
        expect![[r#"
            0 errors, 0 warnings
        "#]],
    );
    window(
        &summary("20", "temp", "<property name='meanOut'>maen</property>"),
        expect![[r#"
        error[unknown-field]: `meanOut` names field `maen`, which does not exist
         --> p.xml:7:50
          |
        7 | <output-map><properties><property name='meanOut'>maen</property></properties></output-map></window-calculate>
          |                                                  ^^^^ no such field
          = in: project[p]/contquery[q]/window-calculate[w]/output-map/property[meanOut]
          = help: did you mean `mean`? known: id, mean

        1 error, 0 warnings
    "#]],
    );
    window(
        &summary("20", "temp", "<property name='meanOut'>id</property>"),
        expect![[r#"
        error[field-type]: a statistic cannot be put into field `id`, which is a key
         --> p.xml:7:50
          |
        7 | <output-map><properties><property name='meanOut'>id</property></properties></output-map></window-calculate>
          |                                                  ^^
          = in: project[p]/contquery[q]/window-calculate[w]/output-map/property[meanOut]
          = help: use a non-key field of type double, int64, int32 or money

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-calculate name='w' algorithm='KMEANS'/>",
        expect![[r#"
        error[no-schema]: window `w` has no schema
         --> p.xml:4:2
          |
        4 | <window-calculate name='w' algorithm='KMEANS'/>
          |  ^^^^^^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-calculate[w]
          = help: add <schema-string>id*:int64,value:double</schema-string> (`*` marks the key)

        1 error, 0 warnings
    "#]],
    );
    window(
        "<window-calculate name='w' algorithm='Sumary'/>",
        expect![[r#"
        error[no-schema]: window `w` has no schema
         --> p.xml:4:2
          |
        4 | <window-calculate name='w' algorithm='Sumary'/>
          |  ^^^^^^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-calculate[w]
          = help: add <schema-string>id*:int64,value:double</schema-string> (`*` marks the key)

        1 error, 0 warnings
    "#]],
    );
}

#[test]
fn connectors() {
    let kafka = |properties: &[(&str, &str)]| {
        let properties: String =
            properties.iter().map(|(name, value)| format!("<property name='{name}'>{value}</property>\n")).collect();
        format!(
            "<window-copy name='w'><connectors><connector class='kafka' name='out'><properties>\n\
             <property name='type'>sub</property>\n{properties}</properties></connector></connectors></window-copy>"
        )
    };
    let good = [("hotfailover", "true"), ("kafkatype", "binary"), ("zookeeperhostport", "zk:2181")];
    window(
        &kafka(&[("hotfailover", "true"), ("kafkatype", "binary")]),
        expect![[r#"
        error[failover]: hotfailover needs zookeeperhostport
         --> p.xml:6:17
          |
        6 | <property name='hotfailover'>true</property>
          |                 ^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]
          = help: add <property name="zookeeperhostport">host:2181</property>

        1 error, 0 warnings
    "#]],
    );
    window(
        &kafka(&[("hotfailover", "true"), ("kafkatype", "CSV"), ("zookeeperhostport", "zk:2181")]),
        expect![[r#"
        error[failover]: hotfailover needs kafkatype=binary, found CSV
         --> p.xml:6:17
          |
        6 | <property name='hotfailover'>true</property>
          |                 ^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]
          = help: only binary event blocks carry message ids; set kafkatype to binary

        1 error, 0 warnings
    "#]],
    );
    window(
        &kafka(&[good[0], good[1], good[2], ("kafkaconsumergroupid", "g")]),
        expect![[r#"
            error[failover]: kafkaconsumergroupid cannot be used with hotfailover
             --> p.xml:9:17
              |
            9 | <property name='kafkaconsumergroupid'>g</property>
              |                 ^^^^^^^^^^^^^^^^^^^^
              = in: project[p]/contquery[q]/window-copy[w]/connector[out]/property[kafkaconsumergroupid]
              = help: remove it: every engine reads the whole topic, so they cannot share it as a consumer group

            1 error, 0 warnings
        "#]],
    );
    window(
        &kafka(&[("kafkahostprot", "@BROKERS@")]),
        expect![[r#"
            warning[unknown-property-name]: kafka connectors have no property `kafkahostprot`, it is ignored
             --> p.xml:6:17
              |
            6 | <property name='kafkahostprot'>@BROKERS@</property>
              |                 ^^^^^^^^^^^^^
              = in: project[p]/contquery[q]/window-copy[w]/connector[out]/property[kafkahostprot]
              = help: did you mean `kafkahostport`? known: type, kafkahostport, kafkatopic, kafkapartition, kafkatype, urlhostport, dateformat, protofile, protomsg, useclientmsgid, kafkaconsumergroupid, configfilesection, kafkaglobalconfig, kafkatopicconfig, avroschemaregistryurl, avroschemanoopcode, kafkatransport, project, continuousquery, window, ...

            0 errors, 1 warning
        "#]],
    );
    window(
        &kafka(&[("kafkahostport", "@BROKER@")]),
        expect![[r#"
        warning[unknown-property]: property `BROKER` is not defined, `@BROKER@` stays as it is
         --> p.xml:6:32
          |
        6 | <property name='kafkahostport'>@BROKER@</property>
          |                                ^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]/property[kafkahostport]
          = help: did you mean `BROKERS`? define it in <properties>, or pass it when the project is deployed (BROKER=...); known: BROKERS

        0 errors, 1 warning
    "#]],
    );
    window(
        &kafka(&[("numbufferedmsgs", "lots"), ("kafkapartition", "3")]),
        expect![[r#"
        error[bad-value]: `numbufferedmsgs` is `lots`, expected a number from 1
         --> p.xml:6:34
          |
        6 | <property name='numbufferedmsgs'>lots</property>
          |                                  ^^^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]/property[numbufferedmsgs]

        error[bad-value]: `kafkapartition` is `3`, expected 0: a topic has one partition, order exists only inside it
         --> p.xml:7:33
          |
        7 | <property name='kafkapartition'>3</property>
          |                                 ^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]/property[kafkapartition]

        2 errors, 0 warnings
    "#]],
    );
    window(
        &kafka(&good).replace("'sub'", "'x'").replace(">sub<", ">x<"),
        expect![[r#"
        error[bad-value]: `type` is `x`, expected `publish` or `subscribe`
         --> p.xml:5:23
          |
        5 | <property name='type'>x</property>
          |                       ^
          = in: project[p]/contquery[q]/window-copy[w]/connector[out]

        1 error, 0 warnings
    "#]],
    );
    window(
        &kafka(&[("hotfailover", "true")]).replace("name='out'", "name='out' active='false'"),
        expect![[r#"
        0 errors, 0 warnings
    "#]],
    );
    window(
        "<window-copy name='w'><connectors><connector class='fs' name='f' type='subscribe'/></connectors></window-copy>",
        expect![[r#"
        warning[connector-not-started]: connector `f` of class `fs` is not started: it has no property `fsname`, the file
         --> p.xml:4:53
          |
        4 | <window-copy name='w'><connectors><connector class='fs' name='f' type='subscribe'/></connectors></window-copy>
          |                                                     ^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[f]
          = help: read the window's output topic with a subscriber adapter; active="false" silences this

        0 errors, 1 warning
    "#]],
    );
    window(
        "<window-copy name='w'><connectors><connector class='kafka' name='f' type='publish'/></connectors></window-copy>",
        expect![[r#"
        error[connector-direction]: a publish connector on a window that is no source
         --> p.xml:4:36
          |
        4 | <window-copy name='w'><connectors><connector class='kafka' name='f' type='publish'/></connectors></window-copy>
          |                                    ^^^^^^^^^
          = in: project[p]/contquery[q]/window-copy[w]/connector[f]
          = help: events enter through source windows; move it there, or set type="subscribe"

        1 error, 0 warnings
    "#]],
    );
}

#[test]
fn a_group_id_of_the_publish_connector_is_refused_with_failover_anywhere() {
    let source = SOURCE.replace(
        "</window-source>",
        "<connectors><connector class='kafka' name='in' type='publish'><properties>\n<property name='kafkatype'>binary</property>\
         <property name='kafkaconsumergroupid'>group</property></properties></connector></connectors></window-source>",
    );
    let out = "<window-copy name='w'><connectors><connector class='kafka' name='out' type='subscribe'><properties>\
        <property name='kafkatype'>binary</property><property name='zookeeperhostport'>zk:2181</property>\
        <property name='hotfailover'>true</property></properties></connector></connectors></window-copy>";
    let xml = project(out, EDGE).replace(SOURCE, &source);
    whole(
        &xml,
        expect![[r#"
        error[failover]: kafkaconsumergroupid cannot be used with hotfailover
         --> p.xml:4:61
          |
        4 | <property name='kafkatype'>binary</property><property name='kafkaconsumergroupid'>group</property></properties></connect
          |                                                             ^^^^^^^^^^^^^^^^^^^^
          = in: project[p]/contquery[q]/window-source[src]/connector[in]/property[kafkaconsumergroupid]
          = help: remove it: every engine reads the whole topic, so they cannot share it as a consumer group

        1 error, 0 warnings
    "#]],
    );
    let off = xml.replace(">true<", ">false<");
    assert!(parse_project(&off, "p.xml", &BTreeMap::new()).is_ok(), "without failover a group is allowed");
}

#[test]
fn files_that_are_no_projects() {
    whole(
        "<project name='p'>\n  <contqueries>\n</project>",
        expect![[r#"
        error[malformed-xml]: this is not well-formed XML: expected 'contqueries' tag, not 'project'
         --> p.xml:3:1
          |
        3 | </project>
          | ^
          = help: every <element> needs its </element>, `&` is written `&amp;` and `<` is written `&lt;` outside CDATA

        1 error, 0 warnings
    "#]],
    );
    whole(
        "<projct name='p'/>",
        expect![[r#"
            error[unknown-root]: the root element is `projct`, expected `project`, `engine`, `contquery` or `template`
             --> p.xml:1:2
              |
            1 | <projct name='p'/>
              |  ^^^^^^
              = in: projct[p]
              = help: did you mean `project`? known: project, engine, contquery, template

            1 error, 0 warnings
        "#]],
    );
    whole(
        "<project/>",
        expect![[r#"
        error[missing-attribute]: `project` has no attribute `name`
         --> p.xml:1:2
          |
        1 | <project/>
          |  ^^^^^^^
          = in: project
          = help: add name="..."

        error[no-query]: the project has no continuous query
         --> p.xml:1:2
          |
        1 | <project/>
          |  ^^^^^^^
          = in: project
          = help: add <contqueries><contquery name="...">...</contquery></contqueries>

        2 errors, 0 warnings
    "#]],
    );
    whole(
        "<engine port='1'/>",
        expect![[r#"
        error[no-project]: `engine` holds no project
         --> p.xml:1:2
          |
        1 | <engine port='1'/>
          |  ^^^^^^
          = help: add <projects><project name="...">...</project></projects>

        1 error, 0 warnings
    "#]],
    );
    whole(
        "<project name='p' heartbeat-interval='0'><contqueries><contquery name='q'/></contqueries></project>",
        expect![[r#"
        error[bad-value]: `heartbeat-interval` is `0`, expected a number of seconds from 0.001 to 86400
         --> p.xml:1:39
          |
        1 | <project name='p' heartbeat-interval='0'><contqueries><contquery name='q'/></contqueries></project>
          |                                       ^
          = in: project[p]

        error[no-window]: the continuous query has no window
         --> p.xml:1:56
          |
        1 | <project name='p' heartbeat-interval='0'><contqueries><contquery name='q'/></contqueries></project>
          |                                                        ^^^^^^^^^
          = in: project[p]/contquery[q]
          = help: add <windows><window-source name="...">...</window-source></windows>

        2 errors, 0 warnings
    "#]],
    );
    whole(
        "",
        expect![[r#"
        error[malformed-xml]: this is not well-formed XML: the document does not have a root node
         --> p.xml:1:1
          |
        1 | 
          | ^
          = help: every <element> needs its </element>, `&` is written `&amp;` and `<` is written `&lt;` outside CDATA

        1 error, 0 warnings
    "#]],
    );
    whole(
        "<!DOCTYPE x [<!ENTITY a 'b'>]><project name='p'/>",
        expect![[r#"
        error[malformed-xml]: this is not well-formed XML: XML with DTD detected
         --> p.xml:1:1
          |
        1 | <!DOCTYPE x [<!ENTITY a 'b'>]><project name='p'/>
          | ^
          = help: remove the <!DOCTYPE ...>: projects do not need one

        1 error, 0 warnings
    "#]],
    );
    let script = format!(
        "<project name='p'><python-modules><python-module name='m'/></python-modules>{}",
        &project("", "")[18..]
    );
    whole(
        &script,
        expect![[r#"
            error[not-supported]: not supported yet: `python-modules`, because the engine runs expressions and the Lua code of windows and modules only
             --> p.xml:1:20
              |
            1 | <project name='p'><python-modules><python-module name='m'/></python-modules><contqueries><contquery name='q'>
              |                    ^^^^^^^^^^^^^^
              = in: project[p]/python-modules
              = help: express the step with EEL in a compute window, or in a Lua window

            1 error, 0 warnings
        "#]],
    );
}

#[test]
fn a_project_in_the_shape_of_the_public_samples_is_read_unchanged() {
    let xml = "<project name=\"meter1\" threads=\"2\" pubsub=\"auto\" heartbeat-interval=\"1\">
  <description><![CDATA[A <sample> & its description]]></description>
  <metadata><meta id=\"studioUploadedBy\">nobody</meta><meta id=\"layout\">{\"cq1\":{\"in\":{\"x\":160,\"y\":-345}}}</meta></metadata>
  <properties><property name=\"HOST\">@BROKERS@</property></properties>
  <contqueries><contquery name=\"cq1\"><windows>
    <window-source pubsub=\"true\" index=\"pi_EMPTY\" insert-only=\"true\" autogen-key=\"true\" name=\"in\">
      <schema><fields><field name=\"k\" type=\"int64\" key=\"true\"/><field name=\"load\" type=\"double\"/></fields></schema>
      <connectors><connector class=\"kafka\" name=\"kafka_IN\"><properties>
        <property name=\"type\"><![CDATA[pub]]></property>
        <property name=\"dateformat\"><![CDATA['%Y-%m-%d %H:%M:%S]]></property>
        <property name=\"kafkaglobalconfig\"><![CDATA[enable.sparse.connections=false]]></property>
        <property name=\"useoffsetmsgid\"><![CDATA[true]]></property>
        <property name=\"kafkahostport\"><![CDATA[@HOST@]]></property>
        <property name=\"kafkatype\"><![CDATA[binary]]></property>
      </properties></connector></connectors>
    </window-source>
    <window-compute pubsub=\"true\" name=\"out\">
      <expr-initialize><initializer type=\"int64\"/></expr-initialize>
      <schema><fields><field name=\"k\" type=\"int64\" key=\"true\"/><field name=\"n\" type=\"int64\"/><field name=\"sum\" type=\"int64\"/></fields></schema>
      <output><field-expr><![CDATA[n]]></field-expr><field-expr><![CDATA[ sum ]]></field-expr></output>
    </window-compute>
    <window-copy pubsub=\"true\" name=\"keep\"><retention type=\"bytime_sliding\"><![CDATA[30 minutes]]></retention></window-copy>
    <window-calculate pubsub=\"true\" algorithm=\"Summary\" name=\"sums\">
      <schema><fields><field name=\"k\" type=\"int64\" key=\"true\"/><field name=\"sum\" type=\"int64\"/><field name=\"n\" type=\"int64\"/></fields></schema>
      <parameters><properties><property name=\"windowLength\"><![CDATA[20]]></property><property name=\"alpha\">0.05</property></properties></parameters>
      <input-map><properties><property name=\"input\"><![CDATA[load]]></property></properties></input-map>
      <output-map><properties><property name=\"sumOut\"><![CDATA[sum]]></property></properties></output-map>
    </window-calculate>
    <window-functional pubsub=\"true\" name=\"numbers\">
      <schema><fields><field name=\"k\" type=\"int64\" key=\"true\"/><field name=\"load\" type=\"double\"/><field name=\"n\" type=\"int64\"/></fields></schema>
      <function-context><functions><function name=\"n\"><![CDATA[eventCounter()]]></function></functions></function-context>
    </window-functional>
  </windows><edges>
    <edge source=\"in\" target=\"keep\"/>
    <edge source=\"sums\" target=\"out\"/>
    <edge source=\"keep\" target=\"numbers\"/>
    <edge source=\"numbers\" target=\"sums\" role=\"data\"/>
  </edges></contquery></contqueries>
</project>";
    let checked = match parse_project(xml, "p.xml", &properties()) {
        Ok(checked) => checked,
        Err(problems) => panic!("{problems}"),
    };
    assert_eq!(checked.warnings.count(Severity::Warning), 0, "{}", checked.warnings);
    let query = &checked.project.queries[0];
    let names: Vec<&str> = query.windows.iter().map(|window| window.name.as_str()).collect();
    assert_eq!(names, ["in", "keep", "numbers", "sums", "out"]);
    let connector = &query.windows[0].connectors[0];
    assert_eq!(connector.property("kafkahostport"), Some("localhost:9092"), "properties may name properties");
    assert_eq!(connector.property("dateformat"), Some("'%Y-%m-%d %H:%M:%S"));
}

#[test]
fn a_broken_edge_hides_nothing_behind_it() {
    let xml = project(
        "<window-filter name='f'><expression>tmp > 3</expression></window-filter>
<window-aggregate name='g'><schema-string>name*:string,n:int64,s:double</schema-string><output>
<field-expr>ESP_aCount()</field-expr><field-expr>ESP_aSum(temperature)</field-expr></output></window-aggregate>
<window-join name='j'><join type='left'><conditions><fields left='name' right='nam'/></conditions></join></window-join>
<window-pattern name='p'><schema-string>k*:int64,at:stamp</schema-string><patterns><pattern><events>
<event name='a' source='src'>temp > 3</event></events><logic>fby(a, b)</logic><output><field-selection node='a' name='at'/>
</output></pattern></patterns></window-pattern>
<window-geofence name='geo'><position x-fieldname='temp'/><geometry x-fieldname='temp' y-fieldname='name'/>
</window-geofence>",
        "<edge source='scr' target='f'/><edge source='f' target='g'/><edge source='g' target='g'/>
<edge source='src g' target='j'/><edge source='src' target='p'/><edge source='src f' target='geo'/>",
    );
    let found: Vec<String> =
        problems(&xml).0.iter().map(|problem| format!("{} {}", problem.line, problem.headline)).collect();
    expect![[r#"
        4 `tmp` is neither a field nor a variable
        6 `temperature` is neither a field nor a variable
        7 `type` is `left`, expected a join type
        7 `right` names field `nam`, which does not exist
        9 `b` is not an event of the pattern
        11 `position` has no attribute `y-fieldname`
        11 `y-fieldname` names field `name` of type string, expected a number
        15 edge source `scr` is not a window of query `q`
        15 the edges form a cycle: g -> g"#]]
    .assert_eq(&found.join("\n"));
}

#[test]
fn sockets_of_documents_are_not_read() {
    let fs = |fsname: &str, format: &str| {
        let xml = format!(
            "<project name='p' pubsub='auto'><contqueries><contquery name='q'><windows><window-source name='src' insert-only='true' index='pi_EMPTY'>\
             <schema-string>id*:int64</schema-string><connectors><connector class='fs' name='f' type='pub'><properties>\
             <property name='fsname'>{fsname}</property><property name='fstype'>{format}</property></properties>\
             </connector></connectors></window-source></windows></contquery></contqueries></project>"
        );
        problems(&xml).0.iter().map(|problem| problem.headline.clone()).collect::<Vec<_>>()
    };
    for (address, format) in [(":5555", "json"), ("feed:5555", "xml")] {
        expect![[r#"connector `f` of class `fs` is not started: `fstype` is `F`, engines read csv from sockets; send csv, or name a file"#]]
            .assert_eq(&fs(address, format).join("\n").replace(&format!("`{format}`"), "`F`"));
    }
    assert_eq!((fs(":5555", "csv"), fs("in.json", "json")), (vec![], vec![]));
}

#[test]
fn connectors_start_in_groups() {
    let xml = "<project name='p'><project-connectors><connector-groups>
<connector-group name='g1'><connector-entry connector='q/src/c' state='finished'/></connector-group>
<connector-group name='g2'><connector-entry connector='q/src/d' state='runing'/></connector-group></connector-groups>
<edges><edge source='g1' target='g2 g3'/></edges></project-connectors><contqueries><contquery name='q'><windows>
<window-source name='src'><schema-string>id*:int64</schema-string><connectors><connector name='c' class='fs' type='pub'
 active='false'/></connectors></window-source></windows></contquery></contqueries></project>";
    let found: Vec<String> =
        problems(xml).0.iter().map(|problem| format!("{} {}", problem.line, problem.headline)).collect();
    expect![[r#"
        3 there is no connector `q/src/d`
        3 `state` is `runing`, expected a state
        4 edge target `g3` is not a connector group"#]]
    .assert_eq(&found.join("\n"));
    let kafka = xml.replace("class='fs' type='pub'\n active='false'", "class='kafka' type='pub'").replace(" g3", "");
    let warned: Vec<String> = problems(&kafka.replace("runing", "running").replace("src/d", "src/c"))
        .0
        .iter()
        .map(|problem| format!("{} {}", problem.line, problem.headline))
        .collect();
    expect![[r#"
        1 engines start kafka connectors at once: the order of groups is for connectors that they run themselves
        5 source window `src` keeps every row forever
        5 useoffsetmsgid is off; message ids are the offsets of the input topic anyway"#]]
    .assert_eq(&warned.join("\n"));
    let fine = xml.replace("runing", "running").replace(" g3", "").replace("src/d", "src/c");
    let order = parse_project(&fine, "p.xml", &properties()).unwrap().project.start_order;
    assert_eq!((order.groups.len(), order.edges), (2, vec![(0, 1)]));
    assert_eq!(order.groups[0].entries[0].state, mesh_model::ConnectorState::Finished);
}

#[test]
fn a_template_is_a_root() {
    let xml = "<template tag='t' input-windows='s' output-windows='c'><required-parameter-map><properties>
<property name='LIMIT'>7</property></properties></required-parameter-map><windows><window-source name='s'><schema-string>
id*:int64</schema-string></window-source><window-copy name='c'><retention type='bycount_sliding'>@LIMIT@</retention>
</window-copy></windows><edges><edge source='s' target='c'/></edges></template>";
    let project = parse_project(xml, "t.xml", &properties()).unwrap().project;
    assert_eq!((project.name.as_str(), project.queries[0].windows.len()), ("t", 2));
    assert!(format!("{:?}", project.queries[0].windows[1].retention).contains("n: 7"));
}
