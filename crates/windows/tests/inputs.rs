//! Windows that tell their inputs apart: what becomes of events of each, in which order.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use mesh_event::Block;
use mesh_windows::{Executor, OutputBlock};
use support::scenario::project;
use support::{block, pretty, schema};

/// Rows of a source: `I id name at x`.
fn rows(text: &str) -> Block {
    block(&schema(support::random::SCHEMA), text)
}

/// What window `w` puts out for blocks of the sources `a` (0) and `b` (1), block by block.
fn outputs(executor: &mut Executor, blocks: &[(usize, Block)]) -> Vec<String> {
    let at = executor.outputs().iter().position(|output| output.window == "w").unwrap();
    let mut made = Vec::new();
    for (source, block) in blocks {
        let mut sink: Vec<OutputBlock> = Vec::new();
        executor.apply(*source, std::slice::from_ref(block), &mut sink);
        let of_window = sink.iter().filter(|out| out.output == at);
        made.push(of_window.map(|out| pretty(&out.block)).collect::<Vec<_>>().join(" | "));
    }
    made
}

const TWICE: &str = "<window-compute name='c'><schema-string>id*:int64,y:double</schema-string><output>
    <field-expr>x * 2</field-expr></output></window-compute>";

#[test]
fn functions_of_different_inputs_share_counters() {
    let windows = format!(
        "{TWICE}<window-functional name='w'><schema-string>n*:int64,from:string,x:double,y:double,at:stamp</schema-string>
        <function-context><functions><function name='n'>eventCounter()</function><function name='from'>input()</function>
        <function name='y'>if(isNull($y), $x, $y)</function></functions></function-context></window-functional>"
    );
    // `a` reaches the window twice: by itself, and through `c`, which comes first.
    let mut executor =
        Executor::new(project("", &windows, "<edge source='a' target='c'/><edge source='c a b' target='w'/>"));
    let blocks = [(0, rows("I 1 one 5 2; I 2 two 6 3")), (1, rows("I 7 b 9 4"))];
    let made = outputs(&mut executor, &blocks);
    assert_eq!(made[0], "I 1 c . 4 .; I 2 a 2 2 5; I 3 c . 6 .; I 4 a 3 3 6", "event by event, edge by edge");
    assert_eq!(made[1], "I 5 b 4 4 9");
}

#[test]
fn scripts_learn_which_window_an_event_comes_from() {
    let windows = format!(
        "{TWICE}<window-lua name='w'><schema-string>n*:int64,from:string,y:double,name:string</schema-string>
        <use>id,x,y</use><copy>y,name</copy><code>local n = 0 function create(e, context) n = n + 1
        assert(e.name == nil) return {{ n = n, from = context.input .. ' ' .. (e.x or 'none') }} end</code></window-lua>"
    );
    let mut executor =
        Executor::new(project("", &windows, "<edge source='a' target='c'/><edge source='c b' target='w'/>"));
    let blocks = [(0, rows("I 1 one 5 2")), (1, rows("I 7 b 9 4")), (0, rows("U 1 one 5 3"))];
    let made = outputs(&mut executor, &blocks);
    assert_eq!(made, ["I 1 c none 4 .", "I 2 b 4.0 . b", "U 3 c none 6 ."]);
}

#[test]
fn a_function_without_parameters_finds_the_event_in_data() {
    let window = "<window-lua name='w' events='make'><schema-string>id*:int64,n:int64</schema-string><code>
        local best = {} function make() local own = best[data.name] or 0 context.calls = (context.calls or 0) + 1
        if data.x > own then best[data.name] = data.x return { id = data.id, n = context.calls } end end</code></window-lua>";
    let mut executor = Executor::new(project("", window, "<edge source='a' target='w'/>"));
    let made = outputs(&mut executor, &[(0, rows("I 1 a 0 2; I 2 a 0 1; I 3 a 0 3"))]);
    assert_eq!(made, ["I 1 1; I 3 3"]);
    assert_eq!(executor.take_messages(), []);
}

#[test]
fn events_that_cannot_be_applied_are_told_and_the_rest_goes_on() {
    let mut executor = Executor::new(project("", "<window-copy name='w'/>", "<edge source='a' target='w'/>"));
    let made = outputs(&mut executor, &[(0, rows("I 1 a 0 2; I 1 b 0 2; U 2 c 0 1; D 3 . . .; I . d 0 1; I 4 e 0 1"))]);
    assert_eq!(made, ["I 1 a 0 2; I 4 e 0 1"]);
    let told: Vec<String> = executor.take_bad_events().into_iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(
        told,
        [
            "bad event, its key is null: I,N, ,d,0,1.000000",
            "bad event, an insert of a key that is there: I,N, 1,b,0,2.000000",
            "bad event, an update of a key that is not there: U,N, 2,c,0,1.000000",
            "bad event, a delete of a key that is not there: D,N, 3,,,",
        ]
    );
    assert_eq!(executor.stats()[0].bad_events, 4);
}

