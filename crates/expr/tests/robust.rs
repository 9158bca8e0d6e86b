//! Any text is a program or is refused: no panic, no endless work, no deep recursion, whatever stands in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{ExprError, FunctionCompiler, LoopKind, Program, Scope, State};
use proptest::prelude::*;

const FIELDS: &str = "v*:int64,s:string,x:double";

fn block() -> Block {
    let schema = Arc::new(Schema::parse(FIELDS).unwrap());
    let rows = [
        [Value::Int64(3), Value::String("a<b>1</b>".into()), Value::Double(0.5)],
        [Value::Int64(i64::MIN), Value::Null, Value::Double(f64::INFINITY)],
    ];
    let columns = schema.fields().iter().enumerate().map(|(field, shape)| {
        let mut builder = ColumnBuilder::new(shape.ty, 2);
        rows.iter().for_each(|row| assert!(builder.push(&row[field])));
        Arc::new(builder.finish())
    });
    let columns = columns.collect();
    Block::new(schema, vec![Opcode::Insert; 2], vec![Flags::NORMAL; 2], columns)
}

/// An error points into its text and can be shown.
fn shown(text: &str, error: &ExprError) {
    assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{error:?} in {text:?}");
    assert!(text.is_char_boundary(error.span.start), "{error:?} in {text:?}");
    assert!(!error.pretty().is_empty());
}

fn run(text: &str) {
    let block = block();
    match Program::compile(text, &Scope::new(&block.schema).with_bindings()) {
        Err(error) => shown(text, &error),
        Ok(program) => {
            let mut state = State::new(1);
            for into in [FieldType::Int32, FieldType::String, FieldType::Stamp, FieldType::Money] {
                let made = Program::eval_all(&[(&program, into)], &block, &mut state);
                assert_eq!(made[0].column.len(), 2);
            }
            let mut restored = State::new(1);
            assert!(restored.restore(&state.save()));
        }
    }
}

fn run_function(text: &str) {
    let block = block();
    let output = Schema::parse("v*:int64,s:string,x:double,d:date").unwrap();
    for field in ["s", "x", "d"] {
        let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
        match compiler.function(field, text) {
            Err(error) => shown(text, &error),
            Ok(()) => assert_eq!(compiler.finish().eval(&block, &mut State::new(1)).events.len(), 2),
        }
    }
    for kind in [LoopKind::Xml, LoopKind::Json, LoopKind::Regex] {
        let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
        if compiler.begin_loop(kind, None, ("$s", text, 0)).is_ok() {
            compiler.end_loop();
            compiler.finish().eval(&block, &mut State::new(1));
        }
    }
}

/// Pieces of programs; loops among them end early.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &str = "integer real string date boolean static regex array of n m r a v s x = == != <> < <= > >= + \
        - * / % & ( ) ( ) , ; . : and or not if then else begin end return for to step goto break continue null true \
        false 0 1 2.5 1e308 9223372036854775807 'a' \"b\" `v` #2010-02-12# today() isnull( upper( left( max( pow( \
        round( chr( formatdate( todate( match_string( instr( mid( inlist( parse( aparse( parameter( r.compile( \
        r.findfirst( a.dim( a.set( a.get( raiseerror( ESP_OPCODE ESP_FLAGS 'größe' /* */ //";
    let pieces: Vec<String> = PIECES.split_whitespace().map(str::to_owned).collect();
    prop_oneof![9 => prop::sample::select(pieces), 1 => "\\PC{0,3}"]
}

fn function_piece() -> impl Strategy<Value = String> {
    const PIECES: &str = "sum( diff( if( switch( concat( xpath( json( rgx( rgxReplace( rgxToken( timeParse( timeString( \
        substring( listItem( mapValue( translate( precision( interval( base64Decode( urlDecode( eventCounter() guid() \
        random() $v $s $x #p , , , ) ) ) 'a' '//b' 'a.b[0]' '(x)|y*' '%Y' 0 1 -1 9223372036854775807 1e300 text [ ] . \
        / // @ * :: ' \" ancestor:: [1] position() = | and or mod div -";
    let pieces: Vec<String> = PIECES.split_whitespace().map(str::to_owned).collect();
    prop_oneof![9 => prop::sample::select(pieces), 1 => "\\PC{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_are_a_program_or_are_refused(pieces in prop::collection::vec(piece(), 0..25)) {
        run(&pieces.join(" "));
    }

    #[test]
    fn any_pieces_are_a_function_or_are_refused(pieces in prop::collection::vec(function_piece(), 0..15)) {
        run_function(&pieces.concat());
    }

    #[test]
    fn any_bytes_are_refused_as_a_state_or_are_one(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let mut state = State::new(1);
        if state.restore(&bytes) {
            let mut again = State::new(1);
            prop_assert!(again.restore(&state.save()));
        }
    }
}

/// Found by the pieces above: one expression behind a declaration was taken for a program without variables.
#[test]
fn a_variable_that_was_never_assigned_is_null() {
    let block = block();
    for text in ["integer n n", "string s2 return s2"] {
        let program = Program::compile(text, &Scope::new(&block.schema)).unwrap();
        let made = Program::eval_all(&[(&program, FieldType::String)], &block, &mut State::new(1));
        assert!(made[0].column.is_null(0) && made[0].column.is_null(1), "{text}: {:?}", made[0].column);
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    for (open, close) in
        [("(", ")"), ("not ", ""), ("-", ""), ("abs(", ")"), ("if 1 ", ""), ("begin ", " end"), ("1+", "")]
    {
        run(&format!("{}1{}", open.repeat(50_000), close.repeat(50_000)));
        run(&open.repeat(50_000));
    }
    run(&"integer a ".repeat(20_000));
    run(&"a".repeat(300_000));
    for (open, close) in [("sum(", ")"), ("if(1,", ")"), ("xpath($s,'", "')")] {
        run_function(&format!("{}1{}", open.repeat(20_000), close.repeat(20_000)));
    }
    for path in ["(", "-", "a[", "a/", "//", "not(", "a|", "1 or "] {
        run_function(&format!("xpath($s, '{}')", path.repeat(5_000)));
        run_function(&path.repeat(5_000));
    }
    run_function(&format!("json($s, '{}')", "a[0].".repeat(5_000)));
}

#[test]
fn endless_programs_end() {
    run("while true begin end return 1");
    run("top: goto top return 1");
    run("integer i for i = 1 to 2 i = 0 return i");
    run("regex r r.compile(\"(a*)*b\") return r.findfirst(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac\")");
    run("regex r r.compile(\"(?=(a+)+)(a|aa)+$\") return r.findfirst(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac\")");
}
