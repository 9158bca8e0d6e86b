//! Random events, ticks and retention rules: few keys, so that they meet.
#![allow(dead_code)] // each test file uses its part

use mesh_event::{FieldType, Flags, Opcode, Value};
use mesh_model::{Retention, RetentionKind};
use proptest::collection::vec;
use proptest::prelude::*;

use super::Row;

/// What the random rows are rows of.
pub const SCHEMA: &str = "id*:int64,name:string,at:stamp,x:double";

/// What happens to an executor.
#[derive(Debug, Clone)]
pub enum Step {
    Block(Vec<Row>),
    Tick(i64),
}

fn value(ty: FieldType) -> BoxedStrategy<Value> {
    let some = match ty {
        FieldType::Int64 => (0..8i64).prop_map(Value::Int64).boxed(),
        FieldType::String => "[a-c]{0,3}".prop_map(|text| Value::String(text.into())).boxed(),
        FieldType::Stamp => (0..60i64).prop_map(Value::Stamp).boxed(),
        _ => (-20..20i32).prop_map(|x| Value::Double(f64::from(x) / 7.0)).boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 9 => some].boxed()
}

fn row() -> impl Strategy<Value = Row> {
    let opcode = prop_oneof![
        6 => Just(Opcode::Insert), 2 => Just(Opcode::Update), 2 => Just(Opcode::Upsert), 2 => Just(Opcode::Delete),
        1 => Just(Opcode::SafeDelete), 1 => Just(Opcode::UpdateBlock)
    ];
    let flags = prop_oneof![8 => Just(Flags::NORMAL), 1 => Just(Flags::PARTIAL), 1 => Just(Flags::RETENTION)];
    let values = (value(FieldType::Int64), value(FieldType::String), value(FieldType::Stamp), value(FieldType::Double));
    (opcode, flags, values).prop_map(|(opcode, flags, (a, b, c, d))| (opcode, flags, vec![a, b, c, d]))
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        9 => vec(row(), 0..7).prop_map(Step::Block),
        2 => (0..8i64).prop_map(Step::Tick)
    ];
    vec(step, 1..40)
}

pub fn retention() -> impl Strategy<Value = Retention> {
    let kind = prop_oneof![
        (1..9u64).prop_map(|n| RetentionKind::ByCountSliding { n }),
        (1..9u64).prop_map(|n| RetentionKind::ByCountJumping { n }),
        (1..20i64).prop_map(|us| RetentionKind::ByTimeSliding { us }),
        (1..20i64).prop_map(|us| RetentionKind::ByTimeJumping { us }),
        (1..9i64, 1..20i64).prop_map(|(us, span_us)| RetentionKind::ByTimeLookback { us, span_us }),
    ];
    (kind, any::<bool>()).prop_map(|(kind, field)| {
        let by_count = matches!(kind, RetentionKind::ByCountSliding { .. } | RetentionKind::ByCountJumping { .. });
        Retention { kind, field: (field && !by_count).then_some(2) }
    })
}
