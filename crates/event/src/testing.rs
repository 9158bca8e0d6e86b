//! Random blocks for the property tests of this crate.

use proptest::prelude::*;
use std::sync::Arc;

use crate::{Block, BlockKind, ColumnBuilder, Field, FieldType, Flags, Opcode, Schema, Value};

/// A value of this type, sometimes null; doubles are never NaN, so that blocks can be compared.
pub(crate) fn any_value(ty: FieldType) -> BoxedStrategy<Value> {
    let number = prop_oneof![any::<i64>(), -100_i64..100, Just(i64::MIN), Just(i64::MAX)];
    let double = prop_oneof![any::<f64>(), -1000.0..1000.0, Just(-0.0), Just(f64::INFINITY)]
        .prop_map(|x| if x.is_nan() { 0.5 } else { x });
    let value = match ty {
        FieldType::Int32 => prop_oneof![any::<i32>(), -10..10].prop_map(Value::Int32).boxed(),
        FieldType::Int64 => number.prop_map(Value::Int64).boxed(),
        FieldType::Double => double.prop_map(Value::Double).boxed(),
        FieldType::String => any::<String>().prop_map(|text| Value::String(text.into())).boxed(),
        FieldType::Date => number.prop_map(Value::Date).boxed(),
        FieldType::Stamp => number.prop_map(Value::Stamp).boxed(),
        FieldType::Money => number.prop_map(Value::Money).boxed(),
        FieldType::Blob => any::<Vec<u8>>().prop_map(|bytes| Value::Blob(bytes.into())).boxed(),
        FieldType::ArrayInt32 => {
            prop::collection::vec(any::<i32>(), 0..5).prop_map(|v| Value::ArrayInt32(v.into())).boxed()
        }
        FieldType::ArrayInt64 => prop::collection::vec(number, 0..5).prop_map(|v| Value::ArrayInt64(v.into())).boxed(),
        FieldType::ArrayDouble => {
            prop::collection::vec(double, 0..5).prop_map(|v| Value::ArrayDouble(v.into())).boxed()
        }
    };
    prop_oneof![4 => value, 1 => Just(Value::Null)].boxed()
}

/// A schema with a field of every type, in random order and number.
pub(crate) fn any_schema() -> impl Strategy<Value = Arc<Schema>> {
    prop::collection::vec(prop::sample::select(&FieldType::ALL[..]), 1..8).prop_map(|types| {
        let field = |(i, ty)| Field { name: format!("f{i}"), ty, key: i == 0 };
        Arc::new(Schema::new(types.into_iter().enumerate().map(field).collect()).unwrap())
    })
}

/// A block of a random schema with up to `rows` rows.
pub(crate) fn any_block(rows: usize) -> impl Strategy<Value = Block> {
    any_schema().prop_flat_map(move |schema| {
        let row: Vec<_> = schema.fields().iter().map(|field| any_value(field.ty)).collect();
        let opcode = prop::sample::select(&Opcode::ALL[..]);
        let one_opcode = opcode.clone().prop_map(|opcode| vec![opcode]);
        let opcodes = prop_oneof![one_opcode, prop::collection::vec(opcode, 1..9)];
        let flags = prop_oneof![Just(vec![0]), prop::collection::vec(0_u8..4, 1..9)];
        let rows = prop::collection::vec(row, 0..=rows);
        (rows, opcodes, flags, any::<bool>()).prop_map(move |(rows, opcodes, flags, transactional)| {
            let mut block = block_of(&schema, &rows);
            block.opcodes.iter_mut().zip(opcodes.iter().cycle()).for_each(|(to, from)| *to = *from);
            block.flags.iter_mut().zip(flags.iter().cycle()).for_each(|(to, from)| *to = Flags(*from));
            block.kind = if transactional { BlockKind::Transactional } else { BlockKind::Normal };
            block
        })
    })
}

/// Inserts of these rows.
pub(crate) fn block_of(schema: &Arc<Schema>, rows: &[Vec<Value>]) -> Block {
    let mut builders: Vec<_> = schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, rows.len())).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row) {
            assert!(builder.push(value), "{value:?} fits its column");
        }
    }
    let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Block::new(schema.clone(), vec![Opcode::Insert; rows.len()], vec![Flags::NORMAL; rows.len()], columns)
}
