//! Tables of expressions: what goes in, what comes out, what is refused. Run with `UPDATE_EXPECT=1` to rewrite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::sync::Arc;

use expect_test::{Expect, expect};
use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Program, Scope};

/// `i:int64 = 1 2 .` lines to a block; `.` is null.
fn block(table: &str) -> Block {
    let mut names = Vec::new();
    let mut columns = Vec::new();
    let mut rows = 0;
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (field, values) = line.split_once('=').unwrap();
        let ty = FieldType::parse(field.split_once(':').unwrap().1).unwrap();
        let mut builder = ColumnBuilder::new(ty, 0);
        for value in values.split_whitespace() {
            assert!(builder.push(&value_of(ty, value)), "{value} is not a {ty}");
        }
        names.push(field.trim().to_owned());
        rows = builder.len();
        columns.push(Arc::new(builder.finish()));
    }
    let schema = Arc::new(Schema::parse(&names.join(",")).unwrap());
    let opcodes = (0..rows).map(|row| if row == 0 { Opcode::Insert } else { Opcode::Delete }).collect();
    Block::new(schema, opcodes, vec![Flags::RETENTION; rows], columns)
}

fn value_of(ty: FieldType, text: &str) -> Value {
    match (ty, text) {
        (_, ".") => Value::Null,
        (FieldType::Int32, text) => Value::Int32(text.parse().unwrap()),
        (FieldType::Int64, text) => Value::Int64(text.parse().unwrap()),
        (FieldType::Double, text) => Value::Double(text.parse().unwrap()),
        (FieldType::Date, text) => Value::Date(text.parse().unwrap()),
        (FieldType::Stamp, text) => Value::Stamp(text.parse().unwrap()),
        (FieldType::Money, text) => Value::Money(text.parse().unwrap()),
        (_, text) => Value::String(text.replace('_', " ").into()),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => ".".into(),
        Value::Int32(v) => v.to_string(),
        Value::Int64(v) | Value::Date(v) | Value::Stamp(v) | Value::Money(v) => v.to_string(),
        Value::Double(v) => format!("{v:?}"),
        Value::String(v) => format!("{v:?}"),
        other => format!("{other:?}"),
    }
}

/// One line per expression `text => field type`: result type, the column, errors.
fn check(input: &str, expressions: &str, expected: Expect) {
    let block = block(input);
    let scope = Scope::new(&block.schema);
    let mut out = String::new();
    for line in expressions.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, into) = line.rsplit_once("=>").unwrap();
        let (text, into) = (text.trim(), FieldType::parse(into).unwrap());
        match Program::compile(text, &scope) {
            Err(error) => writeln!(out, "{text}\n    refused at {error}").unwrap(),
            Ok(program) => {
                let result = program.eval(&block, into);
                assert_eq!(result.column.field_type(), into);
                assert_eq!(result.column.len(), block.len());
                let values: Vec<String> = (0..block.len()).map(|row| show(&result.column.value(row))).collect();
                let ty = program.result_type().map_or("null", |ty| ty.name());
                writeln!(out, "{text} : {ty} => {into}\n    {}", values.join(" ")).unwrap();
                if let Some(first) = result.errors.first {
                    writeln!(out, "    {} errors, first: {first}", result.errors.count).unwrap();
                }
            }
        }
    }
    expected.assert_eq(&out);
}

