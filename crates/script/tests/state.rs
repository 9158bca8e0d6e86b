//! What a script remembers, and that nothing but its text, its calls and the recorded clock decides what it does.

use std::sync::Arc;

use mesh_event::{Block, Column, ColumnData, Flags, Opcode, Schema, Value};
use mesh_script::{Machine, Made, Module, Script, ScriptText};

fn script(code: &str) -> Script {
    try_script(code).unwrap_or_else(|error| panic!("{error}"))
}

fn try_script(code: &str) -> Result<Script, mesh_script::ScriptError> {
    Script::new(ScriptText { code: code.to_owned(), functions: vec!["f".to_owned()], ..ScriptText::default() })
}

fn block(ids: &[i64]) -> Block {
    let schema = Arc::new(Schema::parse("id*:int64").expect("a schema"));
    let column = Arc::new(Column::new(ColumnData::Int64(ids.to_vec())));
    Block::new(schema, vec![Opcode::Insert; ids.len()], vec![Flags::NORMAL; ids.len()], vec![column])
}

/// `out` of what `f` makes of each event.
fn run(machine: &mut Machine, ids: &[i64]) -> Vec<String> {
    let block = block(ids);
    let rows = machine.rows(&block.schema, None).expect("room");
    let schema = Schema::parse("id*:int64,out:string").expect("a schema");
    let output = machine.output(&schema, &[]).expect("room");
    let mut made = Vec::new();
    for row in 0..block.len() {
        match machine.event("f", (&rows, &block, row), &output) {
            Ok(events) => made.extend(events.iter().map(out)),
            Err(error) => made.push(format!("error: {error}")),
        }
    }
    made
}