#[test]
fn a_bad_event_is_told_whole_though_nobody_reads_its_columns() {
    let windows = "<window-filter name='f' index='pi_EMPTY' pubsub='false'><expression>x >= 0</expression></window-filter>
        <window-copy name='c' pubsub='false'/><window-aggregate name='w'><schema-string>id*:int64,most:double</schema-string>
        <output><field-expr>ESP_aMax(x)</field-expr></output></window-aggregate>";
    let edges = "<edge source='a' target='f'/><edge source='f' target='c'/><edge source='c' target='w'/>";
    let mut executor = Executor::new(project("", windows, edges));
    let made = outputs(&mut executor, &[(0, rows("I 1 a 0 2; I 1 b 0 3; I 9 c 0 -1; I 2 c 0 4"))]);
    assert_eq!(made, ["I 1 2; I 2 4"]);
    let told: Vec<String> = executor.take_bad_events().into_iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(told, ["bad event, an insert of a key that is there: I,N, 1,b,0,3.000000"]);
}

#[test]
fn a_pattern_tells_a_bad_event_whole_though_it_reads_few_columns() {
    let windows =
        "<window-filter name='f' index='pi_EMPTY' pubsub='false'><expression>x >= 0</expression></window-filter>
        <window-pattern name='w'><schema-string>k*:int64,first:int64</schema-string><patterns><pattern><events>
        <event source='f' name='p'>x > 2</event></events><logic>p</logic><output><field-selection node='p' name='id'/>
        </output></pattern></patterns></window-pattern>";
    let edges = "<edge source='a' target='f'/><edge source='f' target='w'/>";
    let mut executor = Executor::new(project("", windows, edges));
    let made = outputs(&mut executor, &[(0, rows("I 1 a 0 1; I 2 b 0 3; I 3 c 0 -1; D 1 . . ."))]);
    assert_eq!(made, ["I 0 2"]);
    let told: Vec<String> = executor.take_bad_events().into_iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(told, ["bad event, a pattern takes inserts only: D,N, 1,a,0,1.000000"]);
}

#[test]
fn messages_go_out_once_in_their_time() {
    let window = "<window-notification name='w'><schema-string>id*:int64,name:string,x:double,who:string</schema-string>
        <function-context><functions><function name='who'>string('m-', $name)</function></functions></function-context>
        <smtp host='mail'/><delivery-channels><email name='loud' throttle-interval='10 microseconds'>
        <deliver>gt($x, 1)</deliver><email-info><sender>mesh</sender><recipients>$who@x.org</recipients>
        <subject>$name: $x$</subject></email-info><email-contents><text-content name='t'>it's $id, $nothing.</text-content>
        </email-contents></email><sms test='true'><deliver>equals($id, 3)</deliver><sms-info><sender>s</sender>
        <phone>$id</phone><gateway>g.org</gateway></sms-info></sms></delivery-channels></window-notification>";
    let mut executor = Executor::new(project("", window, "<edge source='a' target='w'/>"));
    let mut sink = Vec::new();
    executor.tick(100, &mut sink);
    let made = outputs(&mut executor, &[(0, rows("I 1 a 0 2; I 2 b 0 1; I 3 a 0 5; I 4 b 0 3"))]);
    let contents = |id: u32| format!(r#"[{{"type":"text","name":"t","content":"it's {id}, ."}}]"#);
    let expected = [
        format!("I 1 loud email mesh m-a@x.org a: 2$ . . {} 0", contents(1)),
        "I 2  sms s 3@g.org . . . [] 1".to_owned(),
        format!("I 3 loud email mesh m-b@x.org b: 3$ . . {} 0", contents(4)),
    ];
    assert_eq!(made, [expected.join("; ")]);
    // The same recipients get the next message when the interval is over, by the recorded clock.
    executor.tick(109, &mut sink);
    assert_eq!(outputs(&mut executor, &[(0, rows("U 1 a 0 3"))]), [""]);
    executor.tick(110, &mut sink);
    let made = outputs(&mut executor, &[(0, rows("U 1 a 0 4; D 1 . . ."))]);
    assert_eq!(made, [format!("I 4 loud email mesh m-a@x.org a: 4$ . . {} 0", contents(1))]);
}

#[test]
fn texts_of_expressions_are_as_long_as_the_window_says() {
    let run = |attribute: &str, text: &str| {
        let window = format!(
            "<window-compute name='w' {attribute}><schema-string>id*:int64,name:string,longer:string,n:int32</schema-string>
            <expr-initialize><initializer>integer seen</initializer></expr-initialize><output><field-expr>name</field-expr>
            <field-expr>seen = 1 return name &amp; '{text}'</field-expr><field-expr>len(name &amp; '{text}')</field-expr>
            </output></window-compute>"
        );
        let mut executor = Executor::new(project("", &window, "<edge source='a' target='w'/>"));
        outputs(&mut executor, &[(0, rows("I 1 abc 0 2"))])
    };
    assert_eq!(run("exp-max-string='5'", "\u{e4}\u{f6}"), ["I 1 abc abc\u{e4} 5"], "a copied field is no expression");
    assert_eq!(run("exp-max-string='6'", "\u{e4}\u{f6}"), ["I 1 abc abc\u{e4} 5"], "characters stay whole");
    let long = "x".repeat(2000);
    assert_eq!(run("", &long), [format!("I 1 abc abc{} 2003", "x".repeat(1021))]);
    assert_eq!(run("exp-max-string='0'", &long), [format!("I 1 abc abc{long} 2003")]);
}
