//! Function contexts: properties that are computed for each event, items of loops, several inputs.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

use mesh_event::{Block, BlockKind, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{FunctionCompiler, LoopKind, PropertyKind, State};
use std::sync::Arc;

/// Rows of `id*:int64,doc:string`.
fn documents(texts: &[&str]) -> Block {
    let schema = Arc::new(Schema::parse("id*:int64,doc:string").unwrap());
    let (mut id, mut doc) =
        (ColumnBuilder::new(FieldType::Int64, texts.len()), ColumnBuilder::new(FieldType::String, texts.len()));
    for (at, text) in texts.iter().enumerate() {
        assert!(id.push_i64(at as i64));
        if text.is_empty() {
            doc.push_null();
        } else {
            assert!(doc.push_str(text));
        }
    }
    Block {
        schema,
        kind: BlockKind::Normal,
        opcodes: vec![Opcode::Insert; texts.len()],
        flags: vec![Flags::NORMAL; texts.len()],
        columns: vec![Arc::new(id.finish()), Arc::new(doc.finish())],
    }
}

/// The computed fields of each event that goes out.
fn run(compiler: FunctionCompiler, block: &Block) -> Vec<Vec<Value>> {
    let made = compiler.finish().eval(block, &mut State::new(1));
    assert_eq!(made.errors.first, None);
    (0..made.events.len()).map(|at| made.columns.iter().map(|(_, column)| column.value(at)).collect()).collect()
}

fn text(text: &str) -> Value {
    Value::String(Arc::from(text))
}

#[test]
fn a_property_is_computed_for_each_event() {
    let block = documents(&["<o><n>a</n><l>1;2</l></o>", "", "<o><n>b</n></o>"]);
    let output = Schema::parse("id*:int64,n:string,last:string,doc:string").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    compiler.property("xml", PropertyKind::Xml, "$doc", ("", "")).unwrap();
    compiler.property("list", PropertyKind::List, " xpath(#xml, 'l') ", (";", "")).unwrap();
    compiler.property("plain", PropertyKind::String, "$5 off", ("", "")).unwrap();
    compiler.function("n", "string(xpath(#xml, './n/text()'), '/', #plain)").unwrap();
    compiler.function("last", "listItem(#list, 1)").unwrap();
    // A function without a text makes its field null, for what stands behind it too.
    compiler.function("doc", " ").unwrap();
    let made = run(compiler, &block);
    assert_eq!(made[0], [text("a/$5 off"), text("2"), Value::Null]);
    assert_eq!(made[1], [text("/$5 off"), Value::Null, Value::Null]);
    assert_eq!(made[2], [text("b/$5 off"), Value::Null, Value::Null]);
}

#[test]
fn a_property_of_what_is_not_there_is_refused() {
    let block = documents(&[]);
    let mut compiler = FunctionCompiler::new(&block.schema, &block.schema, 1);
    let error = compiler.property("xml", PropertyKind::Xml, "$dok", ("", "")).unwrap_err();
    assert!(error.to_string().contains("`dok` is no field"), "{error}");
    assert!(compiler.property("xml", PropertyKind::Xml, "xpath($doc)", ("", "")).is_err());
}

#[test]
fn the_item_of_a_loop_goes_by_its_name() {
    let block = documents(&["<o><k>1</k><p><n>a</n></p><p><n>b</n><q>x</q></p></o>"]);
    let output = Schema::parse("id*:int64,doc:string,n:string,q:string").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    compiler.property("xml", PropertyKind::Xml, "$doc", ("", "")).unwrap();
    compiler.function("doc", "string(xpath(#xml,'./k/text()'),'-',eventNumber())").unwrap();
    compiler.begin_loop(LoopKind::Xml, Some("part"), ("#xml", "//p", 0)).unwrap();
    compiler.property("inner", PropertyKind::Xml, "$part", ("", "")).unwrap();
    compiler.function("n", "xpath($part, 'n')").unwrap();
    compiler.function("q", "xpath(#inner, 'q/text()')").unwrap();
    compiler.end_loop();
    let made = run(compiler, &block);
    assert_eq!(made[0], [text("1-0"), Value::Null, Value::Null]);
    assert_eq!(made[1], [text("1-1"), text("a"), Value::Null]);
    assert_eq!(made[2], [text("1-2"), text("b"), text("x")]);
}

#[test]
fn fields_of_other_inputs_are_null() {
    let block = documents(&["a"]);
    let output = Schema::parse("id*:int64,n:string").unwrap();
    let mut compiler = FunctionCompiler::new(&block.schema, &output, 1);
    compiler.elsewhere(vec!["other".to_owned(), "doc".to_owned()]);
    compiler.function("n", "concat($doc, '/', $other)").unwrap();
    assert!(compiler.function("n", "$nowhere").is_err());
    assert_eq!(run(compiler, &block)[0], [text("a/")]);
}