fn out(made: &Made) -> String {
    match &made.values[1] {
        Some(Value::String(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn locals_of_the_outermost_block_tables_and_random_numbers_are_saved() {
    let code = "local n, seen = 0, {}\nlocal last = { self = nil }\nlast.self = last\n\
                local Account = {}\nAccount.__index = Account\nfunction Account:add(x) self.sum = self.sum + x end\n\
                local account = setmetatable({ sum = 0 }, Account)\n\
                function f(data, context)\n  n = n + 1\n  seen[#seen + 1] = data.id\n  seen['k' .. data.id % 7] = n\n  \
                account:add(data.id)\n  context.calls = (context.calls or 0) + 1\n  last.value = data.id\n  \
                local keys = {}\n  for k, v in pairs(seen) do keys[#keys + 1] = tostring(k) .. '=' .. tostring(v) end\n  \
                esp_setProperty('p', n)\n  \
                return { out = table.concat({ n, account.sum, context.calls, last.self.value, math.random(1000), \
                esp_getGuids(1)[1], esp_getProperty('p'), table.concat(keys, ' ') }, ';') }\nend";
    let script = script(code);
    let mut one = Machine::new(&script, 7);
    let mut other = Machine::new(&script, 7);
    let first = run(&mut one, &[5, 3, 9, 100]);
    assert_eq!(first, run(&mut other, &[5, 3, 9, 100]));
    let saved = one.save().expect("it can be saved");
    assert_eq!(saved, other.save().expect("it can be saved"), "equal states are equal bytes");
    let mut restored = Machine::new(&script, 7);
    assert!(restored.restore(&saved));
    assert_eq!(restored.save().expect("it can be saved"), saved);
    let next = run(&mut one, &[1, 2, 3]);
    assert_eq!(run(&mut restored, &[1, 2, 3]), next);
    assert!(next[0].starts_with("5;118;5;1;"), "{next:?}");
    assert_eq!(restored.save().expect("it can be saved"), one.save().expect("it can be saved"));
    let mut elsewhere = Machine::new(&script, 8);
    assert_ne!(run(&mut elsewhere, &[5]), first[..1], "another window draws other numbers");
    assert!(!restored.restore(&saved[..saved.len() - 3]), "half a state is none");
}

/// String hashes are seeded with an address and the clock, and the layout of a table depends on its past.
#[test]
fn tables_are_walked_in_the_order_of_their_keys() {
    let walk = "local t = {}\nfor _, k in ipairs(order) do t[k] = true end\nlocal out = {}\n\
                for k in pairs(t) do out[#out + 1] = tostring(k) end\nfor k in next, t do out[#out + 1] = tostring(k) end\n\
                return { out = table.concat(out, ' ') }";
    let text = |order: &str| format!("function f()\nlocal order = {{{order}}}\n{walk}\nend");
    let orders =
        ["'b', 'a', 3, 10, 2.5, true, false, 'zz', 'Zz', 1", "1, false, 'Zz', true, 'zz', 2.5, 10, 'a', 3, 'b'"];
    for order in orders {
        for _ in 0..2 {
            let made = run(&mut Machine::new(&script(&text(order)), 1), &[1]);
            let keys = "false true 1 2.5 3 10 Zz a b zz";
            assert_eq!(made, [format!("{keys} {keys}")]);
        }
    }
    let made = run(&mut Machine::new(&script("function f() for k in pairs({ [{}] = 1 }) do end end"), 1), &[1]);
    assert!(made[0].contains("table as key has no order"), "{made:?}");
}

#[test]
fn sorting_is_stable_and_texts_hold_no_address() {
    let code = "function f()\n  local list = {}\n  for i = 1, 500 do list[i] = { i % 5, i } end\n  \
                table.sort(list, function(a, b) return a[1] < b[1] end)\n  local bad = 0\n  \
                for i = 2, 500 do if list[i - 1][1] == list[i][1] and list[i - 1][2] > list[i][2] then bad = bad + 1 end end\n  \
                local words = { 'b', 'a', 'c' } table.sort(words)\n  \
                return { out = bad .. table.concat(words) .. tostring({}) .. tostring(print) .. string.format(' %s', {}) }\nend";
    assert_eq!(run(&mut Machine::new(&script(code), 1), &[1]), ["0abctablefunction table"]);
}

#[test]
fn the_clock_is_the_recorded_one() {
    let code = "function f() return { out = os.time() .. ' ' .. os.date('!%Y-%m-%d %H:%M:%S') .. ' ' .. esp_getSystemMicro() \
                .. ' ' .. os.time({ year = 2013, month = 1, day = 1, hour = 0 }) .. ' ' .. os.date('*t', 0).year \
                .. ' ' .. esp_parseDate('1970-01-02T00:00:01') .. ' ' .. esp_parseDate('02/03/1970', '%d/%m/%Y') } end";
    let mut machine = Machine::new(&script(code), 1);
    machine.set_clock(Some(1_357_000_000_250_000));
    let want = "1357000000 2013-01-01 00:26:40 1357000000250000 1356998400 1970 86401000000 5184000000000";
    assert_eq!(run(&mut machine, &[1]), [want]);
}

#[test]
fn a_call_without_an_end_is_stopped_and_the_next_one_works() {
    let code = "local n = 0\nfunction f(data)\n  n = n + 1\n  if data.id == 1 then\n    \
                while true do pcall(function() while true do end end) end\n  end\n  \
                if data.id == 2 then local t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end end\n  \
                return { out = n }\nend";
    let made = run(&mut Machine::new(&script(code), 1), &[0, 1, 2, 3]);
    assert_eq!((made[0].as_str(), made[3].as_str()), ("1", "4"));
    assert!(made[1].contains("code line 5") && made[1].contains("10000000 instructions"), "{made:?}");
    assert!(made[2].contains("not enough memory"), "{made:?}");
}

#[test]
fn errors_say_where() {
    let code = "function f(data)\n  local x = nil\n  return x.y\nend";
    let made = run(&mut Machine::new(&script(code), 1), &[1]);
    assert!(made[0].starts_with("error: code line 3: attempt to index a nil value"), "{made:?}");
    let code = "function f(data)\n\n  return { out = esp_parseJson('{a:}') }\nend";
    let made = run(&mut Machine::new(&script(code), 1), &[1]);
    assert!(made[0].starts_with("error: code line 3: JSON, byte 3: found `}`"), "{made:?}");
    let error = try_script("function f()\n  return 1 +\nend").expect_err("it is no Lua");
    assert_eq!(error.line, Some(3), "{error}");
}

#[test]
fn what_cannot_be_saved_is_refused() {
    let refused = |code: &str| match try_script(code) {
        Err(error) => error.to_string(),
        Ok(script) => {
            let mut machine = Machine::new(&script, 1);
            run(&mut machine, &[1]);
            machine.save().expect_err("it keeps what cannot be saved").to_string()
        }
    };
    let counter = "local function make()\n  local n = 0\n  return function() n = n + 1 return n end\nend\nlocal count = make()\n\
                   function f() return { out = count() } end";
    let error = refused(counter);
    assert!(error.contains("code line 3: function `count` keeps a local variable"), "{error}");
    let error = refused("local kept = {}\nfunction f() kept.thread = coroutine.create(print) end");
    assert!(error.contains("`kept.thread` holds a coroutine"), "{error}");
    let error = refused("function f() g = function() end end");
    assert!(error.contains("`g` holds a function that was made while events came"), "{error}");
    let error = refused("local t = {}\nt[{}] = 1\nfunction f() end");
    assert!(error.contains("`t` holds a table as a key"), "{error}");
}

#[test]
fn what_reaches_out_is_refused_by_name_and_line() {
    for (code, line, name) in [
        ("function f()\n  io.open('x')\nend", 2, "`io`"),
        ("function f() esp_sendHttp('x') end", 1, "`esp_sendHttp`"),
        ("\n\nfunction f() dofile('x') end", 3, "`dofile`"),
    ] {
        let error = try_script(code).expect_err("it reaches out");
        assert_eq!((error.line, error.message.starts_with(name)), (Some(line), true), "{error}");
    }
    let fine =
        "-- io.open\nlocal s = 'io.open'\nfunction f(d) local t = { io = { x = 1 } } return { out = t.io.x } end";
    assert_eq!(run(&mut Machine::new(&script(fine), 1), &[1]), ["1"]);
    for call in ["load('return 1')", "require('socket')", "os.execute('ls')", "setmetatable({}, { __gc = print })"] {
        let made = run(&mut Machine::new(&script(&format!("function f() {call} end")), 1), &[1]);
        assert!(made[0].starts_with("error: code line 1"), "{call}: {made:?}");
    }
}

#[test]
fn modules_and_init() {
    let text = ScriptText {
        code: "local tools = require('tools')\nlocal started\nfunction begin() started = 'yes' end\n\
               function f(data) return { out = tools.twice(data.id) .. started .. tools.calls } end"
            .to_owned(),
        modules: vec![Module {
            name: "tools".to_owned(),
            text: "local M = { calls = 0 }\nfunction M.twice(x) M.calls = M.calls + 1 return 2 * x end\nreturn M"
                .to_owned(),
        }],
        init: Some("begin".to_owned()),
        functions: vec!["f".to_owned()],
        ..ScriptText::default()
    };
    let script = Script::new(text).expect("it loads");
    let mut machine = Machine::new(&script, 1);
    assert_eq!(run(&mut machine, &[4, 5]), ["8yes1", "10yes2"]);
    let mut restored = Machine::new(&script, 1);
    assert!(restored.restore(&machine.save().expect("it can be saved")));
    assert_eq!(run(&mut restored, &[6]), ["12yes3"]);
}
