//! The function language of functional windows: text, what it gives, what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::sync::Arc;

use expect_test::expect;
use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Function, FunctionCompiler, Scope};

fn block() -> Block {
    let schema = Arc::new(Schema::parse("id*:int64,temp:double,name:string").unwrap());
    let rows = [
        [Value::Int64(1), Value::Double(1.5), Value::String("one".into())],
        [Value::Int64(2), Value::Null, Value::String(" Two ".into())],
        [Value::Int64(3), Value::Double(-4.0), Value::Null],
    ];
    let columns = schema.fields().iter().enumerate().map(|(field, shape)| {
        let mut builder = ColumnBuilder::new(shape.ty, rows.len());
        rows.iter().for_each(|row| assert!(builder.push(&row[field])));
        Arc::new(builder.finish())
    });
    let columns = columns.collect();
    Block::new(schema, vec![Opcode::Insert; 3], vec![Flags::NORMAL; 3], columns)
}

#[test]
fn functions() {
    let block = block();
    let mut compiler = FunctionCompiler::new(Scope::new(&block.schema));
    let mut out = String::new();
    let table = [
        ("n", "int64", "eventCounter()"),
        ("f", "double", "sum($temp,$id,)"),
        ("g", "int32", "diff($f, 1, 1)"),
        ("h", "double", "product($g, 0.5)"),
        ("i", "double", "quotient($id, 2)"),
        ("i2", "double", "quotient($temp, diff($id, 1))"),
        ("j", "string", "concat($name, '-', $id)"),
        ("k", "string", "concatDelim(',', $id, $temp, x y)"),
        ("l", "int32", "equals($name, one)"),
        ("m", "string", "if(gt($temp, 0), 'warm', if(isNull($temp), unknown, \"cold\"))"),
        ("o", "string", "if(lt($temp, 0), freezing)"),
        ("p", "int32", "and(isNotNull($temp), between($id, 1, 2))"),
        ("q", "string", "toUpper(trim($name))"),
        ("r", "int64", "integer(12.9)"),
        ("s", "string", "just text, with a comma"),
        ("t", "double", "42"),
        ("u", "double", "$temp"),
        ("v", "double", "mean($id, $temp, 6)"),
        ("w", "int32", "contains($name, n)"),
        ("x", "int64", "max($id, 2, 1)"),
        ("y", "string", "$q"),
        ("bad1", "int64", "sum($temp, $tmp)"),
        ("bad2", "int64", "sum($n, 1)"),
        ("bad3", "int64", "sum(eventCounter(), 1)"),
        ("bad4", "int64", "som(1, 2)"),
        ("bad5", "int64", "sum(1, 2"),
        ("bad6", "int64", "equals(1)"),
        ("bad7", "int64", "sum(1, 2) + 3"),
        ("bad8", "int64", "#prop"),
        ("bad9", "int64", "concat('a"),
    ];
    for (field, ty, text) in table {
        let ty = FieldType::parse(ty).unwrap();
        match compiler.compile(field, ty, text) {
            Ok(Function::EventCounter) => writeln!(out, "{field} = {text}: event counter").unwrap(),
            Ok(Function::Program(program)) => {
                let result = program.eval(&block, ty);
                let values: Vec<String> =
                    (0..block.len()).map(|row| format!("{:?}", result.column.value(row))).collect();
                let errors = match result.errors.first {
                    Some(first) => format!("  ({first})"),
                    None => String::new(),
                };
                writeln!(out, "{field} = {text}: {}{errors}", values.join(" ")).unwrap();
            }
            Err(error) => writeln!(out, "{field} = {text}: refused at {error}").unwrap(),
        }
    }
    expect![[r#"
        n = eventCounter(): event counter
        f = sum($temp,$id,): Double(2.5) Null Double(-1.0)
        g = diff($f, 1, 1): Int32(0) Null Int32(-3)
        h = product($g, 0.5): Double(0.0) Null Double(-1.5)
        i = quotient($id, 2): Double(0.5) Double(1.0) Double(1.5)
        i2 = quotient($temp, diff($id, 1)): Null Null Double(-2.0)  (row 0: division by zero (expression 1:1); the result is null)
        j = concat($name, '-', $id): String("one-1") String(" Two -2") Null
        k = concatDelim(',', $id, $temp, x y): String("1,1.5,x y") Null String("3,-4,x y")
        l = equals($name, one): Int32(1) Int32(0) Null
        m = if(gt($temp, 0), 'warm', if(isNull($temp), unknown, "cold")): String("warm") String("unknown") String("cold")
        o = if(lt($temp, 0), freezing): Null Null String("freezing")
        p = and(isNotNull($temp), between($id, 1, 2)): Int32(1) Int32(0) Int32(0)
        q = toUpper(trim($name)): String("ONE") String("TWO") Null
        r = integer(12.9): Int64(12) Int64(12) Int64(12)
        s = just text, with a comma: String("just text, with a comma") String("just text, with a comma") String("just text, with a comma")
        t = 42: Double(42.0) Double(42.0) Double(42.0)
        u = $temp: Double(1.5) Null Double(-4.0)
        v = mean($id, $temp, 6): Double(2.8333333333333335) Null Double(1.6666666666666667)
        w = contains($name, n): Int32(1) Int32(0) Null
        x = max($id, 2, 1): Int64(2) Int64(2) Int64(3)
        y = $q: String("ONE") String("TWO") Null
        bad1 = sum($temp, $tmp): refused at 1:13: `tmp` is neither a field nor a variable
        bad2 = sum($n, 1): refused at 1:6: `n` is an event counter, which functions cannot use yet
        bad3 = sum(eventCounter(), 1): refused at 1:5: eventCounter() inside another function is not supported yet
        bad4 = som(1, 2): refused at 1:1: function `som` is unknown or not supported yet
        bad5 = sum(1, 2: refused at 1:4: this `(` has no `)`
        bad6 = equals(1): refused at 1:1: `equals` takes 2 to 2 arguments, found 1
        bad7 = sum(1, 2) + 3: refused at 1:11: nothing may follow the function
        bad8 = #prop: refused at 1:1: properties of the function context are not supported yet
        bad9 = concat('a: refused at 1:8: this text has no end
    "#]].assert_eq(&out);
}

#[test]
fn fields_that_use_fields_do_not_explode() {
    let block = block();
    let mut compiler = FunctionCompiler::new(Scope::new(&block.schema));
    assert!(compiler.compile("f0", FieldType::Double, "sum($temp, $temp)").is_ok());
    let refused = (1..64).find_map(|level| {
        let text = format!("sum($f{0}, $f{0})", level - 1);
        compiler.compile(&format!("f{level}"), FieldType::Double, &text).err()
    });
    let message = refused.expect("64 doublings cannot be compiled").message;
    assert_eq!(message, "the functions of this window use each other too often");
}