#[test]
fn arithmetic() {
    check(
        "i:int64 = 7 -7 0 .
         j:int32 = 2 2 0 1
         x:double = 1.5 -0.5 0 .
         m:money = 12500 10000 . 1",
        "i + j => int64
         i - j * 2 => int32
         i / j => double
         i / j => int64
         i % j => int64
         -i => int64
         -x => double
         i * 9223372036854775807 => int64
         x % 1 => double
         m + 0.25 => money
         m => money
         m => double
         i + x => string
         3000000000 => int32
         2 * (3 + 4) => int64
         true + 1 => int64
         '12' + 1 => double
         'abc' + 1 => double
         1 / 3 * 3 => double
         null + 1 => int64",
        expect![[r#"
            i + j : integer => int64
                9 -5 0 .
            i - j * 2 : integer => int32
                3 -11 0 .
            i / j : real => double
                3.5 -3.5 . .
                1 errors, first: row 2: division by zero (expression 1:1); the result is null
            i / j : real => int64
                3 -3 . .
                1 errors, first: row 2: division by zero (expression 1:1); the result is null
            i % j : integer => int64
                1 -1 . .
                1 errors, first: row 2: division by zero (expression 1:1); the result is null
            -i : integer => int64
                -7 7 0 .
            -x : real => double
                -1.5 0.5 -0.0 .
            i * 9223372036854775807 : integer => int64
                . . 0 .
                2 errors, first: row 0: integer overflow (expression 1:1); the result is null
            x % 1 : real => double
                0.5 -0.5 0.0 .
            m + 0.25 : real => money
                15000 12500 . 2501
            m : real => money
                12500 10000 . 1
            m : real => double
                1.25 1.0 . 0.0001
            i + x : real => string
                "8.5" "-7.5" "0" .
            3000000000 : integer => int32
                . . . .
                4 errors, first: row 0: the number does not fit int32 (expression 1:1); the result is null
            2 * (3 + 4) : integer => int64
                14 14 14 14
            true + 1 : integer => int64
                2 2 2 2
            '12' + 1 : real => double
                13.0 13.0 13.0 13.0
            'abc' + 1 : real => double
                . . . .
                4 errors, first: row 0: the text is not a number (expression 1:1); the result is null
            1 / 3 * 3 : real => double
                1.0 1.0 1.0 1.0
            null + 1 : integer => int64
                . . . .
        "#]],
    );
}

#[test]
fn logic_and_comparison() {
    check(
        "a:int32 = 1 0 . 5
         s:string = NC SC . 10
         x:double = 1 . 0.5 5",
        "a == 1 => int32
         s <> \"NC\" or isnull(s) => int32
         s != 'NC' => int32
         not a => int32
         not s == 'NC' and x > 0.7 => int32
         a > 0 and 10 / a > 1 => int32
         a == 0 or 10 / a > 1 => int32
         a and null => int32
         a or null => int32
         x >= a => string
         s == 10 => int32
         s < 'P' => int32
         null == null => int32
         true => string
         ESP_OPCODE == \"I\" => int32
         instr(ESP_FLAGS, \"R\") => int32",
        expect![[r#"
            a == 1 : boolean => int32
                1 0 . 0
            s <> "NC" or isnull(s) : boolean => int32
                0 1 1 1
            s != 'NC' : boolean => int32
                0 1 . 1
            not a : boolean => int32
                0 1 . 0
            not s == 'NC' and x > 0.7 : boolean => int32
                0 . 0 1
            a > 0 and 10 / a > 1 : boolean => int32
                1 0 . 1
            a == 0 or 10 / a > 1 : boolean => int32
                1 1 . 1
            a and null : boolean => int32
                . 0 . .
            a or null : boolean => int32
                1 . . 1
            x >= a : boolean => string
                "true" . . "true"
            s == 10 : boolean => int32
                . . . 1
                2 errors, first: row 0: the text is not a number (expression 1:1); the result is null
            s < 'P' : boolean => int32
                1 0 . 1
            null == null : boolean => int32
                . . . .
            true : boolean => string
                "true" "true" "true" "true"
            ESP_OPCODE == "I" : boolean => int32
                1 0 0 0
            instr(ESP_FLAGS, "R") : integer => int32
                1 1 1 1
        "#]],
    );
}

#[test]
fn text() {
    check(
        "s:string = Monday grüße _a_ .
         n:int64 = 2 -1 0 3",
        "upper(s) => string
         lower(s) => string
         left(s, n) => string
         right(s, n) => string
         mid(s, 2, 3) => string
         mid(s, 2) => string
         len(s) => int32
         trim(s) & '|' => string
         s & '-' & n => string
         instr(s, 'a') => int64
         match_string(s, \"*da*\") => int32
         match_string(s, '?' & 'onday') => int32
         match_string(s, s & '*x') => int32
         isblank(s) => int32
         isblank('  ') => int32
         compare(s, 'monday') => int32
         compare(s, 'monday', true) => int32
         replace(s, 'ü', 'ue') => string
         tostring(1.0) & tostring(0.1) & tostring(1/3) => string",
        expect![[r#"
            upper(s) : string => string
                "MONDAY" "GRÜSSE" " A " .
            lower(s) : string => string
                "monday" "grüße" " a " .
            left(s, n) : string => string
                "Mo" "" "" .
            right(s, n) : string => string
                "ay" "" "" .
            mid(s, 2, 3) : string => string
                "ond" "rüß" "a " .
            mid(s, 2) : string => string
                "onday" "rüße" "a " .
            len(s) : integer => int32
                6 5 3 .
            trim(s) & '|' : string => string
                "Monday|" "grüße|" "a|" .
            s & '-' & n : string => string
                "Monday-2" "grüße--1" " a -0" .
            instr(s, 'a') : integer => int64
                5 0 2 .
            match_string(s, "*da*") : boolean => int32
                1 0 0 .
            match_string(s, '?' & 'onday') : boolean => int32
                1 0 0 .
            match_string(s, s & '*x') : boolean => int32
                . . . .
                3 errors, first: row 0: `*` inside a pattern is not allowed (expression 1:1); the result is null
            isblank(s) : boolean => int32
                0 0 0 1
            isblank('  ') : boolean => int32
                1 1 1 1
            compare(s, 'monday') : integer => int32
                -1 -1 -1 .
            compare(s, 'monday', true) : integer => int32
                0 -1 -1 .
            replace(s, 'ü', 'ue') : string => string
                "Monday" "grueße" " a " .
            tostring(1.0) & tostring(0.1) & tostring(1/3) : string => string
                "10.10.3333333333333333" "10.10.3333333333333333" "10.10.3333333333333333" "10.10.3333333333333333"
        "#]],
    );
}

#[test]
fn numbers_and_conversions() {
    check(
        "x:double = 2.5 -2.5 0.004 .
         i:int64 = -3 9007199254740993 2 .
         t:string = 12.9 abc _7_ .",
        "ceil(x) => double
         floor(x) => int32
         round(x) => int64
         round(x, 2) => double
         abs(i) => int64
         abs(x) => double
         min(i, 1, 2) => int64
         max(x, i) => double
         pow(x, 0.5) => double
         pow(2, 10) => int64
         tointeger(t) => int64
         toreal(t) => double
         t => int32
         tointeger(1e30) => int64
         toboolean(t) => string
         x => string
         i => double",
        expect![[r#"
            ceil(x) : real => double
                3.0 -2.0 1.0 .
            floor(x) : real => int32
                2 -3 0 .
            round(x) : real => int64
                3 -3 0 .
            round(x, 2) : real => double
                2.5 -2.5 0.0 .
            abs(i) : integer => int64
                3 9007199254740993 2 .
            abs(x) : real => double
                2.5 2.5 0.004 .
            min(i, 1, 2) : integer => int64
                -3 1 1 .
            max(x, i) : real => double
                2.5 9007199254740992.0 2.0 .
            pow(x, 0.5) : real => double
                1.5811388300841898 . 0.06324555320336758 .
                1 errors, first: row 1: the function has no value here (expression 1:1); the result is null
            pow(2, 10) : real => int64
                1024 1024 1024 1024
            tointeger(t) : integer => int64
                12 . 7 .
                1 errors, first: row 1: the text is not a number (expression 1:11); the result is null
            toreal(t) : real => double
                12.9 . 7.0 .
                1 errors, first: row 1: the text is not a number (expression 1:8); the result is null
            t : string => int32
                12 . 7 .
                1 errors, first: row 1: the text is not a number (expression 1:1); the result is null
            tointeger(1e30) : integer => int64
                . . . .
                4 errors, first: row 0: the number does not fit an integer (expression 1:11); the result is null
            toboolean(t) : boolean => string
                "true" . "true" .
                1 errors, first: row 1: the text is not true, false or a number (expression 1:11); the result is null
            x : real => string
                "2.5" "-2.5" "0.004" .
            i : integer => double
                -3.0 9007199254740992.0 2.0 .
        "#]],
    );
}

#[test]
fn dates() {
    check(
        "d:date = 0 86399 1265932800 .
         t:stamp = 1500000 -1 1265976000250000 .",
        "d => date
         t => stamp
         d + 1 => date
         t + 0.5 => stamp
         (t - d) * 86400 => double
         t => string
         d => double
         d == #1970-01-01# => int32
         t > '2010-01-01' => int32
         #2010-02-12 12:00:00# => stamp
         todate('2010-02-12') => date
         t => date
         d => stamp
         max(d, t) => stamp
         d + d => date
         1 => date",
        expect![[r#"
            d : date => date
                0 86399 1265932800 .
            t : date => stamp
                1500000 -1 1265976000250000 .
            d + 1 : date => date
                86400 172799 1266019200 .
            t + 0.5 : date => stamp
                43201500000 43199999999 1266019200250000 .
            (t - d) * 86400 : real => double
                1.5000000363215804 -86399.00000102352 43200.24999990128 .
            t : date => string
                "1970-01-01 00:00:01.5" "1969-12-31 23:59:59.999999" "2010-02-12 12:00:00.25" .
            d : date => double
                25569.0 25569.999988425927 40221.0 .
            d == #1970-01-01# : boolean => int32
                1 0 0 .
            t > '2010-01-01' : boolean => int32
                0 0 1 .
            #2010-02-12 12:00:00# : date => stamp
                1265976000000000 1265976000000000 1265976000000000 1265976000000000
            todate('2010-02-12') : date => date
                1265932800 1265932800 1265932800 1265932800
            t : date => date
                2 0 1265976000 .
            d : date => stamp
                0 86399000000 1265932800000000 .
            max(d, t) : date => stamp
                1500000 86399000000 1265976000250000 .
            d + d
                refused at 1:1: two dates cannot be added
            1 : integer => date
                -2209075200 -2209075200 -2209075200 -2209075200
        "#]],
    );
}

#[test]
fn programs() {
    check(
        "a:int64 = 1 5 10 .
         s:string = x y z .",
        "if a > 4 then return 'big' else return 'small' => string
         if a > 4 return 'big' return 'small' => string
         integer split split=0 if a > 1 split = a * 2 return split => int64
         integer x = 3; real y = x / 2; return y => double
         integer x x = 7 / 2 x => int64
         if a == 1 begin a + 1 end else if a == 5 begin return 50; end else 0 => int64
         string(20) r r = s & s if a > 4 r = upper(r) return r => string
         if a > 4 then 1 => int64
         if a != 0 and 10 / a >= 2 then return 10 / a else return -1 => double
         private integer x = a  return X => int64
         boolean b = a > 2 if b then 'yes' else 'no' => string
         date d = #2000-01-01# return d + a => date
         if s == 'x' return 1 else return 'other' => string
         if s == 'x' return 1 else return 2.5 => string
         if isnull(a) return null else return a => int64
         integer q = 1 if a > 4 begin q = q / 0 end return q => int64
         a /* inner */ + 1 // the end => int64",
        expect![[r#"
            if a > 4 then return 'big' else return 'small' : string => string
                "small" "big" "big" "small"
            if a > 4 return 'big' return 'small' : string => string
                "small" "big" "big" "small"
            integer split split=0 if a > 1 split = a * 2 return split : integer => int64
                0 10 20 0
            integer x = 3; real y = x / 2; return y : real => double
                1.5 1.5 1.5 1.5
            integer x x = 7 / 2 x : integer => int64
                3 3 3 3
            if a == 1 begin a + 1 end else if a == 5 begin return 50; end else 0 : integer => int64
                2 50 0 0
            string(20) r r = s & s if a > 4 r = upper(r) return r : string => string
                "xx" "YY" "ZZ" .
            if a > 4 then 1 : integer => int64
                . 1 1 .
            if a != 0 and 10 / a >= 2 then return 10 / a else return -1 : real => double
                10.0 2.0 -1.0 -1.0
            private integer x = a  return X : integer => int64
                1 5 10 .
            boolean b = a > 2 if b then 'yes' else 'no' : string => string
                "no" "yes" "yes" "no"
            date d = #2000-01-01# return d + a : date => date
                946771200 947116800 947548800 .
            if s == 'x' return 1 else return 'other' : string => string
                "1" "other" "other" "other"
            if s == 'x' return 1 else return 2.5 : real => string
                "1" "2.5" "2.5" "2.5"
            if isnull(a) return null else return a : integer => int64
                1 5 10 .
            integer q = 1 if a > 4 begin q = q / 0 end return q : integer => int64
                1 . . 1
                2 errors, first: row 1: division by zero (expression 1:34); the result is null
            a /* inner */ + 1 // the end : integer => int64
                2 6 11 .
        "#]],
    );
}

#[test]
fn refusals() {
    check(
        "temp:double = 1
         dewp:double = 1
         wind_speed:double = 1",
        "tmp > 5 => int32
         temp > => int32
         temp = 5 => int32
         (temp + 1 => double
         temp + 1) => double
         uper('a') => string
         today() => date
         upper => string
         left('a') => string
         max() => double
         zzz => double
         count = 1 => int64
         integer temp = 1 return temp => int64
         integer a integer a return a => int64
         integer a = 1 => int64
         if temp > 1 then => int64
         begin temp => int64
         'open => string
         #2010-13-01# => date
         99999999999999999999 => int64
         5abc => int64
         temp || 'x' => string
         !temp => int32
         while temp > 1 temp => int32
         regex r return 1 => int32
         match_string('a', 'a*b') => int32
         todate(true) => date
         temp == end => int32",
        expect![[r#"
            tmp > 5
                refused at 1:1: `tmp` is neither a field nor a variable
            temp >
                refused at 1:7: expected a value, found the end of the expression
            temp = 5
                refused at 1:1: `temp` is a field of the input and cannot be assigned
            (temp + 1
                refused at 1:1: this `(` has no `)`
            temp + 1)
                refused at 1:9: expected a value, found `)`
            uper('a')
                refused at 1:1: there is no function `uper`
            today() : date => date
                .
            upper
                refused at 1:1: `upper` is neither a field nor a variable
            left('a')
                refused at 1:1: `left` takes 2 arguments, found 1
            max()
                refused at 1:1: `max` takes 1 to 64 arguments, found 0
            zzz
                refused at 1:1: `zzz` is neither a field nor a variable
            count = 1
                refused at 1:1: `count` is not a variable
            integer temp = 1 return temp
                refused at 1:9: `temp` is already a field of the input
            integer a integer a return a
                refused at 1:19: `a` is already a variable declared above
            integer a = 1 : integer => int64
                1
            if temp > 1 then
                refused at 1:17: expected a statement after `if`
            begin temp
                refused at 1:1: this `begin` has no `end`
            'open
                refused at 1:1: this text has no end
            #2010-13-01#
                refused at 1:1: `2010-13-01` is not a date
            99999999999999999999
                refused at 1:1: `99999999999999999999` does not fit a 64-bit integer
            5abc
                refused at 1:1: letters follow the number `5` directly
            temp || 'x'
                refused at 1:6: `|` has no meaning here
            !temp
                refused at 1:1: `!` has no meaning here
            while temp > 1 temp : real => int32
                .
            regex r return 1 : integer => int32
                1
            match_string('a', 'a*b')
                refused at 1:19: `*` inside a pattern is not allowed
            todate(true) : date => date
                .
                1 errors, first: row 0: a boolean cannot become a date (expression 1:1); the result is null
            temp == end
                refused at 1:9: expected a value, found `end`
        "#]],
    );
}

#[test]
fn a_filter_keeps_rows_for_which_it_is_true() {
    let block = block("a:int64 = 1 0 . 5\ns:string = yes no . 0");
    let scope = Scope::new(&block.schema);
    let mut keep = vec![true];
    let filter = |text: &str, keep: &mut Vec<bool>| Program::compile(text, &scope).unwrap().eval_filter(&block, keep);
    assert_eq!(filter("a > 0", &mut keep).count, 0);
    assert_eq!(keep, [true, false, false, true]);
    assert_eq!(filter("a", &mut keep).count, 0);
    assert_eq!(keep, [true, false, false, true]);
    assert_eq!(filter("s", &mut keep).count, 0);
    assert_eq!(keep, [true, false, false, false]);
    assert_eq!(filter("10 / a > 2", &mut keep).count, 1);
    assert_eq!(keep, [true, false, false, false]);
    assert_eq!(filter("null", &mut keep).count, 0);
    assert_eq!(keep, [false; 4]);
    assert_eq!(filter("true", &mut keep).count, 0);
    assert_eq!(keep, [true; 4]);
}

#[test]
fn a_field_alone_is_passed_on_without_a_copy() {
    let block = block("t:stamp = 1 2\nx:double = 1 2");
    let program = Program::compile("return t", &Scope::new(&block.schema)).unwrap();
    assert!(Arc::ptr_eq(&program.eval(&block, FieldType::Stamp).column, &block.columns[0]));
    assert!(!program.fits(FieldType::Blob));
    assert!(program.fits(FieldType::Int64));
}

#[test]
fn errors_have_a_span_and_a_way_out() {
    let scope = Scope::new(&Schema::parse("temp:double,dewp:double").unwrap());
    let error = Program::compile("temp >\n  tmep + 1", &scope).unwrap_err();
    assert_eq!((error.line, error.column, error.span), (2, 3, 9..13));
    assert_eq!(error.help.unwrap(), "did you mean `temp`? known: temp, dewp, ESP_OPCODE, ESP_FLAGS");
    let deep = "(".repeat(1000) + "1";
    assert!(Program::compile(&deep, &scope).unwrap_err().message.contains("nested deeper"));
    let long = vec!["1"; 5000].join("+");
    assert!(Program::compile(&long, &scope).unwrap_err().message.contains("nested deeper"));
}
