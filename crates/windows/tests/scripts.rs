//! Lua in windows: what goes in, what comes out, what is told.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::sync::Arc;

use mesh_event::{Block, Schema};
use mesh_windows::{Executor, OutputBlock};
use support::scenario::project;
use support::{block, pretty, schema};

/// The schema of the sources of a scenario.
fn input() -> Arc<Schema> {
    schema(support::random::SCHEMA)
}

fn outputs(executor: &mut Executor, blocks: &[Block]) -> Vec<String> {
    let mut sink: Vec<OutputBlock> = Vec::new();
    executor.apply(0, blocks, &mut sink);
    let last = executor.outputs().iter().position(|output| output.window == "l");
    sink.iter().filter(|out| Some(out.output) == last).map(|out| pretty(&out.block)).collect()
}

fn lua(attributes: &str, schema: &str, parts: &str) -> Executor {
    let window =
        format!("<window-lua name='l' {attributes}><schema-string>{schema}</schema-string>{parts}</window-lua>");
    Executor::new(project("", &window, "<edge source='a' target='l'/>"))
}

#[test]
fn one_event_several_or_none() {
    let code = "<copy exclude='true'>at</copy><code>local made = 0
        function create(data, context)
          if data.x == nil then return nil end
          made = made + 1
          if data.x > 10 then return { { n = made }, { id = data.id + 100, n = made, _opcode = 'upsert' } } end
          return { n = made, name = data.name .. '!' }
        end</code>";
    let mut executor = lua("", "id*:int64,name:string,n:int64,x:double", code);
    let blocks = [block(&input(), "I 1 a 0 5; I 2 b 0 .; I 3 c 0 20"), block(&input(), "U 1 aa 0 7; D 3 . 0 .")];
    let made = outputs(&mut executor, &blocks);
    assert_eq!(made, ["I 1 a! 1 5; I 3 c 2 20; P 103 c 2 20", "U 1 aa! 3 7; D 3 c 4 20; P 103 c 4 20"]);
    assert_eq!(executor.take_messages(), []);
}

#[test]
fn errors_drop_the_event_are_counted_and_told_with_their_line() {
    let code = "<code>function create(data)
          if data.id == 1 then local x = nil return { id = x.y } end
          print('seen', data.id)
          return { id = data.id, n = data.name }
        end</code>";
    let mut executor = lua("", "id*:int64,n:int64", code);
    let made = outputs(&mut executor, &[block(&input(), "I 1 12 0 1; I 2 12 0 1; I 3 b 0 1")]);
    assert_eq!(made, ["I 2 12; I 3 ."]);
    let at = executor.window_names().iter().position(|name| name.ends_with("/l")).unwrap();
    assert_eq!(executor.stats()[at].expression_errors, 2);
    let told: Vec<(usize, String)> = executor.take_messages();
    let texts: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
    assert!(told.iter().all(|(window, _)| *window == at));
    assert_eq!(texts[..2], ["seen\t2", "seen\t3"]);
    assert!(texts[2].starts_with("script error: code line 2: attempt to index a nil value (local 'x')"), "{texts:?}");
    assert_eq!(texts[3], "script error: field `n` is int64, the script gives a string `b`");
}

#[test]
fn an_event_without_its_key_is_a_bad_event() {
    let mut executor = lua("", "id*:int64,n:int64", "<code>function create(data) return { n = 1 } end</code>");
    assert!(outputs(&mut executor, &[block(&input(), "I 1 a 0 1")]).is_empty());
    assert_eq!(executor.stats().iter().map(|stats| stats.bad_events).sum::<u64>(), 1);
}

#[test]
fn a_heartbeat_by_the_recorded_clock() {
    let code = "<code>local n = 0 function create() n = n + 1 end
        function beat() return { id = os.time(), n = n } end</code>";
    let mut executor = lua("heartbeat='beat'", "id*:int64,n:int64", code);
    outputs(&mut executor, &[block(&input(), "I 1 a 0 1; I 2 b 0 1")]);
    let mut sink = Vec::new();
    for clock in [1_000_000, 1_500_000, 2_000_000] {
        executor.tick(clock, &mut sink);
    }
    let made: Vec<String> = sink.iter().map(|out| pretty(&out.block)).collect();
    assert_eq!(made, ["I 1 2", "I 2 2"]);
    assert_eq!(executor.next_deadline_us(), Some(3_000_000));
}

#[test]
fn only_used_fields_are_handed_over_and_json_fields_are_read() {
    let code = "<use>id</use><code>function create(data)
          local list, out = esp_parseJsonFrom('name'), {}
          for i, item in ipairs(list) do out[i] = { id = item.k, t = tostring(data.name) .. item.v } end
          return out
        end</code>";
    let mut executor = lua("", "id*:int64,t:string", code);
    let made = outputs(&mut executor, &[block(&input(), "I 1 [{k:1,v:'x'},{k:2,v:'y'}] 0 1")]);
    assert_eq!(made, ["I 1 nilx; I 2 nily"]);
}
