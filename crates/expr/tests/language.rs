//! What the expression language has beyond single expressions: loops, kept variables, user functions, objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::sync::Arc;

use expect_test::{Expect, expect};
use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Program, Scope, State};

fn block(values: &[i64]) -> Block {
    let schema = Arc::new(Schema::parse("v*:int64,s:string,d:stamp").unwrap());
    let words = ["alpha 1", "beta 22", "", "delta"];
    let mut builders: Vec<_> = schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, 0)).collect();
    for (row, value) in values.iter().enumerate() {
        assert!(builders[0].push(&Value::Int64(*value)));
        assert!(builders[1].push(&Value::String(words[row % 4].into())));
        assert!(builders[2].push(&Value::Stamp(1_265_963_405_250_000 + value)));
    }
    let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Block::new(schema, vec![Opcode::Insert; values.len()], vec![Flags::NORMAL; values.len()], columns)
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => ".".into(),
        Value::String(text) => format!("{text:?}"),
        Value::Double(value) => format!("{value:?}"),
        Value::Int32(value) => value.to_string(),
        Value::Int64(value) | Value::Date(value) | Value::Stamp(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

/// Programs, parted by lines with `=> type`, over four events in one block.
fn check(programs: &str, expected: Expect) {
    let block = block(&[3, 1, 4, 2]);
    let mut out = String::new();
    let mut text = String::new();
    for line in programs.lines() {
        let Some((last, into)) = line.rsplit_once("=>") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        text.push_str(last);
        let source = std::mem::take(&mut text);
        let source = source.trim();
        let into = FieldType::parse(into).unwrap();
        match Program::compile(source, &Scope::new(&block.schema)) {
            Err(error) => writeln!(out, "{source}\n    refused at {}", error.pretty()).unwrap(),
            Ok(program) => {
                let mut state = State::new(1);
                state.set_clock(Some(1_265_963_405_250_000));
                let made = Program::eval_all(&[(&program, into)], &block, &mut state).remove(0);
                let values: Vec<String> = (0..block.len()).map(|row| show(&made.column.value(row))).collect();
                writeln!(out, "{source}\n    {}", values.join(" ")).unwrap();
                if let Some(first) = made.errors.first {
                    writeln!(out, "    {} errors, first: {first}", made.errors.count).unwrap();
                }
                let messages = state.take_messages();
                if !messages.is_empty() {
                    writeln!(out, "    said {messages:?}").unwrap();
                }
            }
        }
    }
    expected.assert_eq(&out);
}

#[test]
fn loops_and_jumps() {
    check(
        "integer i integer n for i = 1 to v n = n + i return n => int64
         integer i = 0 integer n = 0 for i = 1 to v begin n = n + i end return n => int64
         integer i integer n = 0 for i = v to 1 step -1 n = n * 10 + i n => int64
         integer n = 0 while n < v begin n = n + 2 if n == 4 then break end return n => int64
         integer i integer n = 0 for i = 1 to 5 begin if i % 2 == 0 continue n = n + i end n => int64
         integer n = 0
         again:
         n = n + 1
         if n < v goto again
         return n => int64
         integer i for i = 1 to 10 step 0 i = 1 return 5 => int64
         while true v return 5 => int64
         goto nowhere => int64
         integer x for x to 3 x => int64
         real x for x = 1 to 3 v x => int64
         integer i for i = 9223372036854775806 to 9223372036854775807 v i => int64",
        expect![[r#"
            integer i integer n for i = 1 to v n = n + i return n
                . . . .
            integer i = 0 integer n = 0 for i = 1 to v begin n = n + i end return n
                6 1 10 3
            integer i integer n = 0 for i = v to 1 step -1 n = n * 10 + i n
                321 1 4321 21
            integer n = 0 while n < v begin n = n + 2 if n == 4 then break end return n
                4 2 4 2
            integer i integer n = 0 for i = 1 to 5 begin if i % 2 == 0 continue n = n + i end n
                9 9 9 9
            integer n = 0
                     again:
                     n = n + 1
                     if n < v goto again
                     return n
                3 1 4 2
            integer i for i = 1 to 10 step 0 i = 1 return 5
                . . . .
                4 errors, first: row 0: a `for` loop with step 0 has no end (expression 1:15); the result is null
            while true v return 5
                . . . .
                4 errors, first: row 0: the program takes more than 1000000 loop rounds, jumps and calls (expression 1:1); the result is null
            goto nowhere
                refused at 1:6: there is no label `nowhere` to go to
            1 | goto nowhere
              |      ^^^^^^^
              = help: write `nowhere:` before the statement to go on with, here or further out
            integer x for x to 3 x
                refused at 1:17: expected `=` after `for x`
            1 | integer x for x to 3 x
              |                 ^^
              = help: for example: for i = 1 to 10 begin ... end
            real x for x = 1 to 3 v x
                refused at 1:12: `for` counts in an integer, `x` is real
            1 | real x for x = 1 to 3 v x
              |            ^
              = help: declare `integer x`
            integer i for i = 9223372036854775806 to 9223372036854775807 v i
                9223372036854775807 9223372036854775807 9223372036854775807 9223372036854775807
        "#]],
    );
}

#[test]
fn kept_variables_and_declarations() {
    check(
        "static integer n = 10 n = n + v return n => int64
         static string last string before = last last = s return before => string
         integer split split=0 if v > 2 split=1 return split => int64
         integer counter counter=1 counter=counter+1 return counter => int64
         string(3) short = s short => string
         private integer a = v hidden integer b = 2 a * b => int64
         integer a = 1, b = 2 a + b + v => int64
         if v > 3 then 1 else if v > 2 then 2 else 3 => int64
         integer a = v => int64
         static integer => int64
         dq d => int64
         integer v => int64
         nn = 1 => int64",
        expect![[r#"
            static integer n = 10 n = n + v return n
                13 14 18 20
            static string last string before = last last = s return before
                . "alpha 1" "beta 22" ""
            integer split split=0 if v > 2 split=1 return split
                1 0 1 0
            integer counter counter=1 counter=counter+1 return counter
                2 2 2 2
            string(3) short = s short
                "alp" "bet" "" "del"
            private integer a = v hidden integer b = 2 a * b
                6 2 8 4
            integer a = 1, b = 2 a + b + v
                6 4 7 5
            if v > 3 then 1 else if v > 2 then 2 else 3
                2 3 1 3
            integer a = v
                3 1 4 2
            static integer
                refused at 1:15: expected the name of a variable, found the end of the expression
            1 | static integer
              |               ^
            dq d
                refused at 1:1: `dq` objects are not supported
            1 | dq d
              | ^^
              = help: data quality objects need the vendor's knowledge base; use functions and regex objects
            integer v
                refused at 1:9: `v` is already a field of the input
            1 | integer v
              |         ^
              = help: give the variable another name
            nn = 1
                refused at 1:1: `nn` is not a variable
            1 | nn = 1
              | ^^
              = help: declare it first, for example `integer nn`
        "#]],
    );
}

#[test]
fn objects() {
    check(
        r#"regex r r.compile("([a-z]+) ([0-9]+)") if r.findfirst(s) return r.substringstart(2) & ":" & r.substringlength(2) => string
         regex r r.compile("[a-z]+") r.findfirst(s) return r.matchstart() & "+" & r.matchlength() => string
         regex r integer n = 0 r.compile("a") if r.findfirst(s) begin n = 1 while r.findnext(s) n = n + 1 end return n => int64
         regex r r.compile("([a-z])([a-z])") return r.replace(s, "$2$1") => string
         regex r r.compile("(?<=l)p") r.findfirst(s) => int64
         regex r r.compile("(") => int64
         regex r return r.compile(s & "(") => int64
         string array a integer i a.dim(v) for i = 1 to v a.set(i, "x" & i) return a.get(v) => string
         array of integer a a.dim(3) a.set(2, 7.9) return a.get(2) & "/" & a.dim() => string
         integer array a a.get(1) => int64
         string array a aparse(s, " ", a) return a.get(1) => string
         string a string b integer n n = parse(s, " ", a, b) return b & n => string
         regex r r.finde(s) => int64
         q.get(1) => int64
         regex r return r => int64"#,
        expect![[r#"
            regex r r.compile("([a-z]+) ([0-9]+)") if r.findfirst(s) return r.substringstart(2) & ":" & r.substringlength(2)
                "7:1" "6:2" . .
            regex r r.compile("[a-z]+") r.findfirst(s) return r.matchstart() & "+" & r.matchlength()
                "1+5" "1+4" . "1+5"
            regex r integer n = 0 r.compile("a") if r.findfirst(s) begin n = 1 while r.findnext(s) n = n + 1 end return n
                2 1 0 1
            regex r r.compile("([a-z])([a-z])") return r.replace(s, "$2$1")
                "lahpa 1" "ebat 22" "" "edtla"
            regex r r.compile("(?<=l)p") r.findfirst(s)
                1 0 0 0
            regex r r.compile("(")
                refused at 1:19: `(` is no regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis
            1 | regex r r.compile("(")
              |                   ^^^
            regex r return r.compile(s & "(")
                0 0 0 0
            string array a integer i a.dim(v) for i = 1 to v a.set(i, "x" & i) return a.get(v)
                "x3" "x1" "x4" "x2"
            array of integer a a.dim(3) a.set(2, 7.9) return a.get(2) & "/" & a.dim()
                "7/3" "7/3" "7/3" "7/3"
            integer array a a.get(1)
                . . . .
                4 errors, first: row 0: the index is outside the array (expression 1:17); the result is null
            string array a aparse(s, " ", a) return a.get(1)
                "alpha" "beta" "" "delta"
            string a string b integer n n = parse(s, " ", a, b) return b & n
                "12" "222" . .
            regex r r.finde(s)
                refused at 1:11: `r` has no method `finde`
            1 | regex r r.finde(s)
              |           ^^^^^
              = help: known: compile, findfirst, findnext, matchstart, matchlength, replace, substringcount, substringstart, substringlength
            q.get(1)
                refused at 1:1: `q` is no object
            1 | q.get(1)
              | ^
              = help: declare it first, for example `regex q` or `string array q`
            regex r return r
                refused at 1:16: `r` is an object, it has no value
            1 | regex r return r
              |                ^
              = help: call its methods: `r.method(...)`
        "#]],
    );
}

#[test]
fn functions() {
    check(
        r#"formatdate(d, "YYYY-MM-DD hh:mm:ss.ms MMM MMMM YY") => string
         (today() - d) * 86400 => double
         todate("12/02/2010", "DD/MM/YYYY") => date
         todate("2010-02-12") + 1 => date
         asc("A") & chr(66) => string
         chr(-1) => string
         edit_distance(s, "alpha") => int64
         has_control_chars(s) => int32
         pattern("Ab1-ö") => string
         sort("hello") & sort("hello", false) & sort("hello", true, true) => string
         sort_words("b a c a") & "|" & sort_words("b a c a", true, true) => string
         isalpha(s) => int32
         isnumber(s) & isnumber("1e3") & isnumber(v) => string
         typeof(v) & typeof(s) & typeof(d) & typeof(null) & typeof(v > 1) => string
         inlist(v, 1, "4") => int32
         vareval("v") => int64
         vareval(s) => int64
         print("v is " & v) => int32
         if v == 4 raiseerror("four") return v => int64
         match_string(s, "*ta*") => int32
         username() => string
         parameter(1) => int64
         fromatdate(d, "YYYY") => string"#,
        expect![[r#"
            formatdate(d, "YYYY-MM-DD hh:mm:ss.ms MMM MMMM YY")
                "2010-02-12 08:30:05.250 Feb February 10" "2010-02-12 08:30:05.250 Feb February 10" "2010-02-12 08:30:05.250 Feb February 10" "2010-02-12 08:30:05.250 Feb February 10"
            (today() - d) * 86400
                -2.514570951461792e-6 -6.28642737865448e-7 -3.771856427192688e-6 -1.885928213596344e-6
            todate("12/02/2010", "DD/MM/YYYY")
                1265932800 1265932800 1265932800 1265932800
            todate("2010-02-12") + 1
                1266019200 1266019200 1266019200 1266019200
            asc("A") & chr(66)
                "65B" "65B" "65B" "65B"
            chr(-1)
                . . . .
                4 errors, first: row 0: the number is no character (expression 1:1); the result is null
            edit_distance(s, "alpha")
                2 7 5 4
            has_control_chars(s)
                0 0 0 0
            pattern("Ab1-ö")
                "Aa9-a" "Aa9-a" "Aa9-a" "Aa9-a"
            sort("hello") & sort("hello", false) & sort("hello", true, true)
                "ehlloollheehlo" "ehlloollheehlo" "ehlloollheehlo" "ehlloollheehlo"
            sort_words("b a c a") & "|" & sort_words("b a c a", true, true)
                "a a b c|a b c" "a a b c|a b c" "a a b c|a b c" "a a b c|a b c"
            isalpha(s)
                0 0 0 1
            isnumber(s) & isnumber("1e3") & isnumber(v)
                "falsetruetrue" "falsetruetrue" "falsetruetrue" "falsetruetrue"
            typeof(v) & typeof(s) & typeof(d) & typeof(null) & typeof(v > 1)
                "integerstringdatenullboolean" "integerstringdatenullboolean" "integerstringdatenullboolean" "integerstringdatenullboolean"
            inlist(v, 1, "4")
                0 1 1 0
            vareval("v")
                3 1 4 2
            vareval(s)
                refused at 1:9: the name must be known when the project is loaded
            1 | vareval(s)
              |         ^
              = help: write the name as a text: vareval("name")
            print("v is " & v)
                1 1 1 1
                said ["v is 3", "v is 1", "v is 4", "v is 2"]
            if v == 4 raiseerror("four") return v
                3 1 . 2
                1 errors, first: row 2: raiseerror was called (expression 1:11); the result is null
                said ["four"]
            match_string(s, "*ta*")
                0 1 0 1
            username()
                refused at 1:1: function `username` is not supported: results must not depend on who started the engine
            1 | username()
              | ^^^^^^^^
              = help: use a project property: @NAME@
            parameter(1)
                refused at 1:1: there are no parameters for `parameter` here
            1 | parameter(1)
              | ^^^^^^^^^^^^
              = help: only the body of a user function (udf) has parameters
            fromatdate(d, "YYYY")
                refused at 1:1: there is no function `fromatdate`
            1 | fromatdate(d, "YYYY")
              | ^^^^^^^^^^
              = help: did you mean `formatdate`?
        "#]],
    );
}

#[test]
fn a_window_shares_variables_and_functions() {
    let block = block(&[3, 1, 4, 2]);
    let mut scope = Scope::new(&block.schema);
    scope.declare_function("twice", "integer").unwrap();
    scope.declare_function("named", "string").unwrap();
    scope.declare_function("deep", "double").unwrap();
    scope.initialize("integer counter counter = twice(5) string seen = \"\" regex r r.compile(\"[0-9]+\")").unwrap();
    scope.define_function("twice", "return parameter(1) * 2").unwrap();
    scope
        .define_function("named", "seen = seen & parameterstring(1) & ',' return parameterstring(2) & counter")
        .unwrap();
    scope.define_function("deep", "return deep(parameter(1) + 1)").unwrap();
    let compile = |text: &str| Program::compile(text, &scope).unwrap();
    let programs = [
        (compile("counter=counter+1 return counter"), FieldType::Int32),
        (compile("named(v, 'n')"), FieldType::String),
        (compile("seen"), FieldType::String),
        (compile("if r.findfirst(s) return r.matchlength()"), FieldType::Int64),
        (compile("v"), FieldType::Int64),
        (compile("deep(1)"), FieldType::Double),
        (compile("twice(v) / 4"), FieldType::Double),
    ];
    let programs: Vec<(&Program, FieldType)> = programs.iter().map(|(program, ty)| (program, *ty)).collect();
    let mut state = State::new(1);
    let mut shown = String::new();
    for made in Program::eval_all(&programs, &block, &mut state) {
        let values: Vec<String> = (0..block.len()).map(|row| show(&made.column.value(row))).collect();
        let errors =
            made.errors.first.map_or(String::new(), |first| format!("  {} errors: {first}", made.errors.count));
        writeln!(shown, "{}{errors}", values.join(" ")).unwrap();
    }
    expect![[r#"
        11 12 13 14
        "n11" "n12" "n13" "n14"
        "3," "3,1," "3,1,4," "3,1,4,2,"
        1 2 . .
        3 1 4 2
        . . . .  4 errors: row 0: user functions call each other deeper than 16 levels (expression 1:8); the result is null
        1.5 0.5 2.0 1.0
    "#]].assert_eq(&shown);

    // Events in other blocks, and a restored state in between, give the same.
    let rows = |range: std::ops::Range<usize>| block.slice(range);
    let mut first = State::new(1);
    let mut parts: Vec<Vec<Value>> = vec![Vec::new(); programs.len()];
    for row in 0..block.len() {
        let mut restored = State::new(1);
        assert!(restored.restore(&first.save()));
        first = restored;
        for (values, made) in parts.iter_mut().zip(Program::eval_all(&programs, &rows(row..row + 1), &mut first)) {
            values.push(made.column.value(0));
        }
    }
    let mut whole = State::new(1);
    for (values, made) in parts.iter().zip(Program::eval_all(&programs, &block, &mut whole)) {
        assert_eq!(*values, (0..block.len()).map(|row| made.column.value(row)).collect::<Vec<_>>());
    }
    assert_eq!(first.save(), whole.save());
    let texts = programs[0].0.canonical();
    assert!(texts.contains("parameter ( 1 ) * 2"), "{texts}");
    assert_eq!(scope.declare_function("twice", "int64").unwrap_err().message, "there are two functions `twice`");
    assert_eq!(scope.declare_function("x", "intger").unwrap_err().message, "`intger` is no type of a function");
}

#[test]
fn patterns_bind_variables() {
    let block = block(&[3, 1, 3, 2]);
    let scope = Scope::new(&block.schema).with_bindings();
    let first = Program::compile("v > 2 and x == v", &scope).unwrap();
    let next = Program::compile("x == v", &scope).unwrap();
    let mut state = State::new(1);
    assert!(!next.clone().test(&block, 1, &mut State::new(1)).0 || next.needs_state());
    assert!(!first.test(&block, 1, &mut state).0);
    assert!(first.test(&block, 0, &mut state).0, "nothing was bound by the event that failed");
    assert_eq!([1, 2, 3].map(|row| next.test(&block, row, &mut state).0), [false, true, false]);
    assert!(Program::compile("x != v", &scope).is_err(), "only `==` binds");
}
