//! The function language of functional windows: text, what it gives, what is refused; event loops.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::sync::Arc;

use expect_test::{Expect, expect};
use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{FunctionCompiler, FunctionalCode, LoopKind, PropertyKind, State};

const INPUT: &str = "id*:int64,temp:double,name:string,at:stamp,day:date,doc:string";

fn block(rows: &[[Value; 6]]) -> Block {
    let schema = Arc::new(Schema::parse(INPUT).unwrap());
    let columns = schema.fields().iter().enumerate().map(|(field, shape)| {
        let mut builder = ColumnBuilder::new(shape.ty, rows.len());
        rows.iter().for_each(|row| assert!(builder.push(&row[field])));
        Arc::new(builder.finish())
    });
    let columns = columns.collect();
    Block::new(schema, vec![Opcode::Insert; rows.len()], vec![Flags::NORMAL; rows.len()], columns)
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn rows() -> Block {
    block(&[
        [
            Value::Int64(1),
            Value::Double(1.5),
            text("one"),
            Value::Stamp(1_527_514_435_670_000),
            Value::Date(1_527_514_435),
            text(r#"{"list":[{"n":"a","v":1},{"n":"b","v":2.5}],"main":{"t":280.5}}"#),
        ],
        [
            Value::Int64(2),
            Value::Null,
            text(" Two  words "),
            Value::Null,
            Value::Date(0),
            text("<r><i k='x'>5</i></r>"),
        ],
    ])
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => ".".into(),
        Value::String(text) => format!("{text:?}"),
        Value::Double(value) => format!("{value:?}"),
        Value::Int32(value) => value.to_string(),
        Value::Int64(value) | Value::Date(value) | Value::Stamp(value) | Value::Money(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

/// One line per `type function`: the values, errors, or why it is refused.
fn check(functions: &str, expected: Expect) {
    let block = rows();
    let mut out = String::new();
    for line in functions.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (ty, function) = line.split_once(' ').unwrap();
        let output = Schema::parse(&format!("id*:int64,f:{ty}")).unwrap();
        let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
        compiler.input_name("source");
        compiler.property("names", PropertyKind::List, "zero; one ;two", (";", "")).unwrap();
        compiler.property("codes", PropertyKind::Map, "one:EINS,two:ZWEI", (",", ":")).unwrap();
        compiler.property("plain", PropertyKind::String, "a text", ("", "")).unwrap();
        match compiler.function("f", function) {
            Err(error) => writeln!(out, "{function}: refused at {error}{}", help(error.help.as_deref())).unwrap(),
            Ok(()) => {
                let mut state = State::new(7);
                state.set_clock(Some(1_000_000_000_123_456));
                let made = compiler.finish().eval(&block, &mut state);
                assert_eq!(made.columns[0].1.field_type(), FieldType::parse(ty).unwrap());
                let values: Vec<String> = (0..2).map(|row| show(&made.columns[0].1.value(row))).collect();
                let errors = made.errors.first.map_or(String::new(), |first| format!("  ({first})"));
                writeln!(out, "{function}: {}{errors}", values.join(" | ")).unwrap();
            }
        }
    }
    expected.assert_eq(&out);
}

fn help(help: Option<&str>) -> String {
    help.map_or(String::new(), |help| format!(" [{}]", help.chars().take(60).collect::<String>()))
}

#[test]
fn numbers() {
    check(
        "double sum($temp,$id,)
         int32 diff($id, 1, 1)
         double product($id, 0.5)
         double quotient($id, 4)
         double quotient($temp, diff($id, 1))
         int64 mod(-7, 3)
         int64 neg($id)
         double mean($id, $temp, 6)
         int64 max($id, 2, 1)
         double min(3, '2.5')
         int64 ceiling(1.2)
         int64 floor(-1.2)
         int64 round(2.5)
         double round(1234.567, -2)
         string precision(2.5, 2)
         int64 integer(12.9)
         int64 long('12')
         double number(' 1e3 ')
         int64 number(abc)
         string interval($id, 2, low, 5, middle, high)
         int64 abs(-9223372036854775808)
         double sum(9223372036854775807, 1)
         int32 3000000000
         double random(5, 5)
         double 42
         string just text, with a comma",
        expect![[r#"
            sum($temp,$id,): 2.5 | .
            diff($id, 1, 1): -1 | 0
            product($id, 0.5): 0.5 | 1.0
            quotient($id, 4): 0.25 | 0.5
            quotient($temp, diff($id, 1)): . | .  (row 0: division by zero (expression 1:1); the result is null)
            mod(-7, 3): -1 | -1
            neg($id): -1 | -2
            mean($id, $temp, 6): 2.8333333333333335 | .
            max($id, 2, 1): 2 | 2
            min(3, '2.5'): 2.5 | 2.5
            ceiling(1.2): 2 | 2
            floor(-1.2): -2 | -2
            round(2.5): 3 | 3
            round(1234.567, -2): 1200.0 | 1200.0
            precision(2.5, 2): "2.50" | "2.50"
            integer(12.9): 12 | 12
            long('12'): 12 | 12
            number(' 1e3 '): 1000.0 | 1000.0
            number(abc): . | .  (row 0: the text is not a number (expression 1:1); the result is null)
            interval($id, 2, low, 5, middle, high): "low" | "middle"
            abs(-9223372036854775808): . | .  (row 0: integer overflow (expression 1:1); the result is null)
            sum(9223372036854775807, 1): 9.223372036854776e18 | 9.223372036854776e18
            3000000000: . | .  (row 0: the number does not fit int32 (expression 1:1); the result is null)
            random(5, 5): 5.0 | 5.0
            42: 42.0 | 42.0
            just text, with a comma: "just text, with a comma" | "just text, with a comma"
        "#]],
    );
}

#[test]
fn texts() {
    check(
        "string concat($name, '-', $id, '-', $temp)
         string concatDelim(',', $id, $temp, x y)
         string toUpper(trim($name))
         string normalizeSpace($name)
         string translate($name, 'onw', 'ON')
         string replace($name, 'o', '0')
         string substring('abcdef', 2, 3)
         string substringAfter('k=v', '=')
         string substringBefore('k=v', '=')
         int64 index('größe', 'e')
         int64 lastIndexOf('banana', 'an')
         int64 length('größe')
         string startsWith($name, o)
         string endsWith($name, 'e')
         string contains($name, 'o')
         string base64Encode('Größe')
         string base64Decode('R3LDtsOfZQ==')
         string base64Decode('!')
         string urlEncode('a b&ö')
         string urlDecode('a%20b+c')
         string string($temp)
         string rgx('a1b22', '[0-9]+')
         string rgx($name, '(o)(n)', 2)
         string rgx('(o)(n)', $name, 1)
         string rgxReplace('a1b22', '[0-9]+', '#')
         string rgxReplaceAll('a1b22', '([0-9])', '<$1>')
         int64 rgxMatch($name, '^o')
         int64 rgxIndex($name, 'w')
         string rgxToken('a, b;c', '[,;] ?', 1)
         string rgxFirstToken('a, b;c', '[,;] ?')
         string rgxLastToken('a, b;c', '[,;] ?')
         string rgx($name, '(')",
        expect![[r#"
            concat($name, '-', $id, '-', $temp): "one-1-1.5" | " Two  words -2-"
            concatDelim(',', $id, $temp, x y): "1,1.5,x y" | "2,,x y"
            toUpper(trim($name)): "ONE" | "TWO  WORDS"
            normalizeSpace($name): "one" | "Two words"
            translate($name, 'onw', 'ON'): "ONe" | " TO  Ords "
            replace($name, 'o', '0'): "0ne" | " Tw0  w0rds "
            substring('abcdef', 2, 3): "cde" | "cde"
            substringAfter('k=v', '='): "v" | "v"
            substringBefore('k=v', '='): "k" | "k"
            index('größe', 'e'): 4 | 4
            lastIndexOf('banana', 'an'): 3 | 3
            length('größe'): 5 | 5
            startsWith($name, o): "true" | "false"
            endsWith($name, 'e'): "true" | "false"
            contains($name, 'o'): "true" | "true"
            base64Encode('Größe'): "R3LDtsOfZQ==" | "R3LDtsOfZQ=="
            base64Decode('R3LDtsOfZQ=='): "Größe" | "Größe"
            base64Decode('!'): . | .  (row 0: the text is not base64 (expression 1:1); the result is null)
            urlEncode('a b&ö'): "a%20b%26%C3%B6" | "a%20b%26%C3%B6"
            urlDecode('a%20b+c'): "a b c" | "a b c"
            string($temp): "1.5" | .
            rgx('a1b22', '[0-9]+'): "1" | "1"
            rgx($name, '(o)(n)', 2): "n" | .
            rgx('(o)(n)', $name, 1): "o" | .
            rgxReplace('a1b22', '[0-9]+', '#'): "a#b22" | "a#b22"
            rgxReplaceAll('a1b22', '([0-9])', '<$1>'): "a<1>b<2><2>" | "a<1>b<2><2>"
            rgxMatch($name, '^o'): 1 | 0
            rgxIndex($name, 'w'): -1 | 2
            rgxToken('a, b;c', '[,;] ?', 1): "b" | "b"
            rgxFirstToken('a, b;c', '[,;] ?'): "a" | "a"
            rgxLastToken('a, b;c', '[,;] ?'): "c" | "c"
            rgx($name, '('): refused at 1:1: `(` is no regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis [usage: rgx(text, expression [, group])]
        "#]],
    );
}

#[test]
fn logic() {
    check(
        "int32 equals($name, one)
         int32 equals($id, '1.0')
         int32 nequals($id, 1)
         string if(gt($temp, 0), 'warm', if(isNull($temp), unknown, \"cold\"))
         string if(lt($temp, 0), freezing)
         string ifNext(equals($id, 5), five, equals($id, 2), two, other)
         string switch($id, 1, eins, 2, zwei, viele)
         int32 and(isNotNull($temp), between($id, 1, 2))
         int32 or(false(), $temp)
         int32 not(true())
         int32 boolean(no)
         int32 isSet($temp)
         int32 gte(b, a)
         int32 lte($temp, 1.5)",
        expect![[r#"
            equals($name, one): 1 | 0
            equals($id, '1.0'): 1 | 0
            nequals($id, 1): 0 | 1
            if(gt($temp, 0), 'warm', if(isNull($temp), unknown, "cold")): "warm" | "unknown"
            if(lt($temp, 0), freezing): . | .
            ifNext(equals($id, 5), five, equals($id, 2), two, other): "other" | "two"
            switch($id, 1, eins, 2, zwei, viele): "eins" | "zwei"
            and(isNotNull($temp), between($id, 1, 2)): 1 | 0
            or(false(), $temp): 1 | .
            not(true()): 0 | 0
            boolean(no): 0 | 0
            isSet($temp): 1 | 0
            gte(b, a): 1 | 1
            lte($temp, 1.5): 1 | .
        "#]],
    );
}

#[test]
fn times() {
    check(
        "stamp timeStamp($day)
         date timeParse('2018-05-28T09:33:55.670Z', '%Y-%m-%dT%H:%M:%S')
         date timeParse('2018-05-28 09:33:55 +0200', '%Y-%m-%d %H:%M:%S %z')
         date timeParse('28.5.2018', '%d.%m.%Y', Europe/Berlin)
         date timeParse('tomorrow')
         stamp product(timeParse('1970-01-02', '%Y-%m-%d'), 1000000)
         string timeString($at)
         string timeGmtString($day, '%H:%M %b')
         string timeString($at, '%H:%M', America/New_York)
         int64 timeSecondOfDay($at)
         int64 timeMinuteOfDay($at)
         int64 timeHour($day)
         int64 timeDayOfWeek($at)
         int64 timeDayOfYear($day)
         int64 timeYear()
         date timeGmtToLocal($day, Europe/Berlin)
         date timeGmtToLocal($day)
         int32 timeIsDst($day, Europe/Berlin)
         int32 timeIsDst($day, Nowhere)
         date timeCurrent()
         date timeToday()
         int64 systemMilli()
         stamp systemMicro()",
        expect![[r#"
            timeStamp($day): 1527514435000000 | 0
            timeParse('2018-05-28T09:33:55.670Z', '%Y-%m-%dT%H:%M:%S'): 1527500035 | 1527500035
            timeParse('2018-05-28 09:33:55 +0200', '%Y-%m-%d %H:%M:%S %z'): 1527492835 | 1527492835
            timeParse('28.5.2018', '%d.%m.%Y', Europe/Berlin): 1527458400 | 1527458400
            timeParse('tomorrow'): . | .  (row 0: the text is no time of this format (expression 1:1); the result is null)
            product(timeParse('1970-01-02', '%Y-%m-%d'), 1000000): 86400000000 | 86400000000
            timeString($at): "2018-05-28 13:33:55" | .
            timeGmtString($day, '%H:%M %b'): "13:33 May" | "00:00 Jan"
            timeString($at, '%H:%M', America/New_York): "09:33" | .
            timeSecondOfDay($at): 48835 | .
            timeMinuteOfDay($at): 813 | .
            timeHour($day): 13 | 0
            timeDayOfWeek($at): 1 | .
            timeDayOfYear($day): 147 | 0
            timeYear(): 2001 | 2001
            timeGmtToLocal($day, Europe/Berlin): 1527521635 | 3600
            timeGmtToLocal($day): 1527514435 | 0
            timeIsDst($day, Europe/Berlin): 1 | 0
            timeIsDst($day, Nowhere): . | .  (row 0: there is no such time zone (expression 1:1); the result is null)
            timeCurrent(): 1000000000 | 1000000000
            timeToday(): 999993600 | 999993600
            systemMilli(): 1000000000123 | 1000000000123
            systemMicro(): 1000000000123456 | 1000000000123456
        "#]],
    );
}

#[test]
fn documents_and_events() {
    check(
        "string json($doc, 'list[1].n')
         double json($doc, main.t)
         double json($doc, list.v)
         string xpath($doc, '/r/i/@k')
         int64 xpath($doc, 'sum(//i) * 2')
         string xpath($doc, '//i[')
         string json($doc, 'a[x')
         int64 eventCounter()
         int64 sum(eventCounter(), 100)
         int64 eventNumber()
         stamp eventTimestamp()
         string input()
         string opcode()
         string guid()
         string listItem(#names, 1)
         string listItem('a|b|c', '|', $id)
         int64 listSize(#names)
         int32 setContains(#names, $name)
         string mapValue(#codes, $name)
         string mapValue('a=1;b=2', ';', '=', b)
         string mapValues(#codes, two, one)
         string lookup(#codes, $name, none)
         string concat(#plain, '!')
         string string(#plian)
         string $nmae
         string som(1, 2)
         string equals(1)
         string sum(1, 2
         string sum(1, 2) + 3
         string concat('a",
        expect![[r#"
            json($doc, 'list[1].n'): "b" | .  (row 1: the text is no JSON document (expression 1:1); the result is null)
            json($doc, main.t): 280.5 | .  (row 1: the text is no JSON document (expression 1:1); the result is null)
            json($doc, list.v): 1.0 | .  (row 1: the text is no JSON document (expression 1:1); the result is null)
            xpath($doc, '/r/i/@k'): . | "x"  (row 0: the text is no XML document (expression 1:1); the result is null)
            xpath($doc, 'sum(//i) * 2'): . | 10  (row 0: the text is no XML document (expression 1:1); the result is null)
            xpath($doc, '//i['): refused at 1:1: the path `//i[` ends too early [usage: xpath(document, path [, delimiter])]
            json($doc, 'a[x'): refused at 1:1: `]` is missing in the JSON path `a[x` [usage: json(document, path)]
            eventCounter(): 1 | 2
            sum(eventCounter(), 100): 101 | 102
            eventNumber(): 0 | 0
            eventTimestamp(): 1000000000123456 | 1000000000123456
            input(): "source" | "source"
            opcode(): "insert" | "insert"
            guid(): "63cbe1e4-5932-5dd7-844c-3cd7f43c661c" | "e6984080-bab1-5a02-953a-eb70673e29cb"
            listItem(#names, 1): "one" | "one"
            listItem('a|b|c', '|', $id): "b" | "c"
            listSize(#names): 3 | 3
            setContains(#names, $name): 1 | 0
            mapValue(#codes, $name): "EINS" | .
            mapValue('a=1;b=2', ';', '=', b): "2" | "2"
            mapValues(#codes, two, one): "ZWEI,EINS" | "ZWEI,EINS"
            lookup(#codes, $name, none): "EINS" | "none"
            concat(#plain, '!'): "a text!" | "a text!"
            string(#plian): refused at 1:9: there is no property `plian` [did you mean `#plain`?]
            $nmae: refused at 1:2: `nmae` is no field of the input or of this window [did you mean `name`? known: id, temp, name, at, day, doc, f]
            som(1, 2): refused at 1:1: there is no function `som` [did you mean `sum`?]
            equals(1): refused at 1:1: `equals` takes 2 arguments, found 1 [usage: equals(a, b)]
            sum(1, 2: refused at 1:4: this `(` has no `)` [add `)`]
            sum(1, 2) + 3: refused at 1:11: nothing may follow the function [nest functions: sum(a, product(b, c))]
            concat('a: refused at 1:8: this text has no end [close the quote]
        "#]],
    );
}

#[test]
fn errors_show_the_line_and_a_caret() {
    let schema = Schema::parse(INPUT).unwrap();
    let mut compiler = FunctionCompiler::new(&schema, &schema, 1);
    let error = compiler.function("name", "concat($name,\n  toUper($doc))").unwrap_err();
    expect![[r#"
        2:3: there is no function `toUper`
        2 |   toUper($doc))
          |   ^^^^^^
          = help: did you mean `toUpper`?"#]]
    .assert_eq(&error.pretty());
}

#[test]
fn fields_see_what_earlier_functions_made() {
    let block = rows();
    let output = Schema::parse("id*:int64,a:int32,temp:double,c:double").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    for (field, text) in [("a", "sum($id, 0.9)"), ("temp", "product($a, 10)"), ("c", "sum($temp, $temp)")] {
        compiler.function(field, text).unwrap();
    }
    let made = compiler.finish().eval(&block, &mut State::new(1));
    let values: Vec<Value> = made.columns.iter().map(|(_, column)| column.value(1)).collect();
    assert_eq!(values, [Value::Int32(2), Value::Double(20.0), Value::Double(40.0)]);
}

/// The events of a window: opcode, then the computed columns.
fn events(code: &FunctionalCode, block: &Block, state: &mut State) -> Vec<String> {
    let made = code.eval(block, state);
    assert_eq!(made.errors.first, None);
    let each = |(at, event): (usize, &mesh_expr::MadeEvent)| {
        let values: Vec<String> = made.columns.iter().map(|(_, column)| show(&column.value(at))).collect();
        format!("{} {} {}", event.source, event.opcode, values.join(" "))
    };
    made.events.iter().enumerate().map(each).collect()
}

#[test]
fn loops_make_an_event_of_each_item() {
    let block = rows();
    let output = Schema::parse("id*:int64,n:string,v:double,k:int64,c:int64").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    compiler.function("k", "eventNumber()").unwrap();
    compiler.function("c", "eventCounter()").unwrap();
    compiler.generate("equals($id, 2)").unwrap();
    compiler.opcode("upsert").unwrap();
    let json = "if(startsWith($doc, '{'), $doc)";
    compiler.begin_loop(LoopKind::Json, None, (json, "$.list", 0)).unwrap();
    compiler.function("n", "json(#_context, 'n')").unwrap();
    compiler.function("v", "product(json(#_context, 'v'), 2)").unwrap();
    compiler.function("k", "eventNumber()").unwrap();
    compiler.function("c", "eventCounter()").unwrap();
    compiler.end_loop();
    compiler.begin_loop(LoopKind::Xml, Some("item"), ("if(startsWith($doc, '<'), $doc)", "//i", 0)).unwrap();
    compiler.function("n", "xpath(#item, '/i/@k')").unwrap();
    compiler.function("v", "xpath(#item, '/i')").unwrap();
    compiler.end_loop();
    compiler.begin_loop(LoopKind::Regex, Some("word"), ("$name", "([a-z])[a-z]+", 1)).unwrap();
    compiler.function("n", "#word").unwrap();
    compiler.end_loop();
    let code = compiler.finish();
    assert!(!code.one_for_one());
    let mut state = State::new(1);
    expect![[r#"
        0 P "a" 2.0 0 1
        0 P "b" 5.0 1 2
        0 P "o" . 2 3
        1 P . . 0 4
        1 P "x" 5.0 1 5
        1 P "w" . 2 6
        1 P "w" . 3 7"#]]
    .assert_eq(&events(&code, &block, &mut state).join("\n"));
    // The counter goes on, in a restored state too.
    let mut restored = State::new(1);
    assert!(restored.restore(&state.save()));
    assert_eq!(events(&code, &block, &mut restored), events(&code, &block, &mut state));
    assert!(!restored.restore(&state.save()[1..]));
}

#[test]
fn the_new_half_of_an_update_goes_out_alone_where_events_multiply() {
    let mut block = rows();
    block.opcodes = vec![Opcode::UpdateBlock, Opcode::Delete];
    let output = Schema::parse("id*:int64,n:string").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    compiler.function("n", "$name").unwrap();
    compiler.generate("1").unwrap();
    assert_eq!(events(&compiler.finish(), &block, &mut State::new(1)), ["0 P \"one\""]);
}
